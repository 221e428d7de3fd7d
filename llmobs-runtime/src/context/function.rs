//! The spans of annotated functions. Nobody refers to one but the thread that runs its function,
//! mostly, and then it needs no allocation and no lock, and goes from the thread's stack to the
//! worker. Once somebody does, a child for example, it is a span as all others.

use std::sync::Arc;

use super::stack::{Entry, Token, with_stack};
use crate::id;
use crate::kind::SpanKind;
use crate::span::open::{self, Held};
use crate::span::{Slot, Span, SpanData};
use crate::stats::DropReason;
use crate::worker::{Finished, Refused};

/// Begins the span of a function here, in a place of its own; `None` if nothing is enabled. It is
/// told more, and [settled](Slot::settle).
#[inline]
pub(crate) fn draft(name: &'static &'static str, kind: SpanKind) -> Option<Slot> {
    let mut stale = None;
    // Written where it stays, out of what is at hand: a processor waits for what was just moved.
    with_stack(|stack| {
        let origin = stack.origin(&mut stale)?;
        let spare = stack.spare.pop();
        let mut slot = spare.unwrap_or_else(|| Slot::new(&mut stack.spare));
        if let Some(next) = stack.spare.last() {
            next.prefetch();
        }
        slot.draft(kind, name, id::randoms(), origin);
        Some(slot)
    })
    .flatten()
}

/// Makes a span current; `None` while the thread is being torn down.
#[inline]
pub(crate) fn enter(slot: Slot) -> Option<Token> {
    let (span, literal) = slot.open()?;
    if span.has_tracing() {
        let span = with_stack(|stack| stack.share(slot)).flatten()?;
        return enter_shared(Span::of(span));
    }
    let client = Arc::as_ptr(&span.client);
    with_stack(|stack| {
        stack.share_own();
        stack.here.owns(client, literal);
        stack.own = Some(slot);
        stack.push(Entry::Own)
    })
}

/// The same where a `tracing` span goes beside it. A subscriber that panics when it is told, and a
/// thread that is being torn down, end the span.
#[cold]
fn enter_shared(mut span: Span) -> Option<Token> {
    let tracing = span.inner()?.tracing();
    let mut tracing = tracing.map(|tracing| Box::new(tracing.entered()));
    with_stack(|stack| {
        let token = stack.push(Entry::Span(span.lend()?));
        stack
            .tracing
            .extend(tracing.take().map(|entered| (token, entered)));
        Some(token)
    })
    .flatten()
}

/// Whether the output of the span that was entered is worth a look.
pub(crate) fn wants_output(token: Token) -> bool {
    with_stack(|stack| Some(stack.span(stack.entry(token)?)?.wants_output())).flatten()
        == Some(true)
}

/// Changes what can be added to the span that was entered; `None` after its end. No code of a user
/// may run in `change`: the stack is borrowed.
pub(crate) fn with_data<R>(token: Token, change: impl FnOnce(&mut SpanData) -> R) -> Option<R> {
    with_stack(|stack| match stack.entry(token)? {
        Entry::Own => {
            let span = stack.own.as_mut()?.span_mut()?;
            (!span.client.is_of_parent()).then(|| change(span.data_mut()))
        }
        Entry::Span(span) => span.with_data(change),
        _ => None,
    })
    .flatten()
}

/// Takes the span that was entered off the stack, open still. Where a subscriber panics when it is
/// told, it ends.
pub(crate) fn leave(token: Token) -> Option<Span> {
    let left = with_stack(|stack| {
        let span = match stack.pop(token)? {
            Entry::Own => stack.share_what_it_owns(),
            Entry::Span(span) => Some(span),
            _ => None,
        };
        let mut entered = stack.tracing.iter();
        let at = entered.rposition(|(other, _)| *other == token);
        Some((span, at.map(|at| stack.tracing.remove(at))))
    });
    let (span, tracing) = left.flatten()?;
    let span = span.map(Span::of);
    drop(tracing);
    span
}

/// Ends the span that was entered, unless somebody has, and takes it off the stack.
pub(crate) fn finish(token: Token) {
    /// What is left to do without the borrow.
    enum Left {
        /// Somebody refers to it, so it is one as all others.
        Shared,
        /// Of the parent of a forked child: nothing of its client may be touched.
        OfParent(Slot),
        Refused(Refused),
    }

    let mut left = None;
    with_stack(|stack| {
        if !matches!(stack.entries.last(), Some((last, Entry::Own)) if *last == token) {
            left = Some(Left::Shared);
            return;
        }
        // There is nothing in that entry to be dropped.
        std::mem::forget(stack.entries.pop());
        let Some(mut slot) = stack.own.take() else {
            return;
        };
        stack.here.owns_none();
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
        Some(Left::Shared) => drop(leave(token)),
        Some(Left::Refused(refused)) => refused.count(),
        Some(Left::OfParent(slot)) => drop(slot),
    }
}

/// Puts a finished span where its client's worker fetches it, or gives it back.
pub(crate) fn push_finished(span: Held, weight: usize) -> Result<(), Refused> {
    // Models run all their threads on one of the system's.
    if !cfg!(all(test, llmobs_loom)) {
        let mut waits = Some(span);
        let pushed = with_stack(|stack| {
            let span = waits.take()?;
            if let Some(place) = span.place() {
                stack.here.give_back(place);
            }
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
fn push_last(span: Held, weight: usize) -> Result<(), Refused> {
    if let Some(place) = span.place() {
        open::give_back(place);
    }
    let client = Arc::clone(&span.client);
    let span = Finished::Shared(span);
    if client.is_open() {
        client.worker().shared_buffer().push(span, weight)
    } else {
        Err(Refused::new(span, DropReason::Shutdown))
    }
}
