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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::processor::Verdict;
    use crate::worker::Worker;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Until when the flushes of a client wait beside its worker, one of an hour among them.
    fn waits(config: Config) -> (Vec<Instant>, bool) {
        let (worker, _start) = Worker::new(&config.ml_app("asked").settings().unwrap());
        let mut flush = pin!(worker.flush_async(HOUR));
        let polled = flush.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let state = lock(&worker.timed.state);
        let until = state.flushes.iter().map(|(until, _)| *until);
        (until.collect(), state.has_thread)
    }

    #[test]
    fn a_flush_that_a_processor_may_hold_up_is_given_up_after_its_time_and_no_other_is_watched() {
        let before = Instant::now();
        let (until, has_thread) = waits(Config::new().processor(|_| Verdict::Keep));
        assert!(has_thread);
        let [until] = *until else { panic!("{until:?}") };
        assert!(
            until > before + HOUR,
            "the worker answers at the deadline, so it has some time after that"
        );
        assert_eq!(waits(Config::new()), (Vec::new(), false));
    }

    #[test]
    fn a_flush_is_void_once_it_is_answered_or_its_caller_has_gone() {
        let awaited = Arc::new(Awaited::default());
        let (asked, waiting) = awaited.begin(Instant::now() + HOUR).unwrap();
        assert!(!asked.is_void());
        drop(waiting);
        assert!(asked.is_void());
        let (asked, mut waiting) = awaited.begin(Instant::now()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let answer = runtime.unwrap().block_on(&mut waiting.answer);
        assert_eq!(answer, Ok(false), "its time is over");
        assert!(asked.is_void());
    }
}
