//! What a processor changes, drops, and what is sent when it fails.

use std::sync::{Arc, Mutex};

use llmobs::{Annotation, Document, ProcessedSpan, Span, SpanKind, Verdict};
use llmobs_tests::Exemptions;
use serde_json::json;

use crate::twin::Twin;

fn as_recorded(span: &mut ProcessedSpan) -> Verdict {
    if span.tag("omit") == Some("1") {
        return Verdict::Drop;
    }
    if span.tag("explode") == Some("1") {
        std::panic::resume_unwind(Box::new("as in the recording"));
    }
    if span.tag("clear") == Some("1") {
        span.input_mut().set_messages(Vec::new());
        span.output_mut().set_messages(Vec::new());
    }
    span.remove_metadata("secret");
    span.redact(|text| *text = text.replace("secret", "[REDACTED]"));
    Verdict::Keep
}

#[test]
fn twin_27_span_processor() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seeing = Arc::clone(&seen);
    let twin = Twin::configured("27-span-processor", |config| {
        config.processor(as_recorded).processor(move |span| {
            seeing.lock().unwrap().push(span.kind());
            Verdict::Keep
        })
    });
    twin.run(|| {
        let annotated = |span: Span, annotation| {
            span.annotate(annotation).unwrap();
        };
        let new = Annotation::new;
        let llm = |name| Span::llm(name).model_name("m").start();
        let redact = new().input("my secret").output(("assistant", "secret too"));
        annotated(
            llm("redact"),
            redact.metadata("secret", 1).metadata("keep", 2),
        );
        let task = new().input(json!({"k": "secret"})).output("secret");
        annotated(Span::task("redact_task").start(), task);
        let found = Document::new("secret doc").name("n").score(0.5);
        let retrieval = Span::retrieval("redact_docs").start();
        annotated(retrieval, new().input("secret").output(found));
        let clear = new().input("a").output("b").tag("clear", 1);
        annotated(llm("cleared"), clear);
        {
            let parent = Span::workflow("dropped").start();
            let _in = parent.enter();
            drop(Span::task("kept_child").start());
            annotated(parent, new().tag("omit", 1));
        }
        let explode = new().input("secret").tag("explode", 1);
        annotated(Span::task("explodes").start(), explode);
    });
    let mut exemptions = Exemptions::none()
        // A processor that fails lets nothing out.
        .expect("explodes", "/name", json!("task"))
        .expect_absent("explodes", "/meta/input")
        .expect(
            "explodes",
            "/collection_errors",
            json!(["processor_failed"]),
        )
        .expect_tags("explodes", &[], &["explode:1"])
        // A wrong return type does not compile.
        .without_span("wrong");
    for (name, kind) in [
        ("redact", "llm"),
        ("redact_task", "task"),
        ("redact_docs", "retrieval"),
        ("cleared", "llm"),
        ("kept_child", "task"),
        ("explodes", "task"),
    ] {
        // Python's processor has left its own view of the kind in the tags.
        exemptions = exemptions.expect_tags(name, &[], &[&format!("span.kind:{kind}")]);
    }
    let sent = twin.assert_equal_but_for(1, &exemptions);
    assert_eq!(sent.spans.len(), 6);
    assert!(!format!("{:?}", sent.spans).contains("secret"));
    use SpanKind::{Llm, Retrieval, Task};
    assert_eq!(*seen.lock().unwrap(), [Llm, Task, Retrieval, Llm, Task]);
}
