//! What threads share beside locks: std's, and in its place loom's where models try every order in
//! which threads can meet.

#[cfg(not(all(test, llmobs_loom)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic, mpsc};

#[cfg(all(test, llmobs_loom))]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
#[cfg(all(test, llmobs_loom))]
pub(crate) mod mpsc;
