//! The journal: events as lines in files, kept for the viewer. Nothing of this process reads
//! it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{Line, Outcome};
use crate::disk::private::PrivateDir;
use crate::disk::segment::{Segment, Writer};
use crate::disk::{self, Listed, record};
use crate::stats::EventKind;

/// A segment is closed when it passes this size.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// The journal's caps; the oldest segments go first.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
const OLDEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The journal of one folder.
#[derive(Clone)]
pub(crate) struct Journal {
    dir: PrivateDir,
    writer: Writer,
    segment: Arc<Mutex<Option<Segment>>>,
}

impl Journal {
    /// Makes the folder and the first segment in it.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let dir = disk::folder(root, "journal", None)?;
        let writer = Writer::new();
        let segment = begin(&dir, &writer)?;
        Ok(Self {
            dir,
            writer,
            segment: Arc::new(Mutex::new(Some(segment))),
        })
    }

    pub(super) fn name(&self) -> String {
        format!("journal {}", self.dir.path().display())
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
        let open = current.take_if(|one| one.len() < SEGMENT_BYTES && !one.is_torn());
        let segment = match open {
            Some(segment) => segment,
            None => begin(&self.dir, &self.writer)?,
        };
        let written = segment.append(&lines);
        *current = Some(segment);
        written.map(drop)
    }
}

fn begin(dir: &PrivateDir, writer: &Writer) -> io::Result<Segment> {
    let segment = Segment::create(dir, writer, None)?;
    prune(dir)?;
    Ok(segment)
}

/// Removes the oldest segments past the caps. One that is being written is locked and stays.
fn prune(dir: &PrivateDir) -> io::Result<()> {
    let segments = disk::list(dir.path())?;
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
        let unlocked = opened.is_ok_and(|file| file.try_lock().is_ok());
        if unlocked && fs::remove_file(&path).is_ok() {
            total -= bytes;
        }
    }
    Ok(())
}
