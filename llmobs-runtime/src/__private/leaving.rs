//! Functions whose body stands where it stood: nobody sees what a `return` or a `?` gives. Where
//! all of them give errors, that the body left by one of them is an error at least.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use super::start::Entered;
use crate::failure::SpanError;

/// The type that a function returns, without a value.
pub struct Returned<R: ?Sized>(PhantomData<fn() -> R>);

impl<R> Returned<R> {
    pub const NEW: Self = Self(PhantomData);
}

/// A `Result`: its error's type.
pub trait LeavesResult {
    fn __llmobs_leaving(&self) -> Option<fn() -> &'static str>;
}

impl<T, E> LeavesResult for &Returned<Result<T, E>> {
    fn __llmobs_leaving(&self) -> Option<fn() -> &'static str> {
        Some(type_name::<E>)
    }
}

/// Every other type: to leave early is no error.
pub trait LeavesAny {
    fn __llmobs_leaving(&self) -> Option<fn() -> &'static str>;
}

impl<R: ?Sized> LeavesAny for Returned<R> {
    fn __llmobs_leaving(&self) -> Option<fn() -> &'static str> {
        None
    }
}

/// Notes the error at its drop, unless the body has [arrived](arrived) at its end.
#[must_use]
#[derive(Debug)]
pub struct Leaving<'a> {
    entered: Option<&'a Entered>,
    error: Option<fn() -> &'static str>,
}

impl<'a> Leaving<'a> {
    #[inline]
    pub fn new(entered: &'a Option<Entered>, error: Option<fn() -> &'static str>) -> Self {
        Self {
            entered: entered.as_ref(),
            error,
        }
    }

    #[cold]
    #[inline(never)]
    fn leave(entered: &Entered, error: fn() -> &'static str) {
        if std::thread::panicking() {
            return;
        }
        let error = SpanError::new(
            error(),
            "the function returned early with an error, which cannot be seen below `#[track_caller]` here",
        );
        entered.with_data(|data| {
            data.error.get_or_insert_with(|| Box::new(error));
        });
    }
}

impl Drop for Leaving<'_> {
    #[inline]
    fn drop(&mut self) {
        if let (Some(entered), Some(error)) = (self.entered, self.error) {
            Self::leave(entered, error);
        }
    }
}

/// The body came to its end, whose value is looked at.
#[inline]
pub fn arrived(mut leaving: Leaving<'_>) {
    leaving.error = None;
}

impl<R: ?Sized> fmt::Debug for Returned<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Returned")
    }
}
