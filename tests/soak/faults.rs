//! Random faults for the whole length, then a healthy intake.

use std::path::Path;
use std::time::{Duration, Instant};

use llmobs::DropReason::{self, Refused, SpoolFull, Unanswered};
use llmobs::{Config, DestinationStats, EventKind, FlushError, LlmObs};

use crate::Options;
use crate::random::World;
use crate::seen::{Fate, Id, KINDS, Left, assert_adds_up, made_with, shown, some};
use crate::work::{Maker, TIMEOUT, at_rate};

/// How much of the rate has to be reached: a machine may be slow, or busy with other things.
const ENOUGH: f64 = 0.8;
/// How long the client with a spool has for its end, in the middle of the faults.
const CUT_SHORT: Duration = Duration::from_secs(1);
/// Enough for a spool that is full.
const PATIENT: Duration = Duration::from_secs(600);

pub(crate) fn run(options: &Options) {
    let seconds = options.get("--seconds", 60);
    let rate = options.get("--rate", 5_000);
    let seed = options.get("--seed", fastrand::u64(..1_000_000));
    println!("faults: {seconds} s, {rate} spans/s for each of two clients, --seed {seed}");
    let dir = std::env::temp_dir().join(format!("llmobs-soak-{}", std::process::id()));
    let worlds = [true, false].map(|spool| {
        let world = World::new(seed.wrapping_mul(2) + u64::from(spool), false);
        let client = client(&world, &dir, spool);
        (spool, world, client)
    });

    let end = Instant::now() + Duration::from_secs(seconds);
    let mut made = 0;
    let mut makers: Vec<_> = worlds
        .iter()
        .map(|(_, world, client)| (&world.intake, Maker::new(client, 0)))
        .collect();
    let reached = at_rate(rate, |numbers| {
        made = numbers.end;
        for (intake, maker) in &mut makers {
            maker.step(numbers.clone());
            intake.forget();
        }
        Instant::now() < end
    });
    for (_, mut maker) in makers {
        maker.finish();
    }
    let share = reached / f64::from(rate);
    println!(
        "{made} spans, {} evaluations and {} of feedback were made by each: {reached:.0} spans/s, \
         {:.0} % of the rate ({:.0} % is enough)",
        made_with(EventKind::Evaluation, made),
        made_with(EventKind::Feedback, made),
        share * 100.0,
        ENOUGH * 100.0,
    );
    for (spool, world, first) in worlds {
        let mut books = Books {
            name: if spool {
                "with a spool"
            } else {
                "without a spool"
            },
            spool,
            world: &world,
            dir: &dir,
            made,
            closed: Vec::new(),
            left: Vec::new(),
        };
        if spool {
            // In the middle of the faults: what it leaves is on disk, and another one's to send.
            books.close(&first, CUT_SHORT);
            world.recover();
            books.close(&client(&world, &dir, true), PATIENT);
            books.assert_nothing_is_left();
        } else {
            world.recover();
            books.close(&first, PATIENT);
        }
    }
    std::fs::remove_dir_all(&dir).expect("the folder of the spool");
    assert!(
        share >= ENOUGH,
        "the rate was not reached: {reached:.0} spans/s of {rate}"
    );
    println!("every event has arrived, or is counted");
}

fn client(world: &World, dir: &Path, spool: bool) -> LlmObs {
    Config::new()
        .ml_app("soak")
        .agent_url(world.intake.url())
        .dir(dir)
        .spool(spool)
        .timeout(TIMEOUT)
        .build()
        .expect("a configuration that is valid")
}

/// What is known of one intake and the clients, one after the other, that have sent to it.
struct Books<'a> {
    name: &'static str,
    spool: bool,
    world: &'a World,
    dir: &'a Path,
    /// How many spans the first client has made.
    made: u32,
    closed: Vec<DestinationStats>,
    /// What stood in the spool after each.
    left: Vec<Left>,
}

impl Books<'_> {
    /// Ends a client, and looks at every event that there is.
    fn close(&mut self, client: &LlmObs, timeout: Duration) {
        let stats = match client.shutdown(timeout) {
            Ok(report) => report.stats,
            Err(FlushError::Undelivered { report, .. }) => report.stats,
            Err(error) => panic!("{error}"),
        };
        // What a client that has gone had sent may still be on its way into the intake.
        self.world.intake.wait_until_closed(Duration::from_secs(10));
        let here = stats.destinations[0].clone();
        println!("{}: {}", self.name, shown(&here));
        self.closed.push(here);
        self.left.push(if self.spool {
            Left::read(self.dir)
        } else {
            Left::default()
        });
        let again: u64 = KINDS.map(|kind| self.check(kind)).into_iter().sum();
        let possible: u64 = self
            .closed
            .iter()
            .map(|here| here.possible_duplicates)
            .sum();
        assert!(
            again <= possible,
            "{}: {again} came again, {possible} were counted",
            self.name
        );
        if self.spool {
            self.assert_order();
        }
    }

    /// Nothing that is said of a span has arrived before the span, unless that never will.
    fn assert_order(&self) {
        let mut early = self.world.seen.early();
        early.retain(|(_, id)| {
            let left = self.left.last();
            let waits = left.is_some_and(|left| left.has(EventKind::Span, *id));
            waits || self.world.seen.fate(EventKind::Span, *id).taken > 0
        });
        assert!(
            early.is_empty(),
            "{}: {} came before their spans: {:?}",
            self.name,
            early.len(),
            some(&early)
        );
    }

    /// Each event of a kind is at the intake, in the spool, or counted; returns how many came more
    /// than once.
    fn check(&self, kind: EventKind) -> u64 {
        let name = format!("{}, {kind:?}", self.name);
        let (last, left) = (self.closed.last(), self.left.last());
        let (last, left) = last.zip(left).expect("one was closed");
        let counts = last.counts(kind);
        assert_adds_up(&name, counts);
        let found = match &self.left[..] {
            [.., before, _] => (0, before.count(kind)),
            _ => (made_with(kind, self.made), 0),
        };
        assert_eq!((counts.made, counts.recovered), found, "{name}");
        let spooled = left.count(kind);
        assert_eq!(spooled, counts.spooled, "{name}: in the spool, and counted");

        let fates = self.world.seen.fates(kind, 0, self.made);
        let which = |filter: &dyn Fn(Id, Fate) -> bool| -> Vec<Id> {
            let filtered = fates.iter().filter(|(id, fate)| filter(*id, *fate));
            filtered.map(|(id, _)| *id).collect()
        };
        let arrived = which(&|_, fate| fate.taken > 0).len() as u64;
        let again = which(&|_, fate| fate.taken > 1).len() as u64;
        let refused = which(&|_, fate| fate.taken > 0 && fate.refused).len() as u64;
        let missing = which(&|id, fate| fate.taken == 0 && !left.has(kind, id));
        let unknown = which(&|id, fate| !fate.answered && !left.has(kind, id));
        let (dropped, unanswered) = (
            self.dropped(kind, None),
            self.dropped(kind, Some(Unanswered)),
        );
        println!(
            "{name}: {arrived} have arrived, {again} of them more than once; {spooled} are in the \
             spool; {} are missing, {} were never acknowledged, {dropped} are counted, {unanswered} \
             of them as unanswered{}",
            missing.len(),
            unknown.len(),
            match dropped.saturating_sub(unknown.len() as u64) {
                0 => String::new(),
                late => format!("; note: to {late} the answer came too late, or may have"),
            },
        );
        // An event that arrived and is counted as unanswered hides no other here: what no answer
        // has acknowledged is itself counted. Only one to which the answer came too late could.
        let (lost, unacknowledged) = (missing.len() as u64, unknown.len() as u64);
        assert!(
            unacknowledged <= dropped,
            "{name}: lost uncounted are some of {:?}, of which never arrived {:?}",
            some(&unknown),
            some(&missing)
        );
        assert!(
            lost <= dropped,
            "{name}: lost uncounted are some of {:?}",
            some(&missing)
        );
        // An answer that came too late is none, to who is told no the next time as well.
        let too_many = unanswered + refused;
        assert!(
            dropped <= unacknowledged + too_many,
            "{name}: {dropped} are counted, {unacknowledged} were not acknowledged"
        );
        // Without those, this is an equation.
        assert!(
            dropped <= lost + too_many,
            "{name}: {dropped} are counted, {lost} are missing"
        );
        let delivered: u64 = self
            .closed
            .iter()
            .map(|one| one.counts(kind).delivered)
            .sum();
        assert!(
            delivered <= arrived,
            "{name}: {delivered} count as delivered"
        );
        // Only what the intake refuses, or answers neither time, may be lost with a spool, and no
        // span for want of an answer; and the oldest, where minutes of faults have filled it.
        for (reason, count) in &counts.dropped {
            let may = match reason {
                Refused | SpoolFull => true,
                Unanswered => kind != EventKind::Span,
                _ => !self.spool,
            };
            assert!(may, "{name}: {count} {reason}");
        }
        again
    }

    /// What all clients have dropped, for one reason or any.
    fn dropped(&self, kind: EventKind, reason: Option<DropReason>) -> u64 {
        let all = self.closed.iter().flat_map(|one| &one.counts(kind).dropped);
        all.filter(|(why, _)| reason.is_none_or(|reason| *why == reason))
            .map(|(_, count)| count)
            .sum()
    }

    fn assert_nothing_is_left(&self) {
        let left = Left::read(self.dir);
        for kind in KINDS {
            let some = some(&left.of(kind).collect::<Vec<_>>());
            assert_eq!(left.count(kind), 0, "{kind:?} in the spool: {some:?}");
        }
    }
}
