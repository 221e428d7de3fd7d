//! The file beside a segment, `<segment>.ack`: how far its events have been settled, and which of them
//! were sent as a whole and not answered.
//!
//! Its complete lines are read from the end. A number is a length of the segment up to which everything
//! is settled; a line `sent <first> <last>` names the events whose lines end there and between.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};

use crate::disk::private::PrivateDir;

/// How much of the file is looked at, from its end. Fuzzing meets it with small files.
pub(super) const ACKS: u64 = if cfg!(fuzzing) { 64 } else { 4_096 };

pub(super) fn ack_name(segment: &OsStr) -> OsString {
    let mut name = segment.to_owned();
    name.push(".ack");
    name
}

/// The word that begins a line about events that were sent.
pub(super) const SENT: &str = "sent";

/// The complete lines at the end of the file beside a segment.
pub(super) struct Beside(String);

impl Beside {
    pub(super) fn read(dir: &PrivateDir, segment: &OsStr) -> Self {
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
    pub(super) fn acked(&self, file: &File, len: u64) -> u64 {
        self.0
            .rsplit('\n')
            .filter_map(|line| line.parse().ok())
            .find(|to| *to == len || *to < len && begins_a_line(file, *to))
            .unwrap_or(0)
    }

    pub(super) fn risked(&self) -> Vec<(u64, u64)> {
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
