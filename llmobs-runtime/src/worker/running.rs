//! The worker at work: it takes what was made, encodes it, and hands it to the lanes.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedReceiver;

use super::batch::{Event, Gathering};
use super::control::{Answer, Control, Flush};
use super::encode::{self, Encoder};
use super::lane::{Lanes, Mark};
use super::queue::{Next, Payload as _, Receiver, Submitted};
use super::{Closing, Died, ORPHAN_TIMEOUT, Start};
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
/// How often what is too old, and what is delivered, goes from the spool.
const TIDY: Duration = Duration::from_secs(30);
/// How many events are encoded before requests in flight get their turn.
const AT_ONCE: usize = 512;
/// How long that may take: processors take their time, and requests must not time out meanwhile.
const TURN: Duration = Duration::from_millis(5);

/// The destinations, and what was asked while they were looked for. A flush whose time is
/// over in the meantime is answered; a shutdown looks for half of the time that it has, and needs the
/// other half to deliver.
async fn choose(
    settings: &Settings,
    closing: &Closing,
    control: &mut UnboundedReceiver<Control>,
) -> (Vec<export::Exporter>, Vec<Control>) {
    let mut choosing = pin!(export::choose(settings));
    let mut early = Vec::new();
    let mut last_look = None;
    loop {
        if let Ok(exporters) = tokio::time::timeout(TICK, choosing.as_mut()).await {
            return (exporters, early);
        }
        while let Ok(message) = control.try_recv() {
            early.push(message);
        }
        // Of those that nobody waits for any more one is enough to send what is there.
        let mut has_void = false;
        early.retain(|message| !message.is_void() || !std::mem::replace(&mut has_void, true));
        let now = Instant::now();
        if let Some(deadline) = closing.deadline.get() {
            let half = deadline.saturating_duration_since(now) / 2;
            if *last_look.get_or_insert(now + half) <= now {
                return (vec![export::without_agent(settings)], early);
            }
        }
        let over = |message: &mut Control| matches!(message, Control::Flush(flush) if flush.deadline <= now);
        for message in early.extract_if(.., over) {
            if let Control::Flush(flush) = message {
                flush.answer.tell(false);
            }
        }
    }
}

/// The worker at work.
pub(super) struct Running {
    receiver: Receiver,
    settings: Settings,
    /// Where the application has processors.
    processing: Option<Processing>,
    gatherings: [Gathering<Arc<Event>>; 3],
    /// The event that is out of the queue, and in no batch yet.
    at_hand: Option<EventKind>,
    lanes: Lanes,
    anchor: Anchor,
    encoder: Encoder,
    flushes: Vec<(Flush, Mark)>,
    closing: Closing,
    /// When the queue is looked at next, whatever happens until then.
    next_look: Instant,
    next_tidying: Instant,
}

impl Running {
    pub(super) async fn start(start: Start, client: &Weak<ClientInner>) {
        // Bindings go from the last to the first: that it died is known before callers find that nobody
        // listens any more.
        let (mut control, _died, mut running, early) = Self::open(start, client).await;
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

    /// Finds the destinations. Returns, beside the worker, where questions come from and those that came
    /// meanwhile.
    async fn open(
        start: Start,
        client: &Weak<ClientInner>,
    ) -> (UnboundedReceiver<Control>, Died, Self, Vec<Control>) {
        let Start {
            receiver,
            mut control,
            progress,
            settings,
            closing,
            died,
        } = start;
        let (exporters, early) = choose(&settings, &closing, &mut control).await;
        let lanes = Lanes::open(exporters, &settings, &progress);
        if let Some(client) = client.upgrade() {
            client.set_ledgers(lanes.ledgers());
        }
        let gather = |kind| Gathering::new(kind, export::frame(kind), settings.payload_size_bytes);
        let running = Self {
            receiver,
            gatherings: EventKind::ALL.map(gather),
            at_hand: None,
            lanes,
            anchor: Anchor::now(),
            encoder: Encoder::default(),
            flushes: Vec::new(),
            processing: Processing::new(&settings),
            settings,
            closing,
            next_look: Instant::now() + TICK,
            next_tidying: Instant::now() + TIDY,
        };
        (control, died, running, early)
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
                // The events that were asked for are on their way, though nobody may wait any more.
                if !flush.answer.is_void() {
                    self.flushes.push((flush, mark));
                }
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
            if self.next_tidying <= Instant::now() {
                self.next_tidying = Instant::now() + TIDY;
                self.lanes.tidy();
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
        let fetched = Instant::now();
        let mut turn = fetched;
        self.receiver.fetch();
        // An event on disk is not lost: there it still gets when a shutdown has no time, however long
        // that takes. A caller waits for it as long as it comes on.
        let writes_out = self.lanes.keep_on_disk();
        self.closing.writes_out.store(writes_out, Ordering::Release);
        for taken in 1.. {
            let over = |deadline: &Instant| !writes_out && *deadline <= Instant::now();
            if self.closing.deadline.get().is_some_and(over) {
                return false;
            }
            self.closing.step();
            match self.receiver.next() {
                Some(Next::Span(span, weight)) => {
                    if let Some(span) = span.span() {
                        self.at_hand = Some(EventKind::Span);
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
        for gathering in &mut self.gatherings {
            gathering.waited_since(fetched);
        }
        true
    }

    fn take_submitted(&mut self, submitted: Submitted, weight: usize) {
        self.at_hand = Some(submitted.kind());
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
                let sealed = self.gatherings[kind as usize].add(event);
                self.at_hand = None;
                if let Some(sealed) = sealed {
                    self.submit(kind, &sealed);
                }
            }
            Err(reason) => {
                self.receiver.budget.release(1, weight);
                self.at_hand = None;
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
        let batch = self.lanes.batch(kind, events);
        if kind != EventKind::Span
            && let Some(spans) = self.gatherings[EventKind::Span as usize].seal()
        {
            self.lanes.submit(EventKind::Span, &spans);
        }
        batch.submit();
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
        let over = |(flush, mark): &mut (Flush, Mark)| {
            flush.answer.is_void() || flush.deadline <= now || self.lanes.reached(mark)
        };
        for (flush, mark) in self.flushes.extract_if(.., over) {
            flush.answer.tell(self.lanes.reached(&mark));
        }
    }

    /// Sends the rest, then ends. What is not settled at the deadline, or cannot be until then,
    /// goes with its lane, counted; the answer comes after that, so that the counts are final. Who asks in the
    /// meantime waits as well.
    async fn finish(&mut self, shutdown: Flush, control: &mut UnboundedReceiver<Control>) {
        let mark = self.seal_everything().await;
        self.next_look = shutdown.deadline;
        self.lanes.hurry();
        while !self.lanes.reached(&mark) {
            let left = shutdown.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.lanes.stand_still(&mark, shutdown.deadline) {
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
        self.answer_flushes();
        let done = self.lanes.reached(&mark);
        self.closing.left_events.store(!done, Ordering::Release);
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

/// However the worker ends, what was taken out of the queue and not handed to a lane is counted.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(kind) = self.at_hand {
            self.lanes.dropped(kind, DropReason::Shutdown);
        }
        for gathering in &mut self.gatherings {
            let kind = gathering.kind();
            for _ in gathering.seal().into_iter().flatten() {
                self.lanes.dropped(kind, DropReason::Shutdown);
            }
        }
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

#[cfg(test)]
mod tests;
