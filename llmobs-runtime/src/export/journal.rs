//! The journal: events as lines in files, kept for the viewer. Nothing of this process reads
//! it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{Line, Outcome};
use crate::disk::private::{self, PrivateDir};
use crate::disk::segment::{Name, Segment, Writer};
use crate::disk::{self, Listed, record};
use crate::report;
use crate::stats::EventKind;

const FOLDER: &str = "journal";
/// A segment is closed when it passes this size.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// The journal's caps; the oldest segments go first.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
const OLDEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// No writer of ours has started before this moment, in 2001; numbers in the names of others are
/// smaller.
const FIRST_START_MS: u64 = 1_000_000_000_000;

/// The journal of one folder.
#[derive(Clone)]
pub(crate) struct Journal {
    root: PathBuf,
    writer: Writer,
    /// The segment that is written, and how many events it has got.
    segment: Arc<Mutex<Option<(Segment, usize)>>>,
}

impl Journal {
    /// Makes the folder and the first segment in it.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let writer = Writer::new();
        let segment = begin(root, &writer)?;
        Ok(Self {
            root: root.to_owned(),
            writer,
            segment: Arc::new(Mutex::new(Some((segment, 0)))),
        })
    }

    pub(super) fn name(&self) -> String {
        format!("journal {}", self.root.join(FOLDER).display())
    }

    pub(super) fn export(&self, kind: EventKind, events: &[Line<'_>]) -> Outcome {
        match self.append(kind, events) {
            Ok(()) => Outcome::Delivered,
            Err(error) => Outcome::Retry {
                after: None,
                reason: error.to_string(),
            },
        }
    }

    fn append(&self, kind: EventKind, events: &[Line<'_>]) -> io::Result<()> {
        let mut lines = Vec::new();
        for event in events {
            record::write(&mut lines, kind, event.made_ms, event.json);
        }
        let mut current = self.segment.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |(one, _): &mut (Segment, usize)| one.len() < SEGMENT_BYTES && !one.is_torn();
        if let Some((segment, held)) = current.take_if(fits) {
            let written = segment.append(&lines);
            if !segment.is_gone() {
                let more = written.as_ref().map_or(0, |_| events.len());
                *current = Some((segment, held + more));
                return written.map(drop);
            }
            report::warn(|| {
                let path = segment.path().display();
                format!(
                    "{path} was removed while llmobs was writing to it: the {held} events in it \
                     are gone; another file is begun"
                )
            });
        }
        let segment = begin(&self.root, &self.writer)?;
        let written = segment.append(&lines);
        let held = written.as_ref().map_or(0, |_| events.len());
        *current = Some((segment, held));
        written.map(drop)
    }
}

/// A new segment, in a folder that is made anew where it has gone.
fn begin(root: &Path, writer: &Writer) -> io::Result<Segment> {
    let dir = disk::folder(root, FOLDER, None)?;
    let segment = Segment::create(&dir, writer, None)?;
    prune(&dir)?;
    Ok(segment)
}

/// Whether a name is one that a journal gives to its segments.
fn is_ours(listed: &Listed) -> bool {
    let name = Name::of(&listed.path);
    name.is_some_and(|name| name.label.is_none() && name.start_ms >= FIRST_START_MS)
}

/// Removes the oldest segments past the caps. One that is being written is locked and stays, and what is
/// not ours, by its name or its owner, is none of our business.
fn prune(dir: &PrivateDir) -> io::Result<()> {
    let mut segments = disk::list(dir.path())?;
    segments.retain(is_ours);
    let mut total: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let now = SystemTime::now();
    for Listed {
        path,
        bytes,
        modified,
    } in segments
    {
        let old = now.duration_since(modified).is_ok_and(|age| age > OLDEST);
        if !old && total <= MOST_BYTES {
            break;
        }
        let name = path.file_name().unwrap_or_default();
        let opened = dir.open(name, OpenOptions::new().read(true));
        let removable =
            |file: File| private::check(&path, &file).is_ok() && file.try_lock().is_ok();
        if opened.is_ok_and(removable) && fs::remove_file(&path).is_ok() {
            total -= bytes;
        }
    }
    Ok(())
}
