//! Our code adds no lint to the user's; that the user's own still fire is in `tests/ui`.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(
    unused,
    unused_braces,
    unused_parens,
    unused_qualifications,
    unreachable_code,
    redundant_semicolons,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    let_underscore_drop,
    rust_2018_idioms,
    rust_2021_incompatible_closure_captures,
    unsafe_op_in_unsafe_fn
)]

use serde_json::json;

use crate::support::{input, only, output, record, record_future};

#[llmobs::task]
fn one_expression(a: u8) -> u8 {
    a
}

#[llmobs::task]
fn unit(a: &mut u8) {
    *a += 1;
}

#[llmobs::llm(name = "n", tags(k = a), metadata(k = a), capture_input = true)]
fn everything(a: u8, mut b: u8, _c: u8) -> Result<u8, String> {
    b += 1;
    if a == 0 {
        return Err(String::from("zero"));
    }
    Ok(a + b)
}

#[llmobs::task]
fn never_ends_well(a: u8) -> u8 {
    unreachable!("{a}")
}

#[llmobs::task]
async fn asynchronous(a: u8, mut b: u8) -> Result<u8, String> {
    b += 1;
    std::future::ready(()).await;
    Ok(a + b)
}

#[llmobs::task]
async fn asynchronous_unit(a: u8) {
    std::future::ready(a).await;
}

#[llmobs::task]
fn boxed(a: u8) -> futures::future::BoxFuture<'static, u8> {
    Box::pin(async move { a })
}

#[llmobs::task]
fn optional(a: Option<&str>) -> Option<usize> {
    Some(a?.len())
}

#[llmobs::task]
fn formats(name: &str) -> String {
    format!("<{name}>")
}

#[llmobs::task(output = |text| text.len() + 1)]
fn selects(text: &str) -> String {
    text.to_uppercase()
}

#[llmobs::llm(stream, model_name = "m", output = |item| item + 1)]
fn iterates(a: u8) -> Result<Box<dyn Iterator<Item = u8>>, String> {
    if a == 0 {
        return Err(String::from("zero"));
    }
    Ok(Box::new(0..a))
}

#[llmobs::task(stream)]
async fn streams(a: u8, mut b: u8) -> Option<impl futures::Stream<Item = Result<u8, String>>> {
    b += 1;
    std::future::ready(()).await;
    Some(futures::stream::iter([Ok(a), Ok(b)]))
}

#[llmobs::task(stream)]
fn one_expression_streams(a: u8) -> futures::stream::BoxStream<'static, u8> {
    Box::pin(futures::stream::iter([a]))
}

#[test]
fn case_44_no_lint_fires_on_our_part() {
    let ((), spans) = record(|| {
        let mut n = one_expression(1);
        unit(&mut n);
        assert_eq!(everything(1, 2, 3), Ok(4));
        assert_eq!(optional(Some("ab")), Some(2));
        assert_eq!(formats("x"), "<x>");
        assert_eq!(selects("x"), "X");
        assert!(std::panic::catch_unwind(|| never_ends_well(1)).is_err());
    });
    assert_eq!(input(&spans[0]), json!({"a": 1}));
    assert_eq!(output(&spans[0]), json!(1));
    record_future(async {
        asynchronous(1, 2).await?;
        asynchronous_unit(1).await;
        boxed(1).await;
        assert_eq!(iterates(2)?.count(), 2);
        drop((streams(1, 2).await, one_expression_streams(1)));
        Ok::<(), String>(())
    })
    .0
    .unwrap();
    assert_eq!(only(&spans[..1])["status"], "ok");
}

#[llmobs::task]
fn allows(#[allow(unused_variables)] a: u8, #[allow(unused_mut)] mut b: u8) -> u8 {
    b
}

#[test]
fn case_45_a_lint_allowed_on_a_parameter_stays_allowed() {
    let (b, spans) = record(|| allows(1, 2));
    assert_eq!(b, 2);
    assert_eq!(input(only(&spans)), json!({"a": 1, "b": 2}));
}

#[allow(
    dead_code,
    clippy::unused_async,
    reason = "clippy looks at it, as it is written"
)]
#[llmobs::task]
async fn is_to_be_written(a: u8) -> impl Sized {
    todo!("{a}")
}
