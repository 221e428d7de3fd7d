//! What holds an entry on the stack of a thread and undoes it.

use std::fmt;
use std::sync::Arc;

use super::stack::{Entry, Token, pop, push, torn_down, with_stack};
use crate::span::{Span, SpanInner};

/// Restores what was current before, when dropped.
///
/// Not for async code: it belongs to its thread and is not `Send`. A future that holds it
/// across an `.await` cannot be spawned on a runtime of several threads, and where it is
/// run all the same, other futures of the thread find the span current. There,
/// [`FutureExt::in_span`](crate::FutureExt::in_span) makes it current during each poll only.
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
        // A subscriber may panic when it is told: before anything is current that is not undone.
        let tracing = span.inner().and_then(|inner| inner.tracing());
        let tracing = tracing.map(tracing::Span::entered);
        let mut entry = span.lend().map(Entry::Span);
        let token = with_stack(|stack| entry.take().map(|entry| stack.push(entry))).flatten();
        // The thread is being torn down: nothing is current there any more.
        if let Some(Entry::Span(inner)) = entry {
            span.give_back(inner);
        }
        Self {
            span,
            token,
            tracing,
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(Entry::Span(inner)) = self.token.and_then(pop) {
            self.span.give_back(inner);
        }
        // A subscriber may panic when it is told.
        drop(self.tracing.take());
    }
}

impl Attached {
    #[inline(never)]
    fn undo(&mut self) {
        // A subscriber may panic when it is told.
        let _entry = self.token.and_then(pop);
        match self.tracing.take() {
            // Kept by a thread-local. That it is never left is the lesser evil.
            Some(entered) if torn_down() => std::mem::forget(entered),
            entered => drop(entered),
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
