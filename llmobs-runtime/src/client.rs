//! The client: the handle on a worker and its settings; the global one and scoped ones.
//!
//! Nothing here does I/O on the caller's thread, but for one file of the kernel's that the first
//! client reads to choose a clock. While no client is enabled, every entry costs one relaxed atomic
//! load.

mod free;
mod guard;
mod handle;
#[cfg(all(test, llmobs_loom))]
mod modelled;
mod owner;
#[cfg(all(unix, feature = "enabled"))]
mod signals;
mod submit;
mod told;

use std::fmt;
use std::future::Future;
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::config::{Config, ConfigError, Settings};
use crate::context::{self, Context, FutureExt, InContext};
use crate::passing;
use crate::process::{self, PerProcess, Process};
use crate::report;
use crate::span::open;
use crate::stats::{DropReason, EventKind, Front, Ledger, Stats};
use crate::sync::atomic::AtomicBool;
use crate::worker::Worker;
pub use free::{annotate, enable, export_span, flush, flush_async, is_enabled, shutdown, stats};
pub use guard::Guard;
pub(crate) use owner::Owner;
pub use submit::{submit_evaluation, submit_feedback};

/// A client: settings, a queue and the worker that empties it. Cheap to clone.
///
/// Most programs need none by name: [`Config::enable`] makes the global client, and the
/// attributes and free functions use it. A client of its own, from [`Config::build`],
/// serves a test or a tenant: within [`scope`](Self::scope) it takes the global one's place,
/// and before the program ends it wants a [`shutdown`](Self::shutdown), or what waits is lost.
pub struct LlmObs {
    inner: Arc<ClientInner>,
}

pub(crate) struct ClientInner {
    pub(crate) settings: Settings,
    pub(crate) front: Front,
    open: AtomicBool,
    /// Where its worker is: a forked child has none.
    process: Process,
    /// Made by `enable`: what still refers to it after its end means the global client.
    global: bool,
    /// One for each destination, once the worker knows them.
    ledgers: Mutex<Vec<Arc<Ledger>>>,
    /// How many handles there are: spans and the worker hold the client as well.
    handles: AtomicUsize,
    worker: Worker,
}

/// A span, and with it each future and stream that has one, may pass an unwind: what is
/// shared is locked, and processors and transports of users run behind guards of ours.
impl RefUnwindSafe for ClientInner {}

/// How many clients are open: with none, nothing is captured or even looked at.
static OPEN_CLIENTS: AtomicUsize = AtomicUsize::new(0);
/// Changes whenever the global client does, so that a thread may keep what it saw.
static GENERATION: AtomicU64 = AtomicU64::new(1);
static GLOBAL: PerProcess<Mutex<Option<Arc<ClientInner>>>> = PerProcess::new();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether any client is open. Without the feature `enabled` this is a constant.
#[inline]
pub(crate) fn any_enabled() -> bool {
    cfg!(feature = "enabled") && OPEN_CLIENTS.load(Ordering::Relaxed) != 0
}

/// For a forked child, where only atomics may be touched: what was open is the parent's.
pub(crate) fn none_is_open() {
    OPEN_CLIENTS.store(0, Ordering::Relaxed);
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Acquire)
}

/// The global client and the generation that it belongs to.
pub(crate) fn global() -> (u64, Option<Arc<ClientInner>>) {
    let global = lock(GLOBAL.get());
    (generation(), global.clone())
}

impl Config {
    /// Makes the global client. The guard flushes and shuts down when it is dropped, within 5 s:
    /// keep it until the end of `main`.
    ///
    /// The worker looks for the destination while events wait: here no network is asked. The first
    /// time a clock is chosen, for which Linux is asked for its own (a file in `/sys`) and ticks are
    /// counted for 50 µs.
    ///
    /// With `DD_LLMOBS_ENABLED=0`, `.enabled(false)`, or without the feature `enabled`
    /// (`default-features = false` everywhere in the program) this checks the configuration
    /// all the same and is `Ok`, with an idle guard: no thread is started, nothing is
    /// captured or sent. The same where a client is enabled already, with one warning.
    ///
    /// In a child made by `fork` without `exec` (Unix) llmobs is off until it is enabled there:
    /// what the parent's clients, guards and spans are asked for in the child is done by
    /// nobody, succeeds at once and is not counted, and what waits in the parent is the parent's
    /// to send. Servers that fork their workers enable it in each of them. A trace goes on in the
    /// child (as in ddtrace), with ids of its own. A fork by one thread in the very moment in which
    /// another enables llmobs for the first time in the process may leave statics of tokio half made
    /// in the child, which then waits for them when it enables llmobs.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the variable or the setter that is wrong, its value, and what
    /// is allowed.
    pub fn enable(self) -> Result<Guard, ConfigError> {
        let settings = self.settings()?;
        if !settings.enabled || cfg!(not(feature = "enabled")) {
            report::info(|| {
                if cfg!(feature = "enabled") {
                    "llmobs is disabled: nothing is captured or sent".to_owned()
                } else {
                    "llmobs is built without its feature `enabled`: nothing is captured or sent"
                        .to_owned()
                }
            });
            return Ok(Guard::new(None));
        }
        let client = ClientInner::start_global(settings)?;
        match &client {
            Some(client) => client.started(),
            None => report::once(report::Kind::EnabledTwice, || {
                "llmobs is enabled already: this call changed nothing".to_owned()
            }),
        }
        Ok(Guard::new(client.map(LlmObs::of)))
    }

    /// Makes a client that is not the global one, for use with [`LlmObs::scope`]: one of
    /// several tenants in a process, say, each with its own key, site and application.
    /// Each has a worker (a thread) and a queue of its own, with its own limits
    /// ([`max_bytes`](Config::max_bytes)), so that no one waits for another's destination.
    ///
    /// It shuts down with [`LlmObs::shutdown`]; where its last handle is dropped without that, the
    /// worker sends what waits, for 5 s at most, and nobody waits for it.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn build(self) -> Result<LlmObs, ConfigError> {
        let mut settings = self.settings()?;
        settings.scoped = true;
        let inner = if settings.enabled && cfg!(feature = "enabled") {
            let client = ClientInner::start(settings, false)?;
            client.started();
            client
        } else {
            ClientInner::idle(settings)
        };
        Ok(LlmObs::of(inner))
    }
}

impl ClientInner {
    /// The global client, or `None` where there is one. Says nothing: a subscriber may ask
    /// for the global client, whose lock is held here.
    fn start_global(settings: Settings) -> Result<Option<Arc<Self>>, ConfigError> {
        let mut global = lock(GLOBAL.get());
        if global.as_ref().is_some_and(|client| client.is_open()) {
            return Ok(None);
        }
        let client = Self::start(settings, true)?;
        let previous = global.replace(Arc::clone(&client));
        GENERATION.fetch_add(1, Ordering::AcqRel);
        drop(global);
        drop(previous);
        Ok(Some(client))
    }

    /// Says what of the configuration is not used, and does what is left to do without a lock.
    fn started(self: &Arc<Self>) {
        for warning in &self.settings.warnings {
            report::warn(|| warning.to_string());
        }
        let Some(timeout) = self.settings.shutdown_on_signals else {
            return;
        };
        #[cfg(all(unix, feature = "enabled"))]
        signals::shut_down_on_signals(self, timeout);
        #[cfg(not(all(unix, feature = "enabled")))]
        report::warn(|| format!("`shutdown_on_signals({timeout:?})` is for Unix: not handled"));
    }

    fn start(settings: Settings, global: bool) -> Result<Arc<Self>, ConfigError> {
        process::watch_forks();
        passing::hook();
        if Process::current() != Process::FIRST {
            context::begin_anew();
        }
        clock::choose();
        let (worker, start) = Worker::new(&settings);
        let client = Arc::new(Self {
            settings,
            front: Front::default(),
            open: AtomicBool::new(false),
            process: Process::current(),
            global,
            ledgers: Mutex::default(),
            handles: AtomicUsize::new(0),
            worker,
        });
        start.spawn(&client).map_err(|error| ConfigError::Worker {
            reason: error.to_string(),
        })?;
        // One that could not be started was never counted, and is not when it goes.
        OPEN_CLIENTS.fetch_add(1, Ordering::Relaxed);
        client.open.store(true, Ordering::Release);
        Ok(client)
    }

    /// A client that takes nothing.
    pub(crate) fn idle(settings: Settings) -> Arc<Self> {
        let (worker, _) = Worker::new(&settings);
        Arc::new(Self {
            settings,
            front: Front::default(),
            open: AtomicBool::new(false),
            process: Process::current(),
            global: false,
            ledgers: Mutex::default(),
            handles: AtomicUsize::new(0),
            worker,
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) && !self.is_of_parent()
    }

    /// Whether this is a copy, in a forked child, of a client of its parent. Of such a one
    /// nothing is touched that threads share: not its locks, not its queue.
    #[inline]
    pub(crate) fn is_of_parent(&self) -> bool {
        !self.process.is_current()
    }

    pub(crate) fn is_global(&self) -> bool {
        self.global
    }

    pub(crate) fn set_ledgers(&self, ledgers: Vec<Arc<Ledger>>) {
        *lock(&self.ledgers) = ledgers;
    }

    pub(crate) fn stats(&self) -> Stats {
        if self.is_of_parent() {
            return Stats::default();
        }
        let ledgers = lock(&self.ledgers);
        let ledgers: Vec<&Ledger> = ledgers.iter().map(|ledger| &**ledger).collect();
        // Before what was made is looked at: a span that ends meanwhile is in both, and not in none.
        let open = open::count(self);
        Stats {
            open,
            ..self.front.stats(&ledgers, || self.worker.spans_made())
        }
    }

    /// Counts a finished span for which there was no room.
    pub(crate) fn refused(&self, reason: DropReason) {
        self.front.made(EventKind::Span);
        self.dropped(EventKind::Span, reason);
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Whether it has been given nothing.
    pub(crate) fn made_nothing(&self) -> bool {
        self.front.made_nothing() && self.worker.spans_made() == 0
    }

    pub(crate) fn dropped(&self, kind: EventKind, reason: DropReason) {
        self.front.dropped(kind, reason);
        if matches!(reason, DropReason::QueueFull | DropReason::MemoryFull) {
            report::once(report::Kind::QueueFull, || {
                format!(
                    "{reason}: the newest events are dropped and counted; the limits are {} \
                     events and {} bytes",
                    self.settings.max_events, self.settings.max_bytes
                )
            });
        }
    }

    /// Takes nothing more from now on. `false` where that was so before.
    fn close(&self) -> bool {
        let was_open = self.open.swap(false, Ordering::AcqRel) && !self.is_of_parent();
        if was_open {
            OPEN_CLIENTS.fetch_sub(1, Ordering::Relaxed);
        }
        was_open
    }

    fn flush(&self, timeout: Duration) -> Result<FlushReport, FlushError> {
        self.flushed(self.is_of_parent() || self.worker.flush(timeout))
    }

    fn flushed(&self, done: bool) -> Result<FlushReport, FlushError> {
        // Before the counts are read, which are final then.
        let has_died = self.worker.has_died();
        let stats = self.stats();
        if done {
            return Ok(FlushReport { stats });
        }
        if has_died && stats.lost() + stats.waiting() > 0 {
            return Err(FlushError::undelivered(stats));
        }
        let waiting = stats.waiting() + stats.spooled();
        if waiting == 0 {
            // The last of it was settled when the time was over.
            return Ok(FlushReport { stats });
        }
        Err(FlushError::Timeout {
            waiting,
            destinations: stats.names(|one| one.waiting() + one.spooled() > 0),
            report: Box::new(FlushReport { stats }),
        })
    }

    fn shutdown(&self, timeout: Duration) -> Result<FlushReport, FlushError> {
        if self.is_of_parent() {
            return Ok(FlushReport::default());
        }
        let first = self.close();
        let done = self.worker.shutdown(timeout);
        // One look at them for the lines and for the answer.
        let open = open::names(self);
        let mut stats = self.stats();
        stats.open = open.len() as u64;
        if first {
            self.tell_dropped(&stats);
            self.tell_open(&open);
        }
        if done {
            return Ok(FlushReport { stats });
        }
        let waiting = stats.waiting();
        if waiting > 0 && !first {
            // The first one may have more time.
            return self.flushed(false);
        }
        if stats.given_up() + waiting == 0 {
            // The rest is on disk, for the next process; what was refused is in the counts.
            return Ok(FlushReport { stats });
        }
        Err(FlushError::undelivered(stats))
    }
}

impl Drop for ClientInner {
    fn drop(&mut self) {
        self.close();
        if self.is_of_parent() {
            // A channel's end takes locks to go, and wakes who waits at the other one.
            let (idle, _) = Worker::new(&self.settings);
            Box::leak(Box::new(std::mem::replace(&mut self.worker, idle)));
        }
    }
}

impl LlmObs {
    /// Runs `f` with this client in place of the global one, or of that of a scope around
    /// this one. No span is current at its start, and no annotation context
    /// is in force: a trace belongs to one client. What was
    /// current before is so again afterwards.
    ///
    /// What is made in the scope of a client that has shut down, or was never enabled, goes
    /// nowhere: not to the global client either. A span keeps its client: where it is made
    /// current, in whatever scope, what starts below it, is annotated, or evaluated by
    /// `&span`, goes where it goes.
    ///
    /// ```
    /// # use llmobs_runtime as llmobs;
    /// use llmobs::{Config, LlmObs, Span};
    ///
    /// # let memory = || llmobs::Destination::Memory(llmobs::Memory::new());
    /// # let config = |app: &str| Config::new().ml_app(app).destination(memory());
    /// // A client for each tenant, made once, with `.api_key(…)` and `.site(…)` of its own.
    /// let (acme, globex) = (config("acme").build()?, config("globex").build()?);
    /// let serve = |tenant: &LlmObs| tenant.scope(|| drop(Span::workflow("answer").start()));
    /// serve(&acme);
    /// serve(&globex);
    /// # Ok::<(), llmobs::ConfigError>(())
    /// ```
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        Context::of_client(Arc::clone(&self.inner)).in_scope(f)
    }

    /// The same for a future, at each of its polls. Tasks that it spawns take the client
    /// along where they are wrapped:
    /// [`in_current_context`](crate::FutureExt::in_current_context).
    pub fn scope_future<F: Future>(&self, future: F) -> InContext<F> {
        future.in_context(Context::of_client(Arc::clone(&self.inner)))
    }

    /// Sends what waits and returns when the servers have answered.
    ///
    /// # Errors
    ///
    /// [`FlushError::Timeout`] after `timeout`; what waits is still being tried.
    /// [`FlushError::Undelivered`] where nobody can try it any more: the worker has died.
    pub fn flush(&self, timeout: Duration) -> Result<FlushReport, FlushError> {
        self.inner.flush(timeout)
    }

    /// As [`flush`](Self::flush), without blocking the thread, on any executor. To drop the future costs nothing, and
    /// takes nothing back.
    ///
    /// A function that is frozen between its requests (AWS Lambda, Cloud Run) does this before it
    /// answers, for as long as the request's deadline allows: `examples/serverless.rs`.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub async fn flush_async(&self, timeout: Duration) -> Result<FlushReport, FlushError> {
        let inner = &self.inner;
        let done = inner.is_of_parent() || inner.worker.flush_async(timeout).await;
        inner.flushed(done)
    }

    /// Takes nothing more, sends what waits, and ends the worker. What waits for its next try is
    /// tried at once, and soon again after that, unless the server has asked for a pause. What is
    /// not delivered after `timeout` is dropped and counted. It is over sooner where everything is
    /// delivered, or where no further try would come before that; and later where a processor holds
    /// the worker up. A further call waits for the end of the first one, and no longer than its own
    /// `timeout`.
    ///
    /// With the spool ([`Config::spool`](crate::Config::spool)) nothing is dropped for want of time:
    /// what waits is written to disk, after `timeout` as well, for as long as that takes. The shutdown
    /// gives up only where no event was written for 2 s, since a processor or the disk hangs.
    ///
    /// Spans that are open are not waited for: a line of the log has their number and names, and
    /// [`Stats::open`](crate::Stats::open) counts them. The [`Guard`] waits shortly.
    ///
    /// # Errors
    ///
    /// [`FlushError::Undelivered`] where the time was over and something was dropped for that, or
    /// still waits for the worker; [`FlushError::Timeout`] where the first call is still at work. What a server has refused, and
    /// what there was no room for, is in the [counts](FlushReport::stats) alone. A call after the end gives the same answer.
    pub fn shutdown(&self, timeout: Duration) -> Result<FlushReport, FlushError> {
        self.inner.shutdown(timeout)
    }

    /// What became of everything that was made.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }
}

impl fmt::Debug for LlmObs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmObs")
            .field("ml_app", &self.inner.settings.ml_app)
            .field("open", &self.inner.is_open())
            .finish_non_exhaustive()
    }
}

/// What a flush came to: everything since the client was enabled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushReport {
    /// The counts at the end of the flush.
    pub stats: Stats,
}

/// Why a flush or a shutdown did not come to its end.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The time of a flush was over first; what waits is still being tried.
    #[error("the time to flush was over with {waiting} events still waiting for {destinations}")]
    Timeout {
        /// What was still waiting, at all destinations, in memory or in the spool.
        waiting: u64,
        /// Which destinations these are, with commas between.
        destinations: String,
        /// The counts at that moment.
        report: Box<FlushReport>,
    },
    /// The time of a shutdown was over first, or the worker has died, of a panic that is a defect of
    /// llmobs; what was waiting is lost, and counted.
    #[error("{dropped} events were not delivered to {destinations} and are lost")]
    Undelivered {
        /// What was dropped since the client was enabled, for whatever reason but that a
        /// processor wanted it so.
        dropped: u64,
        /// Which destinations these are, with commas between.
        destinations: String,
        /// The counts at the end.
        report: Box<FlushReport>,
    },
}

impl FlushError {
    fn undelivered(stats: Stats) -> Self {
        Self::Undelivered {
            dropped: stats.lost() + stats.waiting(),
            destinations: stats.names(|one| one.lost() + one.waiting() > 0),
            report: Box::new(FlushReport { stats }),
        }
    }
}

/// As `Display`: a `main` that returns the error shows its `Debug`.
impl fmt::Debug for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
