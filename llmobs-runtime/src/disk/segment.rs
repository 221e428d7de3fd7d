//! A segment: a file that one writer appends to, and holds the lock of.
//!
//! `<segment>.ack` beside it says how far its events have been settled (`segment/beside.rs`).
//!
//! Its folder may be removed at any time, by `git clean` or a job that tidies up. Then the file is
//! still open and takes what is written, and nobody will find that: so a segment looks whether its
//! path leads to it before it takes anything, and after.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::beside::{Beside, SENT, ack_name};
pub(crate) use self::name::{Name, Writer, labelled};
use super::private::{self, PrivateDir};
use super::record::{self, Record};
use crate::process::NotInChildren;

mod beside;
mod name;

/// How the name of a segment ends.
pub(crate) const EXTENSION: &str = "jsonl";
/// A longer line was not written by us: events have 5 MB at most. Fuzzing meets it with small files.
pub(crate) const LONGEST_LINE: u64 = if cfg!(fuzzing) {
    2 * 1024
} else {
    8 * 1024 * 1024
};

/// An open segment. Its lock goes with it.
#[derive(Debug)]
pub(crate) struct Segment {
    dir: PrivateDir,
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    /// Goes before the file.
    _closed_in_children: NotInChildren,
    file: File,
    len: u64,
    /// A part of a line stands at its end and could not be taken back.
    torn: bool,
    /// It was removed, or moved: it takes no more.
    gone: bool,
    ack: Option<File>,
    acked: u64,
    /// The events that earlier processes have sent without an answer, by the ends of the first and the last line.
    risked: Vec<(u64, u64)>,
}

/// A line of a segment as its reader finds it.
pub(crate) enum Found<'a> {
    Record(Record<'a>),
    /// No line of ours.
    Foreign,
    /// Its writer was interrupted.
    Torn,
}

impl Segment {
    /// A new one in `dir`; `label` stands at the end of its name.
    pub(crate) fn create(
        dir: &PrivateDir,
        writer: &Writer,
        label: Option<&str>,
    ) -> io::Result<Self> {
        loop {
            let label = label.map_or_else(String::new, |label| format!("-{label}"));
            let name = format!("{}{label}.{EXTENSION}", writer.next());
            let path = dir.path().join(&name);
            let file = match dir.create(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            // Another process may take it for one that was left behind, until the lock is ours.
            match file.try_lock() {
                Ok(()) if path.exists() => return Ok(Self::new(dir, path, file, 0, 0)),
                Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => {
                    drop(fs::remove_file(&path));
                    return Err(error);
                }
            }
        }
    }

    /// Takes over the segment of a writer that is gone; `None` where somebody has it. An error of the
    /// kind `NotFound` where it was delivered in the meantime, and of the kind `PermissionDenied`
    /// where it is none of ours.
    pub(crate) fn adopt(dir: &PrivateDir, path: &Path) -> io::Result<Option<Self>> {
        let name = path.file_name().unwrap_or_default();
        let file = dir.open(name, OpenOptions::new().read(true).append(true))?;
        private::check(path, &file)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        // Names are never used twice: one that is gone was delivered in the meantime.
        fs::symlink_metadata(path)?;
        let len = file.metadata()?.len();
        let beside = Beside::read(dir, name);
        let acked = beside.acked(&file, len);
        let segment = Self::new(dir, path.to_owned(), file, len, acked);
        segment.open().risked = beside.risked();
        Ok(Some(segment))
    }

    fn new(dir: &PrivateDir, path: PathBuf, file: File, len: u64, acked: u64) -> Self {
        let open = Open {
            _closed_in_children: NotInChildren::new(&file),
            file,
            len,
            torn: false,
            gone: false,
            ack: None,
            acked,
            risked: Vec::new(),
        };
        Self {
            dir: dir.clone(),
            path,
            open: Mutex::new(open),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.open().len
    }

    /// How far its events have been settled.
    pub(crate) fn acked(&self) -> u64 {
        self.open().acked
    }

    /// Appends whole lines, all of them or none, and says where they stand.
    ///
    /// # Errors
    ///
    /// As the file system says: a full disk, say. Where a part of a line could not be taken
    /// back, the segment [is torn](Self::is_torn) and takes no more; and where it was removed, it
    /// [is gone](Self::is_gone).
    pub(crate) fn append(&self, lines: &[u8]) -> io::Result<Range<u64>> {
        let mut open = self.open();
        let from = open.len;
        if open.torn {
            return Err(io::Error::other("a line of it is torn"));
        }
        self.look_for_it(&mut open)?;
        if let Err(error) = open.file.write_all(lines) {
            open.torn = open.file.set_len(from).is_err();
            return Err(error);
        }
        open.len += lines.len() as u64;
        let len = open.len;
        self.look_for_it(&mut open)?;
        Ok(from..len)
    }

    /// Whether it was removed or moved, so that nobody would find what is in it.
    pub(crate) fn is_gone(&self) -> bool {
        self.look_for_it(&mut self.open()).is_err()
    }

    fn look_for_it(&self, open: &mut Open) -> io::Result<()> {
        open.gone = open.gone || !leads_to(&self.path, &open.file);
        if open.gone {
            let told = format!("{} was removed while it was open", self.path.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, told));
        }
        Ok(())
    }

    pub(crate) fn is_torn(&self) -> bool {
        self.open().torn
    }

    /// Reads a part again.
    pub(crate) fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut open = self.open();
        open.file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = Vec::new();
        (&open.file)
            .take(range.end.saturating_sub(range.start))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Goes through what is not settled yet, line by line, each with where it stands.
    pub(crate) fn scan(&self, mut each: impl FnMut(Found<'_>, Range<u64>)) -> io::Result<()> {
        let mut open = self.open();
        let mut at = open.acked;
        open.file.seek(SeekFrom::Start(at))?;
        let mut reader = BufReader::with_capacity(64 * 1024, &open.file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut reader)
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            let mut end = at + read as u64;
            let found = if line.pop_if(|last| *last == b'\n').is_some() {
                record::read(&line).map_or(Found::Foreign, Found::Record)
            } else if read as u64 == LONGEST_LINE {
                end += reader.skip_until(b'\n')? as u64;
                Found::Foreign
            } else {
                Found::Torn
            };
            each(found, at..end);
            at = end;
        }
    }

    /// Remembers that everything before `to` is settled. Where that cannot be written, a later
    /// process delivers it again.
    pub(crate) fn ack(&self, to: u64) {
        let mut open = self.open();
        if to <= open.acked {
            return;
        }
        open.acked = to;
        self.write_beside(&mut open, &to.to_string());
    }

    /// Remembers that the events whose lines end there and between were sent as a whole, and not
    /// answered. This process has no need of it.
    pub(crate) fn note_risk(&self, first: u64, last: u64) {
        self.write_beside(&mut self.open(), &format!("{SENT} {first} {last}"));
    }

    /// How often earlier processes have noted that of the event whose line ends there.
    pub(crate) fn risked(&self, end: u64) -> usize {
        let open = self.open();
        let noted = open.risked.iter();
        noted
            .filter(|(first, last)| (*first..=*last).contains(&end))
            .count()
    }

    fn write_beside(&self, open: &mut Open, line: &str) {
        if self.look_for_it(open).is_err() {
            return;
        }
        let ack_path = self.ack_path();
        open.ack.take_if(|ack| !leads_to(&ack_path, ack));
        if open.ack.is_none() {
            let name = ack_name(self.path.file_name().unwrap_or_default());
            let ack = match self.dir.create(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.dir.open(&name, OpenOptions::new().append(true))
                }
                created => created,
            };
            open.ack = ack.ok();
        }
        if let Some(ack) = &mut open.ack {
            // Behind a line that was torn it would be read as one with it.
            drop(ack.write_all(format!("\n{line}\n").as_bytes()));
        }
    }

    /// Removes it from the disk.
    pub(crate) fn remove(&self) {
        if self.is_gone() {
            return;
        }
        drop(fs::remove_file(&self.path));
        drop(fs::remove_file(self.ack_path()));
    }

    /// Puts it out of the way of readers, under a name that says why.
    pub(crate) fn set_aside(&self) {
        if self.is_gone() {
            return;
        }
        drop(fs::rename(&self.path, self.path.with_extension("corrupt")));
        drop(fs::remove_file(self.ack_path()));
    }

    fn ack_path(&self) -> PathBuf {
        self.dir
            .path()
            .join(ack_name(self.path.file_name().unwrap_or_default()))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the file at `path` is this one. An error that says nothing of that counts as a yes.
fn leads_to(path: &Path, file: &File) -> bool {
    match fs::symlink_metadata(path) {
        #[cfg(unix)]
        Ok(there) => {
            use std::os::unix::fs::MetadataExt as _;
            let is_here =
                |here: fs::Metadata| (here.dev(), here.ino()) == (there.dev(), there.ino());
            file.metadata().map_or(true, is_here)
        }
        #[cfg(not(unix))]
        Ok(_) => {
            let _ = file;
            true
        }
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ),
    }
}

#[cfg(test)]
mod removed;

#[cfg(test)]
mod tests;
