//! The flow of a span and its evaluation through the runtime alone.

use std::time::Duration;

use llmobs::{
    Annotation, Config, Destination, Evaluation, EvaluationError, LlmObs, Memory, Span,
    SpanContext, annotate, export_span, submit_evaluation,
};

const SOON: Duration = Duration::from_secs(60);

fn client() -> (LlmObs, Memory) {
    let memory = Memory::new();
    let config = Config::new()
        .ml_app("app")
        .destination(Destination::Memory(memory.clone()));
    (config.build().unwrap(), memory)
}

#[test]
fn a_span_and_its_evaluation_arrive_joined() {
    let (client, memory) = client();
    client.scope(|| {
        let span = Span::llm("generate").model_name("m").start();
        let _in = span.enter();
        annotate(
            None,
            Annotation::new().input("hi").metric("input_tokens", 3),
        )
        .unwrap();
        submit_evaluation(export_span(None), Evaluation::new("good", true)).unwrap();
        let child = Span::tool("look").start();
        child.finish().unwrap();
    });
    let report = client.flush(SOON).unwrap();
    assert_eq!(report.stats.spans().delivered, 2);
    assert_eq!(report.stats.waiting(), 0);
    let spans = memory.spans();
    let (child, parent) = (&spans[0], &spans[1]);
    assert_eq!(child["parent_id"], parent["span_id"]);
    assert_eq!(child["trace_id"], parent["trace_id"]);
    assert_eq!(parent["metrics"]["input_tokens"], 3);
    let evaluations = memory.evaluations();
    assert_eq!(
        evaluations[0]["join_on"]["span"]["span_id"],
        parent["span_id"]
    );
    client.shutdown(SOON).unwrap();
}

#[test]
fn without_a_span_an_evaluation_is_refused_and_counted() {
    let (client, _memory) = client();
    client.scope(|| {
        let none: Option<SpanContext> = export_span(None);
        let error = submit_evaluation(none, Evaluation::new("lonely", 1)).unwrap_err();
        assert!(matches!(&error, EvaluationError::NoSpan { label } if label == "lonely"));
    });
    assert_eq!(client.stats().rejected, 1);
    client.shutdown(SOON).unwrap();
}

#[test]
fn a_tight_loop_loses_nothing() {
    let (client, memory) = client();
    client.scope(|| {
        for _ in 0..10_000 {
            let span = Span::task("t").start();
            let context = span.context();
            span.finish().unwrap();
            submit_evaluation(context, Evaluation::new("n", 1)).unwrap();
        }
    });
    let report = client.shutdown(SOON).unwrap();
    assert_eq!(report.stats.spans().delivered, 10_000);
    assert_eq!(report.stats.evaluations().delivered, 10_000);
    assert_eq!(memory.spans().len(), 10_000);
    assert_eq!(memory.evaluations().len(), 10_000);
}

#[test]
fn metadata_is_cut_where_it_nests_without_measure() {
    let (client, memory) = client();
    let deep = || (0..100).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
    client.scope(|| {
        let span = Span::task("deep").metadata("started", deep()).start();
        span.annotate(Annotation::new().metadata("annotated", deep()))
            .unwrap();
    });
    client.flush(SOON).unwrap();
    let metadata = memory.spans()[0]["meta"]["metadata"].to_string();
    assert_eq!(metadata.matches("…[deeper than 64 levels]").count(), 2);
    client.shutdown(SOON).unwrap();
}
