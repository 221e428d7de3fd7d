//! What is too large, exactly at the limits and beyond.

use llmobs::{
    Annotation, Config, Evaluation, EvaluationError, EvaluationTarget, Feedback, FeedbackError,
    FeedbackTarget, FeedbackValue, Span, submit_evaluation, submit_feedback,
};
use llmobs_tests::Intake;
use serde_json::{Value, json};

use crate::{SOON, client};

const LARGEST: usize = 20_000;

fn of(intake: &Intake) -> Config {
    Config::new().agent_url(intake.url())
}

#[test]
fn an_event_over_the_limit_loses_the_middle_of_its_longest_text_only() {
    let intake = Intake::start();
    let client = client(of(&intake).event_size_bytes(2_000));
    client.scope(|| {
        let span = Span::task("big").start();
        let long = format!("first {}last", "long ".repeat(1_000));
        let annotation = Annotation::new().input(long).output("o");
        span.annotate(annotation.metadata("kept", 1)).unwrap();
    });
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!((stats.cut, stats.spans().delivered), (1, 1));
    let span = &intake.spans()[0];
    let input = span["meta"]["input"]["value"].as_str().unwrap();
    assert!(input.starts_with("first long") && input.ends_with("long last"));
    assert!(input.contains(" bytes cut]…"), "{input}");
    assert_eq!(span["meta"]["output"]["value"], "o");
    assert_eq!(span["meta"]["metadata"]["kept"], 1);
    assert_eq!(span["collection_errors"], json!(["dropped_io"]));
    let size = span.to_string().len();
    assert!((1_990..=2_000).contains(&size), "{size}");
}

#[test]
fn a_request_of_exactly_the_limit_is_sent_whole_and_a_larger_one_is_cut() {
    let intake = Intake::start();
    let client = client(of(&intake).payload_size_bytes(LARGEST));
    let body_of = |length: usize| {
        client.scope(|| {
            let annotation = Annotation::new().input("x".repeat(length));
            Span::task("t").start().annotate(annotation).unwrap();
        });
        client.flush(SOON).unwrap();
        let cut = intake
            .spans()
            .last()
            .unwrap()
            .get("collection_errors")
            .is_some();
        (intake.requests().last().unwrap().body.len(), cut)
    };
    let (small, _) = body_of(1);
    let (mut at_the_limit, mut cuts) = (0, 0);
    // Ids and durations have no fixed length, so that each length is tried until both were seen.
    let lengths = (LARGEST - small - 4..LARGEST - small + 12).cycle();
    for length in lengths.take(500) {
        let (body, cut) = body_of(length);
        assert!(body <= LARGEST, "{body}");
        assert!(!cut || body > LARGEST - 8, "{body}: more is cut than must");
        cuts += usize::from(cut);
        at_the_limit += usize::from(!cut && body == LARGEST);
        if at_the_limit > 0 && cuts > 0 {
            break;
        }
    }
    assert!(at_the_limit > 0 && cuts > 0, "{at_the_limit}, {cuts}");
}

#[test]
fn a_span_whose_metadata_alone_are_too_large_arrives_without_them() {
    let intake = Intake::start();
    let client = client(of(&intake).payload_size_bytes(LARGEST));
    client.scope(|| {
        let span = Span::llm("numbers").start();
        let annotation = Annotation::new()
            .input("question")
            .metadata("embedding", (0..50_000).collect::<Vec<u32>>())
            .metadata("temperature", 0.5)
            .metric("input_tokens", 7);
        span.annotate(annotation).unwrap();
    });
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!((stats.cut, stats.spans().delivered), (1, 1));
    let span = &intake.spans()[0];
    let mark = span["meta"]["metadata"]["embedding"].as_str().unwrap();
    assert!(
        mark.starts_with("…[") && mark.ends_with(" bytes cut]"),
        "{mark}"
    );
    assert_eq!(span["meta"]["metadata"]["temperature"], 0.5);
    assert_eq!(span["meta"]["input"]["messages"][0]["content"], "question");
    assert_eq!(span["metrics"]["input_tokens"], 7);
    assert_eq!(span["collection_errors"], json!(["dropped_io"]));
}

#[test]
fn a_picture_goes_before_the_question_about_it() {
    let intake = Intake::start();
    let client = client(of(&intake));
    let picture = format!("data:image/png;base64,{}", "AAAA".repeat(1_500_000));
    client.scope(|| {
        let messages = [("user", &*picture), ("user", "What is on it?")];
        let span = Span::llm("look").start();
        span.annotate(Annotation::new().input(messages.to_vec()))
            .unwrap();
    });
    client.shutdown(SOON).unwrap();
    let messages = &intake.spans()[0]["meta"]["input"]["messages"];
    assert_eq!(messages[0]["content"], "…[4500000 bytes of image/png cut]");
    assert_eq!(messages[1]["content"], "What is on it?");
}

#[test]
fn a_name_and_tags_without_end_are_bounded_and_the_span_arrives() {
    let intake = Intake::start();
    let client = client(of(&intake).payload_size_bytes(LARGEST));
    client.scope(|| {
        for name in ["a", "b"] {
            let span = Span::task(name.repeat(30_000)).start();
            let tags = (0..5_000).map(|number| (format!("k{number}"), "v"));
            let tags = tags.fold(Annotation::new(), |all, (key, value)| all.tag(key, value));
            span.annotate(tags.tag("long", "v".repeat(30_000))).unwrap();
        }
    });
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!((stats.cut, stats.spans().delivered), (2, 2));
    assert!(stats.spans().dropped.is_empty());
    for span in intake.spans() {
        let tags = span["tags"].as_array().unwrap();
        assert!(tags.contains(&json!("ml_app:delivery")), "{span}");
        assert!(span["name"].as_str().unwrap().contains("cut]"));
    }
}

#[test]
fn an_evaluation_loses_the_middle_of_its_reasoning_and_never_its_value() {
    let intake = Intake::start();
    let client = client(of(&intake).payload_size_bytes(LARGEST));
    let target = || EvaluationTarget::span("1", "2");
    client.scope(|| {
        let evaluation = Evaluation::new("quality", 0.5);
        let evaluation = evaluation
            .reasoning("because ".repeat(5_000))
            .metadata("m", "kept");
        submit_evaluation(target(), evaluation).unwrap();

        let error = submit_evaluation(target(), Evaluation::new("story", "s".repeat(30_000)));
        let error = error.unwrap_err();
        let (label, most) = match &error {
            EvaluationError::TooLarge {
                label,
                limit,
                bytes,
            } if bytes > limit => (label, *limit),
            other => panic!("{other}"),
        };
        assert!(label == "story" && most < LARGEST, "{error}");
    });
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!((stats.cut, stats.rejected), (1, 1));
    assert_eq!(
        (stats.evaluations().made, stats.evaluations().delivered),
        (1, 1)
    );
    let sent = &intake.evaluations()[0];
    let reasoning = sent["reasoning"].as_str().unwrap();
    assert!(reasoning.starts_with("because ") && reasoning.ends_with("because "));
    assert!(reasoning.contains(" bytes cut]…"));
    assert_eq!(
        (&sent["score_value"], &sent["metadata"]["m"]),
        (&json!(0.5), &json!("kept"))
    );
    assert!(intake.requests()[0].body.len() <= LARGEST);
}

#[test]
fn feedback_loses_the_middle_of_its_reasoning_and_never_its_text() {
    let intake = Intake::start();
    let client = client(of(&intake).payload_size_bytes(LARGEST));
    let target = || FeedbackTarget::span_id("1");
    client.scope(|| {
        let feedback = Feedback::new("stars", 4, "user-17").reasoning("because ".repeat(5_000));
        submit_feedback(target(), feedback).unwrap();
        let text = FeedbackValue::text("t".repeat(30_000));
        let error = submit_feedback(target(), Feedback::new("comment", text, "user-17"));
        assert!(
            matches!(error, Err(FeedbackError::TooLarge { .. })),
            "{error:?}"
        );
    });
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!(
        (stats.cut, stats.rejected, stats.feedback().delivered),
        (1, 1, 1)
    );
    let sent: Vec<Value> = intake.evaluations();
    assert!(
        sent[0]["reasoning"]
            .as_str()
            .unwrap()
            .contains(" bytes cut]…")
    );
}

#[test]
fn what_an_evaluation_is_joined_by_is_never_cut() {
    let intake = Intake::start();
    let client = client(of(&intake).payload_size_bytes(LARGEST));
    client.scope(|| {
        let join = EvaluationTarget::tag("k", "v".repeat(30_000));
        let evaluation = Evaluation::new("joined", 1).reasoning("r".repeat(3_000));
        let error = submit_evaluation(join, evaluation).unwrap_err();
        assert!(matches!(error, EvaluationError::TooLarge { .. }), "{error}");
        Span::task("small").start().finish().unwrap();
    });
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!((stats.spans().delivered, stats.rejected), (1, 1));
}
