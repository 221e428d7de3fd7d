//! From a finished span to its event: ids become text, tags are merged, JSON is written.

use std::fmt::{Display, Write as _};

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use crate::annotation::{Content, Side};
use crate::clock::Anchor;
use crate::config::Capture;
use crate::evaluation::shortened;
use crate::event::{
    self, AgentAttribution, Internal, IoFields, Meta, MetaSpan, NO_PARENT, SpanEvent, Status,
    ToolInfo, UNKNOWN_MODEL,
};
use crate::kind::SpanKind;
use crate::link::SpanLink;
use crate::report;
use crate::shrink;
use crate::span::{AgentIds, SpanData, SpanExtra, SpanInner};
use crate::stats::DropReason;
use crate::tags;

/// Writes spans. It keeps the room that the last event took, so that an ordinary one needs no
/// allocation for ids, names and tags, nor while its JSON grows.
#[derive(Default)]
pub(super) struct Encoder {
    event: SpanEvent,
    json: Vec<u8>,
    texts: Texts,
}

/// What an event of more bytes has taken is given back at once.
const KEPT: usize = 64 * 1024;

/// The texts of events one after the other: a kilobyte each is what allocators are slow with.
#[derive(Default)]
struct Texts(BytesMut);

/// How much is allocated at once. A text that waits alone holds that much.
const ROOM: usize = 32 * 1024;
/// A longer text stands for itself.
const SHORT: usize = ROOM / 8;

impl Texts {
    fn keep(&mut self, text: &[u8]) -> Bytes {
        if text.len() > SHORT {
            return Bytes::copy_from_slice(text);
        }
        if self.0.capacity() < text.len() {
            self.0 = BytesMut::with_capacity(ROOM);
        }
        self.0.extend_from_slice(text);
        self.0.split().freeze()
    }
}

impl Encoder {
    /// The event of a finished span, as it stands until [`Self::clear`].
    pub(super) fn span(&mut self, span: &SpanInner, anchor: &Anchor) -> &mut SpanEvent {
        fill(&mut self.event, span, anchor);
        &mut self.event
    }

    /// Changes the event that stands.
    pub(super) fn change<E>(
        &mut self,
        change: impl FnOnce(SpanEvent) -> Result<SpanEvent, E>,
    ) -> Result<(), E> {
        self.event = change(std::mem::take(&mut self.event))?;
        Ok(())
    }

    /// The JSON of the event, within `limit` bytes where what has to stay is no more, and
    /// whether something is missing in it for that.
    pub(super) fn json(&mut self, limit: usize) -> Result<(Bytes, bool), DropReason> {
        write_json(&mut self.json, &self.event)?;
        let Some(shrunk) = shrink::span(&mut self.event, self.json.len(), limit) else {
            return Ok((self.texts.keep(&self.json), false));
        };
        report::once(report::Kind::Cut, || {
            let gone = match &*shrunk.gone {
                [] => "long texts are cut in their middle".to_owned(),
                gone => format!("what is gone: {}", gone.join(", ")),
            };
            format!(
                "span {:?} has {} bytes, the limit is {limit}: {gone}; `stats().cut` counts such events",
                shortened(&self.event.name),
                shrunk.size,
            )
        });
        write_json(&mut self.json, &self.event)?;
        Ok((self.texts.keep(&self.json), true))
    }

    /// The name of the event that stands.
    pub(super) fn name(&self) -> &str {
        &self.event.name
    }

    /// Lets go of the event's content, and of its room where that is large.
    pub(super) fn clear(&mut self) {
        if self.json.capacity() > KEPT {
            self.json = Vec::new();
            self.event = SpanEvent::default();
        } else {
            let Meta {
                span,
                model_name,
                model_provider,
                ..
            } = std::mem::take(&mut self.event.meta);
            self.event.meta = Meta {
                span,
                model_name,
                model_provider,
                ..Meta::default()
            };
            self.event.span_links.clear();
        }
    }
}

fn write_json(json: &mut Vec<u8>, event: &SpanEvent) -> Result<(), DropReason> {
    json.clear();
    serde_json::to_writer(json, event).map_err(|_| DropReason::NotEncodable)
}

/// Replaces all that stands in `event` by what is known of a finished span.
fn fill(event: &mut SpanEvent, span: &SpanInner, anchor: &Anchor) {
    let SpanEvent {
        trace_id,
        span_id,
        parent_id,
        name,
        start_ns,
        duration,
        status,
        meta,
        metrics,
        tags,
        _dd: internal,
        session_id,
        span_links,
        collection_errors,
    } = event;
    let (parent, agent, mut data) = {
        let mut data = span.lock();
        (span.parent_id(&data), span.agent(&data), data.take())
    };
    set(name, data.name(span));
    tags::fill(tags, tags::of(span, &data), data.error.as_deref());
    let session = data.session.take().filter(|session| !session.is_empty());
    set_option(session_id, session.as_deref());
    let end = data.end.moment().unwrap_or(span.start);
    *start_ns = anchor.unix_ns(span.start);
    *duration = anchor.ns_between(span.start, end);
    *status = match &data.error {
        Some(_) => Status::Error,
        None => Status::Ok,
    };
    print(trace_id, &span.trace.llmobs);
    print(span_id, span.span_id);
    match parent {
        Some(parent) => print(parent_id, parent),
        None => set(parent_id, NO_PARENT),
    }
    fill_internal(internal, span, span_id);
    let numbers = data.details.as_mut().map(|details| details.numbers());
    event::set_metrics(metrics, numbers.unwrap_or_default());
    collection_errors.clear();
    let extra = data.extra.take();
    let extra = extra.map_or_else(SpanExtra::default, |extra| *extra);
    *span_links = fill_meta(meta, span, data, extra, agent, name);
}

fn fill_internal(internal: &mut Internal, span: &SpanInner, id: &str) {
    let Internal {
        span_id,
        trace_id,
        apm_trace_id,
        sample_rate,
        sampling_decision,
    } = internal;
    set(span_id, id);
    let apm = span.trace.apm;
    match u64::try_from(apm.0) {
        Ok(low) => print(apm_trace_id, low),
        Err(_) => print(apm_trace_id, apm),
    }
    set(trace_id, apm_trace_id);
    let sampling = span.sampling();
    set_option(sampling_decision, sampling.decision());
    set_option(sample_rate, sampling.rate.as_deref());
}

fn or_unknown(model: &str) -> &str {
    if model.is_empty() {
        UNKNOWN_MODEL
    } else {
        model
    }
}

/// Gives back the links, which stand elsewhere on the wire.
fn fill_meta(
    meta: &mut Meta,
    span: &SpanInner,
    data: SpanData,
    extra: SpanExtra,
    agent: Option<AgentIds>,
    name: &str,
) -> Vec<SpanLink> {
    let Meta {
        span: MetaSpan { kind },
        metadata,
        input,
        output,
        model_name,
        model_provider,
        error,
        agent_attribution,
        tool_definitions,
        tool,
        intent,
    } = meta;
    let settings = &span.client.settings;
    let full = settings.capture == Capture::Full;
    set(kind, span.kind.as_str());
    if span.kind.has_model() {
        set(
            model_name.get_or_insert_default(),
            or_unknown(&data.model_name),
        );
        let provider = model_provider.get_or_insert_default();
        set(provider, or_unknown(&data.model_provider));
        lower(provider);
    } else {
        *model_name = None;
        *model_provider = None;
    }
    *agent_attribution = agent.map(|agent| AgentAttribution {
        pagent_name: agent.name,
        pagent_span_id: Some(agent.span),
    });
    let fields = |content: Option<Content>, side| {
        let content = content.filter(|_| full);
        let settled = content.and_then(|content| content.settle(span.kind, side));
        settled.map(IoFields::from).unwrap_or_default()
    };
    *input = fields(data.input, Side::Input);
    *output = fields(data.output, Side::Output);
    if full && span.kind == SpanKind::Llm {
        let prompt = extra.prompt.as_ref();
        input.prompt = prompt.map(|prompt| prompt.event(&settings.ml_app));
    }
    *intent = extra.intent.filter(|_| full);
    if settings.capture == Capture::None {
        metadata.clear();
        tool_definitions.clear();
    } else {
        *metadata = data
            .details
            .map(|details| details.metadata)
            .unwrap_or_default();
        let tools = extra.tools.as_ref();
        *tool_definitions = tools.map(|tools| tools.to_vec()).unwrap_or_default();
        let mut agent = extra.agent;
        if let (Some(agent), false) = (&mut agent, full) {
            agent.remove_content();
        }
        let manifest = agent.as_ref().and_then(|agent| agent.event(name));
        if let Some(manifest) = manifest.and_then(|manifest| serde_json::to_value(manifest).ok()) {
            reserve(metadata, "agent_manifest", manifest);
        }
    }
    if !extra.cost_tags.is_empty() {
        let keys = extra.cost_tags.iter().map(|key| Value::from(&**key));
        reserve(metadata, "cost_tags", keys.collect());
    }
    *tool = extra.tool_version.map(|version| ToolInfo { version });
    *error = data.error.map(|error| *error);
    meta.flatten();
    extra.links
}

/// Replaces a text in the room that it has.
fn set(text: &mut String, new: &str) {
    text.clear();
    text.push_str(new);
}

fn set_option(text: &mut Option<String>, new: Option<&str>) {
    match new {
        Some(new) => set(text.get_or_insert_default(), new),
        None => *text = None,
    }
}

fn print(text: &mut String, new: impl Display) {
    text.clear();
    // Writing to a `String` does not fail.
    let _ = write!(text, "{new}");
}

fn lower(text: &mut String) {
    if text.is_ascii() {
        text.make_ascii_lowercase();
    } else {
        *text = text.to_lowercase();
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

pub(super) fn json<T: serde::Serialize>(event: &T) -> Result<Bytes, DropReason> {
    let json = serde_json::to_vec(event).map_err(|_| DropReason::NotEncodable)?;
    Ok(json.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotation::Annotation;
    use crate::config::{Config, Destination};
    use crate::export::memory::Memory;
    use crate::failure::SpanError;
    use crate::message::Message;
    use crate::span::Span;

    fn client() -> crate::LlmObs {
        let config = Config::new().tracing_spans(false);
        let config = config.destination(Destination::Memory(Memory::new()));
        config.build().unwrap()
    }

    /// The event of a span, save what no two spans share.
    fn event(encoder: &mut Encoder, span: &Span) -> Value {
        encoder.span(span.inner().unwrap(), &Anchor::now());
        let (json, _) = encoder.json(usize::MAX).unwrap();
        let mut event: Value = serde_json::from_slice(&json).unwrap();
        let fields = event.as_object_mut().unwrap();
        for key in ["trace_id", "span_id", "start_ns", "_dd"] {
            assert!(fields.remove(key).is_some(), "{key}");
        }
        event
    }

    fn full() -> Span {
        let span = Span::llm("full").model_name("m").session_id("s").start();
        let annotation = Annotation::new()
            .input([Message::user("question")])
            .output("answer")
            .metadata("key", "value")
            .metric("input_tokens", 1)
            .tag("user", "u");
        span.annotate(annotation).unwrap();
        span.with_data(|data| data.error = Some(Box::new(SpanError::new("E", "message"))));
        span
    }

    #[test]
    fn nothing_of_an_event_stands_in_the_next() {
        client().scope(|| {
            let agent = Span::agent("agent").start();
            let full = {
                let _in = agent.enter();
                full()
            };
            let plain = Span::task("plain").start();
            let mut used = Encoder::default();
            let before = event(&mut used, &full);
            assert_eq!(before["meta"]["error"]["message"], "message");
            let after = event(&mut used, &plain);
            let alone = event(&mut Encoder::default(), &Span::task("plain").start());
            assert_eq!(after, alone);
        });
    }

    #[test]
    fn an_encoder_keeps_room_and_no_content() {
        client().scope(|| {
            let mut encoder = Encoder::default();
            event(&mut encoder, &full());
            encoder.clear();
            write_json(&mut encoder.json, &encoder.event).unwrap();
            let left = String::from_utf8_lossy(&encoder.json).into_owned();
            for content in ["question", "answer", "value", "message"] {
                assert!(!left.contains(content), "{content} in {left}");
            }
            assert_eq!(encoder.name(), "full");
            let Meta {
                span,
                model_name,
                model_provider,
                ..
            } = &encoder.event.meta;
            for text in [
                Some(&span.kind),
                model_name.as_ref(),
                model_provider.as_ref(),
            ] {
                assert!(text.is_some_and(|text| text.capacity() > 0));
            }
            encoder.json = Vec::with_capacity(KEPT);
            encoder.clear();
            assert_eq!(encoder.json.capacity(), KEPT);
            let large = Span::task("large").start();
            let annotation = Annotation::new()
                .input("x".repeat(KEPT))
                .tag("t", "x".repeat(KEPT));
            large.annotate(annotation).unwrap();
            event(&mut encoder, &large);
            encoder.clear();
            assert_eq!(encoder.json.capacity(), 0);
            assert_eq!(encoder.event, SpanEvent::default());
        });
    }

    #[test]
    fn short_texts_stand_one_behind_the_other_in_one_room_and_long_ones_alone() {
        let mut texts = Texts::default();
        let behind = |text: &Bytes| text.as_ptr_range().end;
        let short = [b'x'; SHORT];
        let mut last = texts.keep(&short);
        for _ in 1..ROOM / SHORT {
            let next = texts.keep(&short);
            assert_eq!(behind(&last), next.as_ptr());
            last = next;
        }
        assert_eq!(texts.0.capacity(), 0, "the room is used to its end");
        let first = texts.keep(&short);
        assert_eq!(texts.0.capacity(), ROOM - SHORT);
        let long = texts.keep(&[b'x'; SHORT + 1]);
        assert_ne!(behind(&first), long.as_ptr());
        assert_eq!(behind(&first), texts.keep(b"x").as_ptr());
    }

    #[test]
    fn texts_that_share_their_room_stay_as_they_were() {
        let mut texts = Texts::default();
        let given: Vec<Vec<u8>> = (0..200_usize)
            .map(|index| vec![index.to_le_bytes()[0]; index * 37 % (2 * SHORT)])
            .collect();
        let kept: Vec<Bytes> = given.iter().map(|text| texts.keep(text)).collect();
        assert_eq!(kept, given);
    }
}
