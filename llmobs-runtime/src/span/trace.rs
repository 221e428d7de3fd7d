//! What a trace shares: ids, the first session, the sampling decision, and what another
//! process said. It all lives in the root's record, so that a trace needs no other.

use std::sync::{Arc, OnceLock};

use super::SpanInner;
use crate::clock::{self, Moment};
use crate::id::{LlmTraceId, TraceId};
use crate::remote::{Remote, RemoteParent};
use crate::sampling::{Sampling, rate_text};
use crate::tags;

/// The ids that a whole trace shares.
#[derive(Clone)]
pub(crate) struct TraceIds {
    pub(crate) llmobs: LlmTraceId,
    pub(crate) apm: TraceId,
}

impl TraceIds {
    /// The ids of a trace that [begins](Self::begin) here.
    #[inline]
    pub(super) fn new([llmobs, apm]: [u64; 2]) -> Self {
        Self {
            llmobs: LlmTraceId::Number(TraceId::new(0, llmobs)),
            apm: TraceId::new(0, apm),
        }
    }

    /// Both begin at that moment.
    #[inline]
    pub(super) fn begin(&mut self, at: Moment) {
        let seconds = clock::unix_seconds(at);
        if let LlmTraceId::Number(id) = &mut self.llmobs {
            *id = TraceId::new(seconds, id.low());
        }
        self.apm = TraceId::new(seconds, self.apm.low());
    }

    /// Goes on with a trace of another process.
    pub(super) fn go_on(&mut self, remote: &Remote) {
        if let Some(parent) = &remote.parent {
            self.llmobs.clone_from(&parent.trace);
        }
        if let Some(apm) = remote.apm {
            self.apm = apm;
        }
    }
}

/// Of a root: what its trace shares.
#[derive(Default)]
pub(super) struct TraceState {
    /// The first session that any span of the trace was given (as in ddtrace).
    pub(super) session: OnceLock<Arc<str>>,
    /// Empty until it is decided; without rules it is reckoned from the rate when needed.
    sampling: OnceLock<Arc<Sampling>>,
    remote: Option<Arc<Remote>>,
}

impl TraceState {
    /// Whether no other process has said anything of the trace.
    #[inline]
    pub(super) fn is_of_here(&self) -> bool {
        self.remote.is_none()
    }

    pub(super) fn of(remote: Arc<Remote>) -> Self {
        let state = Self::default();
        if let Some(session) = &remote.session {
            state.session.get_or_init(|| Arc::clone(session));
        }
        // Where LLM Observability goes on, its decision does, said or not.
        if remote.parent.is_some() {
            let decided = || remote.sampling.clone().unwrap_or_default();
            state.sampling.get_or_init(decided);
        }
        Self {
            remote: Some(remote),
            ..state
        }
    }
}

impl SpanInner {
    fn root(&self) -> &Self {
        self.root.as_deref().unwrap_or(self)
    }

    /// What another process said of the trace.
    pub(crate) fn remote(&self) -> Option<&Remote> {
        self.root().state.remote.as_deref()
    }

    /// The parent with which a process that is forked off goes on, as if headers had said it.
    pub(crate) fn for_forked(&self) -> Remote {
        let before = self.remote();
        Remote {
            parent: Some(RemoteParent {
                span: self.span_id,
                trace: self.trace.llmobs.clone(),
            }),
            apm: Some(self.trace.apm),
            ml_app: self.ml_app.clone(),
            session: self.trace_session().cloned(),
            sampling: Some(Arc::new(self.sampling())),
            agent: self.agent_for_forked().or_else(|| before?.agent.clone()),
            passed: before
                .map(|remote| remote.passed.clone())
                .unwrap_or_default(),
        }
    }

    /// Notes `session` as the trace's default if it is the first, and gives it back.
    pub(super) fn first_session(&self, session: Arc<str>) -> Arc<str> {
        let state = &self.root().state;
        state.session.get_or_init(|| Arc::clone(&session));
        session
    }

    /// The session that the whole trace has where a span has none.
    pub(crate) fn trace_session(&self) -> Option<&Arc<str>> {
        self.root().state.session.get()
    }

    /// Decides for the trace by the tags that its root has now, if there are rules that
    /// look at them; the first decision stays.
    #[inline]
    pub(crate) fn decide(&self) {
        if !self.client.settings.sampling_rules.is_empty() {
            self.decide_by_rules();
        }
    }

    fn decide_by_rules(&self) {
        let root = self.root();
        if root.state.sampling.get().is_some() {
            return;
        }
        let settings = &root.client.settings;
        let rate = {
            let data = root.lock();
            let tags = tags::of(root, &data);
            let tag = |key: &str| tags.get(key);
            let mut rules = settings.sampling_rules.iter();
            rules.find(|rule| rule.fits(tag)).map(|rule| rule.rate)
        };
        let decided = || match rate {
            Some(rate) => Sampling::decide(root.trace.apm.low(), rate, rate_text(rate).into()),
            None => root.by_rate(),
        };
        root.state.sampling.get_or_init(|| Arc::new(decided()));
    }

    /// What is decided for the trace.
    pub(crate) fn sampling(&self) -> Sampling {
        let root = self.root();
        match root.state.sampling.get() {
            Some(sampling) => (**sampling).clone(),
            None => root.by_rate(),
        }
    }

    fn by_rate(&self) -> Sampling {
        let settings = &self.client.settings;
        let text = Arc::clone(&settings.sample_rate_text);
        Sampling::decide(self.trace.apm.low(), settings.sample_rate, text)
    }
}
