//! Spans of annotated functions, which their thread has for itself until somebody else refers to
//! them: whoever does, and whenever, what is sent is the same.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use llmobs::{
    AnnotateError, Annotation, Config, Context, Destination, LlmObs, Memory, Span, agent, llm,
    task, tool, workflow,
};
use serde_json::Value;

use crate::{current, record, step, tree};

const SOON: Duration = Duration::from_secs(60);

fn client() -> (LlmObs, Memory) {
    let memory = Memory::new();
    let config = Config::new().ml_app("own").tracing_spans(false);
    let client = config.destination(Destination::Memory(memory.clone()));
    (client.build().unwrap(), memory)
}

fn tag(key: &str) -> Result<(), AnnotateError> {
    llmobs::annotate(None, Annotation::new().tag(key, "set"))
}

fn has_tag(span: &Value, key: &str) -> bool {
    let tags = span["tags"].as_array().unwrap();
    tags.contains(&Value::from(format!("{key}:set")))
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let mut named = spans.iter().filter(|span| span["name"] == name);
    let span = named.next().unwrap();
    assert!(named.next().is_none(), "{name} twice");
    span
}

#[agent(session_id = "s")]
fn outer() -> u8 {
    tag("before").unwrap();
    let before = current();
    inner();
    step();
    assert_eq!(current(), before);
    tag("after").unwrap();
    7
}

#[tool]
fn inner() {
    step();
    tag("of_inner").unwrap();
}

#[test]
fn a_span_is_the_same_before_and_after_it_gets_children() {
    let spans = record(|_| assert_eq!(outer(), 7));
    let expected = "agent outer
  tool inner
    task step
  task step
";
    assert_eq!(tree(&spans), expected);
    let outer = named(&spans, "outer");
    assert!(
        has_tag(outer, "before") && has_tag(outer, "after"),
        "{outer}"
    );
    assert_eq!(outer["meta"]["output"]["value"], "7");
    assert!(has_tag(named(&spans, "inner"), "of_inner"));
    assert!(
        spans.iter().all(|span| span["session_id"] == "s"),
        "{spans:?}"
    );
}

/// Gives what is current in it to another thread, which goes on longer.
#[workflow]
fn hands_over(context: &mpsc::Sender<Context>) {
    context.send(Context::current()).unwrap();
    tag("later").unwrap();
}

#[test]
fn a_context_of_a_span_may_outlive_it() {
    let spans = record(|_| {
        let (sender, receiver) = mpsc::channel();
        hands_over(&sender);
        thread::spawn(move || receiver.recv().unwrap().in_scope(step))
            .join()
            .unwrap();
    });
    assert_eq!(tree(&spans), "workflow hands_over\n  task step\n");
    assert!(has_tag(named(&spans, "hands_over"), "later"));
}

#[workflow]
fn serves(tenant: &LlmObs) {
    tenant.scope(|| {
        assert!(matches!(tag("nowhere"), Err(AnnotateError::NoSpan)));
        outer();
    });
    Context::root().in_scope(|| {
        assert_eq!(current(), None);
        step();
    });
    tag("own").unwrap();
    step();
}

#[test]
fn spans_of_several_clients_and_traces_on_one_thread_do_not_meet() {
    let (tenant, of_tenant) = client();
    let spans = record(|_| serves(&tenant));
    assert_eq!(tree(&spans), "workflow serves\n  task step\ntask step\n");
    assert!(has_tag(named(&spans, "serves"), "own"));
    tenant.shutdown(SOON).unwrap();
    let expected = "agent outer
  tool inner
    task step
  task step
";
    assert_eq!(tree(&of_tenant.spans()), expected);
}

#[task]
fn breaks() {
    tag("before").unwrap();
    panic!("broken")
}

#[workflow]
fn goes_on() {
    assert!(catch_unwind(AssertUnwindSafe(breaks)).is_err());
    step();
}

#[test]
fn a_panic_is_told_by_the_span_that_it_passes() {
    let spans = record(|_| goes_on());
    assert_eq!(
        tree(&spans),
        "workflow goes_on\n  task breaks [error]\n  task step\n"
    );
    let broken = named(&spans, "breaks");
    assert_eq!(broken["meta"]["error"]["message"], "broken");
    assert!(has_tag(broken, "before"));
}

/// A span that is entered by hand, above and below.
#[workflow]
fn by_hand() {
    let span = Span::tool("by hand").start();
    let guard = span.enter();
    step();
    drop(guard);
    step();
}

#[test]
fn guards_and_functions_nest() {
    let spans = record(|_| {
        let top = Span::agent("top").start();
        let _in_top = top.enter();
        by_hand();
    });
    let expected = "agent top
  workflow by_hand
    tool by hand
      task step
    task step
";
    assert_eq!(tree(&spans), expected);
}

/// More than a thread keeps buffers for.
#[test]
fn a_thread_that_serves_many_clients_in_turns_loses_nothing() {
    let clients: Vec<_> = (0..70).map(|_| client()).collect();
    for _ in 0..30 {
        for (client, _) in &clients {
            client.scope(step);
        }
    }
    for (client, memory) in &clients {
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_eq!((stats.spans().made, stats.spans().delivered), (30, 30));
        assert_eq!(memory.spans().len(), 30);
    }
    // The places of those that are gone serve others.
    let (client, memory) = client();
    client.scope(step);
    client.shutdown(SOON).unwrap();
    assert_eq!(memory.spans().len(), 1);
}

fn named_by_a_step() -> &'static str {
    step();
    "named"
}

#[task(name = named_by_a_step())]
fn is_named() {}

#[test]
fn a_span_begins_after_what_its_attribute_says_was_evaluated() {
    let spans = record(|_| is_named());
    let ns = |span: &Value, key: &str| span[key].as_u64().unwrap();
    let (step, named) = (named(&spans, "step"), named(&spans, "named"));
    let end = ns(step, "start_ns") + ns(step, "duration");
    // They are told apart in nanoseconds, which are rounded.
    assert!(ns(named, "start_ns") + 1 >= end, "{spans:?}");
}

#[task]
fn without_arguments(#[cfg(any())] _gone: u8) {}

#[llm]
fn model_without_arguments(#[cfg(any())] _gone: u8) {}

#[test]
fn arguments_that_are_left_out_are_no_input() {
    let spans = record(|_| {
        without_arguments();
        model_without_arguments();
    });
    for span in &spans {
        assert_eq!(span["meta"].get("input"), None, "{span}");
    }
}

static ASKED: AtomicBool = AtomicBool::new(false);

/// Whose text nobody may ask for.
#[derive(Debug)]
struct Private;

impl std::fmt::Display for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        ASKED.store(true, Ordering::Relaxed);
        f.write_str("private")
    }
}

impl std::error::Error for Private {}

#[task]
fn fails() -> Result<(), Private> {
    Err(Private)
}

#[test]
fn nothing_is_looked_at_for_a_client_that_takes_nothing() {
    let ((closed, _), (open, _)) = (client(), client());
    closed.shutdown(SOON).unwrap();
    assert!(open.scope(llmobs::is_enabled));
    closed.scope(fails).unwrap_err();
    assert!(!ASKED.load(Ordering::Relaxed));
    open.scope(fails).unwrap_err();
    assert!(ASKED.load(Ordering::Relaxed), "it would have been seen");
}

#[test]
fn what_threads_leave_that_come_and_go_is_sent() {
    let (client, memory) = client();
    for _ in 0..20 {
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| client.scope(|| (0..3).for_each(|_| step())));
            }
        });
        // The worker lets go of what the threads had.
        client.flush(SOON).unwrap();
    }
    let spans = client.shutdown(SOON).unwrap().stats.spans();
    assert_eq!((spans.made, spans.delivered), (600, 600), "{spans:?}");
    assert_eq!(memory.spans().len(), 600);
}

#[test]
fn what_ends_after_the_shutdown_is_counted_as_dropped() {
    let (client, memory) = client();
    client.scope(step);
    client.shutdown(SOON).unwrap();
    client.scope(step);
    // In the middle of a function as well.
    #[task]
    fn shuts_down(client: &LlmObs) {
        client.shutdown(SOON).unwrap();
    }
    let (other, _) = self::client();
    other.scope(|| shuts_down(&other));
    let spans = other.stats().spans();
    assert_eq!(
        (spans.made, spans.dropped_total(), spans.waiting),
        (1, 1, 0)
    );
    assert_eq!(memory.spans().len(), 1);
}
