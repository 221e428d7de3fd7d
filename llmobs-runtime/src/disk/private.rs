//! Folders and files with prompts in them: for their owner alone, and never by way of a symbolic
//! link, so that nobody leads what is written elsewhere or reads it on the way.
//!
//! The folder that the application chooses may belong to whomever it likes, as `/tmp` does; what
//! lies in it is a [`PrivateDir`], which is ours. On other systems than Unix permissions are what
//! the folder above hands down.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use crate::process;

/// Makes the folder that the application chose, and those above it, where they are missing.
///
/// It keeps its owner and its mode, which may have a reason. Refused are a symbolic link, and a
/// folder in which everybody may replace what is there (`/tmp`, whose sticky bit forbids that, is
/// none).
pub(crate) fn make_root(path: &Path) -> io::Result<()> {
    let path = &plain(path);
    make(path)?;
    let found = directory(path)?;
    if open_to_all(&found) {
        let why = "lets everybody replace what is in it (world-writable, without a sticky bit)";
        return Err(refused(path, why));
    }
    Ok(())
}

/// A folder whose files only we make.
#[derive(Clone, Debug)]
pub(crate) struct PrivateDir {
    path: PathBuf,
}

impl PrivateDir {
    /// Makes it, or takes the one that is there: closed to others by now, if it is ours.
    pub(crate) fn make(path: &Path) -> io::Result<Self> {
        let path = plain(path);
        make(&path)?;
        close_to_others(&path)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A new file, to be appended to; an error of the kind `AlreadyExists` where anything has that
    /// name, a link that leads nowhere included.
    pub(crate) fn create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let path = self.path.join(name.as_ref());
        let file = create(&path)?;
        // A folder that another user swapped in, or that root found, does not belong to whom the
        // new file belongs to.
        if let Err(error) = self.belongs_to_the_owner_of(&file) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(file)
    }

    /// A file that is there, opened as `how` says; not a link, a pipe or a device.
    pub(crate) fn open(&self, name: impl AsRef<OsStr>, how: &mut OpenOptions) -> io::Result<File> {
        let path = self.path.join(name.as_ref());
        // A pipe without a writer would be waited for.
        no_links(how, NONBLOCK);
        let file = how.open(&path).map_err(|error| explained(&path, error))?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(refused(&path, "is not a file"))
        }
    }

    #[cfg(unix)]
    fn belongs_to_the_owner_of(&self, file: &File) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let (ours, found) = (file.metadata()?.uid(), directory(&self.path)?.uid());
        if ours == found {
            return Ok(());
        }
        let why = format!("belongs to user {found}, and this process is user {ours}");
        Err(refused(&self.path, &why))
    }

    #[cfg(not(unix))]
    fn belongs_to_the_owner_of(&self, _: &File) -> io::Result<()> {
        directory(&self.path).map(|_| ())
    }
}

/// A new file for its owner alone, to be appended to. What has that name, a link included, is left
/// as it is: `AlreadyExists`.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.read(true).append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    no_links(&mut how, 0);
    how.open(path)
}

/// Whether a file may be one of ours: those are for their owner alone, and we are that. One that came
/// with a repository, say, or from another user where we are root, must not be sent with our key.
#[cfg(unix)]
pub(crate) fn check(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let found = file.metadata()?;
    if found.mode() & 0o077 != 0 {
        let why = "is open to others, so llmobs has not made it";
        return Err(refused(path, why));
    }
    let ours = process::user();
    if found.uid() != ours {
        let why = format!(
            "belongs to user {}, and this process is user {ours}",
            found.uid()
        );
        return Err(refused(path, &why));
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn check(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

/// Without a slash or a dot at its end, behind which a link would be followed.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

fn make(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| explained(path, error))
}

fn directory(path: &Path) -> io::Result<Metadata> {
    let found = fs::symlink_metadata(path)?;
    if found.is_symlink() {
        return Err(refused(path, LINK));
    }
    if !found.is_dir() {
        return Err(refused(path, "is not a folder"));
    }
    Ok(found)
}

const LINK: &str = "is a symbolic link, and links are not followed";

#[cfg(unix)]
const NONBLOCK: i32 = libc::O_NONBLOCK;
#[cfg(not(unix))]
const NONBLOCK: i32 = 0;

#[cfg(unix)]
fn no_links(how: &mut OpenOptions, flags: i32) {
    std::os::unix::fs::OpenOptionsExt::custom_flags(how, libc::O_NOFOLLOW | flags);
}

#[cfg(not(unix))]
fn no_links(_: &mut OpenOptions, _: i32) {}

#[cfg(unix)]
fn open_to_all(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.mode() & 0o1002 == 0o002
}

#[cfg(not(unix))]
fn open_to_all(_: &Metadata) -> bool {
    false
}

/// Takes the rights of others away. The folder that is looked at is the one that is changed, and a
/// link put in its place meanwhile is not followed.
#[cfg(unix)]
fn close_to_others(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    directory(path)?;
    let mut how = OpenOptions::new();
    how.read(true);
    no_links(&mut how, libc::O_DIRECTORY);
    let folder = how.open(path).map_err(|error| explained(path, error))?;
    let found = folder.metadata()?;
    let for_others = found.mode() & 0o077;
    if for_others == 0 {
        return Ok(());
    }
    let closed = folder.set_permissions(fs::Permissions::from_mode(0o700));
    closed.map_err(|error| {
        let (mode, owner) = (found.mode() & 0o777, found.uid());
        let why = format!(
            "is open to others (mode {mode:o}) and cannot be closed: it belongs to user {owner} \
             ({error})"
        );
        refused(path, &why)
    })
}

#[cfg(not(unix))]
fn close_to_others(path: &Path) -> io::Result<()> {
    directory(path).map(|_| ())
}

fn refused(path: &Path, why: &str) -> io::Error {
    let told = format!("{} {why}", path.display());
    io::Error::new(io::ErrorKind::PermissionDenied, told)
}

/// What the system says of a link is "too many levels", and of one that leads nowhere that it is
/// there already.
fn explained(path: &Path, error: io::Error) -> io::Error {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => refused(path, LINK),
        _ => error,
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
