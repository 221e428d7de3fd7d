//! Flushes that are awaited while a processor may hold the worker up: their time is kept beside it, by
//! one thread for all of a client's, which is there only as long as one of them is.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::capture;
use crate::thread;

/// The flushes of a client that are awaited.
#[derive(Default)]
pub(super) struct Awaited {
    state: Mutex<State>,
    /// The first to be over is another one, or none is left.
    changed: Condvar,
}

/// Until when a flush waits; the number tells apart those that wait until the same moment.
type Place = (Instant, u64);

#[derive(Default)]
struct State {
    /// By their ends, so that thousands of them cost no more each than one does.
    flushes: BTreeMap<Place, Arc<Caller>>,
    begun: u64,
    has_thread: bool,
}

/// The end where the answer is given, once.
struct Caller(Mutex<Option<oneshot::Sender<bool>>>);

impl Caller {
    /// The waker is the caller's, and may panic: that ends neither the worker nor the thread that keeps
    /// the time of the others.
    fn tell(&self, done: bool) {
        let sender = lock(&self.0).take();
        if let Some(sender) = sender {
            capture::panics(|| {
                // A caller that has gone needs no answer.
                let _ = sender.send(done);
            });
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
            let sender = lock(&caller.0).take();
            capture::panics(|| drop(sender));
        }
    }
}

/// The caller's side: as long as it lives, the flush is awaited.
pub(super) struct Waiting {
    awaited: Arc<Awaited>,
    place: Place,
    pub(super) answer: oneshot::Receiver<bool>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = lock(&self.awaited.state);
        let caller = state.flushes.remove(&self.place);
        let is_last = caller.is_some() && state.flushes.is_empty();
        drop(state);
        if is_last {
            self.awaited.changed.notify_all();
        }
    }
}

impl Awaited {
    /// A flush that is over at `until`, answered or not.
    pub(super) fn begin(self: &Arc<Self>, until: Instant) -> io::Result<(Asked, Waiting)> {
        let (sender, answer) = oneshot::channel();
        let caller = Arc::new(Caller(Mutex::new(Some(sender))));
        let asked = Asked(Arc::downgrade(&caller));
        let mut state = lock(&self.state);
        state.begun += 1;
        let place = (until, state.begun);
        let waiting = Waiting {
            awaited: Arc::clone(self),
            place,
            answer,
        };
        state.flushes.insert(place, caller);
        let is_first = state.flushes.first_key_value().map(|(first, _)| *first) == Some(place);
        if state.has_thread {
            if is_first {
                self.changed.notify_all();
            }
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
            let Some(first) = state.flushes.first_entry() else {
                state.has_thread = false;
                return;
            };
            let (next, _) = *first.key();
            if next <= now {
                let caller = first.remove();
                // To wake a task may be to drop it, and with it one of these.
                drop(state);
                caller.tell(false);
                state = lock(&self.state);
                continue;
            }
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
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::processor::Verdict;
    use crate::worker::Worker;

    /// Longer than a test takes.
    const NEVER: Duration = Duration::from_secs(3_600);

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("of the test"));
        }
    }

    fn polled(waiting: &mut Waiting, waker: &Waker) -> Poll<bool> {
        let answer = Pin::new(&mut waiting.answer);
        answer
            .poll(&mut Context::from_waker(waker))
            .map(Result::unwrap)
    }

    /// The answer, from whichever thread it comes.
    fn answered(waiting: &mut Waiting) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(&mut waiting.answer).unwrap()
    }

    #[test]
    fn a_waker_that_panics_ends_neither_the_worker_nor_the_time_of_others() {
        let awaited = Arc::new(Awaited::default());
        let waker = Waker::from(Arc::new(Panics));
        let soon = Instant::now() + Duration::from_millis(50);
        let (_asked, mut over) = awaited.begin(soon).unwrap();
        assert_eq!(polled(&mut over, &waker), Poll::Pending);
        let (asked, mut told) = awaited.begin(Instant::now() + NEVER).unwrap();
        assert_eq!(polled(&mut told, &waker), Poll::Pending);
        let (gone, mut left) = awaited.begin(Instant::now() + NEVER).unwrap();
        assert_eq!(polled(&mut left, &waker), Poll::Pending);
        // The worker's side.
        asked.tell(true);
        assert_eq!(polled(&mut told, Waker::noop()), Poll::Ready(true));
        drop(gone);
        // The thread that keeps the time has met the first waker by then.
        let (_kept, mut later) = awaited.begin(soon).unwrap();
        assert!(!answered(&mut later));
        assert_eq!(polled(&mut over, Waker::noop()), Poll::Ready(false));
    }

    #[test]
    fn flushes_that_are_given_up_are_forgotten_in_any_order() {
        let awaited = Arc::new(Awaited::default());
        let now = Instant::now();
        let mut random = fastrand::Rng::with_seed(7);
        let mut flushes: Vec<_> = (0..1_000)
            .map(|_| now + NEVER + Duration::from_secs(random.u64(..100)))
            .map(|until| awaited.begin(until).unwrap())
            .collect();
        random.shuffle(&mut flushes);
        let kept = flushes.split_off(999);
        drop(flushes);
        assert_eq!(lock(&awaited.state).flushes.len(), 1);
        assert!(lock(&awaited.state).has_thread);
        drop(kept);
        // Its thread goes with the last one.
        let mut state = lock(&awaited.state);
        assert!(state.flushes.is_empty());
        while state.has_thread {
            drop(state);
            std::thread::yield_now();
            state = lock(&awaited.state);
        }
    }

    /// Until when the flushes of a client wait beside its worker, one of an hour among them.
    fn waits(config: Config) -> (Vec<Instant>, bool) {
        let (worker, _start) = Worker::new(&config.ml_app("asked").settings().unwrap());
        let mut flush = pin!(worker.flush_async(NEVER));
        let polled = flush.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let state = lock(&worker.timed.state);
        let until = state.flushes.keys().map(|(until, _)| *until);
        (until.collect(), state.has_thread)
    }

    #[test]
    fn a_flush_that_a_processor_may_hold_up_is_given_up_after_its_time_and_no_other_is_watched() {
        let before = Instant::now();
        let (until, has_thread) = waits(Config::new().processor(|_| Verdict::Keep));
        assert!(has_thread);
        let [until] = *until else { panic!("{until:?}") };
        assert!(
            until > before + NEVER,
            "the worker answers at the deadline, so it has some time after that"
        );
        assert_eq!(waits(Config::new()), (Vec::new(), false));
    }

    #[test]
    fn a_flush_is_void_once_it_is_answered_or_its_caller_has_gone() {
        let awaited = Arc::new(Awaited::default());
        let (asked, waiting) = awaited.begin(Instant::now() + NEVER).unwrap();
        assert!(!asked.is_void());
        drop(waiting);
        assert!(asked.is_void());
        let (asked, mut waiting) = awaited.begin(Instant::now()).unwrap();
        assert!(!answered(&mut waiting), "its time is over");
        assert!(asked.is_void());
        let (asked, _waiting) = awaited.begin(Instant::now() + NEVER).unwrap();
        asked.tell(true);
        assert!(asked.is_void());
    }
}
