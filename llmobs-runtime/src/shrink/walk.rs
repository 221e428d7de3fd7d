//! Every string of an event that may be cut, in an order of its own that is always the same.
//!
//! Structs are taken apart field by field: a new one does not compile before it is decided
//! here whether it may be cut.

use serde_json::{Map, Value};

use super::media;
use crate::document::Document;
use crate::event::{
    AgentAttribution, EvaluationEvent, FeedbackEvent, IoFields, Meta, SpanEvent, ToolInfo,
};
use crate::failure::SpanError;
use crate::message::{MediaPart, MediaSource, Message, ToolCall, ToolResult};
use crate::prompt::{ChatEvent, PromptEvent};
use crate::tool::ToolDefinition;

/// What a string is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Site<'a> {
    /// A name, or what else is no JSON text.
    Name,
    /// `key:value`: the key stays.
    Tag,
    /// A user's text, which may be JSON itself or hold media.
    Content,
    /// Nothing but media, of this type.
    Media(&'a str),
    /// A string of a user's JSON that may be media as a whole: its key says so. The type is
    /// the one that stands beside it.
    MaybeMedia(Option<&'a str>),
}

pub(super) type Visit<'a> = &'a mut dyn FnMut(&mut String, Site<'_>);

/// Ids are what joins a span to its trace: none of them is cut.
pub(super) fn span(event: &mut SpanEvent, visit: Visit<'_>) {
    let SpanEvent {
        trace_id: _,
        span_id: _,
        parent_id: _,
        name,
        start_ns: _,
        duration: _,
        status: _,
        meta,
        metrics: _,
        tags: list,
        _dd: _,
        session_id,
        span_links: _,
        collection_errors: _,
    } = event;
    visit(name, Site::Name);
    in_meta(meta, visit);
    tags(list, visit);
    optional(session_id, visit);
}

fn in_meta(meta: &mut Meta, visit: Visit<'_>) {
    let Meta {
        span: _,
        metadata,
        input,
        output,
        model_name,
        model_provider,
        error,
        agent_attribution,
        tool_definitions,
        tool,
        intent,
    } = meta;
    map(metadata, visit);
    io(input, visit);
    io(output, visit);
    optional(model_name, visit);
    optional(model_provider, visit);
    if let Some(SpanError {
        message,
        stack,
        kind,
    }) = error
    {
        visit(message, Site::Content);
        visit(stack, Site::Content);
        visit(kind, Site::Name);
    }
    if let Some(AgentAttribution {
        pagent_name,
        pagent_span_id: _,
    }) = agent_attribution
    {
        optional(pagent_name, visit);
    }
    tools(tool_definitions, visit);
    if let Some(ToolInfo { version }) = tool {
        visit(version, Site::Name);
    }
    if let Some(intent) = intent {
        visit(intent, Site::Content);
    }
}

pub(super) fn tags(tags: &mut [String], visit: Visit<'_>) {
    for tag in tags {
        visit(tag, Site::Tag);
    }
}

pub(super) fn tools(tools: &mut [ToolDefinition], visit: Visit<'_>) {
    for tool in tools {
        let ToolDefinition {
            name,
            description,
            schema,
            version,
        } = tool;
        visit(name, Site::Name);
        if let Some(description) = description {
            visit(description, Site::Content);
        }
        if let Some(schema) = schema {
            value(schema, visit);
        }
        optional(version, visit);
    }
}

pub(super) fn io(io: &mut IoFields, visit: Visit<'_>) {
    let IoFields {
        value,
        messages,
        documents,
        prompt,
    } = io;
    if let Some(value) = value {
        visit(value, Site::Content);
    }
    in_messages(messages.iter_mut().flatten(), visit);
    for document in documents {
        let Document {
            text,
            name,
            id,
            score: _,
            bad_score: _,
        } = document;
        visit(text, Site::Content);
        optional(name, visit);
        optional(id, visit);
    }
    if let Some(prompt) = prompt {
        in_prompt(prompt, visit);
    }
}

fn in_prompt(prompt: &mut PromptEvent, visit: Visit<'_>) {
    let PromptEvent {
        id,
        ml_app,
        version,
        label,
        template,
        chat_template,
        variables,
        tags,
        context_keys,
        query_keys,
    } = prompt;
    visit(id, Site::Name);
    visit(ml_app, Site::Name);
    optional(version, visit);
    optional(label, visit);
    if let Some(template) = template {
        visit(template, Site::Content);
    }
    for part in chat_template {
        match part {
            ChatEvent::Message { role, content } => {
                visit(role, Site::Name);
                visit(content, Site::Content);
            }
            ChatEvent::Placeholder { name, kind } => {
                visit(name, Site::Name);
                visit(kind, Site::Name);
            }
        }
    }
    for value in variables.values_mut() {
        visit(value, Site::Content);
    }
    for value in tags.values_mut().chain(context_keys).chain(query_keys) {
        visit(value, Site::Name);
    }
}

pub(super) fn in_messages<'a>(
    messages: impl IntoIterator<Item = &'a mut Message>,
    visit: Visit<'_>,
) {
    for message in messages {
        let Message {
            content,
            role,
            tool_calls,
            tool_results,
            audio_parts,
            image_parts,
        } = message;
        visit(content, Site::Content);
        visit(role, Site::Name);
        for call in tool_calls {
            let ToolCall {
                name,
                arguments,
                tool_id,
                kind,
            } = call;
            visit(name, Site::Name);
            value(arguments, visit);
            optional(tool_id, visit);
            optional(kind, visit);
        }
        for result in tool_results {
            let ToolResult {
                result,
                name,
                tool_id,
                kind,
            } = result;
            visit(result, Site::Content);
            optional(name, visit);
            optional(tool_id, visit);
            optional(kind, visit);
        }
        for part in audio_parts.iter_mut().chain(image_parts) {
            let MediaPart { mime_type, source } = part;
            match source {
                MediaSource::Content(content) => visit(content, Site::Media(mime_type)),
                MediaSource::AttachmentKey(key) => visit(key, Site::Name),
            }
            visit(mime_type, Site::Name);
        }
    }
}

fn optional(text: &mut Option<String>, visit: Visit<'_>) {
    if let Some(text) = text {
        visit(text, Site::Name);
    }
}

/// The strings of a user's JSON; keys stay.
pub(super) fn value(value: &mut Value, visit: Visit<'_>) {
    match value {
        Value::String(text) => visit(text, Site::Content),
        Value::Array(items) => items.iter_mut().for_each(|item| self::value(item, visit)),
        Value::Object(members) => map(members, visit),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(super) fn map(members: &mut Map<String, Value>, visit: Visit<'_>) {
    let mut declared = None;
    if members.iter().any(|(key, value)| may_be_media(key, value)) {
        let types = media::TYPE_KEYS
            .iter()
            .find_map(|key| members.get(*key)?.as_str());
        declared = types.map(str::to_owned);
    }
    for (key, value) in members {
        if may_be_media(key, value) {
            if let Value::String(text) = value {
                visit(text, Site::MaybeMedia(declared.as_deref()));
            }
        } else {
            self::value(value, visit);
        }
    }
}

fn may_be_media(key: &str, value: &Value) -> bool {
    let long = |text: &str| text.len() >= media::SHORTEST;
    value.as_str().is_some_and(long) && media::KEYS.contains(&key)
}

/// Of an evaluation: the remarks. The value and what it belongs to are never cut.
pub(super) fn evaluation(event: &mut EvaluationEvent, visit: Visit<'_>) {
    let EvaluationEvent {
        event_kind: _,
        join_on: _,
        label: _,
        metric_type: _,
        score_value: _,
        categorical_value: _,
        boolean_value: _,
        json_value: _,
        eval_scope: _,
        ml_app: _,
        timestamp_ms: _,
        tags: _,
        assessment: _,
        reasoning,
        metadata,
    } = event;
    if let Some(reasoning) = reasoning {
        visit(reasoning, Site::Content);
    }
    map(metadata, visit);
}

/// Of feedback: the reasoning. The value and what it belongs to are never cut.
pub(super) fn feedback(event: &mut FeedbackEvent, visit: Visit<'_>) {
    let FeedbackEvent {
        event_kind: _,
        subject: _,
        submitter: _,
        label: _,
        metric: _,
        ml_app: _,
        timestamp_ms: _,
        tags: _,
        assessment: _,
        reasoning,
    } = event;
    if let Some(reasoning) = reasoning {
        visit(reasoning, Site::Content);
    }
}
