//! Spans of the past and feedback: what lapdog makes of them, through its Agent.

use std::time::{Duration, SystemTime};

use llmobs::{
    Config, Feedback, FeedbackTarget, FeedbackValue, PastSpan, RowResult, SpanKind, SpansClient,
    Submitter,
};
use serde_json::{Value, json};

use crate::lapdog::{Lapdog, Stored};

const EVALUATIONS: &str = "/evp_proxy/v2/api/intake/llm-obs/v2/eval-metric";

fn config(lapdog: &Lapdog) -> Config {
    Config::new().ml_app("import").agent_url(lapdog.url())
}

fn turn(question: &str) -> [PastSpan; 2] {
    let start = SystemTime::now() - Duration::from_secs(600);
    let turn = PastSpan::new(SpanKind::Workflow, "turn", start, Duration::from_secs(2))
        .session_id("chat-9")
        .input(question);
    let call = PastSpan::new(SpanKind::Llm, "generate", start, Duration::from_secs(1))
        .child_of(&turn)
        .model_name("claude")
        .input(("user", question))
        .output(("assistant", "In Oslo."));
    [turn, call]
}

#[test]
fn lapdog_reads_spans_of_the_past_as_they_were_told() {
    let lapdog = Lapdog::start();
    let client = SpansClient::new(config(&lapdog)).expect("a legal configuration");
    // Two traces: for an unknown id lapdog shows the newest.
    let (first, second) = (turn("Where is it?"), turn("And now?"));
    let results = client.submit(first.iter().chain(&second).cloned());
    assert!(results.iter().all(RowResult::is_sent), "{results:?}");
    for ([turn, call], question) in [(&first, "Where is it?"), (&second, "And now?")] {
        let read = lapdog.trace(turn.trace_id());
        let seen = &read["spans"][call.span_id()];
        assert_eq!(seen["name"], "generate");
        assert_eq!(seen["parent_id"], turn.span_id());
        assert_eq!(seen["meta"]["span"]["kind"], "llm");
        let messages = json!([{"content": question, "role": "user"}]);
        assert_eq!(seen["meta"]["input"]["messages"], messages);
        let root = &read["spans"][turn.span_id()];
        assert_eq!(root["meta"]["span"]["kind"], "workflow");
        assert_eq!(root["meta"]["input"]["value"], question);
    }
}

#[test]
fn lapdog_takes_feedback_of_every_type() {
    let lapdog = Lapdog::start();
    let client = config(&lapdog).build().expect("a legal configuration");
    client.scope(|| {
        let values: [FeedbackValue; 5] = [
            true.into(),
            4.into(),
            "too_long".into(),
            json!({"a": 1}).into(),
            FeedbackValue::text("Short and right."),
        ];
        for value in values {
            let submitter = Submitter::new("user-17").of_type("user");
            let feedback = Feedback::new("opinion", value, submitter);
            let target = FeedbackTarget::session_id("chat-9");
            llmobs::submit_feedback(target, feedback).expect("legal feedback");
        }
    });
    let report = client.shutdown(Duration::from_secs(20)).expect("an answer");
    assert_eq!(report.stats.feedback().delivered, 5);
    let metrics = |request: &Stored| {
        let metrics = request.body["data"]["attributes"]["metrics"].as_array();
        metrics.cloned().unwrap_or_default()
    };
    let stored = lapdog.stored();
    let feedback = stored.iter().filter(|request| request.path == EVALUATIONS);
    let feedback: Vec<Value> = feedback.flat_map(metrics).collect();
    let types: Vec<_> = feedback.iter().map(|one| &one["metric_type"]).collect();
    assert_eq!(types, ["boolean", "score", "categorical", "json", "text"]);
    assert!(feedback.iter().all(|one| one["session_id"] == "chat-9"));
}
