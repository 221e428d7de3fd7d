//! What feedback is about.

use super::FeedbackError;
use crate::client::Owner;
use crate::event::FeedbackSubject;
use crate::id::SpanContext;
use crate::span::Span;

/// What feedback is about: a span, a trace, a session, or whatever shares a join key.
///
/// Made by `From` out of a [`SpanContext`] or what [`export_span`](crate::export_span)
/// gives, of which the span's id is sent; a `None` is an error when the feedback is
/// submitted, and is counted.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{FeedbackTarget, SpanContext};
///
/// let stored: SpanContext = "6b029035000000005af1d0824f64ccff:123".parse()?;
/// assert_eq!(FeedbackTarget::from(&stored), FeedbackTarget::span_id("123"));
/// let whole = FeedbackTarget::trace_id(stored.trace_id());
/// # Ok::<(), llmobs_runtime::SpanContextError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedbackTarget {
    /// `None` where there was no span to export.
    subject: Option<FeedbackSubject>,
    owner: Option<Owner>,
}

impl FeedbackTarget {
    fn of(subject: FeedbackSubject) -> Self {
        Self {
            subject: Some(subject),
            owner: None,
        }
    }

    /// A span by its id, which is opaque text and not empty.
    ///
    /// ```
    /// # use llmobs_runtime::FeedbackTarget;
    /// let target = FeedbackTarget::span_id("5242116139924211");
    /// ```
    pub fn span_id(span_id: impl Into<String>) -> Self {
        Self::of(FeedbackSubject::SpanId(span_id.into()))
    }

    /// A whole trace by the id that [`SpanContext::trace_id`] gives.
    ///
    /// ```
    /// # use llmobs_runtime::FeedbackTarget;
    /// let target = FeedbackTarget::trace_id("6b029035000000005af1d0824f64ccff");
    /// ```
    pub fn trace_id(trace_id: impl Into<String>) -> Self {
        Self::of(FeedbackSubject::TraceId(trace_id.into()))
    }

    /// A session by the id that its spans were given.
    ///
    /// ```
    /// # use llmobs_runtime::FeedbackTarget;
    /// let target = FeedbackTarget::session_id("chat-9");
    /// ```
    pub fn session_id(session_id: impl Into<String>) -> Self {
        Self::of(FeedbackSubject::SessionId(session_id.into()))
    }

    /// Something outside of llmobs, such as an order or a ticket: the spans that belong to
    /// it carry the tag `feedback_join_key:<key>`.
    ///
    /// ```
    /// # use llmobs_runtime::FeedbackTarget;
    /// let target = FeedbackTarget::join_key("order-4711");
    /// ```
    pub fn join_key(key: impl Into<String>) -> Self {
        Self::of(FeedbackSubject::FeedbackJoinKey(key.into()))
    }

    /// Whose it is, where the span was given itself.
    pub(crate) fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    pub(super) fn checked(self, label: &str) -> Result<FeedbackSubject, FeedbackError> {
        let label = || label.to_owned();
        match self.subject {
            None => Err(FeedbackError::NoSpan { label: label() }),
            Some(subject) if subject.id().is_empty() => Err(FeedbackError::InvalidTarget {
                label: label(),
                reason: format!("the {} is empty", subject.name()),
            }),
            Some(subject) => Ok(subject),
        }
    }
}

impl From<&SpanContext> for FeedbackTarget {
    fn from(context: &SpanContext) -> Self {
        Self::span_id(context.span_id())
    }
}

impl From<SpanContext> for FeedbackTarget {
    fn from(context: SpanContext) -> Self {
        (&context).into()
    }
}

/// The span itself, which may have ended.
impl From<&Span> for FeedbackTarget {
    fn from(span: &Span) -> Self {
        Self {
            owner: Owner::of(span),
            ..Self::from(span.context())
        }
    }
}

impl From<Option<&SpanContext>> for FeedbackTarget {
    fn from(context: Option<&SpanContext>) -> Self {
        const NOTHING: FeedbackTarget = FeedbackTarget {
            subject: None,
            owner: None,
        };
        context.map_or(NOTHING, Self::from)
    }
}

impl From<Option<SpanContext>> for FeedbackTarget {
    fn from(context: Option<SpanContext>) -> Self {
        context.as_ref().into()
    }
}

impl From<&Option<SpanContext>> for FeedbackTarget {
    fn from(context: &Option<SpanContext>) -> Self {
        context.as_ref().into()
    }
}
