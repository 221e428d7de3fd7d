//! Evaluations: what was thought of a span, as a score, a category, a boolean or JSON.
//!
//! Building one cannot fail; submitting validates at once, in the order target, label,
//! value, timestamp, tags, and never does I/O.

pub(crate) mod details;
mod error;
mod target;
mod value;

use std::fmt;

use serde_json::{Map, Value};

use crate::capture;
use crate::event::EvaluationEvent;
use crate::given::{IntoEvaluationValue, IntoJson};
use crate::text::IntoText;
use details::Details;
pub use error::EvaluationError;
pub use target::EvaluationTarget;
pub use value::EvaluationValue;
pub(crate) use value::{CheckedValue, shortened};

/// An evaluation: a label, and a value whose type says what sort of metric it is.
///
/// | value | metric type on the wire |
/// |---|---|
/// | an integer or a float | `score` |
/// | text | `categorical` |
/// | a bool | `boolean` |
/// | a JSON object | `json` |
///
/// JSON, in the value or in the metadata, holds 5,000,000 bytes of text, 100,000 values and
/// 64 levels; what is beyond is cut and marked, as in an [`Annotation`](crate::Annotation).
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Assessment, Evaluation};
///
/// let evaluation = Evaluation::new("faithfulness", 0.9)
///     .assessment(Assessment::Pass)
///     .reasoning("every sentence is in the passages")
///     .tag("evaluator", "overlap");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an evaluation does nothing until it is submitted"]
pub struct Evaluation {
    details: Details,
    value: EvaluationValue,
    metadata: Map<String, Value>,
    scope: EvaluationScope,
}

impl Evaluation {
    /// An evaluation under `label`, which starts with a letter and holds ASCII letters,
    /// digits and underscores, at most 200 (Datadog's rules; checked when it is submitted).
    pub fn new(label: impl Into<String>, value: impl IntoEvaluationValue) -> Self {
        Self {
            details: Details::new(label),
            value: value.into_evaluation_value(),
            metadata: Map::new(),
            scope: EvaluationScope::Span,
        }
    }

    /// The same for a label that comes from elsewhere: what the rules do not allow becomes
    /// an underscore, a label that does not start with a letter gets an `x_` before it, and
    /// what is longer than 200 characters is cut.
    ///
    /// ```
    /// # use llmobs_runtime::Evaluation;
    /// assert_eq!(Evaluation::sanitized("user rating (1-5)", 4).label(), "user_rating__1_5_");
    /// ```
    pub fn sanitized(label: &str, value: impl IntoEvaluationValue) -> Self {
        Self::new(details::sanitized(label), value)
    }

    /// The label.
    pub fn label(&self) -> &str {
        &self.details.label
    }

    /// A tag, sent as `key:value`; the value is what its `Display` gives. It replaces a
    /// tag of the same key, also one that llmobs sets (`ddtrace.version`, `ml_app`).
    pub fn tag(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.details.tag(key, value);
        self
    }

    /// Several tags.
    pub fn tags<K: Into<String>, V: fmt::Display>(
        mut self,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        for (key, value) in tags {
            self = self.tag(key, value);
        }
        self
    }

    /// The application, in place of the configured one.
    pub fn ml_app(mut self, ml_app: impl IntoText) -> Self {
        self.details.ml_app(ml_app);
        self
    }

    /// When the evaluation was made, in milliseconds since the Unix epoch; it must be
    /// positive. Default: when it is submitted.
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.details.timestamp_ms(timestamp_ms);
        self
    }

    /// Further data, one key at a time.
    pub fn metadata(mut self, key: impl Into<String>, value: impl IntoJson) -> Self {
        self.metadata.insert(key.into(), value.into_json());
        self
    }

    /// Whether the value is good enough.
    pub fn assessment(mut self, assessment: Assessment) -> Self {
        self.details.assessment(assessment);
        self
    }

    /// Why the value is what it is. Empty text is left out.
    pub fn reasoning(mut self, reasoning: impl IntoText) -> Self {
        self.details.reasoning(reasoning);
        self
    }

    /// Whether the value speaks of the span (the default) or of the whole trace; for a
    /// trace, join it to the root span.
    pub fn scope(mut self, scope: EvaluationScope) -> Self {
        self.scope = scope;
        self
    }

    /// Validates and gives the event. `ml_app` stands for evaluations that name none.
    pub(crate) fn into_event(
        self,
        target: EvaluationTarget,
        ml_app: &str,
    ) -> Result<EvaluationEvent, EvaluationError> {
        let join_on = target.join_on(&self.details.label)?;
        let value = self.value;
        let checked = self.details.checked(|| value.checked(), ml_app);
        let checked = checked.map_err(|(label, fault)| EvaluationError::of(label, fault))?;
        let mut event = EvaluationEvent::new(
            checked.label,
            join_on,
            self.scope,
            checked.ml_app,
            checked.timestamp_ms,
        );
        event.add_tags(checked.tags);
        event.set_value(checked.value);
        event.assessment = checked.assessment;
        event.reasoning = checked.reasoning;
        event.metadata = capture::bound_map(self.metadata);
        Ok(event)
    }
}

/// Whether a value is good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assessment {
    /// It is.
    Pass,
    /// It is not.
    Fail,
}

/// What an evaluation speaks of.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum EvaluationScope {
    /// The span that it is joined to.
    #[default]
    Span,
    /// The trace of that span, which should be its root.
    Trace,
}

#[cfg(test)]
mod tests;
