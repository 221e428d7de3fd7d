//! The span of a stream or an iterator: what is done with it at each step and at the end.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::output::StreamOutput;
use crate::capture;
use crate::config::Capture;
use crate::context::Lent;
use crate::failure::SpanError;
use crate::number::Number;
use crate::passing;
use crate::report;
use crate::span::Span;
use crate::usage::TokenUsage;

/// Seconds from the start of the span to the first item that says something, under the name of
/// ddtrace's constant.
const TIME_TO_FIRST_TOKEN: &str = "time_to_first_token";

/// A span that is open until the last item.
pub(crate) struct Tracked {
    span: Span,
    /// `None` after the end, and while nothing is enabled.
    running: Option<Box<Running>>,
}

struct Running {
    output: StreamOutput,
    time_to_first: Option<f64>,
    /// By its size hint nothing is left of the inner stream.
    exhausted: bool,
    /// The size hint panics: each time it would print that.
    no_hint: bool,
}

impl Tracked {
    /// `captures` is whether the items may be looked at, if the client captures at all.
    pub(crate) fn new(span: Span, captures: bool) -> Self {
        let running = span.inner().map(|inner| {
            let captures = captures && inner.client.settings.capture == Capture::Full;
            Box::new(Running {
                output: StreamOutput::new(inner.kind, captures),
                time_to_first: None,
                exhausted: false,
                no_hint: false,
            })
        });
        Self { span, running }
    }

    pub(super) fn idle() -> Self {
        Self::new(Span::idle(), false)
    }

    #[inline]
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Runs code of the inner stream under the span, which a panic ends.
    pub(super) fn step<R>(&mut self, step: impl FnOnce() -> R) -> R {
        let stepped = {
            let _in = Lent::new(&mut self.span);
            catch_unwind(AssertUnwindSafe(step))
        };
        match stepped {
            Ok(returned) => returned,
            Err(payload) => {
                self.finish(Some(SpanError::panic(&*payload)));
                passing::resumes(&*payload);
                resume_unwind(payload)
            }
        }
    }

    /// Notes an item, which `add` adds to the output; an error ends the span.
    pub(super) fn item(&mut self, add: impl FnOnce(&mut StreamOutput)) {
        let (Some(running), Some(inner)) = (&mut self.running, self.span.inner()) else {
            return;
        };
        let elapsed = || inner.start.elapsed_seconds();
        let now = running.time_to_first.is_none().then(elapsed);
        let output = &mut running.output;
        output.begin_item();
        if capture::panics(|| add(output)) {
            report::once(report::Kind::Capture, || {
                "an item of a stream was not captured as a whole: its Chunk panicked".to_owned()
            });
        }
        if output.error.is_some() {
            self.finish(None);
        } else if now.is_some() && running.output.has_token {
            running.time_to_first = now;
        }
    }

    /// Notes how many items are left, as far as the inner stream tells.
    pub(super) fn left(&mut self, hint: impl FnOnce() -> (usize, Option<usize>)) {
        if let Some(running) = self.running.as_mut().filter(|running| !running.no_hint) {
            running.exhausted = false;
            let exhausted = &mut running.exhausted;
            running.no_hint = capture::panics(|| *exhausted = hint().1 == Some(0));
        }
    }

    /// The last item has come.
    pub(super) fn end(&mut self) {
        self.finish(None);
    }

    /// Nobody asks for the rest; `drop_rest` drops it.
    pub(super) fn abandon(&mut self, drop_rest: impl FnOnce()) {
        let Some(running) = &self.running else { return };
        // Who counts along, or takes as many as there are, does not ask for the end.
        let cancelled = !running.exhausted;
        self.step(drop_rest);
        if cancelled {
            self.span.mark_cancelled();
        }
        self.finish(None);
    }

    /// Ends the span, and lets go of it while the stream may still be kept.
    #[cold]
    #[inline(never)]
    fn finish(&mut self, error: Option<SpanError>) {
        let span = std::mem::replace(&mut self.span, Span::idle());
        if let (Some(running), Some(inner)) = (self.running.take(), span.inner()) {
            let Running {
                output,
                time_to_first,
                ..
            } = *running;
            let finished = output.finish(inner.kind);
            let error = error.or(finished.error);
            let usage = finished.usage.map(Box::new);
            let time: Option<(String, Number)> =
                time_to_first.map(|time| (TIME_TO_FIRST_TOKEN.to_owned(), time.into()));
            // What was annotated by hand wins.
            span.with_data(|data| {
                if data.output.is_none() {
                    data.output = finished.content;
                }
                if let Some(usage) = usage {
                    let there = &mut data.details().usage;
                    if let Some(by_hand) = there.replace(usage) {
                        TokenUsage::add(there, by_hand);
                    }
                }
                if let Some((key, number)) = time {
                    let metrics = &mut data.details().metrics;
                    if metrics.iter().all(|(known, _)| *known != key) {
                        metrics.push((key, number));
                    }
                }
                for (key, value) in finished.metadata {
                    data.details().metadata.entry(key).or_insert(value);
                }
            });
            // The user may have ended it by hand.
            let _ = span.end(error);
        }
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.span.fmt(f)
    }
}
