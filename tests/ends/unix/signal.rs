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

/// Blocks SIGTERM here and waits for it, as daemons do; llmobs was enabled before.
pub(super) fn waited_for(url: &str) {
    let guard = config(url).enable().unwrap();
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    let mut signal = 0;
    // SAFETY: a set of our own; only this thread's mask changes.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
    say("ready");
    // SAFETY: as above.
    assert_eq!(unsafe { libc::sigwait(set.as_ptr(), &raw mut signal) }, 0);
    assert_eq!(signal, libc::SIGTERM);
    span("of the program's end");
    drop(guard);
}

/// The threads of this process: number, name, and the set of signals that each blocks.
#[cfg(target_os = "linux")]
fn threads() -> Vec<(String, String, u64)> {
    let mut threads = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap();
        // One that has just ended.
        let Ok(status) = std::fs::read_to_string(task.path().join("status")) else {
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        let blocked = u64::from_str_radix(&field("SigBlk:"), 16).unwrap();
        let id = task.file_name().to_string_lossy().into_owned();
        threads.push((id, field("Name:"), blocked));
    }
    threads
}

/// Has every thread that there is of llmobs, and says what each blocks.
#[cfg(target_os = "linux")]
pub(super) fn masks(url: &str) {
    use std::task::{Context, Waker};

    let before: Vec<String> = threads().into_iter().map(|(id, ..)| id).collect();
    // The name of a host is looked up on a thread of tokio's.
    let url = url.replace("127.0.0.1", "localhost");
    let guard = config(&url)
        .processor(|_| llmobs::Verdict::Keep)
        .shutdown_on_signals(NEVER)
        .enable()
        .unwrap();
    span("waits");
    let past = llmobs::EvaluationsClient::new(config(&url)).unwrap();
    let row = (
        llmobs::EvaluationTarget::span("1", "2"),
        llmobs::Evaluation::new("good", true),
    );
    let mut submits = std::pin::pin!(past.submit_async([row]));
    let mut flushes = std::pin::pin!(llmobs::flush_async(NEVER));
    let mut nobody = Context::from_waker(Waker::noop());
    assert!(submits.as_mut().poll(&mut nobody).is_pending());
    assert!(flushes.as_mut().poll(&mut nobody).is_pending());
    let seen = |seen: &str| threads().iter().any(|(_, name, _)| name.starts_with(seen));
    while !seen("tokio") {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The system's library lets a thread begin with everything blocked, for a moment; so it does with the thread that
    // starts it.
    let begins = |blocked: u64| blocked >> (libc::SIGILL - 1) & 1 == 1;
    let mut all = threads();
    for _ in 0..10_000 {
        if !all.iter().any(|(_, _, blocked)| begins(*blocked)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
        all = threads();
    }
    for (id, name, blocked) in all {
        if !before.contains(&id) {
            say(&format!("{name} {blocked:x}"));
        }
    }
    say("all");
    std::thread::sleep(NEVER);
    drop(guard);
}

/// Sends to an Agent on a Unix socket that goes away in the middle of each request, while SIGPIPE has the effect that
/// it has in C.
pub(super) fn pipe() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    set(libc::SIGPIPE, libc::SIG_DFL);
    let path = std::env::temp_dir().join(format!("llmobs-pipe-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let (gone, goes) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 1024];
            let read = stream.read(&mut head).unwrap();
            if head[..read].starts_with(b"GET /info") {
                let info = r#"{"endpoints":["/evp_proxy/v2/"]}"#;
                let length = info.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{info}"
                )
                .unwrap();
                let _ = stream.read(&mut head);
            }
            drop(stream);
            let _ = gone.send(());
        }
    });
    let guard = config(&format!("unix://{}", path.display()))
        .enable()
        .unwrap();
    for _ in 0..5 {
        for _ in 0..10 {
            let span = llmobs::Span::task("large").start();
            let large = llmobs::Annotation::new().input("x".repeat(400_000));
            span.annotate(large).unwrap();
        }
        llmobs::flush(Duration::from_millis(500)).unwrap_err();
    }
    goes.recv().unwrap();
    say("lives");
    std::mem::forget(guard);
    std::fs::remove_file(&path).unwrap();
}
