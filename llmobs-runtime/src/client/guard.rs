//! What keeps the global client: a value whose drop ends it.

use std::time::{Duration, Instant};

use super::LlmObs;
use crate::report;

/// How long the drop of a [`Guard`] may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps llmobs enabled; its drop flushes and shuts down, within 5 s.
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
        // What was not delivered is told there, and nobody is left to hear it here.
        let _ = client.shutdown(TIMEOUT);
    }
}
