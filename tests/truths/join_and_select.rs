//! Several futures in one task: joined, raced, timed out, gathered.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use futures::{FutureExt as _, pin_mut};
use llmobs::{FutureExt as _, Span, task, workflow};

use crate::{current, one_thread, record, record_future, slow, step, stuck, tree};

#[task(name = name)]
async fn branch(name: &'static str, turns: u8) -> u8 {
    for _ in 0..turns {
        tokio::task::yield_now().await;
        step();
    }
    turns
}

#[workflow]
async fn joins() -> (u8, u8, u8) {
    let three = tokio::join!(branch("a", 1), branch("b", 2), branch("c", 0));
    step();
    three
}

#[test]
fn joined_branches_are_siblings_each_with_its_own_children() {
    let spans = record_future(|_| async { assert_eq!(joins().await, (1, 2, 0)) });
    let expected = "workflow joins
  task a
    task step
  task b
    task step
    task step
  task c
  task step
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn tries_to_join() -> Result<(u8, ()), String> {
    let fails = async { Err::<u8, _>(format!("{} failed", slow().await)) };
    let never = async {
        stuck().await;
        Ok(())
    };
    tokio::try_join!(fails, never)
}

#[test]
fn what_try_join_gives_up_is_cancelled() {
    let spans = record_future(|_| async { tries_to_join().await.unwrap_err() });
    let expected = "workflow tries_to_join [error]
  task slow
    task step
  task stuck {cancelled:true}
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn races() -> u8 {
    let won = tokio::select! {
        biased;
        () = stuck() => 0,
        won = slow() => won,
    };
    step();
    won
}

#[test]
fn the_loser_of_a_select_is_cancelled_and_the_winner_is_not() {
    let spans = record_future(|_| async { assert_eq!(races().await, 1) });
    let expected = "workflow races
  task stuck {cancelled:true}
  task slow
    task step
  task step
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn keeps_the_loser() -> u8 {
    let (loser, winner) = (branch("loser", 2), branch("winner", 1));
    pin_mut!(loser, winner);
    let (_, loser) = futures::future::select(winner, loser).await.factor_first();
    step();
    loser.await
}

#[test]
fn a_loser_that_is_kept_goes_on_under_its_own_span() {
    let spans = record_future(|_| async { assert_eq!(keeps_the_loser().await, 2) });
    let expected = "workflow keeps_the_loser
  task winner
    task step
  task loser
    task step
    task step
  task step
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn waits_in_vain() -> bool {
    let late = tokio::time::timeout(Duration::from_millis(5), stuck()).await;
    step();
    late.is_err()
}

#[test]
fn what_a_timeout_gives_up_is_cancelled_and_its_caller_goes_on() {
    let spans = record_future(|_| async { assert!(waits_in_vain().await) });
    let expected = "workflow waits_in_vain
  task stuck {cancelled:true}
  task step
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn waits_for_the_one_that_waits() {
    waits_in_vain().await;
    stuck().await;
}

#[test]
fn a_timeout_around_a_whole_workflow_cancels_what_is_open_in_it() {
    let spans = record_future(|_| async {
        let whole = waits_for_the_one_that_waits();
        let late = tokio::time::timeout(Duration::from_millis(50), whole).await;
        late.unwrap_err();
        assert_eq!(current(), None);
    });
    let expected = "workflow waits_for_the_one_that_waits {cancelled:true}
  workflow waits_in_vain
    task stuck {cancelled:true}
    task step
  task stuck {cancelled:true}
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn gathers() -> u8 {
    let branches = [branch("a", 3), branch("b", 1), branch("c", 2)];
    let mut open = branches.into_iter().collect::<FuturesUnordered<_>>();
    let mut sum = 0;
    while let Some(turns) = open.next().await {
        // Between the polls of the branches it is the workflow that is current.
        drop(Span::tool(format!("after {turns}")).start());
        sum += turns;
    }
    sum
}

#[test]
fn futures_unordered_gives_each_its_own_span_and_the_caller_its_own_between() {
    let spans = record_future(|_| async { assert_eq!(gathers().await, 6) });
    let of = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
    let workflow = &of("gathers")["span_id"];
    for (name, steps) in [("a", 3), ("b", 1), ("c", 2)] {
        assert_eq!(of(name)["parent_id"], *workflow);
        assert_eq!(of(&format!("after {steps}"))["parent_id"], *workflow);
        let id = &of(name)["span_id"];
        let below = spans.iter().filter(|span| span["parent_id"] == *id);
        assert_eq!(below.count(), steps, "{name}");
    }
}

#[workflow]
async fn buffers() -> Vec<u8> {
    let names = ["a", "b", "c", "d"];
    let calls = futures::stream::iter(names).map(|name| branch(name, 1));
    let mut calls = calls.buffer_unordered(2);
    // The one that is under way by then is given up.
    calls.by_ref().take(3).collect().await
}

#[test]
fn buffered_calls_are_siblings_and_those_under_way_at_the_end_are_cancelled() {
    let spans = record(|client| {
        let turns = one_thread().block_on(client.scope_future(buffers()));
        assert_eq!(turns, [1, 1, 1]);
    });
    let expected = "workflow buffers
  task a
    task step
  task b
    task step
  task c {cancelled:true}
  task d
    task step
";
    assert_eq!(tree(&spans), expected);
}

#[test]
fn a_shared_future_is_below_the_span_that_polled_it_first() {
    let spans = record(|client| {
        let shared = slow().shared();
        let [first, second] = ["first", "second"].map(|name| Span::workflow(name).start());
        let both = async {
            tokio::join!(
                shared.clone().in_span(&first),
                shared.clone().in_span(&second)
            )
        };
        let both = client.scope_future(both);
        assert_eq!(futures::executor::block_on(both), (1, 1));
    });
    let expected = "workflow first
  task slow
    task step
workflow second
";
    assert_eq!(tree(&spans), expected);
}

#[test]
fn blocks_that_are_no_functions_nest_by_in_span() {
    let spans = record(|client| {
        let work = async {
            let outer = Span::workflow("outer").start();
            async {
                let inner = Span::task("inner").start();
                async { slow().await }.in_span(&inner).await;
                inner.finish().unwrap();
                step();
            }
            .in_span(&outer)
            .await;
            assert_eq!(current(), None);
        };
        one_thread().block_on(client.scope_future(work));
    });
    let expected = "workflow outer
  task inner
    task slow
      task step
  task step
";
    assert_eq!(tree(&spans), expected);
}
