//! Events of any text and any limit: what is cut fits, is JSON, and is still the same span.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llmobs_runtime::fuzzing;
use serde_json::{Map, Value, json};

mod records;

/// The event that an input describes, and the limit.
fn event(input: &[u8]) -> (Value, usize) {
    let mut limit = 0;
    let (mut name, mut intent, mut error, mut session) = ("answer".into(), None, None, None);
    let (mut value, mut output) = (None, None);
    let (mut messages, mut documents, mut tags, mut tools) = (vec![], vec![], vec![], vec![]);
    let mut metadata = Map::new();
    for (key, text) in records::records(input) {
        let text = String::from_utf8_lossy(text).into_owned();
        let message = |content: &str| json!({"role": "user", "content": content});
        // JSON where it is JSON, else text.
        let json = || serde_json::from_str(&text).unwrap_or_else(|_| Value::from(&*text));
        match key {
            "limit" => limit = text.parse().unwrap_or(0),
            "name" => name = text,
            "session" => session = Some(text),
            "intent" => intent = Some(text),
            "error" => error = Some(json!({"type": "E", "message": text, "stack": text})),
            "input" => value = Some(text),
            "output" => output = Some(text),
            "tag" => tags.push(Value::from(text)),
            "document" => documents.push(json!({"text": text, "name": "d"})),
            "tool" => tools.push(json!({"name": "t", "description": text})),
            "message" | "content" => messages.push(message(&text)),
            "arguments" => {
                let mut message = message("");
                let calls = json!([{"name": "f", "arguments": {"a": json()}, "type": "function"}]);
                message["tool_calls"] = calls;
                messages.push(message);
            }
            "image" | "audio" => {
                let mut message = message("see");
                message[format!("{key}_parts")] = json!([{"mime_type": "x/y", "content": text}]);
                messages.push(message);
            }
            "metadata" => match json() {
                Value::Object(entries) => metadata.extend(entries),
                value => drop(metadata.insert(format!("m{}", metadata.len()), value)),
            },
            _ => {}
        }
    }
    let mut meta = json!({
        "span": {"kind": "llm"}, "metadata": metadata, "input": {}, "output": {},
        "model_name": "m", "model_provider": "p",
    });
    let mut set = |place: [&str; 2], value: Option<Value>| {
        let Some(value) = value else { return };
        match place {
            [key, ""] => meta[key] = value,
            [side, key] => meta[side][key] = value,
        }
    };
    let list = |values: Vec<Value>| (!values.is_empty()).then_some(Value::from(values));
    set(["input", "value"], value.map(Value::from));
    set(["input", "messages"], list(messages));
    set(["output", "value"], output.map(Value::from));
    set(["output", "documents"], list(documents));
    set(["tool_definitions", ""], list(tools));
    set(["intent", ""], intent.map(Value::from));
    set(["error", ""], error);
    let mut event = json!({
        "trace_id": "6b029035000000005af1d0824f64ccff", "span_id": "123", "parent_id": "undefined",
        "name": name, "start_ns": 1, "duration": 2, "status": "ok", "meta": meta, "metrics": {},
        "tags": tags,
        "_dd": {"span_id": "123", "trace_id": "0", "apm_trace_id": "0"},
    });
    if let Some(session) = session {
        event["session_id"] = Value::from(session);
    }
    (event, limit)
}

/// What has to stay, whatever else goes.
fn assert_same_span(before: &Value, after: &Value) {
    for field in [
        "trace_id",
        "span_id",
        "parent_id",
        "start_ns",
        "duration",
        "status",
        "_dd",
    ] {
        assert_eq!(before[field], after[field], "{field}");
    }
    assert_eq!(before["meta"]["span"], after["meta"]["span"]);
    assert_eq!(after["collection_errors"], json!(["dropped_io"]));
}

fuzz_target!(|input: &[u8]| {
    let (event, limit) = event(input);
    let json = serde_json::to_vec(&event).expect("JSON");
    let (before, after) = fuzzing::cut_to(&json, limit).expect("an event");
    let Some(after) = after else {
        assert!(
            before.len() <= limit,
            "{} of {limit}: nothing was cut",
            before.len()
        );
        return;
    };
    assert!(
        before.len() > limit,
        "{} of {limit}: it fitted",
        before.len()
    );
    let read = |json: &[u8]| serde_json::from_slice::<Value>(json).expect("JSON");
    assert_same_span(&read(&before), &read(&after));
    if after.len() > limit {
        // What has to stay is more than that: then it is as small as with no room at all.
        let (_, smallest) = fuzzing::cut_to(&json, 0).expect("an event");
        let smallest = smallest.expect("nothing fits into nothing").len();
        assert!(
            after.len() <= smallest,
            "{} of {limit}, {smallest} could be",
            after.len()
        );
    }
    // What was cut once is an event, and is cut no further.
    let (again, further) = fuzzing::cut_to(&after, limit).expect("an event");
    assert_eq!(again, after);
    assert!(after.len() > limit || further.is_none());
});
