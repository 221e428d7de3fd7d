//! Files of our own: events as lines, in segments. The journal and the spool are folders of
//! them.
//!
//! A line is `{"v":1,"kind":…,"made_ms":…,"event":{…}}`. A segment has one writer, which
//! holds its lock for as long as it is open; one whose lock can be had belongs to a process
//! that is gone.

pub(crate) mod private;
pub(crate) mod record;
pub(crate) mod segment;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use private::PrivateDir;

/// Makes the folder `top` in the one of everything that llmobs keeps on disk, and `below` in that.
pub(crate) fn folder(root: &Path, top: &str, below: Option<&str>) -> io::Result<PrivateDir> {
    let is_ours = !root.exists();
    private::make_root(root)?;
    if is_ours {
        ignore(root)?;
    }
    let top = PrivateDir::make(&root.join(top))?;
    // A folder that was there may hold more than what is ours: a whole repository, say.
    if !root.join(".gitignore").exists() {
        ignore(top.path())?;
    }
    match below {
        Some(name) => PrivateDir::make(&top.path().join(name)),
        None => Ok(top),
    }
}

/// Keeps a folder out of version control.
fn ignore(folder: &Path) -> io::Result<()> {
    match private::create(&folder.join(".gitignore")) {
        Ok(mut file) => file.write_all(b"*\n"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// A segment in a folder, as the folder tells of it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) modified: std::time::SystemTime,
}

/// The segments of a folder, the oldest first. What is no file, a link to one among it, is none.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<Listed>> {
    let listed = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let path = entry.path();
        let metadata = entry.metadata().ok()?;
        let is_segment = path
            .extension()
            .is_some_and(|extension| extension == segment::EXTENSION);
        (is_segment && metadata.is_file()).then_some(Listed {
            bytes: metadata.len(),
            modified: metadata.modified().ok()?,
            path,
        })
    };
    let mut segments: Vec<Listed> = fs::read_dir(dir)?.filter_map(listed).collect();
    oldest_first(&mut segments);
    Ok(segments)
}

pub(crate) fn oldest_first(segments: &mut [Listed]) {
    segments.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_kept_out_of_version_control_or_an_error_says_why_not() {
        let folder = std::env::temp_dir().join(format!("llmobs-ignored-{}", fastrand::u64(..)));
        let gone = ignore(&folder).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        fs::create_dir(&folder).unwrap();
        ignore(&folder).unwrap();
        let theirs = folder.join(".gitignore");
        assert_eq!(fs::read(&theirs).unwrap(), b"*\n");
        fs::write(&theirs, "theirs").unwrap();
        ignore(&folder).unwrap();
        assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
        fs::remove_dir_all(folder).unwrap();
    }
}
