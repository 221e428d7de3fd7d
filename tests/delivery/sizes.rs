//! What is too large, exactly at the limits and beyond.

use llmobs::{
    Annotation, Config, Destination, DropReason, Evaluation, EvaluationError, EvaluationTarget,
    Feedback, FeedbackError, FeedbackTarget, FeedbackValue, Memory, Span, SpanLink,
    submit_evaluation, submit_feedback,
};
use llmobs_tests::{Intake, Reply};
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
    let (mut at, mut under, mut cuts) = (0, 0, 0);
    // Ids and durations have no fixed length, so that each length is tried until all were seen.
    let lengths = (LARGEST - small - 4..LARGEST - small + 12).cycle();
    for length in lengths.take(500) {
        let (body, cut) = body_of(length);
        assert!(body <= LARGEST, "{body}");
        assert!(!cut || body > LARGEST - 8, "{body}: more is cut than must");
        cuts += usize::from(cut);
        at += usize::from(!cut && body == LARGEST);
        under += usize::from(!cut && body == LARGEST - 1);
        if at > 0 && under > 0 && cuts > 0 {
            break;
        }
    }
    assert!(at > 0 && under > 0 && cuts > 0, "{at}, {under}, {cuts}");
}

#[test]
fn an_event_of_exactly_the_limit_is_sent_whole_and_a_larger_one_is_cut() {
    const LIMIT: usize = 3_000;
    let intake = Intake::start();
    let client = client(of(&intake).event_size_bytes(LIMIT));
    let event_of = |length: usize| {
        client.scope(|| {
            let annotation = Annotation::new().input("x".repeat(length));
            Span::task("t").start().annotate(annotation).unwrap();
        });
        client.flush(SOON).unwrap();
        let spans = intake.spans();
        let span = spans.last().unwrap();
        (
            span.to_string().len(),
            span.get("collection_errors").is_some(),
        )
    };
    let (small, _) = event_of(1);
    let (mut at, mut under, mut cuts) = (0, 0, 0);
    // Durations have no fixed length, so that each length is tried until all were seen.
    let lengths = (LIMIT - small - 4..LIMIT - small + 12).cycle();
    for length in lengths.take(500) {
        let (size, cut) = event_of(length);
        assert!(size <= LIMIT, "{size}");
        assert!(!cut || size > LIMIT - 8, "{size}: more is cut than must");
        cuts += u32::from(cut);
        at += u32::from(!cut && size == LIMIT);
        under += u32::from(!cut && size == LIMIT - 1);
        if at > 0 && under > 0 && cuts > 0 {
            break;
        }
    }
    assert!(at > 0 && under > 0 && cuts > 0, "{at}, {under}, {cuts}");
    assert_eq!(client.stats().cut, u64::from(cuts));
}

#[test]
fn a_span_takes_ten_thousand_links_and_no_more() {
    let intake = Intake::start();
    let client = client(of(&intake));
    for count in [9_999, 10_000, 10_001] {
        client.scope(|| {
            let links = (1..=count).map(|id| {
                let other = format!("6b02903500000000fd3aa7b191cc3984:{id}");
                SpanLink::new(&other.parse().unwrap())
            });
            let annotation = links.fold(Annotation::new(), Annotation::link);
            let span = Span::task("linked").start();
            match span.annotate(annotation) {
                Ok(()) => assert!(count <= 10_000, "{count}"),
                Err(error) => assert!(
                    error.to_string().contains("more are taken: 1 are left out"),
                    "{error}"
                ),
            }
            span.finish().unwrap();
        });
        client.flush(SOON).unwrap();
        let spans = intake.spans();
        let links = spans.last().unwrap()["span_links"].as_array().unwrap();
        let most = count.min(10_000);
        assert_eq!(links.len(), most);
        assert_eq!(
            links[most - 1]["span_id"],
            most.to_string(),
            "the first ones"
        );
    }
    assert_eq!(client.stats().cut, 0);
}

#[test]
fn as_many_events_wait_as_may_and_one_more_is_dropped() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let client = client(of(&intake).max_events(10));
    let dropped = |count| {
        let expected = Vec::from_iter((count > 0).then_some((DropReason::QueueFull, count)));
        assert_eq!(client.stats().spans().dropped, expected);
        assert_eq!(
            client.stats().waiting(),
            client.stats().spans().made - count
        );
    };
    for _ in 0..10 {
        crate::make_spans(&client, &["one of ten"]);
        dropped(0);
    }
    crate::make_spans(&client, &["the eleventh"]);
    dropped(1);
    client.scope(|| {
        let target = EvaluationTarget::span("1", "2");
        submit_evaluation(target, Evaluation::new("good", true)).unwrap();
    });
    let judged = client.stats().evaluations();
    assert_eq!(
        judged.dropped,
        [(DropReason::QueueFull, 1)],
        "they share it"
    );
    drop(client.shutdown(std::time::Duration::ZERO));
}

#[test]
fn as_many_bytes_wait_as_may_and_one_more_is_dropped() {
    // What one evaluation, with a reasoning of that length, is dropped for where so many bytes may wait.
    let dropped = |max_bytes: usize, length: usize| {
        let memory = Destination::Memory(Memory::new());
        let client = client(Config::new().destination(memory).max_bytes(max_bytes));
        client.scope(|| {
            let evaluation = Evaluation::new("good", true).reasoning("r".repeat(length));
            submit_evaluation(EvaluationTarget::span("1", "2"), evaluation).unwrap();
        });
        let judged = client.shutdown(SOON);
        let judged = judged.map_or_else(|_| client.stats(), |report| report.stats);
        let judged = judged.evaluations();
        assert_eq!(judged.delivered + judged.dropped_total(), 1, "{judged:?}");
        judged.dropped
    };
    // Events have half of so few bytes, the requests in flight the other half. The estimate of an event counts until it
    // is encoded, and is found by trying.
    let sizes: Vec<usize> = (0..1 << 13).map(|bytes| 2 * bytes).collect();
    let fitting =
        sizes.partition_point(|max_bytes| *max_bytes == 0 || !dropped(*max_bytes, 100).is_empty());
    let fits = sizes[fitting];
    assert!(fits / 2 > 100 && fitting < sizes.len() - 1, "{fits}");
    for (length, expected) in [
        (99, None),
        (100, None),
        (101, Some((DropReason::MemoryFull, 1))),
    ] {
        assert_eq!(dropped(fits, length), Vec::from_iter(expected), "{length}");
    }
}

#[test]
fn a_value_that_fills_a_request_is_sent_and_one_byte_more_is_an_error() {
    let intake = Intake::start();
    let client = client(of(&intake).payload_size_bytes(LARGEST));
    let evaluation = |length: usize| {
        let evaluation =
            Evaluation::new("story", "v".repeat(length)).timestamp_ms(1_700_000_000_000);
        client.scope(
            || match submit_evaluation(EvaluationTarget::span("1", "2"), evaluation) {
                Ok(()) => None,
                Err(EvaluationError::TooLarge { bytes, limit, .. }) => Some((bytes, limit)),
                Err(error) => panic!("{error}"),
            },
        )
    };
    let feedback = |length: usize| {
        let text = FeedbackValue::text("v".repeat(length));
        let feedback = Feedback::new("comment", text, "u").timestamp_ms(1_700_000_000_000);
        client.scope(
            || match submit_feedback(FeedbackTarget::span_id("1"), feedback) {
                Ok(()) => None,
                Err(FeedbackError::TooLarge { bytes, limit, .. }) => Some((bytes, limit)),
                Err(error) => panic!("{error}"),
            },
        )
    };
    let submits: [&dyn Fn(usize) -> Option<(usize, usize)>; 2] = [&evaluation, &feedback];
    for submit in submits {
        let (bytes, limit) = submit(LARGEST).unwrap();
        let fits = LARGEST - (bytes - limit);
        assert_eq!(submit(fits + 1), Some((limit + 1, limit)));
        for (length, expected) in [(fits, LARGEST), (fits - 1, LARGEST - 1)] {
            assert_eq!(submit(length), None);
            client.flush(SOON).unwrap();
            assert_eq!(intake.requests().last().unwrap().body.len(), expected);
        }
    }
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!((stats.rejected, stats.cut), (4, 0));
    assert_eq!(stats.evaluations().delivered, 2);
    assert_eq!(stats.feedback().delivered, 2);
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
