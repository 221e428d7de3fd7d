//! From a span as it was told to its event, or to the reason why it is none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Length, PastSpan};
use crate::annotation::{Annotation, Io, IoError, Side};
use crate::capture;
use crate::config::{Capture, Settings};
use crate::evaluation::shortened;
use crate::event::{self, Internal, Meta, NO_PARENT, SpanEvent, Status};
use crate::failure::SpanError;
use crate::number::Number;
use crate::offline::RejectionCode as Code;
use crate::offline::result::{Flaws, Rejection};
use crate::tags;
use crate::text::Text;

/// How long ago a span may have begun: Datadog refuses what is older.
const OLDEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How far the clocks of two machines may lie apart.
const SKEW: Duration = Duration::from_secs(60);

/// The event of a span that is valid at `now`, and which elements of it the wire does not allow:
/// those are mended or left out, and cost nothing else of the span.
pub(in crate::offline) fn event(
    mut span: PastSpan,
    settings: &Settings,
    now: SystemTime,
) -> Result<(SpanEvent, Flaws), Rejection> {
    ids(&span)?;
    let start_ns = start(span.start, now)?;
    let duration = duration(&span, now)?;
    let kind = span.kind;
    let mut flaws = Flaws::default();
    if !kind.has_model() {
        take_model(&mut span, &mut flaws);
    }
    let mut annotation = span.annotation;
    let mut content = |io: Option<Io>, side| match io?.into_content(kind, side) {
        Ok((content, flaw)) => {
            if let Some(reason) = flaw {
                flaws.note(Code::InvalidValue, reason);
            }
            content
        }
        Err(IoError::WrongKind { field, kind }) => {
            let reason = format!("a span of kind {kind} carries no {field}");
            flaws.note(Code::WrongKind, reason);
            None
        }
    };
    let io = annotation.io.take().unwrap_or_default();
    let input = content(io.input, Side::Input);
    let output = content(io.output, Side::Output);
    let mut metrics = metrics(std::mem::take(&mut annotation.metrics), &mut flaws);
    if let Some(usage) = annotation.usage.take() {
        usage.complete(&mut metrics);
    }
    take_nameless(&mut annotation, &mut flaws);

    let ml_app = span.ml_app.as_deref().unwrap_or(&settings.ml_app);
    let session = span.session_id.or_else(|| session(&annotation.tags));
    let tags = tags(
        &annotation.tags,
        settings,
        ml_app,
        session.as_deref(),
        span.error.as_ref(),
    );
    let mut meta = Meta::new(kind);
    if kind.has_model() {
        let known = |text: Option<String>| text.unwrap_or_else(|| event::UNKNOWN_MODEL.to_owned());
        meta.model_name = Some(known(span.model_name));
        meta.model_provider = Some(known(span.model_provider).to_lowercase());
    }
    if settings.capture == Capture::Full {
        meta.set(Side::Input, input);
        meta.set(Side::Output, output);
    }
    if settings.capture != Capture::None {
        meta.metadata = capture::bound_map(serde_json::Map::from_iter(annotation.metadata));
    }
    meta.flatten();
    let status = match span.error {
        Some(_) => Status::Error,
        None => Status::Ok,
    };
    meta.error = span.error;
    let apm_trace_id = span.apm_trace_id.unwrap_or_else(|| span.trace_id.clone());
    let event = SpanEvent {
        parent_id: span.parent_id.unwrap_or_else(|| NO_PARENT.to_owned()),
        name: span.name,
        start_ns,
        duration,
        status,
        meta,
        metrics: event::metrics(metrics),
        tags,
        _dd: Internal {
            span_id: span.span_id.clone(),
            trace_id: apm_trace_id.clone(),
            apm_trace_id,
            sample_rate: None,
            sampling_decision: None,
        },
        trace_id: span.trace_id,
        span_id: span.span_id,
        session_id: session,
        span_links: Vec::new(),
        collection_errors: Vec::new(),
    };
    Ok((event, flaws))
}

/// Takes the model out of a span whose kind has none.
fn take_model(span: &mut PastSpan, flaws: &mut Flaws) {
    let kind = span.kind;
    let model = [
        ("model_name", &mut span.model_name),
        ("model_provider", &mut span.model_provider),
    ];
    for (field, given) in model {
        if let Some(given) = given.take() {
            let given = shortened(&given);
            let reason = format!("a span of kind {kind} carries no {field} ({given:?})");
            flaws.note(Code::WrongKind, reason);
        }
    }
}

/// Takes out tags and properties of the metadata that have an empty key.
fn take_nameless(annotation: &mut Annotation, flaws: &mut Flaws) {
    annotation.tags.retain(|(key, value)| {
        if key.is_empty() {
            let value = shortened(value);
            let reason = format!("it has a tag with an empty key (value {value:?})");
            flaws.note(Code::InvalidTags, reason);
        }
        !key.is_empty()
    });
    annotation.metadata.retain(|(key, value)| {
        if key.is_empty() {
            let value = shortened(&value.to_string());
            let reason = format!("a property of the metadata has an empty key (value {value})");
            flaws.note(Code::InvalidMetadata, reason);
        }
        !key.is_empty()
    });
}

/// The tags of a span that was given none, and that has neither session nor error.
pub(in crate::offline) fn own_tags(settings: &Settings, ml_app: &str) -> Vec<String> {
    tags::list(tags::configured(settings, ml_app), None)
}

fn ids(span: &PastSpan) -> Result<(), Rejection> {
    let name = &span.name;
    if name.is_empty() {
        let reason = format!("span {:?} has no name", span.span_id);
        return Err(Rejection::new(Code::MissingName, reason));
    }
    for (field, id) in [("span_id", &span.span_id), ("trace_id", &span.trace_id)] {
        if id.is_empty() {
            let reason = format!("the {field} of span {name:?} is empty");
            return Err(Rejection::new(Code::MissingId, reason));
        }
    }
    if span.parent_id.as_ref() == Some(&span.span_id) {
        let reason = format!("span {name:?} is its own parent ({:?})", span.span_id);
        return Err(Rejection::new(Code::InvalidParent, reason));
    }
    Ok(())
}

/// The start in nanoseconds since the epoch, if Datadog takes it at `now`.
fn start(start: SystemTime, now: SystemTime) -> Result<u64, Rejection> {
    let invalid = |reason| Rejection::new(Code::InvalidStart, reason);
    let Ok(since) = start.duration_since(UNIX_EPOCH) else {
        return Err(invalid("it began before 1970".to_owned()));
    };
    let start_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    match now.duration_since(start) {
        Ok(age) if age > OLDEST => {
            let age = Duration::from_secs(age.as_secs());
            let reason = format!(
                "it began {age:?} ago, at {start_ns} ns since 1970; Datadog takes spans of the \
                 last 24 hours"
            );
            Err(Rejection::new(Code::TooOld, reason))
        }
        Err(ahead) if ahead.duration() > SKEW => Err(invalid(format!(
            "it begins {:?} from now, at {start_ns} ns since 1970",
            ahead.duration()
        ))),
        _ => Ok(start_ns),
    }
}

/// The duration in nanoseconds, if the span has ended at `now`.
fn duration(span: &PastSpan, now: SystemTime) -> Result<u64, Rejection> {
    let invalid = |reason| Rejection::new(Code::InvalidDuration, reason);
    let duration = match span.length {
        Length::Duration(duration) => duration,
        Length::Until(end) => end.duration_since(span.start).map_err(|before| {
            invalid(format!("it ends {:?} before it begins", before.duration()))
        })?,
    };
    let end = span.start.checked_add(duration);
    let over = |end| now.checked_add(SKEW).is_none_or(|latest| end <= latest);
    if !end.is_some_and(over) {
        let reason = format!("it has not ended yet: {duration:?} after its start is in the future");
        return Err(invalid(reason));
    }
    u64::try_from(duration.as_nanos())
        .map_err(|_| invalid(format!("{duration:?} is no duration of a span")))
}

/// The metrics by key, the later of two; a dot in the key becomes an underscore, since the
/// backend takes none. One that has no name or is not finite is left out.
fn metrics(given: Vec<(String, Number)>, flaws: &mut Flaws) -> Vec<(String, Number)> {
    let mut metrics = Vec::with_capacity(given.len());
    for (key, number) in given {
        if key.is_empty() || number.to_json().is_none() {
            let key = shortened(&key);
            let reason = format!("metric {key:?} must have a name and be finite, not {number}");
            flaws.note(Code::InvalidMetric, reason);
        } else {
            metrics.push((key.replace('.', "_"), number));
        }
    }
    metrics
}

/// The session that a tag names, as for the spans of this process.
fn session(tags: &[(Text, Text)]) -> Option<String> {
    let last = tags.iter().rev().find(|(key, _)| key == "session_id");
    last.map(|(_, session)| session.to_string())
        .filter(|session| !session.is_empty())
}

/// The tags, sorted. The user's replace ours, save those that the span's own fields give.
fn tags(
    given: &[(Text, Text)],
    settings: &Settings,
    ml_app: &str,
    session: Option<&str>,
    error: Option<&SpanError>,
) -> Vec<String> {
    let mut tags = tags::configured(settings, ml_app);
    tags.extend(given.iter().map(|(k, v)| (&**k, &**v)));
    if let Some(session) = session {
        tags.insert("session_id", session);
    }
    tags::list(tags, error)
}

#[cfg(test)]
mod tests;
