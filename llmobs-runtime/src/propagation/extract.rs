//! From headers to a context. They come from anywhere: nothing in them is an error.

use std::sync::Arc;

use super::w3c::{self, TraceParent, TraceState};
use super::{Extractor, LLMOBS, datadog, header, key};
use crate::capture;
use crate::client;
use crate::context::Context;
use crate::id::{LlmTraceId, TraceId};
use crate::remote::{Passed, Remote, RemoteAgent, RemoteParent};
use crate::report;
use crate::sampling::Sampling;

/// The most characters of an origin: it shares the member of `tracestate` with the rest.
const LONGEST_ORIGIN: usize = w3c::LONGEST_MEMBER;
/// The most characters of a trace id: with it, `x-datadog-tags` has room for what goes before.
const LONGEST_ID: usize = datadog::LONGEST / 2;

/// The context that a request's headers tell: what is started in it is a child of the span
/// that sent them, in its trace, with its application, session, sampling and nearest agent.
///
/// Datadog's headers are read first, then W3C's; what LLM Observability shares may stand in
/// either. Nothing here fails: headers that say nothing that can be used, and any while llmobs
/// is not enabled, give an empty context, under which a span is the root of its own trace;
/// so does a carrier that panics.
///
/// Attach it with [`Context::in_scope`] or [`in_context`](crate::FutureExt::in_context). It
/// holds no span open, and an evaluation can be submitted for the span that it names:
/// [`Context::span_context`].
pub fn extract<E: Extractor + ?Sized>(carrier: &E) -> Context {
    told(carrier).unwrap_or_default()
}

/// The context, if the headers tell one.
pub(super) fn told<E: Extractor + ?Sized>(carrier: &E) -> Option<Context> {
    if !client::any_enabled() {
        return None;
    }
    let mut remote = None;
    if capture::panics(|| remote = read(carrier)) {
        report::once(report::Kind::Carrier, || {
            "a carrier of headers panicked: the trace that they tell is not continued".to_owned()
        });
    }
    remote.map(Context::of_remote)
}

fn read<E: Extractor + ?Sized>(carrier: &E) -> Option<Remote> {
    let tags = carrier.get(header::TAGS).map(datadog::parse);
    let tags = tags.unwrap_or_default();
    let number = |name| decimal(carrier.get(name)?);
    let lower = number(header::TRACE_ID);
    let upper = lookup(&tags, key::UPPER).and_then(upper_half);
    let traceparent = traceparent(carrier);
    let by_datadog = lower.map(|lower| match (upper, traceparent) {
        (Some(upper), _) => u128::from(upper) << 64 | u128::from(lower),
        // Datadog's own id has the lower half alone; W3C's may have all of it.
        (None, Some(parent)) if TraceId(parent.trace).low() == lower => parent.trace,
        (None, _) => u128::from(lower),
    });
    // Members that belong to another trace say nothing of this one.
    let same = traceparent.filter(|parent| by_datadog.is_none_or(|trace| trace == parent.trace));
    let headers = same.map(|_| carrier.get_all(header::TRACESTATE));
    let state = w3c::tracestate(&headers.unwrap_or_default());

    let shared = Shared { tags, state };
    let trace = by_datadog.or(traceparent.map(|parent| parent.trace));
    let apm = trace.map(TraceId);
    let parent = parent(&shared, apm);
    let agent = parent.as_ref().and_then(|_| shared.get(key::AGENT));
    let remote = Remote {
        // Where APM tells no trace, all that starts here is to be in one all the same.
        apm: apm.or_else(|| number_of(&parent.as_ref()?.trace)),
        parent,
        ml_app: shared.get(key::ML_APP).map(Arc::from),
        session: shared.get(key::SESSION).map(Arc::from),
        sampling: sampling(&shared).map(Arc::new),
        agent: agent.map(|span| RemoteAgent {
            span: span.to_owned(),
            name: shared.get(key::AGENT_NAME).map(str::to_owned),
        }),
        passed: passed(carrier, &shared, by_datadog.is_some(), same),
    };
    let usable = remote.apm.is_some() || remote.parent.is_some();
    usable.then_some(remote)
}

/// One `traceparent`: where several disagree, none is to be believed (W3C).
fn traceparent<E: Extractor + ?Sized>(carrier: &E) -> Option<TraceParent> {
    let all = carrier.get_all(header::TRACEPARENT);
    let (first, others) = all.split_first()?;
    let agreed = others.iter().all(|other| other == first);
    agreed.then(|| w3c::traceparent(first)).flatten()
}

/// A trace id of LLM Observability as one of APM.
fn number_of(trace: &LlmTraceId) -> Option<TraceId> {
    match trace {
        LlmTraceId::Number(id) => Some(*id).filter(|id| id.0 != 0),
        LlmTraceId::Text(text) => decimal(text).map(|low| TraceId(low.into())),
    }
}

/// What LLM Observability shares, in either header.
struct Shared<'a> {
    tags: Vec<(&'a str, &'a str)>,
    state: TraceState<'a>,
}

impl Shared<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let of_state = || {
            let mut fields = self.state.datadog.iter();
            fields.find_map(|(name, value)| {
                (name.strip_prefix("t.")? == key && !value.is_empty()).then_some(&**value)
            })
        };
        lookup(&self.tags, key).or_else(of_state)
    }

    /// A field of `dd=` itself.
    fn field(&self, key: &str) -> Option<&str> {
        let mut fields = self.state.datadog.iter();
        fields.find_map(|(name, value)| (*name == key).then_some(&**value))
    }
}

fn lookup<'a>(pairs: &[(&str, &'a str)], key: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find_map(|(name, value)| (*name == key).then_some(*value))
}

/// A number above 0 of 64 bits, in digits alone: `parse` would take a plus sign.
fn decimal(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.filter(|number| *number != 0)
}

fn upper_half(text: &str) -> Option<u64> {
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let hex = text.len() == 16 && text.bytes().all(plain);
    hex.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The parent in LLM Observability, if one is told that is a number. Without a trace id it
/// is in the trace that APM has (as in ddtrace).
fn parent(shared: &Shared<'_>, apm: Option<TraceId>) -> Option<RemoteParent> {
    let text = shared
        .get(key::PARENT)
        .filter(|text| *text != "undefined")?;
    let Some(span) = decimal(text) else {
        report::once(report::Kind::Headers, || {
            format!("a request names the parent span {text:?}, which is no span id: left out")
        });
        return None;
    };
    let trace = match shared.get(key::TRACE).filter(|text| can_go_on(text)) {
        Some(text) => trace_id(text),
        None => trace_id(&apm?.apm_text()),
    };
    Some(RemoteParent { span, trace })
}

/// Whether a trace id can be told to the next process as it is: with another, or none, that
/// one's spans would be in another trace than ours.
fn can_go_on(trace: &str) -> bool {
    trace.len() <= LONGEST_ID && datadog::fits(trace)
}

/// Reads a trace id in either of its spellings (as in ddtrace): 32 hex digits that cannot
/// be a decimal number, or a decimal number, which is written as hex beyond 64 bits. Anything
/// else stays as it is.
pub(super) fn trace_id(text: &str) -> LlmTraceId {
    let is_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let is_decimal = text.bytes().all(|b| b.is_ascii_digit());
    if is_hex && (text.starts_with('0') || !is_decimal) {
        if let Some(id) = TraceId::parse(text) {
            return LlmTraceId::Number(id);
        }
    } else if is_decimal
        && let Ok(number) = text.parse::<u128>()
        && number > u128::from(u64::MAX)
    {
        return LlmTraceId::Number(TraceId(number));
    }
    LlmTraceId::Text(text.into())
}

fn sampling(shared: &Shared<'_>) -> Option<Sampling> {
    let rate = |text: &&str| {
        let number = text.parse::<f64>();
        number.is_ok_and(|rate| (0.0..=1.0).contains(&rate))
    };
    let sampling = Sampling {
        rate: shared.get(key::RATE).filter(rate).map(Arc::from),
        keep: match shared.get(key::DECISION) {
            Some("1") => Some(true),
            Some("0") => Some(false),
            _ => None,
        },
    };
    (sampling != Sampling::default()).then_some(sampling)
}

/// A hyphen and the number of a mechanism. It goes out first, so that anything else would
/// take the room of the rest.
fn is_mechanism(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or_default();
    matches!(digits.len(), 1 | 2) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// What has no meaning here and is handed on.
fn passed<E: Extractor + ?Sized>(
    carrier: &E,
    shared: &Shared<'_>,
    by_datadog: bool,
    traceparent: Option<TraceParent>,
) -> Passed {
    let priority = |text: &str| text.trim().parse::<i8>().ok();
    let parent = carrier.get(header::PARENT_ID).and_then(decimal);
    let told = carrier.get(header::PRIORITY).and_then(priority);
    let (parent, priority) = if by_datadog {
        (parent, told)
    } else {
        let by_state = shared.field("s").and_then(priority);
        let by_flags = traceparent.map(|parent| match by_state {
            // A flag that another process has changed wins.
            Some(priority) if (priority > 0) == parent.sampled => priority,
            _ => i8::from(parent.sampled),
        });
        (traceparent.map(|parent| parent.span), by_flags)
    };
    let is_short = |origin: &&str| origin.len() <= LONGEST_ORIGIN;
    let origin = by_datadog.then(|| carrier.get(header::ORIGIN)).flatten();
    let origin = origin.filter(is_short);
    let of_state = shared.state.datadog.iter();
    let of_state = of_state.filter_map(|(key, value)| Some((key.strip_prefix("t.")?, &**value)));
    let mut propagated: Vec<(String, String)> = Vec::new();
    for (key, value) in shared.tags.iter().copied().chain(of_state) {
        let known = propagated.iter().any(|(other, _)| other == key);
        let told = key != key::MECHANISM || is_mechanism(value);
        let ours = key.starts_with(LLMOBS) || key == key::UPPER;
        if !known && told && !ours && datadog::is_name(key) {
            propagated.push((key.to_owned(), value.to_owned()));
        }
    }
    // In one order, whatever header told them: what has found room once finds it again.
    propagated.sort();
    Passed {
        parent,
        priority,
        origin: origin
            .or_else(|| shared.field("o").filter(is_short))
            .map(str::to_owned),
        propagated,
        tracestate: shared.state.others.iter().map(|&m| m.to_owned()).collect(),
    }
}
