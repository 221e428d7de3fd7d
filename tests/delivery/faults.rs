//! Faults of servers and networks. In each test all three kinds are made, save where the fault is one of fewer, and what
//! became of them adds up: with what `stats()` says, and with what the intake has, where there is one. `docs/delivery.md`
//! names every one of these tests.

mod agents;
mod answers;
mod connections;
mod lanes;
mod poison;
mod tls;

use std::collections::HashSet;
use std::time::Duration;

use llmobs::{
    Config, DropReason, Evaluation, EvaluationTarget, EventKind, Feedback, FeedbackTarget,
    FlushError, LlmObs, Span, Stats,
};
use llmobs_tests::{
    Intake, Reply, Request, assert_accounted, assert_accounted_where, assert_adds_up,
};

use crate::SOON;

/// How many events of each kind there are.
const EACH: u32 = 4;
/// As long as a request may take where it runs out.
const SHORT: Duration = Duration::from_secs(1);

/// Makes that many spans, evaluations and feedback, none like another.
fn make(client: &LlmObs, numbers: std::ops::Range<u32>) {
    client.scope(|| {
        for number in numbers {
            Span::task(format!("task {number}"))
                .start()
                .finish()
                .unwrap();
            let span = EvaluationTarget::span("1", "2");
            llmobs::submit_evaluation(span, Evaluation::new("quality", number)).unwrap();
            let session = FeedbackTarget::session_id("s");
            llmobs::submit_feedback(session, Feedback::new("stars", number, "u")).unwrap();
        }
    });
}

fn to_agent(intake: &Intake) -> LlmObs {
    crate::client(Config::new().agent_url(intake.url()).timeout(SOON))
}

/// A client whose requests run out after [`SHORT`].
fn impatient(intake: &Intake) -> LlmObs {
    crate::client(Config::new().agent_url(intake.url()).timeout(SHORT))
}

/// The intake itself, which a local one stands for.
fn agentless(intake: &Intake) -> Config {
    let config = Config::new().agentless(true).api_key("key-of-faults");
    config.override_origin(intake.url())
}

/// Sends some of each kind and waits until all of them are settled.
fn settle(client: &LlmObs, intake: &Intake) -> Stats {
    make(client, 0..EACH);
    assert_adds_up(&client.stats());
    client.flush(SOON).unwrap();
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, intake);
    assert_eq!(stats.waiting(), 0);
    stats
}

/// [`assert_accounted`] for an intake whose answers are written byte by byte: it has taken all that came.
#[track_caller]
fn assert_all_accounted(stats: &Stats, intake: &Intake) {
    assert_accounted_where(stats, intake, |_| true);
}

/// Asserts that nothing was lost.
#[track_caller]
fn assert_all_delivered(stats: &Stats) {
    for counts in [stats.spans(), stats.evaluations(), stats.feedback()] {
        assert!(counts.made >= u64::from(EACH));
        assert_eq!(counts.delivered, counts.made, "{counts:?}");
    }
}

/// What goes through an Agent whose first answer, for spans and for evaluations, is `fault`: everything, in the end.
fn through(fault: Reply) -> (Intake, Stats) {
    through_with(to_agent, fault)
}

fn through_with(client: impl FnOnce(&Intake) -> LlmObs, fault: Reply) -> (Intake, Stats) {
    let intake = Intake::start();
    first(&intake, move |_| fault.clone());
    let stats = settle(&client(&intake), &intake);
    assert_all_delivered(&stats);
    (intake, stats)
}

/// The first request to each path gets `fault`, all others are taken.
fn first(intake: &Intake, fault: impl Fn(&Request) -> Reply + Send + 'static) {
    let mut seen = HashSet::new();
    intake.script(move |request| {
        if seen.insert(request.path.clone()) {
            fault(request)
        } else {
            Reply::default()
        }
    });
}

/// Waits until each of the two lanes has sent a request.
fn wait_for_both_lanes(intake: &Intake) {
    let paths = |requests: &[Request]| {
        let paths: HashSet<String> = requests.iter().map(|one| one.path.clone()).collect();
        paths.len()
    };
    intake.wait_for(|requests| paths(requests) == 2, SOON);
}

/// Waits for a condition.
#[track_caller]
fn wait_until(mut condition: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed() < 2 * SOON, "not within {:?}", 2 * SOON);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until so many requests were sent again.
#[track_caller]
fn wait_for_retries(client: &LlmObs, retries: u64) {
    wait_until(|| client.stats().destinations[0].retried >= retries);
}

/// Ends a client that cannot deliver; what waits is counted as dropped.
#[track_caller]
fn give_up(client: &LlmObs, intake: &Intake) -> Stats {
    let waiting = client.flush(Duration::from_millis(100)).unwrap_err();
    let FlushError::Timeout { report, .. } = waiting else {
        panic!("{waiting}");
    };
    assert_accounted(&report.stats, intake);
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    let stats = client.stats();
    assert_accounted(&stats, intake);
    assert_eq!(stats.waiting(), 0);
    report.stats
}

/// Ends a client that has delivered nothing of `EACH` of each kind: all of it is counted as dropped, for that reason.
#[track_caller]
fn give_up_everything(client: &LlmObs) {
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    let stats = client.stats();
    assert_adds_up(&stats);
    for counts in [stats.spans(), stats.evaluations(), stats.feedback()] {
        let all = [(DropReason::Shutdown, u64::from(EACH))];
        assert_eq!(counts.dropped, all, "{counts:?}");
    }
}

/// How many events of each kind the stats call waiting.
fn waiting(stats: &Stats) -> [u64; 3] {
    [stats.spans(), stats.evaluations(), stats.feedback()].map(|counts| counts.waiting)
}

/// How many events stand in the requests that `which` picks.
fn events(intake: &Intake, which: impl Fn(&Request) -> bool) -> u64 {
    let requests = intake.requests();
    let picked = requests.iter().filter(|request| which(request));
    let events = picked.map(|one| one.spans().len() + one.evaluations().len());
    events.sum::<usize>() as u64
}

/// How many events of a kind the intake took.
fn accepted(intake: &Intake, kind: EventKind) -> usize {
    llmobs_tests::books::accepted(intake, kind).len()
}
