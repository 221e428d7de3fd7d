use serde_json::{Value, json};

use super::*;
use crate::id::SpanContext;

fn submit(feedback: Feedback) -> Result<FeedbackEvent, FeedbackError> {
    feedback.into_event(FeedbackTarget::session_id("s"), "app")
}

fn wire(target: impl Into<FeedbackTarget>) -> Value {
    let event = Feedback::new("l", 1, "u").into_event(target.into(), "app");
    serde_json::to_value(event.unwrap()).unwrap()
}

#[test]
fn the_type_of_the_value_is_the_type_of_the_metric_and_text_is_asked_for() {
    let cases: [(FeedbackValue, &str, Value); 8] = [
        (10.into(), "score", json!(10)),
        (0.5.into(), "score", json!(0.5)),
        ("positive".into(), "categorical", json!("positive")),
        (true.into(), "boolean", json!(true)),
        (json!({"é": "☃"}).into(), "json", json!({"é": "☃"})),
        (json!("text").into(), "categorical", json!("text")),
        (FeedbackValue::text("great ☃"), "text", json!("great ☃")),
        (FeedbackValue::text(""), "text", json!("")),
    ];
    for (value, kind, expected) in cases {
        let event = submit(Feedback::new("l", value, "u")).unwrap();
        let event = serde_json::to_value(event).unwrap();
        assert_eq!(event["metric_type"], kind);
        assert_eq!(event[format!("{kind}_value")], expected);
        let values = event.as_object().unwrap().keys();
        let values = values.filter(|key| key.ends_with("_value"));
        assert_eq!(values.count(), 1, "{event}");
    }
}

#[test]
fn each_target_is_one_key_and_an_exported_span_only_its_span_id() {
    let context = SpanContext::new("5", "6b029035000000005af1d0824f64ccff").unwrap();
    let cases: [(FeedbackTarget, &str, &str); 7] = [
        (context.clone().into(), "span_id", "5"),
        ((&context).into(), "span_id", "5"),
        (Some(context).into(), "span_id", "5"),
        (FeedbackTarget::span_id("9"), "span_id", "9"),
        (FeedbackTarget::trace_id("t"), "trace_id", "t"),
        (FeedbackTarget::session_id("s"), "session_id", "s"),
        (
            FeedbackTarget::join_key("order-1"),
            "feedback_join_key",
            "order-1",
        ),
    ];
    for (target, key, id) in cases {
        let event = wire(target);
        assert_eq!(event[key], id);
        let keys = ["span_id", "trace_id", "session_id", "feedback_join_key"];
        let others = keys.iter().filter(|other| **other != key);
        assert!(others.into_iter().all(|other| event.get(other).is_none()));
        assert!(event.get("join_on").is_none() && event.get("eval_scope").is_none());
    }
}

#[test]
fn an_event_is_read_back_as_it_was_written() {
    for value in [
        FeedbackValue::from(u64::MAX),
        FeedbackValue::from(json!({"a": [1, 0.5]})),
        FeedbackValue::text("words"),
    ] {
        let submitter = Submitter::new("u").of_type("user");
        let feedback = Feedback::new("l", value, submitter).reasoning("r");
        let event = submit(feedback.assessment(Assessment::Fail)).unwrap();
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<FeedbackEvent>(&text).unwrap(), event);
    }
}

#[test]
fn validation_goes_target_label_value_timestamp_tags_submitter() {
    let feedback = |label: &str, value: f64, timestamp, key: &str| {
        Feedback::new(label, value, "")
            .timestamp_ms(timestamp)
            .tag(key, "v")
    };
    let none = FeedbackTarget::from(None::<SpanContext>);
    let error = feedback("a b", f64::NAN, -1, "").into_event(none, "app");
    assert!(matches!(error, Err(FeedbackError::NoSpan { .. })));
    let error = submit(feedback("a b", f64::NAN, -1, "")).unwrap_err();
    assert!(matches!(error, FeedbackError::InvalidLabel { .. }));
    let error = submit(feedback("l", f64::NAN, -1, "")).unwrap_err();
    assert!(matches!(error, FeedbackError::InvalidValue { .. }));
    let error = submit(feedback("l", 1.0, -1, "")).unwrap_err();
    assert!(matches!(error, FeedbackError::InvalidTimestamp { .. }));
    let error = submit(feedback("l", 1.0, 1, "")).unwrap_err();
    assert!(matches!(error, FeedbackError::InvalidTag { .. }));
    let error = submit(feedback("l", 1.0, 1, "k")).unwrap_err();
    assert!(matches!(error, FeedbackError::InvalidSubmitter { .. }));
}

#[test]
fn what_an_event_holds_is_in_its_weight() {
    let long = "x".repeat(10_000);
    let plain = crate::weight::of_feedback(&submit(Feedback::new("l", 1, "u")).unwrap());
    for feedback in [
        Feedback::new("l", FeedbackValue::text(&*long), "u"),
        Feedback::new("l", &*long, "u"),
        Feedback::new("l", json!({"k": long}), "u"),
        Feedback::new("l", 1, &*long),
        Feedback::new("l", 1, Submitter::new("u").of_type(&*long)),
        Feedback::new("l", 1, "u").reasoning(&*long),
        Feedback::new("l", 1, "u").tag("k", &long),
    ] {
        let event = submit(feedback).unwrap();
        assert!(crate::weight::of_feedback(&event) >= plain + 9_999);
    }
}

#[test]
fn json_without_a_bottom_is_cut() {
    let object = |value| Value::Object([("k".to_owned(), value)].into_iter().collect());
    let deep = (0..100_000).fold(json!(1), |value, _| object(value));
    let event = submit(Feedback::new("l", deep, "u")).unwrap();
    let event = serde_json::to_string(&event).unwrap();
    assert_eq!(event.matches("deeper than 64 levels").count(), 1, "{event}");
}
