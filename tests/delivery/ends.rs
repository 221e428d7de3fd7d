//! Flushes and shutdowns that meet.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use llmobs::{Config, DropReason, FlushError};
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;

use crate::{Folder, SOON, client, make_spans};

/// An intake that takes its time for the first answer: a second, by asking to be tried again.
fn slow() -> Intake {
    let intake = Intake::start();
    intake.replies([Reply::status(429).header("Retry-After", "1")]);
    intake
}

#[test]
fn a_second_shutdown_and_a_flush_wait_for_the_first() {
    let intake = slow();
    let client = client(Config::new().agent_url(intake.url()));
    make_spans(&client, &["a"]);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.shutdown(SOON).unwrap());
        intake.wait_for(|requests| requests.len() == 1, SOON);
        let flush = scope.spawn(|| client.flush(SOON).unwrap());
        for report in [
            client.shutdown(SOON).unwrap(),
            flush.join().unwrap(),
            first.join().unwrap(),
        ] {
            assert_eq!(report.stats.spans().delivered, 1);
            assert_eq!(report.stats.waiting(), 0);
        }
    });
    // Once it is over there is nothing to wait for.
    let started = Instant::now();
    client.flush(SOON).unwrap();
    client.shutdown(SOON).unwrap();
    assert!(started.elapsed() < SOON / 2);
}

#[test]
fn a_flush_during_a_shutdown_keeps_its_own_time() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let client = client(Config::new().agent_url(intake.url()));
    make_spans(&client, &["a"]);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.shutdown(Duration::from_secs(3)).unwrap_err());
        intake.wait_for(|requests| requests.len() == 1, SOON);
        let error = client.flush(Duration::from_millis(50)).unwrap_err();
        let FlushError::Timeout { waiting, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(waiting, 1, "the shutdown is still at work");
        first.join().unwrap();
    });
    assert_eq!(client.stats().spans().dropped, [(DropReason::Shutdown, 1)]);
}

#[test]
fn what_waits_in_a_client_that_is_dropped_is_sent_all_the_same() {
    let intake = Intake::start();
    let client = client(Config::new().agent_url(intake.url()));
    make_spans(&client, &["a"]);
    drop(client);
    intake.wait_for_spans(1, SOON);
}

#[test]
fn a_flush_keeps_its_time_while_the_destination_is_looked_for() {
    // A place where something listens that never answers: the look takes two seconds.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let vars = |name: &str| (name == "DD_TRACE_AGENT_PORT").then(|| port.clone().into());
    let folder = Folder::new();
    let client = client(Config::from_vars(vars).unwrap().dir(&folder.0));
    make_spans(&client, &["a"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let flush = client.flush_async(Duration::from_millis(50));
    let error = runtime.block_on(flush).unwrap_err();
    assert!(matches!(error, FlushError::Timeout { waiting: 1, .. }));
    std::thread::scope(|scope| {
        let asked = [(); 3].map(|()| scope.spawn(|| client.shutdown(SOON).unwrap()));
        for report in asked.map(|asked| asked.join().unwrap()) {
            assert_eq!(report.stats.spans().delivered, 1);
        }
    });
    assert_eq!(folder.journal().len(), 1);
}

#[test]
fn a_shutdown_looks_for_a_destination_for_half_of_its_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let vars = |name: &str| (name == "DD_TRACE_AGENT_PORT").then(|| port.clone().into());
    let folder = Folder::new();
    let client = client(Config::from_vars(vars).unwrap().dir(&folder.0));
    make_spans(&client, &["a"]);
    // Less than the look takes, and the journal needs some of it.
    let report = client.shutdown(Duration::from_millis(3_500)).unwrap();
    assert_eq!(report.stats.spans().delivered, 1);
    assert_eq!(folder.journal().len(), 1);
}
