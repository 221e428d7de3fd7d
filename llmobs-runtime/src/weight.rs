//! Roughly how many bytes a thing holds until it is encoded: what the memory limit counts
//! before there is a text to measure. What a thing's own size holds counts where it stands.
//!
//! Structs are taken apart field by field: a new one does not compile before it is decided
//! here what it holds. Room that a text or a list does not use is held as well.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::annotation::Content;
use crate::document::Document;
use crate::event::{EvaluationEvent, FeedbackEvent, FeedbackMetric, FeedbackSubject, JoinOn};
use crate::message::{MediaPart, MediaSource, Message, ToolCall, ToolResult};

pub(crate) fn of_evaluation(event: &EvaluationEvent) -> usize {
    let EvaluationEvent {
        event_kind,
        join_on,
        label,
        metric_type,
        score_value,
        categorical_value,
        boolean_value: _,
        json_value,
        eval_scope: _,
        ml_app,
        timestamp_ms: _,
        tags,
        assessment: _,
        reasoning,
        metadata,
    } = event;
    let join_on = match join_on {
        JoinOn::Span(context) => context.weight(),
        JoinOn::Tag { key, value } => key.capacity() + value.capacity(),
    };
    let texts = [event_kind, label, metric_type, ml_app].into_iter();
    let texts = texts.chain(categorical_value).chain(reasoning);
    size_of::<EvaluationEvent>()
        + join_on
        + of_texts(texts)
        + score_value.as_ref().map_or(0, of_json)
        + json_value.as_ref().map_or(0, of_map)
        + of_list(tags, String::capacity)
        + of_map(metadata)
}

pub(crate) fn of_feedback(event: &FeedbackEvent) -> usize {
    let FeedbackEvent {
        event_kind,
        subject,
        submitter,
        label,
        metric,
        ml_app,
        timestamp_ms: _,
        tags,
        assessment: _,
        reasoning,
    } = event;
    let (FeedbackSubject::SpanId(subject)
    | FeedbackSubject::TraceId(subject)
    | FeedbackSubject::SessionId(subject)
    | FeedbackSubject::FeedbackJoinKey(subject)) = subject;
    let value = match metric {
        FeedbackMetric::Categorical {
            categorical_value: text,
        }
        | FeedbackMetric::Text { text_value: text } => text.capacity(),
        FeedbackMetric::Json { json_value } => of_map(json_value),
        FeedbackMetric::Score { score_value } => of_json(score_value),
        FeedbackMetric::Boolean { boolean_value: _ } => 0,
    };
    let texts = [event_kind, subject, label, ml_app].into_iter();
    size_of::<FeedbackEvent>()
        + of_texts(texts.chain(reasoning))
        + submitter.weight()
        + value
        + of_list(tags, String::capacity)
}

pub(crate) fn of_content(content: &Content) -> usize {
    match content {
        Content::Text(text) => text.capacity(),
        Content::Json(value) => size_of::<Value>() + of_json(value),
        Content::Captured(captured) => captured.weight(),
        Content::Arguments(arguments) => of_list(arguments, |(_, value)| value.weight()),
        Content::Messages(messages) => of_list(messages, of_message),
        Content::Documents(documents) => of_list(documents, of_document),
    }
}

fn of_message(message: &Message) -> usize {
    let Message {
        content,
        role,
        tool_calls,
        tool_results,
        audio_parts,
        image_parts,
    } = message;
    content.capacity()
        + role.capacity()
        + of_list(tool_calls, of_call)
        + of_list(tool_results, of_result)
        + of_list(audio_parts, of_media)
        + of_list(image_parts, of_media)
}

fn of_call(call: &ToolCall) -> usize {
    let ToolCall {
        name,
        arguments,
        tool_id,
        kind,
    } = call;
    of_texts([name].into_iter().chain(tool_id).chain(kind)) + of_json(arguments)
}

fn of_result(result: &ToolResult) -> usize {
    let ToolResult {
        result,
        name,
        tool_id,
        kind,
    } = result;
    of_texts([result].into_iter().chain(name).chain(tool_id).chain(kind))
}

fn of_media(part: &MediaPart) -> usize {
    let MediaPart { mime_type, source } = part;
    let (MediaSource::Content(source) | MediaSource::AttachmentKey(source)) = source;
    mime_type.capacity() + source.capacity()
}

fn of_document(document: &Document) -> usize {
    let Document {
        text,
        name,
        id,
        score,
        bad_score: _,
    } = document;
    of_texts([text].into_iter().chain(name).chain(id)) + score.as_ref().map_or(0, of_json)
}

pub(crate) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    texts.into_iter().map(String::capacity).sum()
}

/// One that others have as well counts for each of them.
#[inline]
pub(crate) fn of_shared(text: Option<&Arc<str>>) -> usize {
    text.map_or(0, |text| text.len())
}

/// `of` is what an element holds beside itself.
pub(crate) fn of_list<T>(list: &Vec<T>, of: impl Fn(&T) -> usize) -> usize {
    list.capacity() * size_of::<T>() + list.iter().map(of).sum::<usize>()
}

/// The entries of a `BTreeMap`'s node, for which it has room from its first one on.
const NODE: usize = 11;

/// What so many entries of a map take beside what keys and values hold: a tree's nodes may be half
/// empty.
pub(crate) fn of_entries<K, V>(count: usize) -> usize {
    match count {
        0 => 0,
        _ => NODE.max(2 * count) * size_of::<(K, V)>(),
    }
}

pub(crate) fn of_map(map: &Map<String, Value>) -> usize {
    if map.is_empty() {
        return 0;
    }
    let entry = |(key, value): (&String, &Value)| key.capacity() + of_json(value);
    of_entries::<String, Value>(map.len()) + map.iter().map(entry).sum::<usize>()
}

/// What a value holds beside itself.
pub(crate) fn of_json(value: &Value) -> usize {
    match value {
        Value::String(text) => text.capacity(),
        Value::Array(items) => of_list(items, of_json),
        Value::Object(map) => of_map(map),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_output_that_is_json_weighs_its_box_and_what_it_holds() {
        let of = |value| of_content(&Content::Json(Box::new(value)));
        assert_eq!(of(json!(7)), size_of::<Value>());
        assert_eq!(of(json!("seven")), size_of::<Value>() + 5);
    }
}
