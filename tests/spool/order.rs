//! Evaluations keep their order after their spans.

use std::time::{Duration, Instant};

use llmobs::{Evaluation, EvaluationTarget};
use llmobs_tests::Intake;
use llmobs_tests::intake::{Reply, Request};

use crate::{Folder, SOON, assert_adds_up, client, config, make_evaluated, make_spans};

/// For each accepted request: how many spans and how many evaluations.
fn accepted(requests: &[Request]) -> Vec<(usize, usize)> {
    let accepted = requests.iter().filter(|request| request.was_accepted());
    accepted
        .map(|request| (request.spans().len(), request.evaluations().len()))
        .collect()
}

#[test]
fn evaluations_wait_for_the_spans_before_them() {
    let folder = Folder::new();
    let intake = Intake::start();
    // The spans have trouble, the evaluations would have none.
    let mut troubles = 3;
    intake.script(move |request| {
        if request.spans().len() > 0 && troubles > 0 {
            troubles -= 1;
            return Reply::status(429).header("Retry-After", "1");
        }
        Reply::default()
    });
    let client = client(&folder, intake.url());
    make_evaluated(&client, "a");
    let report = client.shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(accepted(&intake.requests()), [(1, 0), (0, 1)]);
}

/// Those that wait for others to fill a request are sealed by their age, and the span is younger.
#[test]
fn a_span_goes_before_an_evaluation_that_shares_its_request_with_older_ones() {
    let folder = Folder::new();
    let intake = Intake::start();
    let config = config(&folder, intake.url()).flush_interval(Duration::from_secs(1));
    let client = config.build().unwrap();
    client.scope(|| {
        let early = EvaluationTarget::tag("key", "value");
        llmobs::submit_evaluation(early, Evaluation::new("early", true)).unwrap();
    });
    std::thread::sleep(Duration::from_millis(200));
    make_evaluated(&client, "a");
    intake.wait_for_evaluations(2, SOON);
    assert_adds_up(&client.shutdown(SOON).unwrap().stats);
    let accepted = accepted(&intake.requests());
    let span = accepted.iter().position(|(spans, _)| *spans > 0).unwrap();
    let last = accepted
        .iter()
        .rposition(|(_, evaluations)| *evaluations > 0);
    assert!(last.unwrap() > span, "{accepted:?}");
}

#[test]
fn so_do_those_that_an_earlier_client_left() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let first = client(&folder, intake.url());
    for name in ["a", "b", "c"] {
        make_evaluated(&first, name);
        drop(first.flush(Duration::from_millis(20)));
    }
    first.shutdown(Duration::from_millis(500)).unwrap();
    let before = intake.requests().len();
    intake.script(|_| Reply::default());
    let report = client(&folder, intake.url()).shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    let after = accepted(&intake.requests()[before..]);
    let spans: usize = after.iter().map(|(spans, _)| spans).sum();
    let evaluations: usize = after.iter().map(|(_, evaluations)| evaluations).sum();
    assert_eq!((spans, evaluations), (3, 3));
    let first_evaluation = after.iter().position(|(_, count)| *count > 0).unwrap();
    assert!(
        after[first_evaluation..]
            .iter()
            .all(|(spans, _)| *spans == 0),
        "{after:?}"
    );
}

#[test]
fn what_was_left_for_an_agent_that_has_lost_the_proxy_goes_where_the_rest_goes() {
    let folder = Folder::new();
    let agent = Intake::start();
    agent.script(|_| Reply::status(503));
    let first = client(&folder, agent.url());
    make_evaluated(&first, "a");
    first.shutdown(Duration::from_millis(500)).unwrap();
    agent.script(|_| Reply::default());
    agent.endpoints(&["/v0.4/traces"]);
    let second = client(&folder, agent.url());
    make_evaluated(&second, "b");
    let stats = second.flush(SOON).unwrap().stats;
    assert_adds_up(&stats);
    for counts in [stats.spans(), stats.evaluations()] {
        assert_eq!((counts.recovered, counts.delivered), (1, 2), "{counts:?}");
    }
    assert_eq!(accepted(&agent.requests()), []);
}

#[test]
fn so_do_those_that_another_process_leaves_while_ours_is_at_work() {
    let folder = Folder::new();
    let intake = Intake::start();
    let wait = || Reply::status(429).header("Retry-After", "100");
    intake.script(move |_| wait());
    let other = client(&folder, intake.url());
    make_evaluated(&other, "left");
    intake.wait_for(|requests| !requests.is_empty(), SOON);
    // Ours begins while the other one lives, and its own spans have to wait.
    let ours = client(&folder, intake.url());
    make_spans(&ours, &["ours"]);
    intake.wait_for(|requests| requests.len() >= 2, SOON);
    other.shutdown(Duration::from_millis(200)).unwrap();
    // What is said of spans would be taken.
    intake.script(move |request| match request.spans().len() {
        0 => Reply::default(),
        _ => wait(),
    });
    let started = Instant::now();
    while ours.stats().evaluations().recovered == 0 && started.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ours.stats().spans().recovered, 1, "taken over with it");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(accepted(&intake.requests()), []);
    let stats = ours.shutdown(Duration::from_millis(200)).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!((stats.spans().spooled, stats.evaluations().spooled), (2, 1));
}
