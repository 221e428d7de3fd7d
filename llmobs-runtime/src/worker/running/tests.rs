//! The worker's loop, step by step; and flushes that are given up while a server hangs.

use std::future::Future;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::config::{Config, Destination};
use crate::export::memory::Memory;
use crate::processor::Verdict;
use crate::stats::Front;
use crate::worker::Worker;
use crate::worker::queue::Finished;

/// How many flushes are given up in each way.
const MANY: usize = 200;
/// Longer than the test takes.
const NEVER: Duration = Duration::from_secs(3_600);

/// With processors the time of a flush is kept in another way.
fn configs(server: &TcpListener) -> [Config; 2] {
    let url = format!("http://{}", server.local_addr().unwrap());
    let config = || {
        let config = Config::new().ml_app("worker").timeout(NEVER);
        let config = config.agentless(true).override_origin(&*url);
        config.api_key("0123456789abcdef0123456789abcdef")
    };
    [config(), config().processor(|_| Verdict::Keep)]
}

fn asked_once(flush: Pin<&mut impl Future<Output = bool>>) {
    let mut task = Context::from_waker(Waker::noop());
    assert_eq!(flush.poll(&mut task), Poll::Pending);
}

/// Does all that was asked by now; lanes may have told something beside it.
async fn obeyed(running: &mut Running, control: &mut UnboundedReceiver<Control>) {
    while let Ok(message) = control.try_recv() {
        running.obey(message).await;
    }
}

fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(test);
}

#[test]
fn the_worker_forgets_flushes_that_are_given_up() {
    run(given_up_at_work());
}

async fn given_up_at_work() {
    // The kernel takes connections for it, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for config in configs(&silent) {
        let (worker, start) = Worker::new(&config.settings().unwrap());
        let (mut control, _died, mut running, _) = Running::open(start, &Weak::new()).await;
        let budget = Arc::clone(&running.receiver.budget);
        let json = Bytes::from_static(b"{}");
        let event = Event::new(EventKind::Span, json, 0, budget, 0);
        running.lanes.submit(EventKind::Span, &[event]);

        let mut awaited = Box::pin(worker.flush_async(NEVER));
        asked_once(awaited.as_mut());
        obeyed(&mut running, &mut control).await;
        running.answer_flushes();
        assert_eq!(running.flushes.len(), 1, "nothing is delivered");

        let mut before = Vec::new();
        for _ in 0..MANY {
            // Given up before the worker hears of it.
            asked_once(Box::pin(worker.flush_async(NEVER)).as_mut());
            obeyed(&mut running, &mut control).await;
            assert_eq!(running.flushes.len(), 1 + before.len());
            // And after.
            let mut flush = Box::pin(worker.flush_async(NEVER));
            asked_once(flush.as_mut());
            obeyed(&mut running, &mut control).await;
            before.push(flush);
        }
        running.answer_flushes();
        assert_eq!(running.flushes.len(), 1 + MANY);
        drop(before);
        running.answer_flushes();
        assert_eq!(running.flushes.len(), 1);
        asked_once(awaited.as_mut());
    }
}

/// While the destination is looked for, flushes wait apart.
#[test]
fn the_search_for_an_agent_keeps_one_flush_of_those_that_are_given_up() {
    run(given_up_meanwhile());
}

async fn given_up_meanwhile() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let config = Config::new().ml_app("worker").timeout(NEVER).agent_url(url);
    let config = config.api_key("0123456789abcdef0123456789abcdef");
    let mut settings = config.settings().unwrap();
    // One that is named needs no search.
    settings.agent.named = false;
    let (worker, start) = Worker::new(&settings);
    let Start {
        mut control,
        closing,
        ..
    } = start;
    for _ in 0..MANY {
        asked_once(Box::pin(worker.flush_async(NEVER)).as_mut());
    }
    let mut awaited = Box::pin(worker.flush_async(NEVER));
    asked_once(awaited.as_mut());
    // Ends the search at its next look.
    closing.deadline.set(Instant::now()).unwrap();
    let (_, early) = choose(&settings, &closing, &mut control).await;
    assert_eq!(
        early.len(),
        2,
        "one to send what is there, and the one that is awaited"
    );
}

/// While a shutdown has time, half of it is for the search.
#[test]
fn the_search_for_an_agent_goes_on_while_a_shutdown_has_time() {
    run(async {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let config = Config::new().ml_app("worker").timeout(NEVER).agent_url(url);
        let mut settings = config.settings().unwrap();
        settings.agent.named = false;
        let (_worker, start) = Worker::new(&settings);
        let (mut control, closing) = (start.control, start.closing);
        closing.deadline.set(Instant::now() + NEVER).unwrap();
        let search = pin!(choose(&settings, &closing, &mut control));
        assert!(tokio::time::timeout(TICK * 3, search).await.is_err());
    });
}

fn in_memory() -> Config {
    let config = Config::new().ml_app("worker").tracing_spans(false);
    config.destination(Destination::Memory(Memory::new()))
}

async fn opened(config: Config) -> (Worker, Running) {
    let (worker, start) = Worker::new(&config.settings().unwrap());
    let (_, _, running, _) = Running::open(start, &Weak::new()).await;
    (worker, running)
}

fn event(running: &Running, kind: EventKind) -> Arc<Event> {
    let budget = Arc::clone(&running.receiver.budget);
    budget.take(0);
    Event::new(kind, Bytes::from_static(b"{}"), 0, budget, 0)
}

fn blocking(deadline: Instant) -> (Flush, std::sync::mpsc::Receiver<bool>) {
    let (sender, answer) = std::sync::mpsc::sync_channel(1);
    let answer_to = Answer::Blocking(sender);
    let flush = Flush {
        deadline,
        answer: answer_to,
    };
    (flush, answer)
}

#[test]
fn the_worker_sleeps_until_something_is_due() {
    run(async {
        let (_worker, mut running) = opened(in_memory()).await;
        let before = Instant::now();
        assert!(running.drain().await);
        assert!(running.next_look >= before + TICK);
        running.next_look = Instant::now() + NEVER;
        assert_eq!(running.until_next_deadline(), TICK);
        let (flush, _answer) = blocking(before);
        running.flushes.push((flush, running.lanes.mark()));
        assert_eq!(running.until_next_deadline(), Duration::ZERO);
    });
}

#[test]
fn a_flush_whose_time_is_over_is_answered_though_not_everything_is_settled() {
    run(async {
        let (_worker, mut running) = opened(in_memory()).await;
        let (over, answer) = blocking(Instant::now());
        let (waits, later) = blocking(Instant::now() + NEVER);
        for flush in [over, waits] {
            running.flushes.push((flush, Mark::NEVER));
        }
        running.answer_flushes();
        assert_eq!(answer.try_recv(), Ok(false));
        assert_eq!(running.flushes.len(), 1);
        later.try_recv().unwrap_err();
    });
}

#[test]
fn spans_go_to_the_lanes_before_what_is_said_of_them() {
    run(async {
        let (_worker, mut running) = opened(in_memory()).await;
        let (span, said) = (EventKind::Span, EventKind::Evaluation);
        let gathered = event(&running, span);
        assert!(running.gatherings[span as usize].add(gathered).is_none());
        let events = [event(&running, said)];
        running.submit(said, &events);
        assert!(running.gatherings[span as usize].seal().is_none());
    });
}

#[test]
fn what_a_worker_holds_when_it_dies_is_counted() {
    run(async {
        let (_worker, mut running) = opened(in_memory()).await;
        let gathered = event(&running, EventKind::Span);
        assert!(
            running.gatherings[EventKind::Span as usize]
                .add(gathered)
                .is_none()
        );
        running.at_hand = Some(EventKind::Evaluation);
        let ledgers = running.lanes.ledgers();
        drop(running);
        let stats = Front::default().stats(&[&ledgers[0]], || 1);
        let shutdown = [(DropReason::Shutdown, 1)];
        assert_eq!(stats.spans().dropped, shutdown);
        assert_eq!(stats.evaluations().dropped, shutdown);
    });
}

#[test]
fn without_a_spool_nothing_is_encoded_once_the_time_of_a_shutdown_is_over() {
    let name = format!("llmobs-running-{}", fastrand::u64(..));
    let dir = std::env::temp_dir().join(name);
    let spooled = Config::new().agent_url("http://127.0.0.1:9").spool(true);
    for (config, goes_on) in [(in_memory(), false), (spooled.dir(&dir), true)] {
        run(async {
            let (_worker, mut running) = opened(config).await;
            assert!(running.drain().await, "there is time");
            running.closing.deadline.set(Instant::now()).unwrap();
            assert_eq!(running.drain().await, goes_on);
        });
    }
    drop(std::fs::remove_dir_all(dir));
}

#[test]
fn requests_get_their_turn_while_a_processor_takes_its_time() {
    run(async {
        let slow = in_memory().processor(|_| {
            std::thread::sleep(TURN);
            Verdict::Keep
        });
        let (worker, mut running) = opened(slow).await;
        let client = ClientInner::idle(in_memory().settings().unwrap());
        let buffer = worker.open_buffer();
        for _ in 0..9 {
            let span = Arc::new(SpanInner::of_nothing(&client));
            assert!(buffer.push(Finished::Shared(span.into()), 1).is_ok());
        }
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&turns);
        let requests = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        assert!(running.drain().await);
        requests.abort();
        assert!(turns.load(Ordering::Relaxed) >= 9);
    });
}
