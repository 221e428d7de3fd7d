//! Lines of the log in programs on the crate `log`: the feature `log`. A process has one logger and one subscriber,
//! so each test runs its case in a process of its own.
//!
//! All of it holds with the feature `log` of `tracing` too, which this package turns on by its own feature
//! `log-of-tracing`.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use llmobs::{Config, Span};
use llmobs_tests::{Intake, Reply};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(60);
const CASE: &str = "LLMOBS_TESTS_LOGGED";

/// The records of the logger and of the subscriber, as level and text.
static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static EVENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn add(lines: &Mutex<Vec<String>>, level: impl std::fmt::Display, text: &str) {
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push(format!("{level} {text}"));
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "llmobs"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            add(&RECORDS, record.level(), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn logger() {
    log::set_logger(&Logger).unwrap();
    log::set_max_level(log::LevelFilter::Info);
}

/// A layer that keeps events, those of the bridge from `log` as well.
struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let bridged = event.metadata().target() == "log" && fields.target == "llmobs";
        if bridged || event.metadata().target() == "llmobs" {
            add(&EVENTS, event.metadata().level(), &fields.message);
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    target: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            value.clone_into(&mut self.target);
        }
    }
}

fn subscriber(filter: &str) -> impl Subscriber + Send + Sync + use<> {
    tracing_subscriber::registry()
        .with(Keep)
        .with(EnvFilter::new(filter))
}

/// The line of this thread: a span that is open at the end.
const OPEN: &str = "WARN 1 spans were open still ";
/// Lines of the worker: its beginning, and a delivery that fails once.
const BEGINS: &str = "INFO sending to ";
const FAILS: &str = "ERROR delivery of spans to ";
const WORKS: &str = "INFO delivery to ";
const ALL: [&str; 4] = [OPEN, BEGINS, FAILS, WORKS];

fn program() {
    let intake = Intake::start();
    let config = Config::new().ml_app("app").agent_url(intake.url());
    let client = config.build().unwrap();
    intake.replies([Reply::status(503)]);
    let open = client.scope(|| {
        drop(Span::task("t").start());
        client.flush(SOON).unwrap();
        Span::task("open").start()
    });
    client.shutdown(Duration::ZERO).ok();
    drop(open);
}

#[track_caller]
fn assert_once(lines: &Mutex<Vec<String>>, expected: &[&str]) {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let mut missing = expected.to_vec();
    for line in lines.iter() {
        let found = missing.iter().position(|start| line.starts_with(start));
        let found = found.unwrap_or_else(|| panic!("too much: {line} in {lines:#?}"));
        missing.remove(found);
    }
    assert!(missing.is_empty(), "{missing:?} are not in {lines:#?}");
}

/// Runs `case` in a process of its own.
fn alone(name: &str, case: impl FnOnce()) {
    if std::env::var(CASE).is_ok_and(|case| case == name) {
        return case();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CASE, name)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_program_without_a_subscriber_has_every_line_once() {
    alone("a_program_without_a_subscriber_has_every_line_once", || {
        logger();
        program();
        assert_once(&RECORDS, &ALL);
    });
}

#[test]
fn what_a_subscriber_sees_is_no_record() {
    alone("what_a_subscriber_sees_is_no_record", || {
        logger();
        tracing::subscriber::set_global_default(subscriber("info")).unwrap();
        program();
        assert_once(&EVENTS, &ALL);
        assert_once(&RECORDS, &[]);
    });
}

#[test]
fn what_a_subscriber_does_not_want_is_a_record() {
    alone("what_a_subscriber_does_not_want_is_a_record", || {
        logger();
        tracing::subscriber::set_global_default(subscriber("info,llmobs=warn")).unwrap();
        program();
        assert_once(&EVENTS, &[OPEN, FAILS]);
        assert_once(&RECORDS, &[BEGINS, WORKS]);
    });
}

#[test]
fn a_subscriber_of_one_thread_takes_the_lines_of_this_thread() {
    alone(
        "a_subscriber_of_one_thread_takes_the_lines_of_this_thread",
        || {
            logger();
            tracing::subscriber::with_default(subscriber("info"), program);
            assert_once(&EVENTS, &[OPEN]);
            assert_once(&RECORDS, &[BEGINS, FAILS, WORKS]);
        },
    );
}

#[test]
fn behind_a_bridge_to_tracing_no_line_comes_twice() {
    alone("behind_a_bridge_to_tracing_no_line_comes_twice", || {
        tracing_log::LogTracer::init().unwrap();
        tracing::subscriber::set_global_default(subscriber("info")).unwrap();
        program();
        assert_once(&EVENTS, &ALL);
    });
}

#[test]
fn behind_a_bridge_a_filter_stands_for_records_too() {
    alone("behind_a_bridge_a_filter_stands_for_records_too", || {
        tracing_log::LogTracer::init().unwrap();
        tracing::subscriber::set_global_default(subscriber("info,llmobs=warn")).unwrap();
        program();
        assert_once(&EVENTS, &[OPEN, FAILS]);
    });
}

#[test]
fn a_logger_that_panics_costs_no_delivery() {
    struct Panics;
    impl log::Log for Panics {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            let text = record.args().to_string();
            add(&RECORDS, record.level(), &text);
            assert!(!text.contains("delivery"), "on purpose");
        }

        fn flush(&self) {}
    }

    alone("a_logger_that_panics_costs_no_delivery", || {
        log::set_logger(&Panics).unwrap();
        log::set_max_level(log::LevelFilter::Info);
        // `tracing` writes what others trace to the logger as well where it may.
        program();
        let lines = RECORDS.lock().unwrap_or_else(PoisonError::into_inner);
        for expected in ALL {
            assert!(
                lines.iter().any(|line| line.starts_with(expected)),
                "{lines:#?}"
            );
        }
    });
}
