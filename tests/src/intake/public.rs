//! What the documented Spans API (`/api/intake/llm-obs/v1/trace/spans`) takes, as its documentation says.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

pub(super) const PATH: &str = "/api/intake/llm-obs/v1/trace/spans";

const KINDS: [&str; 7] = [
    "agent",
    "workflow",
    "llm",
    "tool",
    "task",
    "embedding",
    "retrieval",
];
const DAY_NS: u128 = 24 * 60 * 60 * 1_000_000_000;
/// What may pass between the check of a span's age and its arrival.
const ON_THE_WAY_NS: u128 = 60 * 1_000_000_000;

/// The spans of a body.
pub(super) fn spans(body: &Value) -> impl Iterator<Item = &Value> {
    let spans = body["data"]["attributes"]["spans"].as_array();
    spans.into_iter().flatten()
}

/// What the API would refuse of a body.
pub(super) fn violations(body: &Value) -> Vec<String> {
    let mut found = Found::default();
    let body = found.object("body", body, &["data"]);
    let data = found.object("data", &body["data"], &["type", "attributes"]);
    if data["type"] != "span" {
        found.add("data.type", &data["type"]);
    }
    let known = ["ml_app", "spans", "tags", "session_id", "feedback_join_key"];
    let attributes = found.object("data.attributes", &data["attributes"], &known);
    found.text("ml_app", &attributes["ml_app"]);
    found.tags("tags", &attributes["tags"]);
    match attributes["spans"].as_array().map(Vec::as_slice) {
        None | Some([]) => found.add("spans", &attributes["spans"]),
        Some(spans) => spans.iter().for_each(|one| span(&mut found, one)),
    }
    found.0
}

fn span(found: &mut Found, span: &Value) {
    let known = [
        "name",
        "span_id",
        "trace_id",
        "parent_id",
        "start_ns",
        "duration",
        "meta",
        "status",
        "apm_trace_id",
        "metrics",
        "session_id",
        "tags",
    ];
    let span = found.object("span", span, &known);
    for key in ["name", "span_id", "trace_id", "parent_id"] {
        found.text(key, &span[key]);
    }
    for key in ["apm_trace_id", "session_id"] {
        if !span[key].is_null() {
            found.text(key, &span[key]);
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock after 1970").as_nanos();
    let oldest = now - DAY_NS - ON_THE_WAY_NS;
    match span["start_ns"].as_u64().map(u128::from) {
        Some(start) if start >= oldest => {}
        _ => found.add("start_ns", &span["start_ns"]),
    }
    if !span["duration"]
        .as_f64()
        .is_some_and(|duration| duration >= 0.0)
    {
        found.add("duration", &span["duration"]);
    }
    if !matches!(span["status"].as_str(), Some("ok" | "error")) && !span["status"].is_null() {
        found.add("status", &span["status"]);
    }
    found.tags("tags", &span["tags"]);
    for (key, value) in found.object("metrics", &span["metrics"], &[]) {
        if !value.is_number() {
            found.add(&format!("metrics.{key}"), &value);
        }
    }
    meta(found, &span["meta"]);
}

fn meta(found: &mut Found, meta: &Value) {
    let known = ["kind", "error", "input", "output", "metadata"];
    let meta = found.object("meta", meta, &known);
    let kind = meta["kind"].as_str().unwrap_or_default();
    if !KINDS.contains(&kind) {
        found.add("meta.kind", &meta["kind"]);
    }
    found.object("meta.error", &meta["error"], &["message", "stack", "type"]);
    for (key, value) in found.object("meta.metadata", &meta["metadata"], &[]) {
        if value.is_null() || value.is_array() || value.is_object() {
            found.add(&format!("meta.metadata.{key}"), &value);
        }
    }
    for side in ["input", "output"] {
        let known = ["value", "messages", "documents", "prompt"];
        let io = found.object(side, &meta[side], &known);
        if !io["value"].is_null() && !io["value"].is_string() {
            found.add("value", &io["value"]);
        }
        let takes = [
            ("messages", kind == "llm", &["content", "role"][..]),
            (
                "documents",
                kind == "retrieval" && side == "output",
                &["text", "name", "score", "id"][..],
            ),
            ("prompt", kind == "llm" && side == "input", &[][..]),
        ];
        for (key, allowed, known) in takes {
            if !io[key].is_null() && !allowed {
                found.add(&format!("{key} in the {side} of {kind:?}"), &io[key]);
            }
            for item in io[key].as_array().into_iter().flatten() {
                for (key, value) in found.object(key, item, known) {
                    let is_score = key == "score" && value.is_number();
                    if !value.is_string() && !is_score {
                        found.add(&key, &value);
                    }
                }
            }
        }
    }
}

#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    fn add(&mut self, what: &str, value: &Value) {
        self.0.push(format!("{what}: {value}"));
    }

    /// The members of an object, which is empty where nothing is there; with `known`, no others.
    fn object(&mut self, what: &str, value: &Value, known: &[&str]) -> Members {
        if !value.is_null() && !value.is_object() {
            self.add(what, value);
        }
        let members = value.as_object().cloned().unwrap_or_default();
        for key in members.keys() {
            if !known.is_empty() && !known.contains(&key.as_str()) {
                self.0.push(format!("{what} has the unknown key {key:?}"));
            }
        }
        Members(members)
    }

    fn text(&mut self, what: &str, value: &Value) {
        if value.as_str().is_none_or(str::is_empty) {
            self.add(what, value);
        }
    }

    fn tags(&mut self, what: &str, value: &Value) {
        let Some(tags) = value.as_array() else {
            if !value.is_null() {
                self.add(what, value);
            }
            return;
        };
        for tag in tags {
            let key = tag.as_str().and_then(|tag| tag.split_once(':'));
            if key.is_none_or(|(key, _)| key.is_empty()) {
                self.add(what, tag);
            }
        }
    }
}

/// Members by key, null for those that are not there.
struct Members(Map<String, Value>);

impl std::ops::Index<&str> for Members {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }
}

impl IntoIterator for Members {
    type Item = (String, Value);
    type IntoIter = serde_json::map::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now_ns() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(now.as_nanos()).unwrap()
    }

    fn good() -> Value {
        json!({"data": {"type": "span", "attributes": {"ml_app": "app", "spans": [{
            "name": "n", "span_id": "1", "trace_id": "2", "parent_id": "undefined",
            "start_ns": now_ns(), "duration": 5, "status": "ok", "tags": ["k:v"],
            "metrics": {"input_tokens": 1},
            "meta": {
                "kind": "llm",
                "input": {"messages": [{"content": "c", "role": "user"}]},
                "metadata": {"temperature": 0.5},
            },
        }]}}})
    }

    #[test]
    fn what_the_documentation_shows_is_taken() {
        assert_eq!(violations(&good()), Vec::<String>::new());
        assert_eq!(spans(&good()).count(), 1);
    }

    #[test]
    fn what_it_does_not_allow_is_named() {
        let span = "/data/attributes/spans/0";
        let old = now_ns() - 25 * 60 * 60 * 1_000_000_000;
        for (at, value, named) in [
            ("/data/type", json!("evaluation_metric"), "data.type"),
            ("/data/attributes/ml_app", json!(""), "ml_app"),
            ("/data/attributes/spans", json!([]), "spans"),
            ("/span_id", json!(5), "span_id"),
            ("/parent_id", json!(""), "parent_id"),
            ("/start_ns", json!(old), "start_ns"),
            ("/start_ns", json!("1"), "start_ns"),
            ("/duration", json!(-1), "duration"),
            ("/status", json!("fine"), "status"),
            ("/tags", json!(["bare"]), "tags"),
            ("/metrics", json!({"m": "1"}), "metrics.m"),
            ("/meta/kind", json!("llms"), "meta.kind"),
            (
                "/meta/kind",
                json!("task"),
                "messages in the input of \"task\"",
            ),
            ("/meta/metadata", json!({"k": [1]}), "meta.metadata.k"),
            ("/meta/input", json!({"text": "x"}), "unknown key \"text\""),
            (
                "/meta",
                json!({"span": {"kind": "llm"}}),
                "unknown key \"span\"",
            ),
            (
                "/meta/input",
                json!({"documents": [{"text": "x"}]}),
                "documents in the input",
            ),
        ] {
            let mut body = good();
            let place = if at.starts_with("/data") {
                at.to_owned()
            } else {
                format!("{span}{at}")
            };
            *body.pointer_mut(&place).unwrap() = value;
            let found = violations(&body);
            assert!(
                found.iter().any(|one| one.contains(named)),
                "{at}: {found:?}"
            );
        }
    }
}
