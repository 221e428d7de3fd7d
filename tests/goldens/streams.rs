//! Generators: ours are iterators and streams.

use std::fmt;

use futures::{Stream, StreamExt as _, executor::block_on, stream};
use llmobs::{Annotation, Span, llm, task, workflow};
use llmobs_tests::Exemptions;
use serde_json::json;

use crate::twin::Twin;

#[workflow(stream)]
fn g(n: u32) -> impl Iterator<Item = u32> {
    0..n
}

#[derive(Debug)]
struct ValueError(&'static str);

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ValueError {}

#[task(stream)]
fn gerr() -> impl Iterator<Item = Result<u32, ValueError>> {
    [Ok(1), Err(ValueError("gen boom"))].into_iter()
}

#[llm(stream, name = "stream", model_name = "m")]
fn tokens() -> impl Iterator<Item = &'static str> {
    let mut tokens = ["a", "b", "c"].into_iter();
    std::iter::from_fn(move || {
        let token = tokens.next();
        if token.is_none() {
            let by_hand = Annotation::new().input("p").output("abc");
            llmobs::annotate(None, by_hand).unwrap();
        }
        token
    })
}

#[workflow(stream)]
fn ag(n: u32) -> impl Stream<Item = u32> {
    stream::iter(0..n)
}

#[test]
fn twin_14_generators() {
    let twin = Twin::start("14-generators");
    twin.run(|| {
        assert_eq!(g(3).count(), 3);
        assert_eq!(g(5).next(), Some(0));
        assert!(gerr().any(|item| item.is_err()));
        assert_eq!(tokens().collect::<String>(), "abc");
        assert_eq!(block_on(ag(2).count()), 2);
        assert_eq!(block_on(ag(3).take(1).count()), 1);
        let mut suspended = g(2);
        suspended.next();
        drop(Span::task("while_suspended").start());
        assert_eq!(suspended.count(), 1);
        drop(Span::task("after").start());
    });
    let mut exemptions = Exemptions::none()
        // Current only while an item is made.
        .expect("while_suspended", "/parent_id", json!("undefined"))
        .expect("while_suspended", "/trace_id", json!("$trace.new"))
        .expect("while_suspended", "/_dd/trace_id", json!("$apm.new"))
        .expect("while_suspended", "/_dd/apm_trace_id", json!("$apm.new"));
    // What came is the output, unless it is annotated by hand as in `stream`.
    for (span, items) in [
        ("g#1", "[0,1,2]"),
        ("g#2", "[0]"),
        ("gerr", "[1]"),
        ("ag#1", "[0,1]"),
        ("ag#2", "[0]"),
        ("g#3", "[0,1]"),
    ] {
        exemptions = exemptions.expect(span, "/meta/output/value", json!(items));
    }
    for span in ["g", "gerr", "stream", "ag"] {
        let pointer = "/metrics/time_to_first_token";
        exemptions = exemptions.expect(span, pointer, json!("$seconds"));
    }
    for broken_off in ["g#2", "ag#2"] {
        exemptions = exemptions.expect_tags(broken_off, &["cancelled:true"], &[]);
    }
    twin.assert_equal(&exemptions);
}
