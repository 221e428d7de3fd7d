//! The Rust twins of the recordings in `data/`: the same calls, through HTTP, and the bodies compared.
//!
//! A twin is named after its recording. What ours does otherwise on purpose is said by its exemptions, each of which
//! fails the test when it has nothing left to exempt.

mod annotations;
mod asynchronous;
mod attributes;
mod captured;
mod complete;
mod distributed;
mod evaluations;
mod extraction;
mod failures;
mod feedback;
mod processors;
mod prompts;
mod runtime_alone;
mod settings;
mod sizes;
mod spans;
mod streams;
mod twin;
