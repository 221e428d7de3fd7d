//! Names of segments: `<process>-<start in ms>-<number>`, and for the spool `-<label>` behind it. The
//! first two parts are the writer, and no name is used twice.

use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::EXTENSION;
use crate::clock;

/// The writer of segments: a journal, or the spool of one client for one destination. It stands at
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
    pub(super) fn next(&self) -> String {
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
