//! What the tests share.
//!
//! * [`intake`]: a real HTTP server on this machine that plays a Datadog Agent or the intake, records what arrives,
//!   answers by script, and objects to what a real server would refuse.
//! * [`mod@tree`]: span events as an indented text tree, for snapshots.

pub mod intake;
pub mod tree;

pub use intake::{Intake, Reply, Request};
pub use tree::{Tree, tree};
