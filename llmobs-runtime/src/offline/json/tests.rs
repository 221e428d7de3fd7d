use super::*;
use serde_json::json;

/// A row of version 2 with these fields besides, or in place of its own; null takes one away.
fn row(fields: Value) -> Value {
    let mut row = json!({
        "join_on": {"span": {"span_id": "1", "trace_id": "2"}},
        "label": "quality", "metric_type": "score", "score_value": 0.5,
        "ml_app": "app", "timestamp_ms": 1_700_000_000_000_i64,
    });
    if let (Value::Object(row), Value::Object(fields)) = (&mut row, fields) {
        row.extend(fields);
    }
    row
}

fn sent(row: Value) -> Value {
    let event = event(row, &["common:1".to_owned()], "configured").unwrap();
    serde_json::to_value(event).unwrap()
}

#[track_caller]
fn assert_rejected<const N: usize>(cases: [(Value, &str, &str); N]) {
    for (fields, code, words) in cases {
        let Err(rejection) = event(row(fields.clone()), &[], "configured") else {
            panic!("taken: {fields}");
        };
        let reason = rejection.reason;
        assert_eq!(rejection.code.as_str(), code, "{fields}: {reason}");
        assert!(reason.contains(words), "{fields}: {reason}");
    }
}

/// A row that is read from text, as numbers beyond 64 bits have to be.
fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn both_versions_become_the_same_event() {
    let v2 = sent(row(json!({})));
    let v1 = sent(json!({
        "span_id": "1", "trace_id": "2", "timestamp": 1_700_000_000, "ml_app": "app",
        "label": "quality", "metric_type": "Score", "score_value": 0.5, "id": "x",
    }));
    assert_eq!(v1, v2);
    assert_eq!(
        v2["join_on"],
        json!({"span": {"span_id": "1", "trace_id": "2"}})
    );
    assert_eq!(v2["timestamp_ms"], 1_700_000_000_000_i64);
    assert_eq!(v2["event_kind"], "evaluation");
    let tags = v2["tags"].as_array().unwrap();
    assert_eq!(tags[1..], [json!("ml_app:app"), json!("common:1")]);
}

#[test]
fn every_field_arrives_and_null_is_absent() {
    let event = sent(row(json!({
        "join_on": {"tag": {"key": "msg_id", "value": 7}},
        "score_value": null, "metric_type": "json", "json_value": {"a": [1]},
        "ml_app": null, "tags": ["a:b", "a:c"], "assessment": "fail", "reasoning": "why",
        "metadata": {"k": {"n": 1}}, "eval_scope": "trace", "event_kind": "evaluation",
    })));
    assert_eq!(
        event["join_on"],
        json!({"tag": {"key": "msg_id", "value": "7"}})
    );
    assert_eq!(event["json_value"], json!({"a": [1]}));
    assert_eq!(event["ml_app"], "configured");
    let tags = event["tags"].as_array().unwrap();
    let expected = ["ml_app:configured", "common:1", "a:b", "a:c"];
    assert_eq!(tags[1..], expected.map(|tag| json!(tag)));
    assert_eq!(event["assessment"], "fail");
    assert_eq!(event["reasoning"], "why");
    assert_eq!(event["metadata"], json!({"k": {"n": 1}}));
    assert_eq!(event["eval_scope"], "trace");
}

#[test]
fn ids_keep_their_digits_or_are_refused() {
    let ids = |span: &str| {
        read(&format!(
            r#"{{"span_id": {span}, "trace_id": 13932955089405749200, "label": "l",
                "metric_type": "score", "score_value": 3}}"#
        ))
    };
    for (given, expected) in [
        (r#""61399242116139924211""#, "61399242116139924211"),
        ("18446744073709551615", "18446744073709551615"),
        ("0", "0"),
    ] {
        let span = &sent(ids(given))["join_on"]["span"];
        assert_eq!(span["span_id"], expected);
        assert_eq!(span["trace_id"], "13932955089405749200");
    }
    for given in ["61399242116139924211", "1.5", "1e3", "-0"] {
        let Err(rejection) = event(ids(given), &[], "app") else {
            // With `arbitrary_precision` somewhere in the build the digits are known.
            assert!(given.len() == 20);
            continue;
        };
        assert_eq!(rejection.code, Code::InvalidJoin);
        assert!(
            rejection.reason.contains("`span_id` is "),
            "{}",
            rejection.reason
        );
        assert!(
            rejection.reason.contains("write ids as text"),
            "{}",
            rejection.reason
        );
    }
}

#[test]
fn seconds_become_milliseconds() {
    let timestamp = |seconds: Value| {
        sent(row(json!({"timestamp_ms": null, "timestamp": seconds})))["timestamp_ms"].clone()
    };
    assert_eq!(timestamp(json!(1_609_459_200)), 1_609_459_200_000_i64);
    assert_eq!(timestamp(json!(1_609_459_200.123)), 1_609_459_200_123_i64);
}

#[test]
fn a_span_that_is_not_named_or_named_twice_is_refused() {
    assert_rejected([
        (
            json!({"join_on": null}),
            "invalid_join",
            "`join_on` is missing",
        ),
        (
            json!({"join_on": {}}),
            "invalid_join",
            "neither `span` nor `tag`",
        ),
        (
            json!({"join_on": 5}),
            "invalid_join",
            "`join_on` must be an object, not 5",
        ),
        (
            json!({"join_on": {"span": {"span_id": "1"}}}),
            "invalid_join",
            "`join_on.span.trace_id` is missing",
        ),
        (
            json!({"join_on": {"span": {"span_id": "", "trace_id": "2"}}}),
            "invalid_join",
            "span id is empty",
        ),
        (
            json!({"join_on": {"tag": {"key": "", "value": "2"}}}),
            "invalid_join",
            "key is empty",
        ),
        (
            json!({"join_on": {"tag": {"key": "k", "value": true}}}),
            "invalid_join",
            "`join_on.tag.value` must be a text",
        ),
        (
            json!({"join_on": {"span": {"span_id": "1", "trace_id": "2"}, "tag": {"key": "k", "value": "v"}}}),
            "invalid_join",
            "both",
        ),
        (
            json!({"span_id": "7", "trace_id": "2"}),
            "invalid_join",
            "different spans",
        ),
        (
            json!({"span_id": "1"}),
            "invalid_join",
            "`trace_id` is missing",
        ),
        (
            json!({"join_on": {"span": {"span_id": "1", "trace_id": "2", "extra": 1}}}),
            "unknown_key",
            "`join_on.span.extra`",
        ),
        (
            json!({"join_on": {"spam": {}}}),
            "unknown_key",
            "`join_on.spam`",
        ),
        (json!({"lable": "x"}), "unknown_key", "`lable` is no key"),
    ]);
}

#[test]
fn a_label_a_value_and_a_time_are_checked() {
    assert_rejected([
        (
            json!({"label": null}),
            "missing_label",
            "`label` is missing",
        ),
        (json!({"label": ""}), "missing_label", "must not be empty"),
        (
            json!({"label": 5}),
            "invalid_label",
            "must be a text, not 5",
        ),
        (json!({"label": "a.b"}), "invalid_label", "\"a.b\""),
        (
            json!({"metric_type": null}),
            "invalid_metric_type",
            "is missing",
        ),
        (
            json!({"metric_type": "text"}),
            "invalid_metric_type",
            "not \"text\"",
        ),
        (json!({"metric_type": 1}), "invalid_metric_type", "not 1"),
        (
            json!({"score_value": null}),
            "invalid_value",
            "`score_value` is missing",
        ),
        (
            json!({"score_value": "0.5"}),
            "type_mismatch",
            "a number, not \"0.5\"",
        ),
        (json!({"score_value": true}), "type_mismatch", "not true"),
        (
            json!({"boolean_value": true}),
            "type_mismatch",
            "`boolean_value` is given",
        ),
        (
            json!({"metric_type": "categorical"}),
            "type_mismatch",
            "`score_value` is given",
        ),
        (json!({"timestamp_ms": 0}), "invalid_timestamp", "above 0"),
        (json!({"timestamp_ms": -5}), "invalid_timestamp", "-5"),
        (json!({"timestamp_ms": 1.5}), "invalid_timestamp", "1.5"),
        (json!({"timestamp": 1}), "invalid_timestamp", "both"),
        (
            json!({"timestamp_ms": null, "timestamp": 1_700_000_000_000_i64}),
            "invalid_timestamp",
            "`timestamp_ms`",
        ),
        (
            json!({"timestamp_ms": null, "timestamp": -1}),
            "invalid_timestamp",
            "-1",
        ),
        (
            json!({"timestamp_ms": null, "timestamp": "now"}),
            "invalid_timestamp",
            "now",
        ),
    ]);
}

#[test]
fn the_other_fields_are_checked() {
    assert_rejected([
        (
            json!({"tags": {"a": "b"}}),
            "invalid_tags",
            "an array of texts",
        ),
        (json!({"tags": [":v"]}), "invalid_tags", "\":v\""),
        (json!({"ml_app": 7}), "invalid_ml_app", "7"),
        (
            json!({"assessment": "good"}),
            "invalid_assessment",
            "\"good\"",
        ),
        (json!({"reasoning": []}), "invalid_reasoning", "[]"),
        (json!({"metadata": "x"}), "invalid_metadata", "\"x\""),
        (
            json!({"eval_scope": "session"}),
            "invalid_scope",
            "\"session\"",
        ),
        (
            json!({"event_kind": "feedback"}),
            "invalid_event_kind",
            "\"feedback\"",
        ),
    ]);
    let rejection = event(json!(["a"]), &[], "app").unwrap_err();
    assert_eq!(rejection.code, Code::NotAnObject);
    assert_eq!(rejection.reason, "[\"a\"] is no JSON object");
}
