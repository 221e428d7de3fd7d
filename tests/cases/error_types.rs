//! The type that a span tells of an error behind `dyn Error`.

use std::io;

use llmobs::task;
use serde_json::Value;

use crate::support::{error, record};

#[derive(Debug, thiserror::Error)]
enum ChatError {
    #[error("no answer within {seconds} s")]
    Timeout { seconds: u32 },
}

#[task]
fn typed_by_anyhow() -> anyhow::Result<u8> {
    Err(ChatError::Timeout { seconds: 3 })?
}

#[task]
fn text_by_anyhow() -> anyhow::Result<u8> {
    anyhow::bail!("only a text")
}

#[task]
fn boxed_by_question(typed: bool) -> Result<u8, Box<dyn std::error::Error>> {
    if typed {
        return Err(ChatError::Timeout { seconds: 3 }.into());
    }
    std::fs::read("/there/is/nothing")?;
    Ok(1)
}

#[task]
fn boxed_to_be_sent() -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
    Ok("x".parse()?)
}

/// A trait of errors of the program's own.
trait Failure: std::error::Error {}
impl Failure for ChatError {}

#[task]
fn boxed_as_its_own() -> Result<u8, Box<dyn Failure>> {
    Err(Box::new(ChatError::Timeout { seconds: 3 }))
}

#[test]
fn an_error_behind_dyn_error_has_the_type_of_its_cause() {
    let ((), spans) = record(|| {
        typed_by_anyhow().unwrap_err();
        text_by_anyhow().unwrap_err();
        boxed_by_question(true).unwrap_err();
        boxed_by_question(false).unwrap_err();
        boxed_to_be_sent().unwrap_err();
        boxed_as_its_own().unwrap_err();
        let by_hand = |error: Box<dyn std::error::Error>| {
            let span = llmobs::Span::task("by hand").start();
            span.finish_with_error(&*error).unwrap();
        };
        by_hand(ChatError::Timeout { seconds: 3 }.into());
        by_hand(io::Error::from(io::ErrorKind::NotFound).into());
        by_hand("a text".into());
    });
    let types: Vec<&str> = spans.iter().map(|span| error(span).0).collect();
    let expected = [
        "Timeout",
        "anyhow::Error",
        "Timeout",
        "std::io::error::Error",
        "core::num::error::ParseIntError",
        "Timeout",
        "Timeout",
        "std::io::error::Error",
        "dyn core::error::Error",
    ];
    assert_eq!(types, expected);
    for (span, kind) in spans.iter().zip(expected) {
        let tag = Value::from(format!("error_type:{kind}"));
        assert!(span["tags"].as_array().unwrap().contains(&tag), "{span:#}");
        let stack = span["meta"]["error"]["stack"].as_str().unwrap();
        assert!(stack.starts_with(&format!("{kind}: ")), "{stack}");
    }
}
