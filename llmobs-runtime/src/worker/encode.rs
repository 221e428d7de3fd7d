//! From a finished span to its event: ids become text, tags are merged, JSON is written.

use std::collections::BTreeMap;

use crate::annotation::Side;
use crate::clock::Anchor;
use crate::config::{Capture, Settings};
use crate::event::{
    self, AgentAttribution, Internal, IoFields, Meta, NO_PARENT, SpanEvent, Status, VERSION,
};
use crate::report;
use crate::span::{SpanData, SpanInner};
use crate::stats::DropReason;

/// Knuth's factor, by which every Datadog SDK turns a trace id into a sampling decision
/// (as in ddtrace).
const SAMPLING_FACTOR: u64 = 1_111_111_111_111_111_111;

/// The event of a finished span.
pub(super) fn span(span: &SpanInner, anchor: &Anchor) -> SpanEvent {
    let data = span.lock().take();
    let settings = &span.client.settings;
    let end = data.end.unwrap_or(span.start);
    let duration = end.saturating_duration_since(span.start);
    let session = data
        .session
        .as_deref()
        .filter(|session| !session.is_empty());
    let tags = tags(span, &data, settings, session);
    let apm_trace_id = span.trace.apm.to_string();

    let mut meta = Meta::new(span.kind);
    if span.kind.has_model() {
        let known = |text: Option<&str>| text.unwrap_or("unknown").to_owned();
        meta.model_name = Some(known(data.model_name.as_deref()));
        meta.model_provider = Some(known(data.model_provider.as_deref()).to_lowercase());
    }
    meta.agent_attribution = span.agent.as_ref().map(|agent| AgentAttribution {
        pagent_name: Some(agent.name.to_string()),
        pagent_span_id: Some(agent.span_id.to_string()),
    });
    if settings.capture == Capture::Full {
        meta.set(Side::Input, data.input);
        meta.set(Side::Output, data.output);
    }
    if settings.capture != Capture::None {
        meta.metadata = data.metadata;
    }
    meta.flatten();
    let status = match &data.error {
        Some(_) => Status::Error,
        None => Status::Ok,
    };
    meta.error = data.error;

    SpanEvent {
        trace_id: span.trace.llmobs.to_string(),
        span_id: span.span_id.to_string(),
        parent_id: match &span.parent {
            Some(parent) => parent.span_id.to_string(),
            None => NO_PARENT.to_owned(),
        },
        name: span.name.to_string(),
        start_ns: anchor.unix_ns(span.start),
        duration: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
        status,
        meta,
        metrics: event::metrics(data.metrics),
        tags,
        _dd: Internal {
            span_id: span.span_id.to_string(),
            trace_id: apm_trace_id.clone(),
            apm_trace_id,
            sample_rate: Some(settings.sample_rate_text.to_string()),
            sampling_decision: Some(decision(span.trace.apm.low(), settings.sample_rate).into()),
        },
        session_id: session.map(str::to_owned),
        collection_errors: Vec::new(),
    }
}

/// Whether the backend should keep the trace. The event is sent either way (golden 33).
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the rate lies between 0 and 1, and the reference computes in floats"
)]
fn decision(low: u64, rate: f64) -> &'static str {
    let threshold = (rate * u64::MAX as f64) as u64;
    if low.wrapping_mul(SAMPLING_FACTOR) <= threshold && rate > 0.0 {
        "1"
    } else {
        "0"
    }
}

/// The tags, sorted. The user's replace ours, save those of the error (golden 10).
fn tags(
    span: &SpanInner,
    data: &SpanData,
    settings: &Settings,
    session: Option<&str>,
) -> Vec<String> {
    let ml_app = span.ml_app.as_deref().unwrap_or(&settings.ml_app);
    let mut tags: BTreeMap<&str, &str> = BTreeMap::new();
    tags.extend(settings.global_tags.iter().map(|(k, v)| (&**k, &**v)));
    tags.extend([
        ("version", &*settings.version),
        ("env", &*settings.env),
        ("service", &*settings.service),
        ("source", "integration"),
        ("ml_app", ml_app),
        ("agent_service", ml_app),
        ("ddtrace.version", VERSION),
        ("language", "rust"),
    ]);
    if span.decorated {
        tags.insert("decorator", "1");
    }
    if let Some(session) = session {
        tags.insert("session_id", session);
    }
    tags.extend(data.tags.iter().map(|(k, v)| (&**k, &**v)));
    if let Some(version) = &data.agent_version {
        tags.insert("agent_version", version);
    }
    tags.insert("error", if data.error.is_some() { "1" } else { "0" });
    tags.remove("error_type");
    if let Some(error) = &data.error {
        tags.insert("error_type", &error.kind);
    }
    let mut tags: Vec<String> = tags
        .into_iter()
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    // A key that is the beginning of another sorts otherwise with its colon than without.
    tags.sort_unstable();
    tags
}

/// The JSON of a span, within `limit` bytes: an event that is larger loses its input and
/// output (golden 25, until the longest strings go first).
pub(super) fn span_json(event: &mut SpanEvent, limit: usize) -> Result<Vec<u8>, DropReason> {
    let json = json(event)?;
    if json.len() < limit {
        return Ok(json);
    }
    report::once(report::Kind::TooLarge, || {
        format!(
            "span {:?} has {} bytes, the limit is {limit}: its input and output are dropped",
            event.name,
            json.len()
        )
    });
    event.meta.input = IoFields::dropped();
    event.meta.output = IoFields::dropped();
    event.collection_errors = vec!["dropped_io".to_owned()];
    self::json(event)
}

pub(super) fn json<T: serde::Serialize>(event: &T) -> Result<Vec<u8>, DropReason> {
    serde_json::to_vec(event).map_err(|_| DropReason::NotEncodable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_keeps_everything_at_one_and_nothing_at_zero() {
        for _ in 0..1_000 {
            let low = crate::id::random();
            assert_eq!(decision(low, 1.0), "1");
            assert_eq!(decision(low, 0.0), "0");
        }
    }

    #[test]
    fn sampling_marks_about_its_rate() {
        let kept = (0..10_000)
            .filter(|_| decision(crate::id::random(), 0.2) == "1")
            .count();
        assert!((1_700..2_300).contains(&kept), "{kept} of 10000 at 0.2");
    }
}
