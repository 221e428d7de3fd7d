//! How spans end: once, in any order, and what can still be done afterwards.

use std::panic::{AssertUnwindSafe, catch_unwind};

use llmobs::{AnnotateError, Annotation, Context, Document, Message, Span, SpanKind};
use serde_json::json;

use crate::client::{Client, SOON};

#[test]
fn spans_finish_in_any_order() {
    let sent = Client::start().sent_by(|| {
        let outer = Span::workflow("outer").start();
        let in_outer = outer.enter();
        let inner = Span::task("inner").start();
        let in_inner = inner.enter();
        outer.finish().unwrap();
        drop(in_outer);
        drop(Span::task("below inner").start());
        inner.finish().unwrap();
        drop(in_inner);
        drop(Span::task("alone").start());
    });
    assert_eq!(sent.parent_of("inner"), Some("outer"));
    assert_eq!(sent.parent_of("below inner"), Some("inner"));
    assert_eq!(sent.parent_of("alone"), None);
    assert_eq!(sent.spans.len(), 4);
}

#[test]
fn the_drop_of_the_last_handle_ends_a_span_once() {
    let client = Client::start();
    client.run(|| {
        let first = Span::task("held").start();
        let (second, guard) = (first.clone(), first.enter());
        drop(first);
        drop(guard);
        llmobs::flush(SOON).unwrap();
        assert_eq!(client.intake().spans().len(), 0, "a handle is left");
        drop(second);
        llmobs::flush(SOON).unwrap();
        assert_eq!(client.intake().spans().len(), 1);
        let finished = Span::task("finished").start();
        let other = finished.clone();
        finished.finish().unwrap();
        let error = other.finish().unwrap_err();
        assert_eq!(error.name, "finished");
        assert!(error.to_string().contains("\"finished\""), "{error}");
        let io = std::io::Error::other("too late");
        assert!(other.finish_with_error(&io).is_err());
    });
    let sent = client.sent();
    assert_eq!(sent.spans.len(), 2);
    assert_eq!(sent.span("finished")["status"], "ok");
}

#[test]
fn an_annotation_after_the_end_is_an_error_and_changes_nothing() {
    let sent = Client::start().sent_by(|| {
        let span = Span::task("ended").start();
        let _in = span.enter();
        span.finish().unwrap();
        let late = || Annotation::new().input("late").tag("late", true);
        for result in [
            span.annotate(late()),
            llmobs::annotate(&span, late()),
            llmobs::annotate(None, late()),
        ] {
            let name = "ended".to_owned();
            assert_eq!(result, Err(AnnotateError::Ended { name }));
        }
        // Its identity outlives it.
        assert_eq!(llmobs::export_span(&span), llmobs::export_span(None));
        assert!(llmobs::export_span(&span).is_some());
    });
    assert_eq!(sent.span("ended")["meta"].get("input"), None);
    assert_eq!(sent.tag("ended", "late"), None);
}

#[test]
fn what_a_kind_cannot_carry_is_an_error_and_the_rest_is_applied() {
    let sent = Client::start().sent_by(|| {
        let llm = Span::llm("llm").start();
        let wrong = Annotation::new()
            .input(Document::new("d"))
            .output("answer")
            .metadata("k", 1)
            .metric("tokens", 2)
            .tag("t", 3);
        let field = "input documents";
        let kind = SpanKind::Llm;
        let expected = Err(AnnotateError::WrongKind { field, kind });
        assert_eq!(llm.annotate(wrong), expected);
        let retrieval = Span::retrieval("retrieval").start();
        let wrong = Annotation::new()
            .input("query")
            .output([Message::user("no document")]);
        let field = "output messages";
        let kind = SpanKind::Retrieval;
        let expected = Err(AnnotateError::WrongKind { field, kind });
        assert_eq!(retrieval.annotate(wrong), expected);
        let infinite = Annotation::new()
            .metric("bad", f64::INFINITY)
            .metric("good", 1);
        let error = retrieval.annotate(infinite).unwrap_err();
        assert!(matches!(error, AnnotateError::InvalidValue { .. }));
        assert!(error.to_string().contains("\"bad\""), "{error}");
        let document = Document::new("text").name("page").score(f64::NAN);
        let error = retrieval.annotate(Annotation::new().output(document));
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("\"page\"") && error.contains("NaN"),
            "{error}"
        );
    });
    let llm = sent.span("llm");
    assert_eq!(llm["meta"].get("input"), None);
    assert_eq!(llm["meta"]["output"]["messages"][0]["content"], "answer");
    assert_eq!(llm["meta"]["metadata"], json!({"k": 1}));
    assert_eq!(llm["metrics"], json!({"tokens": 2}));
    assert_eq!(sent.tag("llm", "t"), Some("3"));
    let retrieval = sent.span("retrieval");
    assert_eq!(retrieval["meta"]["input"]["value"], "query");
    let kept = json!({"documents": [{"text": "text", "name": "page"}]});
    assert_eq!(retrieval["meta"]["output"], kept, "without the score");
    assert_eq!(retrieval["metrics"], json!({"good": 1}));
}

#[test]
fn children_of_an_ended_span_keep_it_as_their_parent() {
    let sent = Client::start().sent_by(|| {
        let parent = Span::workflow("parent").session_id("s").ml_app("a").start();
        let context = Context::from(&parent);
        let in_parent = parent.enter();
        parent.finish().unwrap();
        drop(Span::task("inside").start());
        drop(in_parent);
        drop(parent);
        llmobs::flush(SOON).unwrap();
        context.in_scope(|| drop(Span::task("much later").start()));
    });
    for name in ["inside", "much later"] {
        assert_eq!(sent.parent_of(name), Some("parent"));
        assert_eq!(sent.span(name)["trace_id"], sent.span("parent")["trace_id"]);
        assert_eq!(sent.span(name)["session_id"], "s");
        assert_eq!(sent.tag(name, "ml_app"), Some("a"));
    }
}

#[test]
fn a_context_keeps_no_span_open() {
    let client = Client::start();
    let context = client.run(|| {
        let _in = Span::workflow("short").start().enter();
        Context::current()
    });
    client.handle().flush(SOON).unwrap();
    assert_eq!(client.intake().spans().len(), 1);
    assert!(context.span_context().is_some());
    // The context carries the client, too.
    std::thread::spawn(move || context.in_scope(|| drop(Span::task("child").start())))
        .join()
        .unwrap();
    assert_eq!(client.sent().parent_of("child"), Some("short"));
}

#[test]
fn the_root_context_begins_another_trace() {
    let sent = Client::start().sent_by(|| {
        let _in = Span::workflow("outer").start().enter();
        Context::root().in_scope(|| {
            assert_eq!(llmobs::export_span(None), None);
            let _in = Span::workflow("apart").start().enter();
            drop(Span::task("below apart").start());
        });
        drop(Span::task("below outer").start());
    });
    assert_eq!(sent.parent_of("apart"), None);
    assert_eq!(sent.parent_of("below apart"), Some("apart"));
    assert_eq!(sent.parent_of("below outer"), Some("outer"));
    let trace = |name: &str| &sent.span(name)["trace_id"];
    assert_ne!(trace("apart"), trace("outer"));
}

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no number")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn an_error_has_its_type_its_message_and_the_chain_of_its_sources() {
    let sent = Client::start().sent_by(|| {
        let error = Outer("x".parse::<i32>().unwrap_err());
        let parent = Span::workflow("parent").start().enter();
        let child = Span::task("child").start();
        child.finish_with_error(&error).unwrap();
        let boxed: Box<dyn std::error::Error> = Box::new(error);
        let other = Span::task("boxed").start();
        other.finish_with_error(&*boxed).unwrap();
        drop(parent);
    });
    let error = &sent.span("child")["meta"]["error"];
    let kind = error["type"].as_str().unwrap();
    assert!(kind.ends_with("::Outer"), "{kind}");
    assert_eq!(error["message"], "no number");
    let stack = error["stack"].as_str().unwrap();
    let lines: Vec<&str> = stack.lines().collect();
    assert_eq!(lines[0], format!("{kind}: no number"));
    assert_eq!(lines[1], "Caused by: invalid digit found in string");
    assert_eq!(sent.span("child")["status"], "error");
    assert_eq!(sent.tag("child", "error"), Some("1"));
    assert_eq!(sent.tag("child", "error_type"), Some(kind));
    assert_eq!(sent.span("boxed")["meta"]["error"]["message"], "no number");
    assert_eq!(sent.span("parent")["status"], "ok");
    assert_eq!(sent.tag("parent", "error"), Some("0"));
    assert_eq!(sent.tag("parent", "error_type"), None);
}

#[test]
fn a_panic_that_drops_a_span_makes_it_an_error() {
    let sent = Client::start().sent_by(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _in = Span::task("unwound").start().enter();
            std::panic::resume_unwind(Box::new("boom"));
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"boom"));
        drop(Span::task("after").start());
    });
    assert_eq!(sent.span("unwound")["status"], "error");
    assert_eq!(sent.span("unwound")["meta"]["error"]["type"], "panic");
    assert_eq!(sent.parent_of("after"), None);
    assert_eq!(sent.span("after")["status"], "ok");
}
