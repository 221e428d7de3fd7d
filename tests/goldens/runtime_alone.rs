//! The attributes without the facade: `crate = llmobs_runtime`.

use llmobs_macros::llm;
use llmobs_runtime::Evaluation;
use llmobs_tests::Exemptions;

use crate::twin::Twin;

#[llm(
    crate = llmobs_runtime,
    model_name = "claude",
    name = "invoke_llm",
    model_provider = "anthropic"
)]
fn invoke_llm() -> String {
    let span_context = llmobs_runtime::export_span(None);
    llmobs_runtime::submit_evaluation(span_context, Evaluation::new("sentiment", 10)).ok();
    "completion".to_owned()
}

#[test]
fn twin_01_without_the_facade() {
    let twin = Twin::start("01-llm-export-eval");
    assert_eq!(twin.run(invoke_llm), "completion");
    twin.assert_equal(&Exemptions::none());
}
