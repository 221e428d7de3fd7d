//! Processors that take their time, and that write too much.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use llmobs::{
    Annotation, Config, Counts, Destination, DropReason, FlushError, LlmObs, Memory, ProcessedSpan,
    Span, Verdict,
};
use llmobs_tests::Intake;

use crate::client::SOON;
use crate::log;

fn client(
    intake: &Intake,
    processor: impl Fn(&mut ProcessedSpan) -> Verdict + Send + Sync + 'static,
) -> LlmObs {
    log::keep();
    let config = Config::new().ml_app("app").agent_url(intake.url());
    config.processor(processor).build().unwrap()
}

/// With a processor that hangs until what comes with it is dropped.
fn hanging(intake: &Intake) -> (LlmObs, Sender<()>) {
    let (release, gate) = channel();
    let gate = Mutex::new(gate);
    let client = client(intake, move |_| {
        let _ = gate.lock().unwrap().recv();
        Verdict::Keep
    });
    (client, release)
}

fn make(client: &LlmObs, count: usize) {
    client.scope(|| (0..count).for_each(|_| drop(Span::task("t").start())));
}

#[track_caller]
fn assert_settled(counts: &Counts) {
    assert_eq!(counts.waiting, 0, "{counts:?}");
    let settled = counts.delivered + counts.dropped_total();
    assert_eq!(counts.made, settled, "{counts:?}");
}

#[test]
fn what_slow_processors_have_not_seen_at_the_end_of_a_shutdown_is_lost_and_counted() {
    let intake = Intake::start();
    let client = client(&intake, |_| {
        thread::sleep(Duration::from_millis(20));
        Verdict::Keep
    });
    // They would take ten seconds.
    make(&client, 500);
    let error = client.shutdown(Duration::from_millis(200)).unwrap_err();
    let FlushError::Undelivered {
        dropped,
        report,
        destinations,
    } = error
    else {
        panic!("{error}");
    };
    let counts = report.stats.spans();
    assert_settled(&counts);
    assert_eq!(counts.dropped, [(DropReason::Shutdown, dropped)]);
    assert!(destinations.starts_with("agent "), "{destinations}");
}

#[test]
fn what_slow_processors_have_seen_until_the_end_of_a_shutdown_is_delivered() {
    let intake = Intake::start();
    let config = Config::new().agent_url(intake.url());
    let config = config.flush_interval(Duration::from_millis(100));
    let client = config.processor(|_| {
        thread::sleep(Duration::from_millis(20));
        Verdict::Keep
    });
    let client = client.build().unwrap();
    make(&client, 500);
    client.shutdown(Duration::from_secs(3)).unwrap_err();
    let counts = client.stats().spans();
    assert_settled(&counts);
    assert!(
        counts.delivered > 0 && !intake.spans().is_empty(),
        "{counts:?}"
    );
}

#[test]
fn a_shutdown_ends_while_a_processor_hangs_and_says_how_much_is_lost() {
    let intake = Intake::start();
    let (client, release) = hanging(&intake);
    make(&client, 40);
    let error = client.shutdown(Duration::from_millis(50)).unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("40 events were not delivered to agent "),
        "{told}"
    );
    // The lines of the log say what the counts do.
    assert_eq!(client.stats().spans().waiting, 40);
    let lines = log::lines_with(intake.url());
    let told = |part: &str| lines.iter().any(|(_, line)| line.contains(part));
    assert!(told("40 events for agent "), "{lines:?}");
    assert!(!told("are lost"), "{lines:?}");
    let again = client.shutdown(Duration::from_millis(50)).unwrap_err();
    assert!(
        matches!(again, FlushError::Timeout { waiting: 40, .. }),
        "{again}"
    );
    drop(release);
    // Whether the worker is about to end or has ended: what was lost stays lost.
    for _ in 0..20 {
        let again = client.shutdown(SOON).unwrap_err();
        assert!(
            matches!(again, FlushError::Undelivered { dropped: 40, .. }),
            "{again}"
        );
        thread::sleep(Duration::from_millis(2));
    }
    assert_settled(&client.stats().spans());
    assert_eq!(client.stats().spans().dropped, [(DropReason::Shutdown, 40)]);
    client.flush(SOON).unwrap();
}

#[tokio::test]
async fn a_flush_that_is_awaited_keeps_its_time_while_a_processor_hangs() {
    let intake = Intake::start();
    let (client, release) = hanging(&intake);
    make(&client, 3);
    let flush = client.flush_async(Duration::from_millis(50));
    let error = tokio::time::timeout(SOON, flush)
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(error, FlushError::Timeout { waiting: 3, .. }),
        "{error}"
    );
    drop(release);
    client.flush_async(SOON).await.unwrap();
    assert_eq!(client.stats().spans().delivered, 3);
}

#[test]
fn what_a_processor_makes_too_large_is_cut_and_arrives() {
    let intake = Intake::start();
    // Less than the wire takes, which a debug build spends a minute on, on a busy machine.
    let config = Config::new().ml_app("app").agent_url(intake.url());
    let config = config.event_size_bytes(200_000).processor(|span| {
        let big = "x".repeat(300_000);
        match span.name() {
            "value" => span.input_mut().set_value(big),
            "metadata" => span.set_metadata("k", big),
            "tag" => span.set_tag("k", big),
            "session" => span.set_session_id(big),
            "name" => span.set_name(big),
            _ => span.redact(|text| text.clone_from(&big)),
        }
        Verdict::Keep
    });
    let client = config.build().unwrap();
    client.scope(|| {
        for name in ["value", "metadata", "tag", "session", "name", "everything"] {
            let annotation = Annotation::new().input("i").tag("t", "v");
            Span::task(name).start().annotate(annotation).unwrap();
        }
    });
    let counts = client.shutdown(SOON).unwrap().stats.spans();
    assert_settled(&counts);
    assert_eq!(counts.delivered, 6);
    let spans = intake.spans();
    for span in &spans {
        assert_eq!(span["collection_errors"][0], "dropped_io");
        assert!(span.to_string().contains(" bytes cut]…"));
    }
    assert_eq!(spans[0]["name"], "value");
}

#[test]
fn a_span_that_a_processor_drops_is_counted_at_every_destination() {
    let memories = [Memory::new(), Memory::new()];
    let mut config = Config::new().processor(|span| match span.name() {
        "dropped" => Verdict::Drop,
        _ => Verdict::Keep,
    });
    for memory in &memories {
        config = config.destination(Destination::Memory(memory.clone()));
    }
    let client = config.build().unwrap();
    client.scope(|| {
        for name in ["dropped", "kept", "dropped"] {
            drop(Span::task(name).start());
        }
    });
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!(stats.destinations.len(), 2);
    for destination in &stats.destinations {
        assert_settled(&destination.spans);
        assert_eq!(destination.spans.dropped, [(DropReason::Processor, 2)]);
    }
}
