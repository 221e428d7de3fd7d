//! Whether an item that is JSON brings the first token: text, a thought or a tool call.
//!
//! An item of a type that says what it adds needs no guess. JSON is looked at by its shape: in an
//! event of a known API (OpenAI's chat, completions and responses, Anthropic, Gemini, Ollama,
//! Cohere, Bedrock Converse) the first token is a text that is not empty under one of the keys
//! where these APIs put what a model says, or the call of a tool. What is no such event counts, if
//! it is anything at all: nobody knows what else it would be.

use serde_json::{Map, Value};

/// Keys of what a model says or thinks.
const TEXTS: [&str; 13] = [
    "text",
    "content",
    "delta",
    "thinking",
    "reasoning",
    "reasoning_content",
    "refusal",
    "response",
    "partial_json",
    "arguments",
    "transcript",
    "data",
    "tool_plan",
];

/// Keys of calls of tools.
const CALLS: [&str; 7] = [
    "tool_calls",
    "tool_call",
    "function_call",
    "functionCall",
    "toolUse",
    "custom_tool_call",
    "executableCode",
];

/// Values of `type` of the call of a tool.
const CALL_TYPES: [&str; 6] = [
    "tool_use",
    "server_tool_use",
    "mcp_tool_use",
    "function_call",
    "custom_tool_call",
    "mcp_call",
];

/// Keys under which an API tells about the call, or repeats the request.
const ABOUT: [&str; 9] = [
    "usage",
    "usageMetadata",
    "metadata",
    "instructions",
    "input",
    "tools",
    "prompt",
    "logprobs",
    "groundingMetadata",
];

/// Values of `type` of Anthropic's and Cohere's events, and the beginning of those of OpenAI's
/// responses.
const EVENTS: [&str; 17] = [
    "message_start",
    "message_delta",
    "message_stop",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "ping",
    "error",
    "message-start",
    "message-end",
    "content-start",
    "content-delta",
    "content-end",
    "tool-plan-delta",
    "tool-call-start",
    "tool-call-delta",
    "tool-call-end",
];
const RESPONSES: &str = "response.";

/// Keys by which other events are known: of OpenAI's chat, of Gemini, and of Bedrock.
const FRAMES: [&str; 9] = [
    "choices",
    "candidates",
    "usageMetadata",
    "messageStart",
    "messageStop",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "promptFeedback",
];

/// Keys of a message.
const MESSAGE: [&str; 9] = [
    "role",
    "content",
    "parts",
    "thinking",
    "reasoning",
    "reasoning_content",
    "refusal",
    "tool_calls",
    "function_call",
];

/// How deep an event is looked into.
const DEEPEST: usize = 12;

/// Whether `item` brings a token.
pub(super) fn brings_token(item: &Value) -> bool {
    match item {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
        Value::Array(items) => items.iter().any(brings_token),
        Value::Object(fields) if is_event(fields) => holds_token(fields, DEEPEST),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn is_event(fields: &Map<String, Value>) -> bool {
    let kind = fields.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| EVENTS.contains(&kind) || kind.starts_with(RESPONSES))
        || FRAMES.iter().any(|key| fields.contains_key(*key))
        // Ollama's, and a message by itself.
        || fields.get("done").is_some_and(Value::is_boolean)
        || (fields.contains_key("role") && fields.keys().all(|key| MESSAGE.contains(&&**key)))
}

fn holds_token(fields: &Map<String, Value>, depth: usize) -> bool {
    let kind = fields.get("type").and_then(Value::as_str);
    if kind.is_some_and(|kind| CALL_TYPES.contains(&kind)) {
        return true;
    }
    fields.iter().any(|(key, value)| {
        let key = &**key;
        if CALLS.contains(&key) {
            return !is_empty(value);
        }
        match value {
            Value::String(text) => !text.is_empty() && TEXTS.contains(&key),
            _ => !ABOUT.contains(&key) && is_token_within(value, depth),
        }
    })
}

fn is_token_within(value: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    match value {
        Value::Object(fields) => holds_token(fields, depth),
        Value::Array(items) => items.iter().any(|item| is_token_within(item, depth)),
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
