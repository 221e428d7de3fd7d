//! The way from any thread to the worker, bounded in events and bytes, never blocking. Spans go
//! through a buffer of their thread's, evaluations and feedback through a channel.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::Control;
use super::buffer::Buffers;
pub(crate) use super::buffer::{Buffer, Finished, Refused};
use crate::client::ClientInner;
use crate::event::{EvaluationEvent, FeedbackEvent};
use crate::span::{Slot, SpanInner};
use crate::stats::{DropReason, EventKind};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::mpsc;

/// An event as it leaves the caller's thread.
pub(crate) trait Payload {
    fn kind(&self) -> EventKind;
    fn client(&self) -> Option<&ClientInner>;
}

/// What is said of spans.
pub(crate) enum Submitted {
    Evaluation(Box<EvaluationEvent>, Arc<ClientInner>),
    Feedback(Box<FeedbackEvent>, Arc<ClientInner>),
}

impl Payload for Submitted {
    fn kind(&self) -> EventKind {
        match self {
            Self::Evaluation(..) => EventKind::Evaluation,
            Self::Feedback(..) => EventKind::Feedback,
        }
    }

    fn client(&self) -> Option<&ClientInner> {
        match self {
            Self::Evaluation(_, client) | Self::Feedback(_, client) => Some(client),
        }
    }
}

/// A payload on its way. One that nobody took, because the worker was gone, counts
/// itself as dropped.
pub(super) struct Queued<P: Payload> {
    payload: Option<P>,
    pub(super) weight: usize,
}

impl<P: Payload> Queued<P> {
    #[inline]
    pub(super) fn new(payload: P, weight: usize) -> Self {
        Self {
            payload: Some(payload),
            weight,
        }
    }

    pub(super) fn take(&mut self) -> Option<P> {
        self.payload.take()
    }
}

impl<P: Payload> Drop for Queued<P> {
    fn drop(&mut self) {
        if let Some(payload) = &self.payload
            && let Some(client) = payload.client()
        {
            client.dropped(payload.kind(), DropReason::Shutdown);
        }
    }
}

/// How much waits, anywhere between the caller and the acknowledgement.
#[derive(Debug)]
pub(crate) struct Budget {
    events: AtomicUsize,
    bytes: AtomicUsize,
    max_events: usize,
    max_bytes: usize,
    /// What a thread takes in advance at a time.
    ahead: Ahead,
    /// Somebody was refused: nobody takes anything in advance until the worker has fetched.
    tight: AtomicBool,
}

/// Room that was taken and is not used yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ahead {
    events: usize,
    bytes: usize,
}

/// The most that a thread takes in advance, so that not each of its spans has to ask.
const MOST_AHEAD: Ahead = Ahead {
    events: 64,
    bytes: 64 << 10,
};
/// And of a limit no more than this part.
const PART_AHEAD: usize = 512;

impl Budget {
    pub(super) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self {
            events: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            max_events,
            max_bytes,
            ahead: Ahead {
                events: MOST_AHEAD.events.min(max_events / PART_AHEAD),
                bytes: MOST_AHEAD.bytes.min(max_bytes / PART_AHEAD),
            },
            tight: AtomicBool::new(false),
        }
    }

    /// Takes room for one event, or tells which limit it would pass. Says `true` with the
    /// room where half of a limit has just been passed.
    pub(super) fn reserve(&self, weight: usize) -> Result<bool, DropReason> {
        let events = self.events.fetch_add(1, Ordering::AcqRel) + 1;
        if events > self.max_events {
            self.events.fetch_sub(1, Ordering::AcqRel);
            return Err(DropReason::QueueFull);
        }
        let bytes = self.bytes.fetch_add(weight, Ordering::AcqRel) + weight;
        if bytes > self.max_bytes {
            self.release(1, weight);
            return Err(DropReason::MemoryFull);
        }
        Ok(events * 2 >= self.max_events || bytes * 2 >= self.max_bytes)
    }

    /// The same out of what was taken `ahead`, if that is enough.
    #[inline]
    pub(super) fn reserve_by(&self, ahead: &mut Ahead, weight: usize) -> Result<bool, DropReason> {
        if ahead.events > 0 && ahead.bytes >= weight {
            ahead.events -= 1;
            ahead.bytes -= weight;
            return Ok(false);
        }
        self.reserve_ahead(ahead, weight)
    }

    #[cold]
    #[inline(never)]
    fn reserve_ahead(&self, ahead: &mut Ahead, weight: usize) -> Result<bool, DropReason> {
        self.give_back(ahead);
        let half_full = self.reserve(weight)?;
        // Where it gets tight, each event counts.
        if !half_full && self.ahead.events > 0 && !self.tight.load(Ordering::Acquire) {
            let Ahead { events, bytes } = self.ahead;
            let events_now = self.events.fetch_add(events, Ordering::AcqRel) + events;
            let bytes_now = self.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes;
            if events_now * 2 >= self.max_events || bytes_now * 2 >= self.max_bytes {
                self.release(events, bytes);
            } else {
                *ahead = Ahead { events, bytes };
            }
        }
        Ok(half_full)
    }

    /// Gives back what was taken in advance.
    pub(super) fn give_back(&self, ahead: &mut Ahead) {
        let Ahead { events, bytes } = std::mem::take(ahead);
        if events > 0 || bytes > 0 {
            self.release(events, bytes);
        }
    }

    /// Nothing more is taken in advance; `true` where that is new.
    pub(super) fn tighten(&self) -> bool {
        !self.tight.swap(true, Ordering::AcqRel)
    }

    pub(super) fn loosen(&self) {
        self.tight.store(false, Ordering::Release);
    }

    /// Takes room for one event that there is already, in any case.
    pub(super) fn take(&self, weight: usize) {
        self.events.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(weight, Ordering::AcqRel);
    }

    /// Whether a quarter of a limit is taken.
    pub(super) fn is_quarter_full(&self) -> bool {
        self.events() >= self.max_events / 4
            || self.bytes.load(Ordering::Acquire) >= self.max_bytes / 4
    }

    /// How many events wait anywhere.
    pub(super) fn events(&self) -> usize {
        self.events.load(Ordering::Acquire)
    }

    pub(super) fn release(&self, events: usize, bytes: usize) {
        self.events.fetch_sub(events, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Replaces the estimate of one event by what it came to when it was encoded.
    pub(super) fn correct(&self, estimate: usize, real: usize) {
        self.bytes.fetch_add(real, Ordering::AcqRel);
        self.bytes.fetch_sub(estimate, Ordering::AcqRel);
    }
}

/// The callers' end.
pub(super) struct Sender {
    events: mpsc::Sender<Queued<Submitted>>,
    pub(super) buffers: Arc<Buffers>,
    /// Of threads that have none of their own.
    pub(super) shared_buffer: Arc<Buffer>,
}

/// The worker's end.
pub(super) struct Receiver {
    events: mpsc::Receiver<Queued<Submitted>>,
    buffers: Arc<Buffers>,
    pub(super) budget: Arc<Budget>,
    fetched: Fetched,
}

/// What the worker has fetched and not looked at yet.
#[derive(Default)]
struct Fetched {
    chunks: VecDeque<Vec<Queued<Finished>>>,
    /// How far the first chunk has been looked at.
    at: usize,
    submitted: VecDeque<Queued<Submitted>>,
    /// The places of spans that were looked at.
    slots: Vec<Slot>,
}

/// The next event.
pub(super) enum Next {
    Span(Finished, usize),
    Submitted(Submitted, usize),
}

pub(super) fn channel(budget: Budget, control: &UnboundedSender<Control>) -> (Sender, Receiver) {
    // Unbounded as a channel, since the budget is the bound: nothing is laid out in advance.
    let (sender, receiver) = mpsc::channel();
    let budget = Arc::new(budget);
    let buffers = Buffers::new(Arc::clone(&budget), control.downgrade());
    (
        Sender {
            events: sender,
            shared_buffer: buffers.open(),
            buffers: Arc::clone(&buffers),
        },
        Receiver {
            events: receiver,
            buffers,
            budget,
            fetched: Fetched::default(),
        },
    )
}

impl Sender {
    /// Hands `payload` over, or counts it as dropped.
    pub(super) fn submit(&self, client: &ClientInner, payload: Submitted, weight: usize) {
        let half_full = match self.buffers.reserve(weight) {
            Ok(half_full) => half_full,
            Err(reason) => return client.dropped(payload.kind(), reason),
        };
        // A worker that is gone gives the event back; dropping it counts it.
        let queued = Queued::new(payload, weight);
        let sent = self.events.send(queued).is_ok();
        if sent && half_full {
            self.buffers.wake();
        }
    }
}

impl Receiver {
    /// Fetches what is there by now. What is said of spans comes first: then the spans that ended
    /// before it are there when theirs are fetched, and are given out before it.
    pub(super) fn fetch(&mut self) {
        for _ in 0..self.budget.events() {
            match self.events.try_recv() {
                Ok(submitted) => self.fetched.submitted.push_back(submitted),
                Err(_) => break,
            }
        }
        self.buffers.fetch(&mut self.fetched.chunks);
    }

    /// The next of what was fetched.
    pub(super) fn next(&mut self) -> Option<Next> {
        let Fetched {
            chunks,
            at,
            submitted,
            slots,
        } = &mut self.fetched;
        while let Some(chunk) = chunks.front_mut() {
            if let Some(queued) = chunk.get_mut(*at) {
                *at += 1;
                let weight = queued.weight;
                if let Some(span) = queued.take() {
                    return Some(Next::Span(span, weight));
                }
            } else {
                *at = 0;
                self.buffers.keep(chunks.pop_front()?);
                Slot::give_back(slots);
            }
        }
        let mut queued = submitted.pop_front()?;
        let weight = queued.weight;
        Some(Next::Submitted(queued.take()?, weight))
    }

    /// Takes back what was given out.
    pub(super) fn done(&mut self, span: Finished) {
        match span {
            Finished::Own(mut slot) => {
                slot.clear();
                self.fetched.slots.push(slot);
            }
            Finished::Shared(span) => SpanInner::let_go(span.record()),
        }
    }

    /// Takes nothing more; what is there still is counted as dropped.
    pub(super) fn close(&mut self) {
        let left = self.buffers.close();
        self.fetched = Fetched::default();
        drop(left);
        // With the channel: who sends after this has the event back, and counts it at once.
        self.events = mpsc::channel().1;
    }

    pub(super) fn rearm(&self) {
        self.buffers.rearm();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
#[cfg(not(llmobs_loom))]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_half_full_with_half_of_it() {
        for (budget, weight) in [
            (Budget::new(10, 1 << 30), 1),
            (Budget::new(1 << 30, 100), 10),
        ] {
            let is_half_full = || budget.reserve(weight).unwrap();
            assert_eq!([(); 4].map(|()| is_half_full()), [false; 4]);
            assert_eq!([(); 6].map(|()| is_half_full()), [true; 6]);
            assert!(budget.reserve(weight).is_err());
        }
    }

    #[test]
    fn nothing_is_taken_in_advance_where_a_limit_would_be_half_full_with_it() {
        let (events, bytes) = (MOST_AHEAD.events, MOST_AHEAD.bytes);
        let (max_events, max_bytes) = (events * PART_AHEAD, bytes * PART_AHEAD);
        let ahead_beside = |taken: (usize, usize)| {
            let budget = Budget::new(max_events, max_bytes);
            budget.events.store(taken.0, Ordering::Release);
            budget.bytes.store(taken.1, Ordering::Release);
            let mut ahead = Ahead::default();
            assert_eq!(budget.reserve_by(&mut ahead, 1), Ok(false));
            assert_eq!(budget.events(), taken.0 + 1 + ahead.events);
            (ahead.events, ahead.bytes)
        };
        let (most_events, most_bytes) = (max_events / 2 - events - 1, max_bytes / 2 - bytes - 1);
        for taken in [(most_events - 1, 0), (0, most_bytes - 1)] {
            assert_eq!(ahead_beside(taken), (events, bytes), "{taken:?}");
        }
        for taken in [(most_events, 0), (0, most_bytes)] {
            assert_eq!(ahead_beside(taken), (0, 0), "{taken:?}");
        }
    }

    #[test]
    fn a_quarter_of_either_limit_is_a_quarter() {
        for (budget, weight) in [
            (Budget::new(12, 1 << 30), 1),
            (Budget::new(1 << 30, 120), 10),
        ] {
            for is_quarter_full in [false, false, true, true] {
                budget.reserve(weight).unwrap();
                assert_eq!(budget.is_quarter_full(), is_quarter_full);
            }
        }
    }

    #[test]
    fn what_was_taken_in_advance_is_used_before_the_budget_is_asked_again() {
        let budget = Budget::new(MOST_AHEAD.events * PART_AHEAD, 1 << 30);
        let mut ahead = Ahead::default();
        for used in 0..=MOST_AHEAD.events {
            assert_eq!(budget.reserve_by(&mut ahead, 10), Ok(false));
            assert_eq!(ahead.events, MOST_AHEAD.events - used);
            assert_eq!(ahead.bytes, MOST_AHEAD.bytes - used * 10);
            assert_eq!(budget.events(), MOST_AHEAD.events + 1);
        }
        // What is left of the bytes goes back with that.
        assert_eq!(budget.reserve_by(&mut ahead, 10), Ok(false));
        let used = (MOST_AHEAD.events + 2) * 10;
        assert_eq!(
            budget.bytes.load(Ordering::Acquire),
            used + MOST_AHEAD.bytes
        );
        // Of a small limit not a part, and so no bytes either.
        let budget = Budget::new(PART_AHEAD - 1, 1 << 30);
        let mut ahead = Ahead::default();
        assert_eq!(budget.reserve_by(&mut ahead, 10), Ok(false));
        assert_eq!((ahead.events, ahead.bytes), (0, 0));
        assert_eq!(budget.bytes.load(Ordering::Acquire), 10);
    }

    #[test]
    fn where_somebody_was_refused_nothing_is_taken_in_advance_until_the_worker_has_fetched() {
        let budget = Budget::new(10_000, 1 << 30);
        let taken_ahead = || {
            let mut ahead = Ahead::default();
            budget.reserve_by(&mut ahead, 1).unwrap();
            let taken = ahead.events;
            budget.give_back(&mut ahead);
            taken
        };
        assert!(taken_ahead() > 0);
        assert!(budget.tighten());
        assert_eq!(taken_ahead(), 0);
        assert!(!budget.tighten(), "it is so already");
        budget.loosen();
        assert!(taken_ahead() > 0);
    }
}
