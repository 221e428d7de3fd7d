//! Spans: the handle that users hold and the record that travels to the worker.
//!
//! One allocation holds a span from its start to its encoding. What children inherit is
//! fixed at the start and stands outside the lock; what annotations add stands inside it.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value};

use crate::annotation::{AnnotateError, Annotation, Content, Io, IoError, Side};
use crate::capture;
use crate::client::ClientInner;
use crate::clock;
use crate::context::{self, Origin, SpanGuard};
use crate::failure::SpanError;
use crate::id::{self, SpanContext, TraceId};
use crate::kind::SpanKind;
use crate::number::Number;
use crate::report;
use crate::text::Text;
use crate::visible;
use crate::weight;

/// A handle on a span: cheap to clone, usable from any thread.
///
/// The span ends at the first of [`finish`](Self::finish),
/// [`finish_with_error`](Self::finish_with_error) and the drop of its last handle; it is
/// sent when it ends and does not wait for its parent or its children. While llmobs is
/// not enabled a handle is idle: everything on it succeeds and does nothing.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Annotation, Span};
///
/// let span = Span::llm("summarise").model_name("claude").start();
/// {
///     let _in = span.enter(); // spans started here are its children
///     span.annotate(Annotation::new().input("long text"))?;
/// }
/// span.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Span {
    inner: Option<Arc<SpanInner>>,
}

/// What a span is made of.
pub(crate) struct SpanInner {
    pub(crate) client: Arc<ClientInner>,
    pub(crate) kind: SpanKind,
    pub(crate) name: Text,
    pub(crate) span_id: u64,
    pub(crate) trace: TraceIds,
    pub(crate) parent: Option<Arc<SpanInner>>,
    /// The first span of the trace; `None` is this one.
    root: Option<Arc<SpanInner>>,
    /// On the root: the first session that any span of the trace was given (as in ddtrace).
    trace_session: OnceLock<Arc<str>>,
    /// The nearest agent above, resolved at the start; an agent is not its own.
    pub(crate) agent: Option<Arc<SpanInner>>,
    /// Explicit or inherited; `None` is the client's.
    pub(crate) ml_app: Option<Arc<str>>,
    pub(crate) start: Instant,
    pub(crate) decorated: bool,
    has_tracing: bool,
    panicking_at_start: bool,
    handles: AtomicUsize,
    data: Mutex<SpanData>,
}

/// The ids that a whole trace shares.
#[derive(Clone, Copy)]
pub(crate) struct TraceIds {
    pub(crate) llmobs: TraceId,
    pub(crate) apm: TraceId,
}

/// What can be added until the end.
#[derive(Default)]
pub(crate) struct SpanData {
    pub(crate) model_name: Option<Text>,
    pub(crate) model_provider: Option<Text>,
    pub(crate) agent_version: Option<Text>,
    pub(crate) input: Option<Content>,
    pub(crate) output: Option<Content>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) metrics: Vec<(String, Number)>,
    pub(crate) tags: Vec<(Text, Text)>,
    pub(crate) session: Option<Arc<str>>,
    pub(crate) error: Option<SpanError>,
    pub(crate) end: Option<Instant>,
    tracing: Option<tracing::Span>,
}

/// What a span starts with.
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
    pub(crate) metadata: Map<String, Value>,
    /// What an attribute captures or is told; later annotations replace it.
    pub(crate) input: Option<Content>,
    /// By an attribute: the tag `decorator:1`.
    pub(crate) decorated: bool,
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
            metadata: Map::new(),
            input: None,
            decorated: false,
        }
    }
}

fn filled(text: Option<Text>) -> Option<Text> {
    text.filter(|text| !text.is_empty())
}

impl Span {
    /// Starts a span below the current one.
    pub(crate) fn begin(start: Start) -> Self {
        match context::origin() {
            Some(origin) => Self::begin_at(start, origin),
            None => Self::idle(),
        }
    }

    /// Starts a span at a place that was looked up before.
    pub(crate) fn begin_at(start: Start, origin: Origin) -> Self {
        Self {
            inner: Some(Arc::new(SpanInner::start(start, origin))),
        }
    }

    pub(crate) fn idle() -> Self {
        Self { inner: None }
    }

    pub(crate) fn inner(&self) -> Option<&Arc<SpanInner>> {
        self.inner.as_ref()
    }

    /// Takes the reference out of the handle, which still counts; it is given back.
    pub(crate) fn lend(&mut self) -> Option<Arc<SpanInner>> {
        self.inner.take()
    }

    pub(crate) fn give_back(&mut self, inner: Arc<SpanInner>) {
        self.inner = Some(inner);
    }

    /// Makes the span current on this thread until the guard is dropped. The guard holds
    /// a handle, so `Span::task("x").start().enter()` works.
    ///
    /// In async code use [`in_span`](crate::FutureExt::in_span). Across an `.await` this
    /// guard would stay on the thread while other tasks run there; it is not `Send`, so
    /// that a spawned future that holds it does not compile.
    pub fn enter(&self) -> SpanGuard {
        SpanGuard::enter(self.clone())
    }

    /// Adds to the span.
    ///
    /// # Errors
    ///
    /// [`AnnotateError::Ended`] after the end; [`AnnotateError::WrongKind`] and
    /// [`AnnotateError::InvalidValue`] for a part that the span cannot carry, after the
    /// rest was applied. Always `Ok` while llmobs is not enabled.
    pub fn annotate(&self, annotation: Annotation) -> Result<(), AnnotateError> {
        match &self.inner {
            Some(inner) => inner.annotate(annotation),
            None => Ok(()),
        }
    }

    /// Ends the span now.
    ///
    /// # Errors
    ///
    /// [`Ended`] where it has ended before.
    pub fn finish(&self) -> Result<(), Ended> {
        self.end(None)
    }

    /// Ends the span now, with an error: its type, its message and the chain of its sources.
    ///
    /// # Errors
    ///
    /// [`Ended`] where it has ended before.
    pub fn finish_with_error<E: Error + ?Sized>(&self, error: &E) -> Result<(), Ended> {
        if self.inner.is_none() {
            return Ok(());
        }
        self.end(Some(SpanError::from_error(error)))
    }

    /// Ends the span; `error` is an error that the span has not been given yet.
    pub(crate) fn end(&self, error: Option<SpanError>) -> Result<(), Ended> {
        match &self.inner {
            Some(inner) => SpanInner::end(inner, error),
            None => Ok(()),
        }
    }

    /// The span's identity; `None` while llmobs is not enabled. It stays valid after the end.
    pub fn context(&self) -> Option<SpanContext> {
        Some(self.inner.as_ref()?.context())
    }

    /// What an attribute captured as output, unless the user has set one (as in ddtrace).
    pub(crate) fn capture_output(&self, output: Content) {
        self.with_data(|data| {
            data.output.get_or_insert(output);
        });
    }

    pub(crate) fn has_output(&self) -> bool {
        self.with_data(|data| data.output.is_some()) == Some(true)
    }

    pub(crate) fn record_error(&self, error: SpanError) {
        self.with_data(|data| data.error = Some(error));
    }

    /// Marks a span whose future was dropped before its end.
    pub(crate) fn mark_cancelled(&self) {
        self.with_data(|data| data.tags.push(("cancelled".into(), "true".into())));
    }

    /// Changes what can be added until the end; `None` after it.
    pub(crate) fn with_data<R>(&self, change: impl FnOnce(&mut SpanData) -> R) -> Option<R> {
        let inner = self.inner.as_ref()?;
        let mut data = inner.lock();
        data.end.is_none().then(|| change(&mut data))
    }
}

impl Clone for Span {
    fn clone(&self) -> Self {
        if let Some(inner) = &self.inner {
            inner.handles.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(inner) = &self.inner else { return };
        if inner.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            let panicked = std::thread::panicking() && !inner.panicking_at_start;
            let error = panicked.then(SpanError::panic_without_message);
            // Ended before is the usual case here, and no mistake.
            let _ = SpanInner::end(inner, error);
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Some(inner) => fmt::Debug::fmt(inner, f),
            None => f.write_str("Span(idle)"),
        }
    }
}

impl SpanInner {
    fn start(mut start: Start, origin: Origin) -> Self {
        let now = Instant::now();
        let Origin { client, parent } = origin;
        let trace = match &parent {
            Some(parent) => parent.trace,
            None => TraceIds::new(clock::unix_seconds(now)),
        };
        let agent = parent.as_ref().and_then(|parent| match parent.kind {
            SpanKind::Agent => Some(Arc::clone(parent)),
            _ => parent.agent.clone(),
        });
        let ml_app = filled(start.agent_service.take())
            .or_else(|| filled(start.ml_app.take()))
            .map(Arc::from)
            .or_else(|| parent.as_ref()?.ml_app.clone());
        let root = parent
            .as_ref()
            .map(|parent| Arc::clone(parent.root.as_ref().unwrap_or(parent)));
        let explicit = filled(start.session_id.take()).map(Arc::from);
        let trace_session = OnceLock::new();
        if let Some(session) = &explicit {
            let first = root
                .as_ref()
                .map_or(&trace_session, |root| &root.trace_session);
            first.get_or_init(|| Arc::clone(session));
        }
        let session = explicit
            .or_else(|| parent.as_ref()?.lock().session.clone())
            .or_else(|| root.as_ref()?.trace_session.get().cloned());
        let name = filled(start.name).unwrap_or(Text::Borrowed(start.kind.as_str()));
        let span_id = id::random();
        let tracing = visible::open(
            &client,
            start.kind,
            &name,
            &trace.llmobs,
            span_id,
            [start.model_name.as_deref(), start.model_provider.as_deref()],
        );
        Self {
            client,
            kind: start.kind,
            name,
            span_id,
            trace,
            parent,
            root,
            trace_session,
            agent,
            ml_app,
            start: now,
            decorated: start.decorated,
            has_tracing: tracing.is_some(),
            panicking_at_start: std::thread::panicking(),
            handles: AtomicUsize::new(1),
            data: Mutex::new(SpanData {
                model_name: filled(start.model_name),
                model_provider: filled(start.model_provider),
                agent_version: filled(start.agent_version),
                metadata: capture::bound_map(start.metadata),
                input: start.input,
                tags: start.tags,
                session,
                tracing,
                ..SpanData::default()
            }),
        }
    }

    /// No code of a user runs under this lock, so it cannot be poisoned; if it is, the
    /// data is whole all the same.
    pub(crate) fn lock(&self) -> MutexGuard<'_, SpanData> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn context(&self) -> SpanContext {
        SpanContext::ours(self.trace.llmobs, self.span_id)
    }

    /// The tracing span beside this one, to be entered.
    pub(crate) fn tracing(&self) -> Option<tracing::Span> {
        if self.has_tracing {
            self.lock().tracing.clone()
        } else {
            None
        }
    }

    /// Notes `session` as the trace's default if it is the first, and gives it back.
    fn first_session(&self, session: Arc<str>) -> Arc<str> {
        let root = self.root.as_deref().unwrap_or(self);
        root.trace_session.get_or_init(|| Arc::clone(&session));
        session
    }

    fn end(this: &Arc<Self>, error: Option<SpanError>) -> Result<(), Ended> {
        let now = Instant::now();
        let (tracing, weight) = {
            let mut data = this.lock();
            if data.end.is_some() {
                return Err(Ended {
                    name: this.name.to_string(),
                });
            }
            data.end = Some(now);
            if let Some(error) = error {
                data.error.get_or_insert(error);
            }
            (
                data.tracing.take(),
                this.name.len() + weight::of_span(&data),
            )
        };
        // A subscriber may do anything when its span closes: not under our lock.
        drop(tracing);
        this.client.finish_span(Arc::clone(this), weight);
        Ok(())
    }

    pub(crate) fn annotate(&self, annotation: Annotation) -> Result<(), AnnotateError> {
        let result = self.apply(annotation);
        if result.is_err() {
            self.client.front.rejected();
        }
        result
    }

    fn apply(&self, annotation: Annotation) -> Result<(), AnnotateError> {
        let mut failure = None;
        let mut fail = |error: AnnotateError| {
            failure.get_or_insert(error);
        };
        let mut io = |io: Option<Io>, side| match io?.into_content(self.kind, side) {
            Ok(content) => content,
            Err(IoError::WrongKind { field, kind }) => {
                fail(AnnotateError::WrongKind { field, kind });
                None
            }
            Err(IoError::Invalid(reason)) => {
                fail(AnnotateError::InvalidValue { reason });
                None
            }
        };
        let input = io(annotation.input, Side::Input);
        let output = io(annotation.output, Side::Output);
        let metadata = capture::bound_map(annotation.metadata);
        // What is wrong with one goes to a subscriber, which may do anything: not under our lock.
        let mut checked = |(key, number)| match metric(key, number) {
            Ok(metric) => Some(metric),
            Err(error) => {
                failure.get_or_insert(error);
                None
            }
        };
        let metrics = annotation.metrics.into_iter();
        let metrics: Vec<(String, Number)> = metrics.filter_map(&mut checked).collect();

        let mut data = self.lock();
        if data.end.is_some() {
            return Err(AnnotateError::Ended {
                name: self.name.to_string(),
            });
        }
        data.metadata.extend(metadata);
        for (key, number) in metrics {
            set(&mut data.metrics, key, number);
        }
        for (key, value) in annotation.tags {
            if key == "session_id" && !value.is_empty() {
                data.session = Some(self.first_session(Arc::from(&*value)));
            }
            set(&mut data.tags, key, value);
        }
        if input.is_some() {
            data.input = input;
        }
        if output.is_some() {
            data.output = output;
        }
        drop(data);
        failure.map_or(Ok(()), Err)
    }
}

/// Sets `key`, in place where it is there already.
fn set<K: PartialEq, V>(pairs: &mut Vec<(K, V)>, key: K, value: V) {
    match pairs.iter_mut().find(|(other, _)| *other == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
}

fn metric(key: String, number: Number) -> Result<(String, Number), AnnotateError> {
    if number.to_json().is_none() {
        let reason = format!("metric {key:?} must be finite, not {number}");
        return Err(AnnotateError::InvalidValue { reason });
    }
    if !key.contains('.') {
        return Ok((key, number));
    }
    let renamed = key.replace('.', "_");
    report::once(report::Kind::MetricKey, || {
        format!("metric {key:?} has a dot, which the backend does not take: sent as {renamed:?}")
    });
    Ok((renamed, number))
}

impl SpanData {
    /// Takes everything but what children still inherit and what says that it has ended.
    pub(crate) fn take(&mut self) -> Self {
        let kept = Self {
            session: self.session.clone(),
            end: self.end,
            ..Self::default()
        };
        std::mem::replace(self, kept)
    }
}

impl fmt::Debug for SpanInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Span({} {:?} {})", self.kind, self.name, self.context())
    }
}

impl SpanInner {
    fn take_ancestors(&mut self) -> impl Iterator<Item = Arc<Self>> {
        let ancestors = [self.parent.take(), self.root.take(), self.agent.take()];
        ancestors.into_iter().flatten()
    }
}

impl Drop for SpanInner {
    /// Takes a long chain of ancestors apart in a loop: a recursion as deep as the chain
    /// could overflow the stack.
    fn drop(&mut self) {
        let mut chain: Vec<Arc<Self>> = Vec::new();
        chain.extend(self.take_ancestors());
        while let Some(next) = chain.pop() {
            if let Some(mut last) = Arc::into_inner(next) {
                chain.extend(last.take_ancestors());
            }
        }
    }
}

impl TraceIds {
    fn new(seconds: u32) -> Self {
        Self {
            llmobs: TraceId::new(seconds),
            apm: TraceId::new(seconds),
        }
    }
}

/// The span had ended before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("span {name:?} has ended already")]
pub struct Ended {
    /// The span's name.
    pub name: String,
}
