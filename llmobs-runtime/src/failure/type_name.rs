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
const EMPTY: [&str; 10] = [
    "Error", "Err", "Ok", "Some", "None", "Box", "Arc", "Report", "Custom", "Other",
];

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

/// The type of the first error of a chain for which a name is had. It runs code of a user,
/// which may panic.
pub(super) fn of_chain(first: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(first);
    for _ in 0..LONGEST_CHAIN {
        let error = next?;
        if let Some(name) = downcast(error) {
            return Some(name.to_owned());
        }
        if let Some(name) = of_debug(&error) {
            return Some(name);
        }
        next = error.source();
    }
    None
}

/// The same of an error that can only be asked for its `Debug`, and of its sources.
pub(super) fn of_erased<'a, E: Error>(
    error: &E,
    source: impl FnOnce() -> Option<&'a (dyn Error + 'static)>,
) -> Option<String> {
    of_debug(error).or_else(|| of_chain(source()?))
}

/// The name with which the `Debug` of an error begins that was derived, or written as if: a path whose last part
/// is in upper case, and after it nothing, a bracket or a brace.
fn of_debug<E: Error>(error: &E) -> Option<String> {
    let debug = beginning(format_args!("{error:?}"))?;
    if IO.iter().any(|io| debug.starts_with(io)) {
        return Some(std::any::type_name::<std::io::Error>().to_owned());
    }
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let (name, rest) = debug.split_at(debug.find(|c| !in_name(c)).unwrap_or(debug.len()));
    let last = name.rsplit("::").next()?;
    let is_path = name
        .split("::")
        .all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()) && !part.contains(':'));
    let is_type = last.starts_with(|c: char| c.is_ascii_uppercase());
    let ends = rest.is_empty() || rest.starts_with('(') || rest.starts_with(" {");
    // One that takes all there is room for may go on.
    let is_whole = name.len() < LONGEST;
    if !(is_path && is_type && ends && is_whole) || EMPTY.contains(&name) {
        return None;
    }
    // A word that is the message is no name of a type.
    let says_the_same = rest.is_empty() && beginning(format_args!("{error}"))? == debug;
    (!says_the_same).then(|| name.to_owned())
}

/// What is printed first, as much of it as a name could be; `None` where it panics.
fn beginning(printed: fmt::Arguments<'_>) -> Option<String> {
    struct Beginning(String);

    impl fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = LONGEST - self.0.len();
            let mut end = room.min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            self.0.push_str(&text[..end]);
            if end < text.len() {
                Err(fmt::Error)
            } else {
                Ok(())
            }
        }
    }

    let mut text = Beginning(String::new());
    // An error of it is our own, or as good as the end.
    let panicked = capture::panics(|| {
        let _ = text.write_fmt(printed);
    });
    (!panicked).then_some(text.0)
}

#[cfg(test)]
mod tests;
