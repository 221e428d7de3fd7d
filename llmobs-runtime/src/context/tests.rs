//! The stack of a thread, by itself: small enough for miri. What programs make of it stands in
//! `tests/truths`.

use std::pin::pin;
use std::task::{Context as Task, Poll, Waker};

use super::*;
use crate::config::{Config, Destination};
use crate::export::memory::Memory;

fn client() -> crate::LlmObs {
    let config = Config::new().tracing_spans(false);
    let config = config.destination(Destination::Memory(Memory::new()));
    config.build().unwrap()
}

fn current() -> Option<String> {
    current_context().map(|context| context.span_id().into_owned())
}

fn id(span: &Span) -> Option<String> {
    span.context().map(|context| context.span_id().into_owned())
}

#[test]
fn guards_may_go_in_any_order() {
    client().scope(|| {
        let (outer, inner) = (Span::task("outer").start(), Span::task("inner").start());
        let of_outer = outer.enter();
        let of_inner = inner.enter();
        drop(of_outer);
        assert_eq!(current(), id(&inner));
        drop(of_inner);
        assert_eq!(current(), None);
    });
}

#[test]
fn a_span_goes_to_another_thread_and_ends_there() {
    client().scope(|| {
        let span = Span::task("t").start();
        let context = Context::from(&span);
        let there = std::thread::spawn(move || {
            let seen = context.in_scope(current);
            assert_eq!((seen.clone(), current()), (id(&span), None));
            seen
        });
        assert!(there.join().unwrap().is_some());
    });
}

#[test]
fn a_future_that_is_dropped_half_way_leaves_nothing_current() {
    client().scope(|| {
        let span = Span::task("t").start();
        let expected = id(&span);
        let future = async {
            assert_eq!(current(), expected);
            std::future::pending::<()>().await;
        };
        {
            let mut future = pin!(future.in_context(Context::from(&span)));
            let poll = future.as_mut().poll(&mut Task::from_waker(Waker::noop()));
            assert_eq!(poll, Poll::Pending);
            assert_eq!(current(), None);
        }
        assert_eq!(current(), None);
    });
}
