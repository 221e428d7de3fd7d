//! Events kept in memory, to be looked at by a test.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::stats::EventKind;

/// A destination that keeps events in memory, in the form in which they would be sent.
///
/// Clones share their events: give one to
/// [`Destination::Memory`](crate::Destination::Memory) and read from the other, after a flush.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Config, Destination, Memory, Span};
/// use std::time::Duration;
///
/// let memory = Memory::new();
/// let client = Config::new().destination(Destination::Memory(memory.clone())).build()?;
/// client.scope(|| Span::task("count").start().finish())?;
/// client.flush(Duration::from_secs(5))?;
/// assert_eq!(memory.spans()[0]["name"], "count");
/// # client.shutdown(Duration::from_secs(5))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
}

/// Events as JSON text, the oldest first.
type Kept = Vec<(EventKind, Box<[u8]>)>;

impl Memory {
    /// An empty one, without a limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// The span events, in order of arrival.
    pub fn spans(&self) -> Vec<Value> {
        self.of_kind(EventKind::Span)
    }

    /// The evaluation events, in order of arrival.
    pub fn evaluations(&self) -> Vec<Value> {
        self.of_kind(EventKind::Evaluation)
    }

    /// The feedback events, in order of arrival.
    pub fn feedback(&self) -> Vec<Value> {
        self.of_kind(EventKind::Feedback)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn of_kind(&self, kind: EventKind) -> Vec<Value> {
        let kept = self.lock();
        let of_kind = kept.iter().filter(|(other, _)| *other == kind);
        of_kind
            .filter_map(|(_, json)| serde_json::from_slice(json).ok())
            .collect()
    }

    #[cfg(feature = "enabled")]
    pub(crate) fn keep(&self, kind: EventKind, json: &[u8]) {
        self.lock().push((kind, json.into()));
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} events)", self.lock().len())
    }
}
