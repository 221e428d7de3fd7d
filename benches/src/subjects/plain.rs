//! The bare functions; llmobs while it is disabled; `tracing` with and without a registry.

use std::hint::black_box;
use std::time::Instant;

use llmobs_bench_measure::{Pending, Variant, poll_to_end, serve};

use super::{FURTHER, texts};

#[inline(never)]
fn bare(name: &str, model: &str, provider: &str) {
    black_box((name, model, provider));
}

#[llmobs::llm(name = name, model_name = model, model_provider = provider)]
#[inline(never)]
fn llm(name: &str, model: &str, provider: &str) {
    black_box((name, model, provider));
}

#[llmobs::workflow]
#[inline(never)]
fn workflow(name: &str, model: &str, provider: &str) -> usize {
    black_box((name, model, provider)).0.len()
}

#[inline(never)]
fn bare_returning(name: &str, model: &str, provider: &str) -> usize {
    black_box((name, model, provider)).0.len()
}

async fn bare_async(polls: u32) {
    Pending(polls).await;
}

#[llmobs::llm]
async fn llm_async(polls: u32) {
    Pending(polls).await;
}

#[tracing::instrument]
#[inline(never)]
fn instrument(name: &str, model: &str, provider: &str) {
    black_box((name, model, provider));
}

#[tracing::instrument(skip_all)]
async fn instrument_async(polls: u32) {
    Pending(polls).await;
}

pub(super) fn disabled() {
    let disabled = llmobs::Config::new().enabled(false).enable();
    let _guard = disabled.expect("a disabled llmobs needs nothing");
    let variants = [
        Variant::new("bare", 50_000, |bench| {
            let (name, model, provider) = texts();
            bench.time(|| bare(name, model, provider));
        }),
        Variant::new("#[llm], three strings", 50_000, |bench| {
            let (name, model, provider) = texts();
            bench.time(|| llm(name, model, provider));
        }),
        Variant::new("bare, a number returned", 50_000, |bench| {
            let (name, model, provider) = texts();
            bench.time(|| bare_returning(name, model, provider));
        }),
        Variant::new("#[workflow], three arguments", 50_000, |bench| {
            let (name, model, provider) = texts();
            bench.time(|| workflow(name, model, provider));
        }),
        Variant::new("export_span(None)", 50_000, |bench| {
            bench.time(|| llmobs::export_span(None));
        }),
        Variant::new("bare async", 50_000, |bench| {
            bench.time(|| poll_to_end(bare_async(black_box(0))));
        }),
        Variant::new("async #[llm]", 50_000, |bench| {
            bench.time(|| poll_to_end(llm_async(black_box(0))));
        }),
        Variant::new("bare async, 100 further polls", 2_000, |bench| {
            bench.time(|| poll_to_end(bare_async(black_box(FURTHER))));
        }),
        Variant::new("async #[llm], 100 further polls", 2_000, |bench| {
            bench.time(|| poll_to_end(llm_async(black_box(FURTHER))));
        }),
        Variant::new("tracing #[instrument]", 50_000, |bench| {
            let (name, model, provider) = texts();
            bench.time(|| instrument(name, model, provider));
        }),
    ];
    serve(&variants, |_| Ok(()));
}

/// A registry keeps spans while they are open and sends nothing: the least that `tracing` can
/// do with a span.
pub(super) fn registry() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry())
        .expect("the only subscriber");
    serve(&instrumented(), |_| Ok(()));
}

pub(super) fn registry_contending() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry())
        .expect("the only subscriber");
    serve(&[three_arguments()], |_| Ok(()));
}

pub(super) fn three_arguments() -> Variant {
    Variant::new("#[instrument], three arguments", 1_000, |bench| {
        let (name, model, provider) = texts();
        bench.time(|| instrument(name, model, provider));
    })
}

pub(super) fn instrumented() -> [Variant; 3] {
    [
        three_arguments(),
        Variant::new("async #[instrument]", 1_000, |bench| {
            bench.time(|| poll_to_end(instrument_async(black_box(0))));
        }),
        Variant::new("async #[instrument], 100 further polls", 200, |bench| {
            bench.time(|| poll_to_end(instrument_async(black_box(FURTHER))));
        }),
    ]
}

/// What any tracer does for a span with three strings, and nothing besides: a measure of the
/// machine, and of the yardstick.
pub(super) fn kernel() {
    let variants = [
        Variant::new("two readings, three strings, a record", 1_000, |bench| {
            let (name, model, provider) = texts();
            let mut records = Vec::with_capacity(1_000);
            bench.time(|| {
                let start = Instant::now();
                let texts = [name.to_owned(), model.to_owned(), provider.to_owned()];
                records.push((start, black_box(texts), Instant::now()));
            });
        }),
        Variant::new("a copy of 10 kB", 2_000, |bench| {
            let text = "a".repeat(10_000);
            bench.time(|| text.clone());
        }),
    ];
    serve(&variants, |_| Ok(()));
}
