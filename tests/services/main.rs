//! Servers and clients that pass a trace on: the features `tower` and `reqwest-middleware`.

mod client;
mod server;

use llmobs::propagation::InjectMiddleware;
use llmobs::{Config, Destination, LlmObs, Memory};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::Value;

fn client(ml_app: &str) -> (LlmObs, Memory) {
    let memory = Memory::new();
    let config = Config::new().ml_app(ml_app).tracing_spans(false);
    let config = config.destination(Destination::Memory(memory.clone()));
    (config.build().unwrap(), memory)
}

/// A client of HTTP that passes the trace on.
fn http() -> ClientWithMiddleware {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let http = ClientBuilder::new(http);
    http.with(InjectMiddleware::new()).build()
}

/// What a client has made, once it has shut down.
fn spans(client: &LlmObs, memory: &Memory) -> Vec<Value> {
    client.shutdown(std::time::Duration::from_secs(60)).unwrap();
    memory.spans()
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let mut found = spans.iter().filter(|span| span["name"] == name);
    let span = found.next().unwrap_or_else(|| panic!("no span {name}"));
    assert!(found.next().is_none(), "two spans {name}");
    span
}
