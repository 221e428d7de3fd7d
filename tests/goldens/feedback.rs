//! Feedback of end users: every target, every type of value.

use llmobs::{Assessment, Feedback, FeedbackTarget, FeedbackValue, SpanContext, Submitter};
use llmobs_tests::Exemptions;
use serde_json::json;

use crate::twin::Twin;

const WHEN: i64 = 1_700_000_000_000;

/// The calls of the scenario.
fn submit_all() {
    let user = Submitter::new("u1").of_type("user");
    let span = SpanContext::new("123", "abc").unwrap();
    let thumbs = Feedback::new("thumbs", true, user).timestamp_ms(WHEN);
    llmobs::submit_feedback(span, thumbs).unwrap();

    let stars = Feedback::new("stars", 4, "u1").timestamp_ms(WHEN);
    llmobs::submit_feedback(FeedbackTarget::trace_id("t1"), stars).unwrap();

    let comment = Feedback::new("comment", FeedbackValue::text("great ☃"), "u2")
        .timestamp_ms(WHEN)
        .assessment(Assessment::Pass)
        .reasoning("r")
        .tag("a", "b");
    llmobs::submit_feedback(FeedbackTarget::session_id("s1"), comment).unwrap();

    let category = Feedback::new("cat", "x", "u2")
        .timestamp_ms(WHEN)
        .ml_app("fb-app");
    llmobs::submit_feedback(FeedbackTarget::join_key("order-1"), category).unwrap();

    let object = Feedback::new("js", json!({"a": 1}), "u2").timestamp_ms(WHEN);
    llmobs::submit_feedback(FeedbackTarget::span_id("9"), object).unwrap();
}

#[test]
fn twin_20_feedback() {
    let twin = Twin::start("20-feedback");
    twin.run(submit_all);
    twin.assert_equal(&Exemptions::none());
}

#[test]
fn twin_20_feedback_agentless() {
    let twin = Twin::agentless("20-feedback");
    twin.run(submit_all);
    twin.assert_equal(&Exemptions::none());
}
