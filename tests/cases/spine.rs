//! What every shape of function has in common.

use std::future::Future;
use std::pin::Pin;

use llmobs::{llm, task, tool, workflow};
use serde_json::json;

use crate::support::{has_tag, input, only, output, record, record_future};

#[llm(
    model_name = "claude",
    name = "invoke_llm",
    model_provider = "anthropic"
)]
fn llm_call(prompt: &str) -> String {
    format!("answer to {prompt}")
}

#[test]
fn a_function_that_calls_a_model() {
    let (answer, spans) = record(|| llm_call("hi"));
    assert_eq!(answer, "answer to hi");
    let span = only(&spans);
    assert_eq!(span["name"], "invoke_llm");
    assert_eq!(span["meta"]["model_name"], "claude");
    assert_eq!(span["meta"]["model_provider"], "anthropic");
    assert_eq!(
        span["meta"]["output"],
        json!({"messages": [{"content": "answer to hi", "role": ""}]})
    );
    assert_eq!(span["meta"].get("input"), None);
    assert!(has_tag(span, "decorator:1"));
}

#[workflow]
fn add(a: u32, b: u32) -> Result<u32, std::num::ParseIntError> {
    let parsed: u32 = "7".parse()?;
    Ok(a + b + parsed)
}

#[test]
fn a_function_with_arguments_and_a_result() {
    let (sum, spans) = record(|| add(1, 2));
    assert_eq!(sum, Ok(10));
    assert_eq!(input(only(&spans)), json!({"a": 1, "b": 2}));
    assert_eq!(output(only(&spans)), json!(10));
}

#[workflow]
async fn outer(x: u32) -> Result<u32, std::io::Error> {
    tokio::task::yield_now().await;
    let y = inner(x).await;
    boxed("q", y).await
}

#[task]
async fn inner(x: u32) -> u32 {
    tokio::task::yield_now().await;
    x + 1
}

#[tool(name = label)]
fn boxed<'a>(
    label: &'a str,
    y: u32,
) -> Pin<Box<dyn Future<Output = Result<u32, std::io::Error>> + Send + 'a>> {
    Box::pin(async move {
        tokio::task::yield_now().await;
        if y == 0 {
            return Err(std::io::Error::other(label));
        }
        Ok(y)
    })
}

#[test]
fn functions_that_are_async_nest_over_their_polls() {
    let (value, spans) = record_future(outer(3));
    assert_eq!(value.unwrap(), 4);
    let tree = llmobs_tests::tree(&spans);
    assert_eq!(tree, "workflow outer\n  task inner\n  tool q\n");
    assert_eq!(input(&spans[0]), json!({"x": 3}));
    assert_eq!(output(&spans[0]), json!(4));
    assert_eq!(output(&spans[1]), json!(4));
    assert_eq!(output(&spans[2]), json!(4));
}

#[test]
fn nothing_is_captured_while_nothing_is_enabled() {
    assert_eq!(llm_call("hi"), "answer to hi");
    assert_eq!(futures::executor::block_on(outer(3)).unwrap(), 4);
}
