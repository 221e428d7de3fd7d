//! What is written to disk is for its owner alone, and goes where it was meant to go.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use llmobs::{Config, Destination, DropReason, LlmObs};

use crate::{Folder, SOON, client, make_span, witness};

fn journal_in(dir: &Path) -> LlmObs {
    witness::listen();
    client(Config::new().destination(Destination::Journal).dir(dir))
}

/// The event goes nowhere and is counted, and the log names the path and the reason.
#[track_caller]
fn refused(dir: &Path, path: &Path, why: &str) {
    let client = journal_in(dir);
    make_span(&client);
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!(stats.spans().dropped, [(DropReason::Nowhere, 1)]);
    let said = witness::said();
    let path = path.to_str().unwrap();
    let told = said
        .lines()
        .any(|line| line.contains(path) && line.contains(why));
    assert!(told, "{path} {why}:\n{said}");
}

#[track_caller]
fn written(dir: &Path) {
    let client = journal_in(dir);
    make_span(&client);
    assert_eq!(client.shutdown(SOON).unwrap().stats.spans().delivered, 1);
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Everything below, with what is open to others.
fn open_to_others(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for name in names(dir) {
        let path = dir.join(name);
        if mode(&path) & 0o077 != 0 {
            found.push(format!("{} {:o}", path.display(), mode(&path)));
        }
        if path.is_dir() {
            found.extend(open_to_others(&path));
        }
    }
    found
}

#[test]
fn all_that_is_written_is_for_its_owner_alone() {
    let folder = Folder::new();
    written(&folder.0.join("new"));
    assert_eq!(open_to_others(&folder.0), Vec::<String>::new());
    assert_eq!(mode(&folder.0.join("new/journal")), 0o700);
    let [segment] = &names(&folder.0.join("new/journal"))[..] else {
        panic!("one segment")
    };
    assert_eq!(mode(&folder.0.join("new/journal").join(segment)), 0o600);
}

#[test]
fn a_folder_that_leads_elsewhere_is_not_written_to() {
    let folder = Folder::new();
    let (elsewhere, link) = (folder.0.join("elsewhere"), folder.0.join(".llmobs"));
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &link).unwrap();
    refused(&link, &link, "symbolic link");
    refused(&folder.0.join(".llmobs/"), &link, "symbolic link");
    assert!(names(&elsewhere).is_empty());
}

#[test]
fn a_journal_that_leads_elsewhere_is_not_written_to() {
    let folder = Folder::new();
    let (elsewhere, dir) = (folder.0.join("elsewhere"), folder.0.join("dir"));
    fs::create_dir(&elsewhere).unwrap();
    fs::create_dir(&dir).unwrap();
    let link = dir.join("journal");
    symlink(&elsewhere, &link).unwrap();
    refused(&dir, &link, "symbolic link");
    assert!(names(&elsewhere).is_empty());
}

#[test]
fn a_gitignore_that_leads_elsewhere_is_left_as_it_is() {
    let folder = Folder::new();
    let (dir, victim) = (folder.0.join("dir"), folder.0.join("victim"));
    fs::create_dir(&dir).unwrap();
    symlink(&victim, dir.join(".gitignore")).unwrap();
    written(&dir);
    assert!(!victim.exists());
    fs::write(&victim, "untouched").unwrap();
    written(&dir);
    assert_eq!(fs::read_to_string(victim).unwrap(), "untouched");
}

#[test]
fn a_segment_that_was_planted_as_a_link_is_passed_by() {
    const PLANTED: usize = 1_000;
    let folder = Folder::new();
    let (first, dir) = (folder.0.join("first"), folder.0.join("dir"));
    let (journal, victim) = (dir.join("journal"), folder.0.join("victim"));
    fs::create_dir_all(&journal).unwrap();
    fs::write(&victim, "untouched").unwrap();
    // The names of this process: what it is, when it began, and a number that goes up.
    written(&first);
    let mut names_of_first = names(&first.join("journal"));
    let name = names_of_first.pop().unwrap();
    let (start, number) = name
        .strip_suffix(".jsonl")
        .unwrap()
        .rsplit_once('-')
        .unwrap();
    let number: usize = number.parse().unwrap();
    for next in 1..=PLANTED {
        let name = format!("{start}-{}.jsonl", number + next);
        symlink(&victim, journal.join(name)).unwrap();
    }
    written(&dir);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    let files = fs::read_dir(&journal).unwrap();
    let files: Vec<_> = files
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().unwrap().is_file() && entry.file_name() != ".gitignore")
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(
        fs::read_to_string(files[0].path())
            .unwrap()
            .contains("made_ms")
    );
}

#[test]
fn a_journal_that_stands_open_is_closed_and_the_folder_above_keeps_its_mode() {
    let folder = Folder::new();
    let (dir, journal) = (folder.0.join("dir"), folder.0.join("dir/journal"));
    fs::create_dir_all(&journal).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&journal, Permissions::from_mode(0o777)).unwrap();
    written(&dir);
    assert_eq!((mode(&dir), mode(&journal)), (0o755, 0o700));
}

#[test]
fn a_folder_in_which_everybody_may_replace_the_journal_is_refused() {
    let folder = Folder::new();
    let dir = folder.0.join("dir");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
    refused(&dir, &dir, "world-writable");
    assert!(names(&dir).is_empty());
    // As `/tmp` is.
    fs::set_permissions(&dir, Permissions::from_mode(0o1777)).unwrap();
    written(&dir);
}

#[test]
fn a_folder_that_is_mended_is_written_to_again() {
    let folder = Folder::new();
    let (dir, elsewhere) = (folder.0.join("dir"), folder.0.join("elsewhere"));
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &dir).unwrap();
    let client = journal_in(&dir);
    make_span(&client);
    client.flush(SOON).unwrap();
    fs::remove_file(&dir).unwrap();
    while client.stats().spans().delivered == 0 {
        make_span(&client);
        client.flush(SOON).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    client.shutdown(SOON).unwrap();
    assert!(names(&elsewhere).is_empty());
}
