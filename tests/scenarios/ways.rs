//! Where events go: a socket, a relay, an Agent that comes late or is too old, the journal.

use std::path::PathBuf;
use std::time::Duration;

use llmobs::{Config, DropReason, Evaluation, FlushError, Span};
use llmobs_tests::{Intake, Reply};
use serde_json::Value;
use tracing::Level;

use crate::client::{Client, SOON};
use crate::log;

fn span_and_evaluation() {
    let _in = Span::llm("answer").start().enter();
    let evaluation = Evaluation::new("quality", 0.5);
    llmobs::submit_evaluation(llmobs::export_span(None), evaluation).unwrap();
}

#[cfg(unix)]
#[test]
fn an_agent_is_reached_by_its_unix_socket() {
    let client = Client::at(Intake::start_unix(), Config::new());
    assert!(client.intake().url().starts_with("unix://"));
    let sent = client.sent_by(span_and_evaluation);
    assert_eq!((sent.spans.len(), sent.evaluations.len()), (1, 1));
    let destination = &sent.stats.destinations[0];
    assert!(
        destination.name.starts_with("agent unix://"),
        "{destination:?}"
    );
}

/// The paths of what was sent, sorted.
fn paths(intake: &Intake) -> Vec<String> {
    let requests = intake.requests();
    let mut paths: Vec<String> = requests.into_iter().map(|one| one.path).collect();
    paths.sort();
    paths
}

#[test]
fn an_origin_takes_the_place_of_the_agents_and_one_with_a_path_of_the_proxy_too() {
    for (suffix, agentless, before) in [
        ("", false, "/evp_proxy/v2"),
        ("/", false, "/evp_proxy/v2"),
        ("/relay", false, "/relay"),
        ("", true, ""),
        ("/relay/", true, "/relay"),
    ] {
        log::keep();
        let intake = Intake::start();
        let config = Config::new()
            .override_origin(format!("{}{suffix}", intake.url()))
            .agentless(agentless)
            .api_key("k");
        let client = config.build().unwrap();
        client.scope(span_and_evaluation);
        client.shutdown(SOON).unwrap();
        let expected = [
            format!("{before}/api/intake/llm-obs/v2/eval-metric"),
            format!("{before}/api/v2/llmobs"),
        ];
        assert_eq!(paths(&intake), expected, "{suffix:?} {agentless}");
        let keys = intake.requests();
        let mut keys = keys.iter().map(|one| one.header("dd-api-key"));
        assert!(keys.all(|key| key == agentless.then_some("k")));
        assert_eq!(intake.info_count(), 0, "a relay need not be asked");
    }
}

#[test]
fn additional_headers_are_on_every_request() {
    let client = Client::configured(Config::new().header("x-tenant", "acme"));
    client.run(span_and_evaluation);
    client.handle().flush(SOON).unwrap();
    let requests = client.intake().requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(request.header("x-tenant"), Some("acme"));
    }
    client.sent();
}

#[test]
fn events_wait_for_an_agent_that_is_named_but_not_ready() {
    let client = Client::start();
    let intake = client.intake();
    intake.info(Reply::status(503));
    client.run(span_and_evaluation);
    let flushed = client.handle().flush(Duration::from_millis(300));
    let Err(FlushError::Timeout { waiting, .. }) = flushed else {
        panic!("{flushed:?}");
    };
    assert_eq!(waiting, 2);
    assert!(intake.info_count() > 0 && intake.requests().is_empty());
    intake.endpoints(&["/evp_proxy/v2/"]);
    assert_eq!(client.sent().spans.len(), 1);
}

/// A folder of the test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn create(name: &str) -> Self {
        let name = format!("llmobs-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The lines of all files of the journal.
    fn journal(&self) -> Vec<Value> {
        let segments = std::fs::read_dir(self.0.join("journal")).unwrap();
        let paths = segments.map(|file| file.unwrap().path());
        let segments = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
        let text = segments.map(|path| std::fs::read_to_string(path).unwrap());
        let text: String = text.collect();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_agent_without_the_proxy_counts_as_none_and_the_journal_takes_over() {
    log::keep();
    let folder = Folder::create("old-agent");
    let intake = Intake::start();
    intake.endpoints(&["/v0.4/traces"]);
    let config = Config::new().agent_url(intake.url()).dir(&folder.0);
    let client = config.build().unwrap();
    client.scope(span_and_evaluation);
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!((stats.waiting(), stats.dropped()), (0, 0), "{stats:?}");
    let name = &stats.destinations[0].name;
    assert!(name.starts_with("journal "), "{name}");
    assert!(intake.requests().is_empty());
    let mut kinds: Vec<Value> = folder
        .journal()
        .iter()
        .map(|line| line["kind"].clone())
        .collect();
    kinds.sort_by_key(Value::to_string);
    assert_eq!(kinds, ["evaluation", "span"]);
    let said = log::lines_with(intake.url());
    let trouble = said.iter().filter(|(level, _)| *level <= Level::INFO);
    assert!(trouble.count() > 0, "the change of destination is told");
}

#[test]
fn a_shutdown_that_gets_no_answer_returns_in_time_and_counts_what_is_lost() {
    log::keep();
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let config = Config::new().agent_url(intake.url()).timeout(SOON);
    let client = config.build().unwrap();
    client.scope(span_and_evaluation);
    let begun = std::time::Instant::now();
    let ended = client.shutdown(Duration::from_millis(300));
    assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());
    assert!(ended.is_err(), "{ended:?}");
    let stats = client.stats();
    assert_eq!(stats.waiting(), 0, "{stats:?}");
    for counts in [stats.spans(), stats.evaluations()] {
        assert_eq!((counts.made, counts.delivered), (1, 0));
        assert_eq!(counts.dropped, [(DropReason::Shutdown, 1)]);
    }
}

#[test]
fn what_ends_after_the_shutdown_is_counted_as_dropped() {
    let client = Client::start();
    let span = client.run(|| Span::task("late").start());
    client.handle().shutdown(SOON).unwrap();
    span.finish().unwrap();
    let spans = client.handle().stats().spans();
    assert_eq!((spans.made, spans.delivered), (1, 0));
    assert_eq!(spans.dropped, [(DropReason::Shutdown, 1)]);
}

#[test]
fn any_time_is_a_legal_time_to_wait() {
    let client = Client::start();
    client.run(span_and_evaluation);
    client.handle().flush(Duration::MAX).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let flushed = client.handle().flush_async(Duration::MAX);
    runtime.unwrap().block_on(flushed).unwrap();
    assert_eq!(client.intake().spans().len(), 1);
    client.run(span_and_evaluation);
    let none = client.handle().flush(Duration::ZERO);
    assert!(none.is_ok() || matches!(none, Err(FlushError::Timeout { .. })));
    client.handle().shutdown(Duration::MAX).unwrap();
    assert_eq!(client.sent().spans.len(), 2);
}
