//! Finished spans on their way to the worker: each thread has a buffer of its own, so that
//! threads do not meet at one queue, and a span is written where the worker reads it.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc::WeakUnboundedSender;

use super::Control;
use super::queue::{Ahead, Budget, Payload, Queued};
use crate::client::ClientInner;
use crate::span::open::Held;
use crate::span::{Slot, SpanInner};
use crate::stats::{DropReason, EventKind};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// How many spans stand in one piece of memory.
const CHUNK: usize = 64;
/// How many empty pieces are kept, for all threads of a client: 100 kB.
const SPARE: usize = 64;

type Chunk = Vec<Queued<Finished>>;

/// A span that has ended.
pub(crate) enum Finished {
    /// Nobody else has it.
    Own(Slot),
    Shared(Held),
}

impl Finished {
    pub(crate) fn span(&self) -> Option<&SpanInner> {
        match self {
            Self::Own(slot) => slot.span(),
            Self::Shared(span) => Some(span),
        }
    }

    pub(crate) fn client(&self) -> Option<&Arc<ClientInner>> {
        self.span().map(|span| &span.client)
    }
}

/// A finished span for which there was no room.
pub(crate) struct Refused {
    span: Finished,
    reason: DropReason,
}

impl Refused {
    pub(crate) fn new(span: Finished, reason: DropReason) -> Self {
        Self { span, reason }
    }

    /// Counts it as made and dropped. Says so, to a subscriber of the user's perhaps.
    #[cold]
    pub(crate) fn count(self) {
        if let Some(client) = self.span.client() {
            client.refused(self.reason);
        }
        if let Finished::Shared(span) = self.span {
            let content = span.lock().take();
            SpanInner::let_go(span.record());
            drop(content);
        }
    }
}

impl Payload for Finished {
    fn kind(&self) -> EventKind {
        EventKind::Span
    }

    fn client(&self) -> Option<&ClientInner> {
        self.client().map(|client| &**client)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The buffers of a client.
pub(super) struct Buffers {
    /// Among all clients of the process, so that a thread knows its buffer of each.
    id: u64,
    all: Mutex<All>,
    spare: Mutex<Vec<Chunk>>,
    budget: Arc<Budget>,
    control: WeakUnboundedSender<Control>,
    /// Set by the caller that wakes the worker, cleared by the worker: one wake at a time.
    woken: AtomicBool,
}

struct All {
    /// Whether anything is taken still.
    open: bool,
    buffers: Vec<Arc<Buffer>>,
    /// What was made by threads that have ended.
    made_before: u64,
}

/// What one thread has finished and the worker has not fetched yet.
pub(crate) struct Buffer {
    of: Arc<Buffers>,
    state: Mutex<State>,
}

struct State {
    open: bool,
    spans: Chunk,
    full: Vec<Chunk>,
    made: u64,
    /// Room in the budget that was taken in advance.
    ahead: Ahead,
}

impl Buffers {
    pub(super) fn new(budget: Arc<Budget>, control: WeakUnboundedSender<Control>) -> Arc<Self> {
        static IDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        Arc::new(Self {
            id: IDS.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            all: Mutex::new(All {
                open: true,
                buffers: Vec::new(),
                made_before: 0,
            }),
            spare: Mutex::default(),
            budget,
            control,
            woken: AtomicBool::new(false),
        })
    }

    #[inline]
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// A buffer for another thread.
    pub(super) fn open(self: &Arc<Self>) -> Arc<Buffer> {
        let mut all = lock(&self.all);
        let buffer = Arc::new(Buffer {
            of: Arc::clone(self),
            state: Mutex::new(State {
                open: all.open,
                spans: Chunk::new(),
                full: Vec::new(),
                made: 0,
                ahead: Ahead::default(),
            }),
        });
        if all.open {
            all.buffers.push(Arc::clone(&buffer));
        }
        buffer
    }

    /// How many spans were put into any buffer.
    pub(super) fn made(&self) -> u64 {
        let all = lock(&self.all);
        let made = all.buffers.iter().map(|buffer| lock(&buffer.state).made);
        all.made_before + made.sum::<u64>()
    }

    /// Takes room in the budget; where there is none, out of what threads have taken in advance.
    pub(super) fn reserve(&self, weight: usize) -> Result<bool, DropReason> {
        let reserved = self.budget.reserve(weight);
        if reserved.is_ok() || !self.budget.tighten() {
            return reserved;
        }
        for buffer in &lock(&self.all).buffers {
            self.budget.give_back(&mut lock(&buffer.state).ahead);
        }
        self.budget.reserve(weight)
    }

    /// Moves all that is there to `fetched`, and lets go of the buffers of threads that have ended.
    pub(super) fn fetch(&self, fetched: &mut VecDeque<Chunk>) {
        self.budget.loosen();
        let mut all = lock(&self.all);
        let mut made_before = 0;
        all.buffers.retain(|buffer| {
            let mut state = lock(&buffer.state);
            fetched.extend(state.full.drain(..));
            if !state.spans.is_empty() {
                fetched.push_back(std::mem::take(&mut state.spans));
            }
            self.budget.give_back(&mut state.ahead);
            let is_used = Arc::strong_count(buffer) > 1;
            if !is_used {
                made_before += state.made;
            }
            is_used
        });
        all.made_before += made_before;
    }

    /// Takes nothing more; gives back what was there.
    pub(super) fn close(&self) -> VecDeque<Chunk> {
        let mut left = VecDeque::new();
        self.fetch(&mut left);
        let mut all = lock(&self.all);
        all.open = false;
        let mut made = 0;
        for buffer in std::mem::take(&mut all.buffers) {
            let mut state = lock(&buffer.state);
            state.open = false;
            left.extend(state.full.drain(..));
            left.push_back(std::mem::take(&mut state.spans));
            self.budget.give_back(&mut state.ahead);
            made += std::mem::take(&mut state.made);
        }
        all.made_before += made;
        left
    }

    /// Keeps the memory of a chunk for the next one.
    pub(super) fn keep(&self, mut chunk: Chunk) {
        chunk.clear();
        let mut spare = lock(&self.spare);
        if spare.len() < SPARE {
            spare.push(chunk);
        }
    }

    fn chunk(&self) -> Chunk {
        let spare = lock(&self.spare).pop();
        spare.unwrap_or_else(|| Chunk::with_capacity(CHUNK))
    }

    /// Wakes the worker, unless somebody has.
    #[cold]
    pub(super) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(control) = self.control.upgrade()
        {
            let _ = control.send(Control::Wake);
        }
    }

    /// From now on a caller may wake the worker again. What callers have put somewhere that wake
    /// nobody, since one has done so before, is seen from here on: a store alone does not see to
    /// that.
    pub(super) fn rearm(&self) {
        self.woken.swap(false, Ordering::AcqRel);
    }
}

impl Buffer {
    /// Whether it takes anything still.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.state).open
    }

    /// Takes `span`, or gives it back with the reason.
    #[inline]
    pub(crate) fn push(&self, span: Finished, weight: usize) -> Result<(), Refused> {
        let mut state = lock(&self.state);
        if !state.open {
            return Err(Refused::new(span, DropReason::Shutdown));
        }
        let Ok(half_full) = self.of.budget.reserve_by(&mut state.ahead, weight) else {
            drop(state);
            return self.push_once_more(span, weight);
        };
        state.made += 1;
        // Where there is room, which is nearly always, the compiler writes it to its place at once.
        if state.spans.len() < state.spans.capacity() {
            state.spans.push(Queued::new(span, weight));
        } else {
            state.turn(&self.of, Queued::new(span, weight));
        }
        drop(state);
        if half_full {
            self.of.wake();
        }
        Ok(())
    }
}

impl Buffer {
    /// The same out of what other threads have taken in advance.
    #[cold]
    #[inline(never)]
    fn push_once_more(&self, span: Finished, weight: usize) -> Result<(), Refused> {
        if let Err(reason) = self.of.reserve(weight) {
            return Err(Refused::new(span, reason));
        }
        let mut state = lock(&self.state);
        if !state.open {
            self.of.budget.release(1, weight);
            return Err(Refused::new(span, DropReason::Shutdown));
        }
        state.made += 1;
        state.turn(&self.of, Queued::new(span, weight));
        drop(state);
        self.of.wake();
        Ok(())
    }
}

impl State {
    /// Goes on with an empty chunk.
    #[cold]
    #[inline(never)]
    fn turn(&mut self, of: &Buffers, span: Queued<Finished>) {
        let full = std::mem::replace(&mut self.spans, of.chunk());
        if !full.is_empty() {
            self.full.push(full);
        }
        self.spans.push(span);
    }
}

#[cfg(test)]
mod tests;
