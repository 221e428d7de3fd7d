//! What an intake has taken, event by event, and whether that is what it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use llmobs::{Counts, DestinationStats, EventKind};
use llmobs_tests::intake::Request;
use serde_json::Value;

pub(crate) const KINDS: [EventKind; 3] =
    [EventKind::Span, EventKind::Evaluation, EventKind::Feedback];

/// Every so many spans, one has an event of this kind, with the span's number.
pub(crate) fn every(kind: EventKind) -> u32 {
    match kind {
        EventKind::Span => 1,
        EventKind::Evaluation => 5,
        _ => 20,
    }
}

/// The numbers of the events of a kind that go with the first `spans` spans of a run.
pub(crate) fn numbers(kind: EventKind, spans: u32) -> impl Iterator<Item = u32> {
    (0..spans).step_by(every(kind) as usize)
}

/// How many those are.
pub(crate) fn made_with(kind: EventKind, spans: u32) -> u64 {
    u64::from(spans.div_ceil(every(kind)))
}

/// Which event it is: the run that made it, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) run: u32,
    pub(crate) n: u32,
}

pub(crate) fn span_name(id: Id) -> String {
    format!("{} {}", id.run, id.n)
}

pub(crate) fn label(run: u32) -> String {
    format!("run_{run}")
}

/// Reads what [`span_name`] and [`label`] have written.
pub(crate) fn identify(event: &Value) -> (EventKind, Id) {
    let number = |text: &str| text.parse().expect("a number");
    if let Some(name) = event["name"].as_str() {
        let (run, n) = name.split_once(' ').expect("run and number");
        let (run, n) = (number(run), number(n));
        return (EventKind::Span, Id { run, n });
    }
    let label = event["label"].as_str().expect("a label");
    let run = number(label.strip_prefix("run_").expect("a run"));
    let n = event["score_value"].as_u64().expect("a number");
    let n = u32::try_from(n).expect("small");
    let kind = if event["event_kind"] == "feedback" {
        EventKind::Feedback
    } else {
        EventKind::Evaluation
    };
    (kind, Id { run, n })
}

/// What became of one event at the intake.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fate {
    /// How often it was taken, up to 255.
    pub(crate) taken: u8,
    /// One of those times, the answer said so.
    pub(crate) answered: bool,
    /// It was refused for good.
    pub(crate) refused: bool,
}

/// The fates of all events that an intake has met.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Met>);

#[derive(Default)]
struct Met {
    /// By kind and run, in the order of the numbers.
    fates: BTreeMap<(u8, u32), Vec<Fate>>,
    /// What is said of a span, and arrived before it.
    early: Vec<(EventKind, Id)>,
}

impl Seen {
    /// The request was taken; `answered` where its sender is told so.
    pub(crate) fn take(&self, request: &Request, answered: bool) {
        let mut met = self.lock();
        for event in request.spans().chain(request.evaluations()) {
            let (kind, id) = identify(event);
            if kind != EventKind::Span && met.fate(EventKind::Span, id).taken == 0 {
                let fate = met.fate(kind, id);
                if fate.taken == 0 {
                    met.early.push((kind, id));
                }
            }
            let fate = met.fate_mut(kind, id);
            fate.taken = fate.taken.saturating_add(1);
            fate.answered |= answered;
        }
    }

    /// The request was answered as one that is wrong. With one event in it, that is given up.
    pub(crate) fn refuse(&self, request: &Request) {
        let mut events = request.spans().chain(request.evaluations());
        if let (Some(event), None) = (events.next(), events.next()) {
            let (kind, id) = identify(event);
            self.lock().fate_mut(kind, id).refused = true;
        }
    }

    pub(crate) fn fate(&self, kind: EventKind, id: Id) -> Fate {
        self.lock().fate(kind, id)
    }

    /// What became of the events of a kind that go with the first `spans` spans of a run.
    pub(crate) fn fates(&self, kind: EventKind, run: u32, spans: u32) -> Vec<(Id, Fate)> {
        let met = self.lock();
        numbers(kind, spans)
            .map(|n| Id { run, n })
            .map(|id| (id, met.fate(kind, id)))
            .collect()
    }

    /// The evaluations and feedback that have arrived before the span that they are of.
    pub(crate) fn early(&self) -> Vec<(EventKind, Id)> {
        self.lock().early.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Met> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Met {
    fn fate(&self, kind: EventKind, id: Id) -> Fate {
        let run = self.fates.get(&(rank(kind), id.run));
        let fate = run.and_then(|run| run.get((id.n / every(kind)) as usize));
        fate.copied().unwrap_or_default()
    }

    fn fate_mut(&mut self, kind: EventKind, id: Id) -> &mut Fate {
        let run = self.fates.entry((rank(kind), id.run)).or_default();
        let at = (id.n / every(kind)) as usize;
        if run.len() <= at {
            run.resize(at + 1, Fate::default());
        }
        &mut run[at]
    }
}

fn rank(kind: EventKind) -> u8 {
    match kind {
        EventKind::Span => 0,
        EventKind::Evaluation => 1,
        _ => 2,
    }
}

/// A few of many, for a message.
pub(crate) fn some<T: Clone>(all: &[T]) -> Vec<T> {
    all[..all.len().min(20)].to_vec()
}

/// What stands in the folder of a spool and is not settled, by kind.
#[derive(Default)]
pub(crate) struct Left(BTreeMap<u8, BTreeSet<Id>>);

impl Left {
    /// Reads the files, and believes no count.
    pub(crate) fn read(dir: &std::path::Path) -> Self {
        let mut left = Self::default();
        let Ok(folders) = std::fs::read_dir(dir.join("spool")) else {
            return left;
        };
        for folder in folders.map(|folder| folder.expect("a folder").path()) {
            let Ok(files) = std::fs::read_dir(&folder) else {
                continue;
            };
            for path in files.map(|file| file.expect("a file").path()) {
                let extension = path.extension().and_then(|extension| extension.to_str());
                assert_ne!(extension, Some("corrupt"), "{}", path.display());
                if extension == Some("jsonl") {
                    left.read_segment(&path);
                }
            }
        }
        left
    }

    fn read_segment(&mut self, path: &std::path::Path) {
        let bytes = std::fs::read(path).expect("a segment");
        let ack = path.with_extension("jsonl.ack");
        let ack = std::fs::read_to_string(ack).unwrap_or_default();
        // The last line may be torn.
        let ack = ack.rfind('\n').map_or("", |end| &ack[..end]);
        let acked = ack.rsplit('\n').find_map(|line| line.parse().ok());
        for line in bytes[acked.unwrap_or(0)..].split_inclusive(|byte| *byte == b'\n') {
            // So may the last event, by the end of its process.
            if let Some(line) = line.strip_suffix(b"\n") {
                let record: Value = serde_json::from_slice(line).expect("a whole line");
                let (kind, id) = identify(&record["event"]);
                let is_new = self.0.entry(rank(kind)).or_default().insert(id);
                assert!(is_new, "{kind:?} {id:?} stands in the spool twice");
            }
        }
    }

    pub(crate) fn has(&self, kind: EventKind, id: Id) -> bool {
        self.0.get(&rank(kind)).is_some_and(|ids| ids.contains(&id))
    }

    pub(crate) fn count(&self, kind: EventKind) -> u64 {
        self.of(kind).count() as u64
    }

    pub(crate) fn of(&self, kind: EventKind) -> impl Iterator<Item = Id> {
        self.0.get(&rank(kind)).into_iter().flatten().copied()
    }
}

/// The sum that holds at every moment, and nothing waits any more.
pub(crate) fn assert_adds_up(what: &str, counts: &Counts) {
    assert_eq!(counts.waiting, 0, "{what}: {counts:?}");
    let settled = counts.delivered + counts.spooled + counts.dropped_total();
    assert_eq!(
        counts.made + counts.recovered,
        settled,
        "{what}: {counts:?}"
    );
}

/// As one line for people and for a parent process.
pub(crate) fn shown(destination: &DestinationStats) -> Value {
    let counts = |counts: &Counts| {
        let dropped: BTreeMap<String, u64> = counts
            .dropped
            .iter()
            .map(|(reason, count)| (reason.to_string(), *count))
            .collect();
        serde_json::json!({
            "made": counts.made, "recovered": counts.recovered, "delivered": counts.delivered,
            "waiting": counts.waiting, "spooled": counts.spooled, "dropped": dropped,
        })
    };
    serde_json::json!({
        "spans": counts(&destination.spans),
        "evaluations": counts(&destination.evaluations),
        "feedback": counts(&destination.feedback),
        "retried": destination.retried,
        "possible_duplicates": destination.possible_duplicates,
    })
}
