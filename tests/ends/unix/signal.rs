//! Programs that get signals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{NEVER, config, log, say, span};

fn enable_with_hook(url: &str, timeout: Duration) -> llmobs::Guard {
    let config = config(url).shutdown_on_signals(timeout);
    config.enable().unwrap()
}

pub(super) fn set(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: the handlers here only store a bool.
    let before = unsafe { libc::signal(signal, handler) };
    assert_ne!(before, libc::SIG_ERR);
}

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn handled(_: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

fn handle() {
    set(
        libc::SIGTERM,
        handled as extern "C" fn(libc::c_int) as libc::sighandler_t,
    );
}

/// Until the program's own handler was called.
fn until_asked() {
    while !ASKED.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits for a signal that ends it.
pub(super) fn no_handler(url: &str, milliseconds: &str) {
    let timeout = Duration::from_millis(milliseconds.parse().unwrap());
    let guard = enable_with_hook(url, timeout);
    let tenant = config(url).shutdown_on_signals(timeout).build().unwrap();
    tenant.scope(|| span("of a tenant"));
    span("waits");
    say("ready");
    std::thread::sleep(NEVER);
    drop(guard);
}

/// What waits when it comes is for the next process.
pub(super) fn with_a_spool(url: &str, folder: &str) {
    let config = config(url).dir(folder).spool(true);
    let config = config.shutdown_on_signals(Duration::from_millis(100));
    let guard = config.enable().unwrap();
    let context = {
        let span = llmobs::Span::task("waits").start();
        llmobs::export_span(&span)
    };
    llmobs::submit_evaluation(context, llmobs::Evaluation::new("good", true)).unwrap();
    say("ready");
    std::thread::sleep(NEVER);
    drop(guard);
}

/// A processor takes longer for what waits than a shutdown has, and than a subscriber may block.
pub(super) fn with_a_spool_and_a_slow_processor(url: &str, folder: &str) {
    let config = config(url).dir(folder).spool(true);
    let config = config.processor(|_| {
        std::thread::sleep(Duration::from_millis(3));
        llmobs::Verdict::Keep
    });
    let config = config.shutdown_on_signals(Duration::from_millis(1));
    let guard = config.enable().unwrap();
    for _ in 0..300 {
        span("waits");
    }
    say("ready");
    std::thread::sleep(NEVER);
    drop(guard);
}

/// One that was started with `nohup`, say.
pub(super) fn ignored(url: &str) {
    set(libc::SIGINT, libc::SIG_IGN);
    log::keep();
    let guard = enable_with_hook(url, NEVER);
    // SAFETY: of this very thread.
    assert_eq!(unsafe { libc::raise(libc::SIGINT) }, 0);
    assert!(llmobs::is_enabled());
    assert_eq!(
        log::lines_with("is ignored here").len(),
        1,
        "SIGTERM is not"
    );
    span("goes on");
    drop(guard);
}

/// The program's own end, which takes a span yet.
fn ends_itself(guard: llmobs::Guard) {
    say("ready");
    until_asked();
    assert!(llmobs::is_enabled());
    span("of the program's end");
    drop(guard);
}

pub(super) fn handled_before(url: &str) {
    handle();
    ends_itself(enable_with_hook(url, NEVER));
}

pub(super) fn handled_after(url: &str) {
    let guard = enable_with_hook(url, NEVER);
    handle();
    ends_itself(guard);
}

/// As a web server with a graceful shutdown.
pub(super) fn tokio(url: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let guard = enable_with_hook(url, NEVER);
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        say("ready");
        terminate.recv().await.unwrap();
    });
    ASKED.store(true, Ordering::Relaxed);
    ends_itself(guard);
}
