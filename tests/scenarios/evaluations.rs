//! Every reason for which an evaluation is refused, and that nothing of it is sent.

use llmobs::{Evaluation, EvaluationError, EvaluationTarget, Span, SpanContext};
use serde_json::{Value, json};

use crate::client::Client;

fn target() -> EvaluationTarget {
    EvaluationTarget::span("1", "2")
}

type Code = fn(&EvaluationError) -> bool;

/// What is refused, by which code, and what the error's text has to show.
fn refusals() -> Vec<(EvaluationTarget, Evaluation, Code, Vec<&'static str>)> {
    use EvaluationError as Error;
    let good = || Evaluation::new("good", 1);
    let label: Code = |error| matches!(error, Error::InvalidLabel { .. });
    let value: Code = |error| matches!(error, Error::InvalidValue { .. });
    let timestamp: Code = |error| matches!(error, Error::InvalidTimestamp { .. });
    let no_target: Code = |error| matches!(error, Error::InvalidTarget { .. });
    vec![
        (
            None::<SpanContext>.into(),
            good(),
            |error| matches!(error, Error::NoSpan { .. }),
            vec!["\"good\"", "no span"],
        ),
        (
            EvaluationTarget::span("", "2"),
            good(),
            no_target,
            vec!["\"good\"", "2"],
        ),
        (
            EvaluationTarget::span("1", ""),
            good(),
            no_target,
            vec!["\"good\"", "1"],
        ),
        (
            EvaluationTarget::tag("", "v"),
            good(),
            no_target,
            vec!["\"good\"", "\"v\""],
        ),
        (
            EvaluationTarget::tag("k", ""),
            good(),
            no_target,
            vec!["\"good\"", "\"k\""],
        ),
        (
            target(),
            Evaluation::new("", 1),
            label,
            vec!["\"\"", "must not be empty"],
        ),
        (
            target(),
            Evaluation::new("user rating", 1),
            label,
            vec!["\"user rating\"", "sanitized"],
        ),
        (
            target(),
            Evaluation::new("a.b", 1),
            label,
            vec!["\"a.b\"", "letters, digits and underscores"],
        ),
        (
            target(),
            Evaluation::new("1st", 1),
            label,
            vec!["\"1st\"", "start with an ASCII letter"],
        ),
        (
            target(),
            Evaluation::new("qualität", 1),
            label,
            vec!["\"qualität\""],
        ),
        (
            target(),
            Evaluation::new("a".repeat(201), 1),
            label,
            vec!["at most 200"],
        ),
        (
            target(),
            Evaluation::new("good", f64::NAN),
            value,
            vec!["\"good\"", "NaN", "finite"],
        ),
        (
            target(),
            Evaluation::new("good", f32::NEG_INFINITY),
            value,
            vec!["\"good\"", "-inf"],
        ),
        (
            target(),
            Evaluation::new("good", json!([1])),
            value,
            vec!["\"good\"", "[1]"],
        ),
        (
            target(),
            Evaluation::new("good", Value::Null),
            value,
            vec!["\"good\"", "null"],
        ),
        (
            target(),
            good().timestamp_ms(0),
            timestamp,
            vec!["\"good\"", "timestamp 0"],
        ),
        (
            target(),
            good().timestamp_ms(-5),
            timestamp,
            vec!["\"good\"", "-5"],
        ),
        (
            target(),
            good().tag("", "orphan"),
            |error| matches!(error, Error::InvalidTag { .. }),
            vec!["\"good\"", "\"orphan\""],
        ),
    ]
}

#[test]
fn each_refusal_has_its_code_shows_what_is_wrong_and_is_counted() {
    let count = refusals().len() as u64;
    let sent = Client::start().sent_by(|| {
        let _in = Span::task("around").start().enter();
        for (target, evaluation, is_code, shown) in refusals() {
            let what = format!("{evaluation:?}");
            let error = llmobs::submit_evaluation(target, evaluation).expect_err(&what);
            assert!(is_code(&error), "{error:?}");
            let text = error.to_string();
            for part in shown {
                assert!(text.contains(part), "{part:?} is not in {text:?}");
            }
        }
        llmobs::submit_evaluation(target(), Evaluation::new("kept", 1)).unwrap();
    });
    assert_eq!(sent.stats.rejected, count);
    assert_eq!(sent.evaluations.len(), 1);
    assert_eq!(sent.evaluations[0]["label"], "kept");
}

#[test]
fn an_evaluation_outside_any_span_is_an_error_that_names_it() {
    let sent = Client::start().sent_by(|| {
        let context = llmobs::export_span(None);
        assert_eq!(context, None);
        let error = llmobs::submit_evaluation(&context, Evaluation::new("sentiment", 10));
        let label = "sentiment".to_owned();
        assert_eq!(error, Err(EvaluationError::NoSpan { label }));
    });
    assert_eq!(sent.stats.rejected, 1);
}

#[test]
fn any_label_can_be_made_a_legal_one() {
    let sent = Client::start().sent_by(|| {
        for label in ["", "user rating", "1st", "qualität", &"ü".repeat(500)] {
            llmobs::submit_evaluation(target(), Evaluation::sanitized(label, 1)).unwrap();
        }
    });
    let labels: Vec<&str> = sent
        .evaluations
        .iter()
        .filter_map(|one| one["label"].as_str())
        .collect();
    assert_eq!(labels[..4], ["x_", "user_rating", "x_1st", "qualit_t"]);
    assert_eq!(labels[4].len(), 200);
}

#[test]
fn a_stored_context_is_evaluated_by_another_client() {
    let (stored, text) = {
        let client = Client::start();
        let context = client.run(|| {
            let _in = Span::llm("answer").start().enter();
            llmobs::export_span(None).unwrap()
        });
        client.sent();
        (
            serde_json::to_string(&context).unwrap(),
            context.to_string(),
        )
    };
    let sent = Client::start().sent_by(|| {
        let context: SpanContext = serde_json::from_str(&stored).unwrap();
        assert_eq!(text.parse(), Ok(context.clone()));
        llmobs::submit_evaluation(context, Evaluation::new("late", true)).unwrap();
    });
    let joined: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(sent.evaluations[0]["join_on"]["span"], joined);
}

#[test]
fn integers_and_floats_arrive_as_they_were() {
    let sent = Client::start().sent_by(|| {
        let numbers = [
            Evaluation::new("largest", u64::MAX),
            Evaluation::new("smallest", i64::MIN),
            Evaluation::new("single", 0.1_f32),
            Evaluation::new("double", 0.1_f64),
            Evaluation::new("tiny", f64::MIN_POSITIVE),
        ];
        for number in numbers {
            llmobs::submit_evaluation(target(), number).unwrap();
        }
    });
    let values: Vec<&Value> = sent
        .evaluations
        .iter()
        .map(|one| &one["score_value"])
        .collect();
    let expected = [
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.1),
        json!(0.1),
        json!(f64::MIN_POSITIVE),
    ];
    assert!(values.into_iter().eq(&expected));
}
