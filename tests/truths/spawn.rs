//! Work that tokio runs elsewhere: tasks, task sets, blocking threads, other runtimes.

use llmobs::{Context, FutureExt as _, LlmObs, Span, workflow};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet, block_in_place, spawn_blocking, spawn_local};

use crate::{current, one_thread, record, record_future, slow, step, stuck, tree};

#[workflow]
async fn spawns(client: LlmObs) {
    tokio::spawn(slow().in_current_context()).await.unwrap();
    // Alone it knows neither the span nor the client that is in force here.
    let alone = tokio::spawn(async { (current(), llmobs::is_enabled()) });
    assert_eq!(alone.await.unwrap(), (None, false));
    let alone = client.scope_future(slow());
    tokio::spawn(alone).await.unwrap();
    step();
}

#[test]
fn a_task_is_below_its_caller_with_the_context_and_a_trace_of_its_own_without() {
    let spans = record_future(spawns);
    let expected = "workflow spawns
  task slow
    task step
  task step
task slow
  task step
";
    assert_eq!(tree(&spans), expected);
    let traces = spans.iter().map(|span| span["trace_id"].to_string());
    assert_eq!(traces.collect::<std::collections::BTreeSet<_>>().len(), 2);
}

#[test]
fn a_task_may_outlive_the_span_that_it_is_below() {
    let spans = record_future(|_| async {
        let (go, gone) = oneshot::channel();
        let late = async {
            gone.await.unwrap();
            slow().await
        };
        let task = {
            let workflow = Span::workflow("ended").start();
            tokio::spawn(late.in_context(Context::from(&workflow)))
        };
        drop(Span::task("meanwhile").start());
        go.send(()).unwrap();
        task.await.unwrap();
    });
    assert_eq!(spans[0]["name"], "ended");
    let expected = "workflow ended
  task slow
    task step
task meanwhile
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn leaves_a_task_behind() {
    let (begun, has_begun) = oneshot::channel();
    let task = async {
        begun.send(()).unwrap();
        stuck().await;
    };
    let task = tokio::spawn(task.in_current_context());
    has_begun.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[test]
fn an_aborted_task_is_cancelled_and_its_caller_is_not() {
    let spans = record_future(|_| leaves_a_task_behind());
    let expected = "workflow leaves_a_task_behind
  task stuck {cancelled:true}
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn uses_a_set() -> u8 {
    let mut set = JoinSet::new();
    set.spawn(slow().in_current_context());
    let first = set.join_next().await.unwrap().unwrap();
    // On a runtime of one thread this one has not begun when it is aborted: no span.
    set.spawn(slow().in_current_context()).abort();
    assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    let (begun, has_begun) = oneshot::channel();
    let begins = async {
        begun.send(()).unwrap();
        stuck().await;
        0
    };
    set.spawn(begins.in_current_context());
    has_begun.await.unwrap();
    // The drop of the set aborts what is left.
    first
}

#[test]
fn a_set_of_tasks_that_is_dropped_cancels_what_has_begun() {
    let spans = record(|client| {
        let first = one_thread().block_on(client.scope_future(uses_a_set()));
        assert_eq!(first, 1);
    });
    let expected = "workflow uses_a_set
  task slow
    task step
  task stuck {cancelled:true}
";
    assert_eq!(tree(&spans), expected);
}

#[test]
fn a_runtime_that_shuts_down_cancels_its_tasks() {
    let spans = record(|client| {
        let runtime = one_thread();
        let (begun, has_begun) = oneshot::channel();
        let begins = async {
            begun.send(()).unwrap();
            stuck().await;
        };
        let begins = client.scope(|| begins.in_current_context());
        runtime.spawn(begins);
        runtime.block_on(has_begun).unwrap();
        drop(runtime);
        step();
    });
    assert_eq!(tree(&spans), "task stuck {cancelled:true}\ntask step\n");
}

#[workflow]
async fn blocks() {
    let context = Context::current();
    let with = spawn_blocking(move || context.in_scope(step));
    with.await.unwrap();
    let without = spawn_blocking(current);
    assert_eq!(without.await.unwrap(), None);
    // The thread is the same, and so is the span.
    let here = current();
    block_in_place(|| {
        assert_eq!(current(), here);
        step();
    });
    step();
}

#[test]
fn a_blocking_thread_needs_the_context_and_block_in_place_does_not() {
    let spans = record_future(|_| async {
        let task = tokio::spawn(blocks().in_current_context());
        task.await.unwrap();
    });
    let expected = "workflow blocks
  task step
  task step
  task step
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn blocks_on_the_same_runtime() -> u8 {
    block_in_place(|| Handle::current().block_on(slow()))
}

#[workflow]
async fn blocks_on_another_runtime() -> u8 {
    let context = Context::current();
    let run = move || one_thread().block_on(slow().in_context(context));
    spawn_blocking(run).await.unwrap()
}

#[test]
fn a_runtime_inside_of_a_runtime_goes_on_below_the_same_span() {
    let spans = record_future(|_| async {
        let nested = async {
            blocks_on_the_same_runtime().await;
            assert_eq!(current(), None);
            blocks_on_another_runtime().await;
        };
        tokio::spawn(nested.in_current_context()).await.unwrap();
    });
    let expected = "workflow blocks_on_the_same_runtime
  task slow
    task step
workflow blocks_on_another_runtime
  task slow
    task step
";
    assert_eq!(tree(&spans), expected);
}

#[workflow]
async fn spawns_local() {
    let with = spawn_local(slow().in_current_context());
    let without = spawn_local(async { current() });
    assert_eq!(with.await.unwrap(), 1);
    assert_eq!(without.await.unwrap(), None);
}

#[test]
fn a_local_task_shares_the_thread_and_still_needs_the_context() {
    let spans = record(|client| {
        let local = LocalSet::new();
        let work = local.run_until(client.scope_future(spawns_local()));
        one_thread().block_on(work);
    });
    let expected = "workflow spawns_local
  task slow
    task step
";
    assert_eq!(tree(&spans), expected);
}

#[test]
fn a_context_through_a_channel_makes_a_worker_part_of_the_callers_trace() {
    let spans = record_future(|_| async {
        let (jobs, mut queue) = tokio::sync::mpsc::channel::<(Context, &'static str)>(4);
        let worker = tokio::spawn(async move {
            while let Some((context, name)) = queue.recv().await {
                let work = async { drop(Span::tool(name).start()) };
                work.in_context(context).await;
                assert_eq!(current(), None);
            }
        });
        for (request, job) in [("one", "job of one"), ("two", "job of two")] {
            let span = Span::workflow(request).start();
            jobs.send((Context::from(&span), job)).await.unwrap();
        }
        drop(jobs);
        worker.await.unwrap();
    });
    let expected = "workflow one
  tool job of one
workflow two
  tool job of two
";
    assert_eq!(tree(&spans), expected);
}
