//! Evaluations and feedback that were sent without an answer: the next process sends them once more at most.

use std::time::Duration;

use llmobs::{DropReason, Feedback, FeedbackTarget, LlmObs};
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;
use serde_json::Value;

use crate::{Folder, SOON, assert_adds_up, client, config};

/// One evaluation and one piece of feedback, each in a request of its own.
fn judge(client: &LlmObs) {
    client.scope(|| {
        let span = llmobs::EvaluationTarget::span("1", "2");
        llmobs::submit_evaluation(span, llmobs::Evaluation::new("good", true)).unwrap();
        let session = FeedbackTarget::session_id("s");
        llmobs::submit_feedback(session, Feedback::new("stars", 4, "u")).unwrap();
    });
}

#[test]
fn what_was_sent_without_an_answer_before_a_restart_is_risked_once_more() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let first = config(&folder, intake.url()).timeout(SOON).build().unwrap();
    judge(&first);
    intake.wait_for(|requests| !requests.is_empty(), SOON);
    let stats = first.shutdown(Duration::ZERO).unwrap().stats;
    assert_eq!(stats.evaluations().spooled, 1);
    assert_eq!(stats.feedback().spooled, 1);

    // The evaluation has one try left, the feedback two.
    intake.script(|_| Reply::drop_connection());
    let second = client(&folder, intake.url());
    let stats = second.flush(SOON).unwrap().stats;
    assert_adds_up(&stats);
    let unanswered = [(DropReason::Unanswered, 1)];
    assert_eq!(stats.evaluations().dropped, unanswered);
    assert_eq!(stats.feedback().dropped, unanswered);
    second.shutdown(SOON).unwrap();
    let came = |kind: &str| {
        let events = intake.evaluations().into_iter();
        let is_feedback = |event: &Value| event["event_kind"] == "feedback";
        events
            .filter(|event| is_feedback(event) == (kind == "feedback"))
            .count()
    };
    assert_eq!((came("evaluation"), came("feedback")), (2, 2));
    assert!(folder.files().is_empty(), "{:?}", folder.files());
}

#[test]
fn an_evaluation_without_an_answer_that_waits_for_its_next_try_is_risked_once_more_later() {
    let folder = Folder::new();
    let intake = Intake::start();
    let wait = Reply::status(429).header("Retry-After", "100");
    intake.replies([Reply::drop_connection(), wait]);
    let first = client(&folder, intake.url());
    let span = llmobs::EvaluationTarget::span("1", "2");
    first.scope(|| {
        llmobs::submit_evaluation(span, llmobs::Evaluation::new("good", true)).unwrap();
    });
    let retried = || first.stats().destinations[0].retried;
    while retried() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let stats = first.shutdown(Duration::ZERO).unwrap().stats;
    assert_eq!(stats.evaluations().spooled, 1);

    intake.script(|_| Reply::drop_connection());
    let second = client(&folder, intake.url());
    let stats = second.shutdown(SOON).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.evaluations().dropped, [(DropReason::Unanswered, 1)]);
    assert_eq!(intake.requests().len(), 3);
}

#[test]
fn what_two_processes_have_sent_without_an_answer_is_sent_by_no_third_one() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    for sent in 1..=2 {
        let client = config(&folder, intake.url()).timeout(SOON).build().unwrap();
        if sent == 1 {
            let span = llmobs::EvaluationTarget::span("1", "2");
            client.scope(|| {
                llmobs::submit_evaluation(span, llmobs::Evaluation::new("good", true)).unwrap();
            });
        }
        intake.wait_for(|requests| requests.len() == sent, SOON);
        let stats = client.shutdown(Duration::ZERO).unwrap().stats;
        assert_eq!(stats.evaluations().spooled, 1);
        let twice = stats.destinations[0].possible_duplicates;
        assert_eq!(twice, u64::from(sent == 1), "counted once");
    }
    intake.script(|_| Reply::default());
    let third = client(&folder, intake.url());
    let stats = third.shutdown(SOON).unwrap().stats;
    assert_adds_up(&stats);
    assert_eq!(stats.evaluations().dropped, [(DropReason::Unanswered, 1)]);
    assert_eq!(intake.evaluations().len(), 2);
}
