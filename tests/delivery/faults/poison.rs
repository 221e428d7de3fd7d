//! Events that a server refuses, among others that it takes.

use std::time::Duration;

use llmobs::{
    Annotation, Config, DropReason, Evaluation, EvaluationTarget, EventKind, Feedback,
    FeedbackTarget, LlmObs, Span, Stats,
};
use llmobs_tests::{Intake, Reply, Request, assert_accounted};
use serde_json::Value;

use super::{EACH, accepted, make, to_agent};
use crate::{SOON, log};

/// As many as a request holds, and the bad ones among them: at both ends, beside each other, across a half.
const MANY: u32 = 1_000;
const BAD: [u32; 7] = [0, 1, 123, 499, 500, 731, 999];

/// Full requests, however long they take to fill.
fn patient(intake: &Intake) -> LlmObs {
    let config = Config::new().agent_url(intake.url()).ml_app("delivery");
    log::keep();
    config
        .flush_interval(Duration::from_secs(10))
        .build()
        .unwrap()
}

fn is_bad(event: &Value) -> bool {
    let numbers = [&event["score_value"], &event["meta"]["metadata"]["number"]];
    let number = numbers.into_iter().find_map(Value::as_u64);
    number.is_some_and(|number| BAD.contains(&(number as u32)))
}

fn refuse_bad_ones_with(intake: &Intake, status: u16) {
    intake.script(move |request: &Request| {
        let mut events = request.spans().chain(request.evaluations());
        Reply::status(if events.any(is_bad) { status } else { 202 })
    });
}

/// All but the bad ones arrived, and each bad one is counted.
#[track_caller]
fn assert_only_bad_ones_lost(intake: &Intake, stats: &Stats, kind: EventKind) {
    assert_accounted(stats, intake);
    let counts = stats.destinations[0].counts(kind);
    let bad = BAD.len() as u64;
    assert_eq!(counts.made, u64::from(MANY));
    assert_eq!(counts.dropped, [(DropReason::Refused, bad)]);
    assert_eq!(counts.delivered, u64::from(MANY) - bad);
    assert_eq!(accepted(intake, kind), MANY as usize - BAD.len());
    let first = &intake.requests()[0];
    let together = first.spans().len() + first.evaluations().len();
    assert_eq!(together, MANY as usize, "they went together at first");
    // Halves of halves: two requests for each bad one at each of ten levels, at most.
    assert!(intake.requests().len() < 2 * 10 * BAD.len());
    let told = log::lines_with(intake.url());
    let told = told.iter().filter(|(_, line)| line.contains("given up"));
    assert_eq!(told.count(), 2, "the first one, and how many in all");
}

#[test]
fn bad_spans_among_a_thousand_take_no_other_with_them() {
    for status in [400, 413, 422] {
        let intake = Intake::start();
        refuse_bad_ones_with(&intake, status);
        let client = patient(&intake);
        client.scope(|| {
            for number in 0..MANY {
                let span = Span::task("one of many").start();
                let annotation = Annotation::new().metadata("number", number);
                span.annotate(annotation).unwrap();
            }
        });
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_only_bad_ones_lost(&intake, &stats, EventKind::Span);
    }
}

#[test]
fn bad_evaluations_among_a_thousand_take_no_other_with_them() {
    for status in [400, 413, 422] {
        let intake = Intake::start();
        refuse_bad_ones_with(&intake, status);
        let client = patient(&intake);
        client.scope(|| {
            for number in 0..MANY {
                let span = EvaluationTarget::span("1", "2");
                llmobs::submit_evaluation(span, Evaluation::new("quality", number)).unwrap();
            }
        });
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_only_bad_ones_lost(&intake, &stats, EventKind::Evaluation);
    }
}

#[test]
fn bad_feedback_among_a_thousand_takes_no_other_with_it() {
    for status in [400, 413, 422] {
        let intake = Intake::start();
        refuse_bad_ones_with(&intake, status);
        let client = patient(&intake);
        client.scope(|| {
            for number in 0..MANY {
                let session = FeedbackTarget::session_id("s");
                llmobs::submit_feedback(session, Feedback::new("stars", number, "u")).unwrap();
            }
        });
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_only_bad_ones_lost(&intake, &stats, EventKind::Feedback);
    }
}

#[test]
fn a_server_that_takes_less_at_once_gets_less_at_once() {
    let intake = Intake::start();
    intake.script(|request| {
        let is_large = request.body.len() > 20_000;
        Reply::status(if is_large { 413 } else { 202 })
    });
    let client = patient(&intake);
    make(&client, 0..100);
    client.scope(|| {
        let span = Span::task("too large by itself").start();
        let annotation = Annotation::new().input("large ".repeat(4_000));
        span.annotate(annotation).unwrap();
    });
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    assert_eq!(stats.spans().delivered, 100);
    assert_eq!(stats.spans().dropped, [(DropReason::Refused, 1)]);
    assert_eq!(stats.evaluations().delivered, 100);
    assert_eq!(stats.feedback().delivered, 100);
}

#[test]
fn the_search_for_a_bad_event_goes_on_through_other_failures() {
    let intake = Intake::start();
    let mut count = 0;
    intake.script(move |request| {
        count += 1;
        let mut events = request.spans().chain(request.evaluations());
        match (count % 4, events.any(is_bad)) {
            (2, _) => Reply::status(503).header("Retry-After", "0"),
            (_, bad) => Reply::status(if bad { 400 } else { 202 }),
        }
    });
    let client = to_agent(&intake);
    make(&client, 0..EACH);
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    // Spans have no number here; of the others 0 and 1 are bad.
    let all = u64::from(EACH);
    assert_eq!(stats.spans().delivered, all);
    for counts in [stats.evaluations(), stats.feedback()] {
        assert_eq!(counts.delivered, all - 2);
        assert_eq!(counts.dropped, [(DropReason::Refused, 2)]);
    }
}

#[test]
fn a_server_that_refuses_every_event_is_told_in_two_lines_and_each_is_counted() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(400).body("what is this?"));
    let client = patient(&intake);
    client.scope(|| (0..100).for_each(|_| drop(Span::task("refused").start())));
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    assert_eq!(stats.spans().dropped, [(DropReason::Refused, 100)]);
    let told = log::lines_with(intake.url());
    let told: Vec<&String> = told
        .iter()
        .map(|(_, line)| line)
        .filter(|line| line.contains("given up"))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("what is this?"), "{told:?}");
    assert!(
        told[1].starts_with("100 of 100 events given up"),
        "{told:?}"
    );
}
