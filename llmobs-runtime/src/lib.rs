//! The runtime of `llmobs`: spans, evaluations, and the worker that delivers them.
//!
//! Applications use the facade, `llmobs`, which re-exports all of this together with the
//! attributes. This crate alone serves those who want no facade: `crate = llmobs_runtime`.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]
// Without the switch the API stands there idle: most of what is behind it is unused, and
// what can fail otherwise cannot.
#![cfg_attr(
    not(feature = "enabled"),
    allow(dead_code, unused_imports, clippy::unnecessary_wraps)
)]
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "a test's threads are its own")
)]

#[doc(hidden)]
pub mod __private;
mod agent;
mod annotation;
mod builder;
mod capture;
mod client;
mod clock;
mod config;
#[cfg(feature = "enabled")]
mod container;
mod context;
#[cfg(feature = "enabled")]
mod disk;
mod document;
mod evaluation;
mod event;
mod export;
mod failure;
mod feedback;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod given;
mod id;
mod kind;
mod link;
mod message;
mod number;
mod offline;
mod passing;
mod prefetch;
mod process;
mod processor;
mod prompt;
pub mod propagation;
mod remote;
mod report;
mod sampling;
mod shrink;
mod span;
mod stats;
mod stream;
mod sync;
mod tags;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod text;
#[cfg(feature = "enabled")]
mod thread;
mod tool;
mod usage;
mod visible;
mod weight;
#[cfg(feature = "enabled")]
mod worker;
#[cfg(not(feature = "enabled"))]
#[path = "idle.rs"]
mod worker;

pub use agent::AgentManifest;
pub use annotation::{AnnotateError, Annotation, AnnotationContext, AnnotationGuard, Io};
pub use builder::{SpanBuilder, kinds};
pub use client::{
    FlushError, FlushReport, Guard, LlmObs, annotate, enable, export_span, flush, flush_async,
    is_enabled, shutdown, stats, submit_evaluation, submit_feedback,
};
pub use config::{Capture, Config, ConfigError, ConfigWarning, Destination};
pub use context::{
    Context, ContextGuard, FutureExt, InAnnotationContext, InContext, InSpan, SpanGuard,
};
pub use document::Document;
pub use evaluation::{
    Assessment, Evaluation, EvaluationError, EvaluationScope, EvaluationTarget, EvaluationValue,
};
pub use export::memory::Memory;
pub use feedback::{Feedback, FeedbackError, FeedbackTarget, FeedbackValue, Submitter};
pub use given::{
    IntoEvaluationValue, IntoFeedbackValue, IntoIo, IntoJson, IntoNumber, IntoSubmitter,
};
pub use id::{SpanContext, SpanContextError};
pub use kind::SpanKind;
pub use link::{LinkEnd, SpanLink};
pub use message::{MediaPart, Message, ToolCall, ToolResult};
pub use number::Number;
pub use offline::{
    EnvelopeError, EvaluationsClient, PastSpan, RejectionCode, RowResult, SpansClient, Submission,
};
pub use processor::{ProcessedIo, ProcessedSpan, Verdict};
pub use prompt::Prompt;
pub use sampling::SamplingRule;
pub use span::{Ended, Span};
pub use stats::{Counts, DestinationStats, DropReason, EventKind, Stats};
pub use stream::{Chunk, Chunks, SpanIterator, SpanStream, StreamOutput, ToolCallDelta};
pub use text::IntoText;
pub use tool::ToolDefinition;
pub use usage::{IntoTokens, TokenUsage};
