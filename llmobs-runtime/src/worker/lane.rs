//! Lanes: one line of batches to one destination, in order, so that one that hangs holds
//! up no other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::WeakUnboundedSender;
use tokio::task::JoinHandle;

use super::Control;
use super::batch::{Batch, Event, Gathering, Held, Pending};
use super::line::Line;
use super::pause::Pause;
use super::queue::Budget;
use super::retry::{self, Fate};
use super::spool::{Place, Spool};
use crate::config::Settings;
use crate::disk::record;
use crate::disk::segment::Writer;
use crate::export::{self, Exporter};
use crate::report;
use crate::stats::{DropReason, EventKind, Ledger};

/// What waits for one destination, and what became of the rest.
pub(crate) struct Account {
    pub(crate) ledger: Arc<Ledger>,
    pub(super) budget: Budget,
    /// Spans that ended longer ago are not sent: Datadog takes none from before that.
    pub(super) max_age: Duration,
}

pub(super) struct Lanes {
    lanes: Vec<Lane>,
    accounts: Vec<Arc<Account>>,
}

struct Lane {
    kinds: &'static [EventKind],
    line: Arc<Line>,
    pause: Arc<Pause>,
    task: JoinHandle<()>,
}

/// How far each lane has to come for a flush to be over; `None` is never.
#[derive(Clone)]
pub(super) struct Mark(Option<Vec<u64>>);

impl Mark {
    /// Where not everything could be handed to the lanes.
    pub(super) const NEVER: Self = Self(None);
}

impl Lanes {
    pub(super) fn open(
        exporters: Vec<Exporter>,
        settings: &Settings,
        progress: &WeakUnboundedSender<Control>,
    ) -> Self {
        let mut lanes = Vec::new();
        let mut accounts = Vec::new();
        for exporter in exporters {
            let account = Arc::new(Account {
                ledger: Arc::new(Ledger::new(exporter.name())),
                budget: Budget::new(settings.max_events, settings.max_event_bytes()),
                max_age: settings.spool_max_age,
            });
            let folder = exporter.spool_folder(settings).filter(|_| settings.spool);
            let writer = Writer::new();
            let mut spans = None;
            for kinds in exporter.lanes() {
                let spool = folder
                    .as_ref()
                    .map(|name| Spool::new(name, &writer, kinds, settings));
                let line = Arc::new(Line::new(
                    Arc::clone(&account),
                    spans.clone(),
                    spool,
                    exporter.is_remote(),
                    progress.clone(),
                ));
                let delivery = retry::Delivery::new(
                    exporter.clone(),
                    settings.clone(),
                    Arc::clone(&account.ledger),
                    retry::Patience::Endless,
                );
                let task = Task {
                    delivery: delivery.of(Arc::clone(&line)),
                    line: Arc::clone(&line),
                    account: Arc::clone(&account),
                    most_bytes: settings.payload_size_bytes,
                };
                if folder.is_some() {
                    spans.get_or_insert_with(|| Arc::clone(&line));
                }
                lanes.push(Lane {
                    kinds,
                    pause: Arc::clone(task.delivery.pause()),
                    line,
                    task: tokio::spawn(task.run()),
                });
            }
            accounts.push(account);
        }
        Self { lanes, accounts }
    }

    pub(super) fn ledgers(&self) -> Vec<Arc<Ledger>> {
        let ledgers = self.accounts.iter().map(|account| &account.ledger);
        ledgers.cloned().collect()
    }

    /// Hands a batch to every destination.
    pub(super) fn submit(&self, kind: EventKind, events: &[Arc<Event>]) {
        self.batch(kind, events).submit();
    }

    /// A batch that will be handed over, and is counted where that does not come about.
    pub(super) fn batch<'a>(&'a self, kind: EventKind, events: &'a [Arc<Event>]) -> Unhanded<'a> {
        Unhanded {
            lanes: &self.lanes,
            kind,
            events,
        }
    }

    /// Whether what waits for any destination is kept on disk.
    pub(super) fn keep_on_disk(&self) -> bool {
        self.lanes.iter().any(|lane| lane.line.is_kept_on_disk())
    }

    /// Counts an event that cannot be sent anywhere.
    pub(super) fn dropped(&self, kind: EventKind, reason: DropReason) {
        for account in &self.accounts {
            account.ledger.dropped(kind, reason);
        }
    }

    /// Looks after what is on disk.
    pub(super) fn tidy(&self) {
        for lane in &self.lanes {
            lane.line.tidy();
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(Some(
            self.lanes
                .iter()
                .map(|lane| lane.line.submitted())
                .collect(),
        ))
    }

    pub(super) fn reached(&self, mark: &Mark) -> bool {
        let Some(mark) = &mark.0 else { return false };
        let mut lanes = self.lanes.iter().zip(mark);
        lanes.all(|(lane, mark)| lane.line.reached(*mark))
    }

    /// The program is about to end: what waits for its next try is tried once more now.
    pub(super) fn hurry(&self) {
        for lane in &self.lanes {
            lane.pause.cut_short();
        }
    }

    /// Whether nothing comes closer to the mark before `deadline`: every lane that has not reached it
    /// tries its next request later than that.
    pub(super) fn stand_still(&self, mark: &Mark, deadline: Instant) -> bool {
        let Some(mark) = &mark.0 else { return false };
        let lanes = self.lanes.iter().zip(mark);
        let mut left = lanes.filter(|(lane, mark)| !lane.line.reached(**mark));
        left.all(|(lane, _)| {
            lane.pause.outlasts(deadline) || self.is_behind_one_that_waits(lane, deadline)
        })
    }

    /// Whether the spans that this lane goes out after wait for longer.
    fn is_behind_one_that_waits(&self, lane: &Lane, deadline: Instant) -> bool {
        let Some(spans) = lane.line.waits_for() else {
            return false;
        };
        let mut lanes = self.lanes.iter();
        let of_spans = lanes.find(|other| Arc::ptr_eq(&other.line, spans));
        of_spans.is_some_and(|other| other.pause.outlasts(deadline))
    }

    /// Ends every lane where it stands. What it holds stays on disk where there is a spool,
    /// and counts as dropped otherwise.
    pub(super) async fn close(&mut self) {
        for lane in &self.lanes {
            lane.task.abort();
        }
        for lane in self.lanes.drain(..) {
            // An aborted task has let go of its batch once this returns.
            let _ = lane.task.await;
        }
    }
}

/// What a lane does.
struct Task {
    delivery: retry::Delivery,
    line: Arc<Line>,
    account: Arc<Account>,
    most_bytes: usize,
}

impl Task {
    async fn run(mut self) {
        loop {
            let batch = self.line.next().await;
            self.line.after_its_spans(&batch).await;
            self.deliver(batch).await;
            self.line.done();
        }
    }

    async fn deliver(&mut self, batch: Batch) {
        let Batch {
            kind, held, place, ..
        } = batch;
        let requests = match (held, &place) {
            (Held::Memory(events), _) => vec![events],
            (Held::Disk(count), Some(place)) => self.recall(kind, count, place),
            (Held::Disk(_), None) => Vec::new(),
        };
        for events in requests {
            let settle = |events: Vec<Pending>, fate: &Fate| {
                let end = events.last().map_or(0, Pending::end);
                for event in events {
                    event.settle(fate);
                }
                // What has expired stood among others.
                if let (Some(place), false) = (&place, matches!(fate, Fate::Expired)) {
                    place.settled_to(end);
                }
            };
            self.delivery.deliver(kind, events, settle).await;
        }
        if let Some(place) = place {
            place.settled();
        }
    }

    /// Reads events from the disk, in as many requests as they need. What cannot be read any
    /// more is counted as dropped.
    fn recall(&self, kind: EventKind, count: usize, place: &Place) -> Vec<Vec<Pending>> {
        let bytes = place.read().unwrap_or_default();
        // They do not stand in the front queue.
        let budget = Arc::new(Budget::new(usize::MAX, usize::MAX));
        let mut gathering = Gathering::new(kind, export::frame(kind), self.most_bytes);
        let (mut parts, mut end, mut read) = (Vec::new(), place.range.start, 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            end += line.len() as u64;
            let record = line.strip_suffix(b"\n").and_then(record::read);
            let Some(record) = record.filter(|record| record.kind == kind && read < count) else {
                continue;
            };
            read += 1;
            let json = Bytes::copy_from_slice(record.json.as_bytes());
            let event = Event::new(kind, json, record.made_ms, Arc::clone(&budget), 0);
            let pending = Pending::spooled(event, &self.account, &place.segment, end);
            if record.json.len() > gathering.largest_event() {
                // Requests were larger when it was written.
                pending.give_up(DropReason::TooLarge);
            } else {
                parts.extend(gathering.add(pending));
            }
        }
        parts.extend(gathering.seal());
        if read < count {
            let missing = (count - read) as u64;
            self.account.ledger.unspooled(kind, missing);
            self.account
                .ledger
                .dropped_many(kind, DropReason::Unreadable, missing);
            report::error(|| {
                let file = place.segment.path().display();
                format!("{missing} events of the spool cannot be read any more: {file}")
            });
        }
        parts
    }
}

/// A batch, and the lanes that have not got it. Where a defect of ours ends the worker on the way, it is counted
/// there as dropped.
pub(super) struct Unhanded<'a> {
    lanes: &'a [Lane],
    kind: EventKind,
    events: &'a [Arc<Event>],
}

impl Unhanded<'_> {
    pub(super) fn submit(mut self) {
        while let Some((lane, rest)) = self.lanes.split_first() {
            // From here on the lane counts.
            self.lanes = rest;
            if lane.kinds.contains(&self.kind) {
                lane.line.submit(self.kind, self.events);
            }
        }
    }
}

impl Drop for Unhanded<'_> {
    fn drop(&mut self) {
        let left = self.lanes.iter();
        for lane in left.filter(|lane| lane.kinds.contains(&self.kind)) {
            let count = self.events.len() as u64;
            lane.line.dropped(self.kind, DropReason::Shutdown, count);
        }
    }
}

/// However a lane ends: nobody waits for it.
impl Drop for Task {
    fn drop(&mut self) {
        self.line.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::export::memory::Memory;

    #[test]
    fn a_lane_that_is_gone_holds_up_no_flush_and_counts_what_it_is_given() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let settings = Config::new().settings().unwrap();
            let (control, _receiver) = tokio::sync::mpsc::unbounded_channel();
            let exporter = Exporter::Memory(Memory::new());
            let lanes = Lanes::open(vec![exporter], &settings, &control.downgrade());
            lanes.lanes[0].task.abort();
            while !lanes.lanes[0].task.is_finished() {
                tokio::task::yield_now().await;
            }
            let budget = Arc::new(Budget::new(1, 10));
            let event = Event::new(EventKind::Span, Bytes::from_static(b"{}"), 0, budget, 0);
            lanes.submit(EventKind::Span, &[event]);
            assert!(lanes.reached(&lanes.mark()));
            let ledgers: Vec<Arc<Ledger>> = lanes.ledgers();
            let stats = crate::stats::Front::default().stats(&[&ledgers[0]], || 0);
            assert_eq!(stats.spans().dropped, [(DropReason::Shutdown, 1)]);
        });
    }

    #[test]
    fn a_batch_that_a_dying_worker_did_not_hand_over_is_counted_at_each_destination() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let settings = Config::new().settings().unwrap();
            let (control, _receiver) = tokio::sync::mpsc::unbounded_channel();
            let exporters = [(); 2].map(|()| Exporter::Memory(Memory::new()));
            let lanes = Lanes::open(exporters.into(), &settings, &control.downgrade());
            let budget = Arc::new(Budget::new(2, 10));
            let event = || {
                Event::new(
                    EventKind::Span,
                    Bytes::from_static(b"{}"),
                    0,
                    budget.clone(),
                    0,
                )
            };
            let events = [event(), event()];
            let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _batch = lanes.batch(EventKind::Span, &events);
                panic!("of the test");
            }));
            died.unwrap_err();
            for ledger in lanes.ledgers() {
                let stats = crate::stats::Front::default().stats(&[&ledger], || 0);
                assert_eq!(stats.spans().dropped, [(DropReason::Shutdown, 2)]);
            }
        });
    }

    /// A task, and where four lines stand on disk: two spans, an evaluation and another span.
    fn recalled(most_bytes: usize, count: usize) -> (Vec<usize>, crate::stats::Counts) {
        let name = format!("llmobs-recall-{}", fastrand::u64(..));
        let dir = std::env::temp_dir().join(name);
        let settings = Config::new().dir(&dir).spool(true).settings().unwrap();
        let budget = Arc::new(Budget::new(usize::MAX / 2, usize::MAX / 2));
        let event = |kind| {
            let json = Bytes::from_static(b"{}");
            Event::new(kind, json, 1, Arc::clone(&budget), 0)
        };
        let (span, other) = (EventKind::Span, EventKind::Evaluation);
        let mut spool = Spool::new("agent-x", &Writer::new(), &EventKind::ALL, &settings);
        let mut write = |kind, count| {
            let events: Vec<_> = (0..count).map(|_| event(kind)).collect();
            spool.write(kind, &events).unwrap().place
        };
        let mut place = write(span, 2);
        write(other, 1);
        place.range.end = write(span, 1).range.end;
        let ledger = Arc::new(Ledger::new("x".to_owned()));
        ledger.spooled(span, count as u64);
        let account = Arc::new(Account {
            ledger: Arc::clone(&ledger),
            budget: Budget::new(usize::MAX / 2, usize::MAX / 2),
            max_age: Duration::from_secs(60),
        });
        let (progress, _) = tokio::sync::mpsc::unbounded_channel();
        let progress = progress.downgrade();
        let task = Task {
            delivery: retry::Delivery::new(
                Exporter::Memory(Memory::new()),
                settings,
                Arc::clone(&ledger),
                retry::Patience::Endless,
            ),
            line: Arc::new(Line::new(Arc::clone(&account), None, None, true, progress)),
            account,
            most_bytes,
        };
        let parts = task.recall(span, count, &place);
        let sizes = parts.iter().map(Vec::len).collect();
        let stats = crate::stats::Front::default().stats(&[&ledger], || 4);
        drop((parts, place, spool));
        std::fs::remove_dir_all(dir).unwrap();
        (sizes, stats.spans())
    }

    #[test]
    fn as_many_events_of_a_kind_are_read_from_the_disk_as_the_batch_has() {
        let frame = export::frame(EventKind::Span);
        let of_one = frame.around + frame.each + b"{}".len();
        for (most_bytes, count, sizes, lost) in [
            (usize::MAX, 2, &[2][..], None),
            (usize::MAX, 3, &[3], None),
            (usize::MAX, 5, &[3], Some((DropReason::Unreadable, 2))),
            (of_one, 2, &[1, 1], None),
            (of_one - 1, 2, &[], Some((DropReason::TooLarge, 2))),
        ] {
            let (found, spans) = recalled(most_bytes, count);
            assert_eq!(found, sizes, "{most_bytes} {count}");
            let lost: Vec<_> = lost.into_iter().collect();
            assert_eq!(spans.dropped, lost, "{most_bytes} {count}");
            let waits = found.iter().sum::<usize>();
            assert_eq!(spans.spooled, waits as u64, "{most_bytes} {count}");
        }
    }

    /// Events that have expired stand among others, of which those before it are not settled.
    #[test]
    fn what_has_expired_settles_nothing_that_stands_before_it() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(async {
            let name = format!("llmobs-lane-{}", fastrand::u64(..));
            let dir = std::env::temp_dir().join(name);
            let config = Config::new().agent_url("http://127.0.0.1:9").spool(true);
            let settings = config.dir(&dir).settings().unwrap();
            let (control, _receiver) = tokio::sync::mpsc::unbounded_channel();
            let exporters = export::choose(&settings).await;
            let mut lanes = Lanes::open(exporters, &settings, &control.downgrade());
            let budget = Arc::new(Budget::new(usize::MAX / 2, usize::MAX / 2));
            let event = |made_ms| {
                let json = Bytes::from_static(b"{}");
                Event::new(EventKind::Span, json, made_ms, budget.clone(), 0)
            };
            let now = crate::clock::unix_ms();
            lanes.submit(EventKind::Span, &[event(now), event(1), event(now)]);
            let counts = |lanes: &Lanes| {
                let stats = crate::stats::Front::default().stats(&[&lanes.ledgers()[0]], || 3);
                stats.spans()
            };
            while counts(&lanes).dropped.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(counts(&lanes).dropped, [(DropReason::Expired, 1)]);
            assert_eq!(counts(&lanes).spooled, 2);
            lanes.close().await;
            let folder = std::fs::read_dir(dir.join("spool")).unwrap().next();
            let folder = folder.unwrap().unwrap().path();
            let files = std::fs::read_dir(folder).unwrap();
            let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            let is_ack = |file: &&std::path::PathBuf| file.extension().unwrap() == "ack";
            assert_eq!(files.len(), 1, "{files:?}");
            assert!(!files.iter().any(|file| is_ack(&file)), "{files:?}");
            std::fs::remove_dir_all(dir).unwrap();
        });
    }
}
