//! The table of the docs of `Span::finish_with_error`, and what must not be taken for a name.

use std::io;

use super::*;

/// An error with the `Debug`, the `Display` and the source that it is given.
struct Told(&'static str, &'static str, Option<Box<dyn Error + 'static>>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.2.as_deref()
    }
}

fn name_of(error: impl Into<Box<dyn Error>>) -> Option<String> {
    let error: Box<dyn Error> = error.into();
    of_chain(&*error).map(|(name, _)| name)
}

#[derive(Debug, thiserror::Error)]
enum ChatError {
    #[error("no answer within {seconds} s")]
    Timeout { seconds: u32 },
    #[error("refused: {0}")]
    Refused(&'static str),
    #[error("it is over")]
    Closed,
}

#[derive(Debug, thiserror::Error)]
#[error("the plan failed")]
struct PlanError {
    #[source]
    cause: io::Error,
}

#[test]
fn types_of_the_standard_library_are_known_by_their_own_names() {
    let io = io::Error::from(io::ErrorKind::NotFound);
    assert_eq!(name_of(io).as_deref(), Some("std::io::error::Error"));
    let io = io::Error::other(ChatError::Closed);
    assert_eq!(name_of(io).as_deref(), Some("std::io::error::Error"));
    for (error, name) in [
        (
            "x".parse::<u8>().unwrap_err().into(),
            "core::num::error::ParseIntError",
        ),
        (
            u8::try_from(300_i32).unwrap_err().into(),
            "core::num::error::TryFromIntError",
        ),
        (
            String::from_utf8(vec![0xff]).unwrap_err().into(),
            "alloc::string::FromUtf8Error",
        ),
        (fmt::Error.into(), "core::fmt::Error"),
        (
            serde_json::from_str::<u8>("x").unwrap_err().into(),
            "serde_json::error::Error",
        ),
    ] as [(Box<dyn Error>, &str); 5]
    {
        assert_eq!(name_of(error).as_deref(), Some(name));
    }
}

#[test]
fn a_derived_debug_begins_with_the_name() {
    assert_eq!(
        name_of(ChatError::Timeout { seconds: 3 }).as_deref(),
        Some("Timeout")
    );
    assert_eq!(
        name_of(ChatError::Refused("no")).as_deref(),
        Some("Refused")
    );
    assert_eq!(name_of(ChatError::Closed).as_deref(), Some("Closed"));
    let cause = io::Error::from(io::ErrorKind::NotFound);
    assert_eq!(name_of(PlanError { cause }).as_deref(), Some("PlanError"));
    let path = Told("reqwest::Error { kind: Request }", "error sending", None);
    assert_eq!(name_of(path).as_deref(), Some("reqwest::Error"));
}

#[test]
fn a_context_and_a_text_stand_for_the_first_source_that_has_a_name() {
    let inner = || Some(Box::new(ChatError::Closed).into());
    let context = Told(
        "Error { context: \"reading\", source: Closed }",
        "reading",
        inner(),
    );
    assert_eq!(name_of(context).as_deref(), Some("Closed"));
    let parse: Box<dyn Error> = "x".parse::<u8>().unwrap_err().into();
    let text = Told("it did not work", "it did not work", Some(parse));
    assert_eq!(
        name_of(text).as_deref(),
        Some("core::num::error::ParseIntError")
    );
    assert_eq!(name_of("only a text"), None);
    assert_eq!(name_of("Word"), None);
}

#[test]
fn what_is_no_name_of_a_type_is_not_taken_for_one() {
    for debug in [
        "",
        "Connection refused",
        "Error: Timeout",
        "\"Timeout\"",
        "timeout",
        "timeout { seconds: 3 }",
        "Timeout<u8>",
        "Timeout, then",
        "Timeout{",
        "::Timeout",
        "http:Timeout",
        "a::::B",
        "404",
        "Überlauf",
        "Error",
        "Other(\"x\")",
        "Custom",
        "[Timeout]",
        "Timeout\nmore",
        // A text with a brace in it.
        "Body {\"error\": 1}",
        "Json {error: 1}",
        "Use { and } here",
        "Timeout { ",
        // Names that stand around something.
        "ErrorImpl { vtable: 0x1 }",
        "Context(\"reading\", Closed)",
        // A key or an id, alone or in something.
        "AKIAIOSFODNN7EXAMPLE",
        "SK_LIVE_HUNTER",
        "Xb9Kq2v7Lm4Tz81",
        "Req8f14e45fceea167a(3)",
    ] {
        assert_eq!(name_of(Told(debug, "another text", None)), None, "{debug}");
    }
    // The message, and not a name.
    assert_eq!(name_of(Told("Hunter2", "Hunter2", None)), None);
    assert_eq!(
        name_of(Told("Closed", "it is over", None)).as_deref(),
        Some("Closed")
    );
    for text in ["Model(gpt-4) is gone", "EOF", "Timeout"] {
        assert_eq!(name_of(Told(text, text, None)), None, "{text}");
    }
    // The last letter that has no room left belongs to the word.
    let cut: &str = Box::leak(format!("{}ä", "T".repeat(119).to_lowercase()).into_boxed_str());
    let cut: &str = Box::leak(format!("T{}", &cut[1..]).into_boxed_str());
    assert_eq!(name_of(Told(cut, "", None)), None);
    let long: &str = Box::leak("T".repeat(200).into_boxed_str());
    assert_eq!(name_of(Told(long, "", None)), None);
}

#[test]
fn a_debug_that_panics_or_has_no_end_costs_the_name_only() {
    #[derive(thiserror::Error)]
    #[error("broken")]
    struct Broken;
    impl fmt::Debug for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("on purpose")
        }
    }

    #[derive(thiserror::Error)]
    #[error("endless")]
    struct Endless;
    impl fmt::Debug for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Endless(")?;
            loop {
                f.write_str("ä")?;
            }
        }
    }

    assert_eq!(name_of(Broken), None);
    assert_eq!(name_of(Endless).as_deref(), Some("Endless"));
}

#[test]
fn a_structure_has_its_name_where_it_is_the_message_too() {
    let long: &str = Box::leak(format!("Timeout {{ {}: 1 }}", "s".repeat(200)).into_boxed_str());
    for debug in [
        "Timeout { seconds: 3 }",
        "Timeout { r#type: 3, .. }",
        "Timeout { .. }",
        "Timeout { größe: 3 }",
        "Timeout(30)",
        long,
    ] {
        let error = Told(debug, debug, None);
        assert_eq!(name_of(error).as_deref(), Some("Timeout"), "{debug}");
    }
    for (debug, name) in [
        ("Utf8Error(3)", "Utf8Error"),
        ("EOF", "EOF"),
        ("a::b::Timeout", "a::b::Timeout"),
    ] {
        let error = Told(debug, "another text", None);
        assert_eq!(name_of(error).as_deref(), Some(name));
    }
}

#[test]
fn of_a_debug_that_does_not_stop_no_more_than_a_name_is_kept() {
    #[derive(thiserror::Error)]
    #[error("large")]
    struct Large(std::cell::Cell<usize>);
    impl fmt::Debug for Large {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let megabyte = "ä".repeat(500_000);
            let _ = f.write_str("Large { text: \"");
            for _ in 0..10 {
                let refused = f.write_str(&megabyte).is_err();
                self.0.set(self.0.get() + usize::from(refused));
            }
            f.write_str("Other")
        }
    }

    let large = Large(std::cell::Cell::new(0));
    let printed = Beginning::of(format_args!("{large:?}")).unwrap();
    assert!(printed.text.len() <= LONGEST, "{}", printed.text.len());
    assert!(printed.text.ends_with('ä'), "{}", printed.text);
    assert_eq!(large.0.get(), 10, "every write after the room is refused");
    assert_eq!(of_debug(&large).as_deref(), Some("Large"));
}

#[test]
fn an_erased_error_that_cannot_be_cast_has_the_name_of_its_debug() {
    let io: &dyn Error = &io::Error::from_raw_os_error(2);
    assert_eq!(
        of_erased(&io, || None),
        Some(("std::io::error::Error".to_owned(), 0))
    );
    let closed: &dyn Error = &ChatError::Closed;
    assert_eq!(of_erased(&closed, || None), Some(("Closed".to_owned(), 0)));
    let text: Box<dyn Error> = "a text".into();
    assert_eq!(of_erased(&&*text, || None), None);
    let source: &(dyn Error + 'static) = &ChatError::Closed;
    let below = of_erased(&&*text, || Some(source));
    assert_eq!(below, Some(("Closed".to_owned(), 1)));
}
