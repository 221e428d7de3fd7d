//! Tokens: their totals where usage is told in parts, and when the first of them came.

use std::time::{Duration, Instant};

use futures::Stream;
use futures::executor::block_on;
use futures::stream::{self, StreamExt as _};
use llmobs::{Annotation, Chunk, Span, StreamOutput, TokenUsage, llm};
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::Client;

/// As Anthropic tells it: input and one token of output at the start, all of the output at the end.
fn parts() -> [TokenUsage; 2] {
    [
        TokenUsage::new().uncached_input(8).cache_read(2).output(1),
        TokenUsage::new().output(30),
    ]
}

fn whole() -> Value {
    json!({
        "input_tokens": 10, "output_tokens": 30, "total_tokens": 40, "cache_read_input_tokens": 2,
    })
}

#[llm]
fn annotated(parts: [TokenUsage; 2]) {
    for part in parts {
        llmobs::annotate(None, Annotation::new().usage(part)).unwrap();
    }
}

#[test]
fn usage_that_is_told_in_parts_has_the_total_of_what_stands() {
    let sent = Client::start().sent_by(|| {
        let [start, end] = parts();
        annotated([start, end]);
        let span = Span::llm("span").start();
        span.annotate(Annotation::new().usage(start)).unwrap();
        span.annotate(Annotation::new().usage(end)).unwrap();
        let span = Span::llm("one annotation").start();
        span.annotate(Annotation::new().usage(start).usage(end))
            .unwrap();
    });
    for name in ["annotated", "span", "one annotation"] {
        assert_eq!(sent.span(name)["metrics"], whole(), "{name}");
    }
}

#[test]
fn a_total_that_is_told_stands_and_a_later_part_does_not_undo_it() {
    let sent = Client::start().sent_by(|| {
        let span = Span::llm("told").start();
        let told = TokenUsage::new().input(10).output(1).total(100);
        span.annotate(Annotation::new().usage(told)).unwrap();
        let end = Annotation::new().usage(TokenUsage::new().output(30));
        span.annotate(end).unwrap();
        let span = Span::llm("metric").start();
        let [start, _] = parts();
        span.annotate(Annotation::new().usage(start)).unwrap();
        let end = Annotation::new().metric("output_tokens", 30);
        span.annotate(end).unwrap();
    });
    let told = json!({"input_tokens": 10, "output_tokens": 30, "total_tokens": 100});
    assert_eq!(sent.span("told")["metrics"], told);
    assert_eq!(sent.span("metric")["metrics"], whole());
}

struct Part(TokenUsage);

impl Chunk for Part {
    fn add_to(&self, output: &mut StreamOutput) {
        output.usage(self.0);
    }
}

#[llm(stream)]
fn in_a_stream() -> impl Stream<Item = Part> {
    stream::iter(parts().map(Part))
}

#[test]
fn usage_in_two_items_of_a_stream_has_the_total_of_what_stands() {
    let sent = Client::start().sent_by(|| assert_eq!(block_on(in_a_stream().count()), 2));
    assert_eq!(sent.span("in_a_stream")["metrics"], whole());
}

/// An item as a client of an API has it: a type of its own with `Serialize`.
#[derive(Clone, Serialize)]
struct Event(Value);

#[llm(stream)]
fn events(items: &[Value]) -> impl Iterator<Item = Event> {
    items
        .iter()
        .cloned()
        .map(Event)
        .collect::<Vec<_>>()
        .into_iter()
}

#[llm(stream)]
fn values(items: &[Value]) -> impl Stream<Item = Value> + use<> {
    stream::iter(items.to_vec())
}

#[llm(stream)]
fn results(items: &[Value]) -> impl Stream<Item = Result<Value, std::fmt::Error>> + use<> {
    stream::iter(items.to_vec()).map(Ok)
}

/// The items that an API sends before the first token, and with it.
fn apis() -> [(&'static str, Vec<Value>, Value); 5] {
    [
        (
            "OpenAI",
            vec![
                json!({"object": "chat.completion.chunk", "choices": []}),
                json!({"choices": [{"index": 0, "finish_reason": null, "delta": {
                    "role": "assistant", "content": "", "refusal": null
                }}]}),
            ],
            json!({"choices": [{"index": 0, "delta": {"content": "Hello"}}]}),
        ),
        (
            "OpenAI, a call of a tool",
            vec![json!({"choices": [{"delta": {"role": "assistant", "content": null}}]})],
            json!({"choices": [{"delta": {"tool_calls": [
                {"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}
            ]}}]}),
        ),
        (
            "Anthropic",
            vec![
                json!({"type": "message_start", "message": {
                    "id": "m", "type": "message", "role": "assistant", "content": [],
                    "usage": {"input_tokens": 25, "output_tokens": 1}
                }}),
                json!({"type": "content_block_start", "index": 0,
                       "content_block": {"type": "text", "text": ""}}),
                json!({"type": "ping"}),
            ],
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello"}}),
        ),
        (
            "Anthropic, a thought",
            vec![json!({"type": "content_block_start", "content_block": {
                "type": "thinking", "thinking": ""
            }})],
            json!({"type": "content_block_delta", "delta": {
                "type": "thinking_delta", "thinking": "Hm"
            }}),
        ),
        (
            "Gemini",
            vec![
                json!({"candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}}]}),
                json!({"usageMetadata": {"promptTokenCount": 4}, "modelVersion": "gemini"}),
            ],
            json!({"candidates": [{"content": {"parts": [{"text": "Hello"}], "role": "model"}}]}),
        ),
    ]
}

/// Time has to pass before the token, or both would have the same.
fn pass_time() {
    let until = Instant::now() + Duration::from_millis(5);
    while Instant::now() < until {
        std::thread::yield_now();
    }
}

fn first_token(span: &Value) -> Option<Duration> {
    span["metrics"]["time_to_first_token"]
        .as_f64()
        .map(Duration::from_secs_f64)
}

/// Takes the items one by one; how long it was from the last item without a token, and from before the call, until
/// the token was there.
fn take<I>(
    before: usize,
    open: impl FnOnce() -> I,
    mut next: impl FnMut(&mut I),
) -> (Duration, Duration) {
    let called = Instant::now();
    let mut items = open();
    let opened = Instant::now();
    for _ in 0..before {
        next(&mut items);
    }
    pass_time();
    let least = opened.elapsed();
    next(&mut items);
    let most = called.elapsed();
    // A later item changes nothing.
    pass_time();
    next(&mut items);
    (least, most)
}

#[test]
fn the_first_token_is_the_first_item_that_says_something() {
    for (api, nothing, token) in apis() {
        let items: Vec<Value> = nothing.iter().chain([&token, &token]).cloned().collect();
        let mut times = Vec::new();
        let sent = Client::start().sent_by(|| {
            let before = nothing.len();
            times.push(take(
                before,
                || events(&items),
                |items| assert!(items.next().is_some()),
            ));
            times.push(take(
                before,
                || values(&items),
                |items| assert!(block_on(items.next()).is_some()),
            ));
            times.push(take(
                before,
                || results(&items),
                |items| assert!(block_on(items.next()).is_some()),
            ));
        });
        for (name, (least, most)) in ["events", "values", "results"].iter().zip(times) {
            let first = first_token(sent.span(name)).unwrap_or_else(|| panic!("{api}, {name}"));
            // A microsecond for the rounding of the number.
            let slack = Duration::from_micros(1);
            assert!(
                first + slack >= least && first <= most + slack,
                "{api}, {name}: {first:?} is not in {least:?}..={most:?}"
            );
        }
    }
}

#[test]
fn a_stream_that_says_nothing_has_no_first_token() {
    for (api, nothing, _) in apis() {
        let sent = Client::start().sent_by(|| {
            assert_eq!(events(&nothing).count(), nothing.len());
            assert_eq!(block_on(values(&nothing).count()), nothing.len());
            assert_eq!(block_on(results(&nothing).count()), nothing.len());
        });
        for name in ["events", "values", "results"] {
            assert_eq!(first_token(sent.span(name)), None, "{api}, {name}");
        }
    }
}
