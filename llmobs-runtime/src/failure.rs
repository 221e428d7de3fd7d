//! What went wrong inside a span: `meta.error` on the wire.

use std::any::Any;
use std::error::Error;

use serde::{Deserialize, Serialize};

use crate::capture;

/// How many sources of an error are followed; a chain that is longer, or a ring, ends there.
const LONGEST_CHAIN: usize = 64;

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
        let (kind, message) = (kind.into(), message.into());
        Self {
            stack: format!("{kind}: {message}"),
            kind,
            message,
        }
    }

    pub(crate) fn from_error<E: Error + ?Sized>(error: &E) -> Self {
        let mut span_error = Self::new(std::any::type_name::<E>(), capture::display(error));
        span_error.add_sources(error.source());
        span_error
    }

    /// Adds a line for each source to the stack.
    pub(crate) fn add_sources(&mut self, first: Option<&(dyn Error + 'static)>) {
        let sources = std::iter::successors(first, |&error| error.source());
        for source in sources.take(LONGEST_CHAIN) {
            self.stack.push_str("\nCaused by: ");
            self.stack.push_str(&capture::display(source));
        }
    }

    /// A panic that went through the span.
    pub(crate) fn panic(payload: &(dyn Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        match message {
            Some(message) => Self::new("panic", message),
            None => Self::panic_without_message(),
        }
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
    fn a_panic_tells_its_message_whatever_its_payload() {
        let caught = std::panic::catch_unwind(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(SpanError::panic(&*caught).stack, "panic: ");
        assert_eq!(SpanError::panic(&"boom").message, "boom");
        assert_eq!(SpanError::panic(&String::from("boom")).message, "boom");
    }
}
