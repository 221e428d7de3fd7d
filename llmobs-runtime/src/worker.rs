//! The worker: one thread with a runtime of its own, which does everything that the
//! caller's thread does not: encoding, batching, delivery.
//!
//! It looks at the queue every 100 ms, or when half of a limit is reached or a flush
//! asks for it; a caller never waits for it and rarely wakes it.

mod asked;
pub(crate) mod batch;
mod buffer;
mod control;
mod encode;
mod lane;
mod line;
#[cfg(all(test, llmobs_loom))]
mod loom_tests;
mod pause;
pub(crate) mod queue;
pub(crate) mod retry;
mod running;
mod spool;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Answered, RecvTimeoutError};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{
    UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel,
};

use asked::Awaited;
use batch::{Event, Gathering};
use control::{Answer, Control, Flush};
use queue::{Budget, Receiver, Sender};
pub(crate) use queue::{Buffer, Finished, Refused, Submitted};
use running::Running;

use crate::client::ClientInner;
use crate::config::Settings;
use crate::export;
use crate::report::{self, Silencer};
use crate::stats::EventKind;
use crate::thread;

/// No wait is longer: adding `Duration::MAX` to an `Instant` panics.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The worker answers at a deadline, unless a processor holds it up.
const PATIENCE: Duration = Duration::from_millis(500);
/// Without processors nothing of the application can hold the worker up: it is the machine that has no time. And a worker
/// that writes the rest to the spool is waited for until so much time has passed with no event written: then
/// a processor or the disk hangs.
pub(crate) const HELD_UP: Duration = Duration::from_secs(2);
/// How long the rest may take when the last handle went without a shutdown.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(5);

/// The callers' side of the worker.
pub(crate) struct Worker {
    queue: Sender,
    control: UnboundedSender<Control>,
    closing: Closing,
    died: Arc<AtomicBool>,
    /// Whether the application has processors, which may hold the worker up.
    processes: bool,
    /// The flushes that are awaited where it has.
    timed: Arc<Awaited>,
}

/// The end of the worker.
#[derive(Default)]
struct Ending {
    /// When the shutdown has to be over, once there is one: the worker may be in the middle of a
    /// queue that slow processors take their time with.
    deadline: OnceLock<Instant>,
    /// Whether what waits is written to disk then, past that time as well.
    writes_out: AtomicBool,
    /// How many events the worker is done with: where that grows, it is not held up.
    steps: AtomicU64,
    /// Whether the worker has ended with events that no destination had settled. A later shutdown finds no
    /// worker to ask, and reads the answer here.
    left_events: AtomicBool,
}

type Closing = Arc<Ending>;

impl Ending {
    /// One event is written, or counted.
    fn step(&self) {
        // Only the worker counts.
        let steps = self.steps.load(Ordering::Relaxed);
        self.steps.store(steps + 1, Ordering::Relaxed);
    }
}

/// A worker that has not been started.
pub(crate) struct Start {
    receiver: Receiver,
    control: UnboundedReceiver<Control>,
    /// For the lanes. Weak, so that the worker ends when its client is dropped.
    progress: WeakUnboundedSender<Control>,
    settings: Settings,
    closing: Closing,
    died: Died,
}

/// Tells that the worker has gone by a panic.
struct Died(Arc<AtomicBool>);

impl Drop for Died {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

impl Worker {
    pub(crate) fn new(settings: &Settings) -> (Self, Start) {
        let (control, receiver) = unbounded_channel();
        // Every destination has the whole budget; the front must not run out before them.
        let destinations = settings.destinations.len().max(1);
        let budget = Budget::new(
            settings.max_events.saturating_mul(destinations),
            settings.max_event_bytes().saturating_mul(destinations),
        );
        let (queue, events) = queue::channel(budget, &control);
        let closing = Closing::default();
        // Until it is known where everything goes.
        closing.writes_out.store(settings.spool, Ordering::Release);
        let died = Arc::new(AtomicBool::new(false));
        let start = Start {
            receiver: events,
            control: receiver,
            progress: control.downgrade(),
            settings: settings.clone(),
            closing: Arc::clone(&closing),
            died: Died(Arc::clone(&died)),
        };
        let worker = Self {
            queue,
            control,
            closing,
            died,
            processes: !settings.processors.is_empty(),
            timed: Arc::default(),
        };
        (worker, start)
    }

    /// Hands over what is said of spans, or counts it as dropped.
    pub(crate) fn submit(&self, client: &ClientInner, submitted: Submitted, weight: usize) {
        self.queue.submit(client, submitted, weight);
    }

    /// By which a thread knows its buffer for this worker.
    #[inline]
    pub(crate) fn buffers_id(&self) -> u64 {
        self.queue.buffers.id()
    }

    /// A buffer for another thread's finished spans.
    pub(crate) fn open_buffer(&self) -> Arc<Buffer> {
        self.queue.buffers.open()
    }

    /// For threads that have none of their own: those that are being torn down, and those that serve
    /// very many clients.
    pub(crate) fn shared_buffer(&self) -> Arc<Buffer> {
        Arc::clone(&self.queue.shared_buffer)
    }

    /// How many spans were taken.
    pub(crate) fn spans_made(&self) -> u64 {
        self.queue.buffers.made()
    }

    /// The largest event of a kind that fits into a request of its own, in bytes.
    pub(crate) fn largest_event(settings: &Settings, kind: EventKind) -> usize {
        let frame = export::frame(kind);
        Gathering::<Arc<Event>>::new(kind, frame, settings.payload_size_bytes).largest_event()
    }

    /// Blocks until everything that was enqueued before is settled; `false` after `timeout`,
    /// and at once on a worker's own thread.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        self.wait(timeout, Control::Flush)
    }

    /// As [`flush`](Self::flush). A future that is dropped leaves nothing behind.
    pub(crate) async fn flush_async(&self, timeout: Duration) -> bool {
        let timeout = timeout.min(LONGEST_WAIT);
        let deadline = Instant::now() + timeout;
        if !self.processes || report::in_background() {
            let (sender, answer) = tokio::sync::oneshot::channel();
            return self.awaited(deadline, Answer::Async(sender), answer).await;
        }
        // The worker tells when the time is over, unless a processor holds it up.
        match self.timed.begin(deadline + PATIENCE) {
            Ok((asked, mut waiting)) => {
                let answer = &mut waiting.answer;
                self.awaited(deadline, Answer::Timed(asked), answer).await
            }
            Err(_) => false,
        }
    }

    async fn awaited(
        &self,
        deadline: Instant,
        asked: Answer,
        answer: impl Future<Output = Result<bool, tokio::sync::oneshot::error::RecvError>>,
    ) -> bool {
        let flush = Flush {
            deadline,
            answer: asked,
        };
        if self.control.send(Control::Flush(flush)).is_err() {
            return !self.has_died();
        }
        if report::in_background() {
            return false;
        }
        if let Ok(done) = answer.await {
            return done;
        }
        // As below: it is dying.
        self.control.closed().await;
        false
    }

    /// The same as a flush, after which the worker is gone.
    pub(crate) fn shutdown(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout.min(LONGEST_WAIT);
        self.closing.deadline.get_or_init(|| deadline);
        let done = self.wait(timeout, Control::Shutdown);
        done && !self.closing.left_events.load(Ordering::Acquire)
    }

    /// Whether the worker is at work on what is written to disk at the end, and comes on.
    pub(crate) fn writes_out_since(&self, steps: &mut u64) -> bool {
        let before = std::mem::replace(steps, self.closing.steps.load(Ordering::Relaxed));
        self.closing.writes_out.load(Ordering::Acquire) && *steps != before
    }

    /// The answer to a shutdown or a flush, within `timeout`, or for as long as the worker comes on.
    fn answer(&self, answer: &Answered<bool>, timeout: Duration) -> Result<bool, RecvTimeoutError> {
        let patience = if self.processes { PATIENCE } else { HELD_UP };
        let mut answered = answer.recv_timeout(timeout + patience);
        let mut steps = 0;
        self.writes_out_since(&mut steps);
        while answered == Err(RecvTimeoutError::Timeout)
            && self.closing.writes_out.load(Ordering::Acquire)
        {
            answered = answer.recv_timeout(HELD_UP);
            if answered == Err(RecvTimeoutError::Timeout) && !self.writes_out_since(&mut steps) {
                break;
            }
        }
        answered
    }

    fn wait(&self, timeout: Duration, control: impl FnOnce(Flush) -> Control) -> bool {
        let timeout = timeout.min(LONGEST_WAIT);
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let flush = Flush {
            deadline: Instant::now() + timeout,
            answer: Answer::Blocking(sender),
        };
        if self.control.send(control(flush)).is_err() {
            return !self.has_died();
        }
        if report::in_background() {
            // A subscriber asks for it on the very thread that would have to do it.
            return false;
        }
        match self.answer(&answer, timeout) {
            Ok(done) => done,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                // It is dying: what it leaves is counted in a moment.
                let until = Instant::now() + PATIENCE;
                while !self.control.is_closed() && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(1));
                }
                false
            }
        }
    }

    /// Whether it has gone by a panic; one that has ended otherwise has settled everything.
    pub(crate) fn has_died(&self) -> bool {
        self.died.load(Ordering::Acquire)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.closing
            .deadline
            .get_or_init(|| Instant::now() + ORPHAN_TIMEOUT);
    }
}

impl Start {
    /// Starts the thread. It knows the client only as long as somebody else does.
    pub(crate) fn spawn(self, client: &Arc<ClientInner>) -> std::io::Result<()> {
        let client = Arc::downgrade(client);
        // On the caller's thread: a program that forks from there finds no static of tokio half
        // made in the child, which would wait for it for ever.
        let silencer = Silencer::new();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        silencer.rest_with(&mut runtime);
        let runtime = Background(Some(runtime.enable_all().build()?));
        let run = move || self.run(&client, runtime, silencer);
        thread::start("llmobs-worker", run).map(drop)
    }

    fn run(self, client: &Weak<ClientInner>, runtime: Background, silencer: Silencer) {
        let _silence = silencer.silence();
        // Gone before the silence is: its tasks and connections go with it.
        let runtime = runtime;
        if let Some(runtime) = &runtime.0 {
            runtime.block_on(Running::start(self, client));
        }
    }
}

/// A runtime that may be dropped anywhere: where the thread cannot be started that is the
/// caller's, perhaps within a runtime of its own, where tokio would panic.
struct Background(Option<tokio::runtime::Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::processor::Verdict;

    const SOON: Duration = Duration::from_secs(10);

    fn start() -> (Worker, Start) {
        start_of(Config::new())
    }

    fn start_of(config: Config) -> (Worker, Start) {
        Worker::new(&config.ml_app("worker").settings().unwrap())
    }

    #[test]
    fn a_worker_that_has_ended_has_settled_everything() {
        let (worker, start) = start();
        drop(start);
        assert!(worker.flush(SOON));
        assert!(worker.shutdown(SOON));
    }

    #[test]
    fn a_flush_that_waits_when_the_worker_dies_knows_it_at_its_end() {
        struct Slow;
        impl Drop for Slow {
            fn drop(&mut self) {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let processes = || Config::new().processor(|_| Verdict::Keep);
        for (config, asks_async) in [
            (Config::new(), false),
            (Config::new(), true),
            (processes(), true),
        ] {
            let (worker, start) = start_of(config);
            let thread = std::thread::spawn(move || {
                let Start {
                    mut control,
                    died: _died,
                    ..
                } = start;
                // What is at work is let go of before its end is known, and the question first.
                let _slow = Slow;
                let _flush = control.blocking_recv();
                panic!("of the test");
            });
            if asks_async {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                let done = runtime.unwrap().block_on(worker.flush_async(SOON));
                assert!(!done);
            } else {
                assert!(!worker.flush(SOON));
            }
            assert!(worker.has_died());
            thread.join().unwrap_err();
        }
    }

    #[test]
    fn a_worker_whose_client_goes_without_a_shutdown_has_some_time_for_the_rest() {
        let (worker, start) = start();
        assert!(start.closing.deadline.get().is_none());
        drop(worker);
        let deadline = start.closing.deadline.get().unwrap();
        assert!(*deadline > Instant::now());
    }

    #[test]
    fn a_runtime_may_be_let_go_of_within_another() {
        let runtime = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap()
        };
        let inner = Background(Some(runtime()));
        runtime().block_on(async { drop(inner) });
    }

    #[test]
    fn a_worker_that_has_died_has_settled_nothing() {
        let (worker, start) = start();
        let thread = std::thread::spawn(move || {
            let _start = start;
            panic!("of the test");
        });
        thread.join().unwrap_err();
        assert!(!worker.flush(SOON));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        assert!(!runtime.block_on(worker.flush_async(SOON)));
        assert!(!worker.shutdown(SOON));
    }
}
