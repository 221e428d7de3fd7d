use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A folder of one test's own, gone with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("llmobs-private-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        make(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Refused, and the words name the path and the reason.
fn refused_with<T>(result: io::Result<T>, path: &Path, why: &str) {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
    let told = error.to_string();
    assert!(
        told.contains(&*path.to_string_lossy()) && told.contains(why),
        "{told}"
    );
}

#[test]
fn what_is_made_is_for_its_owner_alone() {
    let scratch = Scratch::new();
    let root = scratch.join("a/b");
    make_root(&root).unwrap();
    let dir = PrivateDir::make(&root.join("c/d")).unwrap();
    for path in ["a", "a/b", "a/b/c", "a/b/c/d"] {
        assert_eq!(mode(&scratch.join(path)), 0o700, "{path}");
    }
    let mut file = dir.create("e").unwrap();
    file.write_all(b"text").unwrap();
    assert_eq!(mode(&root.join("c/d/e")), 0o600);
    let again = dir.create("e").unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    let mut text = String::new();
    let mut read = dir.open("e", OpenOptions::new().read(true)).unwrap();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, "text");
}

#[test]
fn a_folder_that_is_a_link_is_refused_however_it_is_written() {
    let scratch = Scratch::new();
    let (elsewhere, link) = (scratch.join("elsewhere"), scratch.join("link"));
    make(&elsewhere).unwrap();
    symlink(&elsewhere, &link).unwrap();
    for way in ["link", "link/", "link/.", "./link//"] {
        let way = scratch.join(way);
        refused_with(make_root(&way), &link, "symbolic link");
        refused_with(PrivateDir::make(&way), &link, "symbolic link");
    }
    let nowhere = scratch.join("nowhere");
    symlink(scratch.join("not there"), &nowhere).unwrap();
    refused_with(make_root(&nowhere), &nowhere, "symbolic link");
    refused_with(PrivateDir::make(&nowhere), &nowhere, "symbolic link");
    assert!(!scratch.join("not there").exists());
}

#[test]
fn a_link_above_the_folder_is_the_machines_business() {
    let scratch = Scratch::new();
    make(&scratch.join("disk")).unwrap();
    symlink(scratch.join("disk"), scratch.join("var")).unwrap();
    make_root(&scratch.join("var/app")).unwrap();
    assert!(scratch.join("disk/app").is_dir());
}

#[test]
fn a_file_that_is_a_link_is_neither_made_nor_opened() {
    let scratch = Scratch::new();
    let dir = PrivateDir::make(&scratch.join("dir")).unwrap();
    let (victim, missing) = (scratch.join("victim"), scratch.join("missing"));
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, dir.path().join("planted")).unwrap();
    symlink(&missing, dir.path().join("dangling")).unwrap();
    for name in ["planted", "dangling"] {
        let error = dir.create(name).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{name}");
        for how in [
            OpenOptions::new().read(true),
            OpenOptions::new().append(true),
            OpenOptions::new().write(true).truncate(true),
        ] {
            refused_with(dir.open(name, how), &dir.path().join(name), "symbolic link");
        }
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert!(!missing.exists());
}

#[test]
fn a_pipe_is_not_waited_for() {
    let scratch = Scratch::new();
    let dir = PrivateDir::make(&scratch.join("dir")).unwrap();
    let pipe = dir.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let opened = dir.open("pipe", OpenOptions::new().read(true));
    refused_with(opened, &pipe, "is not a file");
}

#[test]
fn what_is_no_folder_is_told_as_such() {
    let scratch = Scratch::new();
    let file = scratch.join("file");
    fs::write(&file, "").unwrap();
    assert!(make_root(&file).is_err());
    assert!(PrivateDir::make(&file.join("below")).is_err());
}

#[test]
fn a_private_folder_that_stands_open_is_closed() {
    let scratch = Scratch::new();
    let path = scratch.join("dir");
    make(&path).unwrap();
    for open in [0o755, 0o770, 0o777, 0o701] {
        set_mode(&path, open);
        PrivateDir::make(&path).unwrap();
        assert_eq!(mode(&path), 0o700, "{open:o}");
    }
    set_mode(&path, 0o500);
    PrivateDir::make(&path).unwrap();
    assert_eq!(mode(&path), 0o500, "what others may not do anyway is kept");
}

#[test]
fn the_chosen_folder_keeps_its_mode_and_is_refused_where_all_may_replace_what_is_in_it() {
    let scratch = Scratch::new();
    let path = scratch.join("chosen");
    make(&path).unwrap();
    for kept in [0o700, 0o755, 0o775, 0o1777] {
        set_mode(&path, kept);
        make_root(&path).unwrap();
        assert_eq!(mode(&path), kept, "{kept:o}");
    }
    set_mode(&path, 0o777);
    refused_with(make_root(&path), &path, "world-writable");
    assert_eq!(mode(&path), 0o777);
}

/// Root alone can give a folder away; who is not root, cannot close one of another's.
#[test]
fn a_folder_of_another_user_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.join("dir");
    let dir = PrivateDir::make(&path).unwrap();
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
        // `/` is another's for whoever is not root, and open to others.
        refused_with(
            PrivateDir::make(Path::new("/")),
            Path::new("/"),
            "cannot be closed",
        );
        return;
    }
    refused_with(dir.create("file"), &path, "belongs to user 12345");
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "nothing is left");
}

#[test]
fn only_a_link_is_called_one() {
    let scratch = Scratch::new();
    let file = scratch.join("file");
    fs::write(&file, "").unwrap();
    let error = PrivateDir::make(&file).unwrap_err();
    assert!(!error.to_string().contains(LINK), "{error}");
}
