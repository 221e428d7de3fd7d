//! Panics in polls, tasks and destructors: they pass, and each span tells its part.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt as _;
use llmobs::{FutureExt as _, task, workflow};
use serde_json::Value;

use crate::{current, ends, poll, record, record_future, slow, step, stuck, tree};

#[task]
async fn breaks() -> u8 {
    slow().await;
    panic!("broken")
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    spans.iter().find(|span| span["name"] == name).unwrap()
}

#[workflow]
async fn catches() -> bool {
    let caught = AssertUnwindSafe(breaks()).catch_unwind().await.is_err();
    step();
    caught
}

#[test]
fn a_panic_of_a_poll_that_is_caught_fails_the_spans_that_it_passed_alone() {
    let spans = record_future(|_| async { assert!(catches().await) });
    let expected = "workflow catches
  task breaks [error]
    task slow
      task step
  task step
";
    assert_eq!(tree(&spans), expected);
    let error = &named(&spans, "breaks")["meta"]["error"];
    assert_eq!(error["type"], "panic");
    assert_eq!(error["message"], "broken");
}

#[workflow]
async fn spawns() -> String {
    let panicked = tokio::spawn(breaks().in_current_context());
    let panicked = panicked.await.unwrap_err();
    assert!(panicked.is_panic());
    // The thread that the panic has passed is as before.
    let next = tokio::spawn(async { current() });
    assert_eq!(next.await.unwrap(), None);
    let payload = panicked.into_panic();
    payload.downcast_ref::<&str>().unwrap().to_string()
}

#[test]
fn a_panic_of_a_task_is_the_tasks_and_reaches_its_caller_as_a_join_error() {
    let spans = record_future(|_| async { assert_eq!(spawns().await, "broken") });
    let expected = "workflow spawns
  task breaks [error]
    task slow
      task step
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn joins() -> (u8, ()) {
    tokio::join!(breaks(), stuck())
}

#[test]
fn a_panic_beside_other_branches_cancels_those() {
    let spans = record_future(|_| async {
        AssertUnwindSafe(joins()).catch_unwind().await.unwrap_err();
        assert_eq!(current(), None);
    });
    let expected = "workflow joins [error]
  task breaks [error]
    task slow
      task step
  task stuck {cancelled:true}
";
    assert_eq!(tree(&spans), expected);
}

#[test]
fn a_panic_under_a_span_by_hand_leaves_nothing_current() {
    let spans = record(|_| {
        let span = llmobs::Span::workflow("by hand").start();
        let mut future = Box::pin(breaks_at_once().in_span(&span));
        catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()))).unwrap_err();
        assert_eq!(current(), None);
        // The span is the user's: it says what they say.
        span.finish().unwrap();
    });
    assert_eq!(
        tree(&spans),
        "workflow by hand\n  task breaks_at_once [error]\n"
    );
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

#[task]
async fn breaks_when_dropped() {
    let _local = PanicsWhenDropped;
    stuck().await;
}

#[workflow]
async fn drops_what_breaks() {
    breaks_when_dropped().await;
}

#[test]
fn a_destructor_that_panics_in_a_dropped_future_is_an_error_of_its_span() {
    let spans = record(|_| {
        let mut future = Box::pin(drops_what_breaks());
        assert!(poll(future.as_mut()).is_pending());
        catch_unwind(AssertUnwindSafe(|| drop(future))).unwrap_err();
        assert_eq!(current(), None);
    });
    let expected = ["stuck", "breaks_when_dropped", "drops_what_breaks"];
    assert_eq!(ends(&spans), expected);
    for name in ["breaks_when_dropped", "drops_what_breaks"] {
        assert_eq!(named(&spans, name)["status"], "error", "{name}");
        assert_eq!(named(&spans, name)["meta"]["error"]["type"], "panic");
    }
}

#[test]
fn a_future_that_is_polled_after_its_panic_ends_its_span_once() {
    let spans = record(|_| {
        let mut future = Box::pin(breaks_at_once());
        for _ in 0..2 {
            let polled = catch_unwind(AssertUnwindSafe(|| poll(future.as_mut())));
            polled.unwrap_err();
            assert_eq!(current(), None);
        }
    });
    assert_eq!(tree(&spans), "task breaks_at_once [error]\n");
}

#[task]
async fn breaks_at_once() {
    panic!("at once")
}
