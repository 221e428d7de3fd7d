//! What becomes of the current span where code does not run from top to bottom: futures
//! that are joined, raced, spawned, moved and dropped, threads and their pools, executors
//! that are not tokio, panics. Each test shows the tree of the spans that come of it.
//!
//! Plain nesting, cancellation and panics of one function are in `cases`; the recordings
//! of ddtrace in `goldens`.

mod drops;
mod executors;
mod join_and_select;
mod own;
mod panics;
mod spawn;
mod threads;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use llmobs::{Config, Destination, LlmObs, Memory, SpanContext};
use llmobs_tests::Tree;
use serde_json::Value;
use tokio::runtime::Runtime;

/// The spans that `run` makes under a client of its own, in the order of their ends.
fn record(run: impl FnOnce(&LlmObs)) -> Vec<Value> {
    let memory = Memory::new();
    let config = Config::new()
        .ml_app("truths")
        .destination(Destination::Memory(memory.clone()));
    let client = config.build().unwrap();
    client.scope(|| run(&client));
    client.shutdown(Duration::from_secs(60)).unwrap();
    memory.spans()
}

/// The same for a future on a runtime of two threads.
fn record_future<F: Future>(future: impl FnOnce(LlmObs) -> F) -> Vec<Value> {
    record(|client| {
        two_threads().block_on(client.scope_future(future(client.clone())));
    })
}

fn two_threads() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_time().build().unwrap()
}

fn one_thread() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().unwrap()
}

/// The tree, with who was cancelled.
fn tree(spans: &[Value]) -> String {
    Tree::of(spans).tags(&["cancelled"]).to_string()
}

/// The names, in the order of the spans' ends.
fn ends(spans: &[Value]) -> Vec<&str> {
    let names = spans.iter().map(|span| span["name"].as_str().unwrap());
    names.collect()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn current() -> Option<SpanContext> {
    llmobs::export_span(None)
}

/// What most tests call at the place that they look at.
#[llmobs::task]
fn step() {}

/// Comes back to its executor a few times, and works between.
#[llmobs::task]
async fn slow() -> u8 {
    tokio::task::yield_now().await;
    step();
    tokio::task::yield_now().await;
    1
}

/// Never ends.
#[llmobs::task]
async fn stuck() {
    std::future::pending().await
}
