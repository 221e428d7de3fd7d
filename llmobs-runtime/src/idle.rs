//! The worker of a build without the feature `enabled`: there is none. It takes the place
//! of `worker`, so that nothing else has to know.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::client::ClientInner;
use crate::config::Settings;
use crate::event::{EvaluationEvent, FeedbackEvent};
use crate::span::SpanInner;
use crate::stats::EventKind;

pub(crate) enum Payload {
    Span(Arc<SpanInner>),
    Evaluation(Box<EvaluationEvent>, Arc<ClientInner>),
    Feedback(Box<FeedbackEvent>, Arc<ClientInner>),
}

pub(crate) struct Worker;

pub(crate) struct Start;

impl Worker {
    pub(crate) fn new(_: &Settings) -> (Self, Start) {
        (Self, Start)
    }

    #[allow(clippy::unused_self, reason = "the signature of the real one")]
    pub(crate) fn enqueue(&self, _: &ClientInner, payload: Payload, _: usize) {
        drop(payload);
    }

    pub(crate) fn largest_event(_: &Settings, _: EventKind) -> usize {
        usize::MAX
    }

    #[allow(clippy::unused_self, reason = "the signature of the real one")]
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
    #[allow(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the signature of the real one"
    )]
    pub(crate) fn spawn(self, _: &Arc<ClientInner>) -> io::Result<()> {
        Ok(())
    }
}
