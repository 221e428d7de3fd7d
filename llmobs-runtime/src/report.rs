//! What goes wrong in the background: `tracing` events with the target `llmobs`, never
//! a print and never a panic.
//!
//! The worker's own thread is silent otherwise: what its HTTP client traces would come
//! back to a subscriber that sends it out with the same HTTP client.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering};

use tracing::Dispatch;
use tracing::dispatcher::DefaultGuard;

use crate::evaluation::shortened;
use crate::stats::EventKind;
use crate::{capture, context};

/// A kind of trouble that is told once in a process; the totals are in `stats()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    MetricKey,
    QueueFull,
    Capture,
    Attribute,
    EnabledTwice,
    Cut,
    CutRemarks,
    TooLargeSpan,
    TooLargeEvaluation,
    TooLargeFeedback,
    Headers,
    Carrier,
    Processor,
    Spool,
}

/// Emits a warning, the first time for this kind. A thread that is being torn down leaves
/// it to the next.
pub(crate) fn once(kind: Kind, message: impl FnOnce() -> String) {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let bit = 1 << kind as u32;
    if context::torn_down() {
        return;
    }
    if TOLD.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        warn(message);
    }
}

/// Tells of an event that is dropped for its size.
pub(crate) fn too_large(event: EventKind, name: &str, bytes: usize, limit: usize) {
    let kind = match event {
        EventKind::Span => Kind::TooLargeSpan,
        EventKind::Evaluation => Kind::TooLargeEvaluation,
        EventKind::Feedback => Kind::TooLargeFeedback,
    };
    once(kind, || {
        format!(
            "{} {:?} is dropped and counted: {bytes} bytes, and a request takes {limit} of one",
            event.as_str(),
            shortened(name)
        )
    });
}

pub(crate) fn info(message: impl FnOnce() -> String) {
    aloud(|| tracing::info!(target: "llmobs", "{}", message()));
}

pub(crate) fn warn(message: impl FnOnce() -> String) {
    aloud(|| tracing::warn!(target: "llmobs", "{}", message()));
}

pub(crate) fn error(message: impl FnOnce() -> String) {
    aloud(|| tracing::error!(target: "llmobs", "{}", message()));
}

thread_local! {
    static SILENCE: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
    static IN_BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is one of ours, where nothing may wait for it.
pub(crate) fn in_background() -> bool {
    IN_BACKGROUND.get()
}

/// No `tracing` event or span of this thread, one of ours, reaches a subscriber while this
/// lives, save for those of this module.
pub(crate) struct Silence(());

pub(crate) fn silence() -> Silence {
    set_silent(true);
    IN_BACKGROUND.set(true);
    Silence(())
}

impl Drop for Silence {
    fn drop(&mut self) {
        IN_BACKGROUND.set(false);
        set_silent(false);
    }
}

fn set_silent(silent: bool) -> bool {
    // `Dispatch::none` is not registered with tracing's callsites, so that it costs the
    // rest of the process nothing.
    let guard = silent.then(|| tracing::dispatcher::set_default(&Dispatch::none()));
    let replaced = SILENCE.try_with(|silence| silence.replace(guard).is_some());
    replaced.unwrap_or(false)
}

fn aloud(emit: impl FnOnce()) {
    if context::torn_down() {
        return;
    }
    let was_silent = set_silent(false);
    if was_silent {
        // A subscriber that panics must not take the delivery with it.
        capture::panics(emit);
        set_silent(true);
    } else {
        emit();
    }
}
