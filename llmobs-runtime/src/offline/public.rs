//! A span in the form of Datadog's documented Spans API (`/api/intake/llm-obs/v1/trace/spans`,
//! version 1), which is not the form that Datadog's SDKs send.
//!
//! It knows less: metadata are scalars and hold the model, messages are a role and a text,
//! and documents are what a `retrieval` gives. What it has no place for goes as JSON text
//! where it belongs, so that nothing is missing.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::document::Document;
use crate::event::{IoFields, Meta, SpanEvent, Status, UNKNOWN_MODEL};
use crate::failure::SpanError;
use crate::kind::SpanKind;
use crate::message::Message;

/// One span of a request. The application stands around all of them.
#[derive(Serialize)]
struct PublicSpan<'a> {
    name: &'a str,
    span_id: &'a str,
    trace_id: &'a str,
    parent_id: &'a str,
    start_ns: u64,
    /// In nanoseconds.
    duration: u64,
    status: Status,
    meta: PublicMeta<'a>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metrics: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apm_trace_id: Option<&'a str>,
}

#[derive(Serialize)]
struct PublicMeta<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a SpanError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<PublicIo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<PublicIo<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
}

#[derive(Serialize)]
struct PublicIo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<PublicMessage<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    documents: &'a [Document],
}

#[derive(Serialize)]
struct PublicMessage<'a> {
    content: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    role: &'a str,
}

/// The JSON of a span.
pub(super) fn span_json(event: &SpanEvent) -> serde_json::Result<Vec<u8>> {
    let SpanEvent { _dd: internal, .. } = event;
    let apm_trace_id = &*internal.apm_trace_id;
    serde_json::to_vec(&PublicSpan {
        name: &event.name,
        span_id: &event.span_id,
        trace_id: &event.trace_id,
        parent_id: &event.parent_id,
        start_ns: event.start_ns,
        duration: event.duration,
        status: event.status,
        meta: PublicMeta {
            kind: &event.meta.span.kind,
            error: event.meta.error.as_ref(),
            input: io(&event.meta.input, false),
            output: io(
                &event.meta.output,
                event.meta.span.kind == SpanKind::Retrieval.as_str(),
            ),
            metadata: metadata(&event.meta),
        },
        metrics: &event.metrics,
        session_id: event.session_id.as_deref(),
        tags: tags(&event.tags),
        apm_trace_id: Some(apm_trace_id).filter(|id| *id != event.trace_id),
    })
}

/// Tags that no field says already, and that say something.
fn tags(tags: &[String]) -> Vec<&str> {
    const OF_FIELDS: [&str; 4] = ["ml_app", "session_id", "error", "error_type"];
    let says_more = |tag: &&str| match tag.split_once(':') {
        Some((key, value)) => !OF_FIELDS.contains(&key) && !value.is_empty(),
        None => true,
    };
    tags.iter().map(String::as_str).filter(says_more).collect()
}

fn metadata(meta: &Meta) -> Map<String, Value> {
    let scalar = |value: &Value| match value {
        Value::Null | Value::Array(_) | Value::Object(_) => Value::String(value.to_string()),
        scalar => scalar.clone(),
    };
    let given = meta.metadata.iter();
    let mut metadata: Map<String, Value> = given.map(|(k, v)| (k.clone(), scalar(v))).collect();
    let model = [
        ("model_name", &meta.model_name),
        ("model_provider", &meta.model_provider),
    ];
    for (key, value) in model {
        if let Some(value) = value.as_deref().filter(|value| *value != UNKNOWN_MODEL) {
            metadata.insert(key.to_owned(), value.into());
        }
    }
    metadata
}

/// `None` where nothing is in it. Documents where none are taken are in the value; what a
/// processor has set there stays before them.
fn io(fields: &IoFields, takes_documents: bool) -> Option<PublicIo<'_>> {
    let mut io = PublicIo {
        value: fields.value.as_deref().map(Cow::Borrowed),
        messages: fields.messages.iter().flatten().map(message).collect(),
        documents: &[],
    };
    match &*fields.documents {
        documents if takes_documents => io.documents = documents,
        [] => {}
        [one] if io.value.is_none() && *one == Document::new(&*one.text) => {
            io.value = Some(Cow::Borrowed(&one.text));
        }
        documents => {
            let text = json_text(documents);
            io.value = Some(match io.value {
                Some(value) => Cow::Owned(format!("{value}\n{text}")),
                None => Cow::Owned(text),
            });
        }
    }
    let is_empty = io.value.is_none() && io.messages.is_empty() && io.documents.is_empty();
    (!is_empty).then_some(io)
}

/// A message whose further parts follow its text.
fn message(message: &Message) -> PublicMessage<'_> {
    let mut content = message.content.clone();
    let mut rest = serde_json::to_value(message).unwrap_or_default();
    if let Some(rest) = rest.as_object_mut() {
        rest.remove("content");
        rest.remove("role");
        if !rest.is_empty() {
            if !content.is_empty() {
                content.push('\n');
            }
            content.push_str(&json_text(rest));
        }
    }
    PublicMessage {
        content,
        role: &message.role,
    }
}

fn json_text<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
