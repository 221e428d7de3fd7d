//! A process whose clients are all gone is as one that never had any. The only test of its
//! program, since whether a client is open is known to the whole process.

use std::time::{Duration, Instant};

use llmobs::{Annotation, Config, Destination, LlmObs, Memory, Span};

fn client() -> LlmObs {
    let config = Config::new().destination(Destination::Memory(Memory::new()));
    config.build().unwrap()
}

#[test]
fn a_client_that_is_dropped_without_a_shutdown_leaves_llmobs_off() {
    // What belongs to a client that was shut down tells whether another one is open.
    let closed = client();
    let ended = closed.scope(|| Span::task("t").start());
    closed.shutdown(Duration::from_secs(60)).unwrap();
    ended.finish().unwrap();
    let is_off = || llmobs::annotate(&ended, Annotation::new()).is_ok();
    assert!(is_off());

    let dropped = client();
    assert!(!is_off());
    dropped.scope(|| drop(Span::task("t").start()));
    drop(dropped);
    // The worker has a span of it, which it lets go of when that is sent.
    let started = Instant::now();
    while !is_off() {
        assert!(started.elapsed() < Duration::from_secs(10), "still open");
        std::thread::yield_now();
    }
}
