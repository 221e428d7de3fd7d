//! Feedback: every target that it can have, and every reason for which it is refused.

use llmobs::{
    Evaluation, Feedback, FeedbackError, FeedbackTarget, FeedbackValue, Span, SpanContext,
    Submitter,
};
use serde_json::{Value, json};

use crate::client::Client;

fn target() -> FeedbackTarget {
    FeedbackTarget::span_id("1")
}

type Code = fn(&FeedbackError) -> bool;

/// What is refused, by which code, and what the error's text has to show.
fn refusals() -> Vec<(FeedbackTarget, Feedback, Code, Vec<&'static str>)> {
    use FeedbackError as Error;
    let good = || Feedback::new("good", 1, "u");
    let of_value = |value: FeedbackValue| Feedback::new("good", value, "u");
    let label: Code = |error| matches!(error, Error::InvalidLabel { .. });
    let value: Code = |error| matches!(error, Error::InvalidValue { .. });
    let timestamp: Code = |error| matches!(error, Error::InvalidTimestamp { .. });
    let no_target: Code = |error| matches!(error, Error::InvalidTarget { .. });
    let tag: Code = |error| matches!(error, Error::InvalidTag { .. });
    let submitter: Code = |error| matches!(error, Error::InvalidSubmitter { .. });
    let no_span: Code = |error| matches!(error, Error::NoSpan { .. });
    let targets = [
        (FeedbackTarget::span_id(""), "the span id is empty"),
        (FeedbackTarget::trace_id(""), "the trace id is empty"),
        (FeedbackTarget::session_id(""), "the session id is empty"),
        (FeedbackTarget::join_key(""), "the join key is empty"),
    ];
    let labels = [
        ("", "must not be empty"),
        ("a.b", "letters, digits and underscores"),
        ("1st", "start with an ASCII letter"),
        ("user rating", "sanitized"),
    ];
    let values: [(FeedbackValue, &str); 4] = [
        (f64::NAN.into(), "NaN"),
        (f32::NEG_INFINITY.into(), "-inf"),
        (json!([1]).into(), "[1]"),
        (Value::Null.into(), "null"),
    ];
    let nobody = Submitter::new("").of_type("support");
    let mut all: Vec<(FeedbackTarget, Feedback, Code, Vec<&str>)> = vec![
        (
            None::<SpanContext>.into(),
            good(),
            no_span,
            vec!["\"good\"", "no span was current"],
        ),
        (
            target(),
            good().timestamp_ms(0),
            timestamp,
            vec!["\"good\"", "timestamp 0"],
        ),
        (
            target(),
            good().timestamp_ms(-5),
            timestamp,
            vec!["\"good\"", "-5"],
        ),
        (
            target(),
            good().tag("", "orphan"),
            tag,
            vec!["\"good\"", "\"orphan\""],
        ),
        (
            target(),
            Feedback::new("good", 1, ""),
            submitter,
            vec!["\"good\"", "not set"],
        ),
        (
            target(),
            Feedback::new("good", 1, nobody),
            submitter,
            vec!["\"good\"", "support"],
        ),
        (
            target(),
            Feedback::new("a".repeat(201), 1, "u"),
            label,
            vec!["at most 200"],
        ),
    ];
    all.extend(targets.map(|(target, shown)| (target, good(), no_target, vec!["\"good\"", shown])));
    all.extend(
        labels.map(|(text, shown)| (target(), Feedback::new(text, 1, "u"), label, vec![shown])),
    );
    all.extend(
        values.map(|(given, shown)| (target(), of_value(given), value, vec!["\"good\"", shown])),
    );
    all
}

#[test]
fn each_refusal_has_its_code_shows_what_is_wrong_and_is_counted() {
    let count = refusals().len() as u64;
    let sent = Client::start().sent_by(|| {
        for (target, feedback, is_code, shown) in refusals() {
            let what = format!("{feedback:?}");
            let error = llmobs::submit_feedback(target, feedback).expect_err(&what);
            assert!(is_code(&error), "{error:?}");
            let text = error.to_string();
            for part in shown {
                assert!(text.contains(part), "{part:?} is not in {text:?}");
            }
        }
        llmobs::submit_feedback(target(), Feedback::new("kept", 1, "u")).unwrap();
    });
    assert_eq!(sent.stats.rejected, count);
    assert_eq!(sent.feedback.len(), 1);
    assert_eq!(sent.feedback[0]["label"], "kept");
}

#[test]
fn the_current_span_a_handle_and_a_stored_context_are_the_same_target() {
    let sent = Client::start().sent_by(|| {
        let span = Span::llm("answer").start();
        let feedback = |label| Feedback::new(label, true, "u");
        let _in = span.enter();
        llmobs::submit_feedback(llmobs::export_span(None), feedback("current")).unwrap();
        llmobs::submit_feedback(&span, feedback("handle")).unwrap();
        let text = span.context().unwrap().to_string();
        let stored: SpanContext = text.parse().unwrap();
        let stored = &Some(stored);
        llmobs::submit_feedback(stored, feedback("stored")).unwrap();
        span.finish().unwrap();
        llmobs::submit_feedback(&span, feedback("ended")).unwrap();
    });
    assert_eq!(sent.feedback.len(), 4);
    for feedback in &sent.feedback {
        assert_eq!(feedback["span_id"], sent.span("answer")["span_id"]);
        assert_eq!(feedback.get("trace_id"), None, "only the span's id is sent");
    }
}

#[test]
fn feedback_on_a_span_itself_goes_where_the_span_goes() {
    let (ours, other) = (Client::start(), Client::start());
    let span = ours.run(|| Span::llm("answer").start());
    other.run(|| {
        llmobs::submit_feedback(&span, Feedback::new("by_handle", 1, "u")).unwrap();
        let context = span.context();
        llmobs::submit_feedback(context, Feedback::new("by_id", 1, "u")).unwrap();
        let wrong = Feedback::new("no label", 1, "u");
        llmobs::submit_feedback(&span, wrong).unwrap_err();
    });
    drop(span);
    let (ours, other) = (ours.sent(), other.sent());
    assert_eq!(ours.feedback[0]["label"], "by_handle");
    assert_eq!(other.feedback[0]["label"], "by_id");
    assert_eq!((ours.feedback.len(), other.feedback.len()), (1, 1));
    assert_eq!((ours.stats.rejected, other.stats.rejected), (1, 0));
}

#[test]
fn feedback_outside_any_span_is_an_error_that_names_it() {
    let sent = Client::start().sent_by(|| {
        let error =
            llmobs::submit_feedback(llmobs::export_span(None), Feedback::new("stars", 4, "u"));
        let label = "stars".to_owned();
        assert_eq!(error, Err(FeedbackError::NoSpan { label }));
    });
    assert_eq!(sent.stats.rejected, 1);
}

#[test]
fn feedback_has_the_time_the_application_and_the_tags_that_it_was_given() {
    let before = now_ms();
    let sent = Client::start().sent_by(|| {
        let plain = Feedback::new("plain", 1, "u").ml_app("").reasoning("");
        llmobs::submit_feedback(target(), plain).unwrap();
        let full = Feedback::new("full", 1, Submitter::new("u").of_type(""))
            .ml_app("other")
            .timestamp_ms(1)
            .tags([("page", "a:b"), ("ml_app", "mine")]);
        llmobs::submit_feedback(target(), full).unwrap();
    });
    let (plain, full) = (&sent.feedback[0], &sent.feedback[1]);
    assert!((before..=now_ms()).contains(&plain["timestamp_ms"].as_u64().unwrap()));
    assert_eq!(plain["ml_app"], "app");
    assert_eq!(plain.get("reasoning"), None);
    assert_eq!(full["timestamp_ms"], 1);
    assert_eq!(full["ml_app"], "other");
    assert_eq!(full["submitter"], json!({"id": "u"}));
    let tags = full["tags"].as_array().unwrap();
    assert_eq!(tags[1..], [json!("ml_app:mine"), json!("page:a:b")]);
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[test]
fn any_label_can_be_made_a_legal_one() {
    let sent = Client::start().sent_by(|| {
        let feedback = Feedback::sanitized("user rating (1-5)", 4, "u");
        llmobs::submit_feedback(target(), feedback).unwrap();
    });
    assert_eq!(sent.feedback[0]["label"], "user_rating__1_5_");
}

#[test]
fn evaluations_and_feedback_are_counted_each_for_itself() {
    let sent = Client::start().sent_by(|| {
        for _ in 0..3 {
            llmobs::submit_feedback(target(), Feedback::new("stars", 4, "u")).unwrap();
        }
        let span = llmobs::EvaluationTarget::span("1", "2");
        llmobs::submit_evaluation(span, Evaluation::new("good", true)).unwrap();
    });
    assert_eq!(sent.stats.feedback().delivered, 3);
    assert_eq!(sent.stats.evaluations().delivered, 1);
}
