//! What a function comes to: its output, its error, its panic. And the form in which a
//! captured value is kept, kind by kind.

use serde_json::{Map, Value};

use super::ladder::Failure;
use super::start::Entered;
use crate::annotation::{Content, Io, Side, messages_from_json};
use crate::capture;
use crate::kind::SpanKind;
use crate::report;
use crate::span::{Span, SpanInner};

/// What a function comes to is noted on its span: by the handle of a future, or by the place on
/// the thread's stack.
pub trait Noted {
    fn wants_output(&self) -> bool;
    fn output(&self, value: Value);
    fn failed(&self, failure: Failure);
}

/// For what has `captured_kind` and `with_data`, which are no API.
macro_rules! noted {
    ($($on:ty)*) => {$(
        impl Noted for $on {
            fn wants_output(&self) -> bool {
                self.captured_kind().is_some()
                    && self.with_data(|data| data.output.is_none()) == Some(true)
            }

            #[cold]
            #[inline(never)]
            fn output(&self, value: Value) {
                let kind = self.captured_kind();
                let content = kind.and_then(|kind| content(kind, Side::Output, value));
                if let Some(content) = content {
                    // Unless the user has set one meanwhile (as in ddtrace).
                    self.with_data(|data| {
                        data.output.get_or_insert(content);
                    });
                }
            }

            #[cold]
            #[inline(never)]
            fn failed(&self, failure: Failure) {
                self.with_data(|data| data.error = Some(Box::new(failure.0)));
            }
        }
    )*};
}

noted!(Span Entered);

/// The span of a function, if a client has taken it.
#[inline]
pub fn noted(entered: &Option<Entered>) -> Option<&Entered> {
    entered.as_ref().filter(|entered| entered.is_some())
}

/// Whether the output is worth a look: capture is on, and nobody has set one by hand.
#[inline]
pub fn wants_output(span: &impl Noted) -> bool {
    span.wants_output()
}

/// Keeps what the function returned. `null` is no output.
#[inline]
pub fn output(span: &impl Noted, value: Value) {
    span.output(value);
}

/// Marks the span as failed.
#[inline]
pub fn failed(span: &impl Noted, failure: Failure) {
    span.failed(failure);
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

/// A captured value as its kind sends it.
pub(super) fn content(kind: SpanKind, side: Side, value: Value) -> Option<Content> {
    if value.is_null() {
        return None;
    }
    Io::from(value).into_content(kind, side).ok()?.0
}

fn text_content(kind: SpanKind, side: Side, value: &Value) -> Option<Content> {
    Io::from(value.to_string()).into_content(kind, side).ok()?.0
}

/// Captured arguments as their kind sends them. A model gets messages: the one argument if it is
/// one, else all of them as JSON text. None at all, of a function whose arguments are all left out
/// by `cfg`, are no input.
pub(super) fn settle_arguments(span: &mut SpanInner) {
    let kind = span.kind;
    let input = &mut span.data_mut().input;
    if let Some(Content::Arguments(arguments)) = input {
        if arguments.is_empty() {
            *input = None;
        } else if kind.has_model() {
            *input = as_messages(kind, std::mem::take(arguments));
        }
    }
}

fn as_messages(kind: SpanKind, mut arguments: Vec<(&'static str, Value)>) -> Option<Content> {
    let side = Side::Input;
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
