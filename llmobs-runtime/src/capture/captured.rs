//! A captured value, from the thread of the program until the worker makes JSON of it.
//!
//! The program's thread reads or prints the value, since only that thread can reach it. It also hides
//! the secrets that JSON names. The worker looks for all other secrets: in the text of a `Debug`,
//! which in a debug build takes longer than the printing, and in URLs. Nothing shows the value before.

use std::any::type_name;
use std::fmt::{self, Debug, Write as _};

use serde_json::Value;

use super::limits::REST;
use super::printing::Printing;
use super::redact::{self, REDACTED, Sensitivity};
use super::{LONGEST_TEXT, outcome, panics, printed, prose};

/// A value that was captured.
#[derive(Clone)]
pub enum Captured {
    /// JSON without the secrets that its names tell of. Its URLs may still hold some.
    Value(Value),
    /// As it was printed.
    Printed(Box<Printed>),
}

/// What a `Debug` printed, with all that is in it.
#[derive(Clone)]
pub struct Printed {
    text: String,
    /// It would go on.
    is_cut: bool,
    /// What its name says about it.
    sensitivity: Sensitivity,
}

impl Printed {
    /// What `{value:?}` prints, at most 16 kB of it; else the mark to put in its place.
    pub(crate) fn of<T: Debug + ?Sized>(value: &T) -> Result<Self, String> {
        Self::print(&value, type_name::<T>())
    }

    /// By itself, for what stands in a generic function is compiled with each of its callers.
    fn print(value: &dyn Debug, type_name: &str) -> Result<Self, String> {
        let mut printing = Printing::new(LONGEST_TEXT);
        let mut written = Ok(());
        let panicked = panics(|| written = write!(printing, "{value:?}"));
        let is_cut = printing.is_cut();
        outcome(is_cut, panicked, written, type_name, "Debug")?;
        Ok(Self {
            text: printing.into_text(),
            is_cut,
            sensitivity: Sensitivity::Open,
        })
    }

    /// The text without what is a secret by the name that stands before it ([`printed`]), marked
    /// where it was cut.
    pub(crate) fn into_text(self) -> String {
        let Self {
            text,
            is_cut,
            sensitivity,
        } = self;
        let text = printed::redact(text, is_cut);
        let text = prose::scrub_urls(&text, is_cut).unwrap_or(text);
        let mut text = prose::scrub_query_fields(&text).unwrap_or(text);
        if sensitivity != Sensitivity::Open && printed::hides(&text, is_cut, sensitivity) {
            return REDACTED.to_owned();
        }
        if is_cut {
            text.push_str(REST);
        }
        text
    }
}

impl Captured {
    /// By its `Debug`, and hidden where its name says so.
    pub(crate) fn printed<T: Debug + ?Sized>(name: Option<&str>, value: &T) -> Self {
        let sensitivity = name.map_or(Sensitivity::Open, redact::sensitivity);
        if sensitivity > Sensitivity::Likely {
            return Self::Value(REDACTED.into());
        }
        match Printed::of(value) {
            Ok(mut printed) => {
                printed.sensitivity = sensitivity;
                Self::Printed(Box::new(printed))
            }
            Err(mark) => Self::Value(mark.into()),
        }
    }

    /// The value without its secrets.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Value(mut value) => {
                prose::scrub_value(&mut value);
                value
            }
            Self::Printed(printed) => printed.into_text().into(),
        }
    }

    /// Whether the value is `null`, which is sent as no value at all.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Value(Value::Null))
    }

    /// Bytes that it holds beside itself.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Value(value) => crate::weight::of_json(value),
            Self::Printed(printed) => printed.weight(),
        }
    }
}

impl Printed {
    /// Bytes that it holds beside itself.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.text.capacity()
    }
}

impl From<Value> for Captured {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// Shows the value without its secrets, whatever prints it.
impl Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => self.clone().into_value().fmt(f),
            Self::Printed(printed) => printed.fmt(f),
        }
    }
}

/// Without the text, whose secrets are still in it.
impl Debug for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printed")
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[allow(dead_code, reason = "it is printed")]
    struct Login {
        user: &'static str,
        password: &'static str,
        url: &'static str,
    }

    const LOGIN: Login = Login {
        user: "ada",
        password: "HUNTER",
        url: "https://a.b/?key=HUNTER",
    };

    #[test]
    fn what_was_printed_is_shown_without_its_secrets_alone() {
        let captured = Captured::printed(Some("login"), &LOGIN);
        assert!(!format!("{captured:?}").contains("HUNTER"));
        let room = format!("{LOGIN:?}").len().next_power_of_two();
        assert_eq!(captured.weight(), size_of::<Printed>() + room);
        assert_eq!(
            captured.into_value(),
            "Login { user: \"ada\", password: [redacted], url: \"https://a.b/?key=[redacted]\" }"
        );
    }

    #[test]
    fn a_secret_by_its_name_is_not_printed_and_one_by_its_looks_is_hidden() {
        struct Unprinted;
        impl Debug for Unprinted {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("on purpose")
            }
        }
        for name in ["password", "refresh_token", "api_key_length"] {
            let captured = Captured::printed(Some(name), &Unprinted);
            assert_eq!(captured.into_value(), REDACTED, "{name}");
        }
        let shown = |name, text: &str| Captured::printed(Some(name), &text).into_value();
        let credential = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
        assert_eq!(shown("token", credential), REDACTED);
        assert_eq!(shown("token", "Hi"), "\"Hi\"");
        assert_eq!(shown("text", credential), format!("{credential:?}"));
    }

    #[test]
    fn what_could_not_be_printed_is_a_mark_as_it_is() {
        struct Secret;
        impl Debug for Secret {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Err(fmt::Error)
            }
        }
        let mark = format!("<{}: its Debug failed>", type_name::<Secret>());
        assert_eq!(Captured::printed(None, &Secret).into_value(), mark);
    }
}
