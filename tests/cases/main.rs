//! The sixty cases that an attribute on a function has to stand: shapes of functions,
//! names, types, lints. `case_NN_…` tells which; where stable Rust allows no more, the
//! test pins what happens.
//!
//! Not here: 29 (attributes on closures are an error before a macro is asked), 30 and 31
//! (streams), 54 (`tests/off`), and what must not compile (`tests/ui`).

#![allow(
    clippy::multiple_bound_locations,
    clippy::non_minimal_cfg,
    clippy::too_many_arguments,
    clippy::toplevel_ref_arg,
    clippy::unused_unit,
    reason = "odd shapes are what is tested; `lints` allows none of these"
)]

mod aliases;
mod arguments;
mod builds;
mod capture;
mod error_types;
mod futures_returned;
mod hygiene;
mod inline;
mod items;
mod lints;
mod opaque;
mod parameters;
mod placed;
mod prompts;
mod returns;
mod sizes;
mod spine;
mod stacking;
mod stream_signatures;
mod streams;
mod support;
