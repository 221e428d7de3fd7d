//! The spool's size and age are bounded; what goes is counted.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use llmobs::{DropReason, FlushError, LlmObs, Stats};
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;

use crate::{Folder, SOON, assert_adds_up, client, config, make_spans, names, sent_since};

fn dropped(stats: &Stats, reason: DropReason) -> u64 {
    let spans = stats.spans();
    let counts = spans.dropped.iter().filter(|(other, _)| *other == reason);
    counts.map(|(_, count)| count).sum()
}

/// Ends a client that cannot deliver.
fn end(client: &LlmObs, timeout: Duration) -> Stats {
    let stats = match client.shutdown(timeout) {
        Ok(report) => report.stats,
        Err(FlushError::Undelivered { report, .. }) => report.stats,
        Err(error) => panic!("{error}"),
    };
    assert_adds_up(&stats);
    stats
}

const CAP: u64 = 65_536;
/// A segment, an eighth, is begun before there is room for it.
const A_SEGMENT_OVER: u64 = CAP + CAP / 4;

fn bytes(folder: &Folder) -> u64 {
    let files = folder.files();
    files
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum()
}

/// What arrives of `all` where `gone` of them are dropped: the newest. What was being sent in those moments stays as
/// well, with the segment that it is in.
#[track_caller]
fn assert_the_newest(arrived: &[serde_json::Value], all: &[String], gone: u64) {
    let arrived = names(arrived);
    let gone = usize::try_from(gone).unwrap();
    assert_eq!(arrived.len(), all.len() - gone);
    let sent = arrived
        .iter()
        .zip(all)
        .take_while(|(one, other)| one == other);
    let sent = sent.count();
    assert!(sent <= MOST_IN_A_SEGMENT, "{sent} of the oldest are there");
    assert_eq!(arrived[sent..], all[sent + gone..], "the newest");
}

/// A span has more than 300 bytes, a segment of such a spool an eighth of its size and a batch.
const MOST_IN_A_SEGMENT: usize = 50;

#[test]
fn past_its_size_the_oldest_go_first_and_are_counted() {
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
    let stats = end(&first, Duration::from_millis(200));
    let gone = dropped(&stats, DropReason::SpoolFull);
    assert!(gone > 0, "{stats:?}");
    assert!(bytes(&folder) <= A_SEGMENT_OVER, "{}", bytes(&folder));

    let before = intake.requests().len();
    intake.script(|_| Reply::default());
    let report = client(&folder, intake.url()).shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spans().recovered, 400 - gone);
    assert_the_newest(&sent_since(&intake, before), &all, gone);
}

#[test]
fn what_earlier_processes_left_counts_for_the_size() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let mut all: Vec<String> = (0..400).map(|n| format!("old {n}")).collect();
    // A segment of each of them.
    for some in all.chunks(MOST_IN_A_SEGMENT) {
        let earlier = client(&folder, intake.url());
        make_spans(&earlier, some);
        earlier.shutdown(Duration::from_millis(100)).unwrap();
    }
    assert!(bytes(&folder) > 2 * CAP, "{}", bytes(&folder));

    let tries = intake.requests().len();
    let second = config(&folder, intake.url())
        .spool_max_bytes(CAP)
        .build()
        .unwrap();
    intake.wait_for(|requests| requests.len() > tries, SOON);
    make_spans(&second, &["new"]);
    let stats = end(&second, Duration::from_millis(600));
    let gone = dropped(&stats, DropReason::SpoolFull);
    assert!(gone > 0, "{stats:?}");
    assert_eq!(stats.spans().made, 1);
    assert!(bytes(&folder) <= A_SEGMENT_OVER, "{}", bytes(&folder));

    let before = intake.requests().len();
    intake.script(|_| Reply::default());
    let report = client(&folder, intake.url()).shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spans().recovered, 401 - gone);
    all.push("new".to_owned());
    assert_the_newest(&sent_since(&intake, before), &all, gone);
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

#[test]
fn what_waits_for_too_long_goes_while_the_client_runs_and_what_is_younger_stays() {
    let folder = Folder::new();
    let intake = Intake::start();
    // The lane stands still: nothing is taken out of it.
    intake.script(|_| Reply::status(429).header("Retry-After", "300"));
    let config = config(&folder, intake.url()).spool_max_age(Duration::from_secs(10));
    let first = config.spool_max_bytes(2 * CAP).build().unwrap();
    let mut all: Vec<String> = (0..100).map(|n| format!("old {n}")).collect();
    for some in all.chunks(10) {
        make_spans(&first, some);
        drop(first.flush(Duration::from_millis(20)));
    }
    intake.wait_for(|requests| !requests.is_empty(), SOON);
    while first.stats().spans().spooled < 100 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let segments = folder.files().into_iter();
    let mut segments = segments.map(|path| fs::read_to_string(path).unwrap());
    let sent = segments.find(|text| text.contains("old 0")).unwrap();
    let beside = sent.lines().count();
    assert!(beside < 100, "there is one more segment");

    // It is looked for every half a minute.
    let started = Instant::now();
    while first.stats().spans().dropped.is_empty() {
        assert!(started.elapsed() < 4 * SOON, "{:?}", first.stats());
        let young = format!("young {}", all.len());
        make_spans(&first, &[&young]);
        all.push(young);
        std::thread::sleep(Duration::from_secs(1));
    }
    let tries = intake.requests().len();
    assert_eq!(tries, 1);
    let stats = end(&first, Duration::from_millis(200));
    let spans = stats.spans();
    let gone = dropped(&stats, DropReason::Expired);
    assert_eq!(spans.dropped, [(DropReason::Expired, gone)]);
    let gone = usize::try_from(gone).unwrap();
    assert!((100..all.len()).contains(&(beside + gone)), "{spans:?}");

    intake.script(|_| Reply::default());
    let stats = client(&folder, intake.url()).shutdown(SOON).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spans().recovered, spans.spooled);
    all.drain(beside..beside + gone);
    let arrived = sent_since(&intake, tries);
    assert_eq!(names(&arrived), all, "what was being sent, and the newest");
    assert!(folder.files().is_empty());
}

#[test]
fn what_was_written_for_larger_requests_than_may_be_is_counted_and_the_rest_is_sent() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let first = client(&folder, intake.url());
    first.scope(|| {
        for (name, length) in [("before", 1), ("too large", 5_000), ("after", 1)] {
            let span = llmobs::Span::task(name).start();
            let input = "x".repeat(length);
            span.annotate(llmobs::Annotation::new().input(input))
                .unwrap();
            span.finish().unwrap();
        }
    });
    assert_eq!(end(&first, Duration::from_millis(300)).spans().spooled, 3);
    intake.script(|_| Reply::default());
    let before = intake.requests().len();
    let second = config(&folder, intake.url()).payload_size_bytes(4_096);
    let stats = end(&second.build().unwrap(), SOON);
    assert_eq!(stats.spans().recovered, 3);
    assert_eq!(stats.spans().dropped, [(DropReason::TooLarge, 1)]);
    assert_eq!(names(&sent_since(&intake, before)), ["before", "after"]);
    assert!(folder.files().is_empty());
}
