//! LLM Observability for Rust: annotate the functions of an LLM application; their spans
//! (inputs, outputs, models, tokens, errors) and the evaluations of their answers arrive in
//! Datadog LLM Observability, or on your own disk.
//!
//! ```
//! use llmobs::{llm, Evaluation};
//!
//! #[llm(model_name = "claude", name = "invoke_llm", model_provider = "anthropic")]
//! fn llm_call(prompt: &str) -> String {
//!     let completion = call_the_model(prompt);
//!     let span_context = llmobs::export_span(None);
//!     llmobs::submit_evaluation(span_context, Evaluation::new("sentiment", 10)).ok();
//!     completion
//! }
//! # fn call_the_model(_: &str) -> String { "completion".into() }
//! # llm_call("hi");
//! ```
//!
//! # Enabling
//!
//! [`enable`] at the top of `main` reads the `DD_*` and `LLMOBS_*` variables, starts the
//! worker and gives a guard; its drop flushes and shuts down. [`Config`] says the same in code:
//!
//! ```
//! use llmobs::{Config, Destination, Memory};
//!
//! let memory = Memory::new();
//! let _llmobs = Config::new()
//!     .ml_app("support-chat")
//!     .destination(Destination::Memory(memory.clone()))
//!     .enable()?;
//! # Ok::<(), llmobs::ConfigError>(())
//! ```
//!
//! While nothing is enabled, everything is there and does nothing: an annotated function
//! costs one relaxed atomic load more than a bare one, [`export_span`] gives `None`, and
//! [`annotate`] and [`submit_evaluation`] are `Ok`.
//!
//! # Spans
//!
//! The attributes [`macro@llm`], [`macro@workflow`], [`macro@agent`], [`macro@tool`], [`macro@task`],
//! [`macro@embedding`] and [`macro@retrieval`] wrap a function in a span: at its start the
//! current span becomes its parent, and it is sent when it ends, whatever its parent does.
//! [`Span`] does the same for code without attributes:
//!
//! ```
//! use llmobs::{Annotation, Span, prelude::*};
//!
//! # async fn call() -> String { String::new() }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let span = Span::llm("chat").model_name("claude").start();
//! let reply = call().in_span(&span).await;
//! span.annotate(Annotation::new().output(reply).metric("output_tokens", 12))?;
//! span.finish()?;
//! # Ok(())
//! # }
//! ```
//!
//! The current span does not follow to another thread or task by itself: `Context::current()`
//! and [`FutureExt::in_current_context`] carry it.
//!
//! # Evaluations
//!
//! [`export_span`] gives the identity of a span, [`submit_evaluation`] attaches a score, a
//! category, a boolean or JSON to it. [`SpanContext`] survives as text or JSON, so that
//! another process can do so hours later; [`EvaluationsClient`] is for that, with a result
//! for each row.
//!
//! # Features
//!
//! * `enabled` (default): what an application turns on. A library depends with
//!   `default-features = false`: no HTTP client, no runtime, bare functions.

pub use llmobs_macros::{agent, embedding, llm, retrieval, task, tool, workflow};
pub use llmobs_runtime::*;

#[doc(hidden)]
pub use llmobs_runtime::__private;

/// The extension traits, to be imported as a whole.
pub mod prelude {
    pub use llmobs_runtime::FutureExt as _;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
