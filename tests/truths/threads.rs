//! Threads and their pools; their ends are in `teardown`.

use std::sync::Barrier;
use std::thread;

use llmobs::{Context, Span, workflow};
use rayon::prelude::*;

use crate::{current, record, step, tree};

#[workflow]
fn scoped_threads() {
    let context = Context::current();
    thread::scope(|scope| {
        // A scope lends variables, not the current span.
        assert_eq!(scope.spawn(current).join().unwrap(), None);
        scope.spawn(|| context.in_scope(step)).join().unwrap();
    });
    step();
}

#[test]
fn a_scoped_thread_needs_the_context_as_well() {
    let spans = record(|_| scoped_threads());
    let expected = "workflow scoped_threads
  task step
  task step
";
    assert_eq!(tree(&spans), expected);
}

fn pool(threads: usize) -> rayon::ThreadPool {
    let builder = rayon::ThreadPoolBuilder::new();
    builder.num_threads(threads).build().unwrap()
}

#[workflow]
fn in_parallel(pool: &rayon::ThreadPool) -> u32 {
    let context = Context::current();
    pool.install(|| {
        assert_eq!(current(), None);
        let numbers = (1_u32..=8).into_par_iter();
        let doubled = numbers.map(|number| {
            context.in_scope(|| {
                step();
                number * 2
            })
        });
        doubled.sum()
    })
}

#[test]
fn what_rayon_runs_is_below_its_caller_where_it_is_given_the_context() {
    let pool = pool(3);
    let spans = record(|_| assert_eq!(in_parallel(&pool), 72));
    let expected = format!("workflow in_parallel\n{}", "  task step\n".repeat(8));
    assert_eq!(tree(&spans), expected);
    let left = pool.broadcast(|_| current());
    assert_eq!(left, [None, None, None]);
}

#[test]
fn a_job_that_rayon_runs_while_another_waits_finds_that_ones_span_unless_it_has_its_own() {
    let spans = record(|client| {
        let client = client.clone();
        pool(1).install(|| {
            client.scope(|| {
                let request = Span::workflow("request").start();
                let context = Context::from(&request);
                // They wait until the thread's own job gives way, deep in another span.
                rayon::spawn(step);
                rayon::spawn(move || context.in_scope(|| drop(Span::tool("own").start())));
                let busy = Span::workflow("busy").start();
                let _in = busy.enter();
                while rayon::yield_now() == Some(rayon::Yield::Executed) {}
            });
        });
    });
    let expected = "workflow request
  tool own
workflow busy
  task step
";
    assert_eq!(tree(&spans), expected);
}

#[test]
fn a_branch_of_rayons_join_that_another_thread_steals_needs_the_context() {
    let spans = record(|client| {
        let client = client.clone();
        let joins = || {
            let joining = Span::workflow("joining").start();
            let _in = joining.enter();
            let context = Context::from(&joining);
            // Neither goes on before both have begun: they are on two threads.
            let both = Barrier::new(2);
            let stays = || {
                both.wait();
                step();
            };
            let stolen = || {
                both.wait();
                let alone = current();
                context.in_scope(|| drop(Span::tool("stolen").start()));
                alone
            };
            assert_eq!(rayon::join(stays, stolen).1, None);
        };
        pool(2).install(|| client.scope(joins));
    });
    let of = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
    let parent = &of("joining")["span_id"];
    assert_eq!(of("step")["parent_id"], *parent);
    assert_eq!(of("stolen")["parent_id"], *parent);
}
