//! The current span: a stack for each thread, swapped in and out at every poll of a
//! wrapped future. Ours alone; a `tracing` filter cannot take it away.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use crate::client::{self, ClientInner};
use crate::id::SpanContext;
use crate::span::{Span, SpanInner};

/// One thing that was made current and not yet undone.
pub(crate) enum Entry {
    Span(Arc<SpanInner>),
    /// Another client, with no span current in it.
    Client(Arc<ClientInner>),
    /// No span, whatever lies below.
    Root,
}

/// Names an entry on its thread's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

struct Stack {
    entries: Vec<(Token, Entry)>,
    next: u64,
    /// The global client as this thread last saw it, so that a span takes no lock.
    global: Option<(u64, Arc<ClientInner>)>,
}

thread_local! {
    static STACK: RefCell<Stack> = const {
        RefCell::new(Stack { entries: Vec::new(), next: 0, global: None })
    };
}

/// Where a new span begins: its client, and its parent if there is one.
pub(crate) struct Origin {
    pub(crate) client: Arc<ClientInner>,
    pub(crate) parent: Option<Arc<SpanInner>>,
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
    let (origin, stale) = with_stack(|stack| {
        let parent = stack.current().cloned();
        let scoped = stack
            .entries
            .iter()
            .rev()
            .find_map(|(_, entry)| match entry {
                Entry::Span(span) => Some(&span.client),
                Entry::Client(client) => Some(client),
                Entry::Root => None,
            });
        match scoped {
            Some(client) if client.is_open() => {
                let client = Arc::clone(client);
                return (Some(Origin { client, parent }), None);
            }
            // What was scoped to a client that takes nothing is for no other one.
            Some(client) if !client.is_global() => return (None, None),
            _ => {}
        }
        let (client, stale) = stack.global();
        (client.map(|client| Origin { client, parent }), stale)
    })?;
    // A client's last handle may go here: not under the borrow.
    drop(stale);
    origin.filter(|origin| origin.client.is_open())
}

/// The client that is in force here.
pub(crate) fn current_client() -> Option<Arc<ClientInner>> {
    Some(origin()?.client)
}

pub(crate) fn current_span() -> Option<Arc<SpanInner>> {
    with_stack(|stack| stack.current().cloned()).flatten()
}

/// The identity of the current span, without touching its reference count.
pub(crate) fn current_context() -> Option<SpanContext> {
    with_stack(|stack| Some(stack.current()?.context())).flatten()
}

pub(crate) fn push(entry: Entry) -> Option<Token> {
    with_stack(|stack| stack.push(entry))
}

/// Undoes a `push`, in whatever order they are undone.
pub(crate) fn pop(token: Token) -> Option<Entry> {
    with_stack(|stack| {
        let at = stack
            .entries
            .iter()
            .rposition(|(other, _)| *other == token)?;
        Some(stack.entries.remove(at).1)
    })
    .flatten()
}

impl Stack {
    fn push(&mut self, entry: Entry) -> Token {
        let token = Token(self.next);
        self.next += 1;
        self.entries.push((token, entry));
        token
    }

    fn current(&self) -> Option<&Arc<SpanInner>> {
        match self.entries.last() {
            Some((_, Entry::Span(span))) => Some(span),
            _ => None,
        }
    }

    /// The global client, and what was cached before if that has changed.
    fn global(&mut self) -> (Option<Arc<ClientInner>>, Option<Arc<ClientInner>>) {
        let generation = client::generation();
        match &self.global {
            Some((seen, client)) if *seen == generation => (Some(Arc::clone(client)), None),
            _ => {
                let stale = self.global.take().map(|(_, client)| client);
                let (generation, client) = client::global();
                self.global = client.clone().map(|client| (generation, client));
                (client, stale)
            }
        }
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
    tracing: Option<tracing::span::EnteredSpan>,
}

impl Attached {
    pub(crate) fn span(span: &Span) -> Self {
        match span.inner() {
            Some(inner) => Self::inner(Arc::clone(inner)),
            None => Self::default(),
        }
    }

    fn inner(inner: Arc<SpanInner>) -> Self {
        let tracing = inner.tracing().map(tracing::Span::entered);
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

impl Drop for Attached {
    fn drop(&mut self) {
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
    span: Option<Arc<SpanInner>>,
    client: Option<Arc<ClientInner>>,
}

impl Context {
    /// What is current on this thread.
    pub fn current() -> Self {
        let Some(origin) = origin() else {
            return Self::default();
        };
        Self {
            span: origin.parent,
            client: Some(origin.client),
        }
    }

    /// No span: what is started under it is the root of its own trace.
    pub fn root() -> Self {
        Self::default()
    }

    pub(crate) fn of_client(client: Arc<ClientInner>) -> Self {
        Self {
            span: None,
            client: Some(client),
        }
    }

    /// Makes this the current context of the thread until the guard is dropped.
    pub fn attach(&self) -> ContextGuard {
        ContextGuard {
            _attached: Attached::entry(self.entry()),
        }
    }

    /// Runs `f` with this as the current context.
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _guard = self.attach();
        f()
    }

    /// The identity of the span that is current in it.
    pub fn span_context(&self) -> Option<SpanContext> {
        Some(self.span.as_ref()?.context())
    }

    fn entry(&self) -> Entry {
        match (&self.span, &self.client) {
            (Some(span), _) => Entry::Span(Arc::clone(span)),
            (None, Some(client)) => Entry::Client(Arc::clone(client)),
            (None, None) => Entry::Root,
        }
    }
}

impl From<&Span> for Context {
    fn from(span: &Span) -> Self {
        Self {
            span: span.inner().cloned(),
            client: None,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.span).finish()
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

/// Ways to run a future under a span or a context.
pub trait FutureExt: Future + Sized {
    /// Makes `span` current during each poll. A handle is held until the future ends or
    /// is dropped.
    fn in_span(self, span: &Span) -> InSpan<Self> {
        InSpan {
            future: Some(self),
            span: span.clone(),
        }
    }

    /// Makes what is current now current during each poll: for a future that is spawned.
    fn in_current_context(self) -> InContext<Self> {
        self.in_context(Context::current())
    }

    /// Makes `context` current during each poll.
    fn in_context(self, context: Context) -> InContext<Self> {
        InContext {
            future: Some(self),
            context,
        }
    }
}

impl<F: Future> FutureExt for F {}

pin_project! {
    /// A future that runs under a span: [`FutureExt::in_span`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InSpan<F> {
        #[pin]
        future: Option<F>,
        span: Span,
    }

    impl<F> PinnedDrop for InSpan<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _in = Attached::span(this.span);
            this.future.set(None);
        }
    }
}

pin_project! {
    /// A future that runs under a context: [`FutureExt::in_current_context`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InContext<F> {
        #[pin]
        future: Option<F>,
        context: Context,
    }

    impl<F> PinnedDrop for InContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _in = this.context.attach();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for InSpan<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let output = {
            let _in = Attached::span(this.span);
            std::task::ready!(future.poll(task))
        };
        {
            let _in = Attached::span(this.span);
            this.future.set(None);
        }
        *this.span = Span::idle();
        Poll::Ready(output)
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _in = this.context.attach();
        match this.future.as_mut().as_pin_mut() {
            Some(future) => future.poll(task),
            None => Poll::Pending,
        }
    }
}

impl<F> fmt::Debug for InSpan<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InSpan")
            .field(&self.span)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for InContext<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InContext")
            .field(&self.context)
            .finish_non_exhaustive()
    }
}
