//! What a function comes to: its output, its error, its panic. And the form in which a
//! captured value is kept, kind by kind.

use std::any::Any;
use std::fmt::Display;

use serde_json::{Map, Value};

use super::ladder::Failure;
use crate::annotation::{Content, Io, Side, messages_from_json};
use crate::capture;
use crate::config::Capture;
use crate::failure::SpanError;
use crate::kind::SpanKind;
use crate::report;
use crate::span::Span;

/// Whether the output is worth a look: capture is on, and nobody has set one by hand.
pub fn wants_output(span: &Span) -> bool {
    span.inner()
        .is_some_and(|inner| inner.client.settings.capture == Capture::Full)
        && !span.has_output()
}

/// Keeps what the function returned. `null` is no output.
#[cold]
#[inline(never)]
pub fn output(span: &Span, value: Value) {
    let Some(inner) = span.inner() else { return };
    if let Some(content) = content(inner.kind, Side::Output, value) {
        span.capture_output(content);
    }
}

/// Marks the span as failed.
#[cold]
#[inline(never)]
pub fn failed(span: &Span, failure: Failure) {
    span.record_error(failure.0);
}

/// Ends the span with the panic that comes by.
#[cold]
#[inline(never)]
pub(super) fn panicked(span: &Span, payload: &(dyn Any + Send)) {
    // The user may have ended the span by hand.
    let _ = span.end(Some(SpanError::panic(payload)));
}

/// Runs code of a user that telemetry calls: its panic is swallowed.
pub(super) fn guarded<R>(run: impl FnOnce() -> R) -> Option<R> {
    let mut returned = None;
    capture::panics(|| returned = Some(run()));
    returned
}

/// Evaluates the expressions of an attribute. Where one panics, the rest is left out.
pub fn attempt(tell: impl FnOnce()) {
    if capture::panics(tell) {
        attribute_panicked();
    }
}

/// By itself, for what stands in a generic function is compiled with each of its callers.
#[cold]
#[inline(never)]
fn attribute_panicked() {
    report::once(report::Kind::Attribute, || {
        "an expression of an attribute panicked: what it was to say is left out".to_owned()
    });
}

/// A user's `Display`, which may panic.
pub(super) fn display(value: &dyn Display) -> String {
    guarded(|| {
        use std::fmt::Write as _;
        let mut text = String::new();
        // An error of the impl leaves what was written before.
        let _ = write!(text, "{value}");
        text
    })
    .unwrap_or_default()
}

/// A captured value as its kind sends it.
pub(super) fn content(kind: SpanKind, side: Side, value: Value) -> Option<Content> {
    if value.is_null() {
        return None;
    }
    // What looks like a message or a document and is none is its text at least.
    let spare = (value.is_object() || value.is_array())
        .then(|| (kind.has_model() || kind == SpanKind::Retrieval).then(|| value.clone()))
        .flatten();
    match Io::from(value).into_content(kind, side) {
        Ok(content) => content,
        Err(_) => text_content(kind, side, &spare?),
    }
}

fn text_content(kind: SpanKind, side: Side, value: &Value) -> Option<Content> {
    Io::from(value.to_string()).into_content(kind, side).ok()?
}

/// Captured arguments as their kind sends them. A model gets messages: the one argument
/// if it is one, else all of them as JSON text.
pub(super) fn arguments(
    kind: SpanKind,
    mut arguments: Vec<(&'static str, Value)>,
) -> Option<Content> {
    let side = Side::Input;
    if !kind.has_model() {
        return Some(Content::Arguments(arguments));
    }
    if let [(_, value)] = &mut arguments[..] {
        let fits = match kind {
            SpanKind::Llm => speaks(value),
            _ => value.is_string() || is_texts(value),
        };
        if fits {
            return content(kind, side, value.take());
        }
    }
    let named = arguments
        .into_iter()
        .map(|(name, value)| (name.into(), value));
    let named = Value::Object(named.collect::<Map<_, _>>());
    text_content(kind, side, &named)
}

/// Whether a value is a message, or a list of them, by itself.
fn speaks(value: &Value) -> bool {
    let one =
        |value: &Value| value.is_string() || value.get("content").is_some_and(Value::is_string);
    match value {
        Value::Array(items) => {
            !items.is_empty()
                && items.iter().all(one)
                && messages_from_json(value.clone()).len() == items.len()
        }
        value => one(value),
    }
}

/// Whether a value is a list of texts or of documents.
fn is_texts(value: &Value) -> bool {
    let one = |value: &Value| value.is_string() || value.get("text").is_some_and(Value::is_string);
    match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(one),
        value => one(value),
    }
}
