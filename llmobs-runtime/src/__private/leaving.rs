//! Functions whose body stands inline. Each `return` and each `?` of which the macro knows that it
//! leaves the function tells its value here, before it leaves. What leaves otherwise, out of a macro
//! or by a panic, is seen by a guard.

use std::any::type_name;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use super::ladder::Never;
use super::start::{Entered, fake};
use crate::failure::SpanError;
use crate::passing::Watch;

/// The type that a function returns, without a value.
pub struct Returned<R: ?Sized>(PhantomData<fn() -> R>);

impl<R> Returned<R> {
    pub const NEW: Self = Self(PhantomData);

    /// A value that never is: it tells the compiler which type this is about.
    pub fn fake(&self) -> R {
        fake()
    }
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

/// Notes at its drop that a panic passes, or that the body left by a way that nobody has seen.
#[must_use]
#[derive(Debug)]
pub struct Leaving<'a> {
    open: Option<(&'a Entered, Watch)>,
    /// The type of an error that may leave unseen.
    error: Cell<Option<fn() -> &'static str>>,
}

impl<'a> Leaving<'a> {
    #[inline]
    pub fn new(entered: &'a Option<Entered>, error: Option<fn() -> &'static str>) -> Self {
        let entered = entered.as_ref().filter(|entered| entered.is_some());
        Self {
            open: entered.map(|entered| (entered, Watch::begin())),
            error: Cell::new(error),
        }
    }

    /// The span, for a value that is about to leave.
    #[inline]
    pub fn seen(&self) -> Option<&'a Entered> {
        self.error.set(None);
        self.open.as_ref().map(|(entered, _)| *entered)
    }

    #[cold]
    #[inline(never)]
    fn leave(entered: &Entered, watch: &Watch, error: Option<fn() -> &'static str>) {
        let error = if watch.panics() {
            let message = watch.message();
            SpanError::new(
                "panic",
                message.unwrap_or_else(|| {
                    "the message of this panic cannot be seen below `#[track_caller]`".to_owned()
                }),
            )
        } else if let Some(error) = error {
            SpanError::new(
                error(),
                "the function returned early, out of a macro, so that its value cannot be seen below \
                 `#[track_caller]` here: it counts as an error",
            )
        } else {
            return;
        };
        entered.with_data(|data| {
            data.error.get_or_insert_with(|| Box::new(error));
        });
    }
}

impl Drop for Leaving<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((entered, watch)) = &self.open {
            Self::leave(entered, watch, self.error.get());
        }
    }
}

/// The body came to its end, whose value is looked at.
#[inline]
#[allow(clippy::needless_pass_by_value, reason = "it ends here")]
pub fn arrived(leaving: Leaving<'_>) {
    leaving.error.set(None);
}

/// The operand of a `?` in a function that returns an `R`.
pub struct Trying<T, R>(PhantomData<fn(T) -> R>);

impl<T, R> Trying<T, R> {
    #[inline]
    pub fn new(_: &T, _: &Returned<R>) -> Self {
        Self(PhantomData)
    }
}

/// A `Result` in a function that returns one: its error becomes the function's here.
pub trait TriesResult {
    /// The operand's error.
    type From;
    /// The function's.
    type Error;
    fn __llmobs_trying(&self) -> OfResult<Self::From, Self::Error>;
}

impl<T, E, U, F: From<E>> TriesResult for &Trying<Result<T, E>, Result<U, F>> {
    type From = E;
    type Error = F;
    #[inline]
    fn __llmobs_trying(&self) -> OfResult<E, F> {
        OfResult(PhantomData)
    }
}

/// Whatever else: it is left to the `?`.
pub trait TriesAny {
    fn __llmobs_trying(&self) -> OfAny;
}

impl<T, R> TriesAny for Trying<T, R> {
    #[inline]
    fn __llmobs_trying(&self) -> OfAny {
        OfAny
    }
}

/// It names both errors: where only the call of [`tell`](Self::tell) did, a bound of the user's, such as
/// `E: From<io::Error>`, would decide of which type the operand is.
pub struct OfResult<E, F>(PhantomData<fn(E) -> F>);

#[derive(Debug)]
pub struct OfAny;

#[allow(clippy::unused_self, reason = "its type says which is called")]
impl<E, F: From<E>> OfResult<E, F> {
    /// Tells the error, if it is one, which leaves by the `?` that follows.
    #[inline]
    #[track_caller]
    pub fn tell<T>(self, operand: Result<T, E>, tell: impl FnOnce(&F)) -> Result<T, F> {
        match operand {
            Ok(value) => Ok(value),
            Err(error) => {
                let error = F::from(error);
                tell(&error);
                Err(error)
            }
        }
    }
}

#[allow(clippy::unused_self, reason = "as above")]
impl OfAny {
    /// The operand, as it is.
    #[inline]
    pub fn tell<T>(self, operand: T, _: impl FnOnce(&Never)) -> T {
        operand
    }
}

impl<R: ?Sized> fmt::Debug for Returned<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Returned")
    }
}

impl<T, R> fmt::Debug for Trying<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trying")
    }
}

impl<E, F> fmt::Debug for OfResult<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfResult")
    }
}
