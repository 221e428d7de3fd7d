//! What went wrong inside a span: `meta.error` on the wire.

mod type_name;

use std::any::Any;
use std::error::Error;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::capture;
use crate::passing;

/// How many sources of an error are followed; a chain that is longer, or a ring, ends there.
const LONGEST_CHAIN: usize = 64;

/// `dyn Error` with whatever it promises of threads.
pub trait DynError {
    #[doc(hidden)]
    fn as_error(&self) -> &(dyn Error + 'static);
}

macro_rules! dyn_error {
    ($($ty:ty;)*) => {$(
        impl DynError for $ty {
            fn as_error(&self) -> &(dyn Error + 'static) {
                self
            }
        }
    )*};
}

dyn_error! {
    dyn Error;
    dyn Error + Send;
    dyn Error + Sync;
    dyn Error + Send + Sync;
}

/// Type, message and stack of an error (as in ddtrace). `stack` is never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpanError {
    pub(crate) message: String,
    pub(crate) stack: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

impl SpanError {
    pub(crate) fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        let (kind, message) = (kind.into(), capture::scrub(message.into()));
        Self {
            stack: format!("{kind}: {message}"),
            kind,
            message,
        }
    }

    pub(crate) fn from_error<E: Error + ?Sized>(error: &E) -> Self {
        Self::with_sources(
            error,
            || {
                let name = std::any::type_name::<E>();
                let is_erased = name.starts_with("dyn ") || name.contains("dyn core::error::Error");
                is_erased.then(|| type_name::of_erased(&error, || error.source()))?
            },
            || error.source(),
        )
    }

    /// The error that `error`, which is none itself, leads to: `anyhow::Error` for instance.
    pub(crate) fn from_dyn<E: Display>(error: &E, cause: &(dyn Error + 'static)) -> Self {
        Self::with_sources(error, || type_name::of_chain(cause), || cause.source())
    }

    /// As above, where the type of the cause is not known to be `dyn Error`.
    pub(crate) fn from_target<E: Display, T: Error + ?Sized>(error: &E, cause: &T) -> Self {
        Self::with_sources(
            error,
            || {
                let is_erased = std::any::type_name::<T>().starts_with("dyn ");
                is_erased.then(|| type_name::of_erased(&cause, || cause.source()))?
            },
            || cause.source(),
        )
    }

    /// An error with the first of its sources. Where `cause` has no better name for its type, it is
    /// that of `error`. A name that `cause` has from a source stands beside that source in the stack.
    fn with_sources<'a, E: Display + ?Sized>(
        error: &E,
        cause: impl FnOnce() -> Option<(String, usize)>,
        first: impl FnOnce() -> Option<&'a (dyn Error + 'static)>,
    ) -> Self {
        let own = std::any::type_name::<E>();
        let mut kind = None;
        // A `Debug` that panics here does so again below, where it is told.
        capture::panics(|| kind = cause());
        let (kind, above) = kind.unwrap_or_else(|| (own.to_owned(), 0));
        let mut span_error = Self::new(kind, capture::display(error));
        if above > 0 {
            span_error.stack = format!("{own}: {}", span_error.message);
        }
        let mut source = None;
        if capture::panics(|| source = first())
            || capture::panics(|| span_error.add_sources(source, above))
        {
            let mark = capture::complain(own, "source panicked");
            span_error.add_source(&mark);
        }
        span_error
    }

    /// Adds a line for each source to the stack. The type is that of the source with so many errors above it.
    /// A `source` may panic.
    fn add_sources(&mut self, mut next: Option<&(dyn Error + 'static)>, typed: usize) {
        for above in 1..=LONGEST_CHAIN {
            let Some(source) = next else { break };
            let told = capture::display(source);
            if above == typed {
                let told = format!("{}: {told}", self.kind);
                self.add_source(&told);
            } else {
                self.add_source(&told);
            }
            next = source.source();
        }
    }

    fn add_source(&mut self, told: &str) {
        self.stack.push_str("\nCaused by: ");
        self.stack.push_str(&capture::scrub(told.to_owned()));
    }

    /// A panic that went through the span.
    pub(crate) fn panic(payload: &(dyn Any + Send)) -> Self {
        passing::text(payload).map_or_else(Self::panic_without_message, |message| {
            Self::new("panic", message)
        })
    }

    pub(crate) fn panic_without_message() -> Self {
        Self::new("panic", "")
    }

    /// Bytes that it holds beside itself.
    pub(crate) fn weight(&self) -> usize {
        let Self {
            message,
            stack,
            kind,
        } = self;
        message.capacity() + stack.capacity() + kind.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn the_stack_holds_the_chain_of_sources() {
        let error = SpanError::from_error(&Outer("x".parse::<i32>().unwrap_err()));
        assert!(error.kind.ends_with("Outer"), "{}", error.kind);
        assert_eq!(error.message, "outer");
        assert_eq!(
            error.stack.lines().nth(1),
            Some("Caused by: invalid digit found in string")
        );
    }

    #[test]
    fn the_name_of_a_type_stands_beside_the_error_that_has_it() {
        #[derive(Debug, thiserror::Error)]
        #[error("too late")]
        struct Timeout;
        #[derive(thiserror::Error)]
        #[error("{0}")]
        struct Context(&'static str, #[source] Box<dyn Error>);
        impl std::fmt::Debug for Context {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a context of the program")
            }
        }

        let boxed: Box<dyn Error> = Box::new(Timeout);
        let error = SpanError::from_dyn(&boxed, &*boxed);
        assert_eq!(
            (&*error.kind, &*error.stack),
            ("Timeout", "Timeout: too late")
        );
        let context: Box<dyn Error> = Box::new(Context("a", Box::new(Context("b", boxed))));
        let error = SpanError::from_dyn(&context, &*context);
        assert_eq!(error.kind, "Timeout");
        let own = std::any::type_name::<Box<dyn Error>>();
        let stack = format!("{own}: a\nCaused by: b\nCaused by: Timeout: too late");
        assert_eq!(error.stack, stack);
    }

    #[test]
    fn a_key_in_the_url_of_an_error_stays_here() {
        #[derive(Debug, thiserror::Error)]
        #[error("request to https://a.b/v1?key=HUNTER failed")]
        struct Request(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("postgres://ada:HUNTER@db is gone")]
        struct Inner;

        let error = SpanError::from_error(&Request(Inner));
        assert_eq!(
            error.message,
            "request to https://a.b/v1?key=[redacted] failed"
        );
        assert!(!error.stack.contains("HUNTER"), "{}", error.stack);
        assert!(
            error
                .stack
                .ends_with("postgres://ada:[redacted]@db is gone")
        );
        assert!(
            !SpanError::panic(&"?api_key=HUNTER")
                .message
                .contains("HUNTER")
        );
    }

    #[test]
    fn a_source_that_panics_costs_the_chain_and_not_the_message() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Above(#[source] Broken);

        #[derive(Debug)]
        struct Broken;
        impl std::fmt::Display for Broken {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("broken")
            }
        }
        impl Error for Broken {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                panic!("on purpose")
            }
        }

        let name = std::any::type_name::<Broken>();
        let error = SpanError::from_error(&Broken);
        assert_eq!(error.message, "broken");
        let mark = format!("Caused by: <{name}: its source panicked>");
        assert_eq!(error.stack, format!("{name}: broken\n{mark}"));
        let error = SpanError::from_error(&Above(Broken));
        let sources = error.stack.split_once('\n').unwrap().1;
        let mark = format!("Caused by: <{}: its source panicked>", error.kind);
        assert_eq!(sources, format!("Caused by: broken\n{mark}"));
    }

    #[test]
    fn a_panic_tells_its_message_whatever_its_payload() {
        let caught = std::panic::catch_unwind(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(SpanError::panic(&*caught).stack, "panic: ");
        assert_eq!(SpanError::panic(&"boom").message, "boom");
        assert_eq!(SpanError::panic(&String::from("boom")).message, "boom");
    }
}
