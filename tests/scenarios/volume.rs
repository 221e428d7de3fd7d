//! Many events at once, and how much of each leaves.

use std::collections::HashSet;

use llmobs::{Annotation, Capture, Config, DropReason, Evaluation, EvaluationTarget, Span};
use llmobs_tests::Reply;
use serde_json::json;

use crate::client::{Client, SOON};
use crate::log;

#[test]
fn ten_thousand_spans_and_ten_thousand_evaluations_in_a_tight_loop_all_arrive() {
    const COUNT: usize = 10_000;
    let sent = Client::start().sent_by(|| {
        for _ in 0..COUNT {
            let _in = Span::llm("answer").model_name("m").start().enter();
            let evaluation = Evaluation::new("quality", 0.5);
            llmobs::submit_evaluation(llmobs::export_span(None), evaluation).unwrap();
        }
    });
    let spans: HashSet<&str> = sent
        .spans
        .iter()
        .filter_map(|span| span["span_id"].as_str())
        .collect();
    let evaluated: HashSet<&str> = sent
        .evaluations
        .iter()
        .filter_map(|one| one["join_on"]["span"]["span_id"].as_str())
        .collect();
    assert_eq!(spans.len(), COUNT);
    assert!(spans == evaluated, "each evaluation has its span");
}

#[test]
fn threads_that_finish_spans_at_once_lose_none() {
    let client = Client::start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                client.run(|| {
                    for _ in 0..500 {
                        drop(Span::task("t").start());
                    }
                });
            });
        }
    });
    assert_eq!(client.sent().spans.len(), 4_000);
}

#[test]
fn capture_decides_what_leaves() {
    for (capture, io, metadata) in [
        (Capture::Full, true, true),
        (Capture::Metadata, false, true),
        (Capture::None, false, false),
    ] {
        let sent = Client::configured(Config::new().capture(capture)).sent_by(|| {
            let annotation = Annotation::new().input("secret in").output("secret out");
            let annotation = annotation.metadata("k", "secret too").metric("tokens", 1);
            Span::llm("l").start().annotate(annotation).unwrap();
        });
        let span = sent.span("l");
        let text = span.to_string();
        assert_eq!(text.contains("secret in"), io, "{capture:?}");
        assert_eq!(text.contains("secret out"), io, "{capture:?}");
        assert_eq!(text.contains("secret too"), metadata, "{capture:?}");
        assert_eq!(span["metrics"]["tokens"], 1, "{capture:?}");
    }
}

#[test]
fn no_body_is_larger_than_the_configuration_allows_envelopes_included() {
    const LARGEST: usize = 5_000;
    let client = Client::configured(Config::new().payload_size_bytes(LARGEST));
    client.run(|| {
        for index in 0..100 {
            let _in = Span::task(format!("t{index}")).start().enter();
            let evaluation = Evaluation::new("quality", index);
            llmobs::submit_evaluation(llmobs::export_span(None), evaluation).unwrap();
        }
    });
    client.handle().flush(SOON).unwrap();
    let sizes: Vec<usize> = client
        .intake()
        .requests()
        .iter()
        .map(|request| request.body.len())
        .collect();
    assert!(sizes.iter().all(|size| *size <= LARGEST), "{sizes:?}");
    // As full as they can be: an event of each kind has less than 600 bytes.
    let full = sizes.iter().filter(|size| **size > LARGEST - 700).count();
    assert!(full >= sizes.len() - 2, "{sizes:?}");
    assert_eq!(client.sent().spans.len(), 100);
}

#[test]
fn what_is_too_large_is_cut_and_holds_up_nothing() {
    let client = Client::configured(Config::new().payload_size_bytes(20_000));
    let huge = "x".repeat(30_000);
    client.run(|| {
        let span = Span::task("huge metadata").start();
        let annotation = Annotation::new().metadata("huge", huge.as_str());
        span.annotate(annotation).unwrap();
        let span = Span::task("huge input").start();
        span.annotate(Annotation::new().input(&huge)).unwrap();
        let target = || EvaluationTarget::span("1", "2");
        let evaluation = Evaluation::new("huge", 1).reasoning(&huge);
        llmobs::submit_evaluation(target(), evaluation).unwrap();
        drop(Span::task("small").start());
        llmobs::submit_evaluation(target(), Evaluation::new("small", 1)).unwrap();
    });
    let stats = client.handle().shutdown(SOON).unwrap().stats;
    assert_eq!(
        (stats.spans().delivered, stats.evaluations().delivered),
        (3, 2)
    );
    assert_eq!((stats.cut, stats.dropped()), (3, 0));
    // Told once in a process, maybe by the test beside.
    let lines = log::lines_with("`stats().cut` counts such events");
    assert!(
        lines
            .iter()
            .any(|(_, line)| line.starts_with("span ") && line.contains("limit is")),
        "{lines:?}"
    );
    let spans = client.intake().spans();
    for span in &spans {
        let errors = (span["name"] != "small").then(|| json!(["dropped_io"]));
        assert_eq!(span.get("collection_errors"), errors.as_ref(), "{span}");
    }
    assert_eq!(client.intake().evaluations()[1]["label"], "small");
}

#[test]
fn past_the_limits_the_newest_are_dropped_and_counted() {
    for (config, reason) in [
        (Config::new().max_events(10), DropReason::QueueFull),
        (Config::new().max_bytes(10_000), DropReason::MemoryFull),
    ] {
        let client = Client::configured(config);
        client.intake().info(Reply::status(503));
        client.run(|| {
            for index in 0..500 {
                drop(Span::task(format!("t{index}")).start());
            }
        });
        client.intake().endpoints(&["/evp_proxy/v2/"]);
        let stats = client.handle().shutdown(SOON).unwrap().stats;
        let spans = stats.spans();
        assert_eq!(spans.made, 500);
        assert!(spans.delivered > 0 && spans.waiting == 0, "{spans:?}");
        assert_eq!(spans.dropped, [(reason, 500 - spans.delivered)]);
        let arrived = client.intake().spans();
        assert_eq!(arrived.len() as u64, spans.delivered);
        assert_eq!(arrived[0]["name"], "t0", "the oldest stay");
        let total = format!("are lost: {} {reason}", 500 - spans.delivered);
        let lines = log::lines_with(&stats.destinations[0].name);
        assert!(
            lines.iter().any(|(_, line)| line.ends_with(&total)),
            "{lines:?}"
        );
    }
}
