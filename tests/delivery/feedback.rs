//! Feedback on its way: counted beside evaluations, and the same at every destination.

use llmobs::{
    Config, Destination, DropReason, Evaluation, EvaluationTarget, Feedback, FeedbackTarget,
    FeedbackValue, LlmObs, Memory, Submitter,
};
use llmobs_tests::{Intake, Reply, Request, assert_accounted, assert_adds_up};
use serde_json::json;

use super::{Folder, SOON, client};

/// Feedback and evaluations, one after the other, with their number as the value.
fn judge(client: &LlmObs, count: u32) {
    client.scope(|| {
        for number in 0..count {
            let span = EvaluationTarget::span("1", "2");
            llmobs::submit_evaluation(span, Evaluation::new("quality", number)).unwrap();
            let target = FeedbackTarget::session_id("s");
            llmobs::submit_feedback(target, Feedback::new("stars", number, "u")).unwrap();
        }
    });
}

fn refuse_feedback_number_seven(request: &Request) -> Reply {
    let seven =
        |one: &&serde_json::Value| one["event_kind"] == "feedback" && one["score_value"] == 7;
    match request.evaluations().find(seven) {
        Some(_) => Reply::status(400),
        None => Reply::default(),
    }
}

#[test]
fn what_was_made_of_each_kind_is_delivered_waiting_or_dropped() {
    let intake = Intake::start();
    intake.script(refuse_feedback_number_seven);
    let client = client(Config::new().agent_url(intake.url()));
    judge(&client, 10);
    assert_adds_up(&client.stats());
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    let (evaluations, feedback) = (stats.evaluations(), stats.feedback());
    assert_eq!((evaluations.made, evaluations.delivered), (10, 10));
    assert_eq!((feedback.made, feedback.delivered), (10, 9));
    assert_eq!(feedback.dropped, [(DropReason::Refused, 1)]);
    assert_eq!(intake.accepted_evaluations().len(), 19);
}

#[test]
fn past_the_limits_feedback_is_dropped_as_feedback() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let config = Config::new().agent_url(intake.url()).max_events(10);
    let client = client(config);
    judge(&client, 10);
    let stats = client.stats();
    assert_accounted(&stats, &intake);
    let (evaluations, feedback) = (stats.evaluations(), stats.feedback());
    assert_eq!((evaluations.made, feedback.made), (10, 10));
    assert_eq!(feedback.dropped, [(DropReason::QueueFull, 5)]);
    client.shutdown(std::time::Duration::ZERO).unwrap_err();
    let stats = client.stats();
    assert_accounted(&stats, &intake);
    let feedback = stats.feedback();
    assert_eq!((feedback.waiting, feedback.dropped_total()), (0, 10));
}

#[test]
fn feedback_without_an_answer_is_risked_once_more() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let config = Config::new()
        .agent_url(intake.url())
        .timeout(std::time::Duration::from_secs(1));
    let client = client(config);
    client.scope(|| {
        let target = FeedbackTarget::span_id("1");
        llmobs::submit_feedback(target, Feedback::new("stars", 4, "u")).unwrap();
    });
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    assert_eq!(stats.feedback().dropped, [(DropReason::Unanswered, 1)]);
    assert_eq!(stats.destinations[0].possible_duplicates, 1);
    assert_eq!(intake.requests().len(), 2);
}

#[test]
fn memory_and_the_journal_hold_the_event_itself() {
    let (folder, memory) = (Folder::new(), Memory::new());
    let config = Config::new()
        .dir(&folder.0)
        .destination(Destination::Memory(memory.clone()))
        .destination(Destination::Journal);
    let client = client(config);
    client.scope(|| {
        let submitter = Submitter::new("u").of_type("support");
        let feedback = Feedback::new("comment", FeedbackValue::text("fine"), submitter);
        let target = FeedbackTarget::join_key("order-1");
        llmobs::submit_feedback(target, feedback.timestamp_ms(5).tag("ddtrace.version", "x"))
            .unwrap();
    });
    let stats = client.shutdown(SOON).unwrap().stats;
    for destination in &stats.destinations {
        assert_eq!(destination.feedback.delivered, 1, "{}", destination.name);
    }
    let event = json!({
        "event_kind": "feedback",
        "feedback_join_key": "order-1",
        "submitter": {"id": "u", "type": "support"},
        "label": "comment",
        "metric_type": "text",
        "text_value": "fine",
        "ml_app": "delivery",
        "timestamp_ms": 5,
        "tags": ["ddtrace.version:x", "ml_app:delivery"],
    });
    assert_eq!(memory.feedback(), std::slice::from_ref(&event));
    assert!(memory.evaluations().is_empty());
    let line = json!({"v": 1, "kind": "feedback", "made_ms": 5, "event": event});
    assert_eq!(folder.journal(), [line]);
}
