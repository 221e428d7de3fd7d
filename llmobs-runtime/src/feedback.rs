//! Feedback of end users: what somebody said of a span, a trace, a session, or of anything
//! with a key of its own.
//!
//! Building one cannot fail; submitting validates at once, in the order target, label,
//! value, timestamp, tags, submitter, and never does I/O.

mod error;
mod submitter;
mod target;
mod value;

use std::fmt;

use crate::evaluation::Assessment;
use crate::evaluation::details::{self, Details};
use crate::event::FeedbackEvent;
use crate::given::{IntoFeedbackValue, IntoSubmitter};
use crate::text::IntoText;
pub use error::FeedbackError;
pub use submitter::Submitter;
pub use target::FeedbackTarget;
pub use value::FeedbackValue;

/// Feedback of an end user: a label, a value whose type says what sort of metric it is, and
/// who gave it.
///
/// | value | metric type on the wire |
/// |---|---|
/// | an integer or a float | `score` |
/// | text | `categorical` |
/// | a bool | `boolean` |
/// | a JSON object | `json` |
/// | [`FeedbackValue::text`] | `text`: free words, which form no categories |
///
/// JSON in the value is bounded as in an [`Evaluation`](crate::Evaluation).
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Assessment, Feedback, FeedbackValue, Submitter};
///
/// let thumbs = Feedback::new("thumbs_up", true, "user-17").assessment(Assessment::Pass);
/// let comment = Feedback::new(
///     "comment",
///     FeedbackValue::text("The second link is dead."),
///     Submitter::new("agent-3").of_type("support"),
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "feedback does nothing until it is submitted"]
pub struct Feedback {
    details: Details,
    value: FeedbackValue,
    submitter: Submitter,
}

impl Feedback {
    /// Feedback under `label`, which starts with a letter and holds ASCII letters, digits and
    /// underscores, at most 200 (Datadog's rules; checked when it is submitted), from
    /// `submitter`, a [`Submitter`] or the id of one.
    ///
    /// ```
    /// # use llmobs_runtime::Feedback;
    /// let stars = Feedback::new("stars", 4, "user-17");
    /// # assert_eq!(stars.label(), "stars");
    /// ```
    pub fn new(
        label: impl Into<String>,
        value: impl IntoFeedbackValue,
        submitter: impl IntoSubmitter,
    ) -> Self {
        Self {
            details: Details::new(label),
            value: value.into_feedback_value(),
            submitter: submitter.into_submitter(),
        }
    }

    /// The same for a label that comes from elsewhere, made legal as by
    /// [`Evaluation::sanitized`](crate::Evaluation::sanitized).
    ///
    /// ```
    /// # use llmobs_runtime::Feedback;
    /// let stars = Feedback::sanitized("user rating (1-5)", 4, "user-17");
    /// assert_eq!(stars.label(), "user_rating__1_5_");
    /// ```
    pub fn sanitized(
        label: &str,
        value: impl IntoFeedbackValue,
        submitter: impl IntoSubmitter,
    ) -> Self {
        Self::new(details::sanitized(label), value, submitter)
    }

    /// The label.
    pub fn label(&self) -> &str {
        &self.details.label
    }

    /// A tag, sent as `key:value`; the value is what its `Display` gives. It replaces a
    /// tag of the same key, also one that llmobs sets (`ddtrace.version`, `ml_app`).
    ///
    /// ```
    /// # use llmobs_runtime::Feedback;
    /// let stars = Feedback::new("stars", 4, "user-17").tag("page", "checkout");
    /// ```
    pub fn tag(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.details.tag(key, value);
        self
    }

    /// Several tags.
    ///
    /// ```
    /// # use llmobs_runtime::Feedback;
    /// let stars = Feedback::new("stars", 4, "user-17").tags([("page", "checkout"), ("os", "ios")]);
    /// ```
    pub fn tags<K: Into<String>, V: fmt::Display>(
        mut self,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        for (key, value) in tags {
            self = self.tag(key, value);
        }
        self
    }

    /// The application, in place of the configured one. Empty text is left out.
    ///
    /// ```
    /// # use llmobs_runtime::Feedback;
    /// let stars = Feedback::new("stars", 4, "user-17").ml_app("support-chat");
    /// ```
    pub fn ml_app(mut self, ml_app: impl IntoText) -> Self {
        self.details.ml_app(ml_app);
        self
    }

    /// When the feedback was given, in milliseconds since the Unix epoch; it must be
    /// positive. Default: when it is submitted.
    ///
    /// ```
    /// # use llmobs_runtime::Feedback;
    /// let stars = Feedback::new("stars", 4, "user-17").timestamp_ms(1_700_000_000_000);
    /// ```
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.details.timestamp_ms(timestamp_ms);
        self
    }

    /// Whether the value is a good one.
    ///
    /// ```
    /// # use llmobs_runtime::{Assessment, Feedback};
    /// let stars = Feedback::new("stars", 1, "user-17").assessment(Assessment::Fail);
    /// ```
    pub fn assessment(mut self, assessment: Assessment) -> Self {
        self.details.assessment(assessment);
        self
    }

    /// Why the value is what it is. Empty text is left out.
    ///
    /// ```
    /// # use llmobs_runtime::Feedback;
    /// let stars = Feedback::new("stars", 1, "user-17").reasoning("it took a minute");
    /// ```
    pub fn reasoning(mut self, reasoning: impl IntoText) -> Self {
        self.details.reasoning(reasoning);
        self
    }

    /// Validates and gives the event. `ml_app` stands for feedback that names none.
    pub(crate) fn into_event(
        self,
        target: FeedbackTarget,
        ml_app: &str,
    ) -> Result<FeedbackEvent, FeedbackError> {
        let target = target.checked(&self.details.label)?;
        let value = self.value;
        let checked = self.details.checked(|| value.checked(), ml_app);
        let checked = checked.map_err(|(label, fault)| FeedbackError::of(label, fault))?;
        let submitter = self.submitter.checked(&checked.label)?;
        Ok(FeedbackEvent::new(checked, target, submitter))
    }
}

#[cfg(test)]
mod tests;
