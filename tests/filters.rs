//! A subscriber of `tracing`, or a filter in one, changes nothing in what is delivered.
//!
//! A global subscriber belongs to a process: each case runs this program again, as a process of its own, which makes
//! the calls of recording 29 with the real environment, and the test compares what arrives.

use std::process::Command;

use llmobs::{Evaluation, Span};
use llmobs_tests::{Exemptions, Golden, Intake};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, registry};

const GOLDEN: &str = "29-env-service-version-tags";
/// Which case the process is.
const CASE: &str = "LLMOBS_TESTS_FILTER";

/// Another crate's subscriber: it takes everything, and gives every span the same id.
struct Foreign;

impl Subscriber for Foreign {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn set_global(subscriber: impl Subscriber + Send + Sync) {
    tracing::subscriber::set_global_default(subscriber).unwrap();
}

fn off() -> impl Subscriber + Send + Sync {
    registry().with(EnvFilter::new("off"))
}

/// The process of one case. What it expects it asserts; what arrives the parent compares.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    match &*case {
        "no subscriber" | "late" => {}
        "off" => set_global(off()),
        "RUST_LOG" => set_global(registry().with(EnvFilter::from_default_env())),
        "all" => set_global(registry().with(EnvFilter::new("trace"))),
        "only another target" => set_global(registry().with(EnvFilter::new("sqlx=trace"))),
        "foreign" => set_global(Foreign),
        "local" => {}
        other => panic!("no case {other:?}"),
    }
    let _local = (case == "local").then(|| tracing::subscriber::set_default(off()));
    let llmobs = llmobs::enable().unwrap();
    {
        let _workflow = Span::workflow("w").start().enter();
        if case == "late" {
            set_global(off());
        }
        let _llm = Span::llm("l").model_name("m").start().enter();
        let evaluation = Evaluation::new("x", 1);
        llmobs::submit_evaluation(llmobs::export_span(None), evaluation).unwrap();
    }
    // As at the end of a `main`.
    drop(llmobs);
}

#[track_caller]
fn assert_delivers_the_same(case: &str) {
    let golden = Golden::load(GOLDEN);
    let intake = Intake::start();
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env_clear()
        .envs(golden.env())
        .env("DD_TRACE_AGENT_URL", intake.url())
        .env("RUST_LOG", "off")
        .env(CASE, case)
        .output()
        .unwrap();
    let said = format!("{output:?}");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    golden.assert_equal(&intake.spans(), &intake.evaluations(), &Exemptions::none());
    golden.assert_envelopes(&intake.requests());
}

#[test]
fn without_a_subscriber_everything_is_delivered() {
    assert_delivers_the_same("no subscriber");
}

#[test]
fn a_global_filter_that_hides_everything_hides_no_event() {
    assert_delivers_the_same("off");
}

#[test]
fn rust_log_off_hides_no_event() {
    assert_delivers_the_same("RUST_LOG");
}

#[test]
fn a_filter_for_another_target_hides_no_event() {
    assert_delivers_the_same("only another target");
}

#[test]
fn a_subscriber_that_takes_everything_adds_no_event() {
    assert_delivers_the_same("all");
}

#[test]
fn another_crates_subscriber_changes_nothing() {
    assert_delivers_the_same("foreign");
}

#[test]
fn a_subscriber_of_one_thread_changes_nothing() {
    assert_delivers_the_same("local");
}

#[test]
fn a_subscriber_that_comes_while_spans_are_open_changes_nothing() {
    assert_delivers_the_same("late");
}
