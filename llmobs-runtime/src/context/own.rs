//! Spans that nobody refers to but the thread that runs their function: they need no allocation and
//! no lock, and go from the thread's stack to the worker. Once somebody does refer to one, it is a
//! span as all others.

use std::sync::Arc;

use super::stack::{Entry, Token, with_stack};
use crate::id;
use crate::kind::SpanKind;
use crate::span::{Slot, Span, SpanData, SpanInner};
use crate::stats::DropReason;
use crate::text::Text;
use crate::worker::{Finished, Refused};

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
        slot.draft(kind, Text::literal(name), id::randoms(), origin);
        Some(slot)
    })
    .flatten()
}

/// Takes a place back that is empty again.
pub(crate) fn keep_slot(slot: Slot) {
    let mut slot = Some(slot);
    with_stack(|stack| stack.spare.extend(slot.take()));
}

/// Makes the span in `slot` current, to which nobody else refers; gives it back while the thread
/// is being torn down.
pub(crate) fn push_own(slot: Slot) -> Result<Token, Option<Slot>> {
    let mut waits = Some(slot);
    let token = with_stack(|stack| {
        stack.share_own();
        stack.own = waits.take();
        stack.push(Entry::Own)
    });
    token.ok_or(waits)
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
