//! Flushes that are awaited while a processor may hold the worker up: their time is kept beside it, by
//! one thread for all of a client's, which is there only as long as one of them is.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::thread;

/// The flushes of a client that are awaited.
#[derive(Default)]
pub(super) struct Awaited {
    state: Mutex<State>,
    /// One has come, or gone.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Until when each of them waits.
    flushes: Vec<(Instant, Arc<Caller>)>,
    has_thread: bool,
}

/// The end where the answer is given, once.
struct Caller(Mutex<Option<oneshot::Sender<bool>>>);

impl Caller {
    fn tell(&self, done: bool) {
        if let Some(sender) = lock(&self.0).take() {
            // A caller that has gone needs no answer.
            let _ = sender.send(done);
        }
    }

    fn is_void(&self) -> bool {
        lock(&self.0)
            .as_ref()
            .is_none_or(oneshot::Sender::is_closed)
    }
}

/// The worker's side. Where it goes without an answer the caller finds that out at once.
pub(super) struct Asked(Weak<Caller>);

impl Asked {
    pub(super) fn tell(&self, done: bool) {
        if let Some(caller) = self.0.upgrade() {
            caller.tell(done);
        }
    }

    pub(super) fn is_void(&self) -> bool {
        self.0.upgrade().is_none_or(|caller| caller.is_void())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(caller) = self.0.upgrade() {
            drop(lock(&caller.0).take());
        }
    }
}

/// The caller's side: as long as it lives, the flush is awaited.
pub(super) struct Waiting {
    awaited: Arc<Awaited>,
    caller: Arc<Caller>,
    pub(super) answer: oneshot::Receiver<bool>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = lock(&self.awaited.state);
        let others = |(_, caller): &(Instant, Arc<Caller>)| !Arc::ptr_eq(caller, &self.caller);
        state.flushes.retain(others);
        drop(state);
        self.awaited.changed.notify_all();
    }
}

impl Awaited {
    /// A flush that is over at `until`, answered or not.
    pub(super) fn begin(self: &Arc<Self>, until: Instant) -> io::Result<(Asked, Waiting)> {
        let (sender, answer) = oneshot::channel();
        let caller = Arc::new(Caller(Mutex::new(Some(sender))));
        let asked = Asked(Arc::downgrade(&caller));
        let waiting = Waiting {
            awaited: Arc::clone(self),
            caller: Arc::clone(&caller),
            answer,
        };
        let mut state = lock(&self.state);
        state.flushes.push((until, caller));
        if state.has_thread {
            self.changed.notify_all();
        } else {
            let awaited = Arc::clone(self);
            match thread::start("llmobs-flush", move || awaited.keep_time()) {
                Ok(_) => state.has_thread = true,
                Err(error) => {
                    // Letting go of it takes the lock.
                    drop(state);
                    return Err(error);
                }
            }
        }
        drop(state);
        Ok((asked, waiting))
    }

    fn keep_time(&self) {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            let is_over = |(until, _): &mut (Instant, Arc<Caller>)| *until <= now;
            let over: Vec<_> = state.flushes.extract_if(.., is_over).collect();
            if !over.is_empty() {
                // To wake a task may be to drop it, and with it one of these.
                drop(state);
                for (_, caller) in over {
                    caller.tell(false);
                }
                state = lock(&self.state);
                continue;
            }
            let Some(next) = state.flushes.iter().map(|(until, _)| *until).min() else {
                state.has_thread = false;
                return;
            };
            let waited = self.changed.wait_timeout(state, next - now);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
