//! Traces across processes: what is current here goes out in the headers of a request, and
//! what a request's headers say becomes a [`Context`](crate::Context).
//!
//! ```
//! # use llmobs_runtime as llmobs;
//! use std::collections::HashMap;
//! use llmobs::propagation;
//!
//! // The caller:
//! let mut headers: HashMap<String, String> = HashMap::new();
//! propagation::inject(&mut headers).ok();
//!
//! // The one that is called:
//! let context = propagation::extract(&headers);
//! context.in_scope(|| { /* spans started here are children of the caller's span */ });
//! ```
//!
//! # The headers
//!
//! Those of Datadog's tracers, in both of their forms (golden 22, and ddtrace 4.16):
//!
//! | header | what it holds |
//! |---|---|
//! | `traceparent` | the APM trace, the span, whether the trace is sampled |
//! | `tracestate` | the member `dd=`, at most 256 characters; members of others stay |
//! | `x-datadog-origin` | where the trace began, if another process said so |
//! | `x-datadog-trace-id`, `x-datadog-parent-id`, `x-datadog-sampling-priority` | the same as `traceparent` in Datadog's form |
//! | `x-datadog-tags` | what LLM Observability shares: parent, trace, application, session, sampling, nearest agent; at most 512 characters |
//!
//! The first thing to go where the room ends is the agent's name. A session or an application
//! that a header cannot hold as it is (a comma, characters beyond ASCII) is left out alone.
//!
//! # In servers and clients
//!
//! The feature `tower` has layers: `ExtractLayer` for a server (axum, hyper, tonic), `InjectLayer`
//! for a client. The feature `reqwest-middleware` has `InjectMiddleware` for clients of reqwest.
//! `http` has `http::HeaderMap` as a carrier.
//!
//! A tracer of OpenTelemetry or Datadog that writes `traceparent` as well should do so after
//! [`inject`]: its trace then goes on, and LLM Observability's in `x-datadog-tags`.

mod datadog;
mod extract;
mod inject;
#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod w3c;

use std::collections::HashMap;
use std::hash::BuildHasher;

pub use extract::extract;
pub use inject::{InjectError, inject};
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use layer::{ExtractFuture, ExtractLayer, ExtractService, InjectLayer, InjectService};
#[cfg(feature = "reqwest-middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest-middleware")))]
pub use middleware::InjectMiddleware;

/// `_dd.p.`: what Datadog's tracers hand on from process to process.
const PROPAGATED: &str = "_dd.p.";
/// What LLM Observability's keys begin with, behind [`PROPAGATED`].
const LLMOBS: &str = "llmobs_";

/// The keys of LLM Observability, without their prefix.
mod key {
    pub(super) const PARENT: &str = "llmobs_parent_id";
    pub(super) const TRACE: &str = "llmobs_trace_id";
    pub(super) const ML_APP: &str = "llmobs_ml_app";
    pub(super) const SESSION: &str = "llmobs_sid";
    pub(super) const RATE: &str = "llmobs_sr";
    pub(super) const DECISION: &str = "llmobs_sd";
    pub(super) const AGENT: &str = "llmobs_pagent_span_id";
    pub(super) const AGENT_NAME: &str = "llmobs_pagent_name";
    /// How the sampling of the APM trace was decided.
    pub(super) const MECHANISM: &str = "dm";
    /// The upper half of the APM trace's id.
    pub(super) const UPPER: &str = "tid";
}

/// The names of the headers.
mod header {
    pub(super) const TRACEPARENT: &str = "traceparent";
    pub(super) const TRACESTATE: &str = "tracestate";
    pub(super) const TRACE_ID: &str = "x-datadog-trace-id";
    pub(super) const PARENT_ID: &str = "x-datadog-parent-id";
    pub(super) const PRIORITY: &str = "x-datadog-sampling-priority";
    pub(super) const TAGS: &str = "x-datadog-tags";
    pub(super) const ORIGIN: &str = "x-datadog-origin";
}

/// Headers that can be read: what [`extract`] takes.
///
/// Names are asked for in lower case and match in any case.
pub trait Extractor {
    /// The first value of a header, if it is text.
    fn get(&self, name: &str) -> Option<&str>;

    /// All values of a header that are text, in their order.
    fn get_all(&self, name: &str) -> Vec<&str> {
        self.get(name).into_iter().collect()
    }
}

/// Headers that can be written: what [`inject`] takes. It reads them as well, since members
/// that are not ours stay.
pub trait Injector: Extractor {
    /// Sets a header in place of all values that it has. `value` is visible ASCII and spaces.
    fn set(&mut self, name: &'static str, value: String);
}

impl<S: BuildHasher> Extractor for HashMap<String, String, S> {
    fn get(&self, name: &str) -> Option<&str> {
        let other_case = || in_any_case(self, name).min().map(|(_, value)| value);
        let value = HashMap::get(self, name).or_else(other_case);
        value.map(String::as_str)
    }

    /// The one in lower case first, then others by their names: a map has no order.
    fn get_all(&self, name: &str) -> Vec<&str> {
        let mut all: Vec<_> = in_any_case(self, name).collect();
        all.sort_unstable_by_key(|&(key, _)| (key != name, key));
        all.into_iter().map(|(_, value)| value.as_str()).collect()
    }
}

fn in_any_case<'a, S>(
    map: &'a HashMap<String, String, S>,
    name: &str,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    map.iter()
        .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
}

impl<S: BuildHasher> Injector for HashMap<String, String, S> {
    fn set(&mut self, name: &'static str, value: String) {
        self.retain(|key, _| !key.eq_ignore_ascii_case(name));
        self.insert(name.to_owned(), value);
    }
}

/// A header that holds bytes beyond visible ASCII counts as not there.
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
impl Extractor for http::HeaderMap {
    fn get(&self, name: &str) -> Option<&str> {
        http::HeaderMap::get(self, name)?.to_str().ok()
    }

    fn get_all(&self, name: &str) -> Vec<&str> {
        let all = http::HeaderMap::get_all(self, name).iter();
        all.filter_map(|value| value.to_str().ok()).collect()
    }
}

#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
impl Injector for http::HeaderMap {
    fn set(&mut self, name: &'static str, value: String) {
        // What `inject` writes is legal in a header; anything else is left out, as is what a
        // map that is full cannot take.
        if let Ok(value) = value.try_into() {
            let name = http::HeaderName::from_static(name);
            self.try_insert(name, value).ok();
        }
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
