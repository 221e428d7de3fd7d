use super::*;
use crate::id::SpanContext;
use serde_json::json;

fn submit(evaluation: Evaluation) -> Result<EvaluationEvent, EvaluationError> {
    evaluation.into_event(EvaluationTarget::span("1", "2"), "app")
}

#[test]
fn the_type_of_the_value_is_the_type_of_the_metric() {
    let cases: [(EvaluationValue, &str, Value); 8] = [
        (10.into(), "score", json!(10)),
        (0.5.into(), "score", json!(0.5)),
        (u64::MAX.into(), "score", json!(u64::MAX)),
        ("positive".into(), "categorical", json!("positive")),
        (true.into(), "boolean", json!(true)),
        (json!({"é": "☃"}).into(), "json", json!({"é": "☃"})),
        (json!(3).into(), "score", json!(3)),
        (json!("text").into(), "categorical", json!("text")),
    ];
    for (value, kind, expected) in cases {
        let event = serde_json::to_value(submit(Evaluation::new("l", value)).unwrap()).unwrap();
        assert_eq!(event["metric_type"], kind);
        assert_eq!(event[format!("{kind}_value")], expected);
    }
}

#[test]
fn what_is_no_metric_is_an_error_that_shows_it() {
    for (value, shown) in [
        (f64::NAN.into(), "NaN"),
        (f32::INFINITY.into(), "inf"),
        (json!([1, 2]).into(), "[1,2]"),
        (Value::Null.into(), "null"),
    ] {
        let value: EvaluationValue = value;
        let error = submit(Evaluation::new("l", value)).unwrap_err();
        assert!(matches!(error, EvaluationError::InvalidValue { .. }));
        assert!(error.to_string().contains(shown), "{error}");
    }
}

#[test]
fn json_without_a_bottom_is_cut_and_hurts_nobody() {
    let deep = |level: fn(Value) -> Value| (0..100_000).fold(json!(1), |value, _| level(value));
    let object = || deep(|value| Value::Object(Map::from_iter([("k".into(), value)])));
    let event = submit(Evaluation::new("l", object()).metadata("m", object())).unwrap();
    assert!(crate::weight::of_evaluation(&event) < 100_000);
    let event = serde_json::to_string(&event).unwrap();
    assert_eq!(event.matches("deeper than 64 levels").count(), 2, "{event}");
    let array = Evaluation::new("l", deep(|value| Value::Array(vec![value])));
    let error = submit(array).unwrap_err();
    assert!(matches!(error, EvaluationError::InvalidValue { .. }));
}

#[test]
fn a_label_follows_the_rules_or_is_refused_with_the_rule() {
    for label in ["", "1st", "_x", "a b", "a.b", "é", &"a".repeat(201)] {
        let error = submit(Evaluation::new(label, 1)).unwrap_err();
        let named = matches!(&error, EvaluationError::InvalidLabel { label: l, .. } if l == label);
        assert!(named, "{error}");
        submit(Evaluation::sanitized(label, 1)).unwrap();
    }
    for label in ["a", "score_int", "A1_", &"a".repeat(200)] {
        submit(Evaluation::new(label, 1)).unwrap();
    }
}

#[test]
fn validation_goes_target_label_value_timestamp_tags() {
    let worst = || {
        Evaluation::new("a b", f64::NAN)
            .timestamp_ms(-1)
            .tag("", "v")
    };
    let none = EvaluationTarget::from(None::<SpanContext>);
    let error = worst().into_event(none, "app").unwrap_err();
    assert!(matches!(error, EvaluationError::NoSpan { .. }));
    let error = submit(worst()).unwrap_err();
    assert!(matches!(error, EvaluationError::InvalidLabel { .. }));
    let nan = Evaluation::new("l", f64::NAN).timestamp_ms(-1).tag("", "v");
    let error = submit(nan).unwrap_err();
    assert!(matches!(error, EvaluationError::InvalidValue { .. }));
    let error = submit(Evaluation::new("l", 1).timestamp_ms(-1).tag("", "v")).unwrap_err();
    assert!(matches!(error, EvaluationError::InvalidTimestamp { .. }));
    let error = submit(Evaluation::new("l", 1).tag("", "v")).unwrap_err();
    assert!(matches!(error, EvaluationError::InvalidTag { .. }));
}

#[test]
fn a_timestamp_is_positive() {
    for given in [i64::MIN, -1, 0] {
        let error = submit(Evaluation::new("l", 1).timestamp_ms(given)).unwrap_err();
        assert!(matches!(error, EvaluationError::InvalidTimestamp { .. }));
    }
    let event = submit(Evaluation::new("l", 1).timestamp_ms(1)).unwrap();
    assert_eq!(event.timestamp_ms, 1);
}

#[test]
fn an_empty_id_or_tag_is_refused() {
    for target in [
        EvaluationTarget::span("", "t"),
        EvaluationTarget::span("s", ""),
        EvaluationTarget::tag("", "v"),
        EvaluationTarget::tag("k", ""),
    ] {
        let error = Evaluation::new("l", 1)
            .into_event(target, "app")
            .unwrap_err();
        assert!(matches!(error, EvaluationError::InvalidTarget { .. }));
    }
}
