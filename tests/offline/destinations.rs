//! The destinations that such evaluations may have: an Agent, the intake, a journal, several at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use llmobs::{Config, Destination, Memory, RejectionCode};
use llmobs_tests::{Intake, Reply};
use serde_json::Value;

use crate::{SOON, assert_all_sent, assert_retriable, client, client_of, config, numbered};

#[test]
fn without_an_agent_it_goes_to_the_intake_with_the_key() {
    let intake = Intake::start();
    let config = Config::new()
        .agentless(true)
        .api_key("secret-key")
        .override_origin(intake.url());
    assert_all_sent(&client_of(config).submit(numbered(1)));
    let request = &intake.requests()[0];
    assert_eq!(request.path, "/api/intake/llm-obs/v2/eval-metric");
    assert_eq!(request.header("dd-api-key"), Some("secret-key"));
    assert_eq!(request.header("x-datadog-evp-subdomain"), None);
}

#[test]
fn through_an_agent_it_takes_the_proxy() {
    let intake = Intake::start();
    assert_all_sent(&client(&intake).submit(numbered(1)));
    let request = &intake.requests()[0];
    assert_eq!(
        request.path,
        "/evp_proxy/v2/api/intake/llm-obs/v2/eval-metric"
    );
    assert_eq!(request.header("x-datadog-evp-subdomain"), Some("api"));
    assert_eq!(request.header("dd-api-key"), None);
}

/// A folder of its own, which goes with its value.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("llmobs-offline-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn lines(&self) -> Vec<Value> {
        let files = std::fs::read_dir(self.0.join("journal")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let segments = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
        let text = segments.map(|path| std::fs::read_to_string(path).unwrap());
        let text: String = text.collect();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_journal_is_a_destination_also_for_many_at_once() {
    let folder = Folder::new();
    let config = Config::new()
        .destination(Destination::Journal)
        .dir(&folder.0);
    let client = client_of(config);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_all_sent(&client.submit(numbered(5))));
        }
    });
    let lines = folder.lines();
    assert_eq!(lines.len(), 100);
    assert_eq!(lines[0]["kind"], "evaluation");
    assert_eq!(lines[0]["made_ms"], lines[0]["event"]["timestamp_ms"]);
}

#[test]
fn a_journal_that_cannot_be_written_leaves_the_rows_to_the_caller() {
    let folder = Folder::new();
    std::fs::write(&folder.0, "a file stands in the way").unwrap();
    let config = Config::new()
        .destination(Destination::Journal)
        .dir(&folder.0);
    let begun = Instant::now();
    let results = client_of(config).submit(numbered(2));
    assert_retriable(
        &results[0],
        &["cannot be written", &folder.0.display().to_string()],
    );
    assert!(begun.elapsed() < SOON);
}

#[test]
fn with_several_destinations_the_worst_result_counts() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(400).body("no"));
    let memory = Memory::new();
    let config = config(&intake)
        .destination(Destination::Memory(memory.clone()))
        .destination(Destination::Agent);
    let results = client_of(config).submit(numbered(1));
    assert_eq!(results[0].code(), Some(RejectionCode::Refused));
    assert_eq!(memory.evaluations().len(), 1);
}
