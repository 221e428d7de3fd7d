//! Spans: the handle that users hold and the record that travels to the worker.
//!
//! One record holds a span from its start to its encoding. What children inherit is fixed at the
//! start and stands outside the lock; what annotations add stands inside it, and so do the
//! references to the spans above (`lineage`), which end with the encoding.

mod annotate;
mod extra;
mod lineage;
pub(crate) mod open;
mod slot;
mod start;
mod trace;
mod weight;

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::annotation::{AnnotateError, Annotation, Content};
use crate::capture;
use crate::client::ClientInner;
use crate::clock::{Moment, Reached};
use crate::config::Capture;
use crate::context::{self, SpanGuard};
use crate::failure::SpanError;
use crate::id::SpanContext;
use crate::kind::SpanKind;
use crate::text::Text;

pub(crate) use annotate::{Checked, metric};
use extra::{Inherited, PROMPT};
pub(crate) use extra::{SpanDetails, SpanExtra};
use lineage::Above;
pub(crate) use lineage::AgentIds;
use open::{At, Held};
pub(crate) use slot::Slot;
pub(crate) use start::Start;
use trace::{TraceIds, TraceState};

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
    /// The name that it started with.
    name: Text,
    pub(crate) span_id: u64,
    pub(crate) trace: TraceIds,
    /// The first span of the trace in this process; `None` is this one.
    root: Option<Arc<SpanInner>>,
    /// What the whole trace shares; of the root alone is it looked at.
    state: TraceState,
    /// Explicit or inherited; `None` is the client's.
    ml_app: Option<Arc<str>>,
    pub(crate) start: Moment,
    pub(crate) decorated: bool,
    has_tracing: bool,
    /// The place where it stands while it is open, if others may refer to it.
    place: At,
    panicking_at_start: bool,
    handles: AtomicUsize,
    /// What children look for: bits of [`extra`], so that they take the lock only where
    /// there is something.
    carries: AtomicU8,
    data: Mutex<SpanData>,
}

/// What can be added until the end.
#[derive(Default)]
pub(crate) struct SpanData {
    /// Empty where it is not known.
    pub(crate) model_name: Text,
    pub(crate) model_provider: Text,
    pub(crate) input: Option<Content>,
    pub(crate) output: Option<Content>,
    pub(crate) details: Option<Box<SpanDetails>>,
    pub(crate) tags: Vec<(Text, Text)>,
    pub(crate) session: Option<Arc<str>>,
    pub(crate) error: Option<Box<SpanError>>,
    pub(crate) end: Reached,
    pub(crate) extra: Option<Box<SpanExtra>>,
    above: Above,
    tracing: Option<Box<tracing::Span>>,
}

impl Span {
    /// Starts a span below the current one.
    pub(crate) fn begin(start: Start) -> Self {
        start.begin().map_or_else(Self::idle, |span| {
            let span = Arc::new(span);
            context::keep(&span);
            Self::of(span)
        })
    }

    pub(crate) fn idle() -> Self {
        Self { inner: None }
    }

    /// The first handle of a span.
    pub(crate) fn of(inner: Arc<SpanInner>) -> Self {
        Self { inner: Some(inner) }
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
    pub fn annotate(&self, mut annotation: Annotation) -> Result<(), AnnotateError> {
        self.annotate_with(&mut annotation)
    }

    /// By reference, since it is large.
    pub(crate) fn annotate_with(&self, annotation: &mut Annotation) -> Result<(), AnnotateError> {
        let Some(inner) = &self.inner else {
            return Ok(());
        };
        let mut checked = Checked::new(annotation, inner.kind);
        inner.annotate(&mut checked);
        checked.result()
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
    /// Rust does not tell which type is behind a `dyn Error`. The type is then the first that is had
    /// of the error and its sources, here as in the functions that an attribute stands on:
    ///
    /// | the error | its type in the span |
    /// |---|---|
    /// | `MyError`, whatever is known by its own type | `my_crate::MyError` |
    /// | a type of the standard library or of `serde_json`, behind `anyhow::Error` or `Box<dyn Error>` | `std::io::error::Error`, `core::num::error::ParseIntError`, … |
    /// | any other one whose `Debug` is derived, or begins like that | the name of the struct or the variant: `Timeout` for `Timeout { seconds: 3 }`, `reqwest::Error` |
    /// | `anyhow::Error` with a context; a text with a source | that of the first source that has one |
    /// | `anyhow!("a text")`, `Box::from("a text")` | `anyhow::Error`, the type of the box |
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
            Some(inner) if !SpanInner::end(inner, error) => Err(Ended {
                name: inner.name.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Ends the span, unless somebody has, and lets go of it.
    pub(crate) fn end_and_leave(&mut self) {
        // Handles are counted for the end alone.
        if let Some(inner) = self.inner.take() {
            SpanInner::end(&inner, None);
        }
    }

    /// The span's identity; `None` while llmobs is not enabled. It stays valid after the end.
    pub fn context(&self) -> Option<SpanContext> {
        Some(self.inner.as_ref()?.context())
    }

    /// Whether the output is worth a look: values may be looked at, and nobody has set one.
    pub(crate) fn wants_output(&self) -> bool {
        self.inner.as_ref().is_some_and(|span| span.wants_output())
    }

    /// Marks a span whose future was dropped before its end.
    pub(crate) fn mark_cancelled(&self) {
        self.with_data(|data| data.tags.push(("cancelled".into(), "true".into())));
    }

    /// Changes what can be added until the end; `None` after it.
    pub(crate) fn with_data<R>(&self, change: impl FnOnce(&mut SpanData) -> R) -> Option<R> {
        self.inner.as_ref()?.with_data(change)
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

impl Span {
    /// What the drop of a handle is where there is a span.
    #[inline(never)]
    fn leave(inner: &Arc<SpanInner>) {
        // Where it is the only one, nobody can make another of it meanwhile.
        let last = inner.handles.load(Ordering::Acquire) == 1
            || inner.handles.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            // Ended before is the usual case here, and no mistake.
            SpanInner::end(inner, inner.passing_panic());
        }
    }
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        if let Some(inner) = &self.inner {
            Self::leave(inner);
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
    /// Changes what can be added until the end; `None` after it.
    pub(crate) fn with_data<R>(&self, change: impl FnOnce(&mut SpanData) -> R) -> Option<R> {
        if self.client.is_of_parent() {
            return None;
        }
        let mut data = self.lock();
        (!data.end.is_reached()).then(|| change(&mut data))
    }

    /// Whether it has not ended.
    pub(crate) fn is_open(&self) -> bool {
        !self.lock().end.is_reached()
    }

    /// Whether values may be looked at.
    pub(crate) fn captures(&self) -> bool {
        self.client.settings.capture == Capture::Full
    }

    /// Whether the output is worth a look: values may be looked at, and nobody has set one.
    pub(crate) fn wants_output(&self) -> bool {
        self.captures() && self.with_data(|data| data.output.is_none()) == Some(true)
    }

    /// The same of a span that nobody else has.
    #[inline]
    pub(crate) fn data_mut(&mut self) -> &mut SpanData {
        self.data.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a `tracing` span goes beside it.
    pub(crate) fn has_tracing(&self) -> bool {
        self.has_tracing
    }

    /// No code of a user runs under this lock, so it cannot be poisoned; if it is, the
    /// data is whole all the same. Not for a span of the parent of a forked child.
    pub(crate) fn lock(&self) -> MutexGuard<'_, SpanData> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn context(&self) -> SpanContext {
        SpanContext::ours(&self.trace.llmobs, self.span_id)
    }

    /// The application: explicit, inherited, or the client's.
    pub(crate) fn ml_app(&self) -> &str {
        self.ml_app
            .as_deref()
            .unwrap_or(&self.client.settings.ml_app)
    }

    /// The name that it has now.
    pub(crate) fn current_name(&self) -> Text {
        self.lock().name(self).clone()
    }

    /// The tracing span beside this one, to be entered.
    pub(crate) fn tracing(&self) -> Option<tracing::Span> {
        if self.has_tracing && !context::torn_down() && !self.client.is_of_parent() {
            self.lock().tracing.as_deref().cloned()
        } else {
            None
        }
    }

    /// `false` where it has ended before.
    fn end(this: &Arc<Self>, error: Option<SpanError>) -> bool {
        if this.client.is_of_parent() {
            return true;
        }
        let now = Moment::now();
        this.decide();
        let (tracing, weight) = {
            let mut data = this.lock();
            if data.end.is_reached() {
                return false;
            }
            let inherited = data.inherited(this.kind, &this.name, this.carries(PROMPT));
            data.end(now, error, inherited);
            (
                // Left where it is, it goes with the record.
                data.tracing.take_if(|_| !context::torn_down()),
                this.weight_of_start() + data.weight(),
            )
        };
        if let Err(refused) = context::push_finished(Held::ended(this), weight) {
            refused.count();
        }
        // A subscriber may do anything when its span closes: not under our lock, and after what is
        // left to do.
        drop(tracing);
        true
    }

    /// Ends a span that nobody else has; gives its weight.
    #[inline]
    pub(crate) fn end_own(&mut self) -> usize {
        let now = Moment::now();
        self.decide();
        // One that has a root has a parent.
        if self.root.is_some() || std::thread::panicking() {
            self.end_below(now);
        }
        let of_start = self.weight_of_start();
        let data = self.data_mut();
        data.end = Reached::at(now);
        of_start + data.weight()
    }

    /// The end of one that may have something from those above it, or a panic that passes.
    #[inline]
    fn end_below(&mut self, now: Moment) {
        let error = self.passing_panic();
        let has_prompt = self.carries(PROMPT);
        let data = self.data.get_mut();
        let data = data.unwrap_or_else(PoisonError::into_inner);
        let inherited = data.inherited(self.kind, &self.name, has_prompt);
        data.end(now, error, inherited);
    }

    /// A panic that passes where the span ends, and did not where it began.
    #[inline]
    fn passing_panic(&self) -> Option<SpanError> {
        let panicked = std::thread::panicking() && !self.panicking_at_start;
        panicked.then(SpanError::panic_without_message)
    }
}

impl SpanData {
    #[inline]
    fn end(&mut self, now: Moment, error: Option<SpanError>, inherited: Option<Inherited>) {
        self.end = Reached::at(now);
        if let Some(error) = error {
            self.error.get_or_insert_with(|| Box::new(error));
        }
        if let Some(inherited) = inherited {
            self.extra().inherit(inherited);
        }
    }

    /// Whether it holds more than a name, a model and a session.
    #[inline]
    pub(crate) fn holds_more(&self) -> bool {
        self.input.is_some()
            || self.output.is_some()
            || !self.tags.is_empty()
            || self.details.is_some()
            || self.error.is_some()
            || self.extra.is_some()
    }

    /// Takes everything but what children still inherit, what says that it has ended, and the
    /// `tracing` span that went along.
    pub(crate) fn take(&mut self) -> Self {
        let kept = Self {
            session: self.session.clone(),
            end: self.end,
            extra: self.extra.as_deref().and_then(SpanExtra::kept),
            above: std::mem::take(&mut self.above),
            tracing: self.tracing.take(),
            ..Self::default()
        };
        std::mem::replace(self, kept)
    }

    pub(crate) fn details(&mut self) -> &mut SpanDetails {
        self.details.get_or_insert_default()
    }

    pub(crate) fn extra(&mut self) -> &mut SpanExtra {
        self.extra.get_or_insert_default()
    }

    /// The name that the span has now.
    pub(crate) fn name<'a>(&'a self, span: &'a SpanInner) -> &'a Text {
        self.name_since(&span.name)
    }

    /// As above, for a span that started with the name `first`.
    fn name_since<'a>(&'a self, first: &'a Text) -> &'a Text {
        let renamed = self.extra.as_ref().and_then(|extra| extra.name.as_ref());
        renamed.unwrap_or(first)
    }
}

impl fmt::Debug for SpanInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Span({} {:?} {})", self.kind, self.name, self.context())
    }
}

impl SpanInner {
    fn take_ancestors(&mut self) -> impl Iterator<Item = Arc<Self>> {
        let root = self.root.take();
        self.data_mut().above.take().chain(root)
    }
}

impl SpanInner {
    /// Lets go of the `tracing` span of one that ended where its thread did, or never. A subscriber
    /// that panics here harms nobody, and one whose thread-locals are gone is not told.
    #[cold]
    fn drop_tracing(&mut self) {
        let tracing = self.data_mut().tracing.take();
        if context::torn_down() {
            std::mem::forget(tracing);
        } else {
            capture::panics(|| drop(tracing));
        }
    }
}

impl Drop for SpanInner {
    /// Takes a long chain of ancestors apart in a loop: a recursion as deep as the chain
    /// could overflow the stack.
    fn drop(&mut self) {
        if self.has_tracing {
            self.drop_tracing();
        }
        let mut chain: Vec<Arc<Self>> = Vec::new();
        chain.extend(self.take_ancestors());
        while let Some(next) = chain.pop() {
            if let Some(mut last) = Arc::into_inner(next) {
                chain.extend(last.take_ancestors());
            }
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
