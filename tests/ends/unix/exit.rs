//! Programs whose client ends after `main`.

use std::cell::RefCell;
use std::future::Future as _;

use llmobs::{Guard, LlmObs, Span};
use tracing::Subscriber;
use tracing::span::Id;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::{NEVER, config, enable, span};

/// Ends a client as the thread ends, in either way.
struct Last(Option<Guard>, LlmObs);

impl Drop for Last {
    fn drop(&mut self) {
        drop(self.0.take());
        self.1.scope(|| span("last of its own"));
        let stats = self.1.shutdown(NEVER).unwrap().stats;
        assert_eq!(stats.spans().waiting, 0);
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// The guard lives in the main thread's storage, beside the last handle on another client.
pub(super) fn thread_local(url: &str) {
    let own = config(url).build().unwrap();
    own.scope(|| span("of its own"));
    LAST.set(Some(Last(Some(enable(url)), own)));
    span("of main");
}

/// The guard is never dropped; what the C library runs at the exit shuts down.
pub(super) fn handler(url: &str) {
    extern "C" fn at_exit() {
        drop(Span::task("after main").start());
        let stats = llmobs::shutdown(NEVER).unwrap().stats;
        assert_eq!(stats.spans().delivered, 1, "{stats:?}");
    }
    std::mem::forget(enable(url));
    span("of main");
    // SAFETY: a function that lives as long as the program.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
}

thread_local! {
    static BUFFER: RefCell<String> = RefCell::default();
}

/// Formats in a buffer of its thread, and panics where that is gone.
struct Formats;

impl<S: Subscriber> Layer<S> for Formats {
    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        BUFFER.with(|buffer| *buffer.borrow_mut() = format!("exit {id:?}"));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        BUFFER.with(|buffer| *buffer.borrow_mut() = format!("close {id:?}"));
    }
}

#[llmobs::task]
fn quits() {
    std::process::exit(0)
}

#[llmobs::task]
async fn quits_later() {
    std::process::exit(0)
}

#[llmobs::workflow]
fn calls(how: &str) {
    if how == "async" {
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = std::pin::pin!(quits_later()).as_mut().poll(&mut task);
    }
    quits();
}

/// The program ends while spans are open and current. The subscriber's storage is there before llmobs' own, or comes after
/// it: what came last is taken down first.
pub(super) fn in_a_function(url: &str, how: &str, subscriber_is_first: bool) {
    let subscriber = tracing_subscriber::registry().with(Formats);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    if subscriber_is_first {
        BUFFER.with(|_| ());
    }
    let _guard = enable(url);
    span("before");
    calls(how);
}
