//! What became of everything that was made: counts that can be added up.
//!
//! At every destination and for every kind, `made + recovered = delivered + waiting +
//! spooled + dropped`. `waiting` is what the other figures leave over, so an event that
//! got lost uncounted would show there and never go away.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::sync::atomic::{AtomicU64, Ordering};

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A finished span.
    Span,
    /// An evaluation of a span.
    Evaluation,
    /// Feedback of an end user.
    Feedback,
}

impl EventKind {
    pub(crate) const ALL: [Self; 3] = [Self::Span, Self::Evaluation, Self::Feedback];

    /// The name of several of them.
    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::Span => "spans",
            Self::Evaluation => "evaluations",
            Self::Feedback => "feedback",
        }
    }

    /// The name in the journal.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Evaluation => "evaluation",
            Self::Feedback => "feedback",
        }
    }
}

/// Why an event was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// As many events waited as may wait ([`Config::max_events`](crate::Config::max_events)).
    QueueFull,
    /// As many bytes waited as may wait ([`Config::max_bytes`](crate::Config::max_bytes)).
    MemoryFull,
    /// It came after the shutdown, or was still waiting when the shutdown's time was over.
    Shutdown,
    /// It is larger than any request may be
    /// ([`Config::payload_size_bytes`](crate::Config::payload_size_bytes)), even with all cut that may
    /// be: another process, whose requests were larger, has left it in the spool.
    TooLarge,
    /// The server refused it for good; a log line has its words.
    Refused,
    /// It could not be made JSON. No such value is known: what cannot be JSON is an error of the call
    /// that takes it.
    NotEncodable,
    /// It was sent twice and the server answered neither time; it may have it.
    Unanswered,
    /// There was nowhere to put it: the journal could not be written.
    Nowhere,
    /// A processor of the application wanted it so ([`Config::processor`](crate::Config::processor)).
    Processor,
    /// The spool was full, and this was the oldest in it
    /// ([`Config::spool_max_bytes`](crate::Config::spool_max_bytes)).
    SpoolFull,
    /// It waited longer than anything may, 24 hours: Datadog takes no older spans
    /// ([`Config::spool_max_age`](crate::Config::spool_max_age)).
    Expired,
    /// The spool could not be read again: the file was changed by somebody else.
    Unreadable,
}

impl DropReason {
    pub(crate) const ALL: [Self; 12] = [
        Self::QueueFull,
        Self::MemoryFull,
        Self::Shutdown,
        Self::TooLarge,
        Self::Refused,
        Self::NotEncodable,
        Self::Unanswered,
        Self::Nowhere,
        Self::Processor,
        Self::SpoolFull,
        Self::Expired,
        Self::Unreadable,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue full",
            Self::MemoryFull => "memory full",
            Self::Shutdown => "not in time for the shutdown",
            Self::TooLarge => "too large",
            Self::Refused => "refused by the server",
            Self::NotEncodable => "not encodable",
            Self::Unanswered => "unanswered",
            Self::Nowhere => "nowhere to put them",
            Self::Processor => "dropped by a processor",
            Self::SpoolFull => "past the size of the spool",
            Self::Expired => "too old",
            Self::Unreadable => "not readable in the spool any more",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The counts of a client since it was enabled. All zero while llmobs is not enabled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// One entry for each destination, in the order of the configuration. Until the
    /// worker has chosen one, there is one entry with an empty name.
    pub destinations: Vec<DestinationStats>,
    /// Calls refused with an error before an event was made of them.
    pub rejected: u64,
    /// Spans that go without their content, because a processor failed
    /// ([`Config::processor`](crate::Config::processor)). They count in the sums as every other
    /// span does.
    pub stripped: u64,
    /// Spans that were larger than an event may be
    /// ([`Config::event_size_bytes`](crate::Config::event_size_bytes)), and evaluations and
    /// feedback whose remarks were: they go with less than they had, marked where something is
    /// missing. They count in the sums as every other event does.
    pub cut: u64,
    /// Spans that have started and not ended; they are in no sum. What is open when the client
    /// has shut down is lost: a span that ends after that counts as made and as dropped
    /// ([`DropReason::Shutdown`]), one that never ends stays here. A function that is called after
    /// that starts no span, and is in no count.
    pub open: u64,
}

impl Stats {
    /// Spans, at the first destination.
    pub fn spans(&self) -> Counts {
        self.first(EventKind::Span)
    }

    /// Evaluations, at the first destination.
    pub fn evaluations(&self) -> Counts {
        self.first(EventKind::Evaluation)
    }

    /// Feedback, at the first destination.
    pub fn feedback(&self) -> Counts {
        self.first(EventKind::Feedback)
    }

    fn first(&self, kind: EventKind) -> Counts {
        let first = self.destinations.first();
        first
            .map(|destination| destination.counts(kind).clone())
            .unwrap_or_default()
    }

    /// The names of some destinations, with commas between.
    pub(crate) fn names(&self, which: impl Fn(&DestinationStats) -> bool) -> String {
        let some = self.destinations.iter().filter(|one| which(one));
        let names: Vec<&str> = some.map(|destination| &*destination.name).collect();
        names.join(", ")
    }

    /// What waits at any destination.
    pub fn waiting(&self) -> u64 {
        self.destinations
            .iter()
            .map(DestinationStats::waiting)
            .sum()
    }

    /// What waits on disk for any destination.
    pub fn spooled(&self) -> u64 {
        self.destinations
            .iter()
            .map(DestinationStats::spooled)
            .sum()
    }

    /// What was dropped at any destination and should have arrived.
    pub(crate) fn lost(&self) -> u64 {
        self.destinations.iter().map(DestinationStats::lost).sum()
    }

    /// The losses that the end of the client has brought at any destination.
    pub(crate) fn given_up(&self) -> u64 {
        let of = |one: &DestinationStats| one.dropped_for(DropReason::Shutdown);
        self.destinations.iter().map(of).sum()
    }

    /// What was dropped at any destination, for whatever reason.
    pub fn dropped(&self) -> u64 {
        self.destinations
            .iter()
            .map(DestinationStats::dropped)
            .sum()
    }
}

/// The counts of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DestinationStats {
    /// Where the events go: `agent http://localhost:8126`, `journal .llmobs/journal`.
    pub name: String,
    /// Finished spans.
    pub spans: Counts,
    /// Evaluations of spans.
    pub evaluations: Counts,
    /// Feedback of end users.
    pub feedback: Counts,
    /// Tries of requests that failed and are made again, each counted before the wait for the next:
    /// it may still be to come.
    pub retried: u64,
    /// Events that the server may have twice: an answer was lost, or a shutdown with the
    /// [spool](crate::Config::spool) cut off a request that had left as a whole.
    pub possible_duplicates: u64,
}

impl DestinationStats {
    /// The counts of one kind.
    pub fn counts(&self, kind: EventKind) -> &Counts {
        match kind {
            EventKind::Span => &self.spans,
            EventKind::Evaluation => &self.evaluations,
            EventKind::Feedback => &self.feedback,
        }
    }

    fn all(&self) -> [&Counts; 3] {
        [&self.spans, &self.evaluations, &self.feedback]
    }

    /// What waits here, of every kind.
    pub fn waiting(&self) -> u64 {
        self.all().iter().map(|counts| counts.waiting).sum()
    }

    /// What waits here on disk, of every kind.
    pub fn spooled(&self) -> u64 {
        self.all().iter().map(|counts| counts.spooled).sum()
    }

    /// What was dropped here, of every kind and for whatever reason.
    pub fn dropped(&self) -> u64 {
        self.all().map(Counts::dropped_total).iter().sum()
    }

    fn dropped_for(&self, reason: DropReason) -> u64 {
        let all = self.all().into_iter().flat_map(|counts| &counts.dropped);
        let counts = all.filter(|(other, _)| *other == reason);
        counts.map(|(_, count)| count).sum()
    }

    /// What was dropped here and should have arrived.
    pub(crate) fn lost(&self) -> u64 {
        self.dropped() - self.dropped_for(DropReason::Processor)
    }

    /// What a shutdown leaves lost here in words: `15 queue full, 2 too large`; empty for
    /// nothing.
    pub(crate) fn loss_reasons(&self) -> String {
        let reasons = DropReason::ALL.map(|reason| (self.dropped_for(reason), reason));
        let is_loss =
            |(count, reason): &&(u64, DropReason)| *count > 0 && *reason != DropReason::Processor;
        let words = reasons.iter().filter(is_loss);
        let words: Vec<String> = words.map(|(n, reason)| format!("{n} {reason}")).collect();
        words.join(", ")
    }
}

/// The fate of the events of one kind:
/// `made + recovered = delivered + waiting + spooled + dropped`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Made by this process.
    pub made: u64,
    /// Found in the spool, left there by an earlier client.
    pub recovered: u64,
    /// Acknowledged by the server, or written to the journal.
    pub delivered: u64,
    /// Still on its way, in memory. A span counts from its end.
    pub waiting: u64,
    /// In the spool and not acknowledged yet: this process is trying, and a later one will
    /// where it does not come to it ([`Config::spool`](crate::Config::spool)).
    pub spooled: u64,
    /// Given up, by reason; reasons that did not occur are left out.
    pub dropped: Vec<(DropReason, u64)>,
}

impl Counts {
    /// Given up, for whatever reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }
}

/// The counters of one kind of event at one place.
#[derive(Debug, Default)]
struct Tally {
    recovered: AtomicU64,
    delivered: AtomicU64,
    /// What is on disk now. Raised after `recovered`, lowered before `delivered` and `dropped`.
    spooled: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
}

/// The counters at the front, before events are handed to destinations.
#[derive(Debug, Default)]
pub(crate) struct Front {
    made: [AtomicU64; 3],
    dropped: [[AtomicU64; DropReason::ALL.len()]; 3],
    rejected: AtomicU64,
    stripped: AtomicU64,
    cut: AtomicU64,
}

impl Front {
    pub(crate) fn made(&self, kind: EventKind) {
        self.made[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn made_nothing(&self) -> bool {
        self.made
            .iter()
            .all(|made| made.load(Ordering::Relaxed) == 0)
    }

    pub(crate) fn dropped(&self, kind: EventKind, reason: DropReason) {
        // Who sees it sees as well that the event was made.
        self.dropped[kind as usize][reason as usize].fetch_add(1, Ordering::Release);
    }

    pub(crate) fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stripped(&self) {
        self.stripped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// `spans_made` counts those that are not counted here. It is asked after what is settled was
    /// looked at.
    pub(crate) fn stats(&self, destinations: &[&Ledger], spans_made: impl Fn() -> u64) -> Stats {
        let none = Ledger::default();
        let ledgers = if destinations.is_empty() {
            &[&none][..]
        } else {
            destinations
        };
        Stats {
            destinations: ledgers
                .iter()
                .map(|ledger| ledger.stats(self, &spans_made))
                .collect(),
            rejected: self.rejected.load(Ordering::Relaxed),
            stripped: self.stripped.load(Ordering::Relaxed),
            cut: self.cut.load(Ordering::Relaxed),
            open: 0,
        }
    }
}

/// The counters of one destination.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    name: Mutex<String>,
    kinds: [Tally; 3],
    retried: AtomicU64,
    possible_duplicates: AtomicU64,
}

impl Ledger {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name: Mutex::new(name),
            ..Self::default()
        }
    }

    /// A destination may be found only after a while.
    pub(crate) fn rename(&self, name: String) {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    pub(crate) fn delivered(&self, kind: EventKind, count: u64) {
        self.kinds[kind as usize]
            .delivered
            .fetch_add(count, Ordering::Release);
    }

    pub(crate) fn dropped(&self, kind: EventKind, reason: DropReason) {
        self.dropped_many(kind, reason, 1);
    }

    pub(crate) fn dropped_many(&self, kind: EventKind, reason: DropReason, count: u64) {
        self.kinds[kind as usize].dropped[reason as usize].fetch_add(count, Ordering::Release);
    }

    pub(crate) fn recovered(&self, kind: EventKind, count: u64) {
        let tally = &self.kinds[kind as usize];
        tally.recovered.fetch_add(count, Ordering::Release);
        tally.spooled.fetch_add(count, Ordering::Release);
    }

    pub(crate) fn spooled(&self, kind: EventKind, count: u64) {
        self.kinds[kind as usize]
            .spooled
            .fetch_add(count, Ordering::Release);
    }

    pub(crate) fn unspooled(&self, kind: EventKind, count: u64) {
        self.kinds[kind as usize]
            .spooled
            .fetch_sub(count, Ordering::Release);
    }

    pub(crate) fn retried(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn possible_duplicates(&self, count: u64) {
        self.possible_duplicates.fetch_add(count, Ordering::Relaxed);
    }

    fn stats(&self, front: &Front, spans_made: impl Fn() -> u64) -> DestinationStats {
        DestinationStats {
            name: self
                .name
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            spans: self.counts(EventKind::Span, front, spans_made),
            evaluations: self.counts(EventKind::Evaluation, front, || 0),
            feedback: self.counts(EventKind::Feedback, front, || 0),
            retried: self.retried.load(Ordering::Relaxed),
            possible_duplicates: self.possible_duplicates.load(Ordering::Relaxed),
        }
    }

    /// Reads what is settled before what was made, so that `waiting` is never below zero.
    fn counts(&self, kind: EventKind, front: &Front, made_elsewhere: impl Fn() -> u64) -> Counts {
        let tally = &self.kinds[kind as usize];
        let delivered = tally.delivered.load(Ordering::Acquire);
        let dropped: Vec<_> = DropReason::ALL
            .into_iter()
            .map(|reason| {
                let here = tally.dropped[reason as usize].load(Ordering::Acquire);
                let before = front.dropped[kind as usize][reason as usize].load(Ordering::Acquire);
                (reason, here + before)
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        let spooled = tally.spooled.load(Ordering::Acquire);
        let recovered = tally.recovered.load(Ordering::Acquire);
        let made = front.made[kind as usize].load(Ordering::Relaxed) + made_elsewhere();
        let settled = delivered + spooled + dropped.iter().map(|(_, count)| count).sum::<u64>();
        Counts {
            made,
            recovered,
            delivered,
            waiting: (made + recovered).saturating_sub(settled),
            spooled,
            dropped,
        }
    }
}
