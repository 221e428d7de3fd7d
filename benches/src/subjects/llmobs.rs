//! llmobs as an application has it: enabled, with the worker and an intake on loopback that
//! reads and acknowledges.

use std::cell::Cell;
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use llmobs::{Annotation, Config, Destination, Message, Span, llm, workflow};
use llmobs_bench_measure::{Pending, Variant, poll_to_end};

use super::{FURTHER, ITEMS, ROOMY, texts, texts_with_a_longer_model};
use crate::sink::{Manner, Sink};

#[llm]
#[inline(never)]
fn plain() {
    black_box(());
}

/// The span keeps copies of the three: they are the call's, not the program's.
#[llm(name = name, model_name = model, model_provider = provider)]
#[inline(never)]
fn three_strings(name: &str, model: &str, provider: &str) {
    black_box((name, model, provider));
}

/// The same, written by somebody who makes strings first.
#[llm(name = name.to_owned(), model_name = model.to_owned(), model_provider = provider.to_owned())]
#[inline(never)]
fn three_strings_made(name: &str, model: &str, provider: &str) {
    black_box((name, model, provider));
}

/// What of it is the making of the strings, and giving them back: the span has room for them,
/// and the caller's thread frees what it made.
#[inline(never)]
fn bare_making(name: &str, model: &str, provider: &str) {
    black_box([name.to_owned(), model.to_owned(), provider.to_owned()]);
}

#[workflow]
#[inline(never)]
fn three_arguments(name: &str, model: &str, provider: &str) -> usize {
    black_box((name, model, provider)).0.len()
}

#[workflow]
#[inline(never)]
fn text_returned(name: &str, model: &str, provider: &str) -> String {
    black_box((name, model, provider)).0.to_owned()
}

/// 10 kB: a system prompt, a question and an answer, which the span gets copies of.
#[llm]
#[inline(never)]
fn messages(system: &str, question: &str, answer: &str) {
    let annotation = Annotation::new()
        .input([Message::system(system), Message::user(question)])
        .output(Message::assistant(answer));
    llmobs::annotate(None, annotation).ok();
}

#[llm]
#[inline(never)]
fn one_tag(value: &str) {
    llmobs::annotate(None, Annotation::new().tag("user", value)).ok();
}

#[llm]
async fn asynchronous(polls: u32) {
    Pending(polls).await;
}

/// Ready at each poll.
struct Words(u32);

impl Iterator for Words {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        self.0 = self.0.checked_sub(1)?;
        Some("word ")
    }
}

impl Stream for Words {
    type Item = &'static str;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<&'static str>> {
        Poll::Ready(self.next())
    }
}

#[llm(stream)]
fn stream(items: u32) -> impl Stream<Item = &'static str> {
    Words(items)
}

#[llm(stream)]
fn iterator(items: u32) -> impl Iterator<Item = &'static str> {
    Words(items)
}

fn read_to_end(stream: impl Stream<Item = &'static str>) -> usize {
    let mut stream = std::pin::pin!(stream);
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut items = 0;
    while let Poll::Ready(Some(item)) = stream.as_mut().poll_next(&mut context) {
        items += black_box(item).len();
    }
    items
}

pub(super) fn alone() {
    let mut variants = Vec::from(common());
    variants.extend([
        Variant::new("#[llm]", 1_000, |bench| bench.time(plain)),
        Variant::new("#[llm], in a workflow", 1_000, |bench| {
            let parent = Span::workflow("parent").start();
            let _in_parent = parent.enter();
            bench.time(plain);
        })
        .and_one(),
        Variant::new("#[llm], three strings made first", 1_000, |bench| {
            let (name, model, provider) = texts();
            bench.time(|| three_strings_made(name, model, provider));
        }),
        Variant::new("bare, three strings made first", 1_000, |bench| {
            let (name, model, provider) = texts();
            bench.time(|| bare_making(name, model, provider));
        })
        .each(0),
        Variant::new("#[llm], three strings, a longer model", 1_000, |bench| {
            let (name, model, provider) = texts_with_a_longer_model();
            bench.time(|| three_strings(name, model, provider));
        }),
        Variant::new("#[llm], three strings, in a workflow", 1_000, |bench| {
            let (name, model, provider) = texts();
            let parent = Span::workflow("parent").start();
            let _in_parent = parent.enter();
            bench.time(|| three_strings(name, model, provider));
        })
        .and_one(),
        Variant::new(
            "#[workflow], three arguments, text returned",
            1_000,
            |bench| {
                let (name, model, provider) = texts();
                bench.time(|| text_returned(name, model, provider));
            },
        ),
        Variant::new("export_span(None)", 50_000, |bench| {
            let span = Span::llm("current").start();
            let _in_span = span.enter();
            bench.time(|| llmobs::export_span(None));
        })
        .each(0)
        .and_one(),
        Variant::new("async #[llm]", 1_000, |bench| {
            bench.time(|| poll_to_end(asynchronous(black_box(0))));
        }),
        Variant::new("async #[llm], 100 further polls", 200, |bench| {
            bench.time(|| poll_to_end(asynchronous(black_box(FURTHER))));
        }),
        Variant::new("bare stream of 20", 20_000, |bench| {
            bench.time(|| read_to_end(Words(black_box(ITEMS))));
        })
        .each(0),
        Variant::new("#[llm(stream)] of 0", 1_000, |bench| {
            bench.time(|| read_to_end(stream(black_box(0))));
        }),
        Variant::new("#[llm(stream)] of 20", 1_000, |bench| {
            bench.time(|| read_to_end(stream(black_box(ITEMS))));
        }),
        Variant::new("#[llm(stream)], iterator of 20", 1_000, |bench| {
            bench.time(|| iterator(black_box(ITEMS)).map(str::len).sum::<usize>());
        }),
    ]);
    serve(&variants, |config| config);
}

/// In a process of their own: how long an allocation takes depends on what was freed before it.
pub(super) fn annotated() {
    let variants = [
        Variant::new("#[llm]", 1_000, |bench| bench.time(plain)),
        Variant::new("#[llm] with annotate(None, tag)", 1_000, |bench| {
            let value = black_box("u1");
            bench.time(|| one_tag(value));
        }),
        Variant::new("annotate(None, tag) again", 1_000, |bench| {
            let value = black_box("u1");
            let span = Span::llm("current").start();
            let _in_span = span.enter();
            bench.time(|| llmobs::annotate(None, Annotation::new().tag("user", value)));
        })
        .each(0)
        .and_one(),
    ];
    serve(&variants, |config| config);
}

/// In a process of its own, since megabytes that are freed change how long the next allocations
/// take.
pub(super) fn large() {
    let variants = [Variant::new("#[llm], 10 kB of messages", 200, |bench| {
        let (system, question, answer) = ("s".repeat(3_000), "q".repeat(5_000), "a".repeat(2_000));
        bench.time(|| messages(&system, &question, &answer));
    })];
    serve(&variants, |config| config);
}

/// The same where a subscriber sees the `tracing` span beside each of ours.
pub(super) fn seen() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry())
        .expect("the only subscriber");
    serve(&common(), |config| config);
}

pub(super) fn contending() {
    let roomy = |config: Config| config.max_events(ROOMY).max_bytes(1 << 30);
    serve(&[with_three_strings()], roomy);
}

fn with_three_strings() -> Variant {
    Variant::new("#[llm], three strings", 1_000, |bench| {
        let (name, model, provider) = texts();
        bench.time(|| three_strings(name, model, provider));
    })
}

fn common() -> [Variant; 2] {
    [
        with_three_strings(),
        Variant::new("#[workflow], three arguments", 1_000, |bench| {
            let (name, model, provider) = texts();
            bench.time(|| three_arguments(name, model, provider));
        }),
    ]
}

/// An application's defaults, with `sink` in the place of Datadog's intake.
pub fn config(sink: SocketAddr) -> Config {
    Config::new()
        .ml_app("bench")
        .destination(Destination::Agentless)
        .api_key("0123456789abcdef0123456789abcdef")
        .override_origin(format!("http://{sink}"))
}

/// With an intake of its own, which is asked after each measurement whether it got every span.
fn serve(variants: &[Variant], configured: impl FnOnce(Config) -> Config) {
    let sink = Sink::start(Manner::Answers).expect("the intake starts");
    let configured = configured(config(sink.address));
    let _guard = configured.enable().expect("the configuration is right");
    let before = Cell::new(0);
    llmobs_bench_measure::serve(variants, |made| {
        let flushed = llmobs::flush(Duration::from_secs(30));
        let stats = flushed.map_err(|error| error.to_string())?.stats.spans();
        let now = sink.received().map_err(|error| error.to_string())?.spans;
        let arrived = now - before.replace(now);
        if arrived == made {
            Ok(())
        } else {
            Err(format!(
                "{arrived} spans arrived instead of {made}: {stats:?}"
            ))
        }
    });
}
