//! What a function comes to: its output, its error, its panic.

use super::ladder::Failure;
use super::start::Entered;
use crate::annotation::Content;
use crate::capture::{self, Captured};
use crate::report;
use crate::span::Span;

/// What a function comes to is noted on its span: by the handle of a future, or by the place on
/// the thread's stack.
pub trait Noted {
    fn wants_output(&self) -> bool;
    fn output(&self, value: Captured);
    fn failed(&self, failure: Failure);
}

/// For what has `wants_output` and `with_data`, which are no API.
macro_rules! noted {
    ($($on:ty)*) => {$(
        impl Noted for $on {
            fn wants_output(&self) -> bool {
                self.wants_output()
            }

            #[cold]
            #[inline(never)]
            fn output(&self, value: Captured) {
                if let Some(content) = Content::captured(value) {
                    // Unless the user has set one meanwhile (as in ddtrace).
                    self.with_data(|data| {
                        data.output.get_or_insert(content);
                    });
                }
            }

            #[cold]
            #[inline(never)]
            fn failed(&self, failure: Failure) {
                self.with_data(|data| data.error = Some(Box::new(failure.0)));
            }
        }
    )*};
}

noted!(Span Entered);

/// The span of a function, if a client has taken it.
#[inline]
pub fn noted(entered: &Option<Entered>) -> Option<&Entered> {
    entered.as_ref().filter(|entered| entered.is_some())
}

/// Whether the output is worth a look: capture is on, and nobody has set one by hand.
#[inline]
pub fn wants_output(span: &impl Noted) -> bool {
    span.wants_output()
}

/// Keeps what the function returned. `null` is no output.
#[inline]
pub fn output(span: &impl Noted, value: Captured) {
    span.output(value);
}

/// Marks the span as failed.
#[inline]
pub fn failed(span: &impl Noted, failure: Failure) {
    span.failed(failure);
}

/// Runs code of a user that telemetry calls: its panic is swallowed.
pub(super) fn guarded<R>(run: impl FnOnce() -> R) -> Option<R> {
    let mut returned = None;
    capture::panics(|| returned = Some(run()));
    returned
}

/// Evaluates the expressions of an attribute. Where one panics, the rest is left out.
pub fn attempt(tell: impl FnOnce()) {
    if capture::panics(tell) {
        attribute_panicked();
    }
}

/// By itself, for what stands in a generic function is compiled with each of its callers.
#[cold]
#[inline(never)]
fn attribute_panicked() {
    report::once(report::Kind::Attribute, || {
        "an expression of an attribute panicked: what it was to say is left out".to_owned()
    });
}
