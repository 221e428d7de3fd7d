//! The spool's size and age are bounded; what goes is counted.

use std::fs;
use std::time::{Duration, SystemTime};

use llmobs::{DropReason, Stats};
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;

use crate::{Folder, SOON, assert_adds_up, client, config, make_spans, names, sent_since};

fn dropped(stats: &Stats, reason: DropReason) -> u64 {
    let spans = stats.spans();
    let counts = spans.dropped.iter().filter(|(other, _)| *other == reason);
    counts.map(|(_, count)| count).sum()
}

#[test]
fn past_its_size_the_oldest_go_first_and_are_counted() {
    const CAP: u64 = 65_536;
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let first = config(&folder, intake.url())
        .max_events(40)
        .spool_max_bytes(CAP)
        .build()
        .unwrap();
    let all: Vec<String> = (0..400).map(|n| format!("span {n}")).collect();
    for some in all.chunks(5) {
        make_spans(&first, some);
        drop(first.flush(Duration::from_millis(5)));
    }
    let report = match first.shutdown(Duration::from_millis(200)) {
        Ok(report) => report,
        Err(llmobs::FlushError::Undelivered { report, .. }) => *report,
        Err(error) => panic!("{error}"),
    };
    assert_adds_up(&report.stats);
    let gone = dropped(&report.stats, DropReason::SpoolFull);
    assert!(gone > 0, "{:?}", report.stats);
    let bytes: u64 = folder
        .files()
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    // A segment, an eighth, is begun before there is room for it.
    assert!(bytes <= CAP + CAP / 4, "{bytes}");

    let before = intake.requests().len();
    intake.script(|_| Reply::default());
    let report = client(&folder, intake.url()).shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spans().recovered, 400 - gone);
    let arrived = sent_since(&intake, before);
    let arrived = names(&arrived);
    assert_eq!(arrived.last(), Some(&"span 399"), "the newest stay");
}

#[test]
fn what_earlier_processes_left_counts_for_the_size() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let first = client(&folder, intake.url());
    let all: Vec<String> = (0..200).map(|n| format!("old {n}")).collect();
    make_spans(&first, &all);
    first.shutdown(Duration::from_millis(200)).unwrap();

    let second = config(&folder, intake.url())
        .spool_max_bytes(65_536)
        .build()
        .unwrap();
    make_spans(&second, &["new"]);
    let report = second.shutdown(Duration::from_millis(600));
    let stats = match report {
        Ok(report) => report.stats,
        Err(llmobs::FlushError::Undelivered { report, .. }) => report.stats,
        Err(error) => panic!("{error}"),
    };
    assert_adds_up(&stats);
    let spans = stats.spans();
    assert_eq!((spans.made, spans.recovered), (1, 200));
    assert!(spans.spooled >= 1, "the new one stays: {spans:?}");
}

#[test]
fn spans_older_than_a_day_are_not_sent() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let first = client(&folder, intake.url());
    make_spans(&first, &["a", "b"]);
    first.shutdown(Duration::from_millis(500)).unwrap();
    // The first of the two was made the day before yesterday.
    let segment = folder.files().remove(0);
    let text = fs::read_to_string(&segment).unwrap();
    let at = text.find("\"made_ms\":").unwrap() + "\"made_ms\":".len();
    let made: u64 = text[at..at + 13].parse().unwrap();
    let old = text.replacen(&made.to_string(), &(made - 2 * 86_400_000).to_string(), 1);
    fs::write(&segment, old).unwrap();

    let before = intake.requests().len();
    intake.script(|_| Reply::default());
    let report = client(&folder, intake.url()).shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    let spans = report.stats.spans();
    assert_eq!(spans.dropped, [(DropReason::Expired, 1)]);
    assert_eq!(spans.delivered, 1);
    let arrived = sent_since(&intake, before);
    assert_eq!(names(&arrived), ["b"]);
    assert!(folder.files().is_empty());
}

#[test]
fn a_segment_that_was_last_written_long_ago_is_given_up() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let first = client(&folder, intake.url());
    crate::make_evaluated(&first, "a");
    first.shutdown(Duration::from_millis(500)).unwrap();
    let before = intake.requests().len();
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 86_400);
    for path in folder.files() {
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    let report = client(&folder, intake.url()).shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spans().dropped, [(DropReason::Expired, 1)]);
    assert_eq!(
        report.stats.evaluations().dropped,
        [(DropReason::Expired, 1)]
    );
    assert_eq!(intake.requests().len(), before, "nothing was sent");
    assert!(folder.files().is_empty());
}
