//! A segment: a file that one writer appends to, and holds the lock of.
//!
//! `<segment>.ack` beside it says how far its events have been settled: the last complete
//! line of it that is a number, in bytes of the segment. A line `sent <first> <last>` says of the events
//! whose lines end there and between that they were sent as a whole, and not answered.
//!
//! Its folder may be removed at any time, by `git clean` or a job that tidies up. Then the file is
//! still open and takes what is written, and nobody will find that: so a segment looks whether its
//! path leads to it before it takes anything, and after.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::private::{self, PrivateDir};
use super::record::{self, Record};
use crate::clock;
use crate::process::NotInChildren;

/// How the name of a segment ends.
pub(crate) const EXTENSION: &str = "jsonl";
/// A longer line was not written by us: events have 5 MB at most. Fuzzing meets it with small files.
pub(crate) const LONGEST_LINE: u64 = if cfg!(fuzzing) {
    2 * 1024
} else {
    8 * 1024 * 1024
};

/// How much of the file beside a segment is looked at, from its end. Fuzzing meets it with small files.
const ACKS: u64 = if cfg!(fuzzing) { 64 } else { 4_096 };

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
    /// What earlier processes have sent without an answer, by the ends of the first and the last line.
    risked: Vec<(u64, u64)>,
}

/// What a reader of a segment finds, line by line.
pub(crate) enum Found<'a> {
    Record(Record<'a>),
    /// No line of ours.
    Foreign,
    /// Its writer was interrupted.
    Torn,
}

/// Who writes segments: a journal, or the spool of one client for one destination. It stands at
/// the beginning of their names, as `<process>-<start in ms>`, never twice.
#[derive(Clone, Debug)]
pub(crate) struct Writer(String);

impl Writer {
    pub(crate) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let now = clock::unix_ms();
        let later = |last| Some(now.max(last + 1));
        let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        let start = last.ok().and_then(later).unwrap_or(now);
        Self(format!("{}-{start}", std::process::id()))
    }

    #[cfg(test)]
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// The name of its next segment.
    fn next(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{}-{next}", self.0)
    }
}

/// The parts of a segment's name, `<process>-<start in ms>-<number>` and for the spool `-<label>`. Any
/// other name is not one of ours, whatever the file holds.
pub(crate) struct Name<'a> {
    /// Process and start.
    pub(crate) writer: &'a str,
    pub(crate) start_ms: u64,
    pub(crate) label: Option<&'a str>,
}

impl<'a> Name<'a> {
    pub(crate) fn of(path: &'a Path) -> Option<Self> {
        if path.extension()? != EXTENSION {
            return None;
        }
        let stem = path.file_stem()?.to_str()?;
        let mut parts = stem.splitn(4, '-');
        let (process, start, number) = (parts.next()?, parts.next()?, parts.next()?);
        let [_, start_ms, _] = [plain(process)?, plain(start)?, plain(number)?];
        let label = parts.next();
        // A name like `2024-01-01-notes` has parts of the same kind.
        let is_label =
            |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase());
        if !label.is_none_or(is_label) {
            return None;
        }
        Some(Self {
            writer: &stem[..process.len() + 1 + start.len()],
            start_ms,
            label,
        })
    }
}

/// A number as it is written by us: without sign and zeros in front.
fn plain(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The writer and the label in the name of a segment that has one.
pub(crate) fn labelled(path: &Path) -> Option<(&str, &str)> {
    let name = Name::of(path)?;
    Some((name.writer, name.label?))
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

fn ack_name(segment: &OsStr) -> OsString {
    let mut name = segment.to_owned();
    name.push(".ack");
    name
}

/// What a line of the file beside a segment begins with that tells of events that were sent.
const SENT: &str = "sent";

/// The complete lines at the end of the file beside a segment.
struct Beside(String);

impl Beside {
    fn read(dir: &PrivateDir, segment: &OsStr) -> Self {
        let Ok(mut ack) = dir.open(ack_name(segment), OpenOptions::new().read(true)) else {
            return Self(String::new());
        };
        // Many lines: where power was lost, the segment may be shorter than the last ones say.
        let from = ack.metadata().map_or(0, |metadata| metadata.len());
        let mut end = Vec::new();
        let read = ack
            .seek(SeekFrom::Start(from.saturating_sub(ACKS)))
            .and_then(|_| ack.take(ACKS).read_to_end(&mut end));
        let mut text = read.map_or_else(
            |_| String::new(),
            |_| String::from_utf8_lossy(&end).into_owned(),
        );
        text.truncate(text.rfind('\n').unwrap_or(0));
        if from > ACKS {
            // What is left of a line says something else.
            text.drain(..text.find('\n').unwrap_or(0));
        }
        Self(text)
    }

    /// The last line that can be true: one that was changed by somebody else must not settle events
    /// that are not.
    fn acked(&self, file: &File, len: u64) -> u64 {
        self.0
            .rsplit('\n')
            .filter_map(|line| line.parse().ok())
            .find(|to| *to == len || *to < len && begins_a_line(file, *to))
            .unwrap_or(0)
    }

    fn risked(&self) -> Vec<(u64, u64)> {
        let note = |line: &str| {
            let (first, last) = line.strip_prefix(SENT)?.trim_start().split_once(' ')?;
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        self.0.split('\n').filter_map(note).collect()
    }
}

/// Whether a line begins at `at`.
fn begins_a_line(mut file: &File, at: u64) -> bool {
    let Some(before) = at.checked_sub(1) else {
        return true;
    };
    let mut byte = [0];
    let read = file
        .seek(SeekFrom::Start(before))
        .and_then(|_| file.read_exact(&mut byte));
    read.is_ok() && byte == [b'\n']
}

#[cfg(test)]
mod removed;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::EventKind;

    fn folder() -> PrivateDir {
        PrivateDir::make(
            &std::env::temp_dir().join(format!("llmobs-segment-{}", Writer::new().next())),
        )
        .unwrap()
    }

    fn line(name: &str) -> Vec<u8> {
        let mut line = Vec::new();
        record::write(
            &mut line,
            EventKind::Span,
            1,
            format!(r#"{{"name":"{name}"}}"#).as_bytes(),
        );
        line
    }

    fn found(segment: &Segment) -> Vec<String> {
        let mut all = Vec::new();
        let each = |found: Found<'_>, _| {
            all.push(match found {
                Found::Record(record) => record.json.to_owned(),
                Found::Foreign => "foreign".to_owned(),
                Found::Torn => "torn".to_owned(),
            });
        };
        segment.scan(each).unwrap();
        all
    }

    #[test]
    fn a_segment_is_adopted_once_its_writer_is_gone_from_where_it_was_acknowledged() {
        let dir = folder();
        let segment = Segment::create(&dir, &Writer::new(), Some("spans")).unwrap();
        let first = segment.append(&line("a")).unwrap();
        let second = segment.append(&line("b")).unwrap();
        assert_eq!(first.end, second.start);
        segment.ack(first.end);
        let path = segment.path().to_owned();
        assert!(
            Segment::adopt(&dir, &path).unwrap().is_none(),
            "it has a writer"
        );
        drop(segment);
        let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
        assert_eq!(found(&adopted), [r#"{"name":"b"}"#]);
        assert_eq!(adopted.read(second).unwrap(), line("b"));
        adopted.remove();
        let gone = Segment::adopt(&dir, &path).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        fs::remove_dir_all(dir.path()).unwrap();
    }

    #[test]
    fn lines_that_are_not_ours_are_skipped_one_by_one() {
        let dir = folder();
        let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
        segment.append(&line("a")).unwrap();
        segment.append(b"nonsense\n\n").unwrap();
        let long = vec![b'x'; usize::try_from(LONGEST_LINE).unwrap() + 17];
        segment.append(&long).unwrap();
        segment.append(b"\n").unwrap();
        segment.append(&line("b")).unwrap();
        segment.append(br#"{"v":1,"kind":"sp"#).unwrap();
        let expected = [
            r#"{"name":"a"}"#,
            "foreign",
            "foreign",
            "foreign",
            r#"{"name":"b"}"#,
            "torn",
        ];
        assert_eq!(found(&segment), expected);
        fs::remove_dir_all(dir.path()).unwrap();
    }

    #[test]
    fn a_line_is_read_up_to_the_longest_and_what_is_behind_a_longer_one_too() {
        let dir = folder();
        let longest = usize::try_from(LONGEST_LINE).unwrap();
        let of_length = |length: usize| {
            let around = line("").len();
            line(&"x".repeat(length - around))
        };
        for (length, is_read) in [
            (longest - 1, true),
            (longest, true),
            (longest + 1, false),
            (longest + 2, false),
        ] {
            let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
            let long = of_length(length);
            assert_eq!(long.len(), length, "the end of the line included");
            segment.append(&long).unwrap();
            segment.append(&line("b")).unwrap();
            let all = found(&segment);
            assert_eq!(all[0] != "foreign", is_read, "{length}");
            assert_eq!(all[1..], [r#"{"name":"b"}"#], "{length}");
        }
        fs::remove_dir_all(dir.path()).unwrap();
    }

    #[test]
    fn an_acknowledgement_that_cannot_be_true_settles_nothing() {
        let dir = folder();
        let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
        let first = segment.append(&line("a")).unwrap();
        let second = segment.append(&line("b")).unwrap();
        segment.ack(first.end);
        let (path, ack) = (segment.path().to_owned(), segment.ack_path());
        drop(segment);
        let beyond = second.end + 1;
        let within = first.end + 3;
        for (written, expected) in [
            (format!("{}\n{beyond}\n", first.end), first.end),
            (format!("{}\n{within}\n", first.end), first.end),
            (format!("{beyond}\n"), 0),
            ("18446744073709551615\n".to_owned(), 0),
            (format!("{}\n", second.end), second.end),
        ] {
            fs::write(&ack, &written).unwrap();
            let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
            assert_eq!(adopted.acked(), expected, "{written:?}");
        }
        fs::remove_dir_all(dir.path()).unwrap();
    }

    #[test]
    fn an_acknowledgement_that_was_torn_counts_as_the_one_before() {
        let dir = folder();
        let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
        let first = segment.append(&line("a")).unwrap();
        segment.append(&line("b")).unwrap();
        segment.ack(first.end);
        let path = segment.path().to_owned();
        let mut ack = OpenOptions::new()
            .append(true)
            .open(segment.ack_path())
            .unwrap();
        ack.write_all(b"9").unwrap();
        drop(segment);
        let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
        assert_eq!(adopted.acked(), first.end);
        // What comes behind the torn one is a line of its own.
        let third = adopted.append(&line("c")).unwrap();
        adopted.ack(third.start);
        drop(adopted);
        let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
        assert_eq!(found(&adopted), [r#"{"name":"c"}"#]);
        let ack = adopted.ack_path();
        drop(adopted);
        for nonsense in ["", "\n", "x\n", "-1\n", "99999999999999999999999\n"] {
            fs::write(&ack, nonsense).unwrap();
            let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
            assert_eq!(adopted.acked(), 0, "{nonsense:?}");
        }
        fs::remove_dir_all(dir.path()).unwrap();
    }

    #[test]
    fn what_was_sent_without_an_answer_is_known_to_who_takes_a_segment_over() {
        let dir = folder();
        let segment = Segment::create(&dir, &Writer::new(), Some("evaluations")).unwrap();
        let ends = ["a", "b", "c", "d"].map(|name| segment.append(&line(name)).unwrap().end);
        segment.note_risk(ends[1], ends[2]);
        segment.ack(ends[0]);
        segment.note_risk(ends[2], ends[2]);
        assert_eq!(segment.risked(ends[1]), 0, "this process has no need of it");
        let path = segment.path().to_owned();
        drop(segment);
        let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
        assert_eq!(adopted.acked(), ends[0]);
        assert_eq!(ends.map(|end| adopted.risked(end)), [0, 1, 2, 0]);
    }

    #[test]
    fn half_a_line_at_the_beginning_of_what_is_looked_at_settles_nothing() {
        let dir = folder();
        let segment = Segment::create(&dir, &Writer::new(), Some("evaluations")).unwrap();
        let end = segment.append(&line("a")).unwrap().end;
        let path = segment.path().to_owned();
        let note = format!("{SENT} {end} {end}\n");
        // Wherever what is looked at begins, no end of a note is a number that settles.
        for more in 0..note.len() {
            let notes = note.repeat(usize::try_from(ACKS).unwrap());
            let beside = format!("{notes}{}\n", "x".repeat(more));
            std::fs::write(segment.ack_path(), beside).unwrap();
            let beside = Beside::read(&dir, path.file_name().unwrap());
            let open = segment.open();
            assert_eq!(beside.acked(&open.file, open.len), 0);
        }
    }

    /// The kernel writes up to the limit, and then no more.
    #[cfg(all(unix, feature = "enabled"))]
    #[test]
    #[cfg_attr(miri, ignore = "there is no fork")]
    #[allow(unsafe_code, reason = "calls of the system")]
    fn a_line_that_was_written_in_part_is_taken_back() {
        let is_so = || {
            let dir = folder();
            let segment = Segment::create(&dir, &Writer::new(), Some("spans")).unwrap();
            let first = segment.append(&line("first")).unwrap();
            let set = |bytes: libc::rlim_t| {
                let limit = libc::rlimit {
                    rlim_cur: bytes,
                    rlim_max: libc::RLIM_INFINITY,
                };
                // SAFETY: it reads a limit of ours; the signal is one that is never waited for.
                unsafe {
                    libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                    libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit)
                }
            };
            set(first.end + 5);
            let fails = segment.append(&line("second")).is_err();
            set(libc::RLIM_INFINITY);
            let third = segment.append(&line("third"));
            fails
                && third.is_ok_and(|third| third.start == first.end)
                && found(&segment) == [r#"{"name":"first"}"#, r#"{"name":"third"}"#]
        };
        // SAFETY: the child runs code of ours alone, which is made for it, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let is_so = std::panic::catch_unwind(is_so).unwrap_or(false);
            // SAFETY: it only ends the child.
            unsafe { libc::_exit(i32::from(!is_so)) };
        }
        let mut status = 0;
        // SAFETY: a child of ours, and a number of ours.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }
}
