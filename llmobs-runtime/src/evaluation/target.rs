//! What an evaluation is joined to, and whose it is.

use std::fmt;

use super::{EvaluationError, shortened};
use crate::capture;
use crate::client::Owner;
use crate::event::JoinOn;
use crate::id::SpanContext;
use crate::span::Span;

/// The span that an evaluation is joined to: by its ids or by a tag that only it carries.
///
/// Made by `From` out of a [`SpanContext`] or what [`export_span`](crate::export_span)
/// gives; a `None` is an error when the evaluation is submitted, and is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationTarget {
    target: Target,
    owner: Option<Owner>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    None,
    Span(SpanContext),
    Ids { span_id: String, trace_id: String },
    Tag { key: String, value: String },
}

impl EvaluationTarget {
    fn of(target: Target) -> Self {
        Self {
            target,
            owner: None,
        }
    }

    /// A span by ids that came from elsewhere. They are opaque text, not empty.
    pub fn span(span_id: impl Into<String>, trace_id: impl Into<String>) -> Self {
        Self::of(Target::Ids {
            span_id: span_id.into(),
            trace_id: trace_id.into(),
        })
    }

    /// The one span that carries the tag `key:value`.
    pub fn tag(key: impl Into<String>, value: impl fmt::Display) -> Self {
        Self::of(Target::Tag {
            key: key.into(),
            value: capture::told(&value).into(),
        })
    }

    /// Whose the span is, where it was given itself.
    pub(crate) fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    pub(super) fn join_on(self, label: &str) -> Result<JoinOn, EvaluationError> {
        let invalid = |reason: String| EvaluationError::InvalidTarget {
            label: label.to_owned(),
            reason,
        };
        match self.target {
            Target::None => Err(EvaluationError::NoSpan {
                label: label.to_owned(),
            }),
            Target::Span(context) => Ok(JoinOn::span(&context)),
            Target::Ids { span_id, trace_id } => SpanContext::new(span_id, trace_id)
                .map(|context| JoinOn::span(&context))
                .map_err(|error| invalid(error.to_string())),
            Target::Tag { key, value } if key.is_empty() => {
                let value = shortened(&value);
                Err(invalid(format!("the tag's key is empty (value {value:?})")))
            }
            Target::Tag { key, value } if value.is_empty() => {
                Err(invalid(format!("the value of the tag {key:?} is empty")))
            }
            Target::Tag { key, value } => Ok(JoinOn::tag(key, value)),
        }
    }
}

impl From<SpanContext> for EvaluationTarget {
    fn from(context: SpanContext) -> Self {
        Self::of(Target::Span(context))
    }
}

impl From<&SpanContext> for EvaluationTarget {
    fn from(context: &SpanContext) -> Self {
        Self::of(Target::Span(context.clone()))
    }
}

/// The span itself, which may have ended.
impl From<&Span> for EvaluationTarget {
    fn from(span: &Span) -> Self {
        Self {
            owner: Owner::of(span),
            ..Self::from(span.context())
        }
    }
}

impl From<Option<SpanContext>> for EvaluationTarget {
    fn from(context: Option<SpanContext>) -> Self {
        Self::of(context.map_or(Target::None, Target::Span))
    }
}

impl From<Option<&SpanContext>> for EvaluationTarget {
    fn from(context: Option<&SpanContext>) -> Self {
        context.cloned().into()
    }
}

impl From<&Option<SpanContext>> for EvaluationTarget {
    fn from(context: &Option<SpanContext>) -> Self {
        context.clone().into()
    }
}
