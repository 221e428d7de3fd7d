//! What keeps the global client: a value whose drop ends it.

use std::time::{Duration, Instant};

use super::{ClientInner, LlmObs};
use crate::context;
use crate::report;
use crate::span::open;

/// How long the drop of a [`Guard`] may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long the drop of a guard waits for open spans where none ends. A thread that is about to end one
/// does so within a few slices of the scheduler, on a busy machine too; and who ends the program with a span
/// that never ends waits a tenth of a second for it.
const STILL: Duration = Duration::from_millis(100);
/// And where one after the other does.
const LONGEST: Duration = Duration::from_secs(1);

/// Keeps llmobs enabled; its drop flushes and shuts down, within 5 s. With the
/// [spool](crate::Config::spool) it takes as long as what waits is being written, see
/// [`shutdown`](LlmObs::shutdown).
///
/// Spans that are open when it is dropped are waited for as long as they end one after the other, for
/// 0.1 s where none does, and for 1 s in all. Those that are open still are lost: a line of the log has
/// their number and names, and [`Stats::open`](crate::Stats::open) counts them. So the guard has to
/// outlive the tasks and threads that have spans. Those of a tokio runtime end with the runtime, thus it is made
/// outside of that:
///
/// ```ignore
/// fn main() -> Result<(), Box<dyn Error>> {
///     let _llmobs = llmobs::enable()?;
///     run()
/// }
///
/// #[tokio::main]
/// async fn run() -> Result<(), Box<dyn Error>> {
///     // the program
/// }
/// ```
///
/// Give it a name, `let _llmobs = …`: `let _ = …` drops it on the spot.
#[must_use = "llmobs shuts down when the guard is dropped: `let _llmobs = …` keeps it until the \
              end of main, `let _ = …` does not"]
#[derive(Debug)]
pub struct Guard {
    client: Option<LlmObs>,
    since: Instant,
}

/// A guard that goes sooner than this, with nothing to send, was not kept.
const TOO_SOON: Duration = Duration::from_millis(50);

impl Guard {
    pub(super) fn new(client: Option<LlmObs>) -> Self {
        Self {
            client,
            since: Instant::now(),
        }
    }

    /// The client that the guard keeps; `None` for an idle guard: while llmobs is not
    /// enabled, or where another client was enabled before.
    pub fn client(&self) -> Option<&LlmObs> {
        self.client.as_ref()
    }
}

impl ClientInner {
    /// Waits for spans that are about to end elsewhere: an aborted task is dropped by a thread of its
    /// runtime a moment later, say. Not for those of this thread, which nothing can end meanwhile.
    fn await_open(&self) {
        let here = context::open_here(self);
        let started = Instant::now();
        let (mut fewest, mut since) = (u64::MAX, started);
        loop {
            let open = open::count(self);
            let now = Instant::now();
            if open < fewest {
                (fewest, since) = (open, now);
            }
            if open <= here || now - since >= STILL || now - started >= LONGEST {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        let is_ours = !client.inner.is_of_parent();
        if is_ours && self.since.elapsed() < TOO_SOON && client.inner.made_nothing() {
            report::warn(|| {
                "llmobs shuts down before it was given anything: is the guard kept? \
                 `let _llmobs = …` keeps it, `let _ = …` does not"
                    .to_owned()
            });
        }
        if is_ours {
            client.inner.await_open();
        }
        // What was not delivered is told there, and nobody is left to hear it here.
        let _ = client.shutdown(TIMEOUT);
    }
}
