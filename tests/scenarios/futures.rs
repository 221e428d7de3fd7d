//! The current span in tasks, and in futures that share a thread.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use llmobs::{Context, FutureExt, Span};
use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use tokio::task::yield_now;

use crate::client::{Client, SOON};

fn many_threads() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

#[test]
fn a_spawned_task_inherits_where_the_caller_says_so() {
    let client = Client::start();
    many_threads().block_on(client.handle().scope_future(async {
        let workflow = Span::workflow("workflow").start();
        async {
            let told = async {
                for _ in 0..10 {
                    yield_now().await;
                }
                drop(Span::task("told").start());
            };
            tokio::spawn(told.in_current_context()).await.unwrap();
            let untold = async { llmobs::export_span(None) };
            assert_eq!(tokio::spawn(untold).await.unwrap(), None);
        }
        .in_span(&workflow)
        .await;
    }));
    let sent = client.sent();
    assert_eq!(sent.parent_of("told"), Some("workflow"));
    assert_eq!(sent.spans.len(), 2);
}

#[test]
fn futures_that_take_turns_on_a_thread_keep_their_own_spans() {
    let client = Client::start();
    one_thread().block_on(client.handle().scope_future(async {
        let barrier = Arc::new(Barrier::new(3));
        let branch = |name: &'static str, child: &'static str| {
            let barrier = Arc::clone(&barrier);
            let span = Span::workflow(name).start();
            async move {
                barrier.wait().await;
                for _ in 0..5 {
                    yield_now().await;
                }
                drop(Span::task(child).start());
            }
            .in_span(&span)
        };
        tokio::join!(
            branch("a", "in a"),
            branch("b", "in b"),
            branch("c", "in c")
        );
        assert_eq!(llmobs::export_span(None), None);
    }));
    let sent = client.sent();
    for (child, parent) in [("in a", "a"), ("in b", "b"), ("in c", "c")] {
        assert_eq!(sent.parent_of(child), Some(parent));
        assert_eq!(sent.parent_of(parent), None);
    }
}

/// Starts a task when it is dropped.
struct OnDrop(&'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        drop(Span::task(self.0).start());
    }
}

#[test]
fn what_a_dropped_future_drops_is_still_under_its_span() {
    let sent = Client::start().sent_by(|| {
        let span = Span::workflow("cancelled").start();
        {
            let mut future = pin!(
                async {
                    let _cleanup = OnDrop("cleanup");
                    std::future::pending::<()>().await;
                }
                .in_span(&span)
            );
            drop(span);
            let mut task = TaskContext::from_waker(Waker::noop());
            assert_eq!(future.as_mut().poll(&mut task), Poll::Pending);
            assert_eq!(llmobs::export_span(None), None);
        }
        assert_eq!(llmobs::export_span(None), None);
    });
    assert_eq!(sent.parent_of("cleanup"), Some("cancelled"));
    assert_eq!(sent.spans.len(), 2);
}

#[test]
fn a_future_holds_its_span_until_it_ends() {
    let client = Client::start();
    client.run(|| {
        let span = Span::workflow("held").start();
        let future = async { llmobs::export_span(None) }.in_span(&span);
        let context = span.context();
        drop(span);
        assert_eq!(llmobs::stats().spans().made, 0);
        let mut future = pin!(future);
        let mut task = TaskContext::from_waker(Waker::noop());
        assert_eq!(future.as_mut().poll(&mut task), Poll::Ready(context));
        // It has let go, though it has not been dropped.
        assert_eq!(llmobs::stats().spans().made, 1);
    });
    assert_eq!(client.sent().spans.len(), 1);
}

#[test]
fn a_thread_inherits_where_the_caller_says_so() {
    let client = Client::start();
    client.run(|| {
        let _in = Span::workflow("workflow").start().enter();
        let context = Context::current();
        let threads: Vec<_> = ["one", "two", "three"]
            .into_iter()
            .map(|name| {
                let context = context.clone();
                std::thread::spawn(move || {
                    let _attached = context.attach();
                    drop(Span::task(name).start());
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let sent = client.sent();
    for name in ["one", "two", "three"] {
        assert_eq!(sent.parent_of(name), Some("workflow"));
    }
}

#[test]
fn two_clients_on_one_thread_keep_their_traces_apart() {
    let (one, two) = (Client::start(), Client::start());
    one.run(|| {
        let _in = Span::workflow("of one").start().enter();
        two.run(|| {
            assert_eq!(llmobs::export_span(None), None);
            let _in = Span::workflow("of two").start().enter();
            drop(Span::task("below two").start());
        });
        drop(Span::task("below one").start());
    });
    let (one, two) = (one.sent(), two.sent());
    assert_eq!((one.spans.len(), two.spans.len()), (2, 2));
    assert_eq!(one.parent_of("below one"), Some("of one"));
    assert_eq!(two.parent_of("below two"), Some("of two"));
    assert_eq!(two.parent_of("of two"), None);
}

#[test]
fn an_asynchronous_flush_returns_when_the_server_has_answered() {
    let client = Client::start();
    one_thread().block_on(client.handle().scope_future(async {
        drop(Span::task("flushed").start());
        llmobs::flush_async(SOON).await.unwrap();
        assert_eq!(client.intake().accepted_spans().len(), 1);
    }));
    client.sent();
}

#[test]
fn blocking_calls_inside_a_runtime_of_one_thread_come_back() {
    let client = Client::start();
    one_thread().block_on(client.handle().scope_future(async {
        drop(Span::task("flushed").start());
        llmobs::flush(SOON).unwrap();
        assert_eq!(client.intake().accepted_spans().len(), 1);
        drop(Span::task("rest").start());
        llmobs::shutdown(SOON).unwrap();
        assert_eq!(client.intake().accepted_spans().len(), 2);
        assert!(!llmobs::is_enabled());
    }));
    client.sent();
}
