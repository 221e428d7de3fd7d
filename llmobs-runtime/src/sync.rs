//! What threads share beside locks: std's, and in its place loom's where models try every order in
//! which threads can meet.

#[cfg(not(all(test, llmobs_loom)))]
pub(crate) use std::sync::{atomic, mpsc};

#[cfg(all(test, llmobs_loom))]
pub(crate) use loom::sync::atomic;
#[cfg(all(test, llmobs_loom))]
pub(crate) mod mpsc;
