//! What is measured: the same function, annotated by llmobs and by its peers, each group in a
//! process of its own ([`llmobs_bench_measure`]).

mod fastrace;
mod llmobs;
mod logfire;
mod otel;
mod plain;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the function of every variant gets.
fn texts() -> (&'static str, &'static str, &'static str) {
    black_box(("invoke_llm", "claude-sonnet-4-5", "anthropic"))
}

/// The same with a model whose name a span of llmobs has no room for: 26 bytes.
fn texts_with_a_longer_model() -> (&'static str, &'static str, &'static str) {
    black_box(("invoke_llm", "claude-3-5-sonnet-20241022", "anthropic"))
}

/// How many further polls a variant makes whose name says so.
pub const FURTHER: u32 = 100;
/// How many items the stream of a variant has whose name says so.
pub const ITEMS: u32 = 20;

/// More spans than the threads of one measurement make.
const ROOMY: usize = 524_288;

/// After that long, what has not arrived is lost.
const PATIENCE: Duration = Duration::from_secs(5);

pub use self::llmobs::config;

/// Serves the group until the standard input ends.
pub fn serve(group: &str) -> Result<(), String> {
    match group {
        "disabled" => plain::disabled(),
        "kernel" => plain::kernel(),
        "registry" => plain::registry(),
        "llmobs" => llmobs::alone(),
        "annotated" => llmobs::annotated(),
        "large" => llmobs::large(),
        "seen" => llmobs::seen(),
        "otel" => otel::alone(),
        "fastrace" => fastrace::alone(),
        "logfire" => logfire::serve(),
        "llmobs, contending" => llmobs::contending(),
        "registry, contending" => plain::registry_contending(),
        "otel, contending" => otel::contending(),
        "fastrace, contending" => fastrace::contending(),
        _ => return Err(format!("no group is called {group}")),
    }
    Ok(())
}

/// Counts what arrives at a peer's exporter.
#[derive(Clone, Debug, Default)]
struct Arrived(Arc<AtomicU64>);

impl Arrived {
    fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Whether that is what was made since it was asked for the last time. A flush of a peer
    /// may end a little before its exporter does.
    fn all_of(&self, made: u64) -> Result<(), String> {
        let start = Instant::now();
        while self.0.load(Ordering::Relaxed) < made && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        let arrived = self.0.swap(0, Ordering::Relaxed);
        if arrived == made {
            Ok(())
        } else {
            Err(format!("{made} spans were made, {arrived} arrived"))
        }
    }
}
