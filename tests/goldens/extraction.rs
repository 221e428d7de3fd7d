//! What ddtrace 4.16.0 and we make of the headers in `headers.json`: for each set of them, the span that starts
//! where they came in. Null is a trace that begins there.

use std::collections::HashMap;
use std::time::Duration;

use llmobs::{Config, Destination, Memory, Span, propagation};
use serde_json::{Value, json};

/// A span that starts where these headers came in.
fn started(headers: &HashMap<String, String>) -> Value {
    let memory = Memory::new();
    let config = Config::new().ml_app("probe").tracing_spans(false);
    let config = config.destination(Destination::Memory(memory.clone()));
    let client = config.build().unwrap();
    client.scope(|| {
        let context = propagation::extract(headers);
        context.in_scope(|| drop(Span::llm("called").start()));
    });
    client.shutdown(Duration::from_secs(60)).unwrap();
    let span = memory.spans().remove(0);
    let tags = span["tags"].as_array().unwrap();
    let ml_app = tags
        .iter()
        .find_map(|tag| tag.as_str()?.strip_prefix("ml_app:"));
    json!({
        "parent": span["parent_id"],
        "trace": span["trace_id"],
        "apm": span["_dd"]["apm_trace_id"],
        "session": span["session_id"],
        "ml_app": ml_app,
        "rate": span["_dd"]["sample_rate"],
        "keep": span["_dd"]["sampling_decision"],
        "agent": span["meta"]["agent_attribution"],
    })
}

/// An id of ours that is not one of those in the headers.
fn is_fresh(id: &Value) -> bool {
    id.as_str()
        .is_some_and(|id| id.len() == 32 && &id[8..16] == "00000000" && !id.starts_with("6b029035"))
}

/// What ours does otherwise on purpose: the cases, and the fields in which they differ.
fn differences() -> Vec<(&'static [&'static str], Value)> {
    let trace = "6ad43488a981ee0973f23ae000000000";
    vec![
        // What is no span id is nobody's parent.
        (
            &[
                "parent negative",
                "parent plus",
                "parent zero",
                "parent beyond 64 bits",
            ],
            json!({"parent": "undefined", "trace": "fresh", "rate": "1", "keep": "1"}),
        ),
        // Beyond 128 bits it is text.
        (
            &["trace 2^128"],
            json!({"trace": "340282366920938463463374607431768211456"}),
        ),
        // A pair that cannot be read costs itself alone, not the whole header.
        (
            &["session empty", "tags with a pair broken"],
            json!({"parent": "456", "trace": trace, "rate": null, "keep": null}),
        ),
        (
            &["tags with spaces around"],
            json!({"parent": "456", "trace": trace, "rate": null, "keep": null, "session": "sx"}),
        ),
        (
            &["tags non-ascii"],
            json!({"parent": "456", "trace": trace, "rate": null, "keep": null, "session": "é"}),
        ),
        // What is no rate and no decision does not go to the backend.
        (&["rate garbage", "rate beyond one"], json!({"rate": null})),
        (&["decision garbage"], json!({"keep": null})),
        (&["agent name alone"], json!({"agent": null})),
        // Python raises, and starts a trace of its own; the parent is known all the same.
        (
            &["priority garbage"],
            json!({"parent": "456", "trace": trace, "rate": null, "keep": null, "apm": "123"}),
        ),
        (
            &["no apm parent", "apm parent zero"],
            json!({"parent": "456", "trace": trace, "rate": null, "keep": null}),
        ),
        (
            &[
                "no apm trace",
                "apm trace zero",
                "apm trace hex",
                "apm trace beyond 64 bits",
                "tags alone",
            ],
            json!({"parent": "456", "trace": trace, "rate": null, "keep": null, "apm": trace}),
        ),
        // The leftmost member is the latest (W3C).
        (&["w3c dd twice"], json!({"parent": "456", "trace": "9"})),
        // What one form leaves out is read from the other, if they tell the same trace.
        (&["both, the same trace"], json!({"session": "sw"})),
        (
            &["both, upper half in w3c alone"],
            json!({
                "apm": "6b02903500000000000000000000007b",
                "trace": "6b02903500000000000000000000007b",
            }),
        ),
        (
            &["both, llmobs in w3c alone"],
            json!({"parent": "888", "trace": "999", "session": "sw", "rate": null, "keep": null}),
        ),
    ]
}

#[test]
fn headers_are_read_as_python_reads_them() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("headers.json")).unwrap();
    assert_eq!(cases.len(), 82);
    let differences = differences();
    let mut exempt = 0;
    for case in &cases {
        let name = case["case"].as_str().unwrap();
        let headers = serde_json::from_value(case["headers"].clone()).unwrap();
        let ours = started(&headers);
        let found = differences.iter().find(|(names, _)| names.contains(&name));
        exempt += usize::from(found.is_some());
        for (field, theirs) in case["span"].as_object().unwrap() {
            let differs = found.and_then(|(_, fields)| fields.get(field));
            assert_ne!(differs, Some(theirs), "{name}: {field} is no exemption");
            let expected = differs.unwrap_or(theirs);
            let ours = &ours[field];
            // A trace that begins here is null in the recording.
            let fresh = expected == "fresh" || (differs.is_none() && expected.is_null());
            let fresh = fresh && (field == "trace" || field == "apm") && is_fresh(ours);
            assert!(
                fresh || ours == expected,
                "{name}: {field} is {ours}, not {expected}"
            );
        }
    }
    let named: usize = differences.iter().map(|(names, _)| names.len()).sum();
    assert_eq!(exempt, named, "an exemption names no case");
}
