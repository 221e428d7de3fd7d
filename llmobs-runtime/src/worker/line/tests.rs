//! Lines whose destination is replaced, and lines whose spool is full.

use bytes::Bytes;
use tokio::sync::mpsc::unbounded_channel;

use super::super::queue::Budget;
use super::super::retry::Fate;
use super::*;
use crate::config::{Config, Settings};
use crate::disk::{self, segment::Writer};
use crate::stats::{Front, Ledger};

const SPANS: &[EventKind] = &[EventKind::Span];
const OTHERS: &[EventKind] = &[EventKind::Evaluation, EventKind::Feedback];
/// The smallest spool; a segment of it is full with an eighth.
const SMALL: u64 = 65_536;

struct Disk(Settings);

impl Disk {
    fn new() -> Self {
        let name = format!("llmobs-line-{}", fastrand::u64(..));
        let config = Config::new()
            .dir(std::env::temp_dir().join(name))
            .spool(true);
        Self(config.spool_max_bytes(SMALL).settings().unwrap())
    }

    fn spool(&self, folder: &str, writer: &Writer, kinds: &[EventKind]) -> Spool {
        Spool::new(folder, writer, kinds, &self.0)
    }

    /// A segment of somebody who is gone, with so many spans of a kibibyte.
    fn left(&self, folder: &str, writer: &Writer, spans: usize) {
        let mut spool = self.spool(folder, writer, SPANS);
        spool.write(EventKind::Span, &events(spans)).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0.dir));
    }
}

fn events(count: usize) -> Vec<Arc<Event>> {
    let budget = Arc::new(Budget::new(usize::MAX / 2, usize::MAX / 2));
    let json = Bytes::from(format!("{{\"x\":\"{}\"}}", "x".repeat(1_000)));
    let event = || Event::new(EventKind::Span, json.clone(), 1, Arc::clone(&budget), 0);
    std::iter::repeat_with(event).take(count).collect()
}

fn account() -> Arc<Account> {
    Arc::new(Account {
        ledger: Arc::new(Ledger::new("x".to_owned())),
        budget: Budget::new(usize::MAX / 2, usize::MAX / 2),
        max_age: Duration::from_secs(86_400),
    })
}

fn line(account: &Arc<Account>, spans: Option<&Arc<Line>>, spool: Spool) -> Arc<Line> {
    let (progress, _) = unbounded_channel();
    let spans = spans.map(Arc::clone);
    let account = Arc::clone(account);
    let line = Line::new(account, spans, Some(spool), true, progress.downgrade());
    Arc::new(line)
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn a_line_of_spans_that_waits_looks_into_the_folder_of_a_new_destination_at_once() {
    let (disk, writer, account) = (Disk::new(), Writer::new(), account());
    let spans = line(&account, None, disk.spool("agent-x", &writer, SPANS));
    let others = disk.spool("agent-x", &writer, OTHERS);
    let others = line(&account, Some(&spans), others);
    let has_looked = || async {
        while !spans.reached(0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    runtime().block_on(async {
        let waits = Arc::clone(&spans);
        let task = tokio::spawn(async move { drop(waits.next().await) });
        has_looked().await;
        others.moves(true, Some("agent-y".to_owned()));
        let looked = tokio::time::timeout(Duration::from_secs(5), has_looked()).await;
        assert!(
            looked.is_ok(),
            "evaluations would wait until it looks again"
        );
        task.abort();
    });
}

#[test]
fn the_oldest_of_a_full_folder_go_though_some_of_another_folder_stand_in_front() {
    let (disk, account) = (Disk::new(), account());
    let (replaced, other) = (Writer::new(), Writer::new());
    for _ in 0..2 {
        disk.left("agent-y", &replaced, 2);
    }
    for _ in 0..6 {
        disk.left("agent-x", &other, 8);
    }
    disk.left("agent-x", &replaced, 1);
    let line = line(&account, None, disk.spool("agent-x", &Writer::new(), SPANS));
    let sent = runtime().block_on(line.next());
    let path = sent.place.as_ref().unwrap().segment.path();
    assert!(
        path.starts_with(disk.0.dir.join("spool/agent-y")),
        "the oldest"
    );
    for _ in 0..6 {
        line.submit(EventKind::Span, &events(8));
    }
    let stats = Front::default().stats(&[&account.ledger], || 0);
    let gone = stats.spans().dropped_total();
    assert!(gone > 0 && gone % 8 == 0, "{stats:?}");
    let segments = disk::list(&disk.0.dir.join("spool/agent-x")).unwrap();
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    assert!(bytes <= SMALL + SMALL / 4, "{bytes}");
    let ours = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !name.starts_with(replaced.name()) && !name.starts_with(other.name())
    };
    let ours = segments.iter().filter(|segment| ours(&segment.path));
    assert_eq!(ours.count(), 6, "{segments:?}");
}

#[test]
fn what_is_delivered_goes_from_the_disk_though_its_segment_is_not_full() {
    let (disk, account) = (Disk::new(), account());
    let line = line(&account, None, disk.spool("agent-x", &Writer::new(), SPANS));
    let on_disk = || {
        let listed = disk::list(&disk.0.dir.join("spool/agent-x")).unwrap();
        listed.iter().map(|segment| segment.bytes).sum::<u64>()
    };
    let take = || runtime().block_on(line.next());
    let deliver = |batch: Batch| {
        let Held::Memory(events) = batch.held else {
            panic!("there is memory")
        };
        for event in events {
            event.settle(&Fate::Delivered);
        }
        batch.place.unwrap().settled();
        line.done();
    };
    line.submit(EventKind::Span, &events(1));
    let waits = take();
    let one = on_disk();
    line.tidy();
    line.submit(EventKind::Span, &events(1));
    assert_eq!(
        on_disk(),
        2 * one,
        "in the same segment: nothing is settled"
    );
    assert_eq!(
        disk::list(&disk.0.dir.join("spool/agent-x")).unwrap().len(),
        1
    );
    deliver(waits);
    line.tidy();
    assert_eq!(on_disk(), 2 * one, "half of it still waits");
    line.submit(EventKind::Span, &events(1));
    deliver(take());
    assert_eq!(on_disk(), one);
    deliver(take());
    line.tidy();
    assert_eq!(on_disk(), 0);
}

#[test]
fn what_is_too_old_stays_behind_a_younger_part_of_its_segment() {
    let (disk, account) = (Disk::new(), account());
    let line = line(&account, None, disk.spool("agent-x", &Writer::new(), SPANS));
    let ages = |young: usize| {
        let mut inner = line.lock();
        let day = Duration::from_secs(2 * 86_400);
        for (place, batch) in inner.queue.iter_mut().enumerate() {
            let now = SystemTime::now();
            batch.formed = if place == young { now } else { now - day };
        }
    };
    let expired = || {
        line.tidy();
        let stats = Front::default().stats(&[&account.ledger], || 0);
        stats.spans().dropped_total()
    };
    for _ in 0..3 {
        line.submit(EventKind::Span, &events(1));
    }
    // A clock that was ahead has been set back.
    ages(0);
    assert_eq!(expired(), 0);
    ages(1);
    assert_eq!(expired(), 1, "the first");
}

#[test]
fn what_earlier_processes_left_goes_out_in_its_order() {
    let (disk, account) = (Disk::new(), account());
    let (first, second) = (Writer::new(), Writer::new());
    for spans in 1..=3 {
        disk.left("agent-x", &first, spans);
    }
    for spans in 4..=5 {
        disk.left("agent-x", &second, spans);
    }
    let line = line(&account, None, disk.spool("agent-x", &Writer::new(), SPANS));
    line.submit(EventKind::Span, &events(6));
    for writer in [&first, &second] {
        assert!(line.take_over_spans_of(writer.name()));
    }
    // A segment of which nobody has anything any more would be found again.
    let taken: Vec<Batch> = (0..6)
        .map(|_| {
            let batch = runtime().block_on(line.next());
            line.done();
            batch
        })
        .collect();
    let lengths: Vec<u64> = taken.iter().map(Batch::len).collect();
    assert_eq!(lengths, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn nothing_is_written_for_a_destination_that_needs_no_spool() {
    let (disk, account) = (Disk::new(), account());
    let line = line(&account, None, disk.spool("agent-x", &Writer::new(), SPANS));
    assert!(line.is_kept_on_disk());
    line.moves(false, None);
    assert!(!line.is_kept_on_disk());
    line.submit(EventKind::Span, &events(1));
    assert!(!disk.0.dir.exists());
    let batch = runtime().block_on(line.next());
    assert!(batch.place.is_none() && batch.len() == 1);
}

#[test]
fn what_waits_on_disk_alone_grows_into_one_batch() {
    let disk = Disk::new();
    let account = Arc::new(Account {
        ledger: Arc::new(Ledger::new("x".to_owned())),
        // Full from the beginning: nothing waits in memory as well.
        budget: Budget::new(0, 0),
        max_age: Duration::from_secs(86_400),
    });
    let line = line(&account, None, disk.spool("agent-x", &Writer::new(), SPANS));
    for count in 1..=3 {
        line.submit(EventKind::Span, &events(count));
    }
    assert_eq!(line.lock().queue.len(), 1);
    let batch = runtime().block_on(line.next());
    assert_eq!(batch.len(), 6);
    assert!(matches!(batch.held, Held::Disk(6)));
}

#[test]
fn what_is_said_of_spans_waits_for_those_before_it() {
    let (disk, writer, account) = (Disk::new(), Writer::new(), account());
    let spans = line(&account, None, disk.spool("agent-x", &writer, SPANS));
    let others = disk.spool("agent-x", &writer, OTHERS);
    let others = line(&account, Some(&spans), others);
    runtime().block_on(async {
        spans.submit(EventKind::Span, &events(1));
        others.submit(EventKind::Evaluation, &events(1));
        assert!(others.waits_for().is_none(), "nothing of it is at hand");
        let said = others.next().await;
        assert_eq!(said.after, 1);
        assert!(
            others
                .waits_for()
                .is_some_and(|line| Arc::ptr_eq(line, &spans))
        );
        let mut waits = std::pin::pin!(others.after_its_spans(&said));
        let soon = Duration::from_millis(1);
        assert!(tokio::time::timeout(soon, &mut waits).await.is_err());
        let span = spans.next().await;
        assert!(tokio::time::timeout(soon, &mut waits).await.is_err());
        drop(span);
        spans.done();
        waits.await;
        assert!(others.waits_for().is_none());
    });
}

#[test]
fn what_is_said_of_spans_goes_where_they_go() {
    let (disk, writer, account) = (Disk::new(), Writer::new(), account());
    let spans = line(&account, None, disk.spool("agent-x", &writer, SPANS));
    let others = disk.spool("agent-x", &writer, OTHERS);
    let others = line(&account, Some(&spans), others);
    let folder = |line: &Line| {
        let inner = line.lock();
        (
            inner.spools,
            inner.spool.as_ref().unwrap().name().to_owned(),
        )
    };
    let moved = |name: &str| (true, name.to_owned());
    spans.moves(true, Some("agent-y".to_owned()));
    assert_eq!(folder(&spans), moved("agent-y"));
    assert_eq!(folder(&others), moved("agent-x"));
    others.submit(EventKind::Evaluation, &events(1));
    assert_eq!(folder(&others), moved("agent-y"));
    others.moves(true, Some("agent-z".to_owned()));
    assert_eq!(
        (folder(&spans), folder(&others)),
        (moved("agent-z"), moved("agent-z"))
    );
    others.moves(false, None);
    assert_eq!(folder(&spans), (false, "agent-z".to_owned()));
}

#[test]
fn what_is_being_written_does_not_give_way_to_itself() {
    let (disk, account) = (Disk::new(), account());
    let line = line(&account, None, disk.spool("agent-x", &Writer::new(), SPANS));
    line.submit(EventKind::Span, &events(100));
    let stats = Front::default().stats(&[&account.ledger], || 100);
    let spans = stats.spans();
    assert_eq!((spans.spooled, spans.dropped_total()), (100, 0));
}

#[test]
fn segments_of_earlier_processes_are_taken_over_one_after_the_other() {
    let (disk, account) = (Disk::new(), account());
    // Two batches, since a request has at most a thousand events.
    for spans in [1_001, 1] {
        disk.left("agent-x", &Writer::new(), spans);
    }
    let line = line(&account, None, disk.spool("agent-x", &Writer::new(), SPANS));
    // Kept, since a segment of which nobody has anything any more would be found again.
    let mut taken = Vec::new();
    for waits in [1, 0, 0] {
        taken.push(runtime().block_on(line.next()));
        assert_eq!(line.lock().queue.len(), waits);
    }
    let lengths: Vec<u64> = taken.iter().map(Batch::len).collect();
    assert_eq!(lengths, [1_000, 1, 1]);
}

#[test]
fn a_destination_that_needs_no_spool_takes_nothing_over() {
    let (disk, account) = (Disk::new(), account());
    disk.left("agent-x", &Writer::new(), 1);
    let line = line(&account, None, disk.spool("agent-x", &Writer::new(), SPANS));
    line.moves(false, None);
    line.submit(EventKind::Span, &events(2));
    assert_eq!(runtime().block_on(line.next()).len(), 2);
}
