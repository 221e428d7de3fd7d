//! What the items of a stream add to its span.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use futures::Stream;
use futures::executor::block_on;
use futures::stream::{self, StreamExt as _};
use llmobs::{Annotation, Capture, Chunk, Config, Message, Span, StreamOutput, TokenUsage, llm};
use serde_json::json;

use crate::client::Client;

#[test]
fn text_messages_and_json_say_by_themselves_what_they_add() {
    fn wrapped<T: Chunk>(name: &'static str, items: impl IntoIterator<Item = T>) {
        let items = items.into_iter();
        let items = Span::llm(name).start().wrap_iterator(items);
        assert!(items.count() > 0);
    }

    let sent = Client::start().sent_by(|| {
        wrapped("char", ['ä', 'b']);
        wrapped("cow", [Cow::Borrowed("ä"), Cow::Owned("b".to_owned())]);
        wrapped("references", [&&"ä".to_owned(), &&"b".to_owned()]);
        wrapped("boxes", [Box::<str>::from("ä"), "b".into()]);
        wrapped(
            "arcs",
            [Some(Arc::<str>::from("ä")), None, Some("b".into())],
        );
        wrapped("results", [Ok::<_, std::fmt::Error>("ä"), Ok("b")]);
        wrapped("json", [json!("ä"), json!(null), json!("b")]);
        wrapped("messages", [Message::user("a"), Message::assistant("b")]);
        wrapped("rest", [json!({"a": 1})]);
    });
    for name in [
        "char",
        "cow",
        "references",
        "boxes",
        "arcs",
        "results",
        "json",
    ] {
        let expected = json!([{"role": "", "content": "äb"}]);
        assert_eq!(*sent.messages(name), expected, "{name}");
    }
    assert_eq!(
        *sent.messages("messages"),
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    );
    assert_eq!(sent.messages("rest")[0]["content"], r#"[{"a":1}]"#);
}

/// A chunk whose `Chunk` is as it likes.
enum Unruly {
    Text(&'static str),
    PanicsAfter(&'static str),
}

impl Chunk for Unruly {
    fn add_to(&self, output: &mut StreamOutput) {
        match self {
            Self::Text(text) => {
                output.text(text);
            }
            Self::PanicsAfter(text) => {
                output.text(text);
                panic!("in a chunk");
            }
        }
    }
}

#[test]
fn a_panic_in_a_chunk_is_swallowed() {
    let sent = Client::start().sent_by(|| {
        let items = [
            Unruly::Text("a"),
            Unruly::PanicsAfter("b"),
            Unruly::Text("c"),
        ];
        let stream = Span::task("stream")
            .start()
            .wrap_stream(stream::iter(items));
        assert_eq!(block_on(stream.count()), 3);
    });
    assert_eq!(sent.span("stream")["status"], "ok");
    assert_eq!(sent.output("stream"), "abc");
}

#[test]
fn the_time_to_the_first_token_is_in_seconds_and_within_the_span() {
    let sent = Client::start().sent_by(|| {
        let tokens = ["a", "b"].into_iter();
        let stream = Span::llm("call").start().wrap_iterator(tokens);
        assert_eq!(stream.count(), 2);
        let nothing = std::iter::empty::<&str>();
        assert_eq!(
            Span::llm("empty").start().wrap_iterator(nothing).next(),
            None
        );
        let by_hand = Span::llm("by hand").start();
        let annotation = Annotation::new().metric("time_to_first_token", 7.5);
        by_hand.annotate(annotation).unwrap();
        assert_eq!(by_hand.wrap_iterator(["a"].into_iter()).count(), 1);
    });
    let span = sent.span("call");
    let seconds = span["metrics"]["time_to_first_token"].as_f64().unwrap();
    let nanoseconds = span["duration"].as_u64().unwrap();
    assert!(
        seconds > 0.0 && seconds * 1e9 <= nanoseconds as f64 + 1.0,
        "{span:#}"
    );
    assert_eq!(sent.span("empty")["metrics"], json!({}));
    assert_eq!(sent.span("by hand")["metrics"]["time_to_first_token"], 7.5);
}

#[test]
fn a_stream_of_many_megabytes_passes_and_its_span_arrives() {
    const PIECE: usize = 1_000_000;
    let sent = Client::start().sent_by(|| {
        for (name, pieces) in [("long", 4), ("endless", 40)] {
            let items = std::iter::repeat_with(|| "x".repeat(PIECE)).take(pieces);
            let stream = Span::task(name).start().wrap_iterator(items);
            assert_eq!(
                stream.map(|piece| piece.len()).sum::<usize>(),
                pieces * PIECE
            );
        }
    });
    let long = sent.output("long").as_str().unwrap();
    assert_eq!(long.len(), 4 * PIECE);
    // As with anything that is annotated: an event has less than 5,000,000 bytes.
    let endless = sent.span("endless");
    assert_eq!(endless["collection_errors"], json!(["dropped_io"]));
    let output = sent.output("endless").as_str().unwrap();
    assert!(output.len() > 4_900_000 && output.starts_with("xxx"));
    assert!(
        output.ends_with("…[35000000 bytes cut]"),
        "of what came after"
    );
    assert_eq!(endless["status"], "ok");
}

/// An event of a made-up server.
enum Event {
    Start {
        input_tokens: u64,
    },
    Text(&'static str),
    Call {
        index: usize,
        name: &'static str,
        arguments: &'static str,
    },
    Stop {
        reason: &'static str,
        output_tokens: u64,
    },
}

impl Chunk for Event {
    fn add_to(&self, output: &mut StreamOutput) {
        match *self {
            Self::Start { input_tokens } => {
                output.usage(TokenUsage::new().input(input_tokens).output(1));
            }
            Self::Text(text) => {
                output.role("assistant").text(text);
            }
            Self::Call {
                index,
                name,
                arguments,
            } => {
                let call = output.tool_call(index);
                call.id("call_1").name(name).arguments(arguments);
            }
            Self::Stop {
                reason,
                output_tokens,
            } => {
                output.metadata("finish_reason", reason);
                output.usage(TokenUsage::new().output(output_tokens));
            }
        }
    }
}

#[llm(stream, model_name = "m", metadata(temperature = 1))]
async fn chat() -> Result<impl Stream<Item = Event> + Send, std::io::Error> {
    tokio::task::yield_now().await;
    let question = Annotation::new().input(Message::user("Weather?"));
    llmobs::annotate(None, question).unwrap();
    Ok(stream::iter([
        Event::Start { input_tokens: 10 },
        Event::Text("Let me "),
        Event::Text("look."),
        Event::Call {
            index: 0,
            name: "weather",
            arguments: "{\"city\":",
        },
        Event::Call {
            index: 0,
            name: "",
            arguments: "\"Paris\"}",
        },
        Event::Stop {
            reason: "tool_calls",
            output_tokens: 20,
        },
    ]))
}

#[test]
fn deltas_become_a_message_with_its_calls_and_the_usage_at_the_end() {
    let client = Client::start();
    let count = block_on(
        client
            .handle()
            .scope_future(async { chat().await.unwrap().count().await }),
    );
    assert_eq!(count, 6);
    let sent = client.sent();
    let span = sent.span("chat");
    assert_eq!(
        sent.messages("chat"),
        &json!([{
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [
                {"name": "weather", "arguments": {"city": "Paris"}, "tool_id": "call_1"},
            ],
        }])
    );
    assert_eq!(span["meta"]["input"]["messages"][0]["content"], "Weather?");
    let metrics = &span["metrics"];
    assert_eq!(metrics["input_tokens"], 10);
    assert_eq!(metrics["output_tokens"], 20);
    assert_eq!(metrics["total_tokens"], 30);
    let metadata = json!({"temperature": 1, "finish_reason": "tool_calls"});
    assert_eq!(span["meta"]["metadata"], metadata);
}

#[test]
fn what_is_annotated_by_hand_wins() {
    let client = Client::start();
    client.run(|| {
        let span = Span::llm("call").start();
        let stream = span.wrap_stream(stream::iter([
            Event::Start { input_tokens: 1 },
            Event::Text("collected"),
            Event::Stop {
                reason: "stop",
                output_tokens: 2,
            },
        ]));
        let by_hand = Annotation::new()
            .output("by hand")
            .metadata("finish_reason", "length");
        span.annotate(by_hand.metric("output_tokens", 7)).unwrap();
        assert_eq!(block_on(stream.count()), 3);
        assert!(span.finish().is_err(), "the stream has ended it");
    });
    let sent = client.sent();
    let span = sent.span("call");
    assert_eq!(
        sent.messages("call"),
        &json!([{"content": "by hand", "role": ""}])
    );
    assert_eq!(span["metrics"]["output_tokens"], 7);
    assert_eq!(span["metrics"]["input_tokens"], 1);
    assert_eq!(span["meta"]["metadata"], json!({"finish_reason": "length"}));
}

#[test]
fn without_capture_nobody_reads_an_item() {
    /// Counts how often it is read.
    struct Read<'a>(&'a Cell<u8>);

    impl serde::Serialize for Read<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.set(self.0.get() + 1);
            serializer.serialize_u8(0)
        }
    }

    for (capture, times) in [(Capture::Full, 2), (Capture::Metadata, 0)] {
        let client = Client::configured(Config::new().ml_app("app").capture(capture));
        let read = Cell::new(0);
        client.sent_by(|| {
            let items = [Read(&read), Read(&read)].into_iter();
            let span = Span::task("items").start();
            let items = span.wrap_iterator_with(items, |item, output| {
                output.json(item);
            });
            assert_eq!(items.count(), 2);
        });
        assert_eq!(read.get(), times, "{capture:?}");
    }
}

#[test]
fn without_capture_nothing_is_kept_but_measures() {
    for (capture, metadata) in [
        (Capture::Metadata, json!({"finish_reason": "stop"})),
        (Capture::None, json!({})),
    ] {
        let client = Client::configured(Config::new().ml_app("app").capture(capture));
        let sent = client.sent_by(|| {
            let events = [
                Event::Text("secret"),
                Event::Stop {
                    reason: "stop",
                    output_tokens: 2,
                },
            ];
            let stream = Span::llm("call").start().wrap_stream(stream::iter(events));
            assert_eq!(block_on(stream.count()), 2);
        });
        let span = sent.span("call");
        assert!(!span.to_string().contains("secret"), "{span:#}");
        assert_eq!(span["metrics"]["output_tokens"], 2);
        assert!(span["metrics"]["time_to_first_token"].is_f64());
        assert_eq!(span["meta"]["metadata"], metadata);
    }
}

#[test]
fn an_item_may_use_llmobs_while_it_says_what_it_adds() {
    struct Busy(Span);

    impl Chunk for Busy {
        fn add_to(&self, output: &mut StreamOutput) {
            assert_eq!(llmobs::export_span(None), None);
            drop(Span::task("at the item").start());
            self.0
                .annotate(Annotation::new().tag("seen", "yes"))
                .unwrap();
            output.text("a");
            self.0.finish().unwrap();
        }
    }

    let sent = Client::start().sent_by(|| {
        let span = Span::workflow("busy").start();
        let items = stream::iter([Busy(span.clone())]);
        assert_eq!(block_on(span.wrap_stream(items).count()), 1);
    });
    assert_eq!(sent.spans.len(), 2);
    assert_eq!(sent.parent_of("at the item"), None);
    assert!(!sent.is_cancelled("busy"));
}

#[test]
fn pairs_in_a_stream_are_text_of_a_role() {
    #[llmobs::llm(stream, output = |text: &&str| ("assistant", *text))]
    fn told() -> impl Iterator<Item = &'static str> {
        ["a", "b"].into_iter()
    }
    let sent = Client::start().sent_by(|| {
        assert_eq!(told().count(), 2);
        let items = [("reasoning", "hm"), ("assistant", "c"), ("assistant", "d")];
        let items = Span::llm("wrapped")
            .start()
            .wrap_iterator(items.into_iter());
        assert_eq!(items.count(), 3);
    });
    let output = |name: &str| sent.span(name)["meta"]["output"]["messages"].clone();
    assert_eq!(
        output("told"),
        json!([{"role": "assistant", "content": "ab"}])
    );
    let both =
        json!([{"role": "reasoning", "content": "hm"}, {"role": "assistant", "content": "cd"}]);
    assert_eq!(output("wrapped"), both);
}
