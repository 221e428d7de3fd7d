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

#[test]
fn open_spans_of_a_client_are_counted_once_each() {
    let (one, other) = (client(), client());
    let inner = |client: &crate::LlmObs| client.scope(|| current_client().unwrap());
    let (of_one, of_other) = (inner(&one), inner(&other));
    let open = || (open_here(&of_one), open_here(&of_other));
    one.scope(|| {
        let outer = Span::task("outer").start();
        let _guards = (outer.enter(), outer.enter());
        let inner = Span::task("inner").start();
        let _guard = inner.enter();
        assert_eq!(open(), (2, 0));
        other.scope(|| {
            let theirs = Span::task("theirs").start();
            let _guard = theirs.enter();
            assert_eq!(open(), (2, 1));
        });
        let ended = Span::task("ended").start();
        let context = Context::from(&ended);
        ended.finish().unwrap();
        assert_eq!(context.in_scope(open), (2, 0));
    });
    assert_eq!(open(), (0, 0));
}

#[test]
fn debug_texts_name_their_types() {
    client().scope(|| {
        let span = Span::task("t").start();
        let context = Context::from(&span);
        assert!(format!("{context:?}").starts_with("Context {"));
        assert_eq!(format!("{:?}", context.attach()), "ContextGuard");
        assert!(format!("{:?}", span.enter()).starts_with("SpanGuard("));
        let future = std::future::ready(());
        for (text, name) in [
            (format!("{:?}", future.clone().in_span(&span)), "InSpan"),
            (
                format!("{:?}", future.clone().in_context(context)),
                "InContext",
            ),
            (
                format!(
                    "{:?}",
                    future.in_annotation_context(crate::AnnotationContext::new())
                ),
                "InAnnotationContext",
            ),
        ] {
            assert!(text.starts_with(name), "{text}");
        }
    });
}
