//! Executors that are not tokio, and a future that none of them would treat worse.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use futures::executor::{LocalPool, ThreadPool, block_on};
use futures::task::{LocalSpawnExt as _, SpawnExt as _};
use llmobs::{Context, FutureExt as _, workflow};

use crate::{current, poll, record, slow, step, tree};

const ONE_TASK: &str = "workflow spawns
  task slow
    task step
  task step
";

#[test]
fn smols_tasks_need_the_context_as_tokios_do() {
    #[workflow]
    async fn spawns() {
        assert_eq!(smol::spawn(slow().in_current_context()).await, 1);
        assert_eq!(smol::spawn(async { current() }).await, None);
        let context = Context::current();
        smol::unblock(move || context.in_scope(step)).await;
        assert_eq!(smol::unblock(current).await, None);
    }
    let spans = record(|client| smol::block_on(client.scope_future(spawns())));
    assert_eq!(tree(&spans), ONE_TASK);
}

#[test]
fn tasks_of_smols_local_executor_keep_their_own_spans() {
    #[workflow]
    async fn request(executor: &smol::LocalExecutor<'_>) -> u8 {
        let two = [(); 2].map(|()| executor.spawn(slow().in_current_context()));
        let [one, other] = two;
        one.await + other.await
    }
    let spans = record(|client| {
        let executor = smol::LocalExecutor::new();
        let requests = async {
            let both = futures::future::join(request(&executor), request(&executor));
            assert_eq!(both.await, (2, 2));
            assert_eq!(current(), None);
        };
        smol::block_on(executor.run(client.scope_future(requests)));
    });
    let expected = "workflow request
  task slow
    task step
  task slow
    task step
";
    assert_eq!(tree(&spans), expected.repeat(2));
}

#[test]
fn a_dropped_task_of_smol_is_cancelled() {
    let spans = record(|client| {
        let executor = smol::LocalExecutor::new();
        let task = executor.spawn(client.scope_future(crate::stuck()));
        assert!(executor.try_tick());
        drop(task);
        // The executor drops the future when it comes to it.
        while executor.try_tick() {}
    });
    assert_eq!(tree(&spans), "task stuck {cancelled:true}\n");
}

#[test]
fn the_local_pool_of_futures_runs_tasks_under_their_own_spans() {
    #[workflow]
    async fn spawns(spawner: futures::executor::LocalSpawner) {
        let with = spawner.spawn_local_with_handle(slow().in_current_context());
        let without = spawner.spawn_local_with_handle(async { current() });
        assert_eq!(with.unwrap().await, 1);
        assert_eq!(without.unwrap().await, None);
        step();
    }
    let spans = record(|client| {
        let mut pool = LocalPool::new();
        let spawner = pool.spawner();
        pool.run_until(client.scope_future(spawns(spawner)));
        assert_eq!(current(), None);
    });
    assert_eq!(tree(&spans), ONE_TASK);
}

#[test]
fn the_thread_pool_of_futures_runs_tasks_under_their_own_spans() {
    #[workflow]
    async fn spawns(pool: ThreadPool) {
        let with = pool.spawn_with_handle(slow().in_current_context());
        assert_eq!(with.unwrap().await, 1);
        let without = pool.spawn_with_handle(async { current() });
        assert_eq!(without.unwrap().await, None);
        step();
    }
    let spans = record(|client| {
        let pool = ThreadPool::builder().pool_size(2).create().unwrap();
        block_on(client.scope_future(spawns(pool)));
    });
    assert_eq!(tree(&spans), ONE_TASK);
}

#[workflow]
async fn wanders() -> u8 {
    let mut sum = 0;
    for _ in 0..3 {
        sum += slow().await;
    }
    sum
}

/// Polls each time on a thread that has never seen the future; gives the number of polls.
fn on_a_new_thread_each<F>(mut future: Pin<Box<F>>) -> (usize, F::Output)
where
    F: Future + Send,
    F::Output: Send,
{
    for polls in 1.. {
        let polled = std::thread::scope(|scope| {
            let polled = scope.spawn(|| {
                let polled = poll(future.as_mut());
                assert_eq!(current(), None);
                polled
            });
            polled.join().unwrap()
        });
        if let Poll::Ready(output) = polled {
            return (polls, output);
        }
    }
    unreachable!()
}

#[test]
fn a_future_that_changes_threads_at_each_poll_makes_the_same_tree() {
    let at_home = record(|client| {
        assert_eq!(block_on(client.scope_future(wanders())), 3);
    });
    let moved = record(|client| {
        let future = Box::pin(client.scope_future(wanders()));
        assert_eq!(on_a_new_thread_each(future), (7, 3));
    });
    let expected = format!(
        "workflow wanders\n{}",
        "  task slow\n    task step\n".repeat(3)
    );
    assert_eq!(tree(&at_home), expected);
    assert_eq!(tree(&moved), expected);
}

#[workflow]
fn blocks() -> u8 {
    block_on(slow()) + smol::block_on(slow())
}

#[test]
fn a_function_that_blocks_on_a_future_is_its_parent() {
    let spans = record(|_| assert_eq!(blocks(), 2));
    let expected = format!(
        "workflow blocks\n{}",
        "  task slow\n    task step\n".repeat(2)
    );
    assert_eq!(tree(&spans), expected);
}

#[test]
fn a_future_that_has_begun_without_a_client_never_has_a_span() {
    let mut future = Box::pin(wanders());
    assert!(poll(future.as_mut()).is_pending());
    let spans = record(|_| assert_eq!(block_on(future), 3));
    // What begins after the client has come is recorded.
    let expected = format!("task step\n{}", "task slow\n  task step\n".repeat(2));
    assert_eq!(tree(&spans), expected);
}

#[test]
fn a_future_stays_with_the_client_that_it_began_under() {
    let mut of_another = Vec::new();
    let spans = record(|_| {
        let mut future = Box::pin(wanders());
        assert!(poll(future.as_mut()).is_pending());
        of_another = record(|_| {
            assert_eq!(block_on(future), 3);
            step();
        });
    });
    let expected = format!(
        "workflow wanders\n{}",
        "  task slow\n    task step\n".repeat(3)
    );
    assert_eq!(tree(&spans), expected);
    assert_eq!(tree(&of_another), "task step\n");
}
