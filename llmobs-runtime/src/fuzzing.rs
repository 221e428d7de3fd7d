//! What the fuzz targets see of the inside. Not API: it is there with `--cfg fuzzing` alone, which
//! cargo-fuzz sets.
#![allow(missing_docs, reason = "no documentation is built with this")]

use std::io;
use std::ops::Range;
use std::path::Path;

use crate::config::{Config, ConfigError};
use crate::context::Context;
use crate::disk::private::PrivateDir;
use crate::disk::record;
use crate::disk::segment::{self, Found, Segment, Writer};
use crate::event::SpanEvent;
use crate::id::LlmTraceId;
use crate::remote::{Passed, Remote, RemoteAgent, RemoteParent};
use crate::sampling::Sampling;
use crate::shrink;
use crate::stats::EventKind;

/// The longest line of a segment that is read, in bytes.
pub const LONGEST_LINE: u64 = segment::LONGEST_LINE;

/// How many bytes of text a context holds of the headers that it was made from.
pub fn held_of_headers(context: &Context) -> usize {
    let Some(remote) = context.remote() else {
        return 0;
    };
    // Taken apart field by field: a new one does not compile before it is counted.
    let Remote {
        parent,
        apm: _,
        ml_app,
        session,
        sampling,
        agent,
        passed,
    } = &**remote;
    let Passed {
        parent: _,
        origin,
        priority: _,
        propagated,
        tracestate,
    } = passed;
    let of_parent = parent
        .as_ref()
        .map(|RemoteParent { span: _, trace }| match trace {
            LlmTraceId::Number(_) => 0,
            LlmTraceId::Text(text) => text.len(),
        });
    let of_sampling = sampling
        .as_deref()
        .map(|Sampling { rate, keep: _ }| rate.as_deref());
    let of_agent = agent
        .as_ref()
        .map(|RemoteAgent { span, name }| span.len() + name.as_deref().map_or(0, str::len));
    let texts = [
        ml_app.as_deref(),
        session.as_deref(),
        origin.as_deref(),
        of_sampling.flatten(),
    ];
    let pairs = propagated
        .iter()
        .map(|(key, value)| key.len() + value.len());
    of_parent.unwrap_or(0)
        + of_agent.unwrap_or(0)
        + texts.into_iter().flatten().map(str::len).sum::<usize>()
        + pairs.sum::<usize>()
        + tracestate.iter().map(String::len).sum::<usize>()
}

/// The settings as `Debug` shows them, without a client that has them.
///
/// # Errors
///
/// Those of [`Config::enable`].
pub fn settings(config: &Config) -> Result<String, ConfigError> {
    config.settings().map(|settings| format!("{settings:?}"))
}

/// The JSON of a span's event before it is made to fit `limit` bytes, and after that where anything
/// had to be done; `None` where `json` is no such event.
pub fn cut_to(json: &[u8], limit: usize) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let mut event: SpanEvent = serde_json::from_slice(json).ok()?;
    let before = serde_json::to_vec(&event).ok()?;
    let done = shrink::span(&mut event, before.len(), limit);
    let after = done.and_then(|_| serde_json::to_vec(&event).ok());
    Some((before, after))
}

/// The line that the spool writes for an event; `None` where there is no such kind.
pub fn line(kind: &str, made_ms: u64, json: &str) -> Option<Vec<u8>> {
    let mut all = EventKind::ALL.into_iter();
    let kind = all.find(|known| known.as_str() == kind)?;
    let mut line = Vec::new();
    record::write(&mut line, kind, made_ms, json.as_bytes());
    Some(line)
}

/// What a line of a segment is read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Record {
        kind: &'static str,
        made_ms: u64,
        json: String,
    },
    Foreign,
    Torn,
}

/// A segment that this process writes, or has taken over from one that is gone.
#[derive(Debug)]
pub struct Spooled(Segment);

/// All of these fail where the file system does.
#[allow(clippy::missing_errors_doc, reason = "see above")]
impl Spooled {
    pub fn create(folder: &Path) -> io::Result<Self> {
        Segment::create(&PrivateDir::make(folder)?, &Writer::new(), None).map(Self)
    }

    /// `None` where it has a writer.
    pub fn adopt(folder: &Path, segment: &Path) -> io::Result<Option<Self>> {
        let adopted = Segment::adopt(&PrivateDir::make(folder)?, segment)?;
        Ok(adopted.map(Self))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn append(&self, lines: &[u8]) -> io::Result<Range<u64>> {
        self.0.append(lines)
    }

    /// What is not settled, line by line, each with where it stands.
    pub fn lines(&self) -> io::Result<Vec<(Range<u64>, Line)>> {
        let mut lines = Vec::new();
        self.0.scan(|found, range| {
            let line = match found {
                Found::Record(record) => Line::Record {
                    kind: record.kind.as_str(),
                    made_ms: record.made_ms,
                    json: record.json.to_owned(),
                },
                Found::Foreign => Line::Foreign,
                Found::Torn => Line::Torn,
            };
            lines.push((range, line));
        })?;
        Ok(lines)
    }

    pub fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        self.0.read(range)
    }

    pub fn settled(&self) -> u64 {
        self.0.acked()
    }

    pub fn settle(&self, to: u64) {
        self.0.ack(to);
    }
}
