//! Delivery of one batch: again after a failure that may pass, in halves to find the
//! event that a server refuses, and given up where it says no for good.

use std::sync::Arc;
use std::time::Duration;

use super::line;
use super::pause::{Pause, Why};
use crate::config::Settings;
use crate::export::{Encoded, Exporter, Line, Outcome, Sent};
use crate::report;
use crate::stats::{EventKind, Ledger};

/// The first wait is at most this long, and each further one may be twice the one before.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// How long to wait where the server does not let us in: somebody has to mend it.
const PAUSE: Duration = Duration::from_secs(30);
/// The most that a server's `Retry-After` is obeyed for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
/// After so many requests in a row that ran out of tries, the destination counts as down.
const MOST_EXHAUSTED: u32 = 2;

/// How long failures are borne.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// As long as the worker lives.
    Endless,
    /// Somebody waits for the result.
    Bounded {
        /// How often one request is tried.
        tries: u32,
        /// A server that asks for a longer pause is not waited for.
        longest_wait: Duration,
    },
}

/// What became of an event; the texts name the destination and quote it.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Delivered,
    /// The destination said no to it.
    Refused(String),
    /// It was sent and not answered: the destination may have it.
    Unanswered(String),
    /// It did not get through while patience lasted.
    OutOfTries(String),
    /// It is older than its destination takes.
    Expired,
}

/// One lane's way to its destination.
pub(crate) struct Delivery {
    exporter: Exporter,
    settings: Settings,
    ledger: Arc<Ledger>,
    /// What waits for it; where there is a lane.
    line: Option<Arc<line::Line>>,
    patience: Patience,
    /// Failures in a row, for the backoff.
    failures: u32,
    pause: Arc<Pause>,
    /// A failure that lasts is told once, and its end as well.
    told: bool,
    /// Requests in a row that ran out of tries.
    exhausted: u32,
    /// Why nothing more is sent; only where patience is bounded.
    hopeless: Option<String>,
    /// What was given up of the batch at hand.
    lost: Lost,
}

/// Events of one batch that were given up. A server that refuses each of a thousand is told
/// in two lines of the log.
#[derive(Default)]
struct Lost {
    events: usize,
    /// How many of them a line has told already.
    told: usize,
}

impl Delivery {
    pub(crate) fn new(
        exporter: Exporter,
        settings: Settings,
        ledger: Arc<Ledger>,
        patience: Patience,
    ) -> Self {
        Self {
            exporter,
            settings,
            ledger,
            line: None,
            patience,
            failures: 0,
            pause: Arc::default(),
            told: false,
            exhausted: 0,
            hopeless: None,
            lost: Lost::default(),
        }
    }

    /// The one of a lane.
    pub(super) fn of(mut self, line: Arc<line::Line>) -> Self {
        self.line = Some(line);
        self
    }

    /// Delivers the events; returns when `settle` was called with each of them. They are settled in
    /// their order, save for those that have expired.
    pub(crate) async fn deliver<E: Encoded>(
        &mut self,
        kind: EventKind,
        events: Vec<E>,
        mut settle: impl FnMut(Vec<E>, &Fate),
    ) {
        self.lost = Lost::default();
        let all = events.len();
        let mut parts = if kind == EventKind::Span {
            vec![Part::new(events)]
        } else {
            parts_by_risk(events)
        };
        while let Some(mut part) = parts.pop() {
            settle(self.expired(&mut part), &Fate::Expired);
            if part.events.is_empty() {
                continue;
            }
            if part.spent {
                let reason = "sent twice by earlier processes, and not answered";
                let reason = self.give_up(&part, reason);
                settle(part.events, &Fate::Unanswered(reason));
                continue;
            }
            match self.attempt(kind, part).await {
                Step::Settled(events, fate) => settle(events, &fate),
                Step::Again(part) => parts.push(part),
                Step::Divided(first, second) => parts.extend([second, first]),
            }
        }
        self.sum_up(all);
    }

    /// The wait between its tries.
    pub(super) fn pause(&self) -> &Arc<Pause> {
        &self.pause
    }

    /// What has become too old for its destination while it waited.
    fn expired<E: Encoded>(&self, part: &mut Part<E>) -> Vec<E> {
        if !self.exporter.is_remote() {
            return Vec::new();
        }
        part.events
            .extract_if(.., |event| event.is_expired())
            .collect()
    }

    async fn attempt<E: Encoded>(&mut self, kind: EventKind, mut part: Part<E>) -> Step<E> {
        if self.exporter.reconsider(&self.settings).await {
            self.moved();
        }
        if let Some(reason) = self.no_use() {
            return Step::Settled(part.events, Fate::OutOfTries(reason));
        }
        let outcome = {
            let lines: Vec<Line<'_>> = part.events.iter().map(E::line).collect();
            let on_its_way = OnItsWay::new(kind, &part, &self.ledger);
            let outcome = self.exporter.export(kind, &lines, &on_its_way.sent).await;
            on_its_way.ends();
            outcome
        };
        part.tries += 1;
        match outcome {
            Outcome::Delivered => {
                self.succeeded();
                Step::Settled(part.events, Fate::Delivered)
            }
            Outcome::Retry { after, reason } => self.again(kind, part, after, &reason).await,
            Outcome::Barred { after, reason } => match self.patience {
                Patience::Endless => {
                    let pause = asked(after).unwrap_or((PAUSE, Why::Barred));
                    self.wait(kind, pause, &reason).await;
                    Step::Again(part)
                }
                Patience::Bounded { .. } => self.run_out(part, &reason, true),
            },
            Outcome::Unanswered { reason } => {
                // The server may have it. A span that comes twice is one span; an
                // evaluation counts twice, so it is risked once more, be it by a later process.
                let again = std::mem::replace(&mut part.unanswered, true);
                if kind != EventKind::Span {
                    E::note_risk(&part.events);
                }
                if again && kind != EventKind::Span {
                    return self.run_out(part, &reason, false);
                }
                self.may_come_twice(&mut part);
                self.again(kind, part, None, &reason).await
            }
            Outcome::Divide { .. } if part.events.len() > 1 => {
                let half = part.events.split_off(part.events.len() / 2);
                let (unanswered, counted) = (part.unanswered, part.counted);
                let of = |events| Part {
                    unanswered,
                    counted,
                    ..Part::new(events)
                };
                Step::Divided(of(part.events), of(half))
            }
            Outcome::Divide { reason } | Outcome::Refused { reason } => {
                self.exhausted = 0;
                let reason = self.give_up(&part, &reason);
                Step::Settled(part.events, Fate::Refused(reason))
            }
            Outcome::Elsewhere => {
                self.exporter = self.exporter.substitute(&self.settings);
                self.moved();
                Step::Again(part)
            }
        }
    }

    /// Another destination has taken the place of the one before.
    fn moved(&self) {
        self.ledger.rename(self.exporter.name());
        if let Some(line) = &self.line {
            let folder = self.exporter.spool_folder(&self.settings);
            line.moves(self.exporter.is_remote(), folder);
        }
    }

    /// Counts the events once, however often they are sent.
    fn may_come_twice<E>(&self, part: &mut Part<E>) {
        if !std::mem::replace(&mut part.counted, true) {
            self.ledger.possible_duplicates(part.events.len() as u64);
        }
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.exhausted = 0;
        if std::mem::take(&mut self.told) {
            report::info(|| format!("delivery to {} works again", self.told_name()));
        }
    }

    /// Waits for the next attempt, if there is to be one.
    async fn again<E>(
        &mut self,
        kind: EventKind,
        part: Part<E>,
        after: Option<Duration>,
        reason: &str,
    ) -> Step<E> {
        if let Patience::Bounded {
            tries,
            longest_wait,
        } = self.patience
        {
            let too_long = after.is_some_and(|after| after > longest_wait);
            if too_long || part.tries >= tries {
                return self.run_out(part, reason, too_long);
            }
        }
        let backoff = || (backoff(self.failures), Why::Backoff);
        let pause = asked(after).unwrap_or_else(backoff);
        self.wait(kind, pause, reason).await;
        Step::Again(part)
    }

    async fn wait(&mut self, kind: EventKind, (delay, why): (Duration, Why), reason: &str) {
        self.ledger.retried();
        if !std::mem::replace(&mut self.told, true) {
            report::error(|| {
                let name = self.told_name();
                let kind = kind.plural();
                format!("delivery of {kind} to {name} fails and is tried again: {reason}")
            });
        }
        self.failures = self.failures.saturating_add(1);
        self.pause.last(delay, why).await;
    }

    /// Tries no more, and where patience is bounded may try nothing more at all: a caller
    /// must not wait for each of a hundred requests to a server that hangs.
    fn run_out<E>(&mut self, part: Part<E>, reason: &str, is_hopeless: bool) -> Step<E> {
        let reason = self.give_up(&part, reason);
        if let Patience::Bounded { .. } = self.patience {
            self.exhausted += 1;
            if is_hopeless || self.exhausted >= MOST_EXHAUSTED {
                self.hopeless = Some(format!(
                    "not sent, since what was sent before failed: {reason}"
                ));
            }
        }
        let fate = if part.unanswered {
            Fate::Unanswered(reason)
        } else {
            Fate::OutOfTries(reason)
        };
        Step::Settled(part.events, fate)
    }

    /// Why there is no use in an attempt.
    fn no_use(&self) -> Option<String> {
        match &self.exporter {
            Exporter::Nowhere { reason, .. } => Some(reason.clone()),
            _ => self.hopeless.clone(),
        }
    }

    /// Says so in the log, the first time in a batch, unless somebody is given the result;
    /// tells the whole reason.
    fn give_up<E>(&mut self, part: &Part<E>, reason: &str) -> String {
        let count = part.events.len();
        self.lost.events += count;
        if let (Patience::Endless, 0) = (self.patience, self.lost.told) {
            self.lost.told = count;
            let told = self.told_name();
            report::error(|| format!("{count} events given up at {told}: {reason}"));
        }
        format!("{}: {reason}", self.exporter.name())
    }

    /// Says how many of a batch were given up, where the first line did not tell of all.
    fn sum_up(&self, all: usize) {
        let Lost { events, told } = self.lost;
        if told > 0 && events > told {
            report::error(|| format!("{events} of {all} events given up at {}", self.told_name()));
        }
    }

    /// The destination in a log line.
    fn told_name(&self) -> String {
        self.exporter.name() + &self.settings.whose()
    }
}

/// What an attempt came to.
enum Step<E> {
    Settled(Vec<E>, Fate),
    Again(Part<E>),
    /// In the order in which the halves are sent.
    Divided(Part<E>, Part<E>),
}

struct Part<E> {
    events: Vec<E>,
    tries: u32,
    /// It was sent before without an answer, by itself or as part of more, here or by an earlier
    /// process.
    unanswered: bool,
    /// Earlier processes have sent it as often as it may be.
    spent: bool,
    /// Its events are among the possible duplicates.
    counted: bool,
}

impl<E> Part<E> {
    fn new(events: Vec<E>) -> Self {
        Self {
            events,
            tries: 0,
            unanswered: false,
            spent: false,
            counted: false,
        }
    }

    /// Of events that earlier processes have sent so often without an answer; they have counted that.
    fn risked(events: Vec<E>, times: usize) -> Self {
        Self {
            unanswered: times > 0,
            spent: times >= MOST_RISKED,
            counted: times > 0,
            ..Self::new(events)
        }
    }
}

/// How often an event that counts twice where it arrives twice is sent without an answer.
const MOST_RISKED: usize = 2;

/// Parts of events that were risked equally often; the first stands last.
fn parts_by_risk<E: Encoded>(events: Vec<E>) -> Vec<Part<E>> {
    let mut parts: Vec<(usize, Vec<E>)> = Vec::new();
    for event in events {
        let times = event.risked();
        match parts.last_mut() {
            Some((same, part)) if *same == times => part.push(event),
            _ => parts.push((times, vec![event])),
        }
    }
    let parts = parts.into_iter().rev();
    parts
        .map(|(times, events)| Part::risked(events, times))
        .collect()
}

/// A request that is being sent. Where a shutdown cuts it off, the server may have what a later
/// process sends again.
struct OnItsWay<'a, E: Encoded> {
    sent: Sent,
    ledger: &'a Ledger,
    may_come_twice: u64,
    /// Those of which a later process has to know that they were sent.
    risked: &'a [E],
}

impl<'a, E: Encoded> OnItsWay<'a, E> {
    fn new(kind: EventKind, part: &'a Part<E>, ledger: &'a Ledger) -> Self {
        let spooled = part.events.iter().filter(|event| event.is_spooled());
        Self {
            sent: Sent::default(),
            ledger,
            may_come_twice: if part.counted {
                0
            } else {
                spooled.count() as u64
            },
            risked: match kind {
                EventKind::Span => &[],
                _ => &part.events,
            },
        }
    }

    fn ends(mut self) {
        self.may_come_twice = 0;
        self.risked = &[];
    }
}

impl<E: Encoded> Drop for OnItsWay<'_, E> {
    fn drop(&mut self) {
        if self.sent.whole() {
            self.ledger.possible_duplicates(self.may_come_twice);
            E::note_risk(self.risked);
        }
    }
}

/// How long to wait where the server asks for `after`. One that asks for no pause, or whose clock
/// is behind, is not flooded.
fn asked(after: Option<Duration>) -> Option<(Duration, Why)> {
    let after = after.filter(|after| !after.is_zero())?;
    Some((after.min(LONGEST_RETRY_AFTER), Why::Asked))
}

/// Exponential with full jitter: anything up to a bound that doubles.
fn backoff(failures: u32) -> Duration {
    let bound = FIRST_BACKOFF
        .saturating_mul(1 << failures.min(16))
        .min(LONGEST_BACKOFF);
    bound.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::export::memory::Memory;

    #[test]
    fn a_server_is_given_the_time_that_it_asks_for_up_to_five_minutes() {
        for (seconds, waits) in [(1, 1), (30, 30), (300, 300), (301, 300), (86_400, 300)] {
            let (wait, why) = asked(Some(Duration::from_secs(seconds))).unwrap();
            assert!(why == Why::Asked);
            assert_eq!(wait, Duration::from_secs(waits));
        }
        assert!(asked(Some(Duration::ZERO)).is_none());
    }

    #[test]
    fn a_pause_is_made_up_to_the_longest_that_somebody_waits_for() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(async {
            let longest_wait = Duration::from_millis(20);
            let mut delivery = Delivery::new(
                Exporter::Memory(Memory::new()),
                Config::new().settings().unwrap(),
                Arc::new(Ledger::new("x".to_owned())),
                Patience::Bounded {
                    tries: 9,
                    longest_wait,
                },
            );
            for (after, is_made) in [
                (longest_wait, true),
                (longest_wait + Duration::from_millis(1), false),
            ] {
                let part = Part::new(vec![()]);
                let step = delivery.again(EventKind::Span, part, Some(after), "of the test");
                assert_eq!(matches!(step.await, Step::Again(_)), is_made, "{after:?}");
            }
        });
    }

    #[test]
    fn events_that_were_risked_equally_often_are_one_part() {
        struct Risked(usize);
        impl Encoded for Risked {
            fn line(&self) -> Line<'_> {
                Line {
                    json: b"{}",
                    made_ms: 0,
                    public: None,
                }
            }
            fn risked(&self) -> usize {
                self.0
            }
        }
        let events = [0, 0, 1, 1, 1, 2, 0].map(Risked);
        let parts = parts_by_risk(Vec::from(events));
        let parts = parts.iter().rev().map(|part| {
            let Part {
                events,
                unanswered,
                spent,
                counted,
                ..
            } = part;
            (events.len(), *unanswered, *spent, *counted)
        });
        let expected = [
            (2, false, false, false),
            (3, true, false, true),
            (1, true, true, true),
            (1, false, false, false),
        ];
        assert_eq!(parts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_cut_off_on_its_way_is_counted_once_and_noted() {
        use crate::stats::Front;
        use std::sync::atomic::{AtomicUsize, Ordering};

        static NOTED: AtomicUsize = AtomicUsize::new(0);
        struct Spooled;
        impl Encoded for Spooled {
            fn line(&self) -> Line<'_> {
                Line {
                    json: b"{}",
                    made_ms: 0,
                    public: None,
                }
            }
            fn is_spooled(&self) -> bool {
                true
            }
            fn note_risk(events: &[Self]) {
                NOTED.fetch_add(events.len(), Ordering::Relaxed);
            }
        }
        // The number of times that it was risked before, whether it was sent whole, whether the
        // request came to its end; the events that are counted and that are noted.
        for (times, whole, ends, counted, noted) in [
            (0, true, false, 2, 2),
            (1, true, false, 0, 2),
            (0, false, false, 0, 0),
            (0, true, true, 0, 0),
        ] {
            let ledger = Ledger::new("x".to_owned());
            let part = Part::risked(vec![Spooled, Spooled], times);
            let mut on_its_way = OnItsWay::new(EventKind::Evaluation, &part, &ledger);
            if whole {
                on_its_way.sent = Sent::all();
            }
            if ends {
                on_its_way.ends();
            } else {
                drop(on_its_way);
            }
            let stats = Front::default().stats(&[&ledger], || 0);
            let of_this = (
                stats.destinations[0].possible_duplicates,
                NOTED.swap(0, Ordering::Relaxed),
            );
            assert_eq!(of_this, (counted, noted), "risked {times} times");
        }
    }

    #[test]
    fn the_backoff_doubles_up_to_thirty_seconds() {
        for (failures, bound_ms) in [
            (0, 500),
            (1, 1_000),
            (2, 2_000),
            (3, 4_000),
            (4, 8_000),
            (5, 16_000),
            (6, 30_000),
            (7, 30_000),
            (40, 30_000),
            (u32::MAX, 30_000),
        ] {
            let bound = Duration::from_millis(bound_ms);
            // In each quarter of what may be, a quarter of them: one run in 10^15 finds one of them empty all the same.
            let mut quarters = [0; 4];
            for _ in 0..140 {
                let wait = backoff(failures);
                assert!(wait < bound, "{wait:?} after {failures} failures");
                let quarter = (1..4).filter(|n| wait >= bound / 4 * *n).count();
                quarters[quarter] += 1;
            }
            assert!(!quarters.contains(&0), "{quarters:?} after {failures}");
        }
    }
}
