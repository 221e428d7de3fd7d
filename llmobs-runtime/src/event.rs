//! The wire model: Datadog's JSON, as everything after the worker sees it.
//!
//! Agent, intake, journal, viewer and OTLP start from these types. Field by field they
//! are what ddtrace 4.16 sends (`tests/goldens`).

mod feedback;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::annotation::{Content, Side};
use crate::document::Document;
use crate::evaluation::{Assessment, CheckedValue, EvaluationScope};
use crate::failure::SpanError;
use crate::id::SpanContext;
use crate::kind::SpanKind;
use crate::link::SpanLink;
use crate::message::Message;
use crate::number::Number;
use crate::prompt::PromptEvent;
use crate::tags;
use crate::tool::ToolDefinition;
pub(crate) use feedback::{FeedbackEvent, FeedbackMetric, FeedbackSubject};

/// This library's version, which is sent where Datadog's SDKs send theirs.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `parent_id` of a root.
pub(crate) const NO_PARENT: &str = "undefined";

/// What stands for a model that nobody named (golden 02).
pub(crate) const UNKNOWN_MODEL: &str = "unknown";

/// What stands in place of input and output where an event is too large (golden 25).
pub(crate) const DROPPED_IO: &str =
    "[This value has been dropped because this span's size exceeds the 5MB size limit.]";

/// One finished span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SpanEvent {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) parent_id: String,
    pub(crate) name: String,
    pub(crate) start_ns: u64,
    pub(crate) duration: u64,
    pub(crate) status: Status,
    pub(crate) meta: Meta,
    pub(crate) metrics: Map<String, Value>,
    /// `key:value`, sorted.
    pub(crate) tags: Vec<String>,
    pub(crate) _dd: Internal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) span_links: Vec<SpanLink>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) collection_errors: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    #[default]
    Ok,
    Error,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) span: MetaSpan,
    pub(crate) metadata: Map<String, Value>,
    #[serde(default, skip_serializing_if = "IoFields::is_empty")]
    pub(crate) input: IoFields,
    #[serde(default, skip_serializing_if = "IoFields::is_empty")]
    pub(crate) output: IoFields,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model_provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<SpanError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent_attribution: Option<AgentAttribution>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_definitions: Vec<ToolDefinition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tool: Option<ToolInfo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intent: Option<String>,
}

/// Of a `tool` span: the version by which the model knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ToolInfo {
    pub(crate) version: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetaSpan {
    pub(crate) kind: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AgentAttribution {
    pub(crate) pagent_name: Option<String>,
    pub(crate) pagent_span_id: Option<String>,
}

/// `meta.input` and `meta.output`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct IoFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// A list that a processor emptied is sent as such (golden 27).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) messages: Option<Vec<Message>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) documents: Vec<Document>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<PromptEvent>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Internal {
    pub(crate) span_id: String,
    pub(crate) trace_id: String,
    pub(crate) apm_trace_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sample_rate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sampling_decision: Option<String>,
}

impl IoFields {
    fn is_empty(&self) -> bool {
        self.value.is_none()
            && self.messages.is_none()
            && self.documents.is_empty()
            && self.prompt.is_none()
    }

    pub(crate) fn dropped() -> Self {
        Self {
            value: Some(DROPPED_IO.to_owned()),
            ..Self::default()
        }
    }
}

impl From<Content> for IoFields {
    fn from(content: Content) -> Self {
        let mut fields = Self::default();
        match content {
            Content::Text(text) => fields.value = Some(text),
            Content::Json(value) => fields.value = Some(value.to_string()),
            Content::Captured(captured) => {
                fields.value = Some(match captured.into_value() {
                    Value::String(text) => text,
                    value => value.to_string(),
                });
            }
            Content::Arguments(arguments) => {
                let named = arguments
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.into_value()));
                fields.value = Some(Value::Object(named.collect()).to_string());
            }
            Content::Messages(messages) => fields.messages = Some(messages),
            Content::Documents(documents) => fields.documents = documents,
        }
        fields
    }
}

impl Meta {
    pub(crate) fn new(kind: SpanKind) -> Self {
        Self {
            span: MetaSpan {
                kind: kind.as_str().to_owned(),
            },
            ..Self::default()
        }
    }

    pub(crate) fn set(&mut self, side: Side, content: Option<Content>) {
        let fields = content.map(IoFields::from).unwrap_or_default();
        match side {
            Side::Input => self.input = fields,
            Side::Output => self.output = fields,
        }
    }
}

/// Metrics as an object; a number that JSON does not have was refused before.
pub(crate) fn metrics(metrics: Vec<(String, Number)>) -> Map<String, Value> {
    let mut map = Map::new();
    set_metrics(&mut map, metrics);
    map
}

/// The same in place of other metrics, in their room where the keys are the same.
pub(crate) fn set_metrics(map: &mut Map<String, Value>, metrics: Vec<(String, Number)>) {
    let same = map.len() == metrics.len() && metrics.iter().all(|(key, _)| map.contains_key(key));
    if !same {
        map.clear();
    }
    for (key, number) in metrics {
        match (number.to_json(), map.get_mut(&key)) {
            (Some(number), Some(other)) => *other = number,
            (Some(number), None) => drop(map.insert(key, number)),
            (None, _) => drop(map.remove(&key)),
        }
    }
}

/// How deep containers may nest before ddtrace makes text of them; `meta` itself is 0
/// (golden 10).
const DEEPEST: usize = 12;
/// The depth of a value of `meta.metadata`.
const METADATA_DEPTH: usize = 2;
/// The depth of `arguments` in `meta.input.messages[…].tool_calls[…]`.
const ARGUMENTS_DEPTH: usize = 6;
/// The depth of `schema` in `meta.tool_definitions[…]`.
const SCHEMA_DEPTH: usize = 3;

impl Meta {
    /// Makes text of what is too deep, wherever a user's JSON stands.
    pub(crate) fn flatten(&mut self) {
        for value in self.metadata.values_mut() {
            flatten(value, METADATA_DEPTH);
        }
        let schemas = self.tool_definitions.iter_mut();
        for schema in schemas.filter_map(|tool| tool.schema.as_mut()) {
            flatten(schema, SCHEMA_DEPTH);
        }
        let messages = [&mut self.input, &mut self.output].map(|side| side.messages.iter_mut());
        for message in messages.into_iter().flatten().flatten() {
            for call in &mut message.tool_calls {
                flatten(&mut call.arguments, ARGUMENTS_DEPTH);
            }
        }
    }
}

/// Replaces each container at depth 12 and below by its JSON text.
fn flatten(value: &mut Value, depth: usize) {
    match value {
        Value::Object(_) | Value::Array(_) if depth >= DEEPEST => {
            *value = Value::String(value.to_string());
        }
        Value::Object(map) => map.values_mut().for_each(|value| flatten(value, depth + 1)),
        Value::Array(items) => items.iter_mut().for_each(|item| flatten(item, depth + 1)),
        _ => {}
    }
}

/// One evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EvaluationEvent {
    pub(crate) event_kind: String,
    pub(crate) join_on: JoinOn,
    pub(crate) label: String,
    pub(crate) metric_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) score_value: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) categorical_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boolean_value: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) json_value: Option<Map<String, Value>>,
    pub(crate) eval_scope: EvaluationScope,
    pub(crate) ml_app: String,
    pub(crate) timestamp_ms: u64,
    /// `key:value`, in the order in which they were given.
    pub(crate) tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assessment: Option<Assessment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) metadata: Map<String, Value>,
}

/// The span that an evaluation belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JoinOn {
    Span(SpanContext),
    Tag { key: String, value: String },
}

impl JoinOn {
    pub(crate) fn span(context: &SpanContext) -> Self {
        Self::Span(context.clone())
    }

    pub(crate) fn tag(key: String, value: String) -> Self {
        Self::Tag { key, value }
    }
}

/// The tags that evaluations and feedback have by themselves (golden 19).
fn own_tags(ml_app: &str) -> Vec<String> {
    vec![
        format!("ddtrace.version:{VERSION}"),
        format!("ml_app:{ml_app}"),
    ]
}

/// Adds tags to those of ours; one whose key is there already takes its place.
fn merge_tags(all: &mut Vec<String>, tags: Vec<(String, String)>) {
    let ours = all.len();
    for (key, value) in tags::latest(tags) {
        let tag = format!("{key}:{value}");
        let same = |other: &&mut String| key_of(other) == key;
        match all.iter_mut().take(ours).find(same) {
            Some(other) => *other = tag,
            None => all.push(tag),
        }
    }
}

/// The key of a tag, which stands before its first colon.
fn key_of(tag: &str) -> &str {
    tag.split_once(':').map_or(tag, |(key, _)| key)
}

impl EvaluationEvent {
    pub(crate) fn new(
        label: String,
        join_on: JoinOn,
        eval_scope: EvaluationScope,
        ml_app: String,
        timestamp_ms: u64,
    ) -> Self {
        Self {
            event_kind: "evaluation".to_owned(),
            join_on,
            label,
            metric_type: String::new(),
            score_value: None,
            categorical_value: None,
            boolean_value: None,
            json_value: None,
            eval_scope,
            tags: own_tags(&ml_app),
            ml_app,
            timestamp_ms,
            assessment: None,
            reasoning: None,
            metadata: Map::new(),
        }
    }

    pub(crate) fn add_tags(&mut self, tags: Vec<(String, String)>) {
        merge_tags(&mut self.tags, tags);
    }

    /// Adds tags as they stand on the wire. One whose key is ours takes the place of ours;
    /// of the others a key may come several times, the same tag only once.
    pub(crate) fn add_wire_tags(&mut self, tags: impl IntoIterator<Item = String>) {
        let ours = self.tags.clone();
        let mut there: HashSet<String> = self.tags.iter().cloned().collect();
        for tag in tags {
            if !there.insert(tag.clone()) {
                continue;
            }
            let is_ours_still = |(other, mine): &(&mut String, &String)| other == mine;
            let mut unchanged = self.tags.iter_mut().zip(&ours).filter(is_ours_still);
            match unchanged.find(|(other, _)| key_of(other) == key_of(&tag)) {
                Some((other, _)) => {
                    there.remove(other);
                    *other = tag;
                }
                None => self.tags.push(tag),
            }
        }
    }

    pub(crate) fn set_value(&mut self, value: CheckedValue) {
        let metric_type = match value {
            CheckedValue::Score(number) => {
                self.score_value = Some(number);
                "score"
            }
            CheckedValue::Categorical(text) => {
                self.categorical_value = Some(text);
                "categorical"
            }
            CheckedValue::Boolean(flag) => {
                self.boolean_value = Some(flag);
                "boolean"
            }
            CheckedValue::Json(map) => {
                self.json_value = Some(map);
                "json"
            }
        };
        metric_type.clone_into(&mut self.metric_type);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_container_at_depth_twelve_becomes_its_text() {
        let mut value = json!(0);
        for depth in (0..15).rev() {
            value = json!({format!("l{depth}"): value});
        }
        flatten(&mut value, METADATA_DEPTH);
        let mut inner = &value;
        for depth in 0..10 {
            inner = &inner[format!("l{depth}")];
        }
        assert_eq!(
            inner.as_str(),
            Some(r#"{"l10":{"l11":{"l12":{"l13":{"l14":0}}}}}"#)
        );
    }

    #[test]
    fn tags_from_the_wire_replace_ours_and_keep_each_other() {
        let join = JoinOn::tag("k".into(), "v".into());
        let mut event =
            EvaluationEvent::new("l".into(), join, EvaluationScope::Span, "app".into(), 1);
        let given = ["team:a", "bare", "ml_app:x", "team:b", "team:a", "ml_app:y"];
        event.add_wire_tags(given.map(String::from));
        let expected = ["ml_app:x", "team:a", "bare", "team:b", "ml_app:y"];
        assert_eq!(event.tags[1..], expected);
    }

    #[test]
    fn a_tag_of_ours_that_gave_way_may_come_from_the_wire_too() {
        let join = JoinOn::tag("k".into(), "v".into());
        let mut event =
            EvaluationEvent::new("l".into(), join, EvaluationScope::Span, "app".into(), 1);
        let given = ["ml_app:x", "ml_app:app"];
        event.add_wire_tags(given.map(String::from));
        assert_eq!(event.tags[1..], given);
    }

    #[test]
    fn a_tag_colon_in_the_value_does_not_hide_another_key() {
        let join = JoinOn::tag("k".into(), "v".into());
        let mut event =
            EvaluationEvent::new("l".into(), join, EvaluationScope::Span, "app".into(), 1);
        event.add_tags(vec![
            ("ml".into(), "x".into()),
            ("ml_app".into(), "b:c".into()),
        ]);
        assert_eq!(event.tags[1..], ["ml_app:b:c", "ml:x"]);
    }
}
