//! The name of the type of an error behind `dyn Error`, which Rust does not tell.
//!
//! Two things give it: a downcast to the types of the standard library and of the crates that are
//! in the tree anyway, and the `Debug` that most errors derive, which begins with the name of the
//! struct or of the variant. Where the outermost error has neither (a text, or a context of
//! `anyhow`), the first of its sources that has one is the cause.

use std::error::Error;
use std::fmt::{self, Write as _};

use super::LONGEST_CHAIN;
use crate::capture;

/// How much of a `Debug` is looked at: a name is no longer.
const LONGEST: usize = 120;

/// Names that say no more than that something is an error, or that it stands in something.
const EMPTY: [&str; 16] = [
    "Error",
    "ErrorImpl",
    "ErrorMessage",
    "Err",
    "Ok",
    "Some",
    "None",
    "Box",
    "Boxed",
    "Arc",
    "Report",
    "Custom",
    "Other",
    "Inner",
    "Context",
    "ContextError",
];

/// A name with more digits than this is rather a key or an id.
const MOST_DIGITS: usize = 4;

/// A name without a letter in lower case is an abbreviation (`EOF`, `TLS`) up to this length.
const LONGEST_ABBREVIATION: usize = 8;

/// The beginning of the `Debug` of a `std::io::Error`.
const IO: [&str; 3] = ["Os { code: ", "Custom { kind: ", "Kind("];

macro_rules! known {
    ($error:ident: $($ty:ty,)*) => {
        $(if $error.is::<$ty>() {
            return Some(std::any::type_name::<$ty>());
        })*
    };
}

/// A type that is known by a downcast.
fn downcast(error: &(dyn Error + 'static)) -> Option<&'static str> {
    known! { error:
        std::io::Error,
        std::fmt::Error,
        std::num::ParseIntError,
        std::num::ParseFloatError,
        std::num::TryFromIntError,
        std::str::ParseBoolError,
        std::str::Utf8Error,
        std::string::FromUtf8Error,
        std::string::FromUtf16Error,
        std::char::ParseCharError,
        std::char::CharTryFromError,
        std::char::TryFromCharError,
        std::char::DecodeUtf16Error,
        std::net::AddrParseError,
        std::env::VarError,
        std::env::JoinPathsError,
        std::path::StripPrefixError,
        std::time::SystemTimeError,
        std::time::TryFromFloatSecsError,
        std::array::TryFromSliceError,
        std::collections::TryReserveError,
        std::alloc::LayoutError,
        std::cell::BorrowError,
        std::cell::BorrowMutError,
        std::thread::AccessError,
        std::sync::mpsc::RecvError,
        std::sync::mpsc::RecvTimeoutError,
        std::sync::mpsc::TryRecvError,
        std::ffi::NulError,
        std::ffi::IntoStringError,
        std::ffi::FromBytesWithNulError,
        serde_json::Error,
    }
    #[cfg(feature = "enabled")]
    known! { error:
        tokio::time::error::Elapsed,
        tokio::task::JoinError,
        tokio::sync::oneshot::error::RecvError,
    }
    None
}

/// The type of the first error of a chain for which a name is had, and how many errors are above that
/// one. It runs code of a user, which may panic.
pub(super) fn of_chain(first: &(dyn Error + 'static)) -> Option<(String, usize)> {
    let mut next = Some(first);
    for above in 0..LONGEST_CHAIN {
        let error = next?;
        if let Some(name) = downcast(error) {
            return Some((name.to_owned(), above));
        }
        if let Some(name) = of_debug(&error) {
            return Some((name, above));
        }
        next = error.source();
    }
    None
}

/// As above, for an error that can only be asked for its `Debug`, and for its sources.
pub(super) fn of_erased<'a, E: Error>(
    error: &E,
    source: impl FnOnce() -> Option<&'a (dyn Error + 'static)>,
) -> Option<(String, usize)> {
    if let Some(name) = of_debug(error) {
        return Some((name, 0));
    }
    let (name, above) = of_chain(source()?)?;
    Some((name, above + 1))
}

/// The name with which the `Debug` of an error begins that was derived, or written as if: a path whose last part
/// is in upper case, and after it nothing, `(`, or a brace and a field. A message that a `Debug` prints in place of
/// a structure is no name, and neither is a key or an id.
fn of_debug<E: Error>(error: &E) -> Option<String> {
    let debug = Beginning::of(format_args!("{error:?}"))?;
    if IO.iter().any(|io| debug.text.starts_with(io)) {
        return Some(std::any::type_name::<std::io::Error>().to_owned());
    }
    let (name, rest) = debug.split_name();
    // A name that takes all there is room for may go on.
    if EMPTY.contains(&name) || !is_type(name) || (rest.is_empty() && debug.is_cut) {
        return None;
    }
    let is_named = match rest.strip_prefix(" {") {
        Some(fields) => begins_with_field(fields, debug.is_cut),
        // One word, or what stands in parentheses, may be the message itself.
        None if rest.is_empty() => !debug.is_message_of(error)?,
        None if rest.starts_with('(') => {
            (!debug.is_cut && rest.ends_with(')')) || !debug.is_message_of(error)?
        }
        None => false,
    };
    is_named.then(|| name.to_owned())
}

/// Whether `name` is a path to something that may be a type or a variant.
fn is_type(name: &str) -> bool {
    let is_path = name
        .split("::")
        .all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()) && !part.contains(':'));
    let last = name.rsplit("::").next().unwrap_or_default();
    let is_word =
        last.contains(|c: char| c.is_ascii_lowercase()) || last.len() <= LONGEST_ABBREVIATION;
    is_path
        && is_word
        && last.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().filter(u8::is_ascii_digit).count() <= MOST_DIGITS
}

/// Whether `fields`, after the brace, are those of a derived `Debug`: ` seconds: 3 }` or ` .. }`.
fn begins_with_field(fields: &str, is_cut: bool) -> bool {
    let Some(fields) = fields.strip_prefix(' ') else {
        return fields.is_empty() && is_cut;
    };
    let in_name = |c: char| c.is_alphanumeric() || c == '_' || c == '#';
    let end = fields.find(|c| !in_name(c)).unwrap_or(fields.len());
    let (field, after) = fields.split_at(end);
    if field.is_empty() {
        return after.starts_with("..") || (after.is_empty() && is_cut);
    }
    after.starts_with(": ") || (is_cut && (after.is_empty() || after == ":"))
}

/// As much of a printed text as a name could be.
struct Beginning {
    text: String,
    is_cut: bool,
}

impl Beginning {
    /// Returns the word that is printed first; `None` where it panics.
    fn of(printed: fmt::Arguments<'_>) -> Option<Self> {
        let mut beginning = Self {
            text: String::new(),
            is_cut: false,
        };
        // An error of it is our own, or as good as the end.
        let panicked = capture::panics(|| {
            let _ = beginning.write_fmt(printed);
        });
        (!panicked).then_some(beginning)
    }

    fn split_name(&self) -> (&str, &str) {
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = self.text.find(|c| !in_name(c));
        self.text.split_at(end.unwrap_or(self.text.len()))
    }

    /// Whether the `Display` of the error prints this too; `None` where it panics.
    fn is_message_of<E: Error>(&self, error: &E) -> Option<bool> {
        let message = Self::of(format_args!("{error}"))?;
        Some(message.text == self.text)
    }
}

impl fmt::Write for Beginning {
    /// Refuses all that follows the end of the room, so that a `Debug` which stops at an error costs
    /// no more; one that goes on is not listened to.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        let mut end = (LONGEST - self.text.len()).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.text.push_str(&text[..end]);
        self.is_cut = end < text.len();
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
