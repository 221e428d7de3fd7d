//! The spool: what a destination has not acknowledged, on disk.

mod caps;
mod foreign;
#[path = "../scenarios/log.rs"]
mod log;
mod order;
mod process;
mod removed;
mod survival;
mod unanswered;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llmobs::{Config, Evaluation, LlmObs, Span, Stats};
use llmobs_tests::{Intake, Request};

pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Where nothing listens.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9";

/// A folder of this test's own, gone with this value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("llmobs-spool-{}-{next}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The folder of the only destination.
    pub(crate) fn destination(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.0.join("spool")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut folders = paths.filter(|path| path.is_dir());
        let only = folders.next().unwrap();
        assert!(folders.next().is_none());
        only
    }

    /// The files in there, by name.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.destination()).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A client of the Agent at `url`, with its spool in `folder`.
pub(crate) fn client(folder: &Folder, url: &str) -> LlmObs {
    config(folder, url).build().unwrap()
}

pub(crate) fn config(folder: &Folder, url: &str) -> Config {
    log::keep();
    Config::new()
        .ml_app("spool")
        .agent_url(url)
        .dir(&folder.0)
        .spool(true)
        .timeout(Duration::from_secs(5))
        .flush_interval(Duration::from_millis(20))
}

pub(crate) fn make_spans<S: AsRef<str>>(client: &LlmObs, names: &[S]) {
    client.scope(|| {
        for name in names {
            Span::task(name.as_ref()).start().finish().unwrap();
        }
    });
}

pub(crate) fn make_evaluated(client: &LlmObs, name: &str) {
    client.scope(|| {
        let span = Span::task(name).start();
        let context = llmobs::export_span(&span);
        span.finish().unwrap();
        llmobs::submit_evaluation(context, Evaluation::new("good", true)).unwrap();
    });
}

pub(crate) fn names(spans: &[serde_json::Value]) -> Vec<&str> {
    spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect()
}

/// The spans in the requests after the first `before`.
pub(crate) fn sent_since(intake: &Intake, before: usize) -> Vec<serde_json::Value> {
    let requests = intake.requests();
    let after = requests[before..].iter();
    after.flat_map(Request::spans).cloned().collect()
}

/// The only line of the log that names something in this folder and contains `part`.
#[track_caller]
pub(crate) fn assert_told_once(folder: &Folder, part: &str) -> String {
    let lines = log::lines_with(folder.0.to_str().unwrap());
    let mut with = lines.iter().filter(|(_, line)| line.contains(part));
    let (_, line) = with
        .next()
        .unwrap_or_else(|| panic!("no {part:?}: {lines:?}"));
    assert!(with.next().is_none(), "{part:?} is told again: {lines:?}");
    line.clone()
}

/// Every event is accounted for, and nothing waits any more.
#[track_caller]
pub(crate) fn assert_adds_up(stats: &Stats) {
    llmobs_tests::assert_adds_up(stats);
    assert_eq!(stats.waiting(), 0, "{stats:?}");
}
