//! Roughly how many bytes a thing holds until it is encoded: what the memory limit counts
//! before there is a text to measure.

use serde_json::{Map, Value};

use crate::annotation::Content;
use crate::event::{EvaluationEvent, FeedbackEvent, FeedbackMetric, JoinOn};
use crate::failure::SpanError;
use crate::message::{MediaPart, Message};
use crate::number::Number;
use crate::span::{SpanData, SpanInner};
use crate::text::Text;

pub(crate) fn of_span(data: &SpanData) -> usize {
    let content = |content: &Option<Content>| content.as_ref().map_or(0, of_content);
    let tags: usize = data
        .tags
        .iter()
        .map(|(k, v)| size_of::<(Text, Text)>() + k.len() + v.len())
        .sum();
    let metrics = data
        .metrics
        .iter()
        .map(|(key, _)| size_of::<(String, Number)>() + key.len());
    let texts = [&data.model_name, &data.model_provider];
    size_of::<SpanInner>()
        + content(&data.input)
        + content(&data.output)
        + of_map(&data.metadata)
        + tags
        + metrics.sum::<usize>()
        + texts
            .into_iter()
            .map(|text| text.as_ref().map_or(0, Text::len))
            .sum::<usize>()
        + data.error.as_deref().map_or(0, SpanError::weight)
        + data.extra.as_ref().map_or(0, |extra| extra.weight())
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
