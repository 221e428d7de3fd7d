//! Evaluations: every type of value, every argument.

use llmobs::{Assessment, Evaluation, EvaluationScope, EvaluationTarget, EvaluationValue, Span};
use llmobs_tests::Exemptions;
use serde_json::json;

use crate::twin::Twin;

#[test]
fn twin_18_eval_metric_types() {
    let twin = Twin::start("18-eval-metric-types");
    twin.run(|| {
        let target = Span::llm("target").model_name("m").start().enter();
        let context = llmobs::export_span(target.span());
        let evaluation = |label: &str, value: EvaluationValue| {
            Evaluation::new(label, value).timestamp_ms(1_700_000_000_000)
        };
        let cases = [
            evaluation("score_int", 10.into()),
            evaluation("score_float", 0.5.into()),
            evaluation("score_bool", true.into()),
            evaluation("cat", "positive".into()),
            evaluation("bool", true.into()),
            evaluation("json", json!({"a": [1, {"b": null}], "é": "☃"}).into()),
            evaluation("upper", 1.into()),
            evaluation("trace_scope", 1.into()).scope(EvaluationScope::Trace),
        ];
        for case in cases {
            llmobs::submit_evaluation(&context, case).unwrap();
        }
    });
    // The type of the value is the type of the metric: a bool is never a score.
    let exemptions = Exemptions::none()
        .expect_evaluation("score_bool", "/metric_type", json!("boolean"))
        .expect_evaluation("score_bool", "/boolean_value", json!(true))
        .expect_evaluation_absent("score_bool", "/score_value");
    twin.assert_equal(&exemptions);
}

#[test]
fn twin_19_eval_all_arguments() {
    let twin = Twin::start("19-eval-all-arguments");
    twin.run(|| {
        let quality = Evaluation::new("quality", 0.9)
            .tag("evaluator", "human")
            .tag("t", "v:w")
            .ml_app("other-app")
            .timestamp_ms(1_700_000_000_000)
            .metadata("k", json!({"n": 1}))
            .metadata("o", json!([1]))
            .assessment(Assessment::Pass)
            .reasoning("because ☃");
        llmobs::submit_evaluation(EvaluationTarget::tag("msg_id", "abc-123"), quality).unwrap();
        let bad = Evaluation::new("q2", "bad").assessment(Assessment::Fail);
        llmobs::submit_evaluation(EvaluationTarget::tag("msg_id", "abc-124"), bad).unwrap();
        let minimal = Evaluation::new("minimal", false).ml_app("svc-x");
        llmobs::submit_evaluation(EvaluationTarget::span("123", "abc"), minimal).unwrap();
    });
    // A target of ours has no place for other keys.
    let exemptions = Exemptions::none().expect_evaluation_absent("minimal", "/join_on/span/extra");
    twin.assert_equal(&exemptions);
}
