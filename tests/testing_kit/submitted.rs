//! Evaluations, on their spans and elsewhere.

use llmobs::testing;
use llmobs::{Assessment, Evaluation, EvaluationTarget, Span, llm};
use serde_json::json;

#[llm(tags(msg_id = "m1"))]
fn ask() -> String {
    let evaluation = Evaluation::new("sentiment", 10)
        .assessment(Assessment::Pass)
        .reasoning("it smiles")
        .tag("evaluator", "words")
        .metadata("k", 1);
    llmobs::submit_evaluation(llmobs::export_span(None), evaluation).unwrap();
    "Hi".into()
}

#[test]
fn an_evaluation_is_found_on_its_span() {
    let llmobs = testing::client();
    llmobs.scope(ask);
    let finished = llmobs.finished();
    let sentiment = finished.span("ask").evaluation("sentiment");
    assert_eq!(*sentiment.value(), 10);
    assert_eq!(sentiment.metric_type(), "score");
    assert_eq!(sentiment.assessment(), Some("pass"));
    assert_eq!(sentiment.reasoning(), Some("it smiles"));
    assert_eq!(sentiment.tag("evaluator"), Some("words"));
    assert_eq!(sentiment.metadata("k"), Some(&json!(1)));
    assert_eq!(sentiment.ml_app(), "unnamed-ml-app");
    assert_eq!(sentiment.span().unwrap().name(), "ask");
    assert_eq!(sentiment.json()["label"], "sentiment");
    sentiment.assert_value(10);
    finished.evaluation("sentiment").assert_value(10);
    assert_eq!(finished.span("ask").evaluations().len(), 1);
}

#[test]
fn a_tree_shows_evaluations_below_their_span_and_those_without_at_the_end() {
    let llmobs = testing::client();
    llmobs.scope(|| {
        let _in = Span::workflow("root").start().enter();
        ask();
        let submit = |target: EvaluationTarget, label: &str, value: &str| {
            llmobs::submit_evaluation(target, Evaluation::new(label, value)).unwrap();
        };
        submit(EvaluationTarget::tag("msg_id", "m1"), "by_tag", "fine");
        submit(EvaluationTarget::span("1", "2"), "past", "good");
        submit(EvaluationTarget::tag("msg_id", "m2"), "other", "good");
        let root = llmobs::export_span(None);
        submit(root.into(), "whole", "ok");
    });
    let finished = llmobs.finished();
    finished.tree().evaluations().assert_is(
        "
        workflow root
          = whole: ok
          llm ask
            = sentiment: 10 [pass]
            = by_tag: fine
        = past: good [span elsewhere]
        = other: good [tag msg_id:m2]
        ",
    );
    assert_eq!(finished.tree(), "workflow root\n  llm ask\n");
    assert!(finished.evaluation("past").span().is_none());
    assert_eq!(finished.evaluation("by_tag").span().unwrap().name(), "ask");
    let labels: Vec<&str> = finished
        .evaluations()
        .iter()
        .map(|one| one.label())
        .collect();
    assert_eq!(labels, ["sentiment", "by_tag", "past", "other", "whole"]);
    assert!(finished.feedback().is_empty());
}

#[test]
fn a_span_context_is_the_one_that_was_exported() {
    let llmobs = testing::client();
    let exported = llmobs.scope(|| {
        let _in = Span::task("one").start().enter();
        llmobs::export_span(None).unwrap()
    });
    assert_eq!(llmobs.finished().span("one").context(), exported);
}
