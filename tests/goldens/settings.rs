//! What the environment and `enable` say.

use llmobs::{Annotation, Evaluation, EvaluationTarget, Span};
use llmobs_tests::{Exemptions, Request};
use serde_json::json;

use crate::twin::{SOON, Twin};

/// Makes the calls of scenario 29.
fn workflow_with_an_evaluated_llm(twin: &Twin) {
    twin.run(|| {
        let _workflow = Span::workflow("w").start().enter();
        let _llm = Span::llm("l").model_name("m").start().enter();
        let evaluation = Evaluation::new("x", 1);
        llmobs::submit_evaluation(llmobs::export_span(None), evaluation).unwrap();
    });
}

#[test]
fn twin_29_env_service_version_tags() {
    let twin = Twin::start("29-env-service-version-tags");
    workflow_with_an_evaluated_llm(&twin);
    let sent = twin.assert_equal(&Exemptions::none());
    let keyed = |request: &Request| request.header("dd-api-key").is_some();
    assert!(!sent.requests.iter().any(keyed), "the Agent has the key");
}

#[test]
fn twin_29_without_an_agent() {
    let twin = Twin::agentless("29-env-service-version-tags");
    workflow_with_an_evaluated_llm(&twin);
    assert_eq!(twin.intake().info_count(), 0);
    twin.assert_equal(&Exemptions::none());
}

#[test]
fn twin_30_no_ml_app() {
    let twin = Twin::start("30-no-ml-app");
    twin.run(|| {
        drop(Span::workflow("w").start().enter());
        let evaluation = Evaluation::new("x", 1);
        llmobs::submit_evaluation(EvaluationTarget::span("1", "2"), evaluation).unwrap();
    });
    let exemptions = Exemptions::none()
        .expect_tags(
            "w",
            &[
                "agent_service:unnamed-ml-app",
                "ml_app:unnamed-ml-app",
                "service:",
            ],
            &["agent_service:w", "ml_app:w", "service:w"],
        )
        .expect_evaluation("x", "/ml_app", json!("unnamed-ml-app"))
        .expect_evaluation_tags("x", &["ml_app:unnamed-ml-app"], &["ml_app:w"]);
    twin.assert_equal(&exemptions);
}

#[test]
fn twin_31_ml_app_from_service() {
    let twin = Twin::start("31-ml-app-from-service");
    twin.run(|| drop(Span::workflow("w").start().enter()));
    twin.assert_equal(&Exemptions::none());
}

#[test]
fn twin_33_sample_rate_0() {
    let twin = Twin::start("33-sample-rate-0");
    twin.run(|| {
        let _workflow = Span::workflow("w").start().enter();
        drop(Span::llm("l").model_name("m").start().enter());
    });
    twin.assert_equal(&Exemptions::none());
}

#[test]
fn twin_38_disabled() {
    fn add(a: i32, b: i32) -> i32 {
        let _in = Span::workflow("call").start().enter();
        llmobs::annotate(None, Annotation::new().input("in")).unwrap();
        a + b
    }
    let twin = Twin::start("38-disabled");
    twin.run(|| {
        assert!(!llmobs::is_enabled());
        assert_eq!(add(2, 3), 5);
        assert_eq!(llmobs::export_span(None), None);
        // Ok before any check, on purpose: Python raises at `annotate`.
        llmobs::annotate(None, Annotation::new().metric("m", f64::NAN)).unwrap();
        let evaluation = Evaluation::new("not a label", f64::NAN);
        llmobs::submit_evaluation(llmobs::export_span(None), evaluation).unwrap();
        let span = Span::llm("idle").start();
        assert_eq!(span.context(), None);
        span.finish().unwrap();
        span.finish().unwrap();
        llmobs::flush(SOON).unwrap();
    });
    assert_eq!(twin.client().stats().rejected, 0);
    assert_eq!(twin.intake().info_count(), 0, "not even a question");
    let sent = twin.assert_equal(&Exemptions::none());
    assert!(sent.requests.is_empty());
}

#[test]
fn twin_39_enable_with_arguments() {
    let twin = Twin::configured("39-enable-with-arguments", |config| {
        config.ml_app("prog-app").env("staging").service("prog-svc")
    });
    twin.run(|| {
        let arrived = || {
            (
                twin.intake().spans().len(),
                twin.intake().evaluations().len(),
            )
        };
        drop(Span::task("a").start().enter());
        llmobs::flush(SOON).unwrap();
        assert_eq!(arrived(), (1, 0));
        drop(Span::task("b").start().enter());
        llmobs::flush(SOON).unwrap();
        assert_eq!(arrived(), (2, 0));
        let evaluation = Evaluation::new("x", 1).timestamp_ms(1);
        llmobs::submit_evaluation(EvaluationTarget::span("1", "2"), evaluation).unwrap();
        llmobs::flush(SOON).unwrap();
        assert_eq!(arrived(), (2, 1));
    });
    let sent = twin.assert_equal(&Exemptions::none());
    assert_eq!(sent.requests.len(), 3);
}

#[test]
fn twin_34_sampling_rules() {
    // A half of the traces that no rule fits are kept; the recording has one of the others.
    loop {
        let twin = Twin::start("34-sampling-rules");
        twin.run(|| {
            for tier in [Some("free-1"), Some("gold"), None] {
                let name = format!("w_{}", tier.unwrap_or("None"));
                let _in = Span::workflow(name).start().enter();
                if let Some(tier) = tier {
                    llmobs::annotate(None, Annotation::new().tag("tier", tier)).unwrap();
                }
                drop(Span::task("c").start());
            }
        });
        twin.client().flush(SOON).unwrap();
        let undecided = twin
            .intake()
            .spans()
            .into_iter()
            .find(|span| span["name"] == "w_None");
        if undecided.unwrap()["_dd"]["sampling_decision"] == "0" {
            twin.assert_equal(&Exemptions::none());
            return;
        }
    }
}
