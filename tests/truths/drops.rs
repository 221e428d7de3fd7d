//! What ends when, and under which span.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;

use llmobs::{FutureExt as _, Span, task, workflow};
use tokio::task::yield_now;

use crate::{current, ends, one_thread, poll, record, slow, step, stuck, tree};

/// Makes a span of its name when it is dropped.
struct Noisy(&'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        drop(Span::tool(self.0).start());
    }
}

#[task(skip(_argument))]
async fn has_locals(_argument: Noisy) -> u8 {
    let _first = Noisy("first");
    let _second = Noisy("second");
    yield_now().await;
    1
}

#[test]
fn a_span_ends_after_the_locals_and_the_arguments_of_its_body() {
    let spans = record(|client| {
        let ends = async {
            assert_eq!(has_locals(Noisy("argument")).await, 1);
        };
        one_thread().block_on(client.scope_future(ends));
    });
    assert_eq!(ends(&spans), ["second", "first", "argument", "has_locals"]);
    let expected = "task has_locals
  tool second
  tool first
  tool argument
";
    assert_eq!(tree(&spans), expected);
}

#[test]
fn a_cancelled_span_ends_after_them_too() {
    let spans = record(|_| {
        let mut future = Box::pin(has_locals(Noisy("argument")));
        assert!(poll(future.as_mut()).is_pending());
        drop(future);
        assert_eq!(current(), None);
    });
    assert_eq!(ends(&spans), ["second", "first", "argument", "has_locals"]);
}

#[workflow]
async fn outer() {
    let _local = Noisy("of outer");
    middle().await;
}

#[task]
async fn middle() {
    let _local = Noisy("of middle");
    stuck().await;
}

#[test]
fn of_a_dropped_stack_of_futures_the_innermost_ends_first() {
    let spans = record(|_| {
        let mut future = Box::pin(outer());
        assert!(poll(future.as_mut()).is_pending());
        drop(future);
    });
    let expected = ["stuck", "of middle", "middle", "of outer", "outer"];
    assert_eq!(ends(&spans), expected);
    let expected = "workflow outer {cancelled:true}
  task middle {cancelled:true}
    task stuck {cancelled:true}
    tool of middle
  tool of outer
";
    assert_eq!(tree(&spans), expected);
}

#[test]
fn a_future_may_be_dropped_on_a_thread_that_never_polled_it() {
    let spans = record(|client| {
        let mut future = Box::pin(client.scope_future(outer()));
        assert!(poll(future.as_mut()).is_pending());
        let elsewhere = thread::spawn(move || {
            drop(future);
            current()
        });
        assert_eq!(elsewhere.join().unwrap(), None);
    });
    let expected = ["stuck", "of middle", "middle", "of outer", "outer"];
    assert_eq!(ends(&spans), expected);
}

#[test]
fn a_future_dropped_inside_another_span_stays_below_its_own() {
    let spans = record(|_| {
        let mut future = Box::pin(has_locals(Noisy("argument")));
        assert!(poll(future.as_mut()).is_pending());
        let _in = Span::workflow("elsewhere").start().enter();
        drop(future);
        step();
    });
    let expected = "task has_locals {cancelled:true}
  tool second
  tool first
  tool argument
workflow elsewhere
  task step
";
    assert_eq!(tree(&spans), expected);
}

/// Drops in its body the future that runs that body's caller's other branch.
#[workflow]
async fn drops_its_sibling() {
    let mut sibling = Box::pin(outer());
    assert!(poll(sibling.as_mut()).is_pending());
    yield_now().await;
    drop(sibling);
    step();
}

#[test]
fn a_future_that_a_body_drops_leaves_the_bodys_span_current() {
    let spans = record(|client| one_thread().block_on(client.scope_future(drops_its_sibling())));
    let expected = "workflow drops_its_sibling
  workflow outer {cancelled:true}
    task middle {cancelled:true}
      task stuck {cancelled:true}
      tool of middle
    tool of outer
  task step
";
    assert_eq!(tree(&spans), expected);
}

#[test]
fn a_future_under_a_span_that_is_never_polled_ends_that_span_and_no_other() {
    let spans = record(|_| {
        let span = Span::workflow("never polled").start();
        let future = outer().in_span(&span);
        drop(span);
        drop(future);
    });
    assert_eq!(tree(&spans), "workflow never polled\n");
}

#[test]
fn a_future_that_is_polled_after_its_end_ends_its_span_once() {
    let spans = record(|_| {
        let mut future = pin!(has_locals(Noisy("argument")));
        while poll(future.as_mut()).is_pending() {}
        // As the bare function does.
        let again = std::panic::AssertUnwindSafe(|| poll(future.as_mut()));
        let payload = std::panic::catch_unwind(again).unwrap_err();
        let told = payload.downcast_ref::<&str>().unwrap();
        assert!(told.contains("resumed after completion"), "{told}");
        assert_eq!(current(), None);
    });
    assert_eq!(spans.len(), 4);
    assert_eq!(ends(&spans)[3], "has_locals");
    assert_eq!(spans[3]["status"], "ok");
}

#[test]
fn a_future_under_a_span_waits_for_ever_when_it_is_polled_after_its_end() {
    let spans = record(|_| {
        let span = Span::workflow("done").start();
        let mut future = pin!(async { step() }.in_span(&span));
        drop(span);
        assert_eq!(poll(future.as_mut()), Poll::Ready(()));
        assert_eq!(poll(future.as_mut()), Poll::Pending);
    });
    assert_eq!(tree(&spans), "workflow done\n  task step\n");
}

#[workflow]
fn descends(levels: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        yield_now().await;
        match levels {
            1 => 1,
            _ => 1 + descends(levels - 1).await,
        }
    })
}

#[workflow]
async fn descends_by_itself(levels: usize, stops: bool) -> usize {
    yield_now().await;
    match levels {
        1 if stops => 1,
        1 => std::future::pending().await,
        _ => 1 + Box::pin(descends_by_itself(levels - 1, stops)).await,
    }
}

const LEVELS: usize = 100;

/// As many levels of `name`, each below the one before.
fn chain(name: &str, tag: &str) -> String {
    let line = |level| format!("{:1$}workflow {name}{tag}\n", "", level * 2);
    (0..LEVELS).map(line).collect()
}

#[test]
fn recursion_nests_as_deep_as_it_goes() {
    let spans = record(|client| {
        let depth = one_thread().block_on(client.scope_future(descends(LEVELS)));
        assert_eq!(depth, LEVELS);
    });
    assert_eq!(tree(&spans), chain("descends", ""));
    let spans = record(|client| {
        let recursion = client.scope_future(descends_by_itself(LEVELS, true));
        assert_eq!(one_thread().block_on(recursion), LEVELS);
    });
    assert_eq!(tree(&spans), chain("descends_by_itself", ""));
}

#[test]
fn recursion_that_is_dropped_half_way_is_cancelled_from_its_bottom_up() {
    let spans = record(|client| {
        let recursion = client.scope_future(descends_by_itself(LEVELS, false));
        let mut recursion = Box::pin(recursion);
        for _ in 0..=LEVELS {
            assert!(poll(recursion.as_mut()).is_pending());
        }
    });
    let expected = chain("descends_by_itself", " {cancelled:true}");
    assert_eq!(tree(&spans), expected);
    let depths = spans.windows(2).map(|pair| &pair[0]["parent_id"]);
    let ids = spans[1..].iter().map(|span| &span["span_id"]);
    assert!(depths.eq(ids));
}

/// What a guard does that is held across an `.await`; on a runtime of several threads it
/// does not compile (`tests/ui`).
#[test]
fn a_guard_held_across_an_await_is_current_in_other_tasks_of_the_thread() {
    let spans = record(|_| {
        let holds = async {
            let _in = Span::workflow("held").start().enter();
            yield_now().await;
            step();
            yield_now().await;
        };
        let other = async {
            drop(Span::tool("stray").start());
            yield_now().await;
            drop(Span::tool("stray again").start());
            slow().await;
            yield_now().await;
            drop(Span::tool("after it").start());
        };
        one_thread().block_on(futures::future::join(holds, other));
        assert_eq!(current(), None);
    });
    let expected = "workflow held
  tool stray
  task step
  tool stray again
  task slow
    task step
tool after it
";
    assert_eq!(tree(&spans), expected);
}
