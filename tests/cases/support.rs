//! Spans of one piece of code, kept in memory.

use std::future::Future;
use std::time::Duration;

use llmobs::{Capture, Config, Destination, LlmObs, Memory};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(10);

fn client(capture: Capture) -> (LlmObs, Memory) {
    let memory = Memory::new();
    let config = Config::new()
        .ml_app("cases")
        .capture(capture)
        .destination(Destination::Memory(memory.clone()));
    (config.build().unwrap(), memory)
}

fn spans(client: &LlmObs, memory: &Memory) -> Vec<Value> {
    client.shutdown(TIMEOUT).unwrap();
    let mut spans = memory.spans();
    spans.sort_by_key(|span| span["start_ns"].as_u64());
    spans
}

/// The spans that `run` makes, in the order of their starts.
pub(crate) fn record<R>(run: impl FnOnce() -> R) -> (R, Vec<Value>) {
    record_with(Capture::Full, run)
}

/// The same where so much may be captured.
pub(crate) fn record_with<R>(capture: Capture, run: impl FnOnce() -> R) -> (R, Vec<Value>) {
    let (client, memory) = client(capture);
    let returned = client.scope(run);
    (returned, spans(&client, &memory))
}

/// The same for a future.
pub(crate) fn record_future<F: Future>(future: F) -> (F::Output, Vec<Value>) {
    let (client, memory) = client(Capture::Full);
    let returned = futures::executor::block_on(client.scope_future(future));
    (returned, spans(&client, &memory))
}

/// The one span among `spans`.
pub(crate) fn only(spans: &[Value]) -> &Value {
    assert_eq!(spans.len(), 1, "{spans:#?}");
    &spans[0]
}

/// `meta.input.value` or `meta.output.value`, read as JSON where it is JSON.
pub(crate) fn value(span: &Value, side: &str) -> Value {
    match span["meta"][side]["value"].as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        None => Value::Null,
    }
}

pub(crate) fn input(span: &Value) -> Value {
    value(span, "input")
}

pub(crate) fn output(span: &Value) -> Value {
    value(span, "output")
}

pub(crate) fn has_tag(span: &Value, tag: &str) -> bool {
    span["tags"]
        .as_array()
        .unwrap()
        .iter()
        .any(|other| other == tag)
}

/// The type and the message of a span's error.
#[track_caller]
pub fn error(span: &Value) -> (&str, &str) {
    assert_eq!(span["status"], "error", "{span:#}");
    let error = &span["meta"]["error"];
    (
        error["type"].as_str().unwrap(),
        error["message"].as_str().unwrap(),
    )
}
