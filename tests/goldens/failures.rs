//! Errors, panics, and where they stop.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use llmobs::{Span, llm, task, workflow};
use llmobs_tests::Exemptions;
use serde_json::json;

use crate::twin::Twin;

#[derive(Debug)]
struct Failure(&'static str);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Failure {}

#[task]
fn inner() -> Result<(), Failure> {
    Err(Failure("boom"))
}

#[workflow]
fn outer(x: i32) -> Result<i32, Failure> {
    inner()?;
    Ok(x)
}

#[llm(model_name = "m")]
fn llm_err() -> Result<String, Failure> {
    Err(Failure("ünïcode \"quoted\" \n newline"))
}

#[workflow]
fn catcher() -> &'static str {
    match inner() {
        Ok(()) => "not reached",
        Err(_) => "recovered",
    }
}

#[test]
fn twin_12_errors() {
    let twin = Twin::start("12-errors");
    twin.run(|| {
        assert_eq!(outer(1).unwrap_err().0, "boom");
        llm_err().unwrap_err();
        assert_eq!(catcher(), "recovered");
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _in = Span::tool("kbd").start().enter();
            resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        let nomsg = Span::task("nomsg").start();
        nomsg.finish_with_error(&Failure("")).unwrap();
        let manual = Span::task("manual").start();
        let error = Failure("division by zero");
        manual.finish_with_error(&error).unwrap();
    });
    let exemptions = Exemptions::none()
        .expect("kbd", "/meta/error/type", json!("panic"))
        .expect_tags("kbd", &["error_type:panic"], &["error_type:"]);
    let sent = twin.assert_equal(&exemptions);
    for span in sent.spans.iter().filter(|span| span["name"] != "kbd") {
        let Some(error) = span["meta"].get("error") else {
            assert_eq!(span["name"], "catcher");
            continue;
        };
        let kind = error["type"].as_str().unwrap();
        assert!(kind.ends_with("::Failure"), "{kind}");
        let stack = error["stack"].as_str().unwrap();
        assert!(stack.starts_with(kind), "{stack}");
    }
}
