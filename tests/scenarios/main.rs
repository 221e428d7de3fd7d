//! What the recordings of Python's SDK do not show: behaviour that its reference tells, and our own.
//!
//! Everything goes through HTTP to an intake of the test's own.

mod annotations;
mod bounds;
mod client;
mod combinations;
mod ends;
mod evaluations;
mod feedback;
mod futures;
mod global;
mod inheritance;
mod log;
mod processors;
mod processors_in_the_way;
mod prompt_files;
mod scopes;
mod stream_output;
mod streams;
mod text;
mod tokens;
mod volume;
mod ways;
mod wrong_input;
