//! What is on disk outlives the client and the process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use llmobs::{
    Config, Destination, DropReason, Feedback, FeedbackTarget, FlushError, LlmObs, Verdict,
};
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;
use serde_json::Value;

use crate::{
    Folder, NOWHERE, SOON, assert_adds_up, assert_told_once, client, config, log, make_evaluated,
    make_spans, names, sent_since,
};

#[test]
fn what_the_intake_did_not_take_is_sent_by_the_next_client() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let first = client(&folder, intake.url());
    for name in ["a", "b", "c"] {
        make_evaluated(&first, name);
    }
    first.scope(|| {
        let target = FeedbackTarget::session_id("s");
        llmobs::submit_feedback(target, Feedback::new("stars", 4, "u")).unwrap();
    });
    let report = first.shutdown(Duration::from_millis(800)).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.feedback().spooled, 1);
    assert_eq!(report.stats.spans().spooled, 3);
    assert_eq!(report.stats.evaluations().spooled, 3);

    let before = intake.requests().len();
    intake.script(|_| Reply::default());
    let second = client(&folder, intake.url());
    make_spans(&second, &["d"]);
    let report = second.shutdown(SOON).unwrap();
    for taken_over in [": 3 spans", ": 3 evaluations, 1 feedback"] {
        assert_told_once(&folder, taken_over);
    }
    let lines = log::lines_with(folder.0.to_str().unwrap());
    let mut lines = lines.iter();
    assert!(!lines.any(|(_, line)| line.contains("cannot be read")));
    assert_adds_up(&report.stats);
    let (spans, evaluations) = (report.stats.spans(), report.stats.evaluations());
    assert_eq!((spans.made, spans.recovered, spans.delivered), (1, 3, 4));
    assert_eq!((evaluations.made, evaluations.recovered), (0, 3));
    assert_eq!(evaluations.delivered, 3);
    let feedback = report.stats.feedback();
    assert_eq!((feedback.recovered, feedback.delivered), (1, 1));
    assert_eq!(intake.accepted_evaluations().len(), 4);

    let arrived = sent_since(&intake, before);
    assert_eq!(names(&arrived), ["a", "b", "c", "d"], "the oldest first");
    assert!(folder.files().is_empty(), "{:?}", folder.files());
}

#[test]
fn a_shutdown_with_an_intake_that_hangs_is_over_in_time_and_loses_nothing() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let client = client(&folder, intake.url());
    make_spans(&client, &["a", "b"]);
    let error = client.flush(Duration::from_millis(300)).unwrap_err();
    let FlushError::Timeout { waiting, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(waiting, 2, "on disk, and still to be sent");
    let report = client.shutdown(Duration::from_millis(300)).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spans().spooled, 2);
    assert_eq!(report.stats.spooled(), 2);
}

#[test]
fn what_does_not_fit_into_memory_waits_on_disk() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let client = config(&folder, intake.url())
        .max_events(64)
        .build()
        .unwrap();
    let all: Vec<String> = (0..500).map(|n| format!("span {n}")).collect();
    for some in all.chunks(20) {
        make_spans(&client, some);
        drop(client.flush(Duration::from_millis(10)));
    }
    let stats = client.stats();
    assert_eq!(stats.spans().spooled, 500, "{stats:?}");
    let before = intake.requests().len();
    intake.script(|_| Reply::default());
    let report = client.shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spans().delivered, 500);
    let arrived = sent_since(&intake, before);
    assert_eq!(names(&arrived), all, "in order");
    assert!(folder.files().is_empty());
}

#[test]
fn a_batch_of_which_one_part_was_refused_is_not_sent_again() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|request| {
        let poison = request.spans().any(|span| span["name"] == "poison");
        Reply::status(if poison { 400 } else { 202 })
    });
    let first = client(&folder, intake.url());
    make_spans(&first, &["a", "poison", "b"]);
    let report = first.shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spans().delivered, 2);
    assert_eq!(report.stats.spans().dropped, [(DropReason::Refused, 1)]);
    assert!(folder.files().is_empty());
}

#[test]
fn the_parts_of_a_batch_that_were_settled_before_a_shutdown_are_not_sent_again() {
    let folder = Folder::new();
    let intake = Intake::start();
    // More than two are refused, which divides the batch; of the parts only the first goes through.
    intake.script(|request| {
        let mut spans = request.spans();
        Reply::status(match spans.len() {
            3.. => 413,
            _ if spans.any(|span| span["name"] == "a") => 202,
            _ => 503,
        })
    });
    let first = client(&folder, intake.url());
    make_spans(&first, &["a", "b", "c", "d"]);
    let report = first.shutdown(Duration::from_millis(800)).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spans().delivered, 2);
    assert_eq!(report.stats.spans().spooled, 2);

    let before = intake.requests().len();
    intake.script(|_| Reply::default());
    let report = client(&folder, intake.url()).shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    let spans = report.stats.spans();
    assert_eq!((spans.recovered, spans.delivered), (2, 2));
    assert_eq!(names(&sent_since(&intake, before)), ["c", "d"]);
    assert!(folder.files().is_empty());
}

#[test]
fn where_nobody_listens_everything_stays_on_disk() {
    let folder = Folder::new();
    let client = client(&folder, NOWHERE);
    make_evaluated(&client, "early");
    let report = client.shutdown(Duration::from_millis(600)).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spooled(), 2);
    assert_eq!(folder.files().len(), 2, "one of spans, one of evaluations");
}

#[test]
fn a_shutdown_that_has_no_time_still_writes_what_there_is() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let client = client(&folder, intake.url());
    let all: Vec<String> = (0..500).map(|n| format!("span {n}")).collect();
    make_spans(&client, &all);
    make_evaluated(&client, "the last");
    let stats = client.shutdown(Duration::ZERO).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spans().spooled, 501, "{:?}", stats.spans());
    assert_eq!(stats.evaluations().spooled, 1);
}

#[test]
fn a_shutdown_that_has_no_time_writes_for_as_long_as_it_comes_on() {
    let folder = Folder::new();
    let slow = config(&folder, NOWHERE).processor(|_| {
        std::thread::sleep(Duration::from_millis(3));
        Verdict::Keep
    });
    let client = slow.build().unwrap();
    // More than a second's work.
    let all: Vec<String> = (0..400).map(|n| format!("span {n}")).collect();
    make_spans(&client, &all);
    let stats = client.shutdown(Duration::ZERO).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spans().spooled, 400, "{:?}", stats.spans());
}

#[test]
fn a_shutdown_that_writes_is_over_where_a_processor_hangs_and_the_rest_is_written_later() {
    let folder = Folder::new();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let hangs = config(&folder, NOWHERE).processor(move |_| {
        let _ = gate.lock().unwrap().recv();
        Verdict::Keep
    });
    let client = hangs.build().unwrap();
    make_spans(&client, &["a", "b", "c"]);
    let error = client.shutdown(Duration::ZERO).unwrap_err();
    assert!(
        matches!(error, FlushError::Undelivered { dropped: 3, .. }),
        "{error}"
    );
    // The line of the log says what the counts do.
    assert_eq!(client.stats().spans().waiting, 3);
    drop(release);
    client.shutdown(SOON).unwrap();
    assert_eq!(client.stats().spans().spooled, 3);
}

#[test]
fn what_was_refused_before_is_no_error_of_a_shutdown_that_leaves_the_rest_on_disk() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|request| {
        let is_bad = request.spans().any(|span| span["name"] == "bad");
        Reply::status(if is_bad { 404 } else { 503 })
    });
    let origin = config(&folder, intake.url()).agentless(true).api_key("k");
    let client = origin.override_origin(intake.url()).build().unwrap();
    make_spans(&client, &["bad"]);
    client.flush(SOON).unwrap();
    make_spans(&client, &["kept"]);
    intake.wait_for(|requests| requests.len() == 2, SOON);
    let stats = client.shutdown(Duration::ZERO).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spans().dropped, [(DropReason::Refused, 1)]);
    assert_eq!(stats.spans().spooled, 1);
}

/// Longer than two seconds, after which a worker that does not come on is held up.
#[test]
fn a_shutdown_that_writes_is_waited_for_as_long_as_it_comes_on() {
    let folder = Folder::new();
    let slow = config(&folder, NOWHERE).processor(|_| {
        std::thread::sleep(Duration::from_millis(250));
        Verdict::Keep
    });
    let client = slow.build().unwrap();
    make_spans(&client, &["slow"; 20]);
    let stats = client.shutdown(Duration::ZERO).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spans().spooled, 20);
}

#[test]
fn what_a_shutdown_cuts_off_is_a_possible_duplicate() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let patient = config(&folder, intake.url()).timeout(SOON);
    let first = patient.build().unwrap();
    make_spans(&first, &["a", "b"]);
    intake.wait_for(|requests| !requests.is_empty(), SOON);
    let stats = first.shutdown(Duration::from_millis(100)).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spans().spooled, 2);
    assert_eq!(stats.destinations[0].possible_duplicates, 2);
    intake.script(|_| Reply::default());
    let second = client(&folder, intake.url());
    let stats = second.shutdown(SOON).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spans().delivered, 2);
    assert_eq!(stats.destinations[0].possible_duplicates, 0);
    assert_eq!(names(&sent_since(&intake, 0)), ["a", "b", "a", "b"]);
}

#[test]
fn what_a_shutdown_cuts_off_after_a_try_without_an_answer_is_a_possible_duplicate_once() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let client = config(&folder, intake.url()).build().unwrap();
    make_spans(&client, &["a", "b"]);
    intake.wait_for(|requests| requests.len() == 2, SOON);
    let stats = client.shutdown(Duration::ZERO).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spans().spooled, 2);
    assert_eq!(stats.destinations[0].possible_duplicates, 2);
}

#[test]
fn what_is_left_is_looked_for_every_ten_seconds_whatever_else_there_is_to_do() {
    let folder = Folder::new();
    let intake = Intake::start();
    let wait = Reply::status(429).header("Retry-After", "100");
    intake.script(move |_| wait.clone());
    let other = client(&folder, intake.url());
    make_spans(&other, &["left"]);
    intake.wait_for(|requests| !requests.is_empty(), SOON);
    let ours = client(&folder, intake.url());
    let started = Instant::now();
    std::thread::sleep(Duration::from_millis(500));
    other.shutdown(Duration::from_millis(200)).unwrap();
    let ended = Instant::now();
    intake.script(|_| Reply::default());
    let just_before = Duration::from_millis(9_000);
    std::thread::sleep(just_before.saturating_sub(started.elapsed()));
    make_spans(&ours, &["ours"]);
    while ours.stats().spans().recovered == 0 && ended.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(20));
    }
    let stats = ours.shutdown(SOON).unwrap().stats;
    assert_adds_up(&stats);
    let spans = stats.spans();
    assert_eq!((spans.recovered, spans.delivered), (1, 2));
}

#[test]
fn a_shutdown_waits_for_no_try_that_cannot_come_in_its_time() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503).header("Retry-After", "86400"));
    let client = client(&folder, intake.url());
    // The evaluation waits for the span, which waits for the server.
    make_evaluated(&client, "early");
    intake.wait_for(|requests| !requests.is_empty(), SOON);
    let started = Instant::now();
    let a_long_time = Duration::from_secs(25);
    let report = client.shutdown(a_long_time).unwrap();
    assert!(started.elapsed() < a_long_time / 2);
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spooled(), 2);
    assert_eq!(intake.requests().len(), 1);
}

/// A client with a key, and its Agent at `url`; the intake is a name that does not exist.
fn keyed(folder: &Folder, url: &str, key: &str) -> LlmObs {
    let config = config(folder, url).site("llmobs.invalid");
    config.api_key(key).build().unwrap()
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Leaves `early` and what is said of it for an Agent, and `late` and what is said of that for the intake,
/// which has taken the Agent's place; then the Agent is as it was.
fn left_for_both(folder: &Folder) -> Intake {
    let agent = Intake::start();
    agent.endpoints(&["/v0.4/traces"]);
    let client = keyed(folder, agent.url(), KEY);
    make_evaluated(&client, "early");
    let is_replaced = || client.stats().destinations[0].name.starts_with("intake");
    let started = Instant::now();
    while !is_replaced() && started.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(10));
    }
    // The first request still waits, and the evaluation behind it; what comes now has a place of its own.
    make_evaluated(&client, "late");
    let stats = client.shutdown(Duration::from_millis(500)).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spooled(), 4);
    agent.endpoints(&["/evp_proxy/v2/"]);
    agent
}

#[test]
fn what_is_made_after_an_agent_was_replaced_is_kept_for_who_took_its_place() {
    let folder = Folder::new();
    let agent = left_for_both(&folder);
    let both = kept(&folder);
    let folders: Vec<&str> = both.keys().map(String::as_str).collect();
    assert_eq!(folders.len(), 2, "{both:?}");
    assert!(folders[0].starts_with("agent-") && folders[1].starts_with("intake-llmobs.invalid-"));
    let events: Vec<_> = both.values().collect();
    assert_eq!(events, [&["early", "good"], &["good", "late"]]);

    // What belongs together goes to one place.
    let next = keyed(&folder, agent.url(), KEY);
    make_spans(&next, &["latest"]);
    let stats = next.shutdown(SOON).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spans().recovered, 2);
    assert_eq!(stats.evaluations().recovered, 2);
    assert!(kept(&folder).values().all(Vec::is_empty));
    let requests = agent.requests();
    let spans = sent_since(&agent, 0);
    let mut names = names(&spans);
    names.sort_unstable();
    assert_eq!(names, ["early", "late", "latest"]);
    let spans = requests.iter().rposition(|request| {
        let mut names = request.spans().map(|span| span["name"].as_str());
        names.any(|name| matches!(name, Some("early" | "late")))
    });
    let evaluations = requests
        .iter()
        .position(|request| request.evaluations().len() > 0);
    assert!(spans < evaluations, "{spans:?} {evaluations:?}");
}

#[test]
fn what_is_for_the_intake_with_another_key_is_not_taken_by_who_has_the_same_agent() {
    let folder = Folder::new();
    let agent = left_for_both(&folder);
    let other = keyed(&folder, agent.url(), "of-another-account");
    let stats = other.shutdown(SOON).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.spans().recovered, 1);
    assert_eq!(stats.evaluations().recovered, 1);
    assert_eq!(names(&sent_since(&agent, 0)), ["early"]);
    let left = kept(&folder);
    let left: Vec<_> = left.values().filter(|events| !events.is_empty()).collect();
    assert_eq!(left, [&["good", "late"]]);
}

/// What stands in the folders of the destinations: names of spans, labels of evaluations.
fn kept(folder: &Folder) -> BTreeMap<String, Vec<String>> {
    let mut kept = BTreeMap::new();
    for entry in std::fs::read_dir(folder.0.join("spool")).unwrap() {
        let entry = entry.unwrap();
        if !entry.path().is_dir() {
            continue;
        }
        let mut names = Vec::new();
        for file in std::fs::read_dir(entry.path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|end| end != "jsonl") {
                continue;
            }
            let lines = std::fs::read_to_string(path).unwrap();
            for line in lines.lines() {
                let record: Value = serde_json::from_str(line).unwrap();
                let event = &record["event"];
                let name = event["name"].as_str().or(event["label"].as_str());
                names.push(name.unwrap().to_owned());
            }
        }
        names.sort();
        kept.insert(entry.file_name().into_string().unwrap(), names);
    }
    kept
}

#[test]
fn the_journal_and_memory_need_no_spool() {
    crate::log::keep();
    let folder = Folder::new();
    let client = Config::new()
        .dir(&folder.0)
        .spool(true)
        .destination(Destination::Journal)
        .build()
        .unwrap();
    make_spans(&client, &["a"]);
    let report = client.shutdown(SOON).unwrap();
    assert_eq!(report.stats.spans().delivered, 1);
    assert!(!folder.0.join("spool").exists());
    assert_told_once(&folder, "no spool: nothing here waits for a server");
}

#[test]
fn two_clients_share_the_folder_and_one_sends_what_the_other_left() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let (one, other) = (client(&folder, intake.url()), client(&folder, intake.url()));
    make_spans(&one, &["of one"]);
    make_spans(&other, &["of the other"]);
    let report = one.shutdown(Duration::from_millis(600)).unwrap();
    assert_eq!(report.stats.spans().spooled, 1);
    assert_eq!(
        report.stats.spans().recovered,
        0,
        "the other's has a writer"
    );
    intake.script(|_| Reply::default());
    // It looks for what was left every ten seconds.
    intake.wait_for(
        |requests| {
            let accepted = requests.iter().filter(|request| request.was_accepted());
            accepted.map(|request| request.spans().len()).sum::<usize>() >= 2
        },
        SOON,
    );
    let report = other.shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    let spans = report.stats.spans();
    assert_eq!((spans.made, spans.recovered, spans.delivered), (1, 1, 2));
    assert!(folder.files().is_empty());
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_costs_nothing_but_the_disk() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("spool"), "a file in the folder's place").unwrap();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let client = client(&folder, intake.url());
    make_spans(&client, &["a", "b"]);
    intake.wait_for(|requests| !requests.is_empty(), SOON);
    let spans = client.stats().spans();
    assert_eq!((spans.waiting, spans.spooled), (2, 0), "{spans:?}");
    let told = assert_told_once(&folder, "cannot be written");
    assert!(told.contains("wait in memory"), "{told}");
    intake.script(|_| Reply::default());
    let report = client.shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(report.stats.spans().delivered, 2);
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let client = client(&folder, intake.url());
    make_spans(&client, &["a"]);
    client.shutdown(Duration::from_millis(600)).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.0.join("spool")), 0o700);
    assert_eq!(mode(&folder.destination()), 0o700);
    for file in folder.files() {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}
