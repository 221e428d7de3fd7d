//! The attributes: names, kinds, and the function that everybody writes first.

use llmobs::{Annotation, Evaluation, SpanContext};
use llmobs::{agent, embedding, llm, retrieval, task, tool, workflow};
use llmobs_tests::{Exemptions, tree};

use crate::twin::Twin;

#[llm(
    model_name = "claude",
    name = "invoke_llm",
    model_provider = "anthropic"
)]
fn llm_call(prompt: &str) -> (String, Option<SpanContext>) {
    let completion = format!("completion of {prompt}");
    let span_context = llmobs::export_span(None);
    llmobs::submit_evaluation(&span_context, Evaluation::new("sentiment", 10)).unwrap();
    (completion, span_context)
}

#[llm(
    model_name = "claude",
    name = "invoke_llm",
    model_provider = "anthropic"
)]
fn invoke_llm() -> String {
    let span_context = llmobs::export_span(None);
    llmobs::submit_evaluation(span_context, Evaluation::new("sentiment", 10)).ok();
    "completion".to_owned()
}

#[test]
fn twin_01_llm_export_eval() {
    let twin = Twin::start("01-llm-export-eval");
    assert_eq!(twin.run(invoke_llm), "completion");
    let sent = twin.assert_equal(&Exemptions::none());
    assert_eq!(tree(&sent.spans), "llm invoke_llm\n");
}

#[test]
fn twin_01_without_an_agent() {
    let twin = Twin::agentless("01-llm-export-eval");
    assert_eq!(twin.run(invoke_llm), "completion");
    twin.assert_equal(&Exemptions::none());
}

#[test]
fn twin_01_the_exported_context_is_the_spans() {
    let twin = Twin::start("01-llm-export-eval");
    let (_, context) = twin.run(|| llm_call("a prompt"));
    let context = context.unwrap();
    // The pair that is returned is no text: one message with its JSON.
    let text = serde_json::to_string(&("completion of a prompt", &context)).unwrap();
    let pointer = "/meta/output/messages/0/content";
    let exemptions = Exemptions::none().expect("invoke_llm", pointer, text.into());
    let sent = twin.assert_equal(&exemptions);
    let span = sent.span("invoke_llm");
    assert_eq!(span["span_id"], *context.span_id());
    assert_eq!(span["trace_id"], *context.trace_id());
}

#[llm]
fn my_llm() {}
#[embedding]
fn my_embedding() {}
#[workflow]
fn my_workflow() {}
#[task]
fn my_task() {}
#[tool]
fn my_tool() {}
#[retrieval]
fn my_retrieval() {}
#[agent]
fn my_agent() {}

#[test]
fn twin_02_kinds_by_decorator_bare() {
    let twin = Twin::start("02-kinds-by-decorator-bare");
    twin.run(|| {
        my_llm();
        my_embedding();
        my_workflow();
        my_task();
        my_tool();
        my_retrieval();
        my_agent();
    });
    twin.assert_equal(&Exemptions::none());
}

fn no_name() -> &'static str {
    panic!("arguments are evaluated only while enabled")
}

#[workflow(name = no_name())]
fn add(a: i32, b: i32) -> i32 {
    llmobs::annotate(None, Annotation::new().input("in")).unwrap();
    assert_eq!(llmobs::export_span(None), None);
    a + b
}

#[test]
fn twin_38_disabled_functions_run_untouched() {
    let twin = Twin::start("38-disabled");
    assert_eq!(twin.run(|| add(2, 3)), 5);
    let sent = twin.assert_equal(&Exemptions::none());
    assert!(sent.requests.is_empty());
}
