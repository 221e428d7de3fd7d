//! Evaluations and feedback, as they were submitted.

use crate::given::IntoJson;
use std::fmt;

use serde_json::Value;

use super::finished::Finished;
use super::span::{FinishedSpan, tag_of};
use super::tree::belongs;

/// An evaluation or feedback, as it would be sent: [`Finished::evaluations`],
/// [`FinishedSpan::evaluation`], [`Finished::feedback`].
#[derive(Clone, Copy)]
pub struct Submitted<'a> {
    event: &'a Value,
    all: Option<&'a Finished>,
}

impl<'a> Submitted<'a> {
    pub(super) fn new(event: &'a Value, all: &'a Finished) -> Self {
        Self {
            event,
            all: Some(all),
        }
    }

    /// Only what it says of itself.
    pub(super) fn bare(event: &'a Value) -> Self {
        Self { event, all: None }
    }

    /// Its label.
    pub fn label(&self) -> &'a str {
        self.text("label").unwrap_or_default()
    }

    /// `score`, `categorical`, `boolean`, `json`; `text` for feedback.
    pub fn metric_type(&self) -> &'a str {
        self.text("metric_type").unwrap_or_default()
    }

    /// Its value: `assert_eq!(*evaluation.value(), 10)`.
    pub fn value(&self) -> &'a Value {
        &self.event[format!("{}_value", self.metric_type())]
    }

    /// The application that it counts for.
    pub fn ml_app(&self) -> &'a str {
        self.text("ml_app").unwrap_or_default()
    }

    /// `pass`, `fail`, or nothing was said.
    pub fn assessment(&self) -> Option<&'a str> {
        self.text("assessment")
    }

    /// Why the value is what it is.
    pub fn reasoning(&self) -> Option<&'a str> {
        self.text("reasoning")
    }

    /// The value of the tag `key`.
    pub fn tag(&self, key: &str) -> Option<&'a str> {
        tag_of(self.event, key)
    }

    /// The metadata under `key`.
    pub fn metadata(&self, key: &str) -> Option<&'a Value> {
        self.event["metadata"].get(key)
    }

    /// The span that it is joined to, by ids or by a tag; `None` where that has not ended
    /// here, and where it is joined to something else.
    pub fn span(&self) -> Option<FinishedSpan<'a>> {
        let mut spans = self.all?.spans().into_iter();
        spans.find(|span| belongs(self.event, span.json()))
    }

    /// The event as it would be sent.
    pub fn json(&self) -> &'a Value {
        self.event
    }

    /// Fails unless the value is `expected`.
    ///
    /// # Panics
    ///
    /// With the value, where it is another one.
    #[track_caller]
    pub fn assert_value(self, expected: impl IntoJson) -> Self {
        let expected = expected.into_json();
        if *self.value() != expected {
            let (label, value) = (self.label(), self.value());
            panic!("{label:?} has the value {value}, expected {expected}");
        }
        self
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.event.get(key)?.as_str()
    }
}

/// What one is joined to.
pub(super) enum Join<'a> {
    Span {
        span_id: &'a str,
        /// Feedback on a span names no trace.
        trace_id: Option<&'a str>,
    },
    Trace(&'a str),
    Tag {
        key: &'a str,
        value: &'a str,
    },
    Else,
}

/// Evaluations have `join_on` (golden 01), feedback has its target beside the rest (golden 20).
pub(super) fn join(event: &Value) -> Join<'_> {
    let text = |value: &'static str| event.pointer(value).and_then(Value::as_str);
    if let Some(span_id) = text("/join_on/span/span_id").or(text("/span_id")) {
        let trace_id = text("/join_on/span/trace_id").or(text("/trace_id"));
        return Join::Span { span_id, trace_id };
    }
    if let (Some(key), Some(value)) = (text("/join_on/tag/key"), text("/join_on/tag/value")) {
        return Join::Tag { key, value };
    }
    text("/trace_id").map_or(Join::Else, Join::Trace)
}

impl fmt::Debug for Submitted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.event, f)
    }
}
