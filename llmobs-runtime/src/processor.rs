//! Processors: functions of the application that see every finished span on the worker,
//! before it becomes text, and may change or drop it.
//!
//! They fail closed. What a processor was to hide must not leave because it panicked, so
//! the event then goes without its content. What comes back from a processor is put into
//! the form of the wire again before it is sent, element by element: an odd one costs no other.

mod span;
mod texts;

use std::fmt;
use std::sync::Arc;

use crate::capture;
use crate::client::ClientInner;
use crate::config::Settings;
use crate::context::Context;
use crate::evaluation::shortened;
use crate::event::SpanEvent;
use crate::kind::SpanKind;
use crate::report;

pub use span::{ProcessedIo, ProcessedSpan};

/// What a processor decides about a span ([`Config::processor`](crate::Config::processor)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use = "a span is sent unless the processor gives back that it is not"]
pub enum Verdict {
    /// It is sent, as the processor leaves it.
    Keep,
    /// It is not sent, and counted as dropped. Its children are sent.
    Drop,
}

type Processor = dyn Fn(&mut ProcessedSpan) -> Verdict + Send + Sync;

/// The processors of a configuration, in order.
#[derive(Clone, Default)]
pub(crate) struct Processors(Vec<Arc<Processor>>);

/// What processors came to.
pub(crate) enum Processed {
    Kept(SpanEvent),
    /// One of them failed: nothing of what they were to hide is left.
    Stripped(SpanEvent),
    Dropped,
}

/// Processors at work, on a thread of whomever.
pub(crate) struct Processing {
    processors: Processors,
    /// In force while they run: it takes nothing, or a processor that makes spans would be
    /// called for each of them, for ever.
    nobody: Arc<ClientInner>,
}

impl Processing {
    /// `None` where there is nothing to run.
    pub(crate) fn new(settings: &Settings) -> Option<Self> {
        let processors = settings.processors.clone();
        (!processors.is_empty()).then(|| Self {
            processors,
            nobody: ClientInner::idle(settings.clone()),
        })
    }

    /// What is to be sent of an event: [`Processors::run`].
    pub(crate) fn run(&self, event: SpanEvent, kind: SpanKind, own_tags: Vec<String>) -> Processed {
        let _idle = Context::of_client(Arc::clone(&self.nobody)).attach();
        let _heard = report::heard();
        self.processors.run(event, kind, own_tags)
    }
}

impl Processors {
    pub(crate) fn add(
        &mut self,
        processor: impl Fn(&mut ProcessedSpan) -> Verdict + Send + Sync + 'static,
    ) {
        self.0.push(Arc::new(processor));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands an event to all of them. `own_tags` are those that it would have if nobody
    /// had given it any.
    fn run(&self, event: SpanEvent, kind: SpanKind, own_tags: Vec<String>) -> Processed {
        let mut span = ProcessedSpan::new(event, kind, own_tags);
        for (index, processor) in self.0.iter().enumerate() {
            let mut verdict = Verdict::Drop;
            if capture::panics(|| verdict = processor(&mut span)) {
                complain(|| format!("processor {} of {} panicked", index + 1, self.0.len()));
                return Processed::Stripped(span.stripped());
            }
            if verdict == Verdict::Drop {
                return Processed::Dropped;
            }
        }
        if let Some(flaw) = span.mend() {
            report::once(report::Kind::Mended, || {
                format!(
                    "a processor left span {:?} with {flaw}; so it is with every other span of which \
                     that is true",
                    shortened(span.name())
                )
            });
        }
        Processed::Kept(span.finished())
    }
}

/// Without the values, which are what nobody may see.
fn complain(what: impl FnOnce() -> String) {
    report::once(report::Kind::Processor, || {
        format!(
            "{}: the span is sent without its content, and so is every other one of which that is \
             true (`stats().stripped` counts them)",
            what()
        )
    });
}

/// How many there are; a closure has nothing else to show.
impl fmt::Debug for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.len().fmt(f)
    }
}

impl Drop for Processors {
    fn drop(&mut self) {
        // What a closure holds is a user's, and its drop may panic: each for itself, since a
        // second panic while the first unwinds ends the process.
        for processor in self.0.drain(..) {
            capture::panics(|| drop(processor));
        }
    }
}

#[cfg(test)]
mod tests;
