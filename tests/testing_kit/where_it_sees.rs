//! Which spans belong to a test's client: its scope's, on every thread that is told of it.

use std::process::Command;
use std::thread;

use llmobs::prelude::*;
use llmobs::testing::{self, TestClient};
use llmobs::{Context, Span, task};

#[task]
async fn step(name: &'static str) {
    tokio::task::yield_now().await;
    drop(Span::tool(name).start());
}

#[test]
fn tests_in_parallel_see_their_own_spans_only() {
    let threads: Vec<_> = (0..8)
        .map(|number| {
            thread::spawn(move || {
                let llmobs = testing::client();
                let name = format!("span {number}");
                for _ in 0..100 {
                    llmobs.scope(|| drop(Span::task(&name).start()));
                }
                let finished = llmobs.finished();
                assert_eq!(finished.spans_named(&name).len(), 100);
                assert_eq!(finished.spans().len(), 100);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn a_future_of_the_scope_is_seen_in_an_async_test() {
    let llmobs = testing::client();
    llmobs.scope_future(step("index")).await;
    step("outside").await;
    assert_eq!(llmobs.finished().tree(), "task step\n  tool index\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_tasks_are_seen_where_they_take_the_context_along() {
    let llmobs = testing::client();
    let work = async {
        let root = Span::workflow("root").start();
        let spawn = |name| tokio::spawn(step(name).in_current_context());
        let tasks = async { ["c", "a", "b"].map(spawn) }.in_span(&root).await;
        let lost = tokio::spawn(step("lost"));
        for task in tasks {
            task.await.unwrap();
        }
        lost.await.unwrap();
    };
    llmobs.scope_future(work).await;
    // They ran at the same time: the order of their starts is any, that of the text is not.
    llmobs.finished().tree().sorted().assert_is(
        "
        workflow root
          task step
            tool a
          task step
            tool b
          task step
            tool c
        ",
    );
}

#[test]
fn threads_are_seen_where_they_are_told_of_the_context() {
    let llmobs = testing::client();
    llmobs.scope(|| {
        let _in = Span::workflow("root").start().enter();
        let context = Context::current();
        let told = thread::spawn(move || context.in_scope(|| drop(Span::task("told").start())));
        let untold = thread::spawn(|| drop(Span::task("untold").start()));
        told.join().unwrap();
        untold.join().unwrap();
    });
    assert_eq!(llmobs.finished().tree(), "workflow root\n  task told\n");
}

#[test]
fn a_span_that_has_not_ended_is_not_there_until_it_has() {
    let llmobs = testing::client();
    let open = llmobs.scope(|| {
        let open = Span::workflow("open").start();
        let _in = open.enter();
        drop(Span::task("closed").start());
        open
    });
    let before = llmobs.finished();
    assert_eq!(before.tree(), "task closed [parent elsewhere]\n");
    assert!(before.span("closed").parent().is_none());
    assert!(!before.span("closed").is_root());
    open.finish().unwrap();
    assert_eq!(llmobs.finished().tree(), "workflow open\n  task closed\n");
    assert_eq!(before.spans().len(), 1, "what was given out stays as it is");
}

#[test]
fn what_was_seen_can_be_forgotten() {
    let llmobs = testing::client();
    let one = |llmobs: &TestClient| llmobs.scope(|| drop(Span::task("one").start()));
    one(&llmobs);
    llmobs.clear();
    assert!(llmobs.finished().is_empty());
    one(&llmobs.clone());
    assert_eq!(llmobs.finished().tree(), "task one\n");
}

#[test]
fn no_variable_of_the_environment_is_read() {
    let wrong = [
        "DD_LLMOBS_ENABLED",
        "DD_SITE",
        "DD_TRACE_AGENT_URL",
        "DD_LLMOBS_AGENTLESS_ENABLED",
        "DD_LLMOBS_SAMPLE_RATE",
        "DD_LLMOBS_ML_APP",
        "DD_TAGS",
        "LLMOBS_CAPTURE",
    ];
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "where_it_sees::child", "--ignored"])
        .envs(wrong.map(|name| (name, "no:such value")))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn child() {
    llmobs::Config::from_env().expect_err("the variables are set, and wrong");
    let llmobs = testing::client();
    llmobs.scope(|| drop(Span::llm("ask").start()));
    let finished = llmobs.finished();
    finished.span("ask").assert_tag("ml_app", "unnamed-ml-app");
    assert_eq!(finished.span("ask").tag("no"), None);
}

#[test]
fn a_name_of_several_lines_takes_one() {
    let llmobs = testing::client();
    llmobs.scope(|| drop(Span::task("one\ntwo").start()));
    assert_eq!(llmobs.finished().tree(), "task one\\ntwo\n");
}
