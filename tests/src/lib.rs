//! What the tests share.
//!
//! * [`intake`]: a real HTTP server on this machine that plays a Datadog Agent or the intake, records what arrives,
//!   answers by script, and objects to what a real server would refuse.

pub mod intake;

pub use intake::{Intake, Reply, Request};
