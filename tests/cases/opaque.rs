//! Return types that do not say what they are.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use llmobs::{task, workflow};
use serde_json::{Value, json};

use crate::support::{input, only, output, record, record_future};

/// Neither `Debug` nor `Serialize`.
#[derive(PartialEq)]
struct Plain;

#[task]
#[allow(deprecated, reason = "the warning that `stream` is missing")]
fn no_items() -> impl Iterator<Item = Plain> {
    Vec::new().into_iter()
}

#[task]
async fn no_items_async() -> impl IntoIterator<Item = Plain> {
    vec![]
}

#[task]
fn no_items_or_an_error(fail: bool) -> Result<impl IntoIterator<Item = Plain>, String> {
    if fail {
        return Err("no".to_owned());
    }
    Ok(vec![])
}

#[task]
fn nothing() -> impl Into<Option<Plain>> {
    None
}

#[task]
fn numbers() -> impl IntoIterator<Item = u64> {
    vec![1, 2]
}

#[test]
fn case_03_items_are_of_the_type_that_the_signature_says() {
    let ((), spans) = record(|| {
        assert_eq!(no_items().count(), 0);
        assert_eq!(
            no_items_or_an_error(false)
                .ok()
                .map(|items| items.into_iter().count()),
            Some(0)
        );
        assert!(no_items_or_an_error(true).is_err());
        assert!(nothing().into().is_none());
        assert_eq!(numbers().into_iter().sum::<u64>(), 3);
    });
    assert_eq!(spans[2]["meta"]["error"]["message"], "no");
    assert_eq!(output(&spans[4]), json!([1, 2]));
    let (items, _) = record_future(no_items_async());
    assert_eq!(items.into_iter().count(), 0);
}

// Nothing but the signature says what these closures take.
#[task]
fn measures(at_least: usize) -> impl Fn(&str) -> usize + Send {
    move |text| text.len().max(at_least)
}

#[task]
fn borrows(from: usize) -> impl for<'a> Fn(&'a str) -> &'a str {
    move |text| &text[from..]
}

#[test]
fn case_21_a_closure_that_is_returned_takes_what_the_signature_says() {
    let ((), spans) = record(|| {
        assert_eq!(measures(0)("abc"), 3);
        assert_eq!(borrows(1)("abc"), "bc");
    });
    assert_eq!(input(&spans[1]), json!({"from": 1}));
    assert_eq!(spans[1]["status"], "ok");
    assert_eq!(spans[1]["meta"].get("output"), None);
}

#[workflow]
fn to_be_written(question: &str) -> impl Debug {
    let _ = question;
    todo!("tomorrow")
}

#[workflow]
async fn to_be_written_async(_question: &str) -> impl Debug {
    todo!("soon");
}

#[test]
fn case_43_a_body_that_is_not_written_yet() {
    let (result, spans) =
        record(|| catch_unwind(AssertUnwindSafe(|| drop(to_be_written("q")))).is_err());
    assert!(result);
    assert_eq!(input(only(&spans)), json!({"question": "q"}));
    let message = |spans: &[Value]| only(spans)["meta"]["error"]["message"].clone();
    assert_eq!(message(&spans), "not yet implemented: tomorrow");
    let (result, spans) = record(|| {
        let run = || drop(futures::executor::block_on(to_be_written_async("q")));
        catch_unwind(AssertUnwindSafe(run)).is_err()
    });
    assert!(result);
    assert_eq!(message(&spans), "not yet implemented: soon");
}
