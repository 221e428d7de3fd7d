//! The spool: what a destination has not acknowledged, on disk.
//!
//! Each lane writes segments of its own in the destination's folder, and takes over those of
//! processes that are gone. A segment goes from the disk when all of it is settled.

mod left;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use self::left::Others;
pub(super) use self::left::{Beside, Spans};
use super::batch::{Batch, Event, Held, MOST_EVENTS};
use crate::config::Settings;
use crate::disk::private::PrivateDir;
use crate::disk::segment::{Segment, Writer, labelled};
use crate::disk::{self, record};
use crate::export;
use crate::report;
use crate::stats::EventKind;

/// A segment is closed when it passes this size, or an eighth of the spool's.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// What one lane keeps on disk.
pub(super) struct Spool {
    root: PathBuf,
    name: String,
    dir: PathBuf,
    /// The folder of the intake with our key.
    own_intake: Option<String>,
    label: &'static str,
    names: Writer,
    most_bytes: u64,
    /// No request is larger, and no batch on disk needs to be.
    most_request_bytes: u64,
    pub(super) max_age: Duration,
    writer: Option<Arc<Kept>>,
    /// A failure that lasts is told once, and its end as well.
    told: bool,
    others: Others,
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

    pub(super) fn path(&self) -> &Path {
        self.segment.path()
    }

    /// How often earlier processes have sent the event whose line ends there without an answer.
    pub(super) fn risked(&self, end: u64) -> usize {
        self.segment.risked(end)
    }

    /// Notes that the events whose lines end there and between were sent without an answer.
    pub(super) fn note_risk(&self, first: u64, last: u64) {
        self.segment.note_risk(first, last);
    }

    /// Whether somebody has removed it: no later process will find it.
    pub(super) fn is_gone(&self) -> bool {
        self.segment.is_gone()
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
    pub(super) fn new(
        name: &str,
        names: &Writer,
        kinds: &[EventKind],
        settings: &Settings,
    ) -> Self {
        Self {
            root: settings.dir.clone(),
            name: name.to_owned(),
            dir: settings.dir.join("spool").join(name),
            own_intake: export::intake_folder(settings),
            label: label(kinds),
            names: names.clone(),
            most_bytes: settings.spool_max_bytes,
            most_request_bytes: settings.payload_size_bytes as u64,
            max_age: settings.spool_max_age,
            writer: None,
            told: false,
            others: Others::new(),
        }
    }

    /// The same for another destination: nothing is written to the folder before any more.
    pub(super) fn moved_to(&self, name: String) -> Self {
        Self {
            root: self.root.clone(),
            dir: self.root.join("spool").join(&name),
            own_intake: self.own_intake.clone(),
            name,
            label: self.label,
            names: self.names.clone(),
            most_bytes: self.most_bytes,
            most_request_bytes: self.most_request_bytes,
            max_age: self.max_age,
            writer: None,
            told: false,
            others: Others::new(),
        }
    }

    /// The name of the destination's folder.
    pub(super) fn name(&self) -> &str {
        &self.name
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
        let mut lines = Vec::new();
        let mut ends = Vec::with_capacity(events.len());
        for event in events {
            record::write(&mut lines, kind, event.made_ms, &event.json);
            ends.push(lines.len() as u64);
        }
        let (place, began) = self.append(&lines)?;
        for end in &mut ends {
            *end += place.range.start;
        }
        Ok(Written { place, ends, began })
    }

    /// Writes whole lines, and says whether a new segment was begun for them: because there was none, the
    /// last one is full, or somebody has removed it.
    fn append(&mut self, lines: &[u8]) -> io::Result<(Place, bool)> {
        let full = SEGMENT_BYTES.min(self.most_bytes / 8);
        let fits = |kept: &mut Arc<Kept>| kept.bytes() < full && !kept.segment.is_torn();
        if let Some(segment) = self.writer.take_if(|kept| fits(kept)) {
            let written = segment.segment.append(lines);
            if !segment.segment.is_gone() {
                self.writer = Some(Arc::clone(&segment));
                let range = written?;
                return Ok((Place { segment, range }, false));
            }
        }
        let segment = self.begin()?;
        self.writer = Some(Arc::clone(&segment));
        let range = segment.segment.append(lines)?;
        Ok((Place { segment, range }, true))
    }

    /// Writes anew what stands at a place that somebody has removed; it can be read as long as its
    /// file is open here.
    pub(super) fn write_again(&mut self, place: &Place) -> io::Result<Place> {
        let mut lines = place.read()?;
        if lines.len() as u64 != place.range.end - place.range.start {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Behind the last line of an earlier process a part of one may stand.
        let end = lines.iter().rposition(|byte| *byte == b'\n');
        lines.truncate(end.map_or(0, |end| end + 1));
        self.append(&lines).map(|(place, _)| place)
    }

    /// Whether somebody has removed the segment that is written.
    pub(super) fn was_removed(&self) -> bool {
        self.writer.as_ref().is_some_and(|kept| kept.is_gone())
    }

    pub(super) fn tell_removed(&self) {
        report::warn(|| {
            format!(
                "files of the spool {} were removed while they were in use: what waits is written \
                 to new ones",
                self.shown()
            )
        });
    }

    fn begin(&self) -> io::Result<Arc<Kept>> {
        Segment::create(&self.folder()?, &self.names, Some(self.label)).map(Kept::new)
    }

    /// The destination's folder, made where it is missing.
    fn folder(&self) -> io::Result<PrivateDir> {
        disk::folder(&self.root, "spool", Some(&self.name))
    }

    /// How many bytes the destination's folder has over what it may have.
    pub(super) fn excess(&self) -> u64 {
        let segments = disk::list(&self.dir).unwrap_or_default();
        let ours = segments.iter().filter(|one| labelled(&one.path).is_some());
        let total: u64 = ours.map(|segment| segment.bytes).sum();
        total.saturating_sub(self.most_bytes)
    }

    /// Closes the segment that is written, so that what was delivered of it does not stay on disk for as long as
    /// it takes to fill it. One of which nothing is settled goes on: while a server is down, there would be
    /// more and more of them.
    pub(super) fn close_delivered(&mut self) {
        self.writer.take_if(|kept| kept.segment.acked() > 0);
    }

    pub(super) fn is_writing(&self, segment: &Arc<Kept>) -> bool {
        let writer = self.writer.as_ref();
        writer.is_some_and(|writer| Arc::ptr_eq(writer, segment))
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

    /// Its lines were written anew.
    pub(super) fn stands_at(&mut self, place: Place) {
        if let (Held::Memory(events), Some(before)) = (&mut self.held, &self.place) {
            for event in events {
                event.moved(before.range.start, &place);
            }
        }
        self.place = Some(place);
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

#[cfg(test)]
mod tests;
