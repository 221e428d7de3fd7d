//! Processes that fork and go on without `exec`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use llmobs::{Annotation, Evaluation, EvaluationTarget, LlmObs, Span, Stats};

use super::{NEVER, config, enable, say, span};

/// A child process.
struct Child(libc::pid_t);

/// `None` in the child.
fn fork() -> Option<Child> {
    // SAFETY: the child may not count on any lock that another thread held. That llmobs does
    // not is what is tested; the child uses nothing else but the allocator, whose locks the C
    // library takes care of.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => None,
        pid => Some(Child(pid)),
    }
}

/// All that a child does.
fn only(child: impl FnOnce()) -> ! {
    let fine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
    // SAFETY: it ends here, without what would run at the exit of the parent.
    unsafe { libc::_exit(i32::from(fine.is_err())) }
}

impl Child {
    /// As `waitpid` tells it.
    fn status(&self) -> libc::c_int {
        let mut status = 0;
        // SAFETY: a child of ours, and a place for its status.
        let ended = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!(ended, self.0, "{}", std::io::Error::last_os_error());
        status
    }

    #[track_caller]
    fn ends_well(&self) {
        assert_eq!(self.status(), 0, "the child failed");
    }
}

/// A child in the middle of a trace: off until it enables llmobs itself.
pub(super) fn once(url: &str) {
    let guard = enable(url);
    span("before");
    let outer = Span::agent("outer").session_id("s").start();
    let in_outer = outer.enter();
    let started = Span::task("started").start();
    let Some(child) = fork() else {
        only(|| {
            assert!(!llmobs::is_enabled());
            assert_eq!(llmobs::export_span(None), None);
            span("nowhere");
            outer
                .annotate(Annotation::new().output("of the child"))
                .unwrap();
            llmobs::annotate(None, Annotation::new().tag("child", true)).unwrap();
            let evaluation = || Evaluation::new("nowhere", 1);
            llmobs::submit_evaluation(&started, evaluation()).unwrap();
            started.finish().unwrap();
            llmobs::flush(NEVER).unwrap();
            llmobs::shutdown(NEVER).unwrap();
            assert_eq!(llmobs::stats(), Stats::default());
            let parents = guard.client().unwrap();
            assert_eq!(parents.stats(), Stats::default());
            parents.flush(NEVER).unwrap();
            parents.shutdown(NEVER).unwrap();
            parents.scope(|| span("nowhere"));
            drop(guard);

            let guard = enable(url);
            assert!(llmobs::is_enabled());
            span("in the child");
            outer.annotate(Annotation::new().output("late")).unwrap();
            llmobs::submit_evaluation(llmobs::export_span(None), evaluation()).unwrap();
            let stats = llmobs::shutdown(NEVER).unwrap().stats;
            assert_eq!(stats.spans().delivered, 1, "{stats:?}");
            drop(in_outer);
            drop(outer);
            drop(guard);
        })
    };
    // The very next id of this thread, here and there.
    span("in the parent");
    child.ends_well();
    drop(started);
    drop(in_outer);
    drop(outer);
    let stats = llmobs::stats();
    assert_eq!(stats.spans().made, 4, "{stats:?}");
    drop(guard);
}

/// The span that nobody refers to but the thread, here and in the child.
#[llmobs::workflow]
fn forks() -> Option<Child> {
    span("below");
    let child = fork();
    let whose = if child.is_some() { "parent" } else { "child" };
    llmobs::annotate(None, Annotation::new().tag("of", whose)).unwrap();
    child
}

/// The parent's thread has told where it keeps its open spans; the child's are found all the same.
fn opens_spans() {
    #[llmobs::workflow(name = "in the child")]
    fn owned() {
        assert_eq!(llmobs::stats().open, 1);
    }
    owned();
    let shared = Span::task("shared in the child").start();
    assert_eq!(llmobs::stats().open, 1);
    drop(shared);
    assert_eq!(llmobs::stats().open, 0);
}

/// A child that returns from a function which its parent called.
pub(super) fn in_a_function(url: &str) {
    let guard = enable(url);
    let Some(child) = forks() else {
        only(|| {
            span("nowhere");
            let guard = enable(url);
            opens_spans();
            drop(guard);
        })
    };
    child.ends_well();
    #[llmobs::workflow]
    fn goes_on(url: &str) -> Option<Child> {
        let child = fork();
        if child.is_none() {
            // A child of the function's span, whose parent nobody could refer to but this thread.
            let guard = enable(url);
            span("of goes_on");
            drop(guard);
        }
        child
    }
    let Some(child) = goes_on(url) else {
        only(|| ())
    };
    child.ends_well();
    drop(guard);
}

/// A server whose spans are on disk when it is killed, and a worker of it that goes on.
pub(super) fn with_a_spool(url: &str, folder: &str) {
    let config = config(url).dir(folder).spool(true);
    let guard = config
        .flush_interval(Duration::from_millis(1))
        .enable()
        .unwrap();
    span("of the master");
    while guard.client().unwrap().stats().spooled() == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    if fork().is_none() {
        only(|| {
            say("the worker goes on");
            std::thread::sleep(NEVER);
        })
    }
    std::thread::sleep(NEVER);
}

/// Whatever the other threads of the parent are at, the child waits for none of them.
pub(super) fn while_busy(url: &str) {
    let guard = enable(url);
    let shared = Span::agent("shared").start();
    let of_its_own = config(url).ml_app("of its own").build().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // Each of these holds a lock for a moment, this one for a long one.
                    let tags = (0..300).map(|number| (format!("key{number}"), number));
                    let annotation = Annotation::new().output("busy");
                    let annotation = tags.fold(annotation, |all, (key, value)| all.tag(key, value));
                    shared.annotate(annotation).unwrap();
                    drop(Span::task("busy").start().enter());
                    let _ = (llmobs::stats(), of_its_own.stats());
                    of_its_own.scope(|| span("of its own"));
                    drop(config(url).enable().unwrap());
                }
            });
        }
        for _ in 0..100 {
            let Some(child) = fork() else {
                only(|| {
                    shared.annotate(Annotation::new().output("child")).unwrap();
                    let _ = (llmobs::stats(), of_its_own.stats());
                    shared.finish().unwrap();
                })
            };
            child.ends_well();
        }
        for _ in 0..20 {
            let Some(child) = fork() else {
                only(|| {
                    shared.annotate(Annotation::new().output("child")).unwrap();
                    let context = llmobs::Context::from(&shared);
                    context.in_scope(|| span("nowhere"));
                    of_its_own.scope(|| span("nowhere"));
                    of_its_own.flush(NEVER).unwrap();
                    shared.finish().unwrap();
                    drop(of_its_own.clone());
                    let guard = enable(url);
                    context.in_scope(|| span("in the child"));
                    shared.annotate(Annotation::new().output("late")).unwrap();
                    llmobs::flush(NEVER).unwrap();
                    drop(guard);
                })
            };
            child.ends_well();
        }
        stop.store(true, Ordering::Relaxed);
    });
    drop(shared);
    let count = |stats: &Stats| {
        let spans = stats.spans();
        assert_eq!(spans.delivered, spans.made, "{stats:?}");
        say(&spans.delivered.to_string());
    };
    count(&llmobs::shutdown(NEVER).unwrap().stats);
    count(&of_its_own.shutdown(NEVER).unwrap().stats);
    drop(guard);
}

/// A server that forks its workers, each with a runtime of its own.
pub(super) fn of_workers(url: &str) {
    let guard = enable(url);
    span("of the master");
    let serve = || {
        let guard = enable(url);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let requests = (0..25).map(|_| tokio::spawn(async { span("of a worker") }));
            for request in requests.collect::<Vec<_>>() {
                request.await.unwrap();
            }
        });
        drop(guard);
    };
    let workers = [(); 4].map(|()| fork().unwrap_or_else(|| only(serve)));
    for worker in workers {
        worker.ends_well();
    }
    span("of the master");
    drop(guard);
}

/// A client that is not the global one, and a worker forked by a worker.
pub(super) fn with_a_client_of_its_own(url: &str) {
    let build = || config(url).build().unwrap();
    let client: LlmObs = build();
    client.scope(|| span("of the parent"));
    let span_of_it = client.scope(|| Span::task("of the parent").start());
    let Some(child) = fork() else {
        only(|| {
            client.scope(|| span("nowhere"));
            llmobs::submit_evaluation(&span_of_it, Evaluation::new("nowhere", 1)).unwrap();
            drop(span_of_it);
            drop(client);
            let client = build();
            client.scope(|| span("of the child"));
            let Some(grandchild) = fork() else {
                only(|| {
                    client.scope(|| span("nowhere"));
                    drop(client);
                    let client = build();
                    client.scope(|| span("of the grandchild"));
                    let target = EvaluationTarget::span("1", "2");
                    let evaluation = Evaluation::new("of_the_grandchild", 1);
                    client.scope(|| llmobs::submit_evaluation(target, evaluation).unwrap());
                    client.shutdown(NEVER).unwrap();
                })
            };
            grandchild.ends_well();
            client.shutdown(NEVER).unwrap();
        })
    };
    child.ends_well();
    span_of_it.finish().unwrap();
    client.shutdown(NEVER).unwrap();
}

/// The child of a program with a hook for signals ends by them at once, and alone.
pub(super) fn with_signals(url: &str) {
    let guard = config(url).shutdown_on_signals(NEVER).enable().unwrap();
    span("of the parent");
    let Some(child) = fork() else {
        only(|| {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        })
    };
    // SAFETY: a child of ours.
    assert_eq!(unsafe { libc::kill(child.0, libc::SIGTERM) }, 0);
    let status = child.status();
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGTERM);
    assert!(llmobs::is_enabled());
    let Some(again) = fork() else {
        only(|| {
            let _guard = config(url).shutdown_on_signals(NEVER).enable().unwrap();
            span("of the child");
            // SAFETY: of this very process.
            unsafe { libc::kill(libc::getpid(), libc::SIGINT) };
            std::thread::sleep(NEVER);
        })
    };
    let status = again.status();
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGINT);
    assert!(llmobs::is_enabled());
    drop(guard);
}
