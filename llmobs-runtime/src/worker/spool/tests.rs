//! Lanes that take over what others have left.

use std::time::Instant;

use bytes::Bytes;

use super::super::batch::Pending;
use super::super::lane::Account;
use super::super::queue::Budget;
use super::*;
use crate::config::Config;
use crate::export::Encoded;
use crate::stats::Ledger;

const SPANS: &[EventKind] = &[EventKind::Span];
const OTHERS: &[EventKind] = &[EventKind::Evaluation, EventKind::Feedback];

const AGENT: &str = "agent-x";

/// The spool of one folder, for as many clients as a test wants.
struct Disk(Settings);

impl Disk {
    fn new() -> Self {
        let name = format!("llmobs-lanes-{}", fastrand::u64(..));
        let dir = std::env::temp_dir().join(name);
        let config = Config::new().dir(dir).spool(true).api_key("our-key");
        Self(config.settings().unwrap())
    }

    fn lane(&self, writer: &Writer, kinds: &[EventKind]) -> Spool {
        self.lane_in(AGENT, writer, kinds)
    }

    /// The folder of the intake with our key.
    fn intake(&self) -> String {
        export::intake_folder(&self.0).unwrap()
    }

    /// A segment of one event, of a client that has ended.
    fn left_in(&self, folder: &str, writer: &Writer, kinds: &[EventKind]) {
        write(&mut self.lane_in(folder, writer, kinds), kinds[0]);
        std::thread::sleep(Duration::from_millis(20));
    }

    fn lane_in(&self, folder: &str, writer: &Writer, kinds: &[EventKind]) -> Spool {
        Spool::new(folder, writer, kinds, &self.0)
    }

    /// A client that has ended with a span, an evaluation and another span on disk; they were
    /// written in this order.
    fn left(&self) -> Writer {
        let writer = Writer::new();
        let mut spans = self.lane(&writer, SPANS);
        let mut others = self.lane(&writer, OTHERS);
        write(&mut spans, EventKind::Span);
        write(&mut others, EventKind::Evaluation);
        std::thread::sleep(Duration::from_millis(20));
        write(&mut spans, EventKind::Span);
        writer
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0.dir));
    }
}

fn write(spool: &mut Spool, kind: EventKind) {
    let budget = Arc::new(Budget::new(9, 9_999));
    let event = Event::new(kind, Bytes::from_static(b"{}"), 1, budget, 0);
    spool.write(kind, &[event]).unwrap();
}

/// What a lane finds first, where its line of spans answers `take_spans_of`.
fn found(spool: &mut Spool, take_spans_of: bool) -> Option<Vec<Batch>> {
    spool.adopt(&Beside {
        is_here: &|_| false,
        take_spans_of: &|_| take_spans_of,
    })
}

fn kinds(batches: &[Batch]) -> Vec<(EventKind, u64)> {
    let kinds = batches.iter().map(|batch| (batch.kind, batch.len()));
    kinds.collect()
}

#[test]
fn one_lane_for_all_takes_over_spans_before_what_is_said_of_them() {
    let disk = Disk::new();
    disk.left();
    let mut all = disk.lane(&Writer::new(), &EventKind::ALL);
    let first = found(&mut all, false).unwrap();
    assert_eq!(kinds(&first), [(EventKind::Span, 2)]);
    let path = first[0].place.as_ref().unwrap().segment.path().to_owned();
    let second = all.adopt(&Beside {
        is_here: &|segment| segment == path,
        take_spans_of: &|_| unreachable!("it has no line of spans beside it"),
    });
    assert_eq!(kinds(&second.unwrap()), [(EventKind::Evaluation, 1)]);
}

#[test]
fn evaluations_stay_where_another_process_has_the_spans_of_their_writer() {
    let disk = Disk::new();
    let writer = disk.left();
    let mut others = disk.lane(&Writer::new(), OTHERS);
    assert!(found(&mut others, false).is_none());
    assert!(others.look() > Instant::now(), "that is asked again later");

    let mut spans = disk.lane(&Writer::new(), SPANS);
    let taken = spans.spans_of(writer.name(), &|_| false);
    assert_eq!(kinds(&taken.batches), [(EventKind::Span, 2)]);
    assert!(!taken.elsewhere);
    let mut late = disk.lane(&Writer::new(), SPANS);
    let again = late.spans_of(writer.name(), &|_| false);
    assert!(again.batches.is_empty() && again.elsewhere);
    let of_another = late.spans_of(Writer::new().name(), &|_| false);
    assert!(of_another.batches.is_empty() && !of_another.elsewhere);
    let mut all = disk.lane(&Writer::new(), &EventKind::ALL);
    assert!(found(&mut all, true).is_none(), "the spans are elsewhere");

    taken.batches[0].place.as_ref().unwrap().settled();
    drop(taken);
    let gone = late.spans_of(writer.name(), &|_| false);
    assert!(gone.batches.is_empty() && !gone.elsewhere);
    let evaluations = found(&mut others, true).unwrap();
    assert_eq!(kinds(&evaluations), [(EventKind::Evaluation, 1)]);
}

/// All that a lane finds, one segment after the other, each of which is settled.
fn all(spool: &mut Spool) -> Vec<(EventKind, u64)> {
    let mut all = Vec::new();
    while let Some(batches) = found(spool, true) {
        for batch in &batches {
            batch.place.as_ref().unwrap().settled();
        }
        all.extend(kinds(&batches));
    }
    all
}

#[test]
fn what_a_writer_has_in_the_folders_of_two_destinations_goes_to_either() {
    for from_agent in [true, false] {
        let disk = Disk::new();
        let (intake, writer) = (disk.intake(), disk.left());
        disk.left_in(&intake, &writer, SPANS);
        disk.left_in(&intake, &writer, OTHERS);
        // Of somebody who has something in the other folder only.
        let other = if from_agent { &intake } else { AGENT };
        disk.left_in(other, &Writer::new(), SPANS);
        disk.left_in(other, &Writer::new(), OTHERS);
        let folder = if from_agent { AGENT } else { &intake };
        let mut others = disk.lane_in(folder, &Writer::new(), OTHERS);
        let one = (EventKind::Evaluation, 1);
        assert_eq!(all(&mut others), [one, one], "from {folder}");
        let mut spans = disk.lane_in(folder, &Writer::new(), SPANS);
        let sizes: Vec<u64> = all(&mut spans).iter().map(|(_, count)| *count).collect();
        assert_eq!(sizes, [2, 1], "from {folder}");
    }
}

#[test]
fn spans_of_a_writer_are_found_in_the_folder_of_the_destination_that_was_replaced() {
    let disk = Disk::new();
    let (intake, writer) = (disk.intake(), disk.left());
    disk.left_in(&intake, &writer, SPANS);
    disk.left_in(&intake, &writer, OTHERS);
    let mut after = disk.lane_in(&intake, &Writer::new(), SPANS);
    let taken = after.spans_of(writer.name(), &|_| false);
    let (two, one) = ((EventKind::Span, 2), (EventKind::Span, 1));
    assert_eq!(kinds(&taken.batches), [two, one]);
    assert!(!taken.elsewhere);
}

/// Somebody with the same Agent and another key: what the Agent did not take is not for ours.
#[test]
fn what_is_for_the_intake_with_another_key_stays_where_it_is() {
    let disk = Disk::new();
    let writer = disk.left();
    let theirs = "intake-datadoghq.com-0123";
    disk.left_in(theirs, &writer, SPANS);
    disk.left_in(theirs, &writer, OTHERS);
    let mut others = disk.lane(&Writer::new(), OTHERS);
    assert_eq!(all(&mut others), [(EventKind::Evaluation, 1)]);
    let mut spans = disk.lane(&Writer::new(), SPANS);
    assert_eq!(all(&mut spans), [(EventKind::Span, 2)]);
    for mut lane in [spans, others] {
        let mut moved = lane.moved_to(disk.intake());
        assert!(found(&mut moved, true).is_none());
        assert!(found(&mut lane, true).is_none());
    }
    let left = disk::list(&disk.0.dir.join("spool").join(theirs)).unwrap();
    assert_eq!(left.len(), 2);
}

#[test]
fn batches_are_one_where_they_stand_one_behind_the_other_and_fit_into_a_request() {
    let disk = Disk::new();
    let mut spool = disk.lane(&Writer::new(), SPANS);
    let mut written = || {
        let events = Event::new(
            EventKind::Span,
            Bytes::from_static(b"{}"),
            1,
            Arc::new(Budget::new(9, 9_999)),
            0,
        );
        spool.write(EventKind::Span, &[events]).unwrap().place
    };
    let places = [(); 3].map(|()| written());
    let elsewhere = {
        let mut other = disk.lane(&Writer::new(), SPANS);
        other.append(b"x\n").unwrap();
        let (mut place, _) = other.append(b"{}\n").unwrap();
        // As far into its own segment as the second event is into ours.
        place.range = places[1].range.clone();
        place
    };
    let batch = |count, place: &Place| {
        let now = SystemTime::UNIX_EPOCH;
        Batch::on_disk(EventKind::Span, count, place.clone(), now)
    };
    let both = places[1].range.end - places[0].range.start;
    for (count, next, more, most_bytes, may) in [
        (1, &places[1], 1, both, true),
        (1, &places[1], MOST_EVENTS - 1, both, true),
        (2, &places[1], MOST_EVENTS - 1, both, false),
        (1, &places[1], MOST_EVENTS, both, false),
        (1, &places[1], 1, both - 1, false),
        (1, &places[2], 1, u64::MAX, false),
        (1, &places[0], 1, u64::MAX, false),
        (1, &elsewhere, 1, u64::MAX, false),
    ] {
        let (one, other) = (batch(count, &places[0]), batch(more, next));
        let told = format!("{count} {more} {:?} {most_bytes}", next.range);
        assert_eq!(one.may_grow_by(&other, most_bytes), may, "{told}");
    }
    let (one, other) = (batch(1, &places[1]), batch(1, &places[2]));
    let both = places[2].range.end - places[1].range.start;
    assert!(one.may_grow_by(&other, both) && !one.may_grow_by(&other, both - 1));
    let mut other = batch(1, &places[1]);
    other.kind = EventKind::Evaluation;
    assert!(!batch(1, &places[0]).may_grow_by(&other, u64::MAX));
}

#[test]
fn the_names_of_segments_say_whose_lane_has_written_them() {
    for (kinds, name) in [
        (SPANS, "spans"),
        (OTHERS, "evaluations"),
        (&EventKind::ALL, "events"),
        (&[EventKind::Feedback], "evaluations"),
    ] {
        assert_eq!(label(kinds), name);
    }
}

#[test]
fn a_segment_is_full_with_an_eighth_of_the_spool() {
    let mut disk = Disk::new();
    disk.0.spool_max_bytes = 8 * 1_000;
    let mut spool = disk.lane(&Writer::new(), SPANS);
    let mut begins = |bytes: usize| {
        let line = [vec![b'x'; bytes - 1], vec![b'\n']].concat();
        spool.append(&line).unwrap().1
    };
    assert!(begins(999));
    assert!(!begins(1));
    assert!(begins(1_500));
    assert!(begins(1));
}

#[test]
fn where_the_folders_cannot_be_read_spans_may_be_elsewhere() {
    let disk = Disk::new();
    let mut spool = disk.lane(&Writer::new(), SPANS);
    let nothing = spool.spans_of("somebody", &|_| false);
    assert!(!nothing.elsewhere, "there is no folder");
    std::fs::create_dir_all(&disk.0.dir).unwrap();
    std::fs::write(disk.0.dir.join("spool"), "a file").unwrap();
    assert!(spool.spans_of("somebody", &|_| false).elsewhere);
}

#[test]
fn what_was_written_by_one_lane_for_all_stands_in_batches_of_a_kind() {
    let disk = Disk::new();
    let mut all = disk.lane(&Writer::new(), &EventKind::ALL);
    for kind in [
        EventKind::Span,
        EventKind::Span,
        EventKind::Evaluation,
        EventKind::Span,
    ] {
        write(&mut all, kind);
    }
    drop(all);
    let mut later = disk.lane(&Writer::new(), &EventKind::ALL);
    let batches = found(&mut later, true).unwrap();
    let (span, evaluation) = (EventKind::Span, EventKind::Evaluation);
    assert_eq!(kinds(&batches), [(span, 2), (evaluation, 1), (span, 1)]);
    for batch in &batches {
        batch.place.as_ref().unwrap().settled();
    }
    drop(batches);
    let left = disk.0.dir.join("spool").join(AGENT);
    let left = std::fs::read_dir(left).unwrap();
    assert_eq!(left.count(), 0, "removed, since nothing in it was foreign");
}

#[test]
fn events_that_were_written_anew_end_where_they_stand_now() {
    let disk = Disk::new();
    let mut spool = disk.lane(&Writer::new(), SPANS);
    write(&mut spool, EventKind::Span);
    let budget = Arc::new(Budget::new(usize::MAX / 2, usize::MAX / 2));
    let event = |json| {
        let json = Bytes::from_static(json);
        Event::new(EventKind::Span, json, 1, Arc::clone(&budget), 0)
    };
    let events = [event(b"{}"), event(b"{\"x\":1}")];
    let Written { place, ends, .. } = spool.write(EventKind::Span, &events).unwrap();
    let account = Arc::new(Account {
        ledger: Arc::new(Ledger::new("x".to_owned())),
        budget: Budget::new(usize::MAX / 2, usize::MAX / 2),
        max_age: Duration::from_secs(60),
    });
    let pending = events
        .into_iter()
        .zip(&ends)
        .map(|(event, end)| Pending::spooled(event, &account, &place.segment, *end));
    let mut batch = Batch {
        held: Held::Memory(pending.collect()),
        ..Batch::on_disk(EventKind::Span, 0, place.clone(), SystemTime::now())
    };
    let mut other = disk.lane(&Writer::new(), SPANS);
    other.append(b"something\n").unwrap();
    let again = other.write_again(&place).unwrap();
    let moved: Vec<u64> = ends
        .iter()
        .map(|end| end - place.range.start + again.range.start)
        .collect();
    assert_ne!(moved, ends);
    assert_eq!(moved.last(), Some(&again.range.end));
    batch.stands_at(again);
    let Held::Memory(pending) = &batch.held else {
        panic!("it was in memory")
    };
    assert_eq!(pending.iter().map(Pending::end).collect::<Vec<_>>(), moved);
    // A later process finds them, and none of what waits in memory alone.
    assert!(pending.iter().all(Encoded::is_spooled));
    let in_memory = Pending::new(event(b"{}"), &account).unwrap();
    assert!(!in_memory.is_spooled());
}
