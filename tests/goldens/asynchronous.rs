//! Asynchronous functions: joined, spawned and failing.

use llmobs::{FutureExt as _, llm, task, tool, workflow};
use llmobs_tests::Exemptions;

use crate::twin::Twin;

#[llm(model_name = "m", model_provider = "p")]
async fn al() -> String {
    tokio::task::yield_now().await;
    "r".to_owned()
}

#[tool]
async fn at(i: i32) -> i32 {
    tokio::task::yield_now().await;
    i
}

#[task]
async fn aerr() -> Result<(), std::io::Error> {
    tokio::task::yield_now().await;
    Err(std::io::Error::other("async boom"))
}

#[workflow]
async fn awf(x: &str) -> String {
    assert_eq!(x, "in");
    assert_eq!(al().await, "r");
    assert_eq!(tokio::join!(at(1), at(2)), (1, 2));
    let spawned = tokio::spawn(at(3).in_current_context());
    assert_eq!(spawned.await.unwrap(), 3);
    aerr().await.unwrap_err();
    "done".to_owned()
}

fn twin_13(runtime: &tokio::runtime::Runtime) {
    let twin = Twin::start("13-async");
    let output = runtime.block_on(twin.client().scope_future(awf("in")));
    assert_eq!(output, "done");
    twin.assert_equal(&Exemptions::none());
}

#[test]
fn twin_13_async_on_one_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    twin_13(&runtime.unwrap());
}

#[test]
fn twin_13_async_on_many_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    twin_13(&runtime.unwrap());
}
