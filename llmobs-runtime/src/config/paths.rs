//! Paths, made absolute once: a program may change its working directory at any time, and what was
//! written in one folder is not looked for in another.

use std::path::{Path, PathBuf};

/// The path from the root, seen from the working directory of now. Where there is none any more the path stays
/// as it is.
pub(super) fn fixed(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// `SSL_CERT_FILE` and `SSL_CERT_DIR`, which are read when TLS is set up: later, on the worker's
/// thread, and again for a destination that takes another's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    pub(crate) file: Option<PathBuf>,
    pub(crate) folders: Vec<PathBuf>,
}

impl Trust {
    /// Nothing where both are absolute or not set: then no change of directory matters.
    pub(super) fn from_env() -> Option<Self> {
        let var = |name| std::env::var_os(name);
        Self::of(var("SSL_CERT_FILE"), var("SSL_CERT_DIR"))
    }

    fn of(file: Option<std::ffi::OsString>, folders: Option<std::ffi::OsString>) -> Option<Self> {
        let file = file.map(PathBuf::from);
        let folders = folders.map(|folders| std::env::split_paths(&folders).collect());
        let mut folders: Vec<PathBuf> = folders.unwrap_or_default();
        folders.retain(|folder| !folder.as_os_str().is_empty());
        if file.iter().chain(&folders).all(|path| path.is_absolute()) {
            return None;
        }
        Some(Self {
            file: file.as_deref().map(fixed),
            folders: folders.iter().map(|folder| fixed(folder)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_relative_is_seen_from_the_directory_of_now() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(fixed(Path::new(".llmobs")), here.join(".llmobs"));
        assert_eq!(fixed(Path::new("/a/b")), Path::new("/a/b"));
    }

    #[test]
    fn certificates_are_noted_where_a_variable_names_them_by_a_relative_path() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(Trust::of(None, None), None);
        assert_eq!(Trust::of(Some("/a.pem".into()), Some("/b:/c".into())), None);
        let both = Trust::of(Some("a.pem".into()), Some("/b::c".into())).unwrap();
        assert_eq!(both.file, Some(here.join("a.pem")));
        assert_eq!(both.folders, [PathBuf::from("/b"), here.join("c")]);
        let one = Trust::of(None, Some("c".into())).unwrap();
        assert_eq!((one.file, one.folders), (None, vec![here.join("c")]));
    }
}
