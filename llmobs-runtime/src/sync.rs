//! What threads share beside locks: std's, and loom's where models try every order of it. What
//! std's channel promises is trusted; loom's is in its place since loom has to see who saw what.

#[cfg(not(all(test, llmobs_loom)))]
pub(crate) use std::sync::{atomic, mpsc};

#[cfg(all(test, llmobs_loom))]
pub(crate) use loom::sync::{atomic, mpsc};
