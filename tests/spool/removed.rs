//! The folder goes while the program runs: by `git clean -fdx`, say, or a job that tidies up.

use std::fs;
use std::time::Instant;

use llmobs::DropReason;
use llmobs_tests::Reply;

use super::*;

/// Until so many spans are on disk.
#[track_caller]
fn wait_for_spooled(client: &LlmObs, count: u64) {
    let started = Instant::now();
    while client.stats().spans().spooled < count {
        assert!(started.elapsed() < SOON, "{:?}", client.stats());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An intake that takes nothing yet.
fn in_trouble() -> Intake {
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    intake
}

/// The names of the spans that a later process finds and sends.
fn sent_by_the_next(folder: &Folder, intake: &Intake) -> Vec<String> {
    intake.script(|_| Reply::default());
    let next = client(folder, intake.url());
    let stats = next.shutdown(SOON).unwrap().stats;
    let spans = intake.accepted_spans();
    assert_eq!(stats.spans().recovered, spans.len() as u64);
    assert_eq!(stats.spans().delivered, spans.len() as u64);
    let names = spans.iter().map(|span| span["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

#[test]
fn what_waits_is_written_to_new_files_and_what_is_on_its_way_is_counted() {
    let (folder, intake) = (Folder::new(), in_trouble());
    let client = client(&folder, intake.url());
    for (count, name) in [(1, "on its way"), (2, "waits"), (3, "waits too")] {
        make_spans(&client, &[name]);
        wait_for_spooled(&client, count);
    }
    fs::remove_dir_all(&folder.0).unwrap();
    make_spans(&client, &["made later"]);
    wait_for_spooled(&client, 4);
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    let spans = client.stats().spans().clone();
    assert_eq!((spans.made, spans.spooled, spans.waiting), (4, 3, 0));
    assert_eq!(spans.dropped, [(DropReason::Shutdown, 1)]);
    let names = sent_by_the_next(&folder, &intake);
    assert_eq!(names, ["waits", "waits too", "made later"]);
    let told = log::lines_with(folder.0.to_str().unwrap());
    assert!(
        told.iter()
            .any(|(_, line)| line.contains("were removed while")),
        "{told:?}"
    );
}

#[test]
fn what_is_removed_before_the_end_is_written_anew_by_the_shutdown() {
    let (folder, intake) = (Folder::new(), in_trouble());
    let client = client(&folder, intake.url());
    for (count, name) in [(1, "on its way"), (2, "waits")] {
        make_spans(&client, &[name]);
        wait_for_spooled(&client, count);
    }
    fs::remove_dir_all(&folder.0).unwrap();
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    let spans = client.stats().spans().clone();
    assert_eq!(spans.spooled, 1, "{spans:?}");
    assert_eq!(spans.dropped, [(DropReason::Shutdown, 1)]);
    assert_told_once(&folder, "were removed while they were in use");
    assert_eq!(sent_by_the_next(&folder, &intake), ["waits"]);
}

#[test]
fn what_is_on_disk_alone_is_read_from_the_removed_file_and_written_anew() {
    const MADE: usize = 300;
    let (folder, intake) = (Folder::new(), in_trouble());
    // A quarter of it stays in memory.
    let config = config(&folder, intake.url()).max_events(100);
    let client = config.build().unwrap();
    for made in 0..MADE {
        make_spans(&client, &[format!("{made}")]);
        wait_for_spooled(&client, made as u64 + 1);
    }
    fs::remove_dir_all(&folder.0).unwrap();
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    let spans = client.stats().spans().clone();
    let lost = MADE as u64 - spans.spooled;
    assert!((1..MADE as u64 / 2).contains(&lost), "{spans:?}");
    assert_eq!(spans.dropped, [(DropReason::Shutdown, lost)]);
    let expected = (0..MADE).skip(usize::try_from(lost).unwrap());
    let expected: Vec<String> = expected.map(|made| format!("{made}")).collect();
    assert_eq!(sent_by_the_next(&folder, &intake), expected);
}

#[test]
fn what_was_removed_and_cannot_be_written_anew_is_counted_as_lost() {
    let folder = Folder::new();
    let config = config(&folder, NOWHERE).max_events(100);
    let client = config.build().unwrap();
    for made in 0..60 {
        make_spans(&client, &["lost"]);
        wait_for_spooled(&client, made + 1);
    }
    fs::remove_dir_all(&folder.0).unwrap();
    fs::write(&folder.0, "no folder any more").unwrap();
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    let spans = client.stats().spans().clone();
    fs::remove_file(&folder.0).unwrap();
    assert_eq!((spans.spooled, spans.waiting), (0, 0));
    assert_eq!(spans.dropped, [(DropReason::Shutdown, 60)]);
}

#[test]
fn what_waits_in_removed_files_is_delivered_all_the_same() {
    let (folder, intake) = (Folder::new(), in_trouble());
    let config = config(&folder, intake.url()).max_events(100);
    let client = config.build().unwrap();
    for made in 0..60 {
        make_spans(&client, &["sent"]);
        wait_for_spooled(&client, made + 1);
    }
    fs::remove_dir_all(&folder.0).unwrap();
    intake.script(|_| Reply::default());
    make_spans(&client, &["sent"]);
    let stats = client.shutdown(SOON).unwrap().stats;
    let spans = stats.spans();
    assert_eq!((spans.delivered, spans.spooled), (61, 0));
    assert_eq!(intake.accepted_spans().len(), 61);
    // Nothing of it stays behind.
    let files = folder.files();
    assert!(files.is_empty(), "{files:?}");
}

/// As `mv .llmobs .llmobs.old` does it: what was moved is for who moved it.
#[test]
fn a_folder_that_is_moved_takes_no_more_events_with_it() {
    let (folder, intake) = (Folder::new(), in_trouble());
    let client = client(&folder, intake.url());
    make_spans(&client, &["on its way"]);
    wait_for_spooled(&client, 1);
    let moved = folder.0.with_extension("moved");
    fs::rename(&folder.0, &moved).unwrap();
    make_spans(&client, &["made later"]);
    wait_for_spooled(&client, 2);
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    assert_eq!(client.stats().spans().spooled, 1);
    assert_eq!(sent_by_the_next(&folder, &intake), ["made later"]);
    fs::remove_dir_all(&moved).unwrap();
}
