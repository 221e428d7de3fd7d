//! Kinds, nesting, threads and times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use llmobs::{Annotation, Context, Document, Span};
use llmobs_tests::Exemptions;
use serde_json::{Value, json};

use crate::twin::Twin;

#[test]
fn twin_03_kinds_by_context_manager_defaults() {
    let twin = Twin::start("03-kinds-by-context-manager-defaults");
    twin.run(|| {
        drop(Span::llm(None::<&str>).start().enter());
        drop(Span::embedding(None::<&str>).start().enter());
        drop(Span::workflow(None::<&str>).start().enter());
        drop(Span::task(None::<&str>).start().enter());
        drop(Span::tool(None::<&str>).start().enter());
        drop(Span::retrieval(None::<&str>).start().enter());
        drop(Span::agent(None::<&str>).start().enter());
    });
    twin.assert_equal(&Exemptions::none());
}

fn annotate(input: impl Into<llmobs::Io>, output: impl Into<llmobs::Io>) {
    llmobs::annotate(None, Annotation::new().input(input).output(output)).unwrap();
}

#[test]
fn twin_04_nested_all_kinds() {
    let twin = Twin::start("04-nested-all-kinds");
    twin.run(|| {
        let _workflow = Span::workflow("wf").start().enter();
        let _agent = Span::agent("ag").start().enter();
        {
            let _tool = Span::tool("t").start().enter();
            annotate(json!({"x": 1}), "tool out");
        }
        {
            let llm = Span::llm("l").model_name("gpt-4o").model_provider("openai");
            let _llm = llm.start().enter();
            annotate("hi", "hello");
        }
        {
            let _retrieval = Span::retrieval("r").start().enter();
            annotate("q", Document::new("doc").name("n").id("1").score(0.9));
        }
        {
            let embedding = Span::embedding("e")
                .model_name("text-embedding-3")
                .model_provider("OpenAI");
            let _embedding = embedding.start().enter();
            annotate("chunk", "[1 embedding]");
        }
        let _task = Span::task("k").start().enter();
        annotate("a", "b");
    });
    twin.assert_equal(&Exemptions::none());
}

/// Makes the calls of scenario 36, each thread's by way of `on_thread`.
fn threads(twin: &Twin, carry: impl Fn() -> Option<Context>) {
    twin.run(|| {
        let _workflow = Span::workflow("w").start().enter();
        for name in ["pool1", "pool2", "plain_thread"] {
            let (client, context) = (twin.client().clone(), carry());
            let task = move || {
                let start = || drop(Span::task(name).start().enter());
                match context {
                    Some(context) => context.in_scope(start),
                    None => client.scope(start),
                }
            };
            std::thread::spawn(task).join().unwrap();
        }
    });
}

#[test]
fn twin_36_threads() {
    let twin = Twin::start("36-threads");
    threads(&twin, || None);
    twin.assert_equal(&Exemptions::none());
}

#[test]
fn twin_36_threads_join_the_trace_where_the_caller_says_so() {
    let twin = Twin::start("36-threads");
    threads(&twin, || Some(Context::current()));
    let mut exemptions = Exemptions::none();
    for name in ["pool1", "pool2", "plain_thread"] {
        for (pointer, value) in [
            ("/parent_id", "$span.4"),
            ("/trace_id", "$trace.4"),
            ("/_dd/trace_id", "$apm.4"),
            ("/_dd/apm_trace_id", "$apm.4"),
        ] {
            exemptions = exemptions.expect(name, pointer, json!(value));
        }
    }
    twin.assert_equal(&exemptions);
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

#[test]
fn twin_42_llm_time_and_model_defaults() {
    let twin = Twin::start("42-llm-time-and-model-defaults");
    let before = unix_ns();
    twin.run(|| {
        let llm = Span::llm(None::<&str>).model_name(None::<&str>);
        let _llm = llm.model_provider("ANTHROPIC").start().enter();
        // The scenario: how long the span takes is what is measured.
        std::thread::sleep(Duration::from_millis(50));
    });
    let after = unix_ns();
    twin.run(|| {
        let embedding = Span::embedding(None::<&str>).model_name("X");
        drop(embedding.model_provider("OpenAI").start().enter());
    });
    let sent = twin.assert_equal(&Exemptions::none());
    let llm = sent.span("llm");
    let number = |value: &Value| value.as_u64().unwrap();
    let (start, duration) = (number(&llm["start_ns"]), number(&llm["duration"]));
    assert!((50_000_000..after - before).contains(&duration), "{llm}");
    assert!(
        (before..=after - 50_000_000).contains(&start),
        "{before} {start} {after}"
    );
}
