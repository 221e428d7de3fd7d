//! A subscriber of `tracing` that panics when it is told of a span: nothing stays current, and no span
//! is lost uncounted.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use llmobs::{Config, Destination, FutureExt as _, LlmObs, Memory, Span, task};
use tracing::Subscriber;
use tracing::span::Id;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

const SOON: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Enter,
    Exit,
    Close,
}

thread_local! {
    /// Where it panics next, once.
    static NEXT: Cell<Option<At>> = const { Cell::new(None) };
    static LEFT: RefCell<Option<Span>> = const { RefCell::new(None) };
}

struct Panics;

fn told(at: At) {
    // Of a thread that has ended, a span may close elsewhere.
    let on_worker = std::thread::current().name() == Some("llmobs-worker");
    if NEXT.get() == Some(at) || on_worker {
        NEXT.set(None);
        resume_unwind(Box::new("a subscriber"));
    }
}

impl<S: Subscriber> Layer<S> for Panics {
    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        told(At::Enter);
    }

    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        told(At::Exit);
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        told(At::Close);
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let is_ours = event.metadata().target() == "llmobs";
        if is_ours && *event.metadata().level() == tracing::Level::WARN {
            resume_unwind(Box::new("a subscriber"));
        }
    }
}

fn client() -> LlmObs {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Panics);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    let config = Config::new().ml_app("panicking");
    let config = config.destination(Destination::Memory(Memory::new()));
    config.build().unwrap()
}

/// Lets the subscriber panic in `run`.
fn panics(at: At, run: impl FnOnce()) {
    NEXT.set(Some(at));
    catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert!(NEXT.take().is_none());
}

/// Nothing is current after `run`, and the span that it made is delivered.
#[track_caller]
fn leaves_nothing(run: impl FnOnce()) {
    let client = client();
    client.scope(|| {
        run();
        assert_eq!(llmobs::export_span(None), None, "something stays current");
    });
    let spans = client.shutdown(SOON).unwrap().stats.spans();
    assert_eq!((spans.made, spans.delivered), (1, 1), "{spans:?}");
}

fn poll_once(future: Pin<&mut impl Future>) {
    let poll = future.poll(&mut TaskContext::from_waker(Waker::noop()));
    assert!(poll.is_pending());
}

/// Ready when it is polled again and again.
struct Slow(u8);

impl Future for Slow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<()> {
        self.0 = self.0.saturating_sub(1);
        if self.0 == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[task]
async fn slow() {
    Slow(5).await;
}

#[task]
fn panics_at(at: At) {
    NEXT.set(Some(at));
}

#[test]
fn at_the_start_of_a_function() {
    leaves_nothing(|| panics(At::Enter, || panics_at(At::Close)));
    leaves_nothing(|| {
        let mut future = Box::pin(slow());
        panics(At::Enter, || poll_once(future.as_mut()));
    });
}

#[test]
fn at_the_end_of_a_function() {
    for at in [At::Exit, At::Close] {
        leaves_nothing(|| {
            catch_unwind(|| panics_at(at)).unwrap_err();
        });
    }
}

#[test]
fn in_the_polls_of_a_function() {
    for at in [At::Enter, At::Exit] {
        leaves_nothing(|| {
            let mut future = Box::pin(slow());
            poll_once(future.as_mut());
            panics(at, || poll_once(future.as_mut()));
        });
    }
    leaves_nothing(|| {
        let mut future = Box::pin(slow());
        panics(At::Exit, || poll_once(future.as_mut()));
    });
}

#[test]
fn in_the_polls_of_another_future() {
    for at in [At::Enter, At::Exit] {
        leaves_nothing(|| {
            let span = Span::task("by hand").start();
            let mut future = Box::pin(Slow(3).in_span(&span));
            panics(at, || poll_once(future.as_mut()));
        });
    }
}

#[test]
fn when_a_guard_goes() {
    leaves_nothing(|| {
        let span = Span::task("by hand").start();
        let guard = span.enter();
        panics(At::Exit, || drop(guard));
    });
}

#[test]
fn when_a_span_ends() {
    leaves_nothing(|| {
        let span = Span::task("by hand").start();
        panics(At::Close, || drop(span));
    });
}

#[test]
fn on_the_worker() {
    let client = client();
    let here = client.clone();
    let ends = std::thread::spawn(move || {
        // Storage from before that of llmobs goes after it.
        LEFT.set(None);
        LEFT.set(Some(here.scope(|| Span::task("left").start())));
    });
    ends.join().unwrap();
    client.flush(SOON).unwrap();
    client.scope(|| drop(Span::task("later").start()));
    let spans = client.shutdown(SOON).unwrap().stats.spans();
    assert_eq!((spans.made, spans.delivered), (2, 2), "{spans:?}");
}

/// A processor that leaves what is not allowed is told of from within the processors' own time, where the
/// application is heard on the worker's thread.
#[test]
fn at_a_warning_of_a_processor() {
    let client = {
        drop(client());
        let config = Config::new().ml_app("panicking");
        let config = config.destination(Destination::Memory(Memory::new()));
        config.processor(|_| panic!("a processor")).build().unwrap()
    };
    client.scope(|| {
        for _ in 0..10 {
            drop(Span::task("processed").start());
        }
    });
    let spans = client.shutdown(SOON).unwrap().stats.spans();
    assert_eq!((spans.made, spans.delivered), (10, 10), "{spans:?}");
}
