//! The start of a span: what it has from those above it, what it is told, and what follows.

use std::sync::atomic::{AtomicU8, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use super::extra;
use super::trace::{TraceIds, TraceState};
use super::{At, SpanData, SpanInner};
use crate::annotation::{Annotations, apply};
use crate::capture;
use crate::client::ClientInner;
use crate::clock::Moment;
use crate::context::{self, Origin};
use crate::id;
use crate::kind::SpanKind;
use crate::remote::Remote;
use crate::tags::{self, SESSION};
use crate::text::Text;
use crate::visible;

/// What a builder is told.
pub(crate) struct Start {
    pub(crate) kind: SpanKind,
    pub(crate) name: Option<Text>,
    pub(crate) model_name: Option<Text>,
    pub(crate) model_provider: Option<Text>,
    pub(crate) session_id: Option<Text>,
    pub(crate) ml_app: Option<Text>,
    pub(crate) agent_service: Option<Text>,
    pub(crate) agent_version: Option<Text>,
    pub(crate) tags: Vec<(Text, Text)>,
    /// Later values win.
    pub(crate) metadata: Vec<(String, Value)>,
}

impl Start {
    pub(crate) fn new(kind: SpanKind) -> Self {
        Self {
            kind,
            name: None,
            model_name: None,
            model_provider: None,
            session_id: None,
            ml_app: None,
            agent_service: None,
            agent_version: None,
            tags: Vec::new(),
            metadata: Vec::new(),
        }
    }

    /// Starts the span below the current one, if anything is enabled.
    pub(super) fn begin(self) -> Option<SpanInner> {
        let Origin {
            client,
            parent,
            remote,
            annotations,
        } = context::origin()?;
        let mut span =
            SpanInner::fresh(client, self.kind, self.kind.as_str(), false, id::randoms());
        span.set_name(self.name);
        span.inherit(parent, remote);
        span.set_session(self.session_id);
        span.set_ml_app(filled(self.agent_service).or(self.ml_app));
        span.set_agent_version(self.agent_version);
        let data = span.data_mut();
        data.model_name = self.model_name.unwrap_or_default();
        data.model_provider = self.model_provider.unwrap_or_default();
        data.tags = self.tags;
        if !self.metadata.is_empty() {
            data.details().metadata = Map::from_iter(self.metadata);
        }
        span.settle(annotations);
        Some(span)
    }
}

/// Unless it is empty.
fn filled(text: Option<Text>) -> Option<Text> {
    text.filter(|text| !text.is_empty())
}

impl SpanInner {
    /// A span that has nothing above it. [`inherit`](Self::inherit) comes next where
    /// it has, then what it is told itself, then [`settle`](Self::settle).
    #[allow(
        clippy::inline_always,
        reason = "what it makes is large; out of a call it would be moved, and that waited for"
    )]
    #[inline(always)]
    pub(super) fn fresh(
        client: Arc<ClientInner>,
        kind: SpanKind,
        name: &'static str,
        decorated: bool,
        [span_id, randoms @ ..]: [u64; 3],
    ) -> Self {
        Self {
            client,
            kind,
            name: Text::literal(name),
            span_id,
            trace: TraceIds::new(randoms),
            root: None,
            state: TraceState::default(),
            ml_app: None,
            start: Moment::ZERO,
            decorated,
            has_tracing: false,
            place: At::default(),
            panicking_at_start: std::thread::panicking(),
            handles: AtomicUsize::new(1),
            carries: AtomicU8::new(0),
            data: Mutex::new(SpanData::default()),
        }
    }

    #[cfg(test)]
    pub(crate) fn of_nothing(client: &Arc<ClientInner>) -> Self {
        let client = Arc::clone(client);
        Self::fresh(client, SpanKind::Task, "nothing", false, id::randoms())
    }

    /// What it has from the span or the process above it.
    pub(super) fn inherit(&mut self, parent: Option<Arc<Self>>, remote: Option<Arc<Remote>>) {
        if let Some(remote) = remote {
            self.trace.begin(Moment::now());
            self.trace.go_on(&remote);
            self.ml_app.clone_from(&remote.ml_app);
            self.state = TraceState::of(remote);
        }
        if let Some(parent) = parent {
            self.trace.clone_from(&parent.trace);
            self.ml_app.clone_from(&parent.ml_app);
            self.root = Some(Arc::clone(parent.root.as_ref().unwrap_or(&parent)));
            self.data_mut().above.parent = Some(parent);
        }
    }

    /// Where its name stands until it is settled.
    pub(crate) fn name_mut(&mut self) -> &mut Text {
        &mut self.name
    }

    /// An empty name, or none, leaves the one that it has.
    pub(crate) fn set_name(&mut self, name: Option<Text>) {
        if let Some(name) = filled(name) {
            self.name = name;
        }
    }

    pub(crate) fn set_session(&mut self, session: Option<Text>) {
        self.data_mut().session = filled(session).map(Arc::from);
    }

    pub(crate) fn set_ml_app(&mut self, ml_app: Option<Text>) {
        if let Some(ml_app) = filled(ml_app) {
            self.ml_app = Some(ml_app.into());
        }
    }

    pub(crate) fn set_agent_version(&mut self, version: Option<Text>) {
        if let Some(version) = filled(version) {
            self.data_mut().extra().agent_version = Some(version);
        }
    }

    /// Adds what the annotation contexts around it say, and what follows from all that it was
    /// told. From here on others may see it.
    #[inline]
    pub(crate) fn settle(&mut self, annotations: Option<Annotations>) {
        // Not before: what an attribute says may take its time.
        self.start = Moment::now();
        if self.root.is_none() && self.state.is_of_here() {
            self.trace.begin(self.start);
        }
        if annotations.is_some() || self.data_mut().holds_more() {
            self.settle_more(annotations);
        }
        let state = self.root.as_ref().map_or(&self.state, |root| &root.state);
        let data = self.data.get_mut();
        let data = data.unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &data.session {
            state.session.get_or_init(|| Arc::clone(session));
        }
        data.above.inherit(&mut data.session);
        if data.session.is_none() {
            data.session = state.session.get().cloned();
        }
        data.tracing = visible::open(
            &self.client,
            self.kind,
            &self.name,
            &self.trace.llmobs,
            self.span_id,
            [&data.model_name, &data.model_provider],
        );
        self.has_tracing = data.tracing.is_some();
    }

    #[inline(never)]
    fn settle_more(&mut self, annotations: Option<Annotations>) {
        let cost_tags = annotations.map(|annotations| apply(&annotations, self));
        let data = self.data_mut();
        if let Some(details) = &mut data.details {
            details.metadata = capture::bound_map(std::mem::take(&mut details.metadata));
        }
        if data.session.is_none() {
            let mut tags = data.tags.iter().rev();
            let session = tags.find(|(key, value)| key == SESSION && !value.is_empty());
            data.session = session.map(|(_, session)| Arc::from(&**session));
        }
        let extra = data.extra.as_ref();
        if extra.is_some_and(|extra| extra.prompt.is_some()) {
            *self.carries.get_mut() = extra::PROMPT;
        }
        if let Some(cost_tags) = cost_tags.filter(|cost_tags| !cost_tags.is_empty()) {
            // One that this span has no tag for is for others of the scope.
            let _ = tags::add_cost_tags(self, &mut self.lock(), cost_tags);
        }
    }
}
