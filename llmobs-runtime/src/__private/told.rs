//! What an attribute of `#[llm]` says in the form of messages: `input = ("user", prompt)`.
//!
//! JSON does not tell a pair of texts from a list of two. Where an attribute says what a
//! model heard or said, pairs of a role and a content are messages; this rung goes on top of
//! the ladder there, and nowhere else.

use serde_json::{Value, json};

use super::ladder::{Cap, Name};
use super::record;
use crate::capture::Captured;

/// `(role, content)`.
trait Pair {
    fn message(&self) -> Value;
}

impl<R: AsRef<str>, C: AsRef<str>> Pair for (R, C) {
    fn message(&self) -> Value {
        json!({"role": self.0.as_ref(), "content": self.1.as_ref()})
    }
}

impl<T: Pair> Pair for &T {
    fn message(&self) -> Value {
        (**self).message()
    }
}

/// One of those, or a list of them.
#[allow(
    unnameable_types,
    reason = "a bound of the rung, and nothing that a user writes"
)]
pub trait Conversation {
    fn messages(&self) -> Value;
}

impl<R: AsRef<str>, C: AsRef<str>> Conversation for (R, C) {
    fn messages(&self) -> Value {
        self.message()
    }
}

macro_rules! lists {
    ($([$($generics:tt)*] $ty:ty;)*) => {$(
        #[allow(private_bounds, reason = "pairs of texts alone")]
        impl<$($generics)*> Conversation for $ty {
            fn messages(&self) -> Value {
                self.iter().map(Pair::message).collect()
            }
        }
    )*};
}

lists! {
    [T: Pair] [T];
    [T: Pair] Vec<T>;
    [T: Pair, const N: usize] [T; N];
}

impl<T: Conversation + ?Sized> Conversation for &T {
    fn messages(&self) -> Value {
        (**self).messages()
    }
}

/// Messages by their form.
pub trait CapMessages {
    fn __llmobs_cap(&self, name: Name) -> Captured;
}

impl<T: Conversation + ?Sized> CapMessages for &&&&&&&&Cap<'_, T> {
    fn __llmobs_cap(&self, _: Name) -> Captured {
        let mut messages = Value::Null;
        // An `AsRef<str>` is a user's.
        record::attempt(|| messages = self.0.messages());
        messages.into()
    }
}
