//! What evaluations and feedback carry beside their value, and the rules for it.

use std::fmt;

use super::Assessment;
use crate::capture;
use crate::clock;
use crate::text::IntoText;

/// The longest label that Datadog's rules allow, in characters.
const LONGEST_LABEL: usize = 200;

/// Label, tags and remarks, as they were given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Details {
    pub(crate) label: String,
    tags: Vec<(String, String)>,
    ml_app: Option<String>,
    timestamp_ms: Option<i64>,
    assessment: Option<Assessment>,
    reasoning: Option<String>,
}

/// The same as it may be sent, with the value.
pub(crate) struct Checked<V> {
    pub(crate) label: String,
    pub(crate) value: V,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) ml_app: String,
    pub(crate) timestamp_ms: u64,
    pub(crate) assessment: Option<Assessment>,
    pub(crate) reasoning: Option<String>,
}

/// What is wrong with a detail or with the value, to become an error that names the label.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The rule that the label breaks.
    Label(&'static str),
    /// The value, which is no metric.
    Value(String),
    /// The timestamp, which is not positive.
    Timestamp(i64),
    /// The value of the tag whose key is empty.
    Tag(String),
}

impl Details {
    pub(crate) fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            tags: Vec::new(),
            ml_app: None,
            timestamp_ms: None,
            assessment: None,
            reasoning: None,
        }
    }

    pub(crate) fn tag(&mut self, key: impl Into<String>, value: impl fmt::Display) {
        self.tags.push((key.into(), capture::told(&value).into()));
    }

    pub(crate) fn ml_app(&mut self, ml_app: impl IntoText) {
        self.ml_app = not_empty(ml_app);
    }

    pub(crate) fn timestamp_ms(&mut self, timestamp_ms: i64) {
        self.timestamp_ms = Some(timestamp_ms);
    }

    pub(crate) fn assessment(&mut self, assessment: Assessment) {
        self.assessment = Some(assessment);
    }

    pub(crate) fn reasoning(&mut self, reasoning: impl IntoText) {
        self.reasoning = not_empty(reasoning);
    }

    /// Validates in the order label, value, timestamp, tags. `ml_app` stands where none is
    /// named; `value` gives the value, or its text where it is no metric.
    pub(crate) fn checked<V>(
        self,
        value: impl FnOnce() -> Result<V, String>,
        ml_app: &str,
    ) -> Result<Checked<V>, (String, Fault)> {
        match self.faultless(value) {
            Ok((value, timestamp_ms)) => Ok(Checked {
                label: self.label,
                value,
                tags: self.tags,
                ml_app: self.ml_app.unwrap_or_else(|| ml_app.to_owned()),
                timestamp_ms,
                assessment: self.assessment,
                reasoning: self.reasoning,
            }),
            Err(fault) => Err((self.label, fault)),
        }
    }

    fn faultless<V>(&self, value: impl FnOnce() -> Result<V, String>) -> Result<(V, u64), Fault> {
        if let Some(rule) = broken_rule(&self.label) {
            return Err(Fault::Label(rule));
        }
        let value = value().map_err(Fault::Value)?;
        let timestamp_ms = match self.timestamp_ms {
            None => clock::unix_ms(),
            Some(given) => u64::try_from(given)
                .ok()
                .filter(|timestamp| *timestamp > 0)
                .ok_or(Fault::Timestamp(given))?,
        };
        match self.tags.iter().find(|(key, _)| key.is_empty()) {
            Some((_, value)) => Err(Fault::Tag(value.clone())),
            None => Ok((value, timestamp_ms)),
        }
    }
}

fn not_empty(text: impl IntoText) -> Option<String> {
    let text = text.into_text().map(String::from);
    text.filter(|text| !text.is_empty())
}

/// A label made legal: [`Evaluation::sanitized`](super::Evaluation::sanitized) says how.
pub(crate) fn sanitized(label: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let prefix = match label.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => "",
        _ => "x_",
    };
    let cleaned = prefix.chars().chain(label.chars().map(legal));
    cleaned.take(LONGEST_LABEL).collect()
}

/// The rule of Datadog that a label breaks, if it breaks one.
fn broken_rule(label: &str) -> Option<&'static str> {
    match label.chars().next() {
        None => Some("it must not be empty"),
        Some(first) if !first.is_ascii_alphabetic() => Some("it must start with an ASCII letter"),
        Some(_) if label.len() > LONGEST_LABEL => Some("it must have at most 200 characters"),
        Some(_) => {
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let all = label.chars().all(legal);
            (!all).then_some("it may hold only ASCII letters, digits and underscores")
        }
    }
}
