//! What the fuzz targets see of the inside. Not API: it is there with `--cfg fuzzing` alone, which
//! cargo-fuzz sets.
#![allow(missing_docs, reason = "no documentation is built with this")]

use crate::config::{Config, ConfigError};
use crate::context::Context;
use crate::event::SpanEvent;
use crate::id::LlmTraceId;
use crate::remote::{Passed, Remote, RemoteAgent, RemoteParent};
use crate::sampling::Sampling;
use crate::shrink;

/// How many bytes of text a context holds of the headers that it was made from.
pub fn held_of_headers(context: &Context) -> usize {
    let Some(remote) = context.remote() else {
        return 0;
    };
    // Taken apart field by field: a new one does not compile before it is counted.
    let Remote {
        parent,
        apm: _,
        ml_app,
        session,
        sampling,
        agent,
        passed,
    } = &**remote;
    let Passed {
        parent: _,
        origin,
        priority: _,
        propagated,
        tracestate,
    } = passed;
    let of_parent = parent
        .as_ref()
        .map(|RemoteParent { span: _, trace }| match trace {
            LlmTraceId::Number(_) => 0,
            LlmTraceId::Text(text) => text.len(),
        });
    let of_sampling = sampling
        .as_deref()
        .map(|Sampling { rate, keep: _ }| rate.as_deref());
    let of_agent = agent
        .as_ref()
        .map(|RemoteAgent { span, name }| span.len() + name.as_deref().map_or(0, str::len));
    let texts = [
        ml_app.as_deref(),
        session.as_deref(),
        origin.as_deref(),
        of_sampling.flatten(),
    ];
    let pairs = propagated
        .iter()
        .map(|(key, value)| key.len() + value.len());
    of_parent.unwrap_or(0)
        + of_agent.unwrap_or(0)
        + texts.into_iter().flatten().map(str::len).sum::<usize>()
        + pairs.sum::<usize>()
        + tracestate.iter().map(String::len).sum::<usize>()
}

/// The settings as `Debug` shows them, without a client that has them.
///
/// # Errors
///
/// Those of [`Config::enable`].
pub fn settings(config: &Config) -> Result<String, ConfigError> {
    config.settings().map(|settings| format!("{settings:?}"))
}

/// The JSON of a span's event before it is made to fit `limit` bytes, and after that where anything
/// had to be done; `None` where `json` is no such event.
pub fn cut_to(json: &[u8], limit: usize) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let mut event: SpanEvent = serde_json::from_slice(json).ok()?;
    let before = serde_json::to_vec(&event).ok()?;
    let done = shrink::span(&mut event, before.len(), limit);
    let after = done.and_then(|_| serde_json::to_vec(&event).ok());
    Some((before, after))
}
