//! Every text of a user's content in an event, for a processor that hides something in it.
//!
//! Structs are taken apart field by field: a new one does not compile before it is
//! decided here whether its texts are content.

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::document::Document;
use crate::event::{IoFields, Meta};
use crate::failure::SpanError;
use crate::message::{Message, ToolCall, ToolResult};
use crate::prompt::{ChatEvent, PromptEvent};
use crate::tool::ToolDefinition;

pub(super) type Change<'a> = &'a mut dyn FnMut(&mut String);

/// Names, ids, keys and the model are no content; input and output have their own function.
pub(super) fn in_meta(meta: &mut Meta, change: Change<'_>) {
    let Meta {
        span: _,
        metadata,
        input: _,
        output: _,
        model_name: _,
        model_provider: _,
        error,
        agent_attribution: _,
        tool_definitions,
        tool: _,
        intent,
    } = meta;
    for tool in tool_definitions {
        let ToolDefinition {
            name: _,
            description,
            schema,
            version: _,
        } = tool;
        if let Some(description) = description {
            in_text(description, change);
        }
        if let Some(schema) = schema {
            in_json(schema, change);
        }
    }
    if let Some(intent) = intent {
        in_text(intent, change);
    }
    for value in metadata.values_mut() {
        in_json(value, change);
    }
    if let Some(error) = error {
        let SpanError {
            message,
            stack,
            kind: _,
        } = error;
        in_text(message, change);
        in_text(stack, change);
    }
}

pub(super) fn in_io(io: &mut IoFields, change: Change<'_>) {
    let IoFields {
        value,
        messages,
        documents,
        prompt,
    } = io;
    if let Some(value) = value {
        in_text(value, change);
    }
    for message in messages.iter_mut().flatten() {
        in_message(message, change);
    }
    for document in documents {
        let Document {
            text,
            name: _,
            id: _,
            score: _,
            bad_score: _,
        } = document;
        in_text(text, change);
    }
    if let Some(prompt) = prompt {
        in_prompt(prompt, change);
    }
}

fn in_prompt(prompt: &mut PromptEvent, change: Change<'_>) {
    let PromptEvent {
        id: _,
        ml_app: _,
        version: _,
        label: _,
        template,
        chat_template,
        variables,
        tags,
        context_keys: _,
        query_keys: _,
    } = prompt;
    if let Some(template) = template {
        in_text(template, change);
    }
    for part in chat_template {
        match part {
            ChatEvent::Message { role: _, content } => in_text(content, change),
            ChatEvent::Placeholder { name: _, kind: _ } => {}
        }
    }
    for value in variables.values_mut().chain(tags.values_mut()) {
        in_text(value, change);
    }
}

fn in_message(message: &mut Message, change: Change<'_>) {
    let Message {
        content,
        role: _,
        tool_calls,
        tool_results,
        audio_parts: _,
        image_parts: _,
    } = message;
    in_text(content, change);
    for call in tool_calls {
        let ToolCall {
            name: _,
            arguments,
            tool_id: _,
            kind: _,
        } = call;
        in_json(arguments, change);
    }
    for result in tool_results {
        let ToolResult {
            result,
            name: _,
            tool_id: _,
            kind: _,
        } = result;
        in_text(result, change);
    }
}

pub(super) fn in_json(value: &mut Value, change: Change<'_>) {
    match value {
        Value::String(text) => in_text(text, change),
        Value::Array(items) => items.iter_mut().for_each(|item| in_json(item, change)),
        Value::Object(map) => map.values_mut().for_each(|value| in_json(value, change)),
        _ => {}
    }
}

/// A text, after the strings in it if it is JSON: what was captured as `say "x"` stands
/// there as `say \"x\"`, and whoever looks for it would miss it.
pub(super) fn in_text(text: &mut String, change: Change<'_>) {
    in_json_text(text, change);
    change(text);
}

/// Changes the strings of a JSON text, its keys included. All else stays as it is written.
fn in_json_text(text: &mut String, change: Change<'_>) {
    let may_be = text.trim_start().starts_with(['{', '[', '"']);
    if !may_be || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return;
    }
    let mut changed = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(literal) = next_literal(text, at) {
        at = literal.end;
        let Ok(mut inner) = serde_json::from_str::<String>(&text[literal.clone()]) else {
            // Half of a surrogate pair is JSON and no text.
            continue;
        };
        let before = inner.clone();
        in_text(&mut inner, change);
        if inner != before {
            changed.push_str(&text[copied..literal.start]);
            changed.push_str(&Value::String(inner).to_string());
            copied = literal.end;
        }
    }
    if copied > 0 {
        changed.push_str(&text[copied..]);
        *text = changed;
    }
}

/// Where the next string of a JSON text stands, quotes included.
fn next_literal(text: &str, from: usize) -> Option<std::ops::Range<usize>> {
    let start = from + text.get(from..)?.find('"')?;
    let mut escaped = false;
    for (offset, byte) in text.bytes().enumerate().skip(start + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(start..offset + 1),
            _ => {}
        }
    }
    None
}
