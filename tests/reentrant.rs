//! A subscriber of `tracing` may do anything with what llmobs says: call back into llmobs, or panic.
//!
//! It is one for the whole process, and some things are said once in a process: one test for each of them.

use std::cell::Cell;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use llmobs::{
    Annotation, Config, Destination, Evaluation, EvaluationTarget, LlmObs, Memory, Span, Verdict,
    task,
};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(60);

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// The global client is one for all tests.
static GLOBAL: Mutex<()> = Mutex::new(());

/// Uses llmobs for whatever llmobs says, and panics where it reads that it should.
struct Caller;

impl<S: Subscriber> Layer<S> for Caller {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "llmobs" || BUSY.replace(true) {
            return;
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        let must_panic = line.0.contains("please panic");
        LINES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.0);
        if must_panic {
            BUSY.set(false);
            std::panic::resume_unwind(Box::new("as asked"));
        }
        let _ = llmobs::is_enabled();
        let _ = llmobs::export_span(None);
        let _ = llmobs::annotate(None, Annotation::new().tag("logged", true));
        let _ = llmobs::flush(SOON);
        drop(Span::task("log").start().enter());
        BUSY.set(false);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.0 = format!("{value:?}");
    }
}

fn subscribe() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Caller);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

fn was_said(part: &str) -> bool {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().any(|line| line.contains(part))
}

/// Fails where `calls` do not end.
#[track_caller]
fn ends<R: Send + 'static>(calls: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || sender.send(calls()).unwrap());
    match receiver.recv_timeout(SOON) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("a deadlock"),
        Err(RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
    }
}

fn client(ml_app: &str) -> (LlmObs, Memory) {
    subscribe();
    let memory = Memory::new();
    let config = Config::new()
        .ml_app(ml_app)
        .destination(Destination::Memory(memory.clone()));
    (config.build().unwrap(), memory)
}

#[test]
fn a_subscriber_may_annotate_the_span_that_llmobs_warns_about() {
    let (client, memory) = client("warned");
    let scoped = client.clone();
    ends(move || {
        scoped.scope(|| {
            let span = Span::task("t").start();
            let _in = span.enter();
            span.annotate(Annotation::new().metric("a.b", 1)).unwrap();
        });
    });
    assert!(was_said("\"a.b\" has a dot"));
    client.shutdown(SOON).unwrap();
    let spans = memory.spans();
    let span = spans.iter().find(|span| span["name"] == "t").unwrap();
    let tags = span["tags"].as_array().unwrap();
    assert!(
        tags.iter().any(|tag| tag == "logged:true"),
        "what the subscriber added is there: {tags:?}"
    );
}

#[test]
fn a_subscriber_may_ask_whether_llmobs_is_enabled_while_it_is_enabled_again() {
    let _alone = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
    subscribe();
    let config = || Config::new().destination(Destination::Memory(Memory::new()));
    let guard = config().enable().unwrap();
    ends(move || drop(config().enable().unwrap()));
    assert!(was_said("enabled already"));
    drop(guard);
}

#[test]
fn a_subscriber_may_use_llmobs_while_it_is_enabled_with_a_warning() {
    let _alone = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
    // Another client is open, so that llmobs is not simply off.
    let (other, _) = client("other");
    let vars = |name: &str| (name == "DD_LLMOBS_SAMPLE_RATE").then(|| "17".into());
    let config = Config::from_vars(vars)
        .unwrap()
        .destination(Destination::Memory(Memory::new()));
    drop(ends(move || config.enable().unwrap()));
    assert!(was_said("DD_LLMOBS_SAMPLE_RATE is \"17\""));
    other.shutdown(SOON).unwrap();
}

#[test]
fn a_flush_on_the_workers_own_thread_does_not_wait_for_itself() {
    let _alone = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
    subscribe();
    let memory = Memory::new();
    let config = Config::new()
        .ml_app("flushes itself")
        .destination(Destination::Memory(memory.clone()));
    let started = Instant::now();
    let guard = config.enable().unwrap();
    drop(Span::task("t").start());
    llmobs::flush(SOON).unwrap();
    assert!(was_said("as ml_app \"flushes itself\""));
    assert!(memory.spans().iter().any(|span| span["name"] == "t"));
    assert!(started.elapsed() < SOON / 2);
    drop(guard);
}

#[task]
fn noted(text: &str) -> usize {
    text.len()
}

#[test]
fn a_processor_that_uses_llmobs_neither_waits_for_itself_nor_feeds_itself() {
    let _alone = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
    subscribe();
    let memory = Memory::new();
    let config = Config::new()
        .destination(Destination::Memory(memory.clone()))
        .processor(|span| {
            assert!(!llmobs::is_enabled(), "no client is in force");
            let inner = Span::task("of the processor").start().enter();
            llmobs::annotate(None, Annotation::new().tag("k", 1)).unwrap();
            assert_eq!(llmobs::export_span(None), None);
            let evaluation = Evaluation::new("of the processor", 1);
            llmobs::submit_evaluation(EvaluationTarget::span("1", "2"), evaluation).unwrap();
            llmobs::flush(SOON).unwrap();
            drop(inner);
            span.set_metadata("length", noted("four"));
            Verdict::Keep
        });
    let guard = ends(move || config.enable().unwrap());
    drop(Span::task("t").start());
    let stats = llmobs::flush(SOON).unwrap().stats;
    drop(Span::task("later").start());
    drop(guard);
    assert_eq!(stats.stripped, 0);
    let spans = memory.spans();
    let names: Vec<&str> = spans
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert!(
        names.contains(&"t") && names.contains(&"later"),
        "{names:?}"
    );
    let ours = |name: &&str| ["of the processor", "noted"].contains(name);
    assert!(!names.iter().any(ours), "{names:?}");
    assert!(memory.evaluations().is_empty());
    for span in spans {
        assert_eq!(span["meta"]["metadata"]["length"], 4);
    }
}

#[test]
fn a_subscriber_that_panics_on_the_workers_thread_loses_nothing() {
    let (client, memory) = client("please panic");
    client.scope(|| drop(Span::task("t").start()));
    let stats = client.shutdown(SOON).unwrap().stats;
    assert!(was_said("please panic"));
    assert_eq!(stats.spans().delivered, 1, "{stats:?}");
    assert_eq!(memory.spans().len(), 1);
}
