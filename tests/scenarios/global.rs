//! The global client. A process has one: this is the only test of this program that enables it.

use std::time::Duration;

use llmobs::prelude::*;
use llmobs::{Config, Context, Evaluation, EvaluationTarget, FlushError, Span};
use llmobs_tests::Intake;

use crate::client::{Client, SOON};
use crate::log;

#[test]
fn the_guard_keeps_the_global_client_and_its_drop_delivers() {
    log::keep();
    let intake = Intake::start();
    let config = || Config::new().ml_app("global").agent_url(intake.url());
    assert!(config().enabled(false).enable().unwrap().client().is_none());
    assert!(!llmobs::is_enabled());

    let guard = config().enable().unwrap();
    assert!(llmobs::is_enabled());
    drop(Span::task("first").start());
    let second = config().ml_app("second").enable().unwrap();
    assert!(second.client().is_none(), "enabled already");
    drop(second);
    assert!(llmobs::is_enabled(), "an idle guard shuts nothing down");
    // A scoped client takes the global one's place.
    let scoped = Client::start().sent_by(|| drop(Span::task("scoped").start()));
    assert_eq!(scoped.spans.len(), 1);
    // Also where it takes nothing: what belongs to it is not for the global one.
    let (disabled, closed) = (config().enabled(false), Config::new());
    let (disabled, closed) = (disabled.build().unwrap(), closed.build().unwrap());
    let left_over = closed.scope(|| {
        let _in = Span::task("of the closed one").start().enter();
        Context::current()
    });
    closed.shutdown(SOON).unwrap();
    let nothing = || {
        assert!(!llmobs::is_enabled());
        drop(Span::task("nowhere").start());
        let evaluation = Evaluation::new("nowhere", 1);
        llmobs::submit_evaluation(EvaluationTarget::span("1", "2"), evaluation).unwrap();
    };
    disabled.scope(nothing);
    closed.scope(nothing);
    left_over.in_scope(nothing);
    // Nor on a thread that only hears of the place.
    for off in [&disabled, &closed] {
        let context = off.scope(Context::current);
        std::thread::spawn(move || context.in_scope(nothing))
            .join()
            .unwrap();
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        let future = off.scope(|| async { nothing() }.in_current_context());
        assert!(std::pin::pin!(future).poll(&mut task).is_ready());
    }
    // Threads need not be told of the global client.
    std::thread::spawn(|| drop(Span::task("on a thread").start()))
        .join()
        .unwrap();
    let late = Span::task("late").start();
    drop(guard);
    assert!(!llmobs::is_enabled());
    late.finish().unwrap();
    drop(Span::task("idle").start());
    let names = || -> Vec<String> {
        let name = |span: &serde_json::Value| span["name"].as_str().unwrap().to_owned();
        intake.accepted_spans().iter().map(name).collect()
    };
    assert_eq!(names(), ["first", "on a thread"]);

    // A span of the global client that has ended hands over to the next one.
    let again = config().enable().unwrap();
    let in_again = Span::task("again").start().enter();
    drop(again);
    let next = config().enable().unwrap();
    drop(Span::task("next").start());
    drop(in_again);
    drop(next);
    assert_eq!(names(), ["first", "on a thread", "next"]);
    assert!(intake.evaluations().is_empty());

    // One that lost something says so each time.
    intake.go_down();
    let lossy = config().spool(false).enable().unwrap();
    drop(Span::task("lost").start());
    for _ in 0..3 {
        let answer = llmobs::shutdown(Duration::from_millis(50)).unwrap_err();
        assert!(matches!(answer, FlushError::Undelivered { .. }), "{answer}");
    }
    drop(lossy);
}
