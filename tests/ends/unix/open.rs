//! Programs whose guard goes while spans are open.

use std::future::Future as _;
use std::sync::mpsc::{Receiver, channel};

use llmobs::{DropReason, Span};

use super::{enable, log, span};

#[llmobs::task]
async fn slow() {
    std::future::pending::<()>().await;
}

#[llmobs::tool]
fn blocks(told: &std::sync::mpsc::Sender<()>, until: &Receiver<()>) {
    told.send(()).unwrap();
    let _ = until.recv();
}

/// Three tasks that have begun and are not over.
async fn begin() -> tokio::task::JoinSet<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (began, begins) = tokio::sync::oneshot::channel();
        tasks.spawn(async move {
            let mut slow = std::pin::pin!(slow());
            let mut began = Some(began);
            std::future::poll_fn(|task| {
                let polled = slow.as_mut().poll(task);
                if let Some(began) = began.take() {
                    let _ = began.send(());
                }
                polled
            })
            .await;
        });
        begins.await.unwrap();
    }
    tasks
}

fn lines() -> Vec<String> {
    let lines = log::lines_with(" open still when llmobs ");
    lines.into_iter().map(|(_, line)| line).collect()
}

/// The guard lies outside of the runtime, as the README has it.
pub(super) fn guard_outside(url: &str) {
    log::keep();
    let guard = enable(url);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // They are the runtime's from now on.
    runtime.block_on(async { begin().await.detach_all() });
    assert_eq!(llmobs::stats().open, 3);
    drop(runtime);
    drop(guard);
    assert_eq!(llmobs::stats().open, 0);
    assert!(lines().is_empty(), "{:?}", lines());
}

/// It lies within, and tasks are aborted just before it goes.
pub(super) fn guard_within(url: &str) {
    log::keep();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let guard = enable(url);
        drop(begin().await);
        drop(guard);
    });
    drop(runtime);
    let stats = llmobs::stats();
    let spans = stats.spans();
    // Each is waited for; one that came later all the same is told of.
    let late: u64 = spans.dropped.iter().map(|(_, count)| count).sum();
    assert_eq!((spans.delivered + late, stats.open), (3, 0), "{spans:?}");
    let lost = log::lines_with(" lost: ");
    assert_eq!(late == 0, lost.is_empty(), "{late} late: {lost:?}");
}

/// A thread is in a function, a task is suspended, a handle is kept, and a span is current where the
/// guard goes.
pub(super) fn left_open(url: &str) {
    log::keep();
    let guard = enable(url);
    span("delivered");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tasks = runtime.block_on(begin());
    let (told, tells) = channel();
    let (leave, until) = channel();
    let thread = std::thread::spawn(move || blocks(&told, &until));
    tells.recv().unwrap();
    let kept = Span::workflow(String::from("kept")).start();
    let current = Span::agent("current").start().enter();
    drop(guard);

    let lines = lines();
    let [line] = &*lines else {
        panic!("{lines:?}");
    };
    assert!(line.starts_with("6 spans were open still "), "{line}");
    for name in ["\"slow\" (3)", "\"blocks\"", "\"kept\"", "\"current\""] {
        assert!(line.contains(name), "{name}: {line}");
    }
    let stats = llmobs::stats();
    assert_eq!((stats.open, stats.spans().made), (6, 1));

    // A span that ends now is counted as lost.
    leave.send(()).unwrap();
    thread.join().unwrap();
    drop(current);
    kept.finish().unwrap();
    drop(tasks);
    drop(runtime);
    let stats = llmobs::stats();
    assert_eq!(stats.open, 0);
    assert_eq!(stats.spans().made, 7);
    assert_eq!(stats.spans().dropped, [(DropReason::Shutdown, 6)]);
}

/// Only this thread has spans that are open, and nobody can end them: nothing is waited for.
pub(super) fn left_current(url: &str) {
    log::keep();
    let guard = enable(url);
    let current = Span::agent("current").start().enter();
    let within = Span::task("within").start().enter();
    drop(guard);
    assert_eq!(llmobs::stats().open, 2);
    assert_eq!(lines().len(), 1, "{:?}", lines());
    drop((within, current));
    assert_eq!(llmobs::stats().open, 0);
}
