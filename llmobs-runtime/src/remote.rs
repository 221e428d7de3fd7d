//! What another process said of the trace that is continued here.

use std::sync::Arc;

use crate::id::{LlmTraceId, SpanContext, TraceId};
use crate::sampling::Sampling;

/// The other end of distributed headers. Every part may be missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remote {
    /// The span that called, in LLM Observability.
    pub(crate) parent: Option<RemoteParent>,
    /// The APM trace, which may go on without a span of ours.
    pub(crate) apm: Option<TraceId>,
    pub(crate) ml_app: Option<Arc<str>>,
    pub(crate) session: Option<Arc<str>>,
    pub(crate) sampling: Option<Arc<Sampling>>,
    pub(crate) agent: Option<RemoteAgent>,
    /// What has no meaning here and is handed on.
    pub(crate) passed: Passed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteParent {
    pub(crate) span: u64,
    pub(crate) trace: LlmTraceId,
}

/// The nearest agent above, which lives in another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteAgent {
    pub(crate) span: String,
    pub(crate) name: Option<String>,
}

/// What distributed headers say to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The APM span that called.
    pub(crate) parent: Option<u64>,
    /// Where the trace began, such as `synthetics`.
    pub(crate) origin: Option<String>,
    /// Datadog's sampling priority of the APM trace.
    pub(crate) priority: Option<i8>,
    /// `_dd.p.*` pairs that are not ours, without that prefix.
    pub(crate) propagated: Vec<(String, String)>,
    /// Members of `tracestate` that are not Datadog's, as they came.
    pub(crate) tracestate: Vec<String>,
}

impl Remote {
    pub(crate) fn context(&self) -> Option<SpanContext> {
        let parent = self.parent.as_ref()?;
        Some(SpanContext::ours(&parent.trace, parent.span))
    }
}
