//! A segment of the spool with any bytes in it: what is read of it was written as a whole, what was
//! written is read again whatever stands around it, and what is settled stays settled.
//!
//! An input is what `<segment>.ack` holds, a NUL, and the segment; without a NUL all of it is the
//! segment, and there is no such file.
#![no_main]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use llmobs_runtime::fuzzing::{self, Line, Spooled};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

const LONGEST_LINE: usize = fuzzing::LONGEST_LINE as usize;

/// What was found, each with where it stands.
type Lines = Vec<(Range<u64>, Line)>;

/// A folder that goes once its input is through; that of an input that fails stays, to be looked at.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("llmobs-fuzz-spool-{}", std::process::id());
        // Five times as many inputs a second as on a disk.
        let memory = Path::new("/dev/shm");
        let above = match memory.is_dir() {
            true => memory.to_owned(),
            false => std::env::temp_dir(),
        };
        Self(above.join(name))
    }

    /// The segment of a process that is gone, and how far it had told that it was settled.
    fn left(&self, bytes: &[u8], ack: Option<&[u8]>) -> PathBuf {
        let segment = Spooled::create(&self.0).expect("a segment");
        segment.append(bytes).expect("room on the disk");
        let path = segment.path().to_owned();
        if let Some(ack) = ack {
            fs::write(format!("{}.ack", path.display()), ack).expect("room on the disk");
        }
        path
    }

    fn adopt(&self, path: &Path) -> Spooled {
        let adopted = Spooled::adopt(&self.0, path).expect("a segment");
        adopted.expect("its writer is gone")
    }

    /// What a later process reads of a segment that holds `bytes`.
    fn read(&self, bytes: &[u8]) -> Lines {
        checked(&self.adopt(&self.left(bytes, None)), bytes)
    }

    fn remove(self) {
        fs::remove_dir_all(&self.0).expect("a folder");
    }
}

/// The lines of a segment, which are those of `bytes`, all of them, each read as what it is.
fn checked(segment: &Spooled, bytes: &[u8]) -> Lines {
    let lines = segment.lines().expect("a file that can be read");
    let start = segment.settled();
    let mut at = start;
    for (range, line) in &lines {
        assert_eq!(range.start, at);
        at = range.end;
        let text = part(bytes, range);
        let is_last = at == bytes.len() as u64;
        let body = text.strip_suffix(b"\n");
        assert!(body.is_some() || is_last && !text.is_empty());
        assert!(!body.unwrap_or(text).contains(&b'\n'), "it is one line");
        let fits = text.len() <= LONGEST_LINE;
        match (line, body) {
            (Line::Record { .. }, Some(body)) if fits => assert_whole(body, line),
            (Line::Foreign, Some(body)) => assert!(!fits || written(body).is_none(), "{range:?}"),
            (Line::Foreign, None) => assert!(text.len() >= LONGEST_LINE, "{range:?}"),
            (Line::Torn, None) => assert!(text.len() < LONGEST_LINE, "{range:?}"),
            _ => panic!("{range:?} was read as {line:?}"),
        }
    }
    let end = bytes.len() as u64;
    assert_eq!(at, end);
    let again = segment.read(start..end).expect("a file that can be read");
    assert_eq!(again, part(bytes, &(start..end)));
    lines
}

fn part<'a>(bytes: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    &bytes[range.start as usize..range.end as usize]
}

fn is_object(json: &str) -> bool {
    let is_json = serde_json::from_str::<IgnoredAny>(json).is_ok();
    is_json && json.starts_with('{') && json.ends_with('}')
}

/// The record of a line in the very form in which one is written.
fn written(line: &[u8]) -> Option<Line> {
    let rest = std::str::from_utf8(line).ok()?;
    let rest = rest.strip_prefix(r#"{"v":1,"kind":""#)?;
    let (kind, rest) = rest.split_once(r#"","made_ms":"#)?;
    let (made_ms, rest) = rest.split_once(r#","event":"#)?;
    let json = rest.strip_suffix('}')?;
    let kind = ["span", "evaluation", "feedback"]
        .into_iter()
        .find(|known| *known == kind)?;
    let number: u64 = made_ms.parse().ok()?;
    (is_object(json) && number.to_string() == made_ms).then(|| Line::Record {
        kind,
        made_ms: number,
        json: json.to_owned(),
    })
}

/// A record is read of nothing but a whole line, and is what that line says.
fn assert_whole(body: &[u8], record: &Line) {
    let Line::Record {
        kind,
        made_ms,
        json,
    } = record
    else {
        return;
    };
    let text = std::str::from_utf8(body).expect("text");
    assert!(is_object(text.trim_end()) && is_object(json), "{text}");
    assert!(text.contains(json.as_str()), "{text}");
    if let Some(written) = written(body) {
        assert_eq!(*record, written);
    }
    // What nests too deeply, and half a surrogate pair, is no `Value`.
    if let (Ok(line), Ok(event)) = (
        serde_json::from_slice::<Value>(body),
        serde_json::from_str(json),
    ) {
        let told = json!({"v": 1, "kind": kind, "made_ms": made_ms, "event": Value::clone(&event)});
        for (key, value) in told.as_object().expect("an object") {
            assert_eq!(line[key], *value, "{key}");
        }
    }
}

/// How far a file beside a segment says that it is settled; `None` where more stands there than is
/// looked at.
fn told(ack: &[u8], segment: &[u8]) -> Option<u64> {
    if ack.len() > 64 {
        return None;
    }
    let mut lines: Vec<&[u8]> = ack.split(|byte| *byte == b'\n').collect();
    // What stands behind the last newline is no line yet.
    lines.pop();
    let number = |line: &&[u8]| std::str::from_utf8(line).ok()?.parse::<usize>().ok();
    let may_be = |to: &usize| {
        *to == 0 || *to == segment.len() || *to < segment.len() && segment[*to - 1] == b'\n'
    };
    let numbers = lines.iter().rev().filter_map(number);
    Some(numbers.into_iter().find(may_be).unwrap_or(0) as u64)
}

/// Any bytes: each line is one of ours or is not, and what is settled is not read again.
fn any_bytes(folder: &Folder, bytes: &[u8], ack: Option<&[u8]>, random: usize) {
    let path = folder.left(bytes, ack);
    let segment = folder.adopt(&path);
    let len = bytes.len() as u64;
    if let Some(told) = told(ack.unwrap_or_default(), bytes) {
        assert_eq!(segment.settled(), told);
    }
    let lines = checked(&segment, bytes);
    let settled = random % (lines.len() + 1);
    if let Some((range, _)) = lines[..settled].last() {
        segment.settle(range.end);
    }
    drop(segment);
    let segment = folder.adopt(&path);
    assert_eq!(checked(&segment, bytes), lines[settled..]);
    segment.settle(len);
    drop(segment);
    assert_eq!(checked(&folder.adopt(&path), bytes), []);
}

/// Lines of ours, each with the record that it is read as.
struct Ours {
    bytes: Vec<u8>,
    records: Lines,
}

fn ours(input: &[u8]) -> Ours {
    let text: String = String::from_utf8_lossy(input).chars().take(64).collect();
    let json = json!({"text": text, "nested": {"v": 1, "event": {}}}).to_string();
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    for (kind, made_ms, json) in [
        ("span", 0, json.as_str()),
        ("evaluation", u64::MAX, "{}"),
        ("feedback", 17, json.as_str()),
    ] {
        let start = bytes.len() as u64;
        bytes.extend(fuzzing::line(kind, made_ms, json).expect("a kind"));
        let json = json.to_owned();
        records.push((
            start..bytes.len() as u64,
            Line::Record {
                kind,
                made_ms,
                json,
            },
        ));
    }
    Ours { bytes, records }
}

/// The records, without where they stand.
fn told_by(lines: &[(Range<u64>, Line)]) -> Vec<&Line> {
    lines.iter().map(|(_, line)| line).collect()
}

/// Garbage between lines of ours takes at most the line with it that it runs into.
fn garbage_between(folder: &Folder, ours: &Ours, garbage: &[u8]) {
    let bytes = [&ours.bytes, garbage, &ours.bytes].concat();
    let lines = folder.read(&bytes);
    let count = ours.records.len();
    assert_eq!(lines[..count], ours.records);
    let (rest, behind) = lines.split_at(lines.len() - count);
    let (first, others) = behind.split_first().expect("a line");
    assert_eq!(told_by(others), told_by(&ours.records[1..]));
    if garbage.is_empty() || garbage.ends_with(b"\n") {
        assert_eq!(first.1, ours.records[0].1);
    } else {
        assert_eq!(first.1, Line::Foreign);
    }
    assert!(rest.len() >= count);
}

/// What ends anywhere, as where its writer was killed, is read up to there; so is what goes on with
/// the zeros of a file system that had the length of the file already and not its content.
fn cut_off(folder: &Folder, ours: &Ours, at: usize) {
    let whole = |(range, _): &&(Range<u64>, Line)| range.end <= at as u64;
    let whole: Lines = ours.records.iter().take_while(whole).cloned().collect();
    let end = whole.last().map_or(0, |(range, _)| range.end);
    let mut bytes = ours.bytes[..at].to_vec();
    for len in [at, ours.bytes.len()] {
        bytes.resize(len, 0);
        let mut expected = whole.clone();
        if end < len as u64 {
            expected.push((end..len as u64, Line::Torn));
        }
        assert_eq!(folder.read(&bytes), expected);
    }
}

/// A byte that is another than was written changes its own line, and the next one where it ended a
/// line; no line is made of a part of one, or of two.
fn one_byte(folder: &Folder, ours: &Ours, at: usize, byte: u8) {
    let mut bytes = ours.bytes.clone();
    let ended_a_line = std::mem::replace(&mut bytes[at], byte) == b'\n' && byte != b'\n';
    let at = at as u64;
    let lines = folder.read(&bytes);
    for record in &ours.records {
        let is_hit = record.0.contains(&at) || ended_a_line && record.0.start == at + 1;
        assert!(is_hit || lines.contains(record), "{record:?}");
    }
    for (range, line) in &lines {
        let was_a_line = ours.records.iter().any(|(known, _)| known == range);
        assert!(
            was_a_line || !matches!(line, Line::Record { .. }),
            "{line:?}"
        );
    }
}

fuzz_target!(|input: &[u8]| {
    let (ack, bytes) = match input.iter().position(|byte| *byte == 0) {
        Some(at) => (Some(&input[..at]), &input[at + 1..]),
        None => (None, input),
    };
    let mut sum = 0_usize;
    for byte in input {
        sum = sum.wrapping_mul(31).wrapping_add(usize::from(*byte));
    }
    let folder = Folder::new();
    any_bytes(&folder, bytes, ack, sum);
    let ours = ours(bytes);
    garbage_between(&folder, &ours, bytes);
    let at = sum % ours.bytes.len();
    cut_off(&folder, &ours, at);
    one_byte(&folder, &ours, at, bytes.first().copied().unwrap_or(b'\n'));
    folder.remove();
});
