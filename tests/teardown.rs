//! Spans in the thread-local storage of a thread that ends, beside a subscriber that has
//! such storage of its own. A panic there takes the process with it.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::mpsc;
use std::task::Waker;
use std::thread;
use std::time::Duration;

use llmobs::{
    Annotation, Config, Context, Destination, FutureExt as _, LlmObs, Memory, Span, SpanGuard,
};
use serde_json::Value;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt as _};

thread_local! {
    static BUFFER: RefCell<String> = RefCell::default();
}

/// Formats in a buffer of its thread, as the layer of `tracing_subscriber::fmt` does with
/// `FmtSpan::FULL`; it panics where the buffer is gone.
struct Formats;

fn write(what: &str, id: &Id) {
    BUFFER.with(|buffer| *buffer.borrow_mut() = format!("{what} {id:?}"));
}

impl<S: Subscriber> Layer<S> for Formats {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, _: LayerContext<'_, S>) {
        write("new", id);
    }

    fn on_event(&self, _: &Event<'_>, _: LayerContext<'_, S>) {
        BUFFER.with(|buffer| "event".clone_into(&mut buffer.borrow_mut()));
    }

    fn on_enter(&self, id: &Id, _: LayerContext<'_, S>) {
        write("enter", id);
    }

    fn on_exit(&self, id: &Id, _: LayerContext<'_, S>) {
        write("exit", id);
    }

    fn on_close(&self, id: Id, _: LayerContext<'_, S>) {
        write("close", &id);
    }
}

#[llmobs::task]
fn step() {}

#[llmobs::task]
async fn stuck() {
    std::future::pending().await
}

/// What a thread leaves behind.
#[derive(Default)]
struct Left {
    guard: Option<SpanGuard>,
    span: Option<Span>,
    context: Option<(Context, mpsc::Sender<&'static str>)>,
}

impl Drop for Left {
    fn drop(&mut self) {
        drop(self.guard.take());
        if let Some(span) = self.span.take() {
            // A dot is something to warn about, once in a process.
            span.annotate(Annotation::new().metric("a.b", 1)).unwrap();
        }
        let Some((context, told)) = self.context.take() else {
            return;
        };
        context.in_scope(|| {
            let _ = (llmobs::export_span(None), llmobs::is_enabled());
            step();
            let _ = Context::current().span_context();
            let late = Span::task("late").start();
            let _ = late.annotate(Annotation::new().input("x"));
            let _in = late.enter();
        });
        let mut task = std::task::Context::from_waker(Waker::noop());
        let _ = pin!(stuck()).poll(&mut task);
        let _ = pin!(stuck().in_context(context)).poll(&mut task);
        told.send("harmless").unwrap();
    }
}

thread_local! {
    static LEFT: RefCell<Left> = RefCell::default();
}

/// A thread that ends with a span open in its storage, which is there before all other
/// storage or after it: that decides what is gone first.
fn ends_with_an_open_span(client: LlmObs, before: bool) {
    let (told, tells) = mpsc::channel();
    let thread = thread::spawn(move || {
        let leave = |left: Left| LEFT.with(|slot| drop(slot.replace(left)));
        if before {
            leave(Left::default());
        }
        client.scope(|| {
            let span = Span::workflow("left").start();
            leave(Left {
                guard: Some(span.enter()),
                context: Some((Context::from(&span), told)),
                span: Some(span),
            });
        });
    });
    thread.join().unwrap();
    assert_eq!(tells.recv().unwrap(), "harmless");
}

fn spans(tracing_spans: bool, before: bool) -> Vec<Value> {
    let memory = Memory::new();
    let config = Config::new()
        .ml_app("teardown")
        .tracing_spans(tracing_spans)
        .destination(Destination::Memory(memory.clone()));
    let client = config.build().unwrap();
    ends_with_an_open_span(client.clone(), before);
    client.shutdown(Duration::from_secs(60)).unwrap();
    memory.spans()
}

#[test]
fn a_span_that_ends_with_its_thread_arrives_and_harms_nobody() {
    let subscriber = tracing_subscriber::registry().with(Formats);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for tracing_spans in [true, false] {
        for before in [true, false] {
            let spans = spans(tracing_spans, before);
            assert_eq!(spans[0]["name"], "left");
            assert_eq!(spans[0]["status"], "ok");
            assert_eq!(spans[0]["metrics"]["a_b"], 1);
            let tree = llmobs_tests::tree(&spans);
            assert!(tree.starts_with("workflow left\n"), "{tree}");
        }
    }
    outlives_its_client();
}

/// There is nowhere to put it then.
fn outlives_its_client() {
    let config = Config::new().ml_app("teardown");
    let config = config.destination(Destination::Memory(Memory::new()));
    let client = config.build().unwrap();
    let here = client.clone();
    let thread = thread::spawn(move || {
        LEFT.with(|left| {
            let span = here.scope(|| Span::task("left").start());
            drop(span.enter());
            here.shutdown(Duration::from_secs(60)).unwrap();
            left.borrow_mut().span = Some(span);
        });
    });
    thread.join().unwrap();
    let spans = client.stats().spans();
    assert_eq!((spans.made, spans.dropped_total()), (1, 1), "{spans:?}");
}

#[llmobs::workflow]
async fn sleeps_and_steps() {
    thread::sleep(Duration::from_millis(5));
    step();
}

fn poll_once() {
    let mut task = std::task::Context::from_waker(Waker::noop());
    assert!(pin!(sleeps_and_steps()).poll(&mut task).is_ready());
}

/// Polls a future when its thread ends.
struct Polls(LlmObs);

impl Drop for Polls {
    fn drop(&mut self) {
        self.0.scope(poll_once);
    }
}

thread_local! {
    static POLLS: RefCell<Option<Polls>> = const { RefCell::new(None) };
}

#[test]
fn a_future_that_is_first_polled_as_its_thread_ends_has_its_span() {
    let memory = Memory::new();
    let config = Config::new()
        .ml_app("teardown")
        .tracing_spans(false)
        .destination(Destination::Memory(memory.clone()));
    let client = config.build().unwrap();
    let of_thread = client.clone();
    // What is used last is gone first: the stack of the thread is there still.
    let thread = thread::spawn(move || {
        of_thread.scope(step);
        POLLS.set(Some(Polls(of_thread.clone())));
        of_thread.scope(poll_once);
    });
    thread.join().unwrap();
    client.shutdown(Duration::from_secs(60)).unwrap();
    let spans = memory.spans();
    let outer = "workflow sleeps_and_steps\n  task step\n";
    assert_eq!(
        llmobs_tests::tree(&spans),
        format!("task step\n{outer}{outer}")
    );
    let mut outer = spans
        .iter()
        .filter(|span| span["name"] == "sleeps_and_steps");
    assert!(
        outer.all(|span| span["duration"].as_u64() >= Some(5_000_000)),
        "{spans:?}"
    );
}
