//! LLM Observability for Rust.

pub use llmobs_macros::*;
pub use llmobs_runtime::*;

#[doc(hidden)]
pub use llmobs_runtime::__private;
