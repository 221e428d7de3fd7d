//! What the tests share.
//!
//! * [`intake`]: a real HTTP server on this machine that plays a Datadog Agent or the intake, records what arrives,
//!   answers by script, and objects to what a real server would refuse.
//! * [`golden`]: what Datadog's Python SDK sends for a scenario, and the comparison of our events with it.
//! * [`books`]: that counts add up, and that an intake has what was delivered to it.
//! * [`mod@tree`]: span events as an indented text tree, for snapshots.
//!
//! ```no_run
//! use std::time::Duration;
//! use llmobs_tests::{Exemptions, Golden, Intake, tree};
//!
//! let intake = Intake::start();
//! // ... a client that sends to `intake.url()` makes the calls of the scenario ...
//! let spans = intake.wait_for_spans(1, Duration::from_secs(5));
//! let golden = Golden::load("01-llm-export-eval");
//! golden.assert_equal(&spans, &intake.evaluations(), &Exemptions::none());
//! golden.assert_envelopes(&intake.requests());
//! assert_eq!(tree(&spans), "llm invoke_llm\n");
//! ```

pub mod books;
pub mod golden;
pub mod intake;
pub mod tree;

pub use books::{assert_accounted, assert_accounted_where, assert_adds_up};
pub use golden::{Exemptions, Golden};
pub use intake::{Intake, Reading, Reply, Request};
pub use tree::{Tree, tree};
