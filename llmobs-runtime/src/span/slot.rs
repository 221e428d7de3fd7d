//! The memory of spans that nobody but their thread refers to. It goes with the span to the
//! worker and comes back, so that such a span costs no allocation and is written once.

use std::sync::{Mutex, PoisonError};

use super::SpanInner;
use crate::context::Origin;
use crate::kind::SpanKind;
use crate::process::PerProcess;
use crate::text::Text;

/// How many empty ones are kept for all threads: about 2 MB.
const SPARE: usize = 4_096;
/// How many a thread takes of them at a time.
const AT_ONCE: usize = 32;

static EMPTY: PerProcess<Mutex<Vec<Slot>>> = PerProcess::new();

/// Room for a span, with the span in it or without.
pub(crate) struct Slot(Box<Option<SpanInner>>);

impl Slot {
    pub(crate) fn span(&self) -> Option<&SpanInner> {
        self.0.as_ref().as_ref()
    }

    pub(crate) fn span_mut(&mut self) -> Option<&mut SpanInner> {
        self.0.as_mut().as_mut()
    }

    pub(crate) fn take(&mut self) -> Option<SpanInner> {
        self.0.take()
    }

    /// Begins a span there: [`SpanInner::draft`].
    pub(crate) fn draft(&mut self, kind: SpanKind, name: Text, decorated: bool, origin: Origin) {
        *self.0 = Some(SpanInner::draft(kind, name, decorated, origin));
    }

    pub(crate) fn clear(&mut self) {
        *self.0 = None;
    }

    /// An empty one, after which `spare` has some for the next ones.
    #[cold]
    #[inline(never)]
    pub(crate) fn new(spare: &mut Vec<Self>) -> Self {
        let mut empty = EMPTY.get().lock().unwrap_or_else(PoisonError::into_inner);
        let rest = empty.len().saturating_sub(AT_ONCE);
        spare.extend(empty.drain(rest..));
        drop(empty);
        spare.pop().unwrap_or_else(|| Self(Box::new(None)))
    }

    /// Gives empty ones to threads that need some.
    pub(crate) fn give_back(slots: &mut Vec<Self>) {
        let mut empty = EMPTY.get().lock().unwrap_or_else(PoisonError::into_inner);
        let room = SPARE.saturating_sub(empty.len()).min(slots.len());
        empty.extend(slots.drain(..room));
        drop(empty);
        slots.clear();
    }
}
