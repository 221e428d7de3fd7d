//! The value of feedback: what an evaluation takes, and free text.

use crate::evaluation::EvaluationValue;
use crate::event::FeedbackMetric;

/// The value of feedback: made by `From` out of all that an [`EvaluationValue`] is made of,
/// and by [`text`](Self::text) out of free words.
///
/// A plain string is a category, as in an evaluation: one of a few that can be counted.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::FeedbackValue;
///
/// let category: FeedbackValue = "too_long".into();
/// let words = FeedbackValue::text("I stopped reading after the third paragraph.");
/// assert_ne!(FeedbackValue::from("too_long"), FeedbackValue::text("too_long"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FeedbackValue(Repr);

#[derive(Clone, Debug, PartialEq)]
enum Repr {
    Metric(EvaluationValue),
    Text(String),
}

impl FeedbackValue {
    /// Free words, of any length that fits into a request.
    ///
    /// ```
    /// # use llmobs_runtime::{Feedback, FeedbackValue};
    /// let comment = Feedback::new("comment", FeedbackValue::text("Just what I needed."), "user-17");
    /// ```
    pub fn text(text: impl Into<String>) -> Self {
        Self(Repr::Text(text.into()))
    }

    /// The value as it may be sent, or its text where it is no metric.
    pub(super) fn checked(self) -> Result<FeedbackMetric, String> {
        match self.0 {
            Repr::Metric(value) => value.checked().map(FeedbackMetric::from),
            Repr::Text(text_value) => Ok(FeedbackMetric::Text { text_value }),
        }
    }
}

impl<T: Into<EvaluationValue>> From<T> for FeedbackValue {
    fn from(value: T) -> Self {
        Self(Repr::Metric(value.into()))
    }
}
