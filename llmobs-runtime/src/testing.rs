//! For the tests of annotated code: a client that keeps what it is given in memory, and
//! what came of it as typed spans, as a tree, and in assertions that say what there was.
//!
//! ```toml
//! [dev-dependencies]
//! llmobs = { version = "0.1", features = ["testing"] }
//! ```
//!
//! That is also what a library does whose dependency has `default-features = false`: the
//! feature `testing` turns on `enabled`, for its tests alone.
//!
//! ```
//! # use llmobs_runtime as llmobs;
//! use llmobs::{Annotation, Span, SpanKind};
//!
//! // The code under test; with the facade, functions with attributes.
//! fn answer(question: &str) -> String {
//!     let _in = Span::workflow("answer").start().enter();
//!     let ask = Span::llm("ask").model_name("claude").start();
//!     let usage = Annotation::new().metric("output_tokens", 12);
//!     ask.annotate(usage.input(question).output("Paris")).unwrap();
//!     "Paris".into()
//! }
//!
//! let llmobs = llmobs::testing::client(); // reads no variable, needs no network
//! llmobs.scope(|| answer("Which city?"));
//! let finished = llmobs.finished();
//!
//! assert_eq!(finished.tree(), "workflow answer\n  llm ask\n");
//! let ask = finished.span("ask");
//! assert_eq!(ask.kind(), SpanKind::Llm);
//! assert_eq!(ask.input(), "Which city?");
//! assert_eq!(ask.metric("output_tokens"), Some(12.0));
//! ask.assert_output("Paris").assert_parent("answer").assert_ok();
//! ```
//!
//! # Which spans
//!
//! Those that were started in the client's [`scope`](TestClient::scope) or in a future of
//! its [`scope_future`](TestClient::scope_future), and that have ended. Each test has its
//! own client, so tests run in parallel, in one process.
//!
//! As everywhere, the scope does not follow to another thread or task by itself:
//! [`Context`](crate::Context) and
//! [`in_current_context`](crate::FutureExt::in_current_context) carry it. Code that starts
//! threads without them speaks to the global client; for that, a test in a process of its
//! own [enables](Config::enable) [`Destination::Memory`] and reads it with
//! [`Finished::of`].
//!
//! # In what order
//!
//! Spans come in the order of their starts, also as children of one parent; evaluations
//! and feedback in the order in which they were submitted, all evaluations first. Where
//! spans start at the same time on several threads, [`Tree::sorted`] gives an order that
//! does not change. Neither ids nor times are in a tree.
//!
//! # Panics
//!
//! An assertion that fails, a name that is not there and one that is not clear panic, at
//! the line of the test, and show the tree. Nothing else of llmobs does.
#![allow(
    clippy::panic,
    reason = "an assertion of a test that fails has to fail the test"
)]

mod finished;
mod span;
mod submitted;
mod tree;

use std::future::Future;
use std::time::Duration;

pub use finished::Finished;
pub use span::{FinishedError, FinishedIo, FinishedSpan};
pub use submitted::Submitted;
pub use tree::{Tree, tree};

use crate::client::LlmObs;
use crate::config::{Config, Destination};
use crate::context::InContext;
use crate::export::memory::Memory;

/// How long the worker may take to encode what waits: longer than any test makes it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client that keeps everything in memory, for one test.
///
/// It has the defaults and reads no variable of the environment; [`client_with`] takes a
/// configuration.
///
/// # Panics
///
/// Where no thread can be started.
#[track_caller]
pub fn client() -> TestClient {
    client_with(Config::new())
}

/// The same with a configuration: an application's own, or a mode of capture, say. Whatever
/// destinations it names, everything goes to memory and nothing leaves the process.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Capture, Config, Span};
///
/// let llmobs = llmobs::testing::client_with(Config::new().ml_app("chat").tag("team", "ml"));
/// llmobs.scope(|| Span::task("count").start().finish())?;
/// let finished = llmobs.finished();
/// finished.span("count").assert_tag("ml_app", "chat").assert_tag("team", "ml");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// Where the configuration has something wrong, with what [`ConfigError`](crate::ConfigError)
/// says, or no thread can be started.
#[track_caller]
pub fn client_with(config: Config) -> TestClient {
    let memory = Memory::new();
    let config = config.only_to(Destination::Memory(memory.clone()));
    match config.build() {
        Ok(client) => TestClient { client, memory },
        Err(error) => panic!("the configuration of the test's client is wrong: {error}"),
    }
}

/// A client that keeps everything in memory, for one test: [`client`].
///
/// Clones are the same client.
#[derive(Clone, Debug)]
pub struct TestClient {
    client: LlmObs,
    memory: Memory,
}

impl TestClient {
    /// Runs `f` with this client in force: [`LlmObs::scope`].
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        self.client.scope(f)
    }

    /// The same for a future, at each of its polls: [`LlmObs::scope_future`].
    ///
    /// ```
    /// # use llmobs_runtime as llmobs;
    /// use llmobs::Span;
    ///
    /// // #[tokio::test]
    /// async fn the_work_is_seen() {
    ///     let llmobs = llmobs::testing::client();
    ///     let work = async { Span::task("count").start().finish() };
    ///     llmobs.scope_future(work).await.unwrap();
    ///     assert_eq!(llmobs.finished().tree(), "task count\n");
    /// }
    /// # let test = std::pin::pin!(the_work_is_seen());
    /// # let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    /// # assert!(test.poll(&mut task).is_ready());
    /// ```
    pub fn scope_future<F: Future>(&self, future: F) -> InContext<F> {
        self.client.scope_future(future)
    }

    /// What was given to the client and has ended until now. It stays there: a later call
    /// gives it again, with what came since. Blocks for a moment, in async tests too.
    ///
    /// # Panics
    ///
    /// Where the worker does not get through in 30 s.
    #[track_caller]
    pub fn finished(&self) -> Finished {
        if let Err(error) = self.client.flush(TIMEOUT) {
            panic!("the test's client did not get through: {error}");
        }
        Finished::of(&self.memory)
    }

    /// Forgets what has ended until now.
    ///
    /// # Panics
    ///
    /// As [`finished`](Self::finished).
    #[track_caller]
    pub fn clear(&self) {
        drop(self.finished());
        self.memory.clear();
    }

    /// The client itself: for code that takes one, and for [`LlmObs::stats`].
    pub fn handle(&self) -> &LlmObs {
        &self.client
    }
}
