//! Functions that return streams and iterators, with `stream`.
#![allow(
    clippy::manual_async_fn,
    reason = "the shapes that people write, which clippy sees as they stand"
)]

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use futures::stream::{self, BoxStream, LocalBoxStream};
use futures::{FutureExt as _, Stream, StreamExt as _, TryStream, TryStreamExt as _};
use llmobs::{Chunk, StreamOutput, TokenUsage, agent, embedding, llm, retrieval, task, tool};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::yield_now;

use crate::support::{has_tag, input, only, output, record, record_future};

fn assert_send<T: Send>(value: T) -> T {
    value
}

#[task(stream)]
fn shared(to: u8) -> impl Stream<Item = u8> + Send + Sync + Unpin + Clone + std::fmt::Debug {
    stream::iter(0..to)
}

/// The span of a stream that was read to its end.
#[track_caller]
fn ended(spans: &[Value]) -> &Value {
    let span = only(spans);
    assert_eq!(span["status"], "ok", "{span:#}");
    assert!(!has_tag(span, "cancelled:true"), "{span:#}");
    assert!(span["metrics"]["time_to_first_token"].is_f64(), "{span:#}");
    span
}

#[llm(stream, model_name = "m", name = prompt)]
fn opaque<'a>(prompt: &'a str) -> impl Stream<Item = &'a str> + Send + 'a {
    assert_eq!(llmobs::export_span(None).is_some(), llmobs::is_enabled());
    stream::iter(prompt.split_inclusive(' '))
}

#[task(stream)]
fn boxed(text: String) -> BoxStream<'static, String> {
    stream::once(async move { text }).boxed()
}

struct Model {
    words: Vec<String>,
}

impl Model {
    #[task(stream)]
    fn local(&self) -> LocalBoxStream<'_, Rc<String>> {
        if self.words.is_empty() {
            return stream::empty().boxed_local();
        }
        stream::iter(self.words.iter().cloned().map(Rc::new)).boxed_local()
    }

    #[agent(stream, version = self.words.len().to_string())]
    fn captured(&mut self, _more: u8) -> impl Stream<Item = String> + Send {
        self.words.push("c".to_owned());
        stream::iter(&self.words).map(|word| word.to_uppercase())
    }
}

#[tool(stream)]
fn pinned(count: u8) -> Pin<Box<dyn Stream<Item = u8> + Send + 'static>> {
    Box::pin(stream::iter(0..count))
}

#[test]
fn a_stream_of_any_form_is_the_output() {
    let read = |run: &mut dyn FnMut()| record(run).1;
    let spans = read(&mut || {
        let text: String = futures::executor::block_on(assert_send(opaque("one two")).collect());
        assert_eq!(text, "one two");
    });
    assert_eq!(
        ended(&spans)["meta"]["output"]["messages"],
        json!([{"content": "one two", "role": ""}])
    );
    assert_eq!(only(&spans)["name"], "one two");

    let (text, spans) = record_future(assert_send(async { boxed("ab".into()).next().await }));
    assert_eq!(text.as_deref(), Some("ab"));
    assert_eq!(input(only(&spans)), json!({"text": "ab"}));
    assert_eq!(output(only(&spans)), json!("ab"));

    let mut model = Model {
        words: vec!["a".to_owned(), "b".to_owned()],
    };
    let (words, spans) = record_future(async { model.local().collect::<Vec<_>>().await });
    assert_eq!(words.len(), 2);
    assert_eq!(output(ended(&spans)), json!("ab"));
    let (words, spans) = record_future(async { model.captured(1).collect::<Vec<_>>().await });
    assert_eq!(words, ["A", "B", "C"]);
    assert_eq!(output(ended(&spans)), json!("ABC"));
    assert!(has_tag(only(&spans), "agent_version:2"));

    let (numbers, spans) = record_future(async { shared(2).collect::<Vec<_>>().await });
    assert_eq!(numbers, [0, 1]);
    assert_eq!(output(ended(&spans)), json!([0, 1]));

    let (numbers, spans) = record_future(async { pinned(3).collect::<Vec<_>>().await });
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!(output(ended(&spans)), json!([0, 1, 2]));
}

#[task(stream)]
fn fallible(fail: bool) -> Result<impl Stream<Item = u8>, std::num::ParseIntError> {
    let from = if fail { "x" } else { "1" }.parse()?;
    Ok(stream::iter(from..3))
}

#[task(stream)]
fn optional(some: bool) -> Option<BoxStream<'static, u8>> {
    some.then(|| stream::iter([1]).boxed())
}

#[task(stream)]
fn nested(some: bool) -> anyhow::Result<Option<impl Stream<Item = u8> + Unpin>> {
    anyhow::ensure!(some, "none");
    Ok(Some(stream::iter([1])))
}

#[task(stream)]
async fn asynchronous(fail: bool, mut text: String) -> Result<impl Stream<Item = char>, String> {
    yield_now().await;
    if fail {
        return Err(text);
    }
    text.push('!');
    Ok(stream::iter(text.into_bytes()).map(char::from))
}

#[task(stream)]
async fn asynchronous_boxed(text: &str) -> Result<BoxStream<'_, &str>, Box<dyn Error>> {
    yield_now().await;
    Ok(stream::iter(text.split(' ')).boxed())
}

#[task(stream)]
async fn asynchronous_opaque(text: &str) -> impl Stream<Item = &str> {
    yield_now().await;
    stream::iter(text.split(' '))
}

#[task(stream)]
fn future(n: u8) -> impl Future<Output = Result<impl Stream<Item = u8>, String>> + Send {
    async move {
        yield_now().await;
        Ok(stream::iter(0..n))
    }
}

#[allow(clippy::type_complexity, reason = "written out is what is tested")]
#[task(stream)]
fn boxed_future<'a>(
    text: &'a str,
) -> Pin<Box<dyn Future<Output = Result<BoxStream<'a, &'a str>, String>> + Send + 'a>> {
    async move { Ok(stream::iter(text.split(' ')).boxed()) }.boxed()
}

#[async_trait::async_trait]
trait Chat {
    async fn chat(&self, prompt: &str) -> anyhow::Result<BoxStream<'static, String>>;
}

#[async_trait::async_trait]
impl Chat for Model {
    #[task(stream)]
    async fn chat(&self, prompt: &str) -> anyhow::Result<BoxStream<'static, String>> {
        yield_now().await;
        anyhow::ensure!(!prompt.is_empty(), "no prompt");
        Ok(stream::iter(self.words.clone()).boxed())
    }
}

#[test]
fn a_stream_in_a_result_an_option_or_a_future_is_the_output() {
    let (numbers, spans) =
        record_future(async { fallible(false).unwrap().collect::<Vec<_>>().await });
    assert_eq!(numbers, [1, 2]);
    assert_eq!(output(ended(&spans)), json!([1, 2]));
    let (numbers, spans) =
        record_future(async { optional(true).unwrap().collect::<Vec<_>>().await });
    assert_eq!((numbers.len(), output(ended(&spans))), (1, json!([1])));
    let (numbers, spans) =
        record_future(async { nested(true).unwrap().unwrap().collect::<Vec<_>>().await });
    assert_eq!((numbers.len(), output(ended(&spans))), (1, json!([1])));
    let (text, spans) = record_future(assert_send(async {
        asynchronous(false, "a".into())
            .await
            .unwrap()
            .collect::<String>()
            .await
    }));
    assert_eq!(text, "a!");
    assert_eq!(output(ended(&spans)), json!("a!"));
    let (words, spans) = record_future(async {
        asynchronous_boxed("a b")
            .await
            .unwrap()
            .collect::<Vec<_>>()
            .await
    });
    assert_eq!(words, ["a", "b"]);
    assert_eq!(output(ended(&spans)), json!("ab"));
    let (words, spans) =
        record_future(async { asynchronous_opaque("a b").await.collect::<Vec<_>>().await });
    assert_eq!(words, ["a", "b"]);
    assert_eq!(output(ended(&spans)), json!("ab"));
    let (numbers, spans) = record_future(assert_send(async {
        future(2).await.unwrap().collect::<Vec<_>>().await
    }));
    assert_eq!(numbers, [0, 1]);
    assert_eq!(output(ended(&spans)), json!([0, 1]));
    let (words, spans) =
        record_future(async { boxed_future("a b").await.unwrap().collect::<Vec<_>>().await });
    assert_eq!(words, ["a", "b"]);
    assert_eq!(output(ended(&spans)), json!("ab"));
    let model = Model {
        words: vec!["w".to_owned()],
    };
    let (words, spans) =
        record_future(async { model.chat("p").await.unwrap().collect::<Vec<_>>().await });
    assert_eq!(words, ["w"]);
    assert_eq!(output(ended(&spans)), json!("w"));
}

#[test]
fn a_function_that_has_no_stream_to_give_ends_its_span() {
    let failed = |spans: &[Value], message: &str| {
        let span = only(spans);
        assert_eq!(span["status"], "error");
        assert_eq!(span["meta"]["error"]["message"], message);
        assert!(!has_tag(span, "cancelled:true"));
        assert_eq!(span["meta"].get("output"), None);
    };
    let (result, spans) = record(|| fallible(true).err());
    failed(&spans, &result.unwrap().to_string());
    assert_eq!(
        spans[0]["meta"]["error"]["type"],
        "core::num::error::ParseIntError"
    );
    let (_, spans) = record(|| assert!(nested(false).is_err()));
    failed(&spans, "none");
    let (_, spans) = record_future(async {
        assert!(asynchronous(true, "why".into()).await.is_err());
    });
    failed(&spans, "why");
    let (_, spans) = record_future(async {
        let model = Model { words: Vec::new() };
        assert!(model.chat("").await.is_err());
    });
    failed(&spans, "no prompt");
    let (_, spans) = record(|| assert!(optional(false).is_none()));
    assert_eq!(only(&spans)["status"], "ok");
    assert!(!has_tag(only(&spans), "cancelled:true"));
}

#[derive(Serialize)]
struct Row {
    id: u8,
    api_key: &'static str,
}

/// Neither `Serialize` nor `Debug`.
struct Plain;

#[task(stream)]
fn rows() -> impl Stream<Item = Row> {
    let api_key = "sk-1";
    stream::iter([1, 2]).map(move |id| Row { id, api_key })
}

#[task(stream)]
fn mixed() -> impl Stream<Item = Value> {
    stream::iter([json!("a"), json!("b"), json!(1), json!(null), json!("c")])
}

#[task(stream)]
fn debug() -> impl Stream<Item = std::ops::RangeFull> {
    stream::iter([.., ..])
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Search,
    Answer,
}

#[task(stream)]
fn named_steps() -> impl Stream<Item = Step> {
    stream::iter([Step::Search, Step::Answer])
}

#[llm(stream)]
fn steps_of_a_model() -> impl Stream<Item = Step> {
    named_steps()
}

#[task(stream)]
fn unnamed() -> impl Stream<Item = Plain> {
    stream::iter([Plain, Plain])
}

#[task(stream)]
fn generic<T>(items: Vec<T>) -> impl Stream<Item = T> {
    stream::iter(items)
}

#[test]
fn items_that_are_no_chunks_are_a_list() {
    let output_of = |spans: Vec<Value>| output(ended(&spans));
    let rows = record_future(async { rows().count().await }).1;
    let secret = json!("[redacted]");
    assert_eq!(
        output_of(rows),
        json!([{"id": 1, "api_key": secret}, {"id": 2, "api_key": secret}])
    );
    let mixed = record_future(async { mixed().count().await }).1;
    assert_eq!(output_of(mixed), json!(["ab", 1, "c"]));
    let debug = record_future(async { debug().count().await }).1;
    assert_eq!(output_of(debug), json!(["..", ".."]));
    let steps = record_future(async { named_steps().count().await }).1;
    assert_eq!(output_of(steps), json!(["search", "answer"]));
    let unnamed = record_future(async { unnamed().count().await }).1;
    let name = "cases::streams::Plain";
    assert_eq!(output_of(unnamed), json!([name, name]));
    let generic = record_future(async { generic(vec![1_u8]).count().await }).1;
    assert_eq!(output_of(generic), json!(["u8"]));
    // What a model says is text.
    let steps = record_future(async { steps_of_a_model().count().await }).1;
    let said = steps.iter().find(|span| span["name"] == "steps_of_a_model");
    let messages = &said.unwrap()["meta"]["output"]["messages"];
    assert_eq!(*messages, json!([{"content": "searchanswer", "role": ""}]));
}

#[derive(Debug, thiserror::Error)]
#[error("outer")]
struct Outer(#[source] std::num::ParseIntError);

#[task(stream)]
fn items_fail() -> impl TryStream<Ok = u8, Error = Outer, Item = Result<u8, Outer>> {
    let items = ["1", "x", "3"].map(|text| text.parse().map_err(Outer));
    stream::iter(items)
}

#[task(stream)]
fn items_fail_anyhow() -> BoxStream<'static, anyhow::Result<u8>> {
    let items = ["1", "x"].map(|text| text.parse().map_err(anyhow::Error::new));
    stream::iter(items).boxed()
}

#[test]
fn an_item_that_is_an_error_ends_the_span_with_its_sources() {
    let (items, spans) = record_future(async {
        let items = items_fail().into_stream().collect::<Vec<_>>().await;
        items.into_iter().map(Result::ok).collect::<Vec<_>>()
    });
    assert_eq!(items, [Some(1), None, Some(3)]);
    let span = only(&spans);
    assert_eq!(output(span), json!([1]));
    assert_eq!(span["meta"]["error"]["message"], "outer");
    let stack = span["meta"]["error"]["stack"].as_str().unwrap();
    assert!(stack.contains("Caused by: invalid digit"), "{stack}");
    let (_, spans) = record_future(async { items_fail_anyhow().count().await });
    assert_eq!(
        only(&spans)["meta"]["error"]["message"],
        "invalid digit found in string"
    );
    assert_eq!(output(only(&spans)), json!([1]));
}

/// A type of another crate, as far as the tests are concerned.
struct Foreign {
    text: Option<String>,
    tokens: u64,
}

struct Adapter<'a>(&'a Foreign);

impl Chunk for Adapter<'_> {
    fn add_to(&self, output: &mut StreamOutput) {
        output
            .role("assistant")
            .text(self.0.text.as_deref().unwrap_or_default());
        output.usage(TokenUsage::new().output(self.0.tokens));
    }
}

fn foreign() -> impl Stream<Item = Foreign> {
    stream::iter(1..4).map(|tokens| Foreign {
        text: (tokens != 2).then(|| tokens.to_string()),
        tokens,
    })
}

#[llm(stream, output = |item| item.text.clone())]
fn selected() -> impl Stream<Item = Foreign> {
    foreign()
}

#[llm(stream, output = Adapter)]
fn adapted() -> impl Stream<Item = Foreign> {
    foreign()
}

#[retrieval(stream, output = |item: &Foreign| format!("{prefix}{}", item.tokens))]
fn selected_with_an_argument(prefix: char) -> impl Iterator<Item = Foreign> {
    let _ = prefix;
    [Foreign {
        text: None,
        tokens: 7,
    }]
    .into_iter()
}

#[task(stream, output = |item| item.len() + by)]
fn later<'a>(text: &'a str, by: usize) -> impl Future<Output = impl Iterator<Item = &'a str>> {
    async move { text.split(' ').skip(by) }
}

#[llm(stream, output = |item| if item.tokens == 2 { panic!("in output") } else { item.tokens })]
fn panics() -> impl Stream<Item = Foreign> {
    foreign()
}

#[test]
fn a_closure_says_what_each_item_adds() {
    let messages = |spans: &[Value]| ended(spans)["meta"]["output"]["messages"].clone();
    let (_, spans) = record_future(async { selected().count().await });
    assert_eq!(messages(&spans), json!([{"content": "13", "role": ""}]));
    let (_, spans) = record_future(async { adapted().count().await });
    assert_eq!(
        messages(&spans),
        json!([{"content": "13", "role": "assistant"}])
    );
    assert_eq!(only(&spans)["metrics"]["output_tokens"], 3);
    let (_, spans) = record(|| selected_with_an_argument('n').count());
    assert_eq!(
        ended(&spans)["meta"]["output"]["documents"],
        json!([{"text": "n7"}])
    );
    let (_, spans) = record_future(async { later("ab c def", 1).await.count() });
    assert_eq!(output(ended(&spans)), json!([2, 4]));
    let (count, spans) = record_future(async { panics().count().await });
    assert_eq!(count, 3);
    assert_eq!(messages(&spans), json!([{"content": "[1,3]", "role": ""}]));
}

#[task(stream, capture_output = false)]
fn not_captured() -> impl Stream<Item = String> {
    stream::iter(["x".to_owned()])
}

#[embedding(stream)]
fn not_captured_by_its_kind() -> impl Stream<Item = Vec<f32>> {
    stream::iter([vec![0.5]])
}

#[embedding(stream, capture_output = true)]
fn captured() -> impl Iterator<Item = Vec<f32>> {
    [vec![0.5]].into_iter()
}

#[test]
fn what_is_not_to_be_captured_is_not() {
    let (_, spans) = record_future(async { not_captured().count().await });
    assert_eq!(ended(&spans)["meta"].get("output"), None);
    let (_, spans) = record_future(async { not_captured_by_its_kind().count().await });
    assert_eq!(ended(&spans)["meta"].get("output"), None);
    let (_, spans) = record(|| captured().count());
    assert_eq!(output(ended(&spans)), json!([[0.5]]));
}

#[task(stream)]
fn counts(to: u8) -> impl DoubleEndedIterator<Item = u8> + ExactSizeIterator + Clone {
    0..to
}

#[task(stream)]
fn boxed_iterator<'a>(text: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
    if text.is_empty() {
        return Box::new(std::iter::empty());
    }
    Box::new(text.split(' '))
}

#[task(stream)]
fn fallible_iterator(text: &str) -> Result<impl Iterator<Item = Result<u8, String>>, String> {
    if text.is_empty() {
        return Err("empty".to_owned());
    }
    Ok(text
        .split(' ')
        .map(|word| word.parse().map_err(|_| word.to_owned())))
}

#[track_caller]
#[task(stream)]
fn located() -> impl Iterator<Item = u32> {
    [std::panic::Location::caller().line()].into_iter()
}

#[test]
fn an_iterator_is_the_output() {
    let (numbers, spans) = record(|| {
        let counts = counts(3);
        assert_eq!((counts.len(), counts.clone().count()), (3, 3));
        counts.rev().collect::<Vec<_>>()
    });
    assert_eq!(numbers, [2, 1, 0]);
    assert_eq!(output(ended(&spans)), json!([2, 1, 0]));
    let (words, spans) = record(|| boxed_iterator("a b").collect::<Vec<_>>());
    assert_eq!(words, ["a", "b"]);
    assert_eq!(output(ended(&spans)), json!("ab"));
    let (numbers, spans) = record(|| fallible_iterator("1 x").unwrap().collect::<Vec<_>>());
    assert_eq!(numbers.len(), 2);
    assert_eq!(only(&spans)["meta"]["error"]["message"], "x");
    assert_eq!(output(only(&spans)), json!([1]));
    let (lines, spans) = record(|| (located().next(), line!()));
    assert_eq!(lines.0, Some(lines.1));
    assert_eq!(output(ended(&spans)), json!([lines.1]));
}

#[task(stream)]
fn to_be_written() -> impl Stream<Item = u8> {
    if true {
        todo!("tomorrow")
    }
    stream::empty()
}

#[test]
fn a_panic_before_there_is_a_stream_is_the_span_s_error() {
    let (_, spans) = record(|| {
        let run = std::panic::AssertUnwindSafe(|| drop(to_be_written()));
        assert!(std::panic::catch_unwind(run).is_err());
    });
    assert_eq!(only(&spans)["meta"]["error"]["type"], "panic");
}

#[test]
fn nothing_is_looked_at_while_llmobs_is_not_enabled() {
    assert_eq!(futures::executor::block_on(panics().count()), 3);
    assert_eq!(counts(3).rev().collect::<Vec<_>>(), [2, 1, 0]);
    let words: String = futures::executor::block_on(opaque("a b").collect());
    assert_eq!(words, "a b");
    let failed = futures::executor::block_on(asynchronous(true, "why".into()));
    assert_eq!(failed.err().as_deref(), Some("why"));
}
