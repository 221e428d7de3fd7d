//! The front queue: from any thread to the worker, bounded in events and bytes, never blocking.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::Control;
use crate::client::ClientInner;
use crate::event::{EvaluationEvent, FeedbackEvent};
use crate::span::SpanInner;
use crate::stats::{DropReason, EventKind};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::mpsc;

/// An event as it leaves the caller's thread.
pub(crate) enum Payload {
    Span(Arc<SpanInner>),
    Evaluation(Box<EvaluationEvent>, Arc<ClientInner>),
    Feedback(Box<FeedbackEvent>, Arc<ClientInner>),
}

impl Payload {
    fn kind(&self) -> EventKind {
        match self {
            Self::Span(_) => EventKind::Span,
            Self::Evaluation(..) => EventKind::Evaluation,
            Self::Feedback(..) => EventKind::Feedback,
        }
    }

    fn client(&self) -> &ClientInner {
        match self {
            Self::Span(span) => &span.client,
            Self::Evaluation(_, client) | Self::Feedback(_, client) => client,
        }
    }
}

/// A payload on its way. One that nobody took, because the worker was gone, counts
/// itself as dropped.
pub(super) struct Queued {
    payload: Option<Payload>,
    pub(super) weight: usize,
}

impl Queued {
    pub(super) fn take(mut self) -> Option<Payload> {
        self.payload.take()
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(payload) = &self.payload {
            payload
                .client()
                .dropped(payload.kind(), DropReason::Shutdown);
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
}

impl Budget {
    pub(super) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self {
            events: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            max_events,
            max_bytes,
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
    events: mpsc::Sender<Queued>,
    control: UnboundedSender<Control>,
    pub(super) budget: Arc<Budget>,
    /// Set by the caller that wakes the worker, cleared by the worker: one wake at a time.
    woken: Arc<AtomicBool>,
}

/// The worker's end.
pub(super) struct Receiver {
    events: mpsc::Receiver<Queued>,
    pub(super) budget: Arc<Budget>,
    woken: Arc<AtomicBool>,
}

pub(super) fn channel(budget: Budget, control: UnboundedSender<Control>) -> (Sender, Receiver) {
    // Unbounded as a channel, since the budget is the bound: nothing is laid out in advance.
    let (sender, receiver) = mpsc::channel();
    let budget = Arc::new(budget);
    let woken = Arc::new(AtomicBool::new(false));
    (
        Sender {
            events: sender,
            control,
            budget: Arc::clone(&budget),
            woken: Arc::clone(&woken),
        },
        Receiver {
            events: receiver,
            budget,
            woken,
        },
    )
}

impl Sender {
    /// Hands `payload` over, or counts it as dropped.
    pub(super) fn enqueue(&self, client: &ClientInner, payload: Payload, weight: usize) {
        let half_full = match self.budget.reserve(weight) {
            Ok(half_full) => half_full,
            Err(reason) => return client.dropped(payload.kind(), reason),
        };
        let queued = Queued {
            payload: Some(payload),
            weight,
        };
        // A worker that is gone gives the event back; dropping it counts it.
        let sent = self.events.send(queued).is_ok();
        if sent && half_full && !self.woken.swap(true, Ordering::AcqRel) {
            let _ = self.control.send(Control::Wake);
        }
    }
}

impl Receiver {
    /// The next event, if one is there.
    pub(super) fn next(&self) -> Option<Queued> {
        self.events.try_recv().ok()
    }

    /// From now on a caller may wake the worker again. What callers have sent that wake nobody,
    /// since one has done so before, is seen from here on: a store alone does not see to that.
    pub(super) fn rearm(&self) {
        self.woken.swap(false, Ordering::AcqRel);
    }
}
