//! The journal, and what others do to its folder.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use llmobs::{Config, Destination};

use super::*;

fn journal_in(folder: &Folder) -> llmobs::LlmObs {
    let config = Config::new().destination(Destination::Journal);
    client(config.dir(&folder.0))
}

/// The names of the spans in the journal.
fn written(folder: &Folder) -> Vec<String> {
    let lines = folder.journal();
    let names = lines.iter().map(|line| line["event"]["name"].as_str());
    names.map(|name| name.unwrap().to_owned()).collect()
}

#[test]
fn a_journal_whose_folder_is_removed_is_begun_anew() {
    let folder = Folder::new();
    let client = journal_in(&folder);
    make_spans(&client, &["before"]);
    client.flush(SOON).unwrap();
    for round in ["first", "second"] {
        fs::remove_dir_all(&folder.0).unwrap();
        make_spans(&client, &[round]);
        client.flush(SOON).unwrap();
        make_spans(&client, &["after"]);
        client.flush(SOON).unwrap();
        assert_eq!(written(&folder), [round, "after"]);
        let ignored = fs::read_to_string(folder.0.join(".gitignore"));
        assert_eq!(ignored.unwrap(), "*\n");
    }
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!(stats.spans().delivered, 5);
}

#[test]
fn a_file_of_the_journal_that_is_removed_or_replaced_takes_no_more() {
    let folder = Folder::new();
    let client = journal_in(&folder);
    let only = || -> PathBuf {
        let files = fs::read_dir(folder.0.join("journal")).unwrap();
        let mut files = files.map(|file| file.unwrap().path());
        let mut segments = files.by_ref().filter(|path| path.extension().is_some());
        segments.next().unwrap()
    };
    make_spans(&client, &["before"]);
    client.flush(SOON).unwrap();
    let first = only();
    fs::remove_file(&first).unwrap();
    // An editor that saves does so.
    fs::write(&first, "").unwrap();
    make_spans(&client, &["after"]);
    client.flush(SOON).unwrap();
    client.shutdown(SOON).unwrap();
    assert_eq!(fs::read_to_string(&first).unwrap(), "");
    assert_eq!(written(&folder), ["after"]);
}

/// Old files of every kind of owner and name, and one that a journal has left.
#[test]
fn a_journal_removes_old_files_of_its_own_and_no_others() {
    let folder = Folder::new();
    let client = journal_in(&folder);
    make_spans(&client, &["old"]);
    client.shutdown(SOON).unwrap();
    let dir = folder.0.join("journal");
    let ours = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path());
    let ours: Vec<PathBuf> = ours
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    let [ours] = &ours[..] else {
        panic!("{ours:?}")
    };
    let copy = |name: &str| {
        // With the mode of the one that it is a copy of: for its owner alone.
        fs::copy(ours, dir.join(name)).unwrap();
        dir.join(name)
    };
    let mut others = vec![
        copy("notes.jsonl"),
        copy("2024-01-01.jsonl"),
        copy("2024-1-1.jsonl"),
        copy("1-1764547200000-0.json"),
        copy("1-1764547200000-0-spans.jsonl"),
        copy("01-1764547200000-0.jsonl"),
        copy("1-1764547200000-0-my notes.jsonl"),
        copy("+1-1764547200000-0.jsonl"),
        copy("1-1764547200000-.jsonl"),
    ];
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = copy("1-1764547200000-7.jsonl");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
        others.push(open);
    }
    let long_ago = SystemTime::now() - Duration::from_secs(10 * 86_400);
    for path in others.iter().chain([ours]) {
        let file = File::options().append(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    let client = journal_in(&folder);
    make_spans(&client, &["new"]);
    client.shutdown(SOON).unwrap();
    assert!(!ours.exists());
    for path in &others {
        assert!(path.exists(), "{}", path.display());
    }
}
