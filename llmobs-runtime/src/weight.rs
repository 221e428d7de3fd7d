//! Roughly how many bytes a thing holds until it is encoded: what the memory limit counts
//! before there is a text to measure.

use serde_json::{Map, Value};

use crate::annotation::Content;
use crate::event::{EvaluationEvent, FeedbackEvent, FeedbackMetric, JoinOn};
use crate::message::{MediaPart, Message};
use crate::number::Number;
use crate::span::{SpanData, SpanInner};
use crate::text::Text;

#[inline]
pub(crate) fn of_span(data: &SpanData) -> usize {
    let mut weight = size_of::<SpanInner>();
    weight += data.model_name.weight() + data.model_provider.weight();
    if data.holds_more() {
        weight += of_the_rest(data);
    }
    weight
}

#[inline(never)]
fn of_the_rest(data: &SpanData) -> usize {
    let mut weight = 0;
    for (key, value) in &data.tags {
        weight += size_of::<(Text, Text)>() + key.weight() + value.weight();
    }
    for content in [&data.input, &data.output].into_iter().flatten() {
        weight += of_content(content);
    }
    for (key, _) in &data.metrics {
        weight += size_of::<(String, Number)>() + key.len();
    }
    weight += of_map(&data.metadata);
    if let Some(error) = &data.error {
        weight += error.weight();
    }
    if let Some(extra) = &data.extra {
        weight += extra.weight();
    }
    weight
}

pub(crate) fn of_evaluation(event: &EvaluationEvent) -> usize {
    let join_on = match &event.join_on {
        JoinOn::Span(context) => context.weight(),
        JoinOn::Tag { key, value } => key.len() + value.len(),
    };
    size_of::<EvaluationEvent>()
        + event.label.len()
        + join_on
        + event.tags.iter().map(String::len).sum::<usize>()
        + event.reasoning.as_ref().map_or(0, String::len)
        + event.categorical_value.as_ref().map_or(0, String::len)
        + event.json_value.as_ref().map_or(0, of_map)
        + of_map(&event.metadata)
}

pub(crate) fn of_feedback(event: &FeedbackEvent) -> usize {
    let value = match &event.metric {
        FeedbackMetric::Categorical {
            categorical_value: text,
        }
        | FeedbackMetric::Text { text_value: text } => text.len(),
        FeedbackMetric::Json { json_value } => of_map(json_value),
        FeedbackMetric::Score { .. } | FeedbackMetric::Boolean { .. } => 0,
    };
    size_of::<FeedbackEvent>()
        + event.label.len()
        + event.subject.id().len()
        + event.submitter.weight()
        + event.tags.iter().map(String::len).sum::<usize>()
        + event.reasoning.as_ref().map_or(0, String::len)
        + value
}

fn of_content(content: &Content) -> usize {
    match content {
        Content::Text(text) => text.len(),
        Content::Json(value) => of_json(value),
        Content::Arguments(arguments) => arguments.iter().map(|(k, v)| k.len() + of_json(v)).sum(),
        Content::Messages(messages) => messages.iter().map(of_message).sum(),
        Content::Documents(documents) => documents
            .iter()
            .map(|document| document.text.len() + size_of_val(document))
            .sum(),
    }
}

fn of_message(message: &Message) -> usize {
    let calls = message.tool_calls.iter();
    let results = message.tool_results.iter();
    let media = message.audio_parts.iter().chain(&message.image_parts);
    size_of_val(message)
        + message.content.len()
        + calls.map(|call| of_json(&call.arguments)).sum::<usize>()
        + results.map(|result| result.result.len()).sum::<usize>()
        + media.map(MediaPart::len).sum::<usize>()
}

pub(crate) fn of_map(map: &Map<String, Value>) -> usize {
    if map.is_empty() {
        return 0;
    }
    map.iter().map(|(k, v)| k.len() + of_json(v)).sum()
}

pub(crate) fn of_json(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(of_json).sum(),
            Value::Object(map) => of_map(map),
            _ => 0,
        }
}
