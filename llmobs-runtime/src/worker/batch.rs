//! Encoded events, and the batches that they travel in.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::lane::Account;
use super::queue::Budget;
use super::retry::Fate;
use super::spool::{Kept, Place};
use crate::clock;
use crate::export::{Encoded, Line};
use crate::stats::{DropReason, EventKind};

/// The most events that one request carries.
pub(crate) const MOST_EVENTS: usize = 1_000;

/// One event as JSON text. It holds its share of the budget until every destination has
/// settled it.
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) json: Bytes,
    pub(crate) made_ms: u64,
    budget: Arc<Budget>,
}

/// What an event holds beside its text: itself, its counts, its place in a batch.
const OVERHEAD: usize = 128;

impl Event {
    /// How many bytes of the budget the event takes.
    fn cost(&self) -> usize {
        self.json.len() + OVERHEAD
    }

    /// Takes over the budget that `estimate` bytes were reserved in.
    pub(super) fn new(
        kind: EventKind,
        json: Bytes,
        made_ms: u64,
        budget: Arc<Budget>,
        estimate: usize,
    ) -> Arc<Self> {
        budget.correct(estimate, json.len() + OVERHEAD);
        Arc::new(Self {
            kind,
            json,
            made_ms,
            budget,
        })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.budget.release(1, self.cost());
    }
}

/// An event on its way to one destination. However its journey ends, it is counted once:
/// one that is let go unsettled counts as dropped by the shutdown.
pub(crate) struct Pending {
    pub(crate) event: Arc<Event>,
    account: Arc<Account>,
    /// It is on disk as well, and counts as spooled until it is settled.
    spooled: Option<Spooled>,
    settled: bool,
}

/// The place of an event on disk.
struct Spooled {
    segment: Arc<Kept>,
    /// The end of its line.
    end: u64,
}

impl Pending {
    /// `None` where the destination has as much waiting as it may; that is counted.
    pub(super) fn new(event: Arc<Event>, account: &Arc<Account>) -> Option<Self> {
        if let Err(reason) = account.budget.reserve(event.cost()) {
            account.ledger.dropped(event.kind, reason);
            return None;
        }
        Some(Self::reserved(event, account, None))
    }

    /// One that is on disk, and was counted as that; room is taken whether there is some or not.
    pub(super) fn spooled(
        event: Arc<Event>,
        account: &Arc<Account>,
        segment: &Arc<Kept>,
        end: u64,
    ) -> Self {
        account.budget.take(event.cost());
        let segment = Arc::clone(segment);
        Self::reserved(event, account, Some(Spooled { segment, end }))
    }

    fn reserved(event: Arc<Event>, account: &Arc<Account>, spooled: Option<Spooled>) -> Self {
        Self {
            event,
            account: Arc::clone(account),
            spooled,
            settled: false,
        }
    }

    /// The end of its line in the spool; 0 for one that has none.
    pub(super) fn end(&self) -> u64 {
        self.spooled.as_ref().map_or(0, |spooled| spooled.end)
    }

    /// Its line was written anew, with what stood around it: `from` is where that began and `to` is where it
    /// begins now.
    pub(super) fn moved(&mut self, from: u64, to: &Place) {
        self.spooled = Some(Spooled {
            segment: Arc::clone(&to.segment),
            end: (self.end() - from) + to.range.start,
        });
    }

    pub(super) fn settle(mut self, fate: &Fate) {
        match fate {
            Fate::Delivered => {
                self.settled();
                self.account.ledger.delivered(self.event.kind, 1);
            }
            Fate::Refused(_) => self.give_up(DropReason::Refused),
            Fate::Unanswered(_) => self.give_up(DropReason::Unanswered),
            // A worker tries without end, unless there is nothing to try.
            Fate::OutOfTries(_) => self.give_up(DropReason::Nowhere),
            Fate::Expired => self.give_up(DropReason::Expired),
        }
    }

    fn settled(&mut self) {
        self.settled = true;
        if self.spooled.is_some() {
            self.account.ledger.unspooled(self.event.kind, 1);
        }
    }

    /// Counts it as dropped.
    pub(super) fn give_up(mut self, reason: DropReason) {
        self.settled();
        self.account.ledger.dropped(self.event.kind, reason);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.account.budget.release(1, self.event.cost());
        if self.settled {
            return;
        }
        let ledger = &self.account.ledger;
        match &self.spooled {
            // It is for a later process.
            Some(spooled) if !spooled.segment.is_gone() => return,
            Some(_) => ledger.unspooled(self.event.kind, 1),
            None => {}
        }
        ledger.dropped(self.event.kind, DropReason::Shutdown);
    }
}

impl Encoded for Arc<Event> {
    fn line(&self) -> Line<'_> {
        Line {
            json: &self.json,
            made_ms: self.made_ms,
            public: None,
        }
    }
}

impl Encoded for Pending {
    fn line(&self) -> Line<'_> {
        self.event.line()
    }

    fn is_expired(&self) -> bool {
        // What other events tell as their time is not always when they were made.
        let age = Duration::from_millis(clock::unix_ms().saturating_sub(self.event.made_ms));
        self.event.kind == EventKind::Span && age > self.account.max_age
    }

    fn is_spooled(&self) -> bool {
        self.spooled.is_some()
    }

    fn risked(&self) -> usize {
        let spooled = self.spooled.as_ref();
        spooled.map_or(0, |spooled| spooled.segment.risked(spooled.end))
    }

    /// They stand one after the other in one segment.
    fn note_risk(events: &[Self]) {
        let mut spooled = events.iter().filter_map(|event| event.spooled.as_ref());
        if let Some(first) = spooled.next() {
            let last = spooled.next_back().unwrap_or(first);
            first.segment.note_risk(first.end, last.end);
        }
    }
}

/// Events of one kind, made one after the other.
pub(super) struct Batch {
    pub(super) kind: EventKind,
    pub(super) held: Held,
    /// Where it is on disk.
    pub(super) place: Option<Place>,
    /// When it was formed, or its segment was last written.
    pub(super) formed: SystemTime,
    /// Its place in the order of its lane, for flushes; 0 for what an earlier process left.
    pub(super) number: u64,
    /// It goes out after this many batches of spans.
    pub(super) after: u64,
}

/// Where the events of a batch are.
pub(super) enum Held {
    Memory(Vec<Pending>),
    /// On disk only, so many.
    Disk(usize),
}

/// Gathers the events of one kind until a request is full or old enough.
pub(crate) struct Gathering<E> {
    kind: EventKind,
    events: Vec<E>,
    bytes: usize,
    oldest: Option<Instant>,
    frame: Frame,
    most_bytes: usize,
}

/// How many bytes a request has beside its events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Around all of them.
    pub(crate) around: usize,
    /// For each of them, separators included.
    pub(crate) each: usize,
}

impl<E: Encoded> Gathering<E> {
    pub(crate) fn new(kind: EventKind, frame: Frame, most_bytes: usize) -> Self {
        Self {
            kind,
            events: Vec::new(),
            bytes: frame.around,
            oldest: None,
            frame,
            most_bytes,
        }
    }

    /// The largest event that fits into a request of its own.
    pub(crate) fn largest_event(&self) -> usize {
        self.most_bytes
            .saturating_sub(self.frame.around + self.frame.each)
    }

    /// Adds an event; gives back what had to go before it.
    pub(crate) fn add(&mut self, event: E) -> Option<Vec<E>> {
        let size = event.line().len() + self.frame.each;
        let full = self.events.len() >= MOST_EVENTS || self.bytes + size > self.most_bytes;
        let sealed = if full { self.seal() } else { None };
        self.oldest.get_or_insert_with(Instant::now);
        self.bytes += size;
        self.events.push(event);
        sealed
    }

    /// What is here has waited since then already, before it was encoded.
    pub(super) fn waited_since(&mut self, since: Instant) {
        self.oldest = self.oldest.map(|oldest| oldest.min(since));
    }

    /// What was gathered, if its oldest event has waited for `age`.
    pub(super) fn seal_aged(&mut self, age: Duration) -> Option<Vec<E>> {
        let old = self.oldest.is_some_and(|oldest| oldest.elapsed() >= age);
        if old { self.seal() } else { None }
    }

    pub(crate) fn seal(&mut self) -> Option<Vec<E>> {
        self.oldest = None;
        self.bytes = self.frame.around;
        let events = std::mem::take(&mut self.events);
        (!events.is_empty()).then_some(events)
    }

    pub(super) fn kind(&self) -> EventKind {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(budget: &Arc<Budget>, len: usize) -> Arc<Event> {
        Event::new(
            EventKind::Span,
            vec![b' '; len].into(),
            0,
            Arc::clone(budget),
            0,
        )
    }

    fn gathering(most_bytes: usize) -> (Gathering<Arc<Event>>, Arc<Budget>) {
        let frame = Frame { around: 2, each: 3 };
        let budget = Arc::new(Budget::new(usize::MAX, usize::MAX));
        let gathering = Gathering::new(EventKind::Span, frame, most_bytes);
        (gathering, budget)
    }

    #[test]
    fn an_event_takes_as_much_of_the_budget_as_it_gives_back() {
        let budget = Arc::new(Budget::new(10, 1_000));
        let estimate = 400;
        budget.reserve(estimate).unwrap();
        let json = vec![b' '; 100].into();
        let event = Event::new(EventKind::Span, json, 0, Arc::clone(&budget), estimate);
        let rest = 1_000 - 100 - OVERHEAD;
        budget.reserve(rest + 1).unwrap_err();
        budget.reserve(rest).unwrap();
        budget.release(1, rest);
        drop(event);
        assert_eq!(budget.events(), 0);
        budget.reserve(1_000).unwrap();
    }

    #[test]
    fn a_request_is_never_larger_than_its_limit() {
        let (mut gathering, budget) = gathering(28);
        assert!(gathering.add(event(&budget, 10)).is_none());
        assert!(
            gathering.add(event(&budget, 10)).is_none(),
            "28 bytes fit exactly"
        );
        let sealed = gathering.add(event(&budget, 1)).unwrap();
        assert_eq!(sealed.len(), 2);
        assert_eq!(gathering.seal().unwrap().len(), 1);
        assert!(gathering.seal().is_none());
        assert_eq!(gathering.largest_event(), 23);
    }

    #[test]
    fn two_events_go_together_where_their_request_has_at_most_the_limit() {
        for (most_bytes, together) in [(27, false), (28, true), (29, true)] {
            let (mut gathering, budget) = gathering(most_bytes);
            assert!(gathering.add(event(&budget, 10)).is_none());
            let sealed = gathering.add(event(&budget, 10));
            assert_eq!(sealed.is_none(), together, "{most_bytes}");
        }
    }

    #[test]
    fn what_waited_before_it_was_gathered_is_as_old_as_that() {
        let (mut gathering, budget) = gathering(28);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(9)).unwrap();
        gathering.waited_since(long_ago);
        assert!(gathering.add(event(&budget, 10)).is_none());
        assert!(gathering.seal_aged(Duration::from_secs(9)).is_none());
        gathering.waited_since(long_ago);
        gathering.waited_since(Instant::now());
        let hour = Duration::from_secs(3_600);
        assert!(gathering.seal_aged(hour).is_none());
        assert_eq!(
            gathering.seal_aged(Duration::from_secs(9)).unwrap().len(),
            1
        );
        assert!(gathering.seal_aged(Duration::ZERO).is_none());
    }

    #[test]
    fn a_request_has_at_most_a_thousand_events() {
        let (mut gathering, budget) = gathering(usize::MAX);
        for _ in 0..MOST_EVENTS {
            assert!(gathering.add(event(&budget, 1)).is_none());
        }
        assert_eq!(gathering.add(event(&budget, 1)).unwrap().len(), MOST_EVENTS);
    }
}
