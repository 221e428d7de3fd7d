//! What goes wrong in the background: `tracing` events with the target `llmobs`, never
//! a print and never a panic.
//!
//! With the feature `log` a line that no subscriber takes is a record of the crate `log`. `tracing`
//! asks for the message of an event only where a subscriber, or its own feature `log`, takes it. A
//! message that was asked for has its reader, so no line comes twice.
//!
//! The worker's own thread is silent otherwise: what its HTTP client traces would come
//! back to a subscriber that sends it out with the same HTTP client.

use std::cell::{Cell, RefCell};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tracing::dispatcher::DefaultGuard;
use tracing::metadata::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};

use crate::evaluation::shortened;
use crate::stats::EventKind;
use crate::{capture, context};

/// The event, and the record where nobody has asked for the event's message: no subscriber wants it, and
/// `tracing` itself does not write it to `log`.
macro_rules! say {
    ($level:ident, $message:expr) => {{
        let message = $message;
        aloud(|| {
            #[cfg(not(feature = "log"))]
            tracing::$level!(target: "llmobs", "{}", message());
            #[cfg(feature = "log")]
            {
                let mut message = Some(message);
                let mut text = || message.take().map(|message| message()).unwrap_or_default();
                let mut is_taken = false;
                tracing::$level!(target: "llmobs", "{}", {
                    is_taken = true;
                    text()
                });
                if !is_taken {
                    log::$level!(target: "llmobs", "{}", text());
                }
            }
        });
    }};
}

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
    Mended,
    Prompt,
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
    say!(info, message);
}

pub(crate) fn warn(message: impl FnOnce() -> String) {
    say!(warn, message);
}

pub(crate) fn error(message: impl FnOnce() -> String) {
    say!(error, message);
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
/// lives and the thread does not rest, save for those of this module.
pub(crate) struct Silence(());

/// What silences a thread. Made by the thread that starts it: one that forks at once leaves
/// nothing half made for its child to wait for.
pub(crate) struct Silencer(&'static Dispatch);

impl Silencer {
    pub(crate) fn new() -> Self {
        Self(&NOBODY)
    }

    pub(crate) fn silence(self) -> Silence {
        IN_BACKGROUND.set(true);
        hush(self.0);
        Silence(())
    }

    /// While a silent thread waits, it is none for `tracing`: while there is one anywhere, no thread
    /// can ask for its current span from within a subscriber.
    #[cfg(feature = "enabled")]
    pub(crate) fn rest_with(&self, runtime: &mut tokio::runtime::Builder) {
        let nobody = self.0;
        runtime.on_thread_park(|| {
            silent_by(None);
        });
        runtime.on_thread_unpark(|| {
            if in_background() {
                hush(nobody);
            }
        });
    }
}

/// Where nobody listens there is nothing to silence, and `tracing` may go on to write to `log`.
fn hush(nobody: &Dispatch) {
    if LevelFilter::current() != LevelFilter::OFF {
        silent_by(Some(nobody));
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        IN_BACKGROUND.set(false);
        silent_by(None);
    }
}

fn silent_by(nobody: Option<&Dispatch>) -> bool {
    let guard = nobody.map(tracing::dispatcher::set_default);
    let replaced = SILENCE.try_with(|silence| silence.replace(guard).is_some());
    replaced.unwrap_or(false)
}

/// Lets the application's own code be heard on this thread, and what is said here.
pub(crate) struct Heard {
    was_silent: bool,
}

pub(crate) fn heard() -> Heard {
    Heard {
        was_silent: silent_by(None),
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        if self.was_silent {
            silent_by(Some(&NOBODY));
        }
    }
}

fn aloud(emit: impl FnOnce()) {
    if context::torn_down() {
        return;
    }
    let _heard = heard();
    if in_background() {
        // A subscriber that panics must not take the delivery with it.
        capture::panics(emit);
    } else {
        emit();
    }
}

/// Hears nothing. `Dispatch::none()` would do so too, but `tracing` does not count it: a callsite
/// of a library that a silent thread is the first to reach would be off for the whole process
/// where the application has one subscriber.
struct Nobody;

static NOBODY: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Nobody));

impl Subscriber for Nobody {
    /// What no other subscriber wants is off as before; of what another one wants it is asked
    /// each time.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::never()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
