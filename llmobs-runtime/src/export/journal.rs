//! The journal: events as lines in files, kept for the viewer.
//!
//! A line is `{"v":1,"kind":…,"made_ms":…,"event":{…}}`. A segment has one writer, which
//! holds its lock; nothing of this process reads it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{Line, Outcome};
use crate::clock;
use crate::private_files::{self, PrivateDir};
use crate::stats::EventKind;

/// A segment is closed when it passes this size.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// The journal's caps; the oldest segments go first.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
const OLDEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The journal of one folder.
#[derive(Clone)]
pub(crate) struct Journal {
    dir: PathBuf,
    writer: Arc<Mutex<Writer>>,
}

struct Writer {
    dir: PrivateDir,
    started_ms: u64,
    next: u32,
    segment: Option<(File, u64)>,
}

impl Journal {
    /// Makes the folder and the first segment in it.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let dir = root.join("journal");
        private_files::make_root(root)?;
        ignore(root)?;
        let mut writer = Writer {
            dir: PrivateDir::make(&dir)?,
            started_ms: clock::unix_ms(),
            next: 0,
            segment: None,
        };
        writer.rotate()?;
        Ok(Self {
            dir,
            writer: Arc::new(Mutex::new(writer)),
        })
    }

    pub(super) fn name(&self) -> String {
        format!("journal {}", self.dir.display())
    }

    pub(super) fn export(&self, kind: EventKind, events: &[Line<'_>]) -> Outcome {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match writer.append(kind, events) {
            Ok(()) => Outcome::Delivered,
            Err(error) => Outcome::Retry {
                after: None,
                reason: error.to_string(),
            },
        }
    }
}

impl Writer {
    fn append(&mut self, kind: EventKind, events: &[Line<'_>]) -> io::Result<()> {
        let mut lines = Vec::new();
        for event in events {
            line(&mut lines, kind, event);
        }
        if self
            .segment
            .as_ref()
            .is_none_or(|(_, size)| *size >= SEGMENT_BYTES)
        {
            self.rotate()?;
        }
        let Some((file, size)) = &mut self.segment else {
            return Err(io::Error::other("no segment is open"));
        };
        if let Err(error) = file.write_all(&lines) {
            // A torn line at the end: cut it off, or let the next attempt begin a new segment.
            if file.set_len(*size).is_err() {
                self.segment = None;
            }
            return Err(error);
        }
        *size += lines.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let file = loop {
            let name = format!(
                "{}-{}-{}.jsonl",
                std::process::id(),
                self.started_ms,
                self.next
            );
            self.next += 1;
            match self.dir.create(name) {
                // Another client of this process began in the same millisecond.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => break opened?,
            }
        };
        file.lock()?;
        self.segment = Some((file, 0));
        prune(&self.dir)
    }
}

fn line(lines: &mut Vec<u8>, kind: EventKind, event: &Line<'_>) {
    let head = format!(
        r#"{{"v":1,"kind":"{}","made_ms":{},"event":"#,
        kind.as_str(),
        event.made_ms
    );
    lines.extend(head.as_bytes());
    lines.extend(event.json);
    lines.extend(b"}\n");
}

/// Keeps the folder out of version control.
fn ignore(root: &Path) -> io::Result<()> {
    match private_files::create(&root.join(".gitignore")) {
        Ok(mut file) => file.write_all(b"*\n"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the oldest segments past the caps. One that is being written is locked and stays.
fn prune(dir: &PrivateDir) -> io::Result<()> {
    let mut segments: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(dir.path())?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let path = entry.path();
            let metadata = entry.metadata().ok()?;
            let is_segment = path
                .extension()
                .is_some_and(|extension| extension == "jsonl");
            (is_segment && metadata.is_file()).then_some((
                metadata.modified().ok()?,
                metadata.len(),
                path,
            ))
        })
        .collect();
    segments.sort();
    let mut total: u64 = segments.iter().map(|(_, size, _)| size).sum();
    let now = SystemTime::now();
    for (modified, size, path) in segments {
        let old = now.duration_since(modified).is_ok_and(|age| age > OLDEST);
        if !old && total <= MOST_BYTES {
            break;
        }
        let Some(name) = path.file_name() else {
            continue;
        };
        let opened = dir.open(name, OpenOptions::new().read(true));
        let unlocked = opened.is_ok_and(|file| file.try_lock().is_ok());
        if unlocked && fs::remove_file(&path).is_ok() {
            total -= size;
        }
    }
    Ok(())
}
