//! A row of the Evaluations API as an evaluation: version 2, and version 1, which has the
//! span's ids beside the label.
//!
//! What is not understood is refused by name: nothing of a row is lost on the way.

use std::time::Duration;

use serde_json::{Map, Number, Value};

use super::envelope::{self, TAGS};
use super::result::{Rejection, RejectionCode as Code};
use crate::evaluation::{Assessment, Evaluation, EvaluationScope, EvaluationTarget, shortened};
use crate::event::EvaluationEvent;

/// The metric types, and the keys of their values.
const TYPES: [(&str, &str); 4] = [
    ("score", "score_value"),
    ("categorical", "categorical_value"),
    ("boolean", "boolean_value"),
    ("json", "json_value"),
];

/// The other keys of a row.
const KEYS: [&str; 16] = [
    "join_on",
    "span_id",
    "trace_id",
    "label",
    "metric_type",
    "timestamp_ms",
    "timestamp",
    "tags",
    "ml_app",
    "assessment",
    "reasoning",
    "metadata",
    "eval_scope",
    "event_kind",
    // The server's, in its answers; the documentation has it in capitals as well.
    "id",
    "ID",
];

/// The end of the year 9999: a timestamp of seconds beyond it is one of milliseconds.
const LAST_SECOND: u64 = 253_402_300_799;

/// The event of a row, with the tags that every row gets.
pub(super) fn event(
    row: Value,
    common_tags: &[String],
    ml_app: &str,
) -> Result<EvaluationEvent, Rejection> {
    let Value::Object(fields) = row else {
        let reason = format!("{} is no JSON object", shortened(&row.to_string()));
        return Err(Rejection::new(Code::NotAnObject, reason));
    };
    let mut row = Row(fields);
    row.only_known_keys()?;
    let target = row.target()?;
    let label = row.label()?;
    let mut evaluation = Evaluation::new(label, row.value()?);
    if let Some(timestamp_ms) = row.timestamp_ms()? {
        evaluation = evaluation.timestamp_ms(timestamp_ms);
    }
    let tags = row.tags()?;
    evaluation = evaluation
        .ml_app(row.text("ml_app", Code::InvalidMlApp)?)
        .reasoning(row.text("reasoning", Code::InvalidReasoning)?)
        .scope(row.scope()?);
    if let Some(assessment) = row.assessment()? {
        evaluation = evaluation.assessment(assessment);
    }
    for (key, value) in row.metadata()? {
        evaluation = evaluation.metadata(key, value);
    }
    row.event_kind()?;
    let mut event = evaluation.into_event(target, ml_app)?;
    event.add_wire_tags(common_tags.iter().cloned().chain(tags));
    Ok(event)
}

struct Row(Map<String, Value>);

impl Row {
    /// A field's value; null is no value.
    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key).filter(|value| !value.is_null())
    }

    fn only_known_keys(&self) -> Result<(), Rejection> {
        let known = |key: &str| KEYS.contains(&key) || TYPES.iter().any(|(_, value)| *value == key);
        match self.0.keys().find(|key| !known(key)) {
            Some(key) => Err(unknown_key(key)),
            None => Ok(()),
        }
    }

    fn target(&mut self) -> Result<EvaluationTarget, Rejection> {
        let ids = (self.take("span_id"), self.take("trace_id"));
        match (self.take("join_on"), ids) {
            (Some(join_on), (None, None)) => join(join_on),
            (Some(join_on), ids) => {
                let target = join(join_on)?;
                if span(ids, "")? == target {
                    return Ok(target);
                }
                let reason = "`join_on` and `span_id`/`trace_id` name different spans";
                Err(invalid_join(reason))
            }
            (None, (None, None)) => Err(invalid_join(
                "`join_on` is missing, and there is no `span_id` and `trace_id` either",
            )),
            (None, ids) => span(ids, ""),
        }
    }

    fn label(&mut self) -> Result<String, Rejection> {
        let reason = match self.take("label") {
            Some(Value::String(label)) => return Ok(label),
            Some(other) => expected("label", "a text", &other),
            None => return Err(Rejection::new(Code::MissingLabel, "`label` is missing")),
        };
        Err(Rejection::new(Code::InvalidLabel, reason))
    }

    fn value(&mut self) -> Result<Value, Rejection> {
        const ALLOWED: &str = "\"score\", \"categorical\", \"boolean\" or \"json\"";
        let given = self.take("metric_type").ok_or_else(|| {
            let reason = format!("`metric_type` is missing: expected {ALLOWED}");
            Rejection::new(Code::InvalidMetricType, reason)
        })?;
        // ddtrace takes them in any case.
        let name = given.as_str().unwrap_or_default().to_lowercase();
        let Some((name, key)) = TYPES.into_iter().find(|(known, _)| *known == name) else {
            let reason = expected("metric_type", ALLOWED, &given);
            return Err(Rejection::new(Code::InvalidMetricType, reason));
        };
        let mismatch = |reason: String| Err(Rejection::new(Code::TypeMismatch, reason));
        let value = self.take(key);
        if let Some((_, other)) = TYPES
            .into_iter()
            .find(|(_, other)| self.take(other).is_some())
        {
            return mismatch(format!("`metric_type` is {name:?}, but `{other}` is given"));
        }
        let Some(value) = value else {
            let reason = format!("`metric_type` is {name:?}, but `{key}` is missing");
            return Err(Rejection::new(Code::InvalidValue, reason));
        };
        match (name, &value) {
            ("score", Value::Number(_))
            | ("categorical", Value::String(_))
            | ("boolean", Value::Bool(_))
            | ("json", Value::Object(_)) => Ok(value),
            ("score", _) => mismatch(expected(key, "a number", &value)),
            ("categorical", _) => mismatch(expected(key, "a text", &value)),
            ("boolean", _) => mismatch(expected(key, "true or false", &value)),
            _ => mismatch(expected(key, "an object", &value)),
        }
    }

    fn timestamp_ms(&mut self) -> Result<Option<i64>, Rejection> {
        let given = (self.take("timestamp_ms"), self.take("timestamp"));
        let reason = match given {
            (None, None) => return Ok(None),
            (Some(ms), None) => match ms.as_i64() {
                Some(ms) => return Ok(Some(ms)),
                None => expected("timestamp_ms", "an integer, in milliseconds", &ms),
            },
            (None, Some(seconds)) => match seconds.as_f64().and_then(milliseconds) {
                Some(ms) => return Ok(Some(ms)),
                None => expected(
                    "timestamp",
                    "a number of seconds since the Unix epoch, above 0 (milliseconds go under \
                     `timestamp_ms`)",
                    &seconds,
                ),
            },
            (Some(_), Some(_)) => "both `timestamp_ms` and `timestamp` are given".to_owned(),
        };
        Err(Rejection::new(Code::InvalidTimestamp, reason))
    }

    fn tags(&mut self) -> Result<Vec<String>, Rejection> {
        let Some(tags) = self.take("tags") else {
            return Ok(Vec::new());
        };
        envelope::tags(tags).map_err(|value| {
            let reason = format!("`tags` must be {TAGS}, not {}", shown(&value));
            Rejection::new(Code::InvalidTags, reason)
        })
    }

    fn text(&mut self, key: &str, code: Code) -> Result<Option<String>, Rejection> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Rejection::new(code, expected(key, "a text", &other))),
        }
    }

    fn assessment(&mut self) -> Result<Option<Assessment>, Rejection> {
        match self.take("assessment") {
            None => Ok(None),
            Some(given) => match given.as_str() {
                Some("pass") => Ok(Some(Assessment::Pass)),
                Some("fail") => Ok(Some(Assessment::Fail)),
                _ => {
                    let reason = expected("assessment", "\"pass\" or \"fail\"", &given);
                    Err(Rejection::new(Code::InvalidAssessment, reason))
                }
            },
        }
    }

    fn scope(&mut self) -> Result<EvaluationScope, Rejection> {
        match self.take("eval_scope") {
            None => Ok(EvaluationScope::Span),
            Some(given) => match given.as_str() {
                Some("span") => Ok(EvaluationScope::Span),
                Some("trace") => Ok(EvaluationScope::Trace),
                _ => {
                    let reason = expected("eval_scope", "\"span\" or \"trace\"", &given);
                    Err(Rejection::new(Code::InvalidScope, reason))
                }
            },
        }
    }

    fn metadata(&mut self) -> Result<Map<String, Value>, Rejection> {
        match self.take("metadata") {
            None => Ok(Map::new()),
            Some(Value::Object(metadata)) => Ok(metadata),
            Some(other) => {
                let reason = expected("metadata", "an object", &other);
                Err(Rejection::new(Code::InvalidMetadata, reason))
            }
        }
    }

    fn event_kind(&mut self) -> Result<(), Rejection> {
        match self.take("event_kind") {
            Some(given) if given != "evaluation" => {
                let reason = expected("event_kind", "\"evaluation\"", &given);
                Err(Rejection::new(Code::InvalidEventKind, reason))
            }
            _ => Ok(()),
        }
    }
}

fn join(join_on: Value) -> Result<EvaluationTarget, Rejection> {
    let mut join_on = object("join_on", join_on)?;
    let (by_ids, by_tag) = (join_on.take("span"), join_on.take("tag"));
    join_on.nothing_left("join_on.")?;
    match (by_ids, by_tag) {
        (Some(ids), None) => {
            let mut ids = object("join_on.span", ids)?;
            let pair = (ids.take("span_id"), ids.take("trace_id"));
            ids.nothing_left("join_on.span.")?;
            span(pair, "join_on.span.")
        }
        (None, Some(tag)) => {
            let mut tag = object("join_on.tag", tag)?;
            let (key, value) = (tag.take("key"), tag.take("value"));
            tag.nothing_left("join_on.tag.")?;
            let key = opaque(key, "join_on.tag.key")?;
            Ok(EvaluationTarget::tag(
                key,
                opaque(value, "join_on.tag.value")?,
            ))
        }
        (Some(_), Some(_)) => Err(invalid_join("`join_on` has both `span` and `tag`")),
        (None, None) => Err(invalid_join("`join_on` has neither `span` nor `tag`")),
    }
}

impl Row {
    fn nothing_left(&self, before: &str) -> Result<(), Rejection> {
        match self.0.keys().next() {
            Some(key) => Err(unknown_key(&format!("{before}{key}"))),
            None => Ok(()),
        }
    }
}

fn object(path: &str, value: Value) -> Result<Row, Rejection> {
    match value {
        Value::Object(map) => Ok(Row(map)),
        other => Err(invalid_join(expected(path, "an object", &other))),
    }
}

fn span(
    (span_id, trace_id): (Option<Value>, Option<Value>),
    before: &str,
) -> Result<EvaluationTarget, Rejection> {
    let span_id = opaque(span_id, &format!("{before}span_id"))?;
    let trace_id = opaque(trace_id, &format!("{before}trace_id"))?;
    Ok(EvaluationTarget::span(span_id, trace_id))
}

/// The text of an id. A number is an id as long as its digits are known: one that was read
/// as a float names another span than the one that was meant.
fn opaque(value: Option<Value>, path: &str) -> Result<String, Rejection> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Number(number)) if is_exact(&number) => Ok(number.to_string()),
        Some(Value::Number(number)) => Err(invalid_join(format!(
            "`{path}` is {number}, a number that has lost digits or never was an id: write ids \
             as text"
        ))),
        Some(other) => Err(invalid_join(expected(path, "a text", &other))),
        None => Err(invalid_join(format!("`{path}` is missing"))),
    }
}

/// Integers of up to 64 bits are; with `serde_json`'s `arbitrary_precision` longer ones as well,
/// which then print as their digits.
fn is_exact(number: &Number) -> bool {
    let text = number.to_string();
    let digits = text.strip_prefix('-').unwrap_or(&text);
    digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn milliseconds(seconds: f64) -> Option<i64> {
    // Half a millisecond more, since a float of seconds lies beside the time that was meant.
    let time = Duration::try_from_secs_f64(seconds).ok()? + Duration::from_micros(500);
    let in_range = time.as_secs() <= LAST_SECOND;
    i64::try_from(time.as_millis()).ok().filter(|_| in_range)
}

fn invalid_join(reason: impl Into<String>) -> Rejection {
    Rejection::new(Code::InvalidJoin, reason)
}

fn unknown_key(path: &str) -> Rejection {
    let reason = format!("`{path}` is no key of an evaluation");
    Rejection::new(Code::UnknownKey, reason)
}

fn expected(key: &str, what: &str, given: &Value) -> String {
    format!("`{key}` must be {what}, not {}", shown(given))
}

fn shown(value: &Value) -> String {
    shortened(&value.to_string())
}

#[cfg(test)]
mod tests;
