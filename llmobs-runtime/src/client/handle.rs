//! The handle on a client is counted, so that one that goes with work left says so.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{ClientInner, LlmObs};
use crate::report;

impl LlmObs {
    pub(super) fn of(inner: Arc<ClientInner>) -> Self {
        inner.handles.fetch_add(1, Ordering::Relaxed);
        Self { inner }
    }
}

#[cfg(test)]
impl LlmObs {
    pub(crate) fn open_names(&self) -> Vec<String> {
        crate::span::open::names(&self.inner)
    }
}

impl Clone for LlmObs {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.inner))
    }
}

impl Drop for LlmObs {
    fn drop(&mut self) {
        let client = &self.inner;
        let last = client.handles.fetch_sub(1, Ordering::AcqRel) == 1;
        if !last || client.is_global() || !client.is_open() {
            return;
        }
        let waiting = client.stats().waiting();
        if waiting > 0 {
            report::warn(|| {
                format!(
                    "the last handle of a client{} went without `shutdown`, with {waiting} events \
                     waiting: what is not sent when the program ends is lost",
                    client.settings.whose()
                )
            });
        }
    }
}
