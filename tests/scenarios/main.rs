//! What the recordings of Python's SDK do not show: behaviour that its reference tells, and our own.
//!
//! Everything goes through HTTP to an intake of the test's own.

mod client;
mod ends;
mod evaluations;
mod futures;
mod global;
mod inheritance;
mod log;
mod stream_output;
mod streams;
mod text;
mod volume;
mod ways;
mod wrong_input;
