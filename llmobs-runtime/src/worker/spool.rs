//! The spool: what a destination has not acknowledged, on disk.
//!
//! Each lane writes segments of its own in the destination's folder, and takes over those of
//! processes that are gone. A segment goes from the disk when all of it is settled.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::batch::{Batch, Event, Held, MOST_EVENTS};
use crate::config::Settings;
use crate::disk::private::PrivateDir;
use crate::disk::segment::{Found, Segment};
use crate::disk::{self, Listed, record};
use crate::report;
use crate::stats::EventKind;

/// A segment is closed when it passes this size, or an eighth of the spool's.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// How often segments of processes that have gone are looked for.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How many files that are not ours are told of.
const MOST_TOLD: usize = 100;

/// What one lane keeps on disk.
pub(super) struct Spool {
    root: PathBuf,
    name: String,
    dir: PathBuf,
    label: &'static str,
    most_bytes: u64,
    /// No request is larger, and no batch on disk needs to be.
    most_request_bytes: u64,
    pub(super) max_age: Duration,
    writer: Option<Arc<Kept>>,
    look: Instant,
    /// A failure that lasts is told once, and its end as well.
    told: bool,
    told_foreign: HashSet<PathBuf>,
}

/// A segment that goes from the disk with its last event.
pub(super) struct Kept {
    segment: Segment,
    /// There is something in it that is not ours, which is not for us to delete.
    foreign: AtomicBool,
}

impl Kept {
    fn new(segment: Segment) -> Arc<Self> {
        Arc::new(Self {
            segment,
            foreign: AtomicBool::new(false),
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segment.len()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.segment.acked() < self.segment.len() {
            // For a later process, which may have its lock from now on.
            return;
        }
        if self.foreign.load(Ordering::Relaxed) {
            self.segment.set_aside();
        } else {
            self.segment.remove();
        }
    }
}

/// Where a batch is on disk.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) segment: Arc<Kept>,
    pub(super) range: Range<u64>,
}

impl Place {
    /// Everything up to the end of this is settled.
    pub(super) fn settled(&self) {
        self.settled_to(self.range.end);
    }

    pub(super) fn settled_to(&self, end: u64) {
        self.segment.segment.ack(end);
    }

    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        self.segment.segment.read(self.range.clone())
    }

    /// Whether `next` stands right behind this.
    pub(super) fn precedes(&self, next: &Self) -> bool {
        Arc::ptr_eq(&self.segment, &next.segment) && self.range.end == next.range.start
    }
}

/// What was written, and where each event of it ends.
pub(super) struct Written {
    pub(super) place: Place,
    pub(super) ends: Vec<u64>,
    /// A new segment was begun: the caps may have been passed.
    pub(super) began: bool,
}

impl Spool {
    /// For one lane of the destination whose folder is `name`. Nothing is touched yet.
    pub(super) fn new(name: &str, kinds: &[EventKind], settings: &Settings) -> Self {
        Self {
            root: settings.dir.clone(),
            name: name.to_owned(),
            dir: settings.dir.join("spool").join(name),
            label: label(kinds),
            most_bytes: settings.spool_max_bytes,
            most_request_bytes: settings.payload_size_bytes as u64,
            max_age: settings.spool_max_age,
            writer: None,
            look: Instant::now(),
            told: false,
            told_foreign: HashSet::new(),
        }
    }

    pub(super) fn most_request_bytes(&self) -> u64 {
        self.most_request_bytes
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a batch; `None` where it cannot be written, which is told.
    pub(super) fn write(&mut self, kind: EventKind, events: &[Arc<Event>]) -> Option<Written> {
        match self.try_write(kind, events) {
            Ok(written) => {
                if std::mem::take(&mut self.told) {
                    report::info(|| format!("the spool {} can be written again", self.shown()));
                }
                Some(written)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    report::error(|| {
                        format!(
                            "the spool {} cannot be written ({error}): events wait in memory until \
                             it can",
                            self.shown()
                        )
                    });
                }
                None
            }
        }
    }

    fn try_write(&mut self, kind: EventKind, events: &[Arc<Event>]) -> io::Result<Written> {
        let full = SEGMENT_BYTES.min(self.most_bytes / 8);
        let fits = |kept: &mut Arc<Kept>| kept.bytes() < full && !kept.segment.is_torn();
        let open = self.writer.take_if(|kept| fits(kept));
        let began = open.is_none();
        let segment = match open {
            Some(segment) => segment,
            None => self.begin()?,
        };
        self.writer = Some(Arc::clone(&segment));

        let mut lines = Vec::new();
        let mut ends = Vec::with_capacity(events.len());
        for event in events {
            record::write(&mut lines, kind, event.made_ms, &event.json);
            ends.push(lines.len() as u64);
        }
        let range = segment.segment.append(&lines)?;
        for end in &mut ends {
            *end += range.start;
        }
        Ok(Written {
            place: Place { segment, range },
            ends,
            began,
        })
    }

    fn begin(&self) -> io::Result<Arc<Kept>> {
        Segment::create(&self.folder()?, Some(self.label)).map(Kept::new)
    }

    /// The destination's folder, made where it is missing.
    fn folder(&self) -> io::Result<PrivateDir> {
        disk::folder(&self.root, "spool", Some(&self.name))
    }

    /// How many bytes the destination's folder has over what it may have.
    pub(super) fn excess(&self) -> u64 {
        let segments = disk::list(&self.dir).unwrap_or_default();
        let total: u64 = segments.iter().map(|segment| segment.bytes).sum();
        total.saturating_sub(self.most_bytes)
    }

    /// Whether it is time to look for what others have left.
    pub(super) fn is_time_to_look(&self) -> bool {
        self.look <= Instant::now()
    }

    pub(super) fn is_writing(&self, segment: &Arc<Kept>) -> bool {
        let writer = self.writer.as_ref();
        writer.is_some_and(|writer| Arc::ptr_eq(writer, segment))
    }

    /// Takes over the oldest segment whose writer is gone, as batches. Where there is none,
    /// that is looked for again after a while.
    pub(super) fn adopt(&mut self) -> Option<Vec<Batch>> {
        let adopted = self.try_adopt().unwrap_or_else(|error| {
            self.tell_foreign(&self.dir.clone(), &error.to_string());
            None
        });
        if adopted.is_none() {
            self.look = Instant::now() + LOOK_AGAIN;
        }
        adopted
    }

    fn try_adopt(&mut self) -> io::Result<Option<Vec<Batch>>> {
        if !self.dir.exists() {
            return Ok(None);
        }
        let folder = self.folder()?;
        for listed in disk::list(folder.path())? {
            if !self.is_for_us(&listed.path) {
                continue;
            }
            match Segment::adopt(&folder, &listed.path) {
                Ok(None) => {}
                Ok(Some(segment)) => {
                    let batches = self.batches(segment, &listed);
                    if batches.is_some() {
                        return Ok(batches);
                    }
                }
                Err(error) => self.tell_foreign(&listed.path, &error.to_string()),
            }
        }
        Ok(None)
    }

    /// Whether a segment is of this lane's kinds, by its name.
    fn is_for_us(&mut self, path: &Path) -> bool {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        match stem.and_then(|stem| stem.rsplit_once('-')) {
            Some((_, ALL | SPANS)) if self.label == SPANS => true,
            Some((_, ALL | SPANS | OTHERS)) if self.label == ALL => true,
            Some((_, OTHERS)) => self.label == OTHERS,
            Some((_, ALL | SPANS)) => false,
            _ => {
                self.tell_foreign(path, "its name is not that of a segment");
                false
            }
        }
    }

    /// The events of a segment that are not settled; `None` where there are none.
    fn batches(&mut self, segment: Segment, listed: &Listed) -> Option<Vec<Batch>> {
        let kept = Kept::new(segment);
        let mut batches: Vec<Batch> = Vec::new();
        let (mut foreign, mut torn) = (0_u64, false);
        let most = self.most_request_bytes;
        let scanned = kept.segment.scan(|found, range| match found {
            Found::Record(record) => {
                let place = Place {
                    segment: Arc::clone(&kept),
                    range,
                };
                let batch = Batch::on_disk(record.kind, 1, place, listed.modified);
                match batches.last_mut() {
                    Some(last) if last.may_grow_by(&batch, most) => last.grow_by(&batch),
                    _ => batches.push(batch),
                }
            }
            Found::Foreign => foreign += 1,
            Found::Torn => torn = true,
        });
        if let Err(error) = scanned {
            // What comes after is not known: the file is kept out of the way, and not removed.
            kept.foreign.store(true, Ordering::Relaxed);
            self.tell_foreign(&listed.path, &error.to_string());
        }
        if torn {
            report::warn(|| {
                let path = listed.path.display();
                format!("{path} ends within an event: its writer was interrupted")
            });
        }
        if foreign > 0 {
            kept.foreign.store(true, Ordering::Relaxed);
            report::warn(|| {
                let path = listed.path.display();
                format!("{foreign} lines of {path} are not readable and were skipped")
            });
        }
        match batches.last_mut() {
            // What cannot be read goes with what can.
            Some(last) => {
                if let Some(place) = &mut last.place {
                    place.range.end = kept.bytes();
                }
            }
            None => kept.segment.ack(kept.bytes()),
        }
        (!batches.is_empty()).then_some(batches)
    }

    fn tell_foreign(&mut self, path: &Path, reason: &str) {
        if self.told_foreign.len() < MOST_TOLD && self.told_foreign.insert(path.to_owned()) {
            report::warn(|| format!("{} in the spool is skipped: {reason}", path.display()));
        }
    }

    fn shown(&self) -> std::path::Display<'_> {
        self.dir.display()
    }
}

const SPANS: &str = "spans";
const OTHERS: &str = "evaluations";
const ALL: &str = "events";

fn label(kinds: &[EventKind]) -> &'static str {
    match kinds {
        [EventKind::Span] => SPANS,
        _ if kinds.contains(&EventKind::Span) => ALL,
        _ => OTHERS,
    }
}

impl Batch {
    pub(super) fn len(&self) -> u64 {
        let len = match &self.held {
            Held::Memory(events) => events.len(),
            Held::Disk(count) => *count,
        };
        len as u64
    }

    fn on_disk(kind: EventKind, count: usize, place: Place, formed: SystemTime) -> Self {
        Self {
            kind,
            held: Held::Disk(count),
            place: Some(place),
            formed,
            number: 0,
            after: 0,
        }
    }

    /// Whether `next` can be one with this: both on disk only, one right behind the other, and
    /// not more than a request may have.
    pub(super) fn may_grow_by(&self, next: &Self, most_bytes: u64) -> bool {
        let (Held::Disk(count), Held::Disk(more)) = (&self.held, &next.held) else {
            return false;
        };
        let (Some(place), Some(behind)) = (&self.place, &next.place) else {
            return false;
        };
        self.kind == next.kind
            && count + more <= MOST_EVENTS
            && place.precedes(behind)
            && behind.range.end - place.range.start <= most_bytes
    }

    pub(super) fn grow_by(&mut self, next: &Self) {
        if let (Held::Disk(count), Held::Disk(more)) = (&mut self.held, &next.held) {
            *count += more;
        }
        if let (Some(place), Some(behind)) = (&mut self.place, &next.place) {
            place.range.end = behind.range.end;
        }
        self.formed = self.formed.max(next.formed);
        self.after = self.after.max(next.after);
    }
}
