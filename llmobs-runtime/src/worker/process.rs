//! The application's processors on the worker's thread, between the event and its text.

use std::sync::Arc;

use super::encode;
use crate::client::ClientInner;
use crate::config::Settings;
use crate::context::Context;
use crate::event::SpanEvent;
use crate::processor::{Processed, Processors};
use crate::span::SpanInner;
use crate::stats::DropReason;

pub(super) struct Processing {
    processors: Processors,
    /// In force while they run: it takes nothing, or a processor that makes spans would be
    /// called for each of them, for ever.
    nobody: Arc<ClientInner>,
}

impl Processing {
    /// `None` where there is nothing to run.
    pub(super) fn new(settings: &Settings) -> Option<Self> {
        let processors = settings.processors.clone();
        (!processors.is_empty()).then(|| Self {
            processors,
            nobody: ClientInner::idle(settings.clone()),
        })
    }

    /// What is to be sent of an event.
    pub(super) fn run(&self, event: SpanEvent, span: &SpanInner) -> Result<SpanEvent, DropReason> {
        let own_tags = encode::own_tags(span);
        let _idle = Context::of_client(Arc::clone(&self.nobody)).attach();
        match self.processors.run(event, span.kind, own_tags) {
            Processed::Kept(event) => Ok(event),
            Processed::Stripped(event) => {
                span.client.front.stripped();
                Ok(event)
            }
            Processed::Dropped => Err(DropReason::Processor),
        }
    }
}
