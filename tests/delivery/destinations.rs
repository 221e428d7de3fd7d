//! Which destination is taken.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use llmobs::{
    Config, Destination, DropReason, Evaluation, EvaluationTarget, Memory, submit_evaluation,
};
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;

use crate::{Folder, SOON, client, make_spans, names};

/// A configuration as if these variables were set.
fn vars<const N: usize>(vars: [(&'static str, String); N]) -> Config {
    let lookup = |name: &str| {
        let found = vars.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| OsString::from(value))
    };
    Config::from_vars(lookup).unwrap()
}

fn port_of(intake: &Intake) -> String {
    intake.url().rsplit(':').next().unwrap().to_owned()
}

fn unused_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn events_wait_for_an_agent_that_is_named_and_comes_up_late() {
    let intake = Intake::start();
    intake.info(Reply::status(503));
    let client = client(Config::new().agent_url(intake.url()));
    make_spans(&client, &["early"]);
    client.flush(Duration::from_millis(300)).unwrap_err();
    assert_eq!(client.stats().spans().waiting, 1);
    assert!(intake.requests().is_empty());

    intake.endpoints(&["/evp_proxy/v2/"]);
    assert_eq!(names(&intake.wait_for_spans(1, SOON)), ["early"]);
    client.shutdown(SOON).unwrap();
}

#[test]
fn an_agent_without_the_proxy_counts_as_none() {
    let intake = Intake::start();
    intake.endpoints(&["/v0.4/traces"]);
    let folder = Folder::new();
    let client = client(Config::new().agent_url(intake.url()).dir(&folder.0));
    make_spans(&client, &["to the journal"]);
    let report = client.shutdown(SOON).unwrap();
    assert_eq!(report.stats.spans().delivered, 1);
    assert!(report.stats.destinations[0].name.starts_with("journal "));
    assert!(intake.requests().is_empty());
    assert_eq!(folder.journal()[0]["event"]["name"], "to the journal");
}

#[test]
fn what_takes_an_agents_place_is_decided_once_for_spans_and_evaluations() {
    let intake = Intake::start();
    intake.endpoints(&["/v0.4/traces"]);
    let folder = Folder::new();
    let client = client(Config::new().agent_url(intake.url()).dir(&folder.0));
    make_spans(&client, &["a"]);
    client.scope(|| {
        let target = EvaluationTarget::span("1", "2");
        submit_evaluation(target, Evaluation::new("good", true)).unwrap();
    });
    client.shutdown(SOON).unwrap();
    assert_eq!(folder.journal().len(), 2);
    let files = std::fs::read_dir(folder.0.join("journal")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let segments = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    assert_eq!(segments.count(), 1);
}

#[test]
fn an_agent_that_was_asked_for_by_name_of_the_mode_is_never_replaced() {
    let intake = Intake::start();
    intake.endpoints(&["/v0.4/traces"]);
    let folder = Folder::new();
    let config = vars([
        ("DD_LLMOBS_AGENTLESS_ENABLED", "0".into()),
        ("DD_TRACE_AGENT_URL", intake.url().into()),
        ("DD_API_KEY", "key".into()),
    ]);
    let client = client(config.dir(&folder.0));
    make_spans(&client, &["kept"]);
    client.flush(Duration::from_millis(300)).unwrap_err();
    assert_eq!(client.stats().spans().waiting, 1);
    assert!(folder.journal().is_empty());

    intake.endpoints(&["/evp_proxy/v2/"]);
    intake.wait_for_spans(1, SOON);
    client.shutdown(SOON).unwrap();
}

#[test]
fn an_agent_that_nobody_named_is_found() {
    let intake = Intake::start();
    let config = vars([("DD_TRACE_AGENT_PORT", port_of(&intake))]);
    let client = client(config);
    make_spans(&client, &["found"]);
    client.shutdown(SOON).unwrap();
    assert_eq!(names(&intake.spans()), ["found"]);
}

#[test]
fn without_agent_and_key_the_journal_takes_everything() {
    let folder = Folder::new();
    let client = client(vars([("DD_TRACE_AGENT_PORT", unused_port())]).dir(&folder.0));
    make_spans(&client, &["a", "b"]);
    client.scope(|| {
        submit_evaluation(
            EvaluationTarget::span("1", "2"),
            Evaluation::new("good", true),
        )
        .unwrap();
    });
    let report = client.shutdown(SOON).unwrap();
    assert_eq!(report.stats.spans().delivered, 2);
    assert_eq!(report.stats.evaluations().delivered, 1);
    let lines = folder.journal();
    let kinds: Vec<_> = lines
        .iter()
        .map(|line| line["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["span", "span", "evaluation"]);
    for line in &lines {
        assert_eq!(line["v"], 1);
        assert!(line["made_ms"].as_u64().unwrap() > 1_600_000_000_000);
    }
}

#[test]
fn what_is_kept_on_disk_is_no_part_of_a_repository() {
    let folder = Folder::new();
    let ignored = |path: PathBuf| std::fs::read_to_string(path.join(".gitignore")).ok();
    let everything = Some("*\n".to_owned());
    for (dir, ours) in [(folder.0.clone(), false), (folder.0.join("inner"), true)] {
        let config = Config::new().destination(Destination::Journal).dir(&dir);
        client(config).shutdown(SOON).unwrap();
        // A folder that was there may be the repository itself.
        assert_eq!(ignored(dir.clone()).is_some(), ours);
        let where_it_stands = if ours { dir } else { dir.join("journal") };
        assert_eq!(ignored(where_it_stands), everything);
    }
}

#[cfg(unix)]
#[test]
fn the_journal_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let root = folder.0.join("inner");
    let client = client(Config::new().destination(Destination::Journal).dir(&root));
    make_spans(&client, &["secret"]);
    client.shutdown(SOON).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    let journal = root.join("journal");
    assert_eq!(mode(&journal), 0o700);
    let segment = std::fs::read_dir(&journal)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(mode(&segment.path()), 0o600);
}

#[test]
fn an_agent_that_appears_later_gets_what_is_made_from_then_on() {
    let intake = Intake::start();
    intake.info(Reply::status(503));
    let folder = Folder::new();
    let client = client(vars([("DD_TRACE_AGENT_PORT", port_of(&intake))]).dir(&folder.0));
    make_spans(&client, &["before"]);
    client.flush(SOON).unwrap();
    intake.endpoints(&["/evp_proxy/v2/"]);
    // It is looked for every ten flush intervals, when there is something to send.
    while intake.requests().is_empty() {
        make_spans(&client, &["after"]);
        client.flush(SOON).unwrap();
    }
    let report = client.shutdown(SOON).unwrap();
    assert!(report.stats.destinations[0].name.starts_with("agent "));
    assert_eq!(folder.journal()[0]["event"]["name"], "before");
    let arrived = intake.spans().len() + folder.journal().len();
    assert_eq!(arrived as u64, report.stats.spans().made);
}

#[test]
fn a_site_without_the_product_is_not_sent_to_by_itself() {
    let folder = Folder::new();
    let config = vars([
        ("DD_TRACE_AGENT_PORT", unused_port()),
        ("DD_API_KEY", "key".into()),
        ("DD_SITE", "ddog-gov.com".into()),
    ]);
    assert!(config.warnings().is_empty());
    let client = client(config.dir(&folder.0));
    make_spans(&client, &["kept"]);
    client.shutdown(SOON).unwrap();
    assert_eq!(folder.journal().len(), 1);
}

#[test]
fn what_has_nowhere_to_go_is_counted_until_the_folder_can_be_written() {
    let folder = Folder::new();
    let file = folder.0.join("a file");
    std::fs::write(&file, "").unwrap();
    let config = Config::new()
        .destination(Destination::Journal)
        .dir(file.join("below"));
    let client = client(config);
    make_spans(&client, &["lost"]);
    let stats = client.flush(SOON).unwrap().stats;
    assert_eq!(stats.destinations[0].name, "nowhere");
    assert_eq!(stats.spans().dropped, [(DropReason::Nowhere, 1)]);

    // It is tried again every ten flush intervals, when there is something to write.
    std::fs::remove_file(&file).unwrap();
    while client.stats().spans().delivered == 0 {
        make_spans(&client, &["written"]);
        client.flush(SOON).unwrap();
    }
    let stats = client.shutdown(SOON).unwrap().stats;
    assert!(stats.destinations[0].name.starts_with("journal "));
    assert_eq!(stats.waiting(), 0);
}

#[test]
fn every_destination_of_a_list_gets_everything_and_one_that_hangs_holds_up_no_other() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let folder = Folder::new();
    let memory = Memory::new();
    let config = Config::new()
        .agent_url(intake.url())
        .dir(&folder.0)
        .destination(Destination::Agent)
        .destination(Destination::Journal)
        .destination(Destination::Memory(memory.clone()));
    let client = client(config);
    make_spans(&client, &["a", "b"]);
    let report = match client.shutdown(Duration::from_secs(3)).unwrap_err() {
        llmobs::FlushError::Undelivered { report, .. } => report,
        other => panic!("{other}"),
    };
    let spans = |index: usize| {
        report.stats.destinations[index]
            .counts(llmobs::EventKind::Span)
            .clone()
    };
    assert_eq!(spans(0).dropped_total(), 2, "{:?}", report.stats);
    assert_eq!(spans(1).delivered, 2);
    assert_eq!(spans(2).delivered, 2);
    assert_eq!(memory.spans().len(), 2);
    assert_eq!(folder.journal().len(), 2);
    assert_eq!(report.stats.waiting(), 0);
}

#[cfg(unix)]
#[test]
fn an_agent_on_a_unix_socket_is_reached() {
    let intake = Intake::start_unix();
    let client = client(Config::new().agent_url(intake.url()));
    make_spans(&client, &["by socket"]);
    client.shutdown(SOON).unwrap();
    let requests = intake.requests();
    assert_eq!(requests[0].path, "/evp_proxy/v2/api/v2/llmobs");
    assert_eq!(names(&intake.spans()), ["by socket"]);
}

#[test]
fn further_headers_go_with_every_request() {
    let intake = Intake::start();
    let config = vars([
        ("DD_TRACE_AGENT_URL", intake.url().into()),
        (
            "_DD_TRACE_WRITER_ADDITIONAL_HEADERS",
            "X-Session:T1,Authorization:Bearer b".into(),
        ),
    ]);
    let client = client(config);
    make_spans(&client, &["a"]);
    client.shutdown(SOON).unwrap();
    let requests = intake.requests();
    assert_eq!(requests[0].header("x-session"), Some("T1"));
    assert_eq!(requests[0].header("authorization"), Some("Bearer b"));
}

#[test]
fn an_origin_with_a_path_takes_the_place_of_the_proxy_too() {
    let intake = Intake::start();
    let config = vars([(
        "DD_LLMOBS_OVERRIDE_ORIGIN",
        format!("{}/foo/bar", intake.url()),
    )]);
    let client = client(config);
    make_spans(&client, &["a"]);
    client.shutdown(SOON).unwrap();
    assert_eq!(intake.requests()[0].path, "/foo/bar/api/v2/llmobs");
    assert_eq!(intake.info_count(), 0);
}
