//! The spool: what a destination has not acknowledged, on disk.
//!
//! Each lane writes segments of its own in the destination's folder, and takes over those of
//! processes that are gone. A segment goes from the disk when all of it is settled.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::batch::{Batch, Event, Held, MOST_EVENTS};
use crate::config::Settings;
use crate::disk::private::PrivateDir;
use crate::disk::segment::{Found, Segment, Writer, labelled};
use crate::disk::{self, Listed, record};
use crate::report;
use crate::stats::EventKind;

/// A segment is closed when it passes this size, or an eighth of the spool's.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// How often segments of processes that have gone are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How many files that are not ours are told of.
const MOST_TOLD: usize = 100;

/// What one lane keeps on disk.
pub(super) struct Spool {
    root: PathBuf,
    name: String,
    dir: PathBuf,
    label: &'static str,
    names: Writer,
    most_bytes: u64,
    /// No request is larger, and no batch on disk needs to be.
    most_request_bytes: u64,
    pub(super) max_age: Duration,
    writer: Option<Arc<Kept>>,
    look: Instant,
    /// A failure that lasts is told once, and its end as well.
    told: bool,
    told_foreign: HashSet<PathBuf>,
    /// The writers that have, or had, segments in the folder, and have some anywhere.
    met: HashSet<String>,
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

/// What a lane that looks for what others have left knows of the others.
pub(super) struct Beside<'a> {
    /// Whether the lane has that segment already.
    pub(super) is_here: &'a dyn Fn(&Path) -> bool,
    /// Makes the line of spans take over those of a writer; `false` where some are not to be had now.
    pub(super) take_spans_of: &'a dyn Fn(&str) -> bool,
}

/// What became of a segment that another process has written.
enum Taken {
    Over(Segment),
    /// Its writer, or another process that has taken it over, is at work.
    Later,
    /// It was delivered, or is none of ours.
    Never,
}

/// What a writer has left of spans.
#[derive(Default)]
pub(super) struct Spans {
    pub(super) batches: Vec<Batch>,
    /// Some are not to be had now: another process has taken them over.
    pub(super) elsewhere: bool,
}

impl Spool {
    /// The same for another destination: nothing is written to the folder before any more.
    pub(super) fn moved_to(&self, name: String) -> Self {
        Self {
            root: self.root.clone(),
            dir: self.root.join("spool").join(&name),
            name,
            label: self.label,
            names: self.names.clone(),
            most_bytes: self.most_bytes,
            most_request_bytes: self.most_request_bytes,
            max_age: self.max_age,
            writer: None,
            look: Instant::now(),
            told: false,
            told_foreign: HashSet::new(),
            met: self.met.clone(),
        }
    }

    /// The name of the destination's folder.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

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
            label: label(kinds),
            names: names.clone(),
            most_bytes: settings.spool_max_bytes,
            most_request_bytes: settings.payload_size_bytes as u64,
            max_age: settings.spool_max_age,
            writer: None,
            look: Instant::now(),
            told: false,
            told_foreign: HashSet::new(),
            met: HashSet::new(),
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
        Segment::create(&self.folder()?, &self.names, Some(self.label)).map(Kept::new)
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

    /// When to look for what others have left.
    pub(super) fn look(&self) -> Instant {
        self.look
    }

    pub(super) fn is_writing(&self, segment: &Arc<Kept>) -> bool {
        let writer = self.writer.as_ref();
        writer.is_some_and(|writer| Arc::ptr_eq(writer, segment))
    }

    /// Takes over the oldest segment whose writer is gone, as batches. Where there is none,
    /// that is looked for again after a while.
    pub(super) fn adopt(&mut self, beside: &Beside<'_>) -> Option<Vec<Batch>> {
        let adopted = self.try_adopt(beside).unwrap_or_else(|error| {
            self.tell_foreign(&self.dir.clone(), &error.to_string());
            None
        });
        if adopted.is_none() {
            self.look = Instant::now() + LOOK_AGAIN;
        }
        adopted
    }

    fn try_adopt(&mut self, beside: &Beside<'_>) -> io::Result<Option<Vec<Batch>>> {
        for listed in self.left()? {
            let Some((writer, label)) = self.for_us(&listed.path) else {
                continue;
            };
            let Taken::Over(segment) = self.take_over(&listed.path) else {
                continue;
            };
            if label == OTHERS && self.label == ALL {
                let Spans { batches, elsewhere } = self.spans_of(writer, beside.is_here);
                if !batches.is_empty() {
                    return Ok(Some(batches));
                }
                if elsewhere {
                    continue;
                }
            } else if label == OTHERS && !(beside.take_spans_of)(writer) {
                continue;
            }
            let batches = self.batches(segment, &listed);
            if batches.is_some() {
                return Ok(batches);
            }
        }
        Ok(None)
    }

    /// What is in the destination's folder, and what the writers that were met there have in others:
    /// their destination had been replaced, and what belongs together goes to one place.
    fn left(&mut self) -> io::Result<Vec<Listed>> {
        let mut left = Vec::new();
        if self.dir.exists() {
            left = disk::list(self.folder()?.path())?;
            let writers = left.iter().filter_map(|listed| labelled(&listed.path));
            self.met
                .extend(writers.map(|(writer, _)| writer.to_owned()));
        }
        if self.met.is_empty() {
            return Ok(left);
        }
        let (mut of_met, _) = self.segments_of(|writer| self.met.contains(writer));
        let writers = of_met.iter().filter_map(|listed| labelled(&listed.path));
        self.met = writers.map(|(writer, _)| writer.to_owned()).collect();
        of_met.retain(|listed| !listed.path.starts_with(&self.dir));
        left.extend(of_met);
        disk::oldest_first(&mut left);
        Ok(left)
    }

    /// Takes over what a writer has left of spans, which goes before what is said of them.
    pub(super) fn spans_of(&mut self, writer: &str, is_here: &dyn Fn(&Path) -> bool) -> Spans {
        let mut spans = Spans::default();
        let (found, is_all) = self.segments_of(|of| of == writer);
        spans.elsewhere = !is_all;
        for listed in found {
            let is_of_spans = |of: (&str, &str)| matches!(of.1, SPANS | ALL);
            if !labelled(&listed.path).is_some_and(is_of_spans) || is_here(&listed.path) {
                continue;
            }
            match self.take_over(&listed.path) {
                Taken::Over(segment) => spans
                    .batches
                    .extend(self.batches(segment, &listed).into_iter().flatten()),
                Taken::Later => spans.elsewhere = true,
                Taken::Never => {}
            }
        }
        spans
    }

    /// The segments of some writers in the folders of all destinations, the oldest first, and whether
    /// that is all of them: a folder may not be to be read now.
    fn segments_of(&self, is_sought: impl Fn(&str) -> bool) -> (Vec<Listed>, bool) {
        let (mut found, mut is_all) = (Vec::new(), true);
        match self.folders() {
            Ok(folders) => {
                for folder in folders {
                    match disk::list(&folder) {
                        Ok(listed) => found.extend(listed),
                        Err(error) => is_all &= !may_pass(&error),
                    }
                }
            }
            Err(error) => is_all = !may_pass(&error),
        }
        found.retain(|listed| labelled(&listed.path).is_some_and(|(writer, _)| is_sought(writer)));
        disk::oldest_first(&mut found);
        (found, is_all)
    }

    /// Those of all destinations.
    fn folders(&self) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.root.join("spool"))?;
        let folder = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.ok()?;
            entry.file_type().ok()?.is_dir().then(|| entry.path())
        };
        Ok(entries.filter_map(folder).collect())
    }

    fn take_over(&mut self, path: &Path) -> Taken {
        let folder = PrivateDir::make(path.parent().unwrap_or(&self.root));
        match folder.and_then(|folder| Segment::adopt(&folder, path)) {
            Ok(Some(segment)) => Taken::Over(segment),
            Ok(None) => Taken::Later,
            Err(error) => self.not_taken(path, &error),
        }
    }

    fn not_taken(&mut self, path: &Path, error: &io::Error) -> Taken {
        if error.kind() != io::ErrorKind::NotFound {
            self.tell_foreign(path, &error.to_string());
        }
        if may_pass(error) {
            Taken::Later
        } else {
            Taken::Never
        }
    }

    /// The writer and the label of a segment of this lane's kinds, by its name.
    fn for_us<'a>(&mut self, path: &'a Path) -> Option<(&'a str, &'a str)> {
        let name = labelled(path);
        match name.map(|(_, label)| label) {
            Some(ALL | SPANS) if self.label == SPANS => name,
            Some(ALL | SPANS | OTHERS) if self.label == ALL => name,
            Some(OTHERS) if self.label == OTHERS => name,
            Some(ALL | SPANS | OTHERS) => None,
            // The lane of spans tells of it, which every destination has.
            _ if self.label == OTHERS => None,
            _ => {
                self.tell_foreign(path, "its name is not that of a segment");
                None
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

/// Too many files are open, say.
fn may_pass(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::queue::Budget;
    use super::*;
    use crate::config::Config;

    const SPANS: &[EventKind] = &[EventKind::Span];
    const OTHERS: &[EventKind] = &[EventKind::Evaluation, EventKind::Feedback];

    /// The spool of one folder, for as many clients as a test wants.
    struct Disk(Settings);

    impl Disk {
        fn new() -> Self {
            let name = format!("llmobs-lanes-{}", fastrand::u64(..));
            let dir = std::env::temp_dir().join(name);
            Self(Config::new().dir(dir).spool(true).settings().unwrap())
        }

        fn lane(&self, writer: &Writer, kinds: &[EventKind]) -> Spool {
            self.lane_in("x", writer, kinds)
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

    #[test]
    fn what_is_said_of_spans_is_found_in_the_folder_of_the_destination_that_was_replaced() {
        let disk = Disk::new();
        let writer = disk.left();
        write(
            &mut disk.lane_in("y", &writer, OTHERS),
            EventKind::Evaluation,
        );
        let other = &mut disk.lane_in("y", &Writer::new(), OTHERS);
        write(other, EventKind::Feedback);
        let mut others = disk.lane(&Writer::new(), OTHERS);
        let mut taken = Vec::new();
        while let Some(batches) = found(&mut others, true) {
            for batch in &batches {
                batch.place.as_ref().unwrap().settled();
            }
            taken.extend(kinds(&batches));
        }
        let one = (EventKind::Evaluation, 1);
        assert_eq!(taken, [one, one], "and not what was for the other only");
        let mut moved = others.moved_to("z".to_owned());
        write(
            &mut disk.lane_in("y", &writer, OTHERS),
            EventKind::Evaluation,
        );
        let batches = found(&mut moved, true).unwrap();
        assert_eq!(kinds(&batches), [one], "its spans are still there");
    }

    #[test]
    fn spans_of_a_writer_are_found_in_the_folder_of_the_destination_that_was_replaced() {
        let disk = Disk::new();
        let writer = disk.left();
        write(&mut disk.lane_in("y", &writer, SPANS), EventKind::Span);
        let evaluations = &mut disk.lane_in("y", &writer, OTHERS);
        write(evaluations, EventKind::Evaluation);
        let mut after = disk.lane_in("y", &Writer::new(), SPANS);
        let taken = after.spans_of(writer.name(), &|_| false);
        let (two, one) = ((EventKind::Span, 2), (EventKind::Span, 1));
        assert_eq!(kinds(&taken.batches), [two, one]);
        assert!(!taken.elsewhere);
    }
}
