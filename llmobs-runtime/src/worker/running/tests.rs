//! Flushes that are given up while a server hangs.

use std::future::Future;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::config::Config;
use crate::processor::Verdict;
use crate::worker::Worker;

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
