//! Evaluations: what was thought of a span, as a score, a category, a boolean or JSON.
//!
//! Building one cannot fail; submitting validates at once, in the order target, label,
//! value, timestamp, tags, and never does I/O.

mod target;

use std::fmt;

use serde_json::{Map, Value};

use crate::capture;
use crate::clock;
use crate::event::EvaluationEvent;
use crate::number::Number;
use crate::text::IntoText;
pub use target::EvaluationTarget;

/// The longest label that Datadog's rules allow, in characters.
const LONGEST_LABEL: usize = 200;

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
    label: String,
    value: EvaluationValue,
    tags: Vec<(String, String)>,
    ml_app: Option<String>,
    timestamp_ms: Option<i64>,
    metadata: Map<String, Value>,
    assessment: Option<Assessment>,
    reasoning: Option<String>,
    scope: EvaluationScope,
}

impl Evaluation {
    /// An evaluation under `label`, which starts with a letter and holds ASCII letters,
    /// digits and underscores, at most 200 (Datadog's rules; checked when it is submitted).
    pub fn new(label: impl Into<String>, value: impl Into<EvaluationValue>) -> Self {
        Self {
            label: label.into(),
            value: value.into(),
            tags: Vec::new(),
            ml_app: None,
            timestamp_ms: None,
            metadata: Map::new(),
            assessment: None,
            reasoning: None,
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
    pub fn sanitized(label: &str, value: impl Into<EvaluationValue>) -> Self {
        let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let prefix = match label.chars().next() {
            Some(first) if first.is_ascii_alphabetic() => "",
            _ => "x_",
        };
        let cleaned = prefix.chars().chain(label.chars().map(legal));
        Self::new(cleaned.take(LONGEST_LABEL).collect::<String>(), value)
    }

    /// The label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A tag, sent as `key:value`; the value is what its `Display` gives. It replaces a
    /// tag of the same key, also one that llmobs sets (`ddtrace.version`, `ml_app`).
    pub fn tag(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.tags.push((key.into(), value.to_string()));
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
        self.ml_app = ml_app
            .into_text()
            .map(String::from)
            .filter(|app| !app.is_empty());
        self
    }

    /// When the evaluation was made, in milliseconds since the Unix epoch; it must be
    /// positive. Default: when it is submitted.
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// Further data, one key at a time.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Whether the value is good enough.
    pub fn assessment(mut self, assessment: Assessment) -> Self {
        self.assessment = Some(assessment);
        self
    }

    /// Why the value is what it is. Empty text is left out.
    pub fn reasoning(mut self, reasoning: impl IntoText) -> Self {
        self.reasoning = reasoning
            .into_text()
            .map(String::from)
            .filter(|reasoning| !reasoning.is_empty());
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
        let join_on = target.join_on(&self.label)?;
        check_label(&self.label)?;
        let label = self.label;
        let value = self.value.checked(&label)?;
        let timestamp_ms = match self.timestamp_ms {
            None => clock::unix_ms(),
            Some(given) => u64::try_from(given)
                .ok()
                .filter(|timestamp| *timestamp > 0)
                .ok_or_else(|| EvaluationError::InvalidTimestamp {
                    label: label.clone(),
                    timestamp_ms: given,
                })?,
        };
        if let Some((_, value)) = self.tags.iter().find(|(key, _)| key.is_empty()) {
            let value = value.clone();
            return Err(EvaluationError::InvalidTag { label, value });
        }
        let ml_app = self.ml_app.unwrap_or_else(|| ml_app.to_owned());
        let mut event = EvaluationEvent::new(label, join_on, self.scope, ml_app, timestamp_ms);
        event.add_tags(self.tags);
        event.set_value(value);
        event.assessment = self.assessment;
        event.reasoning = self.reasoning;
        event.metadata = capture::bound_map(self.metadata);
        Ok(event)
    }
}

fn check_label(label: &str) -> Result<(), EvaluationError> {
    let rule = match label.chars().next() {
        None => "it must not be empty",
        Some(first) if !first.is_ascii_alphabetic() => "it must start with an ASCII letter",
        Some(_) if label.len() > LONGEST_LABEL => "it must have at most 200 characters",
        Some(_) => {
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if label.chars().all(legal) {
                return Ok(());
            }
            "it may hold only ASCII letters, digits and underscores"
        }
    };
    let label = label.to_owned();
    Err(EvaluationError::InvalidLabel { label, rule })
}

/// The value of an evaluation; made by `From` out of numbers, text, bools and JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationValue(Repr);

#[derive(Clone, Debug, PartialEq)]
enum Repr {
    Score(Number),
    Categorical(String),
    Boolean(bool),
    Json(Map<String, Value>),
    /// JSON that is no metric: an array or null.
    Neither(Value),
}

/// A value that may be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CheckedValue {
    Score(Value),
    Categorical(String),
    Boolean(bool),
    Json(Map<String, Value>),
}

impl EvaluationValue {
    fn checked(self, label: &str) -> Result<CheckedValue, EvaluationError> {
        let invalid = |value: String| EvaluationError::InvalidValue {
            label: label.to_owned(),
            value,
        };
        Ok(match self.0 {
            Repr::Score(number) => CheckedValue::Score(
                number
                    .to_json()
                    .ok_or_else(|| invalid(number.to_string()))?,
            ),
            Repr::Categorical(text) => CheckedValue::Categorical(text),
            Repr::Boolean(flag) => CheckedValue::Boolean(flag),
            Repr::Json(map) => CheckedValue::Json(capture::bound_map(map)),
            Repr::Neither(value) => {
                return Err(invalid(shortened(&capture::bound(value).to_string())));
            }
        })
    }
}

/// The beginning of a value that is shown in an error.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl<T: Into<Number>> From<T> for EvaluationValue {
    fn from(number: T) -> Self {
        Self(Repr::Score(number.into()))
    }
}

macro_rules! from {
    ($($ty:ty: |$value:ident| $repr:expr;)*) => {$(
        impl From<$ty> for EvaluationValue {
            fn from($value: $ty) -> Self {
                Self($repr)
            }
        }
    )*};
}

from! {
    &str: |text| Repr::Categorical(text.to_owned());
    String: |text| Repr::Categorical(text);
    &String: |text| Repr::Categorical(text.clone());
    bool: |flag| Repr::Boolean(flag);
    Value: |value| match value {
        Value::Bool(flag) => Repr::Boolean(flag),
        Value::String(text) => Repr::Categorical(text),
        Value::Object(map) => Repr::Json(map),
        Value::Number(number) => Repr::Score(from_json(&number)),
        Value::Null | Value::Array(_) => Repr::Neither(value),
    };
}

fn from_json(number: &serde_json::Number) -> Number {
    if let Some(signed) = number.as_i64() {
        signed.into()
    } else if let Some(unsigned) = number.as_u64() {
        unsigned.into()
    } else {
        number.as_f64().unwrap_or(f64::NAN).into()
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

/// Why an evaluation was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// There was no span to export where the target was made.
    #[error(
        "evaluation {label:?} has no span: no span was current where export_span was called; \
         call it inside the annotated function, or give the span itself (&span)"
    )]
    NoSpan {
        /// The evaluation's label.
        label: String,
    },
    /// The ids or the tag of the target are not usable.
    #[error("evaluation {label:?} has an unusable target: {reason}")]
    InvalidTarget {
        /// The evaluation's label.
        label: String,
        /// What is wrong, with the value.
        reason: String,
    },
    /// The label breaks Datadog's rules.
    #[error("{label:?} is no label for an evaluation: {rule}; see `Evaluation::sanitized`")]
    InvalidLabel {
        /// What was given.
        label: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The value is no metric.
    #[error(
        "evaluation {label:?} cannot have the value {value}: expected a finite number, text, \
         a bool or a JSON object"
    )]
    InvalidValue {
        /// The evaluation's label.
        label: String,
        /// What was given.
        value: String,
    },
    /// The timestamp is not positive.
    #[error(
        "evaluation {label:?} has the timestamp {timestamp_ms}: expected milliseconds since \
         the Unix epoch, above 0"
    )]
    InvalidTimestamp {
        /// The evaluation's label.
        label: String,
        /// What was given.
        timestamp_ms: i64,
    },
    /// A tag has an empty key.
    #[error("evaluation {label:?} has a tag with an empty key (value {value:?})")]
    InvalidTag {
        /// The evaluation's label.
        label: String,
        /// The tag's value.
        value: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SpanContext;
    use serde_json::json;

    fn submit(evaluation: Evaluation) -> Result<EvaluationEvent, EvaluationError> {
        evaluation.into_event(EvaluationTarget::span("1", "2"), "app")
    }

    #[test]
    fn the_type_of_the_value_is_the_type_of_the_metric() {
        let cases: [(EvaluationValue, &str, Value); 8] = [
            (10.into(), "score", json!(10)),
            (0.5.into(), "score", json!(0.5)),
            (u64::MAX.into(), "score", json!(u64::MAX)),
            ("positive".into(), "categorical", json!("positive")),
            (true.into(), "boolean", json!(true)),
            (json!({"é": "☃"}).into(), "json", json!({"é": "☃"})),
            (json!(3).into(), "score", json!(3)),
            (json!("text").into(), "categorical", json!("text")),
        ];
        for (value, kind, expected) in cases {
            let event = serde_json::to_value(submit(Evaluation::new("l", value)).unwrap()).unwrap();
            assert_eq!(event["metric_type"], kind);
            assert_eq!(event[format!("{kind}_value")], expected);
        }
    }

    #[test]
    fn what_is_no_metric_is_an_error_that_shows_it() {
        for (value, shown) in [
            (f64::NAN.into(), "NaN"),
            (f32::INFINITY.into(), "inf"),
            (json!([1, 2]).into(), "[1,2]"),
            (Value::Null.into(), "null"),
        ] {
            let value: EvaluationValue = value;
            let error = submit(Evaluation::new("l", value)).unwrap_err();
            assert!(matches!(error, EvaluationError::InvalidValue { .. }));
            assert!(error.to_string().contains(shown), "{error}");
        }
    }

    #[test]
    fn json_without_a_bottom_is_cut_and_hurts_nobody() {
        let deep = |level: fn(Value) -> Value| (0..100_000).fold(json!(1), |value, _| level(value));
        let object = || deep(|value| Value::Object(Map::from_iter([("k".into(), value)])));
        let event = submit(Evaluation::new("l", object()).metadata("m", object())).unwrap();
        assert!(crate::weight::of_evaluation(&event) < 10_000);
        let event = serde_json::to_string(&event).unwrap();
        assert_eq!(event.matches("deeper than 64 levels").count(), 2, "{event}");
        let array = Evaluation::new("l", deep(|value| Value::Array(vec![value])));
        let error = submit(array).unwrap_err();
        assert!(matches!(error, EvaluationError::InvalidValue { .. }));
    }

    #[test]
    fn a_label_follows_the_rules_or_is_refused_with_the_rule() {
        for label in ["", "1st", "_x", "a b", "a.b", "é", &"a".repeat(201)] {
            let error = submit(Evaluation::new(label, 1)).unwrap_err();
            let named =
                matches!(&error, EvaluationError::InvalidLabel { label: l, .. } if l == label);
            assert!(named, "{error}");
            submit(Evaluation::sanitized(label, 1)).unwrap();
        }
        for label in ["a", "score_int", "A1_", &"a".repeat(200)] {
            submit(Evaluation::new(label, 1)).unwrap();
        }
    }

    #[test]
    fn validation_goes_target_label_value_timestamp_tags() {
        let worst = || {
            Evaluation::new("a b", f64::NAN)
                .timestamp_ms(-1)
                .tag("", "v")
        };
        let none = EvaluationTarget::from(None::<SpanContext>);
        let error = worst().into_event(none, "app").unwrap_err();
        assert!(matches!(error, EvaluationError::NoSpan { .. }));
        let error = submit(worst()).unwrap_err();
        assert!(matches!(error, EvaluationError::InvalidLabel { .. }));
        let error = submit(Evaluation {
            label: "l".into(),
            ..worst()
        })
        .unwrap_err();
        assert!(matches!(error, EvaluationError::InvalidValue { .. }));
        let error = submit(Evaluation::new("l", 1).timestamp_ms(-1).tag("", "v")).unwrap_err();
        assert!(matches!(error, EvaluationError::InvalidTimestamp { .. }));
        let error = submit(Evaluation::new("l", 1).tag("", "v")).unwrap_err();
        assert!(matches!(error, EvaluationError::InvalidTag { .. }));
    }

    #[test]
    fn an_empty_id_or_tag_is_refused() {
        for target in [
            EvaluationTarget::span("", "t"),
            EvaluationTarget::span("s", ""),
            EvaluationTarget::tag("", "v"),
            EvaluationTarget::tag("k", ""),
        ] {
            let error = Evaluation::new("l", 1)
                .into_event(target, "app")
                .unwrap_err();
            assert!(matches!(error, EvaluationError::InvalidTarget { .. }));
        }
    }
}
