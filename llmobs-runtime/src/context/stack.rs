//! The stack of a thread: what was made current there and not yet undone.

use std::cell::RefCell;
use std::num::NonZeroU64;
use std::ptr;
use std::sync::Arc;

use tracing::span::EnteredSpan;

use super::Context;
use crate::annotation::{AnnotationContext, Annotations};
use crate::client::{self, ClientInner};
use crate::id::SpanContext;
use crate::kind::SpanKind;
use crate::process::Process;
use crate::remote::Remote;
use crate::span::open::Here;
use crate::span::{Checked, Slot, SpanInner};
use crate::stats::DropReason;
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
pub(crate) struct Token(NonZeroU64);

impl Token {
    /// Of no entry.
    pub(crate) const NONE: Self = Self(NonZeroU64::MAX);
}

pub(super) struct Stack {
    pub(super) entries: Vec<(Token, Entry)>,
    next: NonZeroU64,
    /// How many of the entries carry annotations: with none, they are not looked for.
    annotated: usize,
    /// The global client as this thread last saw it, so that a span takes no lock.
    global: Option<(u64, Arc<ClientInner>)>,
    /// The span of the annotated function that was called last, as long as nobody else refers
    /// to it: it needs no allocation and no lock, and goes from here to the worker.
    pub(super) own: Option<Slot>,
    /// The `tracing` spans that were entered beside spans of functions.
    pub(super) tracing: Vec<(Token, Box<EnteredSpan>)>,
    /// Empty places for the next ones.
    pub(super) spare: Vec<Slot>,
    /// Where this thread puts what it has finished, for each client.
    buffers: Vec<(u64, Arc<Buffer>)>,
    /// Whose they are: those of a parent may be locked, and half written, for ever.
    buffers_of: Option<Process>,
    /// Which spans are open.
    pub(super) here: Here,
}

/// For how many clients a thread keeps a buffer; what it makes for others goes into one that the
/// client's threads share.
const BUFFERS: usize = 64;

/// Where a program ends in the middle of a function (`std::process::exit`), what that function had
/// made current is here still. A subscriber that is told of its end now may find its own
/// thread-locals gone, and a panic here ends the process.
impl Drop for Stack {
    fn drop(&mut self) {
        std::mem::forget(std::mem::take(&mut self.tracing));
        for (_, entry) in self.entries.drain(..) {
            if let Entry::Span(span) = &entry
                && span.has_tracing()
            {
                std::mem::forget(entry);
            }
        }
    }
}

thread_local! {
    static STACK: RefCell<Stack> = const {
        RefCell::new(Stack {
            entries: Vec::new(),
            next: NonZeroU64::MIN,
            annotated: 0,
            global: None,
            own: None,
            tracing: Vec::new(),
            spare: Vec::new(),
            buffers: Vec::new(),
            buffers_of: None,
            here: Here::new(),
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
pub(super) fn with_stack<R>(f: impl FnOnce(&mut Stack) -> R) -> Option<R> {
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
    with_stack(|stack| match stack.current() {
        Some(Entry::Own) => {
            if let Some(span) = stack.own.as_mut().and_then(Slot::span_mut) {
                span.annotate_own(checked);
            }
        }
        Some(entry) => {
            if let Some(span) = entry.shared() {
                span.annotate(checked);
            }
        }
        None => {}
    });
}

/// The identity of the current span, without touching its reference count.
pub(crate) fn current_context() -> Option<SpanContext> {
    with_stack(|stack| Some(stack.span(stack.current()?)?.context())).flatten()
}

/// Knows a span that has just started as an open one.
pub(crate) fn keep(span: &Arc<SpanInner>) {
    with_stack(|stack| stack.here.keep(span));
}

/// How many open spans of `client` are current on this thread, here or further below.
pub(crate) fn open_here(client: &ClientInner) -> u64 {
    let count = |stack: &mut Stack| {
        let spans = stack.entries.iter().filter_map(|(_, entry)| match entry {
            Entry::Own | Entry::Span(_) => stack.span(entry),
            Entry::Context(_) | Entry::Annotations(_) => None,
        });
        let mut open: Vec<*const SpanInner> = spans
            .filter(|span| ptr::eq(&raw const *span.client, client) && span.is_open())
            .map(ptr::from_ref)
            .collect();
        open.sort_unstable();
        open.dedup();
        open.len() as u64
    };
    with_stack(count).unwrap_or_default()
}

/// In a child that was forked: what the thread keeps for spans is its parent's.
pub(crate) fn begin_anew() {
    with_stack(|stack| stack.here.begin_anew());
}

pub(crate) fn push(entry: Entry) -> Option<Token> {
    with_stack(|stack| stack.push(entry))
}

/// Undoes a `push`, in whatever order they are undone.
pub(crate) fn pop(token: Token) -> Option<Entry> {
    with_stack(|stack| stack.pop(token)).flatten()
}

impl Entry {
    /// Its span, where others may refer to it.
    fn shared(&self) -> Option<&Arc<SpanInner>> {
        match self {
            Self::Span(span) => Some(span),
            Self::Context(context) => context.span(),
            Self::Annotations(_) | Self::Own => None,
        }
    }

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
    pub(super) fn client<'a>(&'a self, entry: &'a Entry) -> Option<&'a Arc<ClientInner>> {
        match entry {
            Entry::Context(context) => context.client(),
            Entry::Annotations(_) => None,
            Entry::Span(_) | Entry::Own => Some(&self.span(entry)?.client),
        }
    }

    /// The span of an entry.
    pub(super) fn span<'a>(&'a self, entry: &'a Entry) -> Option<&'a SpanInner> {
        match entry {
            Entry::Own => self.own.as_ref()?.span(),
            _ => entry.shared().map(|span| &**span),
        }
    }

    /// The span of `slot`, which others may refer to from now on.
    pub(super) fn share(&mut self, mut slot: Slot) -> Option<Arc<SpanInner>> {
        let span = slot.share();
        self.spare.push(slot);
        if let Some(span) = &span {
            self.here.keep(span);
        }
        span
    }

    /// The same of the span that the stack owns, whose entry it leaves.
    #[inline(never)]
    pub(super) fn share_what_it_owns(&mut self) -> Option<Arc<SpanInner>> {
        let slot = self.own.take()?;
        self.here.owns_none();
        self.share(slot)
    }

    /// The same, and the entry refers to it.
    #[inline]
    pub(super) fn share_own(&mut self) {
        if self.own.is_some() {
            self.share_in_its_entry();
        }
    }

    #[inline(never)]
    fn share_in_its_entry(&mut self) {
        let mut entries = self.entries.iter().rev();
        let Some(at) = entries.position(|(_, entry)| matches!(entry, Entry::Own)) else {
            return;
        };
        let at = self.entries.len() - 1 - at;
        if let Some(span) = self.share_what_it_owns() {
            self.entries[at].1 = Entry::Span(span);
        }
    }

    /// The same if it is the current span.
    pub(super) fn share_current(&mut self) {
        if self.own.is_some() && matches!(self.current(), Some(Entry::Own)) {
            self.share_own();
        }
    }

    pub(super) fn entry(&self, token: Token) -> Option<&Entry> {
        let mut entries = self.entries.iter().rev();
        let (_, entry) = entries.find(|(other, _)| *other == token)?;
        Some(entry)
    }

    pub(super) fn pop(&mut self, token: Token) -> Option<Entry> {
        let last = self.entries.pop_if(|(last, _)| *last == token);
        let (_, entry) = last.or_else(|| {
            let mut entries = self.entries.iter();
            let at = entries.rposition(|(other, _)| *other == token)?;
            Some(self.entries.remove(at))
        })?;
        self.annotated -= usize::from(entry.is_annotated());
        Some(entry)
    }

    /// Puts a finished span where its client's worker fetches it, or gives it back.
    pub(super) fn push_finished(&mut self, span: Finished, weight: usize) -> Result<(), Refused> {
        let Some(client) = span.client().filter(|client| client.is_open()) else {
            return Err(Refused::new(span, DropReason::Shutdown));
        };
        let id = client.worker().buffers_id();
        if let Some((_, buffer)) = self.buffers.iter().find(|(of, _)| *of == id) {
            return buffer.push(span, weight);
        }
        let buffer = self.open_buffer(id, client);
        buffer.push(span, weight)
    }

    /// A place for the spans of another client.
    #[cold]
    #[inline(never)]
    fn open_buffer(&mut self, id: u64, client: &ClientInner) -> Arc<Buffer> {
        if !self.buffers_of.is_some_and(Process::is_current) {
            std::mem::forget(std::mem::take(&mut self.buffers));
            self.buffers_of = Some(Process::current());
        }
        self.buffers.retain(|(_, buffer)| buffer.is_open());
        if self.buffers.len() == BUFFERS {
            return client.worker().shared_buffer();
        }
        let buffer = client.worker().open_buffer();
        self.buffers.push((id, Arc::clone(&buffer)));
        buffer
    }

    pub(super) fn push(&mut self, entry: Entry) -> Token {
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
    pub(super) fn push_and_grow(&mut self, token: Token, entry: Entry) {
        self.entries.push((token, entry));
    }

    /// The entry that says which span is current.
    pub(super) fn current(&self) -> Option<&Entry> {
        let mut entries = self.entries.iter().rev().map(|(_, entry)| entry);
        entries.find(|entry| !matches!(entry, Entry::Annotations(_)))
    }

    /// The annotation contexts in force, the outermost first. An attached context has its
    /// own in place of those below it.
    pub(super) fn annotations(&self) -> Option<Annotations> {
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
    pub(super) fn scoped(&self) -> Option<&Arc<ClientInner>> {
        let mut entries = self.entries.iter().rev();
        entries.find_map(|(_, entry)| self.client(entry))
    }

    /// The global client; what was cached before goes to `stale` if that has changed.
    #[inline]
    pub(super) fn global(
        &mut self,
        stale: &mut Option<Arc<ClientInner>>,
    ) -> Option<&Arc<ClientInner>> {
        let seen = self.global.as_ref().map(|(generation, _)| *generation);
        if seen != Some(client::generation()) {
            *stale = self.look_for_global();
        }
        self.global.as_ref().map(|(_, client)| client)
    }

    /// Caches the global client; gives the one that was cached.
    #[cold]
    #[inline(never)]
    fn look_for_global(&mut self) -> Option<Arc<ClientInner>> {
        let (generation, client) = client::global();
        let global = client.map(|client| (generation, client));
        std::mem::replace(&mut self.global, global).map(|(_, client)| client)
    }

    #[allow(
        clippy::inline_always,
        reason = "what it makes is large; out of a call it would be moved, and that waited for"
    )]
    #[inline(always)]
    pub(super) fn origin(&mut self, stale: &mut Option<Arc<ClientInner>>) -> Option<Origin> {
        let (client, parent) = match self.entries.last() {
            None => (self.global(stale).filter(|client| client.is_open())?, None),
            // Mostly a span of a client that is open, and no annotations.
            Some((_, Entry::Span(span))) if self.annotated == 0 && span.client.is_open() => {
                (&span.client, Some(Arc::clone(span)))
            }
            Some(_) => return self.origin_within(stale),
        };
        Some(Origin {
            client: Arc::clone(client),
            parent,
            remote: None,
            annotations: None,
        })
    }

    /// The same where anything else is current.
    #[inline(never)]
    fn origin_within(&mut self, stale: &mut Option<Arc<ClientInner>>) -> Option<Origin> {
        let client = match self.scoped() {
            Some(client) if client.is_open() => Arc::clone(client),
            // What was scoped to a client that takes nothing is for no other one.
            Some(client) if !client.is_global() => return None,
            _ => Arc::clone(self.global(stale).filter(|client| client.is_open())?),
        };
        self.share_current();
        let current = self.current();
        let span = current.and_then(|entry| entry.shared());
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

#[cfg(test)]
#[cfg(feature = "enabled")]
mod tests {
    use super::*;
    use crate::config::{Config, Destination};
    use crate::export::memory::Memory;
    use crate::span::Span;

    #[test]
    fn a_thread_lets_go_of_the_buffers_of_clients_that_have_ended() {
        let spans_of_a_client = || {
            let config = Config::new().tracing_spans(false);
            let config = config.destination(Destination::Memory(Memory::new()));
            let client = config.build().unwrap();
            client.scope(|| drop(Span::task("t").start()));
            client
        };
        let buffers = || with_stack(|stack| stack.buffers.len()).unwrap();
        let kept = spans_of_a_client();
        for _ in 0..3 {
            let ended = spans_of_a_client();
            assert_eq!(
                buffers(),
                2,
                "the last one's, and that of the one that is kept"
            );
            ended.shutdown(std::time::Duration::from_secs(60)).unwrap();
        }
        drop(kept);
    }
}
