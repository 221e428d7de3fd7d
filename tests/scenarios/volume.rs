//! Many events at once, and how much of each leaves.

use std::collections::HashSet;

use llmobs::{Config, Evaluation, Span};

use crate::client::Client;

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
    use llmobs::{Annotation, Capture};
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
