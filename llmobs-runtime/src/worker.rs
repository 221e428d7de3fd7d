//! The worker: one thread with a runtime of its own, which does everything that the
//! caller's thread does not: encoding, batching, delivery.
//!
//! It looks at the queue every 100 ms, or when half of a limit is reached or a flush
//! asks for it; a caller never waits for it and rarely wakes it.

pub(crate) mod batch;
mod buffer;
mod encode;
mod lane;
mod line;
#[cfg(all(test, llmobs_loom))]
mod loom_tests;
pub(crate) mod queue;
pub(crate) mod retry;
mod spool;

use std::pin::pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::{
    UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel,
};

use batch::{Event, Gathering};
use encode::Encoder;
use lane::{Lanes, Mark};
use queue::{Budget, Next, Receiver, Sender};
pub(crate) use queue::{Buffer, Finished, Refused, Submitted};

use crate::client::ClientInner;
use crate::clock::Anchor;
use crate::config::Settings;
use crate::event::SpanEvent;
use crate::export;
use crate::processor::{Processed, Processing};
use crate::report;
use crate::span::SpanInner;
use crate::stats::{DropReason, EventKind};

/// How often the queue is looked at.
const TICK: Duration = Duration::from_millis(100);
/// With a spool, what was finished is on disk within this and a look at the queue or two.
const SPOOL_INTERVAL: Duration = Duration::from_millis(300);
/// How often what is too old is looked for in the spool.
const EXPIRE: Duration = Duration::from_secs(30);
/// How many events are encoded before requests in flight get their turn.
const AT_ONCE: usize = 512;
/// How long that may take: processors take their time, and requests must not time out meanwhile.
const TURN: Duration = Duration::from_millis(5);
/// No wait is longer: adding `Duration::MAX` to an `Instant` panics.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The worker answers at a deadline; it may be busy just then.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long the rest may take when the last handle went without a shutdown.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(5);

/// What a caller asks of the worker.
pub(crate) enum Control {
    /// Look at the queue now.
    Wake,
    /// A lane has settled a batch.
    Progress,
    Flush(Flush),
    Shutdown(Flush),
}

impl Control {
    /// The flush that is asked for, if one is, over at `mark`.
    fn asked(self, mark: &Mark) -> Option<(Flush, Mark)> {
        match self {
            Self::Flush(flush) | Self::Shutdown(flush) => Some((flush, mark.clone())),
            Self::Wake | Self::Progress => None,
        }
    }
}

pub(crate) struct Flush {
    deadline: Instant,
    answer: Answer,
}

/// Where the end of a flush is told: `true` where everything was settled in time.
enum Answer {
    Blocking(std::sync::mpsc::SyncSender<bool>),
    Async(tokio::sync::oneshot::Sender<bool>),
}

impl Answer {
    fn tell(self, done: bool) {
        // A caller that has gone needs no answer.
        match self {
            Self::Blocking(sender) => drop(sender.try_send(done)),
            Self::Async(sender) => drop(sender.send(done)),
        }
    }
}

/// The callers' side of the worker.
pub(crate) struct Worker {
    queue: Sender,
    control: UnboundedSender<Control>,
    closing: Closing,
    /// Whether the application has processors, which may hold the worker up.
    processes: bool,
}

/// When the shutdown has to be over, once there is one: the worker may be in the middle of a
/// queue that slow processors take their time with.
type Closing = Arc<OnceLock<Instant>>;

/// A worker that has not been started.
pub(crate) struct Start {
    receiver: Receiver,
    control: UnboundedReceiver<Control>,
    /// For the lanes. Weak, so that the worker ends when its client is dropped.
    progress: WeakUnboundedSender<Control>,
    settings: Settings,
    closing: Closing,
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
        let start = Start {
            receiver: events,
            control: receiver,
            progress: control.downgrade(),
            settings: settings.clone(),
            closing: Arc::clone(&closing),
        };
        let worker = Self {
            queue,
            control,
            closing,
            processes: !settings.processors.is_empty(),
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

    pub(crate) async fn flush_async(&self, timeout: Duration) -> bool {
        let (sender, answer) = tokio::sync::oneshot::channel();
        let timeout = timeout.min(LONGEST_WAIT);
        let deadline = Instant::now() + timeout;
        let (asked, waits) = if self.processes {
            // The worker tells when the time is over, unless a processor holds it up.
            let (told, worker_tells) = std::sync::mpsc::sync_channel(1);
            let waits = move || {
                let done = worker_tells.recv_timeout(timeout + PATIENCE);
                // A caller that has gone needs no answer.
                let _ = sender.send(done.unwrap_or(false));
            };
            (Answer::Blocking(told), Some(waits))
        } else {
            (Answer::Async(sender), None)
        };
        let flush = Flush {
            deadline,
            answer: asked,
        };
        if self.control.send(Control::Flush(flush)).is_err() {
            return true;
        }
        if report::in_background() {
            return false;
        }
        if let Some(waits) = waits {
            let thread = std::thread::Builder::new().name("llmobs-flush".to_owned());
            // Without a thread `waits` is dropped, which answers.
            drop(thread.spawn(waits));
        }
        answer.await.unwrap_or(false)
    }

    /// The same as a flush, after which the worker is gone.
    pub(crate) fn shutdown(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout.min(LONGEST_WAIT);
        self.closing.get_or_init(|| deadline);
        self.wait(timeout, Control::Shutdown)
    }

    fn wait(&self, timeout: Duration, control: impl FnOnce(Flush) -> Control) -> bool {
        let timeout = timeout.min(LONGEST_WAIT);
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let flush = Flush {
            deadline: Instant::now() + timeout,
            answer: Answer::Blocking(sender),
        };
        if self.control.send(control(flush)).is_err() {
            // A worker that is gone has settled everything.
            return true;
        }
        if report::in_background() {
            // A subscriber asks for it on the very thread that would have to do it.
            return false;
        }
        answer.recv_timeout(timeout + PATIENCE).unwrap_or(false)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.closing.get_or_init(|| Instant::now() + ORPHAN_TIMEOUT);
    }
}

impl Start {
    /// Starts the thread. It knows the client only as long as somebody else does.
    pub(crate) fn spawn(self, client: &Arc<ClientInner>) -> std::io::Result<()> {
        let client = Arc::downgrade(client);
        // On the caller's thread: a program that forks from there finds no static of tokio half
        // made in the child, which would wait for it for ever.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let runtime = Background(Some(runtime));
        std::thread::Builder::new()
            .name("llmobs-worker".to_owned())
            .spawn(move || self.run(&client, &runtime))
            .map(drop)
    }

    fn run(self, client: &Weak<ClientInner>, runtime: &Background) {
        let _silence = report::silence();
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

/// The destinations, and what was asked while they were looked for. A flush whose time is
/// over in the meantime is answered.
async fn choose(
    settings: &Settings,
    control: &mut UnboundedReceiver<Control>,
) -> (Vec<export::Exporter>, Vec<Control>) {
    let mut choosing = pin!(export::choose(settings));
    let mut early = Vec::new();
    loop {
        if let Ok(exporters) = tokio::time::timeout(TICK, choosing.as_mut()).await {
            return (exporters, early);
        }
        while let Ok(message) = control.try_recv() {
            early.push(message);
        }
        let now = Instant::now();
        let over = |message: &mut Control| matches!(message, Control::Flush(flush) if flush.deadline <= now);
        for message in early.extract_if(.., over) {
            if let Control::Flush(flush) = message {
                flush.answer.tell(false);
            }
        }
    }
}

/// The worker at work.
struct Running {
    receiver: Receiver,
    settings: Settings,
    /// Where the application has processors.
    processing: Option<Processing>,
    gatherings: [Gathering<Arc<Event>>; 3],
    lanes: Lanes,
    anchor: Anchor,
    encoder: Encoder,
    flushes: Vec<(Flush, Mark)>,
    closing: Closing,
    /// When the queue is looked at next, whatever happens until then.
    next_look: Instant,
    next_expiry: Instant,
}

impl Running {
    async fn start(start: Start, client: &Weak<ClientInner>) {
        let Start {
            receiver,
            mut control,
            progress,
            settings,
            closing,
        } = start;
        let (exporters, early) = choose(&settings, &mut control).await;
        let lanes = Lanes::open(exporters, &settings, &progress);
        if let Some(client) = client.upgrade() {
            client.set_ledgers(lanes.ledgers());
        }
        let gather = |kind| Gathering::new(kind, export::frame(kind), settings.payload_size_bytes);
        let mut running = Self {
            receiver,
            gatherings: EventKind::ALL.map(gather),
            lanes,
            anchor: Anchor::now(),
            encoder: Encoder::default(),
            flushes: Vec::new(),
            processing: Processing::new(&settings),
            settings,
            closing,
            next_look: Instant::now() + TICK,
            next_expiry: Instant::now() + EXPIRE,
        };
        let mut early = early.into_iter();
        while let Some(message) = early.next() {
            if let Some(shutdown) = running.obey(message).await {
                let mark = running.seal_everything().await;
                let later = early.filter_map(|message| message.asked(&mark));
                running.flushes.extend(later);
                return running.finish(shutdown, &mut control).await;
            }
        }
        running.serve(&mut control).await;
    }

    /// Does what is asked; gives back a shutdown.
    async fn obey(&mut self, message: Control) -> Option<Flush> {
        match message {
            Control::Wake => {
                self.drain().await;
            }
            Control::Progress => {}
            Control::Flush(flush) => {
                let mark = self.seal_everything().await;
                self.flushes.push((flush, mark));
            }
            Control::Shutdown(flush) => return Some(flush),
        }
        None
    }

    async fn serve(&mut self, control: &mut UnboundedReceiver<Control>) {
        loop {
            let timeout = self.until_next_deadline();
            let message = tokio::time::timeout(timeout, control.recv()).await;
            self.receiver.rearm();
            match message {
                Err(_) => {}
                Ok(Some(message)) => {
                    if let Some(shutdown) = self.obey(message).await {
                        return self.finish(shutdown, control).await;
                    }
                }
                Ok(None) => {
                    let (sender, _) = std::sync::mpsc::sync_channel(1);
                    let flush = Flush {
                        deadline: Instant::now() + ORPHAN_TIMEOUT,
                        answer: Answer::Blocking(sender),
                    };
                    return self.finish(flush, control).await;
                }
            }
            // Lanes that report often do not keep the queue waiting.
            if self.next_look <= Instant::now() {
                self.drain().await;
            }
            self.seal_aged();
            self.answer_flushes();
            if self.next_expiry <= Instant::now() {
                self.next_expiry = Instant::now() + EXPIRE;
                self.lanes.expire();
            }
        }
    }

    fn until_next_deadline(&self) -> Duration {
        let now = Instant::now();
        let deadlines = self.flushes.iter().map(|(flush, _)| flush.deadline);
        deadlines
            .chain([self.next_look])
            .map(|deadline| deadline.saturating_duration_since(now))
            .fold(TICK, Duration::min)
    }

    /// Takes what is in the queue by now and encodes it. What comes in the meantime is
    /// left for the next time, or a caller that is faster than we are would keep us here; so
    /// is everything once the time of a shutdown is over. `false` in that case.
    async fn drain(&mut self) -> bool {
        self.next_look = Instant::now() + TICK;
        self.anchor.follow();
        let anchor = self.anchor.clone();
        let mut turn = Instant::now();
        self.receiver.fetch();
        for taken in 1.. {
            let over = |deadline: &Instant| *deadline <= Instant::now();
            if self.closing.get().is_some_and(over) {
                return false;
            }
            match self.receiver.next() {
                Some(Next::Span(span, weight)) => {
                    if let Some(span) = span.span() {
                        let (made_ms, json) = self.encode(span, &anchor);
                        self.take(EventKind::Span, made_ms, json, weight);
                    }
                    self.receiver.done(span);
                }
                Some(Next::Submitted(submitted, weight)) => self.take_submitted(submitted, weight),
                None => break,
            }
            if taken % AT_ONCE == 0 || turn.elapsed() >= TURN {
                self.seal_aged();
                tokio::task::yield_now().await;
                turn = Instant::now();
            }
        }
        true
    }

    fn take_submitted(&mut self, submitted: Submitted, weight: usize) {
        let (kind, made_ms, json) = match submitted {
            Submitted::Evaluation(event, _) => {
                let kind = EventKind::Evaluation;
                let json = self.fitting(kind, &event.label, encode::json(&event));
                (kind, event.timestamp_ms, json)
            }
            Submitted::Feedback(event, _) => {
                let kind = EventKind::Feedback;
                let json = self.fitting(kind, &event.label, encode::json(&event));
                (kind, event.timestamp_ms, json)
            }
        };
        self.take(kind, made_ms, json, weight);
    }

    /// Puts an event into its batch, or counts it as dropped.
    fn take(
        &mut self,
        kind: EventKind,
        made_ms: u64,
        json: Result<Bytes, DropReason>,
        weight: usize,
    ) {
        match json {
            Ok(json) => {
                let budget = Arc::clone(&self.receiver.budget);
                let event = Event::new(kind, json, made_ms, budget, weight);
                if let Some(sealed) = self.gatherings[kind as usize].add(event) {
                    self.submit(kind, &sealed);
                }
            }
            Err(reason) => {
                self.receiver.budget.release(1, weight);
                self.lanes.dropped(kind, reason);
            }
        }
    }

    /// When a span was over, in milliseconds since 1970, and its JSON.
    fn encode(&mut self, span: &SpanInner, anchor: &Anchor) -> (u64, Result<Bytes, DropReason>) {
        let largest = self.gatherings[EventKind::Span as usize].largest_event();
        let limit = self.settings.event_size_bytes.min(largest);
        let event = self.encoder.span(span, anchor);
        let made_ms = event.start_ns.saturating_add(event.duration) / 1_000_000;
        let json = match &self.processing {
            Some(processing) => self
                .encoder
                .change(|event| processed(processing, event, span)),
            None => Ok(()),
        }
        .and_then(|()| self.encoder.json(limit));
        if let Ok((json, true)) = &json
            && json.len() <= largest
        {
            span.client.front.cut();
        }
        let json = json.map(|(json, _)| json);
        let json = self.fitting(EventKind::Span, self.encoder.name(), json);
        self.encoder.clear();
        (made_ms, json)
    }

    /// Refuses what is too large for any request.
    fn fitting(
        &self,
        kind: EventKind,
        name: &str,
        json: Result<Bytes, DropReason>,
    ) -> Result<Bytes, DropReason> {
        let largest = self.gatherings[kind as usize].largest_event();
        let json = json?;
        if json.len() <= largest {
            return Ok(json);
        }
        report::too_large(kind, name, json.len(), largest);
        Err(DropReason::TooLarge)
    }

    fn seal_aged(&mut self) {
        let interval = self.settings.flush_interval;
        let age = if self.settings.spool {
            interval.min(SPOOL_INTERVAL)
        } else {
            interval
        };
        for kind in EventKind::ALL {
            if let Some(events) = self.gatherings[kind as usize].seal_aged(age) {
                self.submit(kind, &events);
            }
        }
    }

    /// Hands a batch to the lanes. What is said of spans comes after all spans that are here, which
    /// may be of those.
    fn submit(&mut self, kind: EventKind, events: &[Arc<Event>]) {
        if kind != EventKind::Span
            && let Some(spans) = self.gatherings[EventKind::Span as usize].seal()
        {
            self.lanes.submit(EventKind::Span, &spans);
        }
        self.lanes.submit(kind, events);
    }

    /// Hands everything that was enqueued until now to the lanes.
    async fn seal_everything(&mut self) -> Mark {
        let all = self.drain().await;
        for gathering in &mut self.gatherings {
            if let Some(events) = gathering.seal() {
                self.lanes.submit(gathering.kind(), &events);
            }
        }
        if all { self.lanes.mark() } else { Mark::NEVER }
    }

    fn answer_flushes(&mut self) {
        let now = Instant::now();
        let over =
            |(flush, mark): &mut (Flush, Mark)| self.lanes.reached(mark) || flush.deadline <= now;
        for (flush, mark) in self.flushes.extract_if(.., over) {
            flush.answer.tell(self.lanes.reached(&mark));
        }
    }

    /// Sends the rest, then ends. What is not settled at the deadline goes with its lane,
    /// counted; the answer comes after that, so that the counts are final. Who asks in the
    /// meantime waits as well.
    async fn finish(&mut self, shutdown: Flush, control: &mut UnboundedReceiver<Control>) {
        let mark = self.seal_everything().await;
        self.next_look = shutdown.deadline;
        while !self.lanes.reached(&mark) {
            let left = shutdown.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let left = left.min(self.until_next_deadline());
            match tokio::time::timeout(left, control.recv()).await {
                Ok(Some(message)) => self.flushes.extend(message.asked(&mark)),
                Err(_) => {}
                // Nobody can ask any more; the lanes still tell when they are done.
                Ok(None) => tokio::time::sleep(left).await,
            }
            self.answer_flushes();
        }
        let done = self.lanes.reached(&mark);
        self.lanes.close().await;
        // What came too late is counted now, not after the answer.
        self.receiver.close();
        control.close();
        while let Ok(message) = control.try_recv() {
            self.flushes.extend(message.asked(&mark));
        }
        for (flush, _) in self.flushes.drain(..) {
            flush.answer.tell(done);
        }
        shutdown.answer.tell(done);
    }
}

/// What processors leave of an event.
fn processed(
    processing: &Processing,
    event: SpanEvent,
    span: &SpanInner,
) -> Result<SpanEvent, DropReason> {
    match processing.run(event, span.kind, encode::own_tags(span)) {
        Processed::Kept(event) => Ok(event),
        Processed::Stripped(event) => {
            span.client.front.stripped();
            Ok(event)
        }
        Processed::Dropped => Err(DropReason::Processor),
    }
}
