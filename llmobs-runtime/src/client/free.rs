//! The free functions: what is asked with them is for the client and the span in force here.

use std::sync::Arc;
use std::time::Duration;

use super::{ClientInner, FlushError, FlushReport, Guard, LlmObs, any_enabled, global};
use crate::annotation::{AnnotateError, Annotation};
use crate::config::{Config, ConfigError};
use crate::context;
use crate::id::SpanContext;
use crate::span::{Checked, Span};
use crate::stats::Stats;

/// Makes the global client from the environment: `Config::from_env()?.enable()`.
///
/// The guard flushes and shuts down when it is dropped: keep it until the end of `main`.
/// With `DD_LLMOBS_ENABLED=0`, and without the feature `enabled`
/// (`default-features = false`), the variables are checked all the same and the guard is
/// idle: nothing is started, captured or sent. [`Config::enable`] says more.
///
/// # Errors
///
/// [`ConfigError`] names the variable that is wrong, its value, and what is allowed.
pub fn enable() -> Result<Guard, ConfigError> {
    Config::from_env()?.enable()
}

/// Whether a client is in force here.
pub fn is_enabled() -> bool {
    context::current_client().is_some()
}

/// The identity of `span`, or of the span that is current here for `None`: what an
/// evaluation is joined to. `None` where there is no span, and while llmobs is not enabled.
pub fn export_span<'a>(span: impl Into<Option<&'a Span>>) -> Option<SpanContext> {
    if !any_enabled() {
        return None;
    }
    match span.into() {
        Some(span) => span.context(),
        None => context::current_context(),
    }
}

/// Adds to `span`, or to the span that is current here for `None`.
///
/// # Errors
///
/// [`AnnotateError`], where there is no span, where it has ended, or for a part that the
/// span cannot carry. Always `Ok` while llmobs is not enabled.
pub fn annotate<'a>(
    span: impl Into<Option<&'a Span>>,
    mut annotation: Annotation,
) -> Result<(), AnnotateError> {
    if !any_enabled() {
        return Ok(());
    }
    match span.into() {
        Some(span) => span.annotate_with(&mut annotation),
        None => match context::current_kind() {
            Some(kind) => {
                let mut checked = Checked::new(&mut annotation, kind);
                context::annotate_current(&mut checked);
                checked.result()
            }
            // Another client may be open elsewhere; what counts is the one in force here.
            None => match context::current_client() {
                Some(client) => {
                    client.front.rejected();
                    Err(AnnotateError::NoSpan)
                }
                None => Ok(()),
            },
        },
    }
}

/// The client that a flush or a shutdown here is for. Where the thread is being torn down,
/// as that of `main` is when the handlers of `atexit` run, it knows of no scopes any more.
fn to_be_flushed() -> Option<Arc<ClientInner>> {
    let global = || global().1.filter(|client| client.is_open());
    context::current_client().or_else(|| context::torn_down().then(global).flatten())
}

/// Sends what waits in the client that is in force here: [`LlmObs::flush`].
///
/// # Errors
///
/// Those of [`LlmObs::flush`]. Always `Ok` while llmobs is not enabled.
pub fn flush(timeout: Duration) -> Result<FlushReport, FlushError> {
    match to_be_flushed() {
        Some(client) => client.flush(timeout),
        None => Ok(FlushReport { stats: stats() }),
    }
}

/// The same without blocking the thread, on any executor.
///
/// # Errors
///
/// As [`flush`].
pub async fn flush_async(timeout: Duration) -> Result<FlushReport, FlushError> {
    match to_be_flushed() {
        Some(inner) => LlmObs::of(inner).flush_async(timeout).await,
        None => Ok(FlushReport { stats: stats() }),
    }
}

/// Ends the client that is in force here: [`LlmObs::shutdown`].
///
/// # Errors
///
/// Those of [`LlmObs::shutdown`]; a call after the shutdown of the global client has the answer of that one. Always
/// `Ok` while llmobs is not enabled.
pub fn shutdown(timeout: Duration) -> Result<FlushReport, FlushError> {
    match to_be_flushed().or_else(|| global().1) {
        Some(inner) => LlmObs::of(inner).shutdown(timeout),
        None => Ok(FlushReport { stats: stats() }),
    }
}

/// What became of everything that the client in force here was given: of every kind, at
/// every destination, `made + recovered = delivered + waiting + spooled + dropped`. After the shutdown of the
/// global client these are its last counts; without a client they are all zero.
pub fn stats() -> Stats {
    let client = context::current_client().or_else(|| global().1);
    client.map_or_else(Stats::default, |client| client.stats())
}
