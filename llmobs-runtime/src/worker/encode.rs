//! From a finished span to its event: ids become text, tags are merged, JSON is written.

use serde_json::{Map, Value};

use crate::annotation::Side;
use crate::clock::Anchor;
use crate::config::Capture;
use crate::evaluation::shortened;
use crate::event::{self, AgentAttribution, Internal, Meta, SpanEvent, Status, ToolInfo};
use crate::kind::SpanKind;
use crate::report;
use crate::shrink;
use crate::span::{SpanData, SpanExtra, SpanInner};
use crate::stats::DropReason;
use crate::tags;

/// The event of a finished span.
pub(super) fn span(span: &SpanInner, anchor: &Anchor) -> SpanEvent {
    let mut data = span.lock().take();
    let settings = &span.client.settings;
    let end = data.end.unwrap_or(span.start);
    let duration = end.saturating_duration_since(span.start);
    let tags = tags::list(tags::of(span, &data), data.error.as_deref());
    let name = data.name(span).to_string();
    let session = data.session.take().filter(|session| !session.is_empty());
    let extra = data
        .extra
        .take()
        .map_or_else(SpanExtra::default, |extra| *extra);
    let apm_trace_id = span.trace.apm.apm_text();
    let sampling = span.sampling();

    let mut meta = Meta::new(span.kind);
    if span.kind.has_model() {
        let known = |text: Option<&str>| text.unwrap_or("unknown").to_owned();
        meta.model_name = Some(known(data.model_name.as_deref()));
        meta.model_provider = Some(known(data.model_provider.as_deref()).to_lowercase());
    }
    meta.agent_attribution = span.agent().map(|agent| AgentAttribution {
        pagent_name: agent.name,
        pagent_span_id: Some(agent.span),
    });
    if settings.capture == Capture::Full {
        meta.set(Side::Input, data.input);
        meta.set(Side::Output, data.output);
        if span.kind == SpanKind::Llm {
            let prompt = extra.prompt.as_ref();
            meta.input.prompt = prompt.map(|prompt| prompt.event(&settings.ml_app));
        }
        meta.intent = extra.intent;
    }
    if settings.capture != Capture::None {
        meta.metadata = data.metadata;
        let tools = extra.tools.as_ref();
        meta.tool_definitions = tools.map(|tools| tools.to_vec()).unwrap_or_default();
        let mut agent = extra.agent;
        if let (Some(agent), Capture::Metadata) = (&mut agent, settings.capture) {
            agent.remove_content();
        }
        let manifest = agent.as_ref().and_then(|agent| agent.event(&name));
        if let Some(manifest) = manifest.and_then(|manifest| serde_json::to_value(manifest).ok()) {
            reserve(&mut meta.metadata, "agent_manifest", manifest);
        }
    }
    if !extra.cost_tags.is_empty() {
        let keys = extra.cost_tags.iter().map(|key| Value::from(&**key));
        reserve(&mut meta.metadata, "cost_tags", keys.collect());
    }
    meta.tool = extra.tool_version.map(|version| ToolInfo { version });
    meta.flatten();
    let status = match &data.error {
        Some(_) => Status::Error,
        None => Status::Ok,
    };
    meta.error = data.error.map(|error| *error);

    SpanEvent {
        trace_id: span.trace.llmobs.to_string(),
        span_id: span.span_id.to_string(),
        parent_id: span.parent_text(),
        name,
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
            sampling_decision: sampling.decision().map(str::to_owned),
            sample_rate: sampling.rate.map(|rate| rate.to_string()),
        },
        session_id: session.map(|session| session.to_string()),
        span_links: extra.links,
        collection_errors: Vec::new(),
    }
}

/// The tags of a span that nobody has given any, and that has neither session nor error.
pub(super) fn own_tags(span: &SpanInner) -> Vec<String> {
    tags::list(tags::of(span, &SpanData::default()), None)
}

/// Sets a key of `metadata._dd`, which belongs to Datadog; what a user has put there stays
/// (as in ddtrace).
fn reserve(metadata: &mut Map<String, Value>, key: &str, value: Value) {
    let reserved = metadata
        .entry("_dd")
        .or_insert_with(|| Value::Object(Map::new()));
    if !reserved.is_object() {
        *reserved = Value::Object(Map::new());
    }
    if let Value::Object(reserved) = reserved {
        reserved.insert(key.to_owned(), value);
    }
}

/// The JSON of a span, within `limit` bytes where what has to stay is no more, and whether
/// something is missing in it for that.
pub(super) fn span_json(
    event: &mut SpanEvent,
    limit: usize,
) -> Result<(Vec<u8>, bool), DropReason> {
    let whole = json(event)?;
    let Some(shrunk) = shrink::span(event, whole.len(), limit) else {
        return Ok((whole, false));
    };
    drop(whole);
    report::once(report::Kind::Cut, || {
        let gone = match &*shrunk.gone {
            [] => "long texts are cut in their middle".to_owned(),
            gone => format!("what is gone: {}", gone.join(", ")),
        };
        format!(
            "span {:?} has {} bytes, the limit is {limit}: {gone}; `stats().cut` counts such events",
            shortened(&event.name),
            shrunk.size,
        )
    });
    Ok((json(event)?, true))
}

pub(super) fn json<T: serde::Serialize>(event: &T) -> Result<Vec<u8>, DropReason> {
    serde_json::to_vec(event).map_err(|_| DropReason::NotEncodable)
}
