//! Where events go, and what happens when they do not get there.

mod answers;
mod destinations;
mod ends;
mod faults;
mod feedback;
mod journal;
#[path = "../scenarios/log.rs"]
mod log;
mod memory;
mod sizes;
mod table;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llmobs::{Config, LlmObs, Span};

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A folder of this test's own, gone with this value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "llmobs-delivery-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The lines of the journal in it.
    pub(crate) fn journal(&self) -> Vec<serde_json::Value> {
        let Ok(segments) = std::fs::read_dir(self.0.join("journal")) else {
            return Vec::new();
        };
        let paths = segments.map(|entry| entry.unwrap().path());
        let segments = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
        segments
            .map(|path| std::fs::read_to_string(path).unwrap())
            .flat_map(|text| {
                let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
                lines.collect::<Vec<_>>()
            })
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A client that tries again at once as far as the configuration lets it.
pub(crate) fn client(config: Config) -> LlmObs {
    built(config.flush_interval(Duration::from_millis(20)))
}

/// A client that sends nothing before a flush, and then all of it at once.
pub(crate) fn client_that_waits(config: Config) -> LlmObs {
    built(config.flush_interval(SOON))
}

fn built(config: Config) -> LlmObs {
    log::keep();
    config.ml_app("delivery").build().unwrap()
}

pub(crate) fn make_spans(client: &LlmObs, names: &[&str]) {
    client.scope(|| {
        for name in names {
            Span::task(*name).start().finish().unwrap();
        }
    });
}

pub(crate) fn names(spans: &[serde_json::Value]) -> Vec<&str> {
    spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect()
}
