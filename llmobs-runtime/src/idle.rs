//! The worker of a build without the feature `enabled`: there is none. It takes the place
//! of `worker`, so that nothing else has to know.
#![allow(clippy::unused_self, reason = "the signatures of the real one")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::client::ClientInner;
use crate::config::Settings;
use crate::event::{EvaluationEvent, FeedbackEvent};
use crate::span::Slot;
use crate::span::open::Held;
use crate::stats::{DropReason, EventKind};

pub(crate) enum Finished {
    Own(Slot),
    Shared(Held),
}

impl Finished {
    pub(crate) fn client(&self) -> Option<&Arc<ClientInner>> {
        match self {
            Self::Own(slot) => slot.span().map(|span| &span.client),
            Self::Shared(span) => Some(&span.client),
        }
    }
}

pub(crate) struct Refused;

impl Refused {
    pub(crate) fn new(_: Finished, _: DropReason) -> Self {
        Self
    }

    pub(crate) fn count(self) {}
}

pub(crate) enum Submitted {
    Evaluation(Box<EvaluationEvent>, Arc<ClientInner>),
    Feedback(Box<FeedbackEvent>, Arc<ClientInner>),
}

pub(crate) struct Worker;

pub(crate) struct Start;

pub(crate) struct Buffer;

impl Buffer {
    pub(crate) fn is_open(&self) -> bool {
        false
    }

    pub(crate) fn push(&self, _: Finished, _: usize) -> Result<(), Refused> {
        Err(Refused)
    }
}

impl Worker {
    pub(crate) fn new(_: &Settings) -> (Self, Start) {
        (Self, Start)
    }

    pub(crate) fn submit(&self, _: &ClientInner, submitted: Submitted, _: usize) {
        drop(submitted);
    }

    pub(crate) fn buffers_id(&self) -> u64 {
        0
    }

    pub(crate) fn open_buffer(&self) -> Arc<Buffer> {
        Arc::new(Buffer)
    }

    pub(crate) fn shared_buffer(&self) -> Arc<Buffer> {
        Arc::new(Buffer)
    }

    pub(crate) fn spans_made(&self) -> u64 {
        0
    }

    pub(crate) fn largest_event(_: &Settings, _: EventKind) -> usize {
        usize::MAX
    }

    pub(crate) fn has_died(&self) -> bool {
        false
    }

    pub(crate) fn flush(&self, _: Duration) -> bool {
        true
    }

    pub(crate) async fn flush_async(&self, timeout: Duration) -> bool {
        std::future::ready(self.flush(timeout)).await
    }

    pub(crate) fn shutdown(&self, timeout: Duration) -> bool {
        self.flush(timeout)
    }
}

impl Start {
    #[allow(clippy::unnecessary_wraps, reason = "the signature of the real one")]
    pub(crate) fn spawn(self, _: &Arc<ClientInner>) -> io::Result<()> {
        Ok(())
    }
}
