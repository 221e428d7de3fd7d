//! A library that leaves llmobs off: its attributes are checked, and its functions are bare.
//!
//! `cargo test --workspace` turns the feature on for all of its packages; what only holds
//! without it is behind the feature `alone`, of `cargo test -p llmobs-tests-off --features alone`.

#![cfg(test)]
#![deny(warnings)]
#![allow(clippy::manual_async_fn, reason = "the form is what is tested")]

use std::future::Future;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::StreamExt as _;
use futures::executor::block_on;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use llmobs::{
    Annotation, Evaluation, Feedback, Span, agent, embedding, llm, prompt, retrieval, task, tool,
    workflow,
};

static EVALUATED: AtomicU32 = AtomicU32::new(0);

fn evaluated<T>(value: T) -> T {
    EVALUATED.fetch_add(1, Ordering::Relaxed);
    value
}

struct Model {
    name: String,
}

impl Model {
    // `topic` is only used in the attribute, and counts as used.
    #[llm(model_name = self.name, name = evaluated("n"), tags(topic = topic), output = |text| text.len())]
    async fn ask(&self, topic: &str) -> Result<String, std::num::ParseIntError> {
        let number: u8 = self.name.parse()?;
        Ok(number.to_string())
    }

    #[agent(version = evaluated("1"), session_id = self.name, metadata(by = by))]
    fn count(&mut self, by: usize) -> &mut String {
        self.name = (self.name.len() + by).to_string();
        &mut self.name
    }
}

#[workflow(input = evaluated(a), skip(b))]
fn early(a: u8, b: u8) -> Option<u8> {
    if a == 0 {
        return None;
    }
    Some(a + b)
}

#[task(capture_output = false)]
fn opaque(a: u8) -> impl Iterator<Item = u8> + Clone {
    0..a
}

#[tool(name = name)]
fn boxed<'a>(name: &'a str) -> BoxFuture<'a, usize> {
    Box::pin(async move { name.len() })
}

#[retrieval(capture_output = true)]
fn future(query: String) -> impl Future<Output = String> + Send {
    async move { query }
}

#[embedding(model_name = "m")]
#[track_caller]
fn located(early: bool) -> u32 {
    if early {
        return Location::caller().line();
    }
    Location::caller().line()
}

#[task]
fn never() -> ! {
    panic!("the end")
}

#[task(stream, output = |item| item.len() + by)]
fn streamed(text: &str, by: usize) -> Option<impl Iterator<Item = &str> + Clone> {
    (by > 0).then(|| text.split(' '))
}

#[llm(stream)]
async fn streamed_later(text: String) -> Result<BoxStream<'static, String>, String> {
    Ok(Box::pin(futures::stream::iter([text])))
}

#[test]
fn case_54_functions_do_what_they_did() {
    let mut model = Model {
        name: "7".to_owned(),
    };
    assert_eq!(block_on(model.ask("x")).as_deref(), Ok("7"));
    assert_eq!(model.count(2), "3");
    assert_eq!((early(0, 1), early(1, 1)), (None, Some(2)));
    assert_eq!(opaque(3).count(), 3);
    assert_eq!(block_on(boxed("ab")), 2);
    assert_eq!(block_on(future("q".to_owned())), "q");
    assert_eq!(located(true), line!());
    assert_eq!(located(false), line!());
    assert!(std::panic::catch_unwind(|| never()).is_err());
    assert_eq!(streamed("a b", 1).unwrap().collect::<String>(), "ab");
    let streamed = block_on(streamed_later("a".to_owned())).unwrap();
    assert_eq!(block_on(streamed.collect::<String>()), "a");
    let span = Span::llm("idle").start();
    assert_eq!(span.wrap_iterator(["a"].into_iter()).rev().count(), 1);
}

#[test]
fn case_54_expressions_are_not_evaluated() {
    early(1, 1);
    let mut model = Model {
        name: "7".to_owned(),
    };
    model.count(1);
    block_on(model.ask("x")).unwrap();
    assert_eq!(EVALUATED.load(Ordering::Relaxed), 0);
}

#[test]
fn case_54_the_api_is_there_and_idle() {
    #[workflow]
    fn inside() {
        let context = llmobs::export_span(None);
        assert_eq!(context, None);
        assert!(llmobs::submit_evaluation(context, Evaluation::new("label", 1)).is_ok());
        let feedback = Feedback::new("no label", f64::NAN, "");
        assert!(llmobs::submit_feedback(llmobs::export_span(None), feedback).is_ok());
        assert!(llmobs::annotate(None, Annotation::new().output("x")).is_ok());
    }
    inside();
}

/// It is the program's own text, and no telemetry.
#[test]
fn a_prompt_has_its_text() {
    #[llm(model_name = "m")]
    fn ask(question: &str) -> String {
        let prompt = prompt!("ask", "Answer {{question}} {{n}}", question, n = 1 + 1);
        assert!(llmobs::annotate(None, Annotation::new().prompt(prompt.clone())).is_ok());
        prompt.text()
    }
    assert_eq!(ask("me"), "Answer me 2");
    let unfit = prompt!(file = "prompt.txt", name = "the file");
    assert_eq!(unfit.text(), "{{file}} is the file");
}

#[cfg(feature = "alone")]
#[test]
fn case_54_futures_are_as_large_as_the_bare_ones() {
    #[workflow(name = format!("{text}"))]
    async fn spanned(text: &str, more: [u8; 100]) -> usize {
        std::future::ready(()).await;
        text.len() + more.len()
    }
    async fn bare(text: &str, more: [u8; 100]) -> usize {
        std::future::ready(()).await;
        text.len() + more.len()
    }
    assert_eq!(
        size_of_val(&spanned("", [0; 100])),
        size_of_val(&bare("", [0; 100]))
    );
}
