//! What writers that are gone have left: found, and taken over, spans before what is said of them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{ALL, Kept, OTHERS, Place, SPANS, Spool};
use crate::disk::private::PrivateDir;
use crate::disk::segment::{Found, Segment, labelled};
use crate::disk::{self, Listed};
use crate::export;
use crate::report;
use crate::worker::batch::Batch;

/// How often segments of processes that have gone are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How many files that are not ours are told of.
const MOST_TOLD: usize = 100;

/// What a lane knows of the writers beside it.
pub(super) struct Others {
    /// When to look for what they have left.
    look: Instant,
    /// Those that have, or had, segments in the folder, and have some anywhere.
    met: HashSet<String>,
    told_foreign: HashSet<PathBuf>,
}

impl Others {
    pub(super) fn new() -> Self {
        Self {
            look: Instant::now(),
            met: HashSet::new(),
            told_foreign: HashSet::new(),
        }
    }
}

/// What a lane that looks for what others have left knows of the others.
pub(in crate::worker) struct Beside<'a> {
    /// Whether the lane has that segment already.
    pub(in crate::worker) is_here: &'a dyn Fn(&Path) -> bool,
    /// Makes the line of spans take over those of a writer; `false` where some are not to be had now.
    pub(in crate::worker) take_spans_of: &'a dyn Fn(&str) -> bool,
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
pub(in crate::worker) struct Spans {
    pub(in crate::worker) batches: Vec<Batch>,
    /// Some are not to be had now: another process has taken them over.
    pub(in crate::worker) elsewhere: bool,
}

impl Spool {
    /// When to look for what others have left.
    pub(in crate::worker) fn look(&self) -> Instant {
        self.others.look
    }

    /// Takes over the oldest segment whose writer is gone, as batches. Where there is none,
    /// that is looked for again after a while.
    pub(in crate::worker) fn adopt(&mut self, beside: &Beside<'_>) -> Option<Vec<Batch>> {
        let adopted = self.try_adopt(beside).unwrap_or_else(|error| {
            self.tell_foreign(&self.dir.clone(), &error.to_string());
            None
        });
        if adopted.is_none() {
            self.others.look = Instant::now() + LOOK_AGAIN;
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

    /// What is in the destination's folder, and what the writers that were met there have in others that
    /// it may be taken from: their destination had been replaced, and what belongs together goes to one place.
    fn left(&mut self) -> io::Result<Vec<Listed>> {
        let mut left = Vec::new();
        if self.dir.exists() {
            left = disk::list(self.folder()?.path())?;
            let writers = left.iter().filter_map(|listed| labelled(&listed.path));
            self.others
                .met
                .extend(writers.map(|(writer, _)| writer.to_owned()));
        }
        if self.others.met.is_empty() {
            return Ok(left);
        }
        let (mut of_met, is_all) = self.segments_of(|writer| self.others.met.contains(writer));
        if is_all {
            let writers = of_met.iter().filter_map(|listed| labelled(&listed.path));
            self.others.met = writers.map(|(writer, _)| writer.to_owned()).collect();
        }
        of_met.retain(|listed| !listed.path.starts_with(&self.dir));
        left.extend(of_met);
        disk::oldest_first(&mut left);
        Ok(left)
    }

    /// Takes over what a writer has left of spans, which goes before what is said of them.
    pub(in crate::worker) fn spans_of(
        &mut self,
        writer: &str,
        is_here: &dyn Fn(&Path) -> bool,
    ) -> Spans {
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

    /// The segments of some writers in the folders that they may be taken from, the oldest first, and whether
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

    /// The destination's, and those of others where what its writers have left may be taken from.
    fn folders(&self) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.root.join("spool"))?;
        let folder = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let name = name.to_str()?;
            (self.may_take_from(name) && entry.file_type().ok()?.is_dir()).then(|| entry.path())
        };
        Ok(entries.filter_map(folder).collect())
    }

    /// Never what is for the intake with another key: it may be another account's. Whom an Agent sends to
    /// is not known, but its writers have sent to our destination as well.
    fn may_take_from(&self, folder: &str) -> bool {
        folder == self.name
            || export::is_of_agent(folder)
            || self.own_intake.as_deref() == Some(folder)
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
        if self.others.told_foreign.len() < MOST_TOLD
            && self.others.told_foreign.insert(path.to_owned())
        {
            report::warn(|| format!("{} in the spool is skipped: {reason}", path.display()));
        }
    }
}

/// Too many files are open, say.
fn may_pass(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::disk::segment::Writer;
    use crate::stats::EventKind;

    /// One that touches no disk.
    fn lane(kinds: &[EventKind]) -> Spool {
        let settings = Config::new().dir("nowhere").settings().unwrap();
        Spool::new("agent-x", &Writer::new(), kinds, &settings)
    }

    #[test]
    fn a_lane_takes_what_is_of_its_kinds_and_one_of_them_tells_of_what_is_nobodys() {
        const OTHERS: &[EventKind] = &[EventKind::Evaluation, EventKind::Feedback];
        let names = ["spans", "evaluations", "events", "others"];
        for (kinds, taken, tells) in [
            (&[EventKind::Span][..], [true, false, true, false], true),
            (OTHERS, [false, true, false, false], false),
            (&EventKind::ALL, [true, true, true, false], true),
        ] {
            let mut spool = lane(kinds);
            let found = names.map(|label| {
                let path = PathBuf::from(format!("1-2-3-{label}.jsonl"));
                let found = spool.for_us(&path);
                assert!(found.is_none_or(|found| found == ("1-2", label)));
                found.is_some()
            });
            assert_eq!(found, taken, "{kinds:?}");
            let foreign = &spool.others.told_foreign;
            assert_eq!(foreign.len(), usize::from(tells), "{kinds:?}");
        }
    }

    #[test]
    fn a_hundred_files_that_are_not_ours_are_told_of() {
        let mut spool = lane(&EventKind::ALL);
        for number in 0..200 {
            let path = PathBuf::from(format!("notes-{number}.jsonl"));
            spool.tell_foreign(&path, "of the test");
            let told = spool.others.told_foreign.len();
            assert_eq!(told, (number + 1).min(MOST_TOLD));
        }
    }

    #[test]
    fn what_may_pass_is_asked_again() {
        for (kind, may) in [
            (io::ErrorKind::NotFound, false),
            (io::ErrorKind::PermissionDenied, false),
            (io::ErrorKind::NotADirectory, true),
            (io::ErrorKind::Other, true),
        ] {
            assert_eq!(may_pass(&kind.into()), may, "{kind}");
        }
    }
}
