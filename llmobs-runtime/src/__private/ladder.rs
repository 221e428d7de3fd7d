//! The ladders: the best that can be said of a value whose type the macro does not know.
//!
//! Each rung is a trait with the same method, implemented for one more reference to a
//! wrapper than the rung below it. A call on the wrapper behind all references finds the
//! highest rung whose bounds the definition proves: no bound is ever added to a signature.

use std::any::type_name;
use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::future::Future;
use std::ops::Deref;

use serde::Serialize;
use serde_json::Value;

use super::record::guarded;
use super::special::{Form, Special};
use crate::capture::{self, Captured};
use crate::failure::{DynError, SpanError};

/// A value to capture.
pub struct Cap<'a, T: ?Sized>(pub &'a T);

/// An error to record.
pub struct Fail<'a, E: ?Sized>(pub &'a E);

/// What a function returned.
pub struct Ret<'a, T: ?Sized>(pub &'a T);

/// An error as the span keeps it.
#[derive(Debug)]
pub struct Failure(pub(crate) SpanError);

/// The error of a function that returns no `Result`.
#[derive(Debug)]
pub enum Never {}

/// The name of an argument.
pub(super) type Name = Option<&'static str>;

fn type_text<T: ?Sized>() -> Captured {
    Value::from(type_name::<T>()).into()
}

fn nothing() -> Captured {
    Value::Null.into()
}

/// Locks, channels and atomics by their type's name, for serde would lock them; bytes by
/// their number. Also behind the usual pointers and in an `Option`; many locks as well.
pub trait CapSpecial {
    fn __llmobs_cap(&self, name: Name) -> Captured;
}

impl<T: Special + ?Sized> CapSpecial for &&&&&&&Cap<'_, T> {
    fn __llmobs_cap(&self, name: Name) -> Captured {
        match self.0.form(name) {
            Form::Type => type_text::<T>(),
            Form::Told(value) => value,
        }
    }
}

/// What has a JSON form.
pub trait CapSerialize {
    fn __llmobs_cap(&self, name: Name) -> Captured;
}

impl<T: Serialize + ?Sized> CapSerialize for &&&&&&Cap<'_, T> {
    fn __llmobs_cap(&self, name: Name) -> Captured {
        capture::serialize(name, self.0)
    }
}

/// An iterator in an `Option`.
pub trait CapOptionIterator {
    fn __llmobs_cap(&self, name: Name) -> Captured;
}

impl<T: Iterator + Debug> CapOptionIterator for &&&&&Cap<'_, Option<T>> {
    fn __llmobs_cap(&self, name: Name) -> Captured {
        self.0
            .as_ref()
            .map_or_else(nothing, |items| of_items(name, items))
    }
}

/// An iterator, of a type that the macro does not know for one.
pub trait CapIterator {
    fn __llmobs_cap(&self, name: Name) -> Captured;
}

impl<T: Iterator + Debug + ?Sized> CapIterator for &&&&Cap<'_, T> {
    fn __llmobs_cap(&self, name: Name) -> Captured {
        of_items(name, self.0)
    }
}

/// An argument is what its `Debug` says of it. An output is what comes out of it, which `Map { iter: … }` does
/// not say: it is none.
fn of_items<T: Debug + ?Sized>(name: Name, items: &T) -> Captured {
    match name {
        Some(_) => Captured::printed(name, items),
        None => nothing(),
    }
}

/// `None` is nothing, not the text `None`.
pub trait CapOptionDebug {
    fn __llmobs_cap(&self, name: Name) -> Captured;
}

impl<T: Debug> CapOptionDebug for &&&Cap<'_, Option<T>> {
    fn __llmobs_cap(&self, name: Name) -> Captured {
        self.0
            .as_ref()
            .map_or_else(nothing, |value| Captured::printed(name, value))
    }
}

/// What has a text for programmers.
pub trait CapDebug {
    fn __llmobs_cap(&self, name: Name) -> Captured;
}

impl<T: Debug + ?Sized> CapDebug for &&Cap<'_, T> {
    fn __llmobs_cap(&self, name: Name) -> Captured {
        Captured::printed(name, self.0)
    }
}

/// `None` is nothing, whatever it might have held.
pub trait CapOption {
    fn __llmobs_cap(&self, name: Name) -> Captured;
}

impl<T> CapOption for &Cap<'_, Option<T>> {
    fn __llmobs_cap(&self, _: Name) -> Captured {
        self.0.as_ref().map_or_else(nothing, |_| type_text::<T>())
    }
}

/// Whatever else.
pub trait CapName {
    fn __llmobs_cap(&self, name: Name) -> Captured;
}

impl<T: ?Sized> CapName for Cap<'_, T> {
    fn __llmobs_cap(&self, _: Name) -> Captured {
        type_text::<T>()
    }
}

/// A `Result` by its type, whatever it is called.
pub trait SplitResult<'a> {
    type Value;
    type Error;
    fn __llmobs_split(&self) -> Result<&'a Self::Value, &'a Self::Error>;
}

impl<'a, T, E> SplitResult<'a> for &Ret<'a, Result<T, E>> {
    type Value = T;
    type Error = E;
    fn __llmobs_split(&self) -> Result<&'a T, &'a E> {
        self.0.as_ref()
    }
}

/// Whatever else.
pub trait SplitAny<'a> {
    type Value: ?Sized;
    fn __llmobs_split(&self) -> Result<&'a Self::Value, &'a Never>;
}

impl<'a, T: ?Sized> SplitAny<'a> for Ret<'a, T> {
    type Value = T;
    fn __llmobs_split(&self) -> Result<&'a T, &'a Never> {
        Ok(self.0)
    }
}

/// A future that the macro could not see, because its type has a name of its own.
pub trait NamedFuture {
    #[deprecated(
        note = "this function returns a future of a named type, so its span covers the call and not \
                the work: use `async fn`, return `impl Future`, or write `future` in the attribute \
                if the type is an alias of a boxed future"
    )]
    fn __llmobs_no_future(&self) {}
}

impl<F: Future + ?Sized> NamedFuture for &Ret<'_, F> {}

/// Whatever else.
pub trait NoFuture {
    fn __llmobs_no_future(&self) {}
}

impl<T: ?Sized> NoFuture for Ret<'_, T> {}

/// A future in a `Result` or an `Option`.
#[inline]
#[deprecated(
    note = "this function returns a future inside of a `Result` or an `Option`, so its span covers \
            the call and not the work: use `async fn`, or annotate the function that does the work"
)]
pub fn future_inside() {}

/// A stream or an iterator without `stream`.
#[inline]
#[deprecated(
    note = "this function returns a stream or an iterator, so its span ends when the function returns \
            and has no output: write `stream` in the attribute for a span that goes on with it, or \
            `capture_output = false` if the call is all that is wanted"
)]
pub fn items_without_stream() {}

/// An error of the standard trait, with its sources.
pub trait FailError {
    fn __llmobs_fail(&self) -> Failure;
}

impl<E: Error + ?Sized> FailError for &&&&Fail<'_, E> {
    fn __llmobs_fail(&self) -> Failure {
        Failure(SpanError::from_error(self.0))
    }
}

/// `anyhow::Error`, `eyre::Report`, `Box<dyn Error>`: no errors, but they lead to one.
pub trait FailDyn {
    fn __llmobs_fail(&self) -> Failure;
}

impl<E: Deref<Target: DynError> + Display> FailDyn for &&&&&Fail<'_, E> {
    fn __llmobs_fail(&self) -> Failure {
        Failure(SpanError::from_dyn(self.0, self.0.as_error()))
    }
}

/// A type that leads to an error of another kind: `Box<dyn MyError>`.
pub trait FailDeref {
    fn __llmobs_fail(&self) -> Failure;
}

impl<E: Deref<Target: Error> + Display> FailDeref for &&&Fail<'_, E> {
    fn __llmobs_fail(&self) -> Failure {
        Failure(SpanError::from_target(self.0, &**self.0))
    }
}

/// What has a text for people.
pub trait FailDisplay {
    fn __llmobs_fail(&self) -> Failure;
}

impl<E: Display + ?Sized> FailDisplay for &&Fail<'_, E> {
    fn __llmobs_fail(&self) -> Failure {
        Failure(SpanError::new(type_name::<E>(), capture::display(self.0)))
    }
}

/// What has a text for programmers.
pub trait FailDebug {
    fn __llmobs_fail(&self) -> Failure;
}

impl<E: Debug + ?Sized> FailDebug for &Fail<'_, E> {
    fn __llmobs_fail(&self) -> Failure {
        Failure(SpanError::new(type_name::<E>(), capture::debug(self.0)))
    }
}

/// Whatever else.
pub trait FailName {
    fn __llmobs_fail(&self) -> Failure;
}

impl<E: ?Sized> FailName for Fail<'_, E> {
    fn __llmobs_fail(&self) -> Failure {
        Failure(SpanError::new(type_name::<E>(), type_name::<E>()))
    }
}

/// Calls the closure of `output = |r| …`; `None` if it panics.
pub fn apply<'a, T: ?Sized, R>(value: &'a T, select: impl FnOnce(&'a T) -> R) -> Option<R> {
    guarded(|| select(value))
}

impl<T: ?Sized> Debug for Cap<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cap")
    }
}

impl<E: ?Sized> Debug for Fail<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fail")
    }
}

impl<T: ?Sized> Debug for Ret<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ret")
    }
}
