//! Annotated functions in a program where nothing turns the feature `enabled` on. Cargo gives
//! the packages that it builds together one set of features, so this is a package that
//! `llmobs-bench overhead` builds alone.

use std::hint::black_box;

use llmobs_bench_measure::{Pending, Variant, poll_to_end, serve};

#[inline(never)]
fn bare(name: &str, model: &str, provider: &str) {
    black_box((name, model, provider));
}

#[llmobs::llm(name = name, model_name = model, model_provider = provider)]
#[inline(never)]
fn three_strings(name: &str, model: &str, provider: &str) {
    black_box((name, model, provider));
}

async fn bare_async(polls: u32) {
    Pending(polls).await;
}

#[llmobs::llm]
async fn asynchronous(polls: u32) {
    Pending(polls).await;
}

fn main() {
    let texts = || black_box(("invoke_llm", "claude-sonnet-4-5", "anthropic"));
    let variants = [
        Variant::new("bare", 50_000, move |bench| {
            let (name, model, provider) = texts();
            bench.time(|| bare(name, model, provider));
        }),
        Variant::new("#[llm], three strings", 50_000, move |bench| {
            let (name, model, provider) = texts();
            bench.time(|| three_strings(name, model, provider));
        }),
        Variant::new("bare async", 50_000, |bench| {
            bench.time(|| poll_to_end(bare_async(black_box(0))));
        }),
        Variant::new("async #[llm]", 50_000, |bench| {
            bench.time(|| poll_to_end(asynchronous(black_box(0))));
        }),
    ];
    serve(&variants, |_| Ok(()));
}
