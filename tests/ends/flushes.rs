//! Flushes and shutdowns from wherever they are asked for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use llmobs::{Config, DropReason, FlushError, LlmObs, Span};
use llmobs_tests::{Intake, Reply};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

/// A client whose events wait until somebody flushes.
fn client(intake: &Intake) -> LlmObs {
    let config = Config::new().ml_app("flushes").agent_url(intake.url());
    let never = Duration::from_secs(3600);
    config.flush_interval(never).timeout(never).build().unwrap()
}

#[test]
fn a_flush_whose_time_is_over_is_an_error_only_where_something_waits() {
    let memory = llmobs::Memory::new();
    let config = Config::new().destination(llmobs::Destination::Memory(memory));
    let client = config.build().unwrap();
    for turn in 0..2_000 {
        span(&client);
        match client.flush(Duration::from_micros(turn % 300)) {
            Ok(_) => {}
            Err(FlushError::Timeout { waiting, .. }) => assert!(waiting > 0),
            Err(error) => panic!("{error}"),
        }
    }
    client.shutdown(SOON).unwrap();
}

/// How many threads this program has of those that keep the time of flushes.
#[cfg(target_os = "linux")]
fn threads_that_keep_time() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    let names = tasks.filter_map(name);
    names.filter(|name| name.trim() == "llmobs-flush").count()
}

#[test]
#[cfg(target_os = "linux")]
fn flushes_that_are_given_up_leave_no_thread_behind() {
    let intake = hanging();
    let config = Config::new().ml_app("flushes").agent_url(intake.url());
    let never = Duration::from_secs(3600);
    let client = config.processor(|_| llmobs::Verdict::Keep).timeout(never);
    let client = client.build().unwrap();
    let mut task = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        span(&client);
        let mut flush = pin!(client.flush_async(never));
        assert!(flush.as_mut().poll(&mut task).is_pending());
        assert!(threads_that_keep_time() < 10, "one for a client");
    }
    let started = std::time::Instant::now();
    // Those of other tests end as well.
    while threads_that_keep_time() > 0 {
        assert!(started.elapsed() < SOON, "still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    client.shutdown(SHORT).unwrap_err();
}

fn hanging() -> Intake {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    intake
}

fn span(client: &LlmObs) {
    client.scope(|| drop(Span::task("t").start()));
}

/// Blocks the executor's thread, then does not; then ends the client.
async fn flushes(client: &LlmObs) {
    for sent in 1..=4 {
        span(client);
        let report = match sent {
            1 => client.flush(SOON),
            2 => client.flush_async(SOON).await,
            3 => client.scope_future(llmobs::flush_async(SOON)).await,
            _ => client.shutdown(SOON),
        };
        assert_eq!(report.unwrap().stats.spans().delivered, sent);
    }
}

/// What hangs is given up when the time is over.
async fn keeps_its_time(client: &LlmObs) {
    span(client);
    for result in [client.flush(SHORT), client.flush_async(SHORT).await] {
        let error = result.unwrap_err();
        assert!(matches!(error, FlushError::Timeout { waiting: 1, .. }));
    }
    let error = client.shutdown(SHORT).unwrap_err();
    assert!(matches!(error, FlushError::Undelivered { dropped: 1, .. }));
    let report = client.flush_async(SOON).await.unwrap();
    assert_eq!(report.stats.spans().dropped, [(DropReason::Shutdown, 1)]);
}

type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

fn on_every_executor(run: impl Fn(fn(Boxed<'_>))) {
    run(|future| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future);
    });
    run(|future| tokio::runtime::Runtime::new().unwrap().block_on(future));
    run(|future| futures::executor::block_on(future));
    run(|future| smol::block_on(future));
}

#[test]
fn flushes_and_shutdowns_deliver_on_every_executor() {
    on_every_executor(|block_on| {
        let intake = Intake::start();
        let client = client(&intake);
        block_on(Box::pin(flushes(&client)));
        assert_eq!(intake.accepted_spans().len(), 4);
    });
}

#[test]
fn flushes_and_shutdowns_keep_their_time_on_every_executor() {
    on_every_executor(|block_on| {
        let intake = hanging();
        block_on(Box::pin(keeps_its_time(&client(&intake))));
    });
}

#[test]
fn a_task_may_flush_on_a_runtime_with_one_thread_for_everything() {
    let intake = Intake::start();
    let client = client(&intake);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let own = client.clone();
    runtime.block_on(async move {
        let task = tokio::spawn(async move { flushes(&own).await });
        task.await.unwrap();
    });
    assert_eq!(intake.accepted_spans().len(), 4);
}

/// Ends its client when it is dropped, twice.
struct Ends(LlmObs);

impl Drop for Ends {
    fn drop(&mut self) {
        span(&self.0);
        self.0.flush(SOON).unwrap();
        for _ in 0..2 {
            let report = self.0.shutdown(SOON).unwrap();
            assert_eq!(report.stats.spans().delivered, 2);
        }
    }
}

#[test]
fn a_drop_in_the_unwind_of_a_panic_may_flush_and_shut_down() {
    let intake = Intake::start();
    let client = client(&intake);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _ends = Ends(client.clone());
        client.scope(|| {
            let _in = Span::workflow("interrupted").start().enter();
            std::panic::resume_unwind(Box::new("boom"));
        });
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"boom"));
    let spans = intake.accepted_spans();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0]["name"], "interrupted");
    assert_eq!(spans[0]["status"], "error");
}

#[test]
fn threads_may_flush_and_shut_down_at_the_same_time() {
    let intake = Intake::start();
    let client = client(&intake);
    let all = Barrier::new(8);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (client, all) = (&client, &all);
            scope.spawn(move || {
                span(client);
                all.wait();
                let report = match number % 4 {
                    0 => client.shutdown(SOON),
                    1 => smol::block_on(client.flush_async(SOON)),
                    _ => client.flush(SOON),
                };
                assert_eq!(report.unwrap().stats.spans().delivered, 8);
            });
        }
    });
    assert_eq!(intake.accepted_spans().len(), 8);
}

#[test]
fn threads_that_flush_at_a_hanging_intake_all_get_their_answer() {
    let intake = hanging();
    let client = client(&intake);
    span(&client);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| client.flush(SHORT).unwrap_err());
        }
    });
    client.shutdown(SHORT).unwrap_err();
    assert_eq!(client.stats().spans().dropped, [(DropReason::Shutdown, 1)]);
}

#[test]
fn a_flush_that_nobody_waits_for_any_more_sends_all_the_same() {
    let intake = Intake::start();
    let client = client(&intake);
    span(&client);
    {
        let mut flush = pin!(client.flush_async(SOON));
        let mut task = Context::from_waker(Waker::noop());
        let first = flush.as_mut().poll(&mut task);
        assert!(matches!(first, Poll::Pending | Poll::Ready(Ok(_))));
    }
    intake.wait_for_spans(1, SOON);
    client.shutdown(SOON).unwrap();
}
