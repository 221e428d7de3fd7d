//! The current span: a stack for each thread, swapped in and out at every poll of a
//! wrapped future. Ours alone; a `tracing` filter cannot take it away.

mod future;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

pub use future::{FutureExt, InAnnotationContext, InContext, InSpan};

use crate::annotation::{AnnotationContext, Annotations};
use crate::client::{self, ClientInner};
use crate::id::{Generator, SpanContext};
use crate::kind::SpanKind;
use crate::remote::Remote;
use crate::span::{Checked, Slot, Span, SpanData, SpanInner};
use crate::stats::DropReason;
use crate::text::Text;
use crate::worker::{Buffer, Finished, Refused};

/// One thing that was made current and not yet undone.
pub(crate) enum Entry {
    Span(Arc<SpanInner>),
    /// The span that the stack owns.
    Own,
    /// All that is current, in place of what lies below.
    Context(Context),
    /// Annotations for spans that start above it.
    Annotations(AnnotationContext),
}

/// Names an entry on its thread's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(NonZeroU64);

struct Stack {
    entries: Vec<(Token, Entry)>,
    next: NonZeroU64,
    /// How many of the entries carry annotations: with none, they are not looked for.
    annotated: usize,
    /// The global client as this thread last saw it, so that a span takes no lock.
    global: Option<(u64, Arc<ClientInner>)>,
    /// The span of the annotated function that was called last, as long as nobody else refers
    /// to it: it needs no allocation and no lock, and goes from here to the worker.
    own: Option<Slot>,
    /// Empty places for the next ones.
    spare: Vec<Slot>,
    ids: Generator,
    /// Where this thread puts what it has finished, for each of the clients that it used last.
    buffers: Vec<Arc<Buffer>>,
}

/// For how many clients a thread keeps a buffer.
const BUFFERS: usize = 4;

thread_local! {
    static STACK: RefCell<Stack> = const {
        RefCell::new(Stack {
            entries: Vec::new(),
            next: NonZeroU64::MIN,
            annotated: 0,
            global: None,
            own: None,
            spare: Vec::new(),
            ids: Generator::new(),
            buffers: Vec::new(),
        })
    };
}

/// Where a new span begins: its client, and its parent if there is one.
pub(crate) struct Origin {
    pub(crate) client: Arc<ClientInner>,
    pub(crate) parent: Option<Arc<SpanInner>>,
    /// What another process said, where no span of this one is the parent.
    pub(crate) remote: Option<Arc<Remote>>,
    pub(crate) annotations: Option<Annotations>,
}

/// Runs `f` on this thread's stack; `None` while the thread is being torn down.
fn with_stack<R>(f: impl FnOnce(&mut Stack) -> R) -> Option<R> {
    STACK
        .try_with(|stack| Some(f(&mut *stack.try_borrow_mut().ok()?)))
        .ok()
        .flatten()
}

/// Whether this thread is being torn down. `tracing` is left alone there: a subscriber that
/// finds its own thread-locals gone panics, and a panic of a thread-local's drop aborts the
/// process.
pub(crate) fn torn_down() -> bool {
    STACK.try_with(|_| ()).is_err()
}

/// The client and the parent for what is started here; `None` if nothing is enabled.
pub(crate) fn origin() -> Option<Origin> {
    if !client::any_enabled() {
        return None;
    }
    // A client's last handle may go with it: not under the borrow.
    let mut stale = None;
    with_stack(|stack| stack.origin(&mut stale)).flatten()
}

/// The client that is in force here.
pub(crate) fn current_client() -> Option<Arc<ClientInner>> {
    Some(origin()?.client)
}

pub(crate) fn current_kind() -> Option<SpanKind> {
    with_stack(|stack| Some(stack.span(stack.current()?)?.kind)).flatten()
}

/// Adds to the current span, which was there just now. Nothing of a user's is run by that.
pub(crate) fn annotate_current(checked: &mut Checked<'_>) {
    with_stack(|stack| {
        if let Some(span) = stack.current().and_then(|entry| stack.span(entry)) {
            span.annotate(checked);
        }
    });
}

/// The identity of the current span, without touching its reference count.
pub(crate) fn current_context() -> Option<SpanContext> {
    with_stack(|stack| Some(stack.span(stack.current()?)?.context())).flatten()
}

/// Begins the span of an annotated function here, in a place of its own; `None` if nothing is
/// enabled. It is told more, and [settled](Slot::settle).
#[inline]
pub(crate) fn draft(name: &'static str, kind: SpanKind) -> Option<Slot> {
    let mut stale = None;
    // Written where it stays, out of what is at hand: a processor waits for what was just moved.
    with_stack(|stack| {
        let origin = stack.origin(&mut stale)?;
        let spare = stack.spare.pop();
        let mut slot = spare.unwrap_or_else(|| Slot::new(&mut stack.spare));
        slot.draft(kind, Text::literal(name), stack.ids.randoms(), origin);
        Some(slot)
    })
    .flatten()
}

/// Takes a place back that is empty again.
pub(crate) fn keep_slot(slot: Slot) {
    let mut slot = Some(slot);
    with_stack(|stack| stack.spare.extend(slot.take()));
}

/// Makes the span in `slot` current, to which nobody else refers.
pub(crate) fn push_own(slot: Slot) -> Result<Token, Slot> {
    let mut slot = Some(slot);
    let token = with_stack(|stack| {
        stack.share_own();
        stack.own = slot.take();
        stack.push(Entry::Own)
    });
    match (token, slot) {
        (None, Some(slot)) => Err(slot),
        (token, _) => Ok(token.unwrap_or(Token(NonZeroU64::MAX))),
    }
}

/// The kind of the span of a [`push_own`], where values may be looked at.
pub(crate) fn own_captured_kind(token: Token) -> Option<SpanKind> {
    with_stack(|stack| stack.span(stack.entry(token)?)?.captured_kind()).flatten()
}

/// Runs `change` on what the span of a [`push_own`] holds. No code of
/// a user may run in it: the stack is borrowed.
pub(crate) fn with_own<R>(token: Token, change: impl FnOnce(&mut SpanData) -> R) -> Option<R> {
    let mut change = Some(change);
    let done = with_stack(|stack| match stack.entry(token)? {
        Entry::Own => {
            let span = stack.own.as_mut()?.span_mut()?;
            change.take().map(|change| Ok(change(span.data_mut())))
        }
        Entry::Span(span) => Some(Err(Arc::clone(span))),
        _ => None,
    });
    match (done.flatten()?, change) {
        (Ok(done), _) => Some(done),
        (Err(span), Some(change)) => span.with_data(change),
        (Err(_), None) => None,
    }
}

/// Takes the span of a [`push_own`] off the stack, open still.
pub(crate) fn pop_own(token: Token) -> Option<Arc<SpanInner>> {
    with_stack(|stack| match stack.pop(token)? {
        Entry::Own => stack.take_own().map(Arc::new),
        Entry::Span(span) => Some(span),
        _ => None,
    })
    .flatten()
}

/// Takes the span of a [`push_own`] off the stack and ends it, unless somebody has.
pub(crate) fn finish_own(token: Token) {
    /// What is left to do without the borrow.
    enum Left {
        /// Of the parent of a forked child: nothing of its client may be touched.
        OfParent(Slot),
        Refused(Refused),
        Shared(Arc<SpanInner>),
    }

    let mut left = None;
    with_stack(|stack| {
        if !matches!(stack.entries.last(), Some((last, Entry::Own)) if *last == token) {
            // Somebody refers to it by now.
            if let Some(Entry::Span(span)) = stack.pop(token) {
                left = Some(Left::Shared(span));
                return;
            }
        }
        // There is nothing in that entry to be dropped.
        std::mem::forget(stack.entries.pop());
        let Some(mut slot) = stack.own.take() else {
            return;
        };
        let Some(span) = slot.span_mut() else { return };
        if span.client.is_of_parent() {
            left = Some(Left::OfParent(slot));
            return;
        }
        let weight = span.end_own();
        if let Err(refused) = stack.push_finished(Finished::Own(slot), weight) {
            left = Some(Left::Refused(refused));
        }
    });
    match left {
        None => {}
        Some(Left::Shared(span)) => drop(Span::of(span)),
        Some(Left::Refused(refused)) => refused.count(),
        Some(Left::OfParent(slot)) => drop(slot),
    }
}

/// Puts a finished span where its client's worker fetches it, or gives it back.
pub(crate) fn push_finished(span: Arc<SpanInner>, weight: usize) -> Result<(), Refused> {
    // Models run all their threads on one of the system's.
    if !cfg!(all(test, llmobs_loom)) {
        let mut waits = Some(span);
        let pushed = with_stack(|stack| {
            let span = waits.take()?;
            Some(stack.push_finished(Finished::Shared(span), weight))
        });
        return match (pushed.flatten(), waits) {
            (Some(pushed), _) => pushed,
            (None, Some(span)) => push_last(span, weight),
            (None, None) => Ok(()),
        };
    }
    push_last(span, weight)
}

/// The same in a thread that is being torn down.
fn push_last(span: Arc<SpanInner>, weight: usize) -> Result<(), Refused> {
    let client = Arc::clone(&span.client);
    let span = Finished::Shared(span);
    if client.is_open() {
        client.worker().last_buffer().push(span, weight)
    } else {
        Err(Refused::new(span, DropReason::Shutdown))
    }
}

pub(crate) fn push(entry: Entry) -> Option<Token> {
    with_stack(|stack| stack.push(entry))
}

/// Undoes a `push`, in whatever order they are undone.
pub(crate) fn pop(token: Token) -> Option<Entry> {
    with_stack(|stack| stack.pop(token)).flatten()
}

impl Entry {
    fn remote(&self) -> Option<&Arc<Remote>> {
        match self {
            Self::Context(context) => context.remote(),
            _ => None,
        }
    }

    fn is_annotated(&self) -> bool {
        match self {
            Self::Annotations(_) => true,
            Self::Context(context) => context.annotations().is_some(),
            Self::Span(_) | Self::Own => false,
        }
    }
}

impl Stack {
    /// The client of an entry.
    fn client<'a>(&'a self, entry: &'a Entry) -> Option<&'a Arc<ClientInner>> {
        match entry {
            Entry::Context(context) => context.client(),
            Entry::Annotations(_) => None,
            Entry::Span(_) | Entry::Own => Some(&self.span(entry)?.client),
        }
    }

    /// The span of an entry.
    fn span<'a>(&'a self, entry: &'a Entry) -> Option<&'a SpanInner> {
        match entry {
            Entry::Own => self.own.as_ref()?.span(),
            _ => self.shared(entry).map(|span| &**span),
        }
    }

    /// The same where others may refer to it.
    fn shared<'a>(&self, entry: &'a Entry) -> Option<&'a Arc<SpanInner>> {
        match entry {
            Entry::Span(span) => Some(span),
            Entry::Context(context) => context.span(),
            Entry::Annotations(_) | Entry::Own => None,
        }
    }

    /// The span that the stack owns, out of its place.
    fn take_own(&mut self) -> Option<SpanInner> {
        let mut slot = self.own.take()?;
        let span = slot.take();
        self.spare.push(slot);
        span
    }

    /// Others may refer to the span that the stack owned from now on.
    fn share_own(&mut self) {
        if let Some(span) = self.take_own() {
            let mut entries = self.entries.iter_mut().rev();
            let entry = entries.find(|(_, entry)| matches!(entry, Entry::Own));
            if let Some((_, entry)) = entry {
                *entry = Entry::Span(Arc::new(span));
            }
        }
    }

    /// The same if it is the current span.
    fn share_current(&mut self) {
        if self.own.is_some() && matches!(self.current(), Some(Entry::Own)) {
            self.share_own();
        }
    }

    fn entry(&self, token: Token) -> Option<&Entry> {
        let mut entries = self.entries.iter().rev();
        let (_, entry) = entries.find(|(other, _)| *other == token)?;
        Some(entry)
    }

    fn pop(&mut self, token: Token) -> Option<Entry> {
        let last = self.entries.pop_if(|(last, _)| *last == token);
        let (_, entry) = last.or_else(|| {
            let mut entries = self.entries.iter();
            let at = entries.rposition(|(other, _)| *other == token)?;
            Some(self.entries.remove(at))
        })?;
        self.annotated -= usize::from(entry.is_annotated());
        Some(entry)
    }

    /// See [`push_finished`].
    fn push_finished(&mut self, span: Finished, weight: usize) -> Result<(), Refused> {
        match span.client() {
            Some(client) if client.is_open() => self.buffer(client).push(span, weight),
            _ => Err(Refused::new(span, DropReason::Shutdown)),
        }
    }

    /// Where this thread puts the spans of a client.
    fn buffer(&mut self, client: &ClientInner) -> &Buffer {
        let id = client.worker().buffers_id();
        let at = match self.buffers.iter().position(|buffer| buffer.is_of(id)) {
            Some(at) => at,
            None => self.open_buffer(client),
        };
        &self.buffers[at]
    }

    #[cold]
    #[inline(never)]
    fn open_buffer(&mut self, client: &ClientInner) -> usize {
        // The worker fetches what is in the one that goes.
        self.buffers.truncate(BUFFERS - 1);
        self.buffers.insert(0, client.worker().open_buffer());
        0
    }
    fn push(&mut self, entry: Entry) -> Token {
        let token = Token(self.next);
        // At one in a nanosecond they come to an end in 584 years.
        self.next = self.next.saturating_add(1);
        self.annotated += usize::from(entry.is_annotated());
        // Where there is room, which is nearly always, the compiler writes it to its place at
        // once, and not by way of memory that it then waits for.
        if self.entries.len() < self.entries.capacity() {
            self.entries.push((token, entry));
        } else {
            self.push_and_grow(token, entry);
        }
        token
    }

    #[cold]
    #[inline(never)]
    fn push_and_grow(&mut self, token: Token, entry: Entry) {
        self.entries.push((token, entry));
    }

    /// The entry that says which span is current.
    fn current(&self) -> Option<&Entry> {
        let mut entries = self.entries.iter().rev().map(|(_, entry)| entry);
        entries.find(|entry| !matches!(entry, Entry::Annotations(_)))
    }

    /// The annotation contexts in force, the outermost first. An attached context has its
    /// own in place of those below it.
    fn annotations(&self) -> Option<Annotations> {
        if self.annotated == 0 {
            return None;
        }
        let mut inner = Vec::new();
        let mut outer = None;
        for (_, entry) in self.entries.iter().rev() {
            match entry {
                Entry::Annotations(context) => inner.push(context.clone()),
                Entry::Context(context) => {
                    outer = context.annotations().cloned();
                    break;
                }
                Entry::Span(_) | Entry::Own => {}
            }
        }
        if inner.is_empty() {
            return outer;
        }
        let outer = outer.iter().flat_map(|outer| outer.iter());
        Some(outer.chain(inner.iter().rev()).cloned().collect())
    }

    /// The client of the innermost scope or span.
    fn scoped(&self) -> Option<&Arc<ClientInner>> {
        let mut entries = self.entries.iter().rev();
        entries.find_map(|(_, entry)| self.client(entry))
    }

    /// The global client; what was cached before goes to `stale` if that has changed.
    fn global(&mut self, stale: &mut Option<Arc<ClientInner>>) -> Option<&Arc<ClientInner>> {
        let seen = self.global.as_ref().map(|(generation, _)| *generation);
        if seen != Some(client::generation()) {
            let (generation, client) = client::global();
            let global = client.map(|client| (generation, client));
            *stale = std::mem::replace(&mut self.global, global).map(|(_, client)| client);
        }
        self.global.as_ref().map(|(_, client)| client)
    }

    #[inline(always)]
    fn origin(&mut self, stale: &mut Option<Arc<ClientInner>>) -> Option<Origin> {
        let client = match self.scoped() {
            Some(client) if client.is_open() => Arc::clone(client),
            // What was scoped to a client that takes nothing is for no other one.
            Some(client) if !client.is_global() => return None,
            _ => Arc::clone(self.global(stale).filter(|client| client.is_open())?),
        };
        self.share_current();
        let current = self.current();
        let span = current.and_then(|entry| self.shared(entry));
        let (mut parent, mut remote) = (span.cloned(), current.and_then(Entry::remote).cloned());
        // In a forked child the trace of its parent goes on (as in ddtrace).
        if let Some(theirs) = span.filter(|span| span.client.is_of_parent()) {
            (parent, remote) = (None, Some(Arc::new(theirs.for_forked())));
        }
        Some(Origin {
            client,
            parent,
            remote,
            annotations: self.annotations(),
        })
    }
}

/// Restores what was current before, when dropped.
///
/// Not for async code: it belongs to its thread and is not `Send`. A future that holds it
/// across an `.await` cannot be spawned on a runtime of several threads, and where it is
/// run all the same, other futures of the thread find the span current. There,
/// [`FutureExt::in_span`] makes it current during each poll only.
#[must_use = "the span is current only while this guard lives"]
pub struct SpanGuard {
    _attached: Attached,
    span: Span,
}

impl SpanGuard {
    pub(crate) fn enter(span: Span) -> Self {
        Self {
            _attached: Attached::span(&span),
            span,
        }
    }

    /// The span that the guard holds.
    pub fn span(&self) -> &Span {
        &self.span
    }
}

impl fmt::Debug for SpanGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpanGuard")
            .field(&self.span)
            .finish_non_exhaustive()
    }
}

/// An entry of this thread, with the tracing span that was entered beside it. As that span
/// this is not `Send`: an entry belongs to the thread that made it. One reason is enough,
/// for the compiler tells each.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    token: Option<Token>,
    /// In a box, since mostly there is none, and this is moved about.
    tracing: Option<Box<tracing::span::EnteredSpan>>,
}

impl Attached {
    pub(crate) fn span(span: &Span) -> Self {
        match span.inner() {
            Some(inner) => Self::inner(Arc::clone(inner)),
            None => Self::default(),
        }
    }

    fn inner(inner: Arc<SpanInner>) -> Self {
        let tracing = inner.tracing().map(|span| Box::new(span.entered()));
        Self {
            token: push(Entry::Span(inner)),
            tracing,
        }
    }

    pub(crate) fn entry(entry: Entry) -> Self {
        Self {
            token: push(entry),
            tracing: None,
        }
    }
}

/// A span that is current during one poll. The stack borrows its reference instead of
/// counting another: that halves the price of a poll.
pub(crate) struct Lent<'a> {
    span: &'a mut Span,
    token: Option<Token>,
    tracing: Option<tracing::span::EnteredSpan>,
}

impl<'a> Lent<'a> {
    pub(crate) fn new(span: &'a mut Span) -> Self {
        let tracing = span.inner().and_then(|inner| inner.tracing());
        let mut entry = span.lend().map(Entry::Span);
        let token = with_stack(|stack| entry.take().map(|entry| stack.push(entry))).flatten();
        // The thread is being torn down: nothing is current there any more.
        if let Some(Entry::Span(inner)) = entry {
            span.give_back(inner);
        }
        Self {
            span,
            token,
            tracing: tracing.map(tracing::Span::entered),
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        drop(self.tracing.take());
        if let Some(Entry::Span(inner)) = self.token.and_then(pop) {
            self.span.give_back(inner);
        }
    }
}

impl Attached {
    #[inline(never)]
    fn undo(&mut self) {
        match self.tracing.take() {
            // Kept by a thread-local. That it is never left is the lesser evil.
            Some(entered) if torn_down() => std::mem::forget(entered),
            entered => drop(entered),
        }
        if let Some(token) = self.token {
            drop(pop(token));
        }
    }
}

impl Drop for Attached {
    // Only the question whether there is anything stands in annotated functions.
    #[inline]
    fn drop(&mut self) {
        if self.token.is_some() || self.tracing.is_some() {
            self.undo();
        }
    }
}

/// What is current at a place: the span, or that there is none. It is carried to another
/// thread, task or callback and made current there; it holds identity and inheritance
/// only and keeps no span open.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::Context;
///
/// let context = Context::current();
/// std::thread::spawn(move || {
///     context.in_scope(|| { /* spans started here have the same parent */ })
/// });
/// ```
#[derive(Clone, Default)]
pub struct Context {
    /// One reference, since it is attached at each poll of a future; `None` is the root.
    parts: Option<Arc<Parts>>,
}

#[derive(Default)]
struct Parts {
    span: Option<Arc<SpanInner>>,
    /// Only where there is no span, which has one.
    client: Option<Arc<ClientInner>>,
    remote: Option<Arc<Remote>>,
    annotations: Option<Annotations>,
}

impl Context {
    fn of(parts: Parts) -> Self {
        Self {
            parts: Some(Arc::new(parts)),
        }
    }

    /// What is current on this thread.
    pub fn current() -> Self {
        let Some(origin) = origin() else {
            // What is scoped to a client that takes nothing is for no other one, there as here.
            let scoped = with_stack(|stack| stack.scoped().cloned()).flatten();
            return scoped.map_or_else(Self::default, Self::of_client);
        };
        let client = Some(origin.client).filter(|_| origin.parent.is_none());
        Self::of(Parts {
            span: origin.parent,
            client,
            remote: origin.remote,
            annotations: origin.annotations,
        })
    }

    /// No span and no annotations: what is started under it is the root of its own trace.
    pub fn root() -> Self {
        Self::default()
    }

    pub(crate) fn of_client(client: Arc<ClientInner>) -> Self {
        Self::of(Parts {
            client: Some(client),
            ..Parts::default()
        })
    }

    /// What another process said of the trace.
    pub(crate) fn of_remote(remote: Remote) -> Self {
        Self::of(Parts {
            remote: Some(Arc::new(remote)),
            ..Parts::default()
        })
    }

    fn span(&self) -> Option<&Arc<SpanInner>> {
        self.parts.as_ref()?.span.as_ref()
    }

    pub(crate) fn remote(&self) -> Option<&Arc<Remote>> {
        self.parts.as_ref()?.remote.as_ref()
    }

    fn annotations(&self) -> Option<&Annotations> {
        self.parts.as_ref()?.annotations.as_ref()
    }

    fn client(&self) -> Option<&Arc<ClientInner>> {
        let parts = self.parts.as_ref()?;
        let of_span = || parts.span.as_ref().map(|span| &span.client);
        parts.client.as_ref().or_else(of_span)
    }

    /// Makes this the current context of the thread until the guard is dropped.
    pub fn attach(&self) -> ContextGuard {
        ContextGuard {
            _attached: Attached::entry(Entry::Context(self.clone())),
        }
    }

    /// Runs `f` with this as the current context.
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _guard = self.attach();
        f()
    }

    /// The identity of the span that is current in it, which may be one of another process.
    pub fn span_context(&self) -> Option<SpanContext> {
        match (self.span(), self.remote()) {
            (Some(span), _) => Some(span.context()),
            (None, Some(remote)) => remote.context(),
            (None, None) => None,
        }
    }
}

impl From<&Span> for Context {
    fn from(span: &Span) -> Self {
        let of_span = |span: &Arc<SpanInner>| {
            Self::of(Parts {
                span: Some(Arc::clone(span)),
                ..Parts::default()
            })
        };
        span.inner().map_or_else(Self::default, of_span)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("span", &self.span_context())
            .finish_non_exhaustive()
    }
}

/// Restores what was current before, when dropped. Not for async code, as [`SpanGuard`];
/// there, [`FutureExt::in_context`].
#[must_use = "the context is current only while this guard lives"]
pub struct ContextGuard {
    _attached: Attached,
}

impl fmt::Debug for ContextGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContextGuard")
    }
}
