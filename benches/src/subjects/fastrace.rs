//! fastrace with a reporter that drops.

use std::hint::black_box;

use fastrace::collector::{Config, Reporter, SpanRecord};
use fastrace::prelude::{Span, SpanContext};
use fastrace::trace;
use llmobs_bench_measure::{Pending, Variant, poll_to_end};

use super::{Arrived, FURTHER, texts, texts_with_a_longer_model};

/// The properties are strings of the span's own, as the three of llmobs are; the attribute
/// formats each.
#[trace(
    short_name = true,
    properties = { "name": "{name}", "model_name": "{model}", "model_provider": "{provider}" }
)]
#[inline(never)]
fn three_strings(name: &str, model: &str, provider: &str) {
    black_box((name, model, provider));
}

/// What of it is the making of the strings, as the attribute writes it, and freeing them here: a
/// span's are freed elsewhere.
#[allow(clippy::useless_format)]
#[inline(never)]
fn bare_formatting(name: &str, model: &str, provider: &str) {
    black_box([format!("{name}"), format!("{model}"), format!("{provider}")]);
}

#[trace(short_name = true)]
#[inline(never)]
fn plain() {
    black_box(());
}

#[trace(short_name = true)]
async fn asynchronous(polls: u32) {
    Pending(polls).await;
}

struct Drops(Arrived);

impl Reporter for Drops {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        self.0.add(spans.len());
    }
}

/// Without a root above it, `#[trace]` does nothing.
fn root() -> Span {
    Span::root("root", SpanContext::random())
}

fn with_three_strings() -> Variant {
    Variant::new("#[trace], three strings", 1_000, |bench| {
        let (name, model, provider) = texts();
        let root = root();
        let _in_root = root.set_local_parent();
        bench.time(|| three_strings(name, model, provider));
    })
    .and_one()
}

pub(super) fn contending() {
    serve(&[with_three_strings()]);
}

pub(super) fn alone() {
    serve(&[
        with_three_strings(),
        Variant::new("bare, three strings formatted", 1_000, |bench| {
            let (name, model, provider) = texts();
            bench.time(|| bare_formatting(name, model, provider));
        })
        .each(0),
        Variant::new("#[trace], three strings, a longer model", 1_000, |bench| {
            let (name, model, provider) = texts_with_a_longer_model();
            let root = root();
            let _in_root = root.set_local_parent();
            bench.time(|| three_strings(name, model, provider));
        })
        .and_one(),
        Variant::new("#[trace]", 1_000, |bench| {
            let root = root();
            let _in_root = root.set_local_parent();
            bench.time(plain);
        })
        .and_one(),
        Variant::new("a root and #[trace], three strings", 1_000, |bench| {
            let (name, model, provider) = texts();
            bench.time(|| {
                let root = root();
                let _in_root = root.set_local_parent();
                three_strings(name, model, provider);
            });
        })
        .each(2),
        Variant::new("async #[trace]", 1_000, |bench| {
            let root = root();
            let _in_root = root.set_local_parent();
            bench.time(|| poll_to_end(asynchronous(black_box(0))));
        })
        .and_one(),
        // Each poll is a command in a queue of 10,240; past that fastrace loses spans.
        Variant::new("async #[trace], 100 further polls", 50, |bench| {
            let root = root();
            let _in_root = root.set_local_parent();
            bench.time(|| poll_to_end(asynchronous(black_box(FURTHER))));
        })
        .and_one(),
    ]);
}

fn serve(variants: &[Variant]) {
    let arrived = Arrived::default();
    fastrace::set_reporter(Drops(arrived.clone()), Config::default());
    llmobs_bench_measure::serve(variants, |made| {
        fastrace::flush();
        arrived.all_of(made)
    });
}
