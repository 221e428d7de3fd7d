//! The start of a span: what it is told, and what it has from those above it.

use std::sync::atomic::{AtomicU8, AtomicUsize};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use super::extra::{self, SpanExtra};
use super::trace::{TraceIds, TraceState};
use super::{SpanData, SpanInner};
use crate::annotation::{Content, apply};
use crate::capture;
use crate::clock::{self, Moment};
use crate::context::Origin;
use crate::id;
use crate::kind::SpanKind;
use crate::prompt::Prompt;
use crate::tags::{self, SESSION};
use crate::text::Text;
use crate::visible;

/// What a span starts with.
pub(crate) struct Start {
    pub(crate) kind: SpanKind,
    /// Where it starts, if that was looked up before.
    pub(crate) origin: Option<Origin>,
    pub(crate) name: Option<Text>,
    pub(crate) model_name: Option<Text>,
    pub(crate) model_provider: Option<Text>,
    pub(crate) session_id: Option<Text>,
    pub(crate) tags: Vec<(Text, Text)>,
    /// Later values win; a list, since dropping an empty map is not for nothing.
    pub(crate) metadata: Vec<(String, Value)>,
    /// What an attribute captures or is told; later annotations replace it.
    pub(crate) input: Option<Content>,
    /// By an attribute: the tag `decorator:1`.
    pub(crate) decorated: bool,
    /// In a box, so that the others, which are moved about, pay a word for it.
    extra: Option<Box<StartExtra>>,
}

/// What few spans start with.
#[derive(Default)]
pub(crate) struct StartExtra {
    pub(crate) ml_app: Option<Text>,
    pub(crate) agent_service: Option<Text>,
    pub(crate) agent_version: Option<Text>,
    /// Of annotation contexts.
    pub(crate) cost_tags: Vec<Text>,
    prompt: Option<Arc<Prompt>>,
}

impl Start {
    pub(crate) fn new(kind: SpanKind) -> Self {
        Self {
            kind,
            origin: None,
            name: None,
            model_name: None,
            model_provider: None,
            session_id: None,
            tags: Vec::new(),
            metadata: Vec::new(),
            input: None,
            decorated: false,
            extra: None,
        }
    }

    pub(crate) fn add_prompt(&mut self, prompt: Arc<Prompt>) {
        let (key, value) = tags::PROMPT_METHOD;
        tags::set(&mut self.tags, key.into(), value.into());
        Prompt::add(&mut self.extra().prompt, prompt);
    }

    pub(crate) fn extra(&mut self) -> &mut StartExtra {
        self.extra.get_or_insert_default()
    }

    /// The version of an agent, taken out.
    pub(crate) fn take_agent_version(&mut self) -> Option<Text> {
        filled(&mut self.extra.as_mut()?.agent_version)
    }

    /// What the annotation contexts around it say.
    pub(super) fn annotate(&mut self, origin: &Origin) {
        if let Some(annotations) = &origin.annotations {
            apply(annotations, self);
        }
    }

    pub(super) fn take_cost_tags(&mut self) -> Vec<Text> {
        let extra = self.extra.as_mut();
        extra.map_or_else(Vec::new, |extra| std::mem::take(&mut extra.cost_tags))
    }

    fn take_ml_app(&mut self) -> Option<Text> {
        let extra = self.extra.as_mut()?;
        filled(&mut extra.agent_service).or_else(|| filled(&mut extra.ml_app))
    }

    fn take_extra(&mut self) -> Option<Box<SpanExtra>> {
        let agent_version = self.take_agent_version();
        let prompt = self.extra.as_mut()?.prompt.take();
        (prompt.is_some() || agent_version.is_some()).then(|| {
            Box::new(SpanExtra {
                agent_version,
                prompt,
                ..SpanExtra::default()
            })
        })
    }
}

/// What stands there, unless it is empty. By reference: it is copied once.
fn filled(text: &mut Option<Text>) -> Option<Text> {
    match text {
        Some(text) if text.is_empty() => None,
        text => text.take(),
    }
}

fn metadata(given: Vec<(String, Value)>) -> Map<String, Value> {
    if given.is_empty() {
        return Map::new();
    }
    capture::bound_map(given.into_iter().collect())
}

impl SpanInner {
    /// Takes what `start` has, which is large, out of its place.
    #[inline(always)]
    pub(super) fn start(start: &mut Start, origin: Origin) -> Self {
        let Origin {
            client,
            parent,
            remote,
            annotations: _,
        } = origin;
        let ml_app = start
            .take_ml_app()
            .map(Arc::from)
            .or_else(|| match &parent {
                Some(parent) => parent.ml_app.clone(),
                None => remote.as_ref()?.ml_app.clone(),
            });
        let extra = start.take_extra();
        let kind = start.kind;
        let now = Moment::now();
        let trace = match &parent {
            Some(parent) => parent.trace.clone(),
            None => TraceIds::new(clock::unix_seconds(now), remote.as_deref()),
        };
        let agent = parent.as_ref().and_then(|parent| match parent.kind {
            SpanKind::Agent => Some(Arc::clone(parent)),
            _ => parent.agent.clone(),
        });
        let root = parent
            .as_ref()
            .map(|parent| Arc::clone(parent.root.as_ref().unwrap_or(parent)));
        let state = TraceState::new(remote);
        let shared = root.as_ref().map_or(&state, |root| &root.state);
        let explicit = filled(&mut start.session_id)
            .or_else(|| {
                let mut tags = start.tags.iter().rev();
                let (_, session) = tags.find(|(key, value)| key == SESSION && !value.is_empty())?;
                Some(session.clone())
            })
            .map(Arc::from);
        if let Some(session) = &explicit {
            shared.session.get_or_init(|| Arc::clone(session));
        }
        let session = explicit
            .or_else(|| parent.as_ref()?.lock().session.clone())
            .or_else(|| shared.session.get().cloned());
        let name = filled(&mut start.name).unwrap_or_else(|| Text::literal(kind.as_str()));
        let span_id = id::random();
        let model = [&start.model_name, &start.model_provider];
        let tracing = visible::open(&client, kind, &name, &trace.llmobs, span_id, model);
        let has_prompt = extra.as_ref().is_some_and(|extra| extra.prompt.is_some());
        let carries = if has_prompt { extra::PROMPT } else { 0 };
        Self {
            client,
            kind,
            name,
            span_id,
            trace,
            parent,
            root,
            state,
            agent,
            ml_app,
            start: now,
            decorated: start.decorated,
            has_tracing: tracing.is_some(),
            panicking_at_start: std::thread::panicking(),
            handles: AtomicUsize::new(1),
            carries: AtomicU8::new(carries),
            data: Mutex::new(SpanData {
                model_name: filled(&mut start.model_name),
                model_provider: filled(&mut start.model_provider),
                input: start.input.take(),
                output: None,
                metadata: metadata(std::mem::take(&mut start.metadata)),
                metrics: Vec::new(),
                tags: std::mem::take(&mut start.tags),
                session,
                error: None,
                end: None,
                extra,
                tracing,
            }),
        }
    }
}
