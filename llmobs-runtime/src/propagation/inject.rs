//! From what is current to headers.

use super::datadog::{self, Tags};
use super::w3c::{self, Member, TraceParent};
use super::{Injector, header, key};
use crate::capture;
use crate::context::{self, Origin};
use crate::id::{LlmTraceId, TraceId};
use crate::remote::{Passed, Remote};
use crate::sampling::Sampling;
use crate::span::SpanInner;

/// Writes what is current here into the headers of a request, so that spans of the process
/// that gets it are children of the current span, in its trace. Headers of an earlier trace
/// are replaced, members of others stay.
///
/// For another span: `Context::from(&span).in_scope(|| inject(&mut headers))`. The trace's
/// sampling is decided by this at the latest. Where no span is current and the context came
/// from another process, what that said is handed on.
///
/// # Errors
///
/// [`InjectError::NoSpan`] where nothing is current; the headers are left as they are.
/// [`InjectError::Carrier`] where the carrier panics. Each is counted as rejected. Always `Ok` while llmobs is not enabled, and nothing is written.
pub fn inject<I: Injector + ?Sized>(carrier: &mut I) -> Result<(), InjectError> {
    let Some(origin) = context::origin() else {
        return Ok(());
    };
    let outgoing = Outgoing::of(&origin).ok_or_else(|| {
        origin.client.front.rejected();
        InjectError::NoSpan
    })?;
    if outgoing.write(carrier) {
        return Ok(());
    }
    origin.client.front.rejected();
    Err(InjectError::Carrier)
}

/// The same where it is no mistake that nothing is current, and not counted as one.
#[cfg(any(feature = "tower", feature = "reqwest-middleware"))]
pub(super) fn inject_if_any<I: Injector + ?Sized>(carrier: &mut I) {
    if let Some(outgoing) = context::origin().as_ref().and_then(Outgoing::of) {
        // It is the layer's own carrier, which does not panic.
        outgoing.set(carrier);
    }
}

/// Why no headers were written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InjectError {
    /// No span is current on this thread or task.
    #[error("no headers to inject: no span is current on this thread or task")]
    NoSpan,
    /// The carrier panicked; some of the headers may have been set before that.
    #[error("the carrier of the headers panicked: they may be incomplete")]
    Carrier,
}

/// What goes out.
struct Outgoing {
    apm: TraceId,
    /// Of APM; the same as ours, since we are the tracer.
    span: u64,
    /// Of LLM Observability, with its trace.
    parent: Option<(u64, String)>,
    ml_app: Option<String>,
    session: Option<String>,
    sampling: Sampling,
    agent: Option<(String, Option<String>)>,
    passed: Passed,
}

impl Outgoing {
    fn of(origin: &Origin) -> Option<Self> {
        match (&origin.parent, &origin.remote) {
            (Some(span), _) => Some(Self::of_span(span)),
            (None, Some(remote)) => Self::of_remote(remote),
            (None, None) => None,
        }
    }

    fn of_span(span: &SpanInner) -> Self {
        span.decide();
        let session = span.trace_session();
        Self {
            apm: span.trace.apm,
            span: span.span_id,
            parent: Some((span.span_id, written(&span.trace.llmobs))),
            ml_app: Some(span.ml_app().to_owned()),
            session: session.map(ToString::to_string),
            sampling: span.sampling(),
            agent: span
                .agent_of_children()
                .map(|agent| (agent.span, agent.name)),
            passed: span
                .remote()
                .map(|remote| remote.passed.clone())
                .unwrap_or_default(),
        }
    }

    fn of_remote(remote: &Remote) -> Option<Self> {
        let parent = remote.parent.as_ref();
        let agent = remote.agent.clone();
        Some(Self {
            apm: remote.apm?,
            span: remote.passed.parent.or(parent.map(|parent| parent.span))?,
            parent: parent.map(|parent| (parent.span, written(&parent.trace))),
            ml_app: remote.ml_app.as_deref().map(str::to_owned),
            session: remote.session.as_deref().map(str::to_owned),
            sampling: remote.sampling.as_deref().cloned().unwrap_or_default(),
            agent: agent.map(|agent| (agent.span, agent.name)),
            passed: remote.passed.clone(),
        })
    }

    /// False where the carrier panics.
    fn write<I: Injector + ?Sized>(&self, carrier: &mut I) -> bool {
        !capture::panics(|| self.set(carrier))
    }

    fn set<I: Injector + ?Sized>(&self, carrier: &mut I) {
        let priority = self.passed.priority.unwrap_or(1);
        let traceparent = TraceParent {
            trace: self.apm.0,
            span: self.span,
            sampled: priority > 0,
        };
        let tracestate = self.tracestate(priority, &carrier.get_all(header::TRACESTATE));
        let tags = self.tags(carrier.get(header::TAGS).unwrap_or_default());
        carrier.set(header::TRACEPARENT, traceparent.to_string());
        carrier.set(header::TRACESTATE, tracestate);
        carrier.set(header::TRACE_ID, self.apm.low().to_string());
        carrier.set(header::PARENT_ID, self.span.to_string());
        carrier.set(header::PRIORITY, priority.to_string());
        carrier.set(header::TAGS, tags);
        let origin = self.passed.origin.as_deref();
        if let Some(origin) = origin.filter(|origin| datadog::fits(origin)) {
            carrier.set(header::ORIGIN, origin.to_owned());
        }
    }

    /// What LLM Observability shares, the indispensable first: the room ends somewhere.
    fn shared(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let parent = self.parent.as_ref();
        let told = [
            (key::TRACE, parent.map(|(_, trace)| &**trace)),
            (key::RATE, self.sampling.rate.as_deref()),
            (key::DECISION, self.sampling.decision()),
            (key::ML_APP, self.ml_app.as_deref()),
            (key::SESSION, self.session.as_deref()),
        ];
        let told = told.into_iter();
        told.filter_map(|(key, value)| Some((key, value?)))
    }

    /// The mechanism by which the APM trace was sampled: by default, unless another process
    /// said so.
    fn mechanism(&self) -> Option<&str> {
        let mut told = self.passed.propagated.iter();
        let told = told.find_map(|(key, value)| (key == key::MECHANISM).then_some(&**value));
        let default = self.passed.priority.is_none().then_some("-0");
        told.or(default)
    }

    /// What other processes hand on, without the mechanism.
    fn others(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.passed.propagated.iter();
        pairs
            .map(|(key, value)| (&**key, &**value))
            .filter(|(key, _)| !datadog::is_ours(key))
    }

    fn tracestate(&self, priority: i8, before: &[&str]) -> String {
        let mut member = Member::new();
        member.add("", "p", &format!("{:016x}", self.span));
        member.add("", "s", &priority.to_string());
        if let Some(mechanism) = self.mechanism() {
            member.add("t.", key::MECHANISM, mechanism);
        }
        member.add("t.", key::PARENT, &self.parent_text());
        for (key, value) in self.shared() {
            member.add("t.", key, value);
        }
        let agent = self.agent.as_ref();
        let with_agent = agent.filter(|(span, _)| member.add("t.", key::AGENT, span));
        if let Some(origin) = &self.passed.origin {
            member.add("", "o", origin);
        }
        for (key, value) in self.others() {
            member.add("t.", key, value);
        }
        if let Some((_, Some(name))) = with_agent {
            member.add("t.", key::AGENT_NAME, name);
        }
        let before = w3c::tracestate(before).others;
        let passed = self.passed.tracestate.iter().map(String::as_str);
        member.before(passed.chain(before))
    }

    fn tags(&self, before: &str) -> String {
        let mut tags = Tags::default();
        if let Some(mechanism) = self.mechanism() {
            tags.add(key::MECHANISM, mechanism);
        }
        let upper = self.apm.0 >> 64;
        if upper != 0 {
            tags.add(key::UPPER, &format!("{upper:016x}"));
        }
        tags.add(key::PARENT, &self.parent_text());
        for (key, value) in self.shared() {
            tags.add(key, value);
        }
        let agent = self.agent.as_ref();
        let with_agent = agent.filter(|(span, _)| tags.add(key::AGENT, span));
        let before = datadog::parse(before);
        let before = before.into_iter().filter(|(key, _)| !datadog::is_ours(key));
        let mut known: Vec<&str> = Vec::new();
        for (key, value) in self.others().chain(before) {
            if !known.contains(&key) && tags.add(key, value) {
                known.push(key);
            }
        }
        if let Some((_, Some(name))) = with_agent {
            tags.add_name(key::AGENT_NAME, name);
        }
        tags.finish()
    }

    fn parent_text(&self) -> String {
        let parent = self.parent.as_ref();
        parent.map_or_else(|| "undefined".to_owned(), |(span, _)| span.to_string())
    }
}

/// A trace id as it goes out: decimal, also where it came as hex (as in ddtrace).
fn written(trace: &LlmTraceId) -> String {
    match trace {
        LlmTraceId::Number(id) => { id.0 }.to_string(),
        LlmTraceId::Text(text) => {
            let hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
            let number = hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
            number.map_or_else(|| text.to_string(), |number| number.to_string())
        }
    }
}
