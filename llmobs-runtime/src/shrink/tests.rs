//! What is left of events that are too large.

mod parts;
mod random;

use serde_json::{Map, Value, json};

use super::*;
use crate::event::{Internal, Meta, Status};
use crate::kind::SpanKind;
use crate::link::SpanLink;
use crate::message::{MediaPart, Message, ToolCall};
use crate::tool::ToolDefinition;

/// An event of which nothing can be cut.
fn event() -> SpanEvent {
    SpanEvent {
        trace_id: "6b029035000000005af1d0824f64ccff".to_owned(),
        span_id: "123".to_owned(),
        parent_id: "undefined".to_owned(),
        name: "answer".to_owned(),
        start_ns: 1,
        duration: 2,
        status: Status::Ok,
        meta: Meta::new(SpanKind::Llm),
        metrics: Map::new(),
        tags: vec!["ml_app:app".to_owned()],
        _dd: Internal {
            span_id: "123".to_owned(),
            trace_id: "0".to_owned(),
            apm_trace_id: "0".to_owned(),
            sample_rate: None,
            sampling_decision: None,
        },
        session_id: None,
        span_links: Vec::new(),
        collection_errors: Vec::new(),
    }
}

fn asked(messages: Vec<Message>) -> SpanEvent {
    let mut event = event();
    event.meta.input.messages = Some(messages);
    event
}

/// Shrinks, and holds what is true of every event to it.
#[track_caller]
fn shrunk(event: &mut SpanEvent, limit: usize) -> Shrunk {
    let size = serde_json::to_vec(event).unwrap().len();
    let done = span(event, size, limit).unwrap();
    let json = serde_json::to_vec(event).unwrap();
    assert!(json.len() <= limit, "{} of {limit}", json.len());
    assert_eq!(event.collection_errors, ["dropped_io"]);
    assert_eq!(serde_json::from_slice::<SpanEvent>(&json).unwrap(), *event);
    assert_eq!(span(event, json.len(), limit), None);
    done
}

fn content(event: &SpanEvent, index: usize) -> &str {
    event.meta.input.messages.as_ref().unwrap()[index].content()
}

#[test]
fn an_event_of_exactly_the_limit_stays_and_one_byte_more_is_cut() {
    let whole = asked(vec![Message::user("long ".repeat(1_000))]);
    let size = length::of(&whole);
    for limit in [size, size + 1] {
        let mut event = whole.clone();
        assert_eq!(span(&mut event, size, limit), None);
        assert_eq!(event, whole);
    }
    let mut event = whole.clone();
    let done = shrunk(&mut event, size - 1);
    assert!(done.gone.is_empty());
    assert!(content(&event, 0).contains(" bytes cut]…"));
}

#[test]
fn no_more_is_cut_than_must() {
    for limit in 4_000..4_100 {
        let mut event = asked(vec![Message::user("x".repeat(10_000))]);
        shrunk(&mut event, limit);
        let left = length::of(&event);
        assert!(limit - left <= 2, "{left} of {limit}");
    }
}

#[test]
fn what_is_cut_again_says_so_once() {
    let mut event = asked(vec![Message::user("x".repeat(10_000))]);
    for limit in [5_000, 2_000] {
        shrunk(&mut event, limit);
    }
}

#[test]
fn where_more_has_to_stay_than_may_everything_is_as_short_as_it_gets() {
    let mut event = asked(vec![Message::user("x".repeat(10_000))]);
    event.tags = vec![format!("ml_app:{}", "a".repeat(10_000))];
    let size = length::of(&event);
    let done = span(&mut event, size, 10).unwrap();
    assert_eq!(done.size, size);
    let left = length::of(&event);
    assert!((10..2_000).contains(&left), "{left}");
    // And where it is less, no more is cut than must.
    let mut event = self::event();
    event.tags = vec![format!("ml_app:{}", "a".repeat(10_000))];
    event.meta.metadata = (0..2_000).map(|n| (n.to_string(), n.into())).collect();
    let done = shrunk(&mut event, 5_000);
    assert_eq!(done.gone, ["metadata"]);
    let left = length::of(&event);
    assert!(5_000 - left <= 2, "{left}");
}

#[test]
fn media_in_messages_go_until_the_texts_are_short_enough() {
    let url = |bytes: usize| format!("data:image/png;base64,{}", "A".repeat(bytes));
    let texts = [url(4_000), url(2_000), "short".to_owned()];
    let sizes: Vec<usize> = texts.iter().map(String::len).collect();
    let all: usize = sizes.iter().sum();
    let left = |most: usize| {
        let mut messages = texts.clone().map(Message::user);
        media_in_messages(&mut messages, most);
        let left = messages.iter().zip(&texts);
        let stays: Vec<bool> = left.map(|(left, text)| left.content() == *text).collect();
        stays
    };
    // The messages have names and roles as well.
    let mut of_messages = 0;
    let mut messages = texts.clone().map(Message::user);
    walk::in_messages(&mut messages, &mut |text, _| of_messages += text.len());
    assert!(of_messages >= all);
    assert_eq!(left(of_messages), [true, true, true]);
    assert_eq!(left(of_messages - 1), [false, true, true]);
    assert_eq!(left(2_500), [false, true, true]);
    assert_eq!(left(2_000), [false, false, true]);
}

#[test]
fn the_longest_are_cut_to_one_length_and_the_others_stay() {
    let lengths = [500, 40_000, 3_000, 60_000];
    let messages = lengths.map(|length| Message::user("m".repeat(length)));
    let mut event = asked(messages.to_vec());
    event
        .meta
        .metadata
        .insert("notes".into(), "n".repeat(50_000).into());
    shrunk(&mut event, 20_000);
    assert_eq!(content(&event, 0).len(), 500);
    assert_eq!(content(&event, 2).len(), 3_000);
    let cut = [
        content(&event, 1),
        content(&event, 3),
        event.meta.metadata["notes"].as_str().unwrap(),
    ];
    assert_eq!(cut.map(str::len), [cut[0].len(); 3]);
    assert!(cut[0].len() > 5_000);
}

#[test]
fn what_grows_on_the_wire_counts_with_what_it_grows_to() {
    let quotes = "\"".repeat(3_000);
    let letters = "a".repeat(5_000);
    let mut event = asked(vec![Message::user(&*quotes), Message::user(&*letters)]);
    shrunk(&mut event, 11_000);
    assert!(content(&event, 0).contains("cut]"), "6,000 bytes");
    assert_eq!(content(&event, 1), letters, "5,000 bytes");
    let mut event = asked(vec![Message::user("\u{1}".repeat(2_000))]);
    shrunk(&mut event, 5_000);
}

#[test]
fn a_json_text_stays_json() {
    let answer = json!({
        "k\"ey": "say \"x\"\n".repeat(3_000),
        "list": [1.50, "é😀\u{1}".repeat(3_000), "short"],
    });
    let text = format!(" {answer} ").replace("1.5", "1.500");
    let mut event = event();
    event.meta.output.value = Some(text);
    event.meta.input.value = Some("i".repeat(1_000));
    shrunk(&mut event, 10_000);
    let left = event.meta.output.value.unwrap();
    assert!(left.contains("1.500"), "numbers are as they were written");
    let left: Value = serde_json::from_str(&left).unwrap();
    let said = left["k\"ey"].as_str().unwrap();
    assert!(
        said.starts_with("say \"x\"\n") && said.ends_with("say \"x\"\n"),
        "{said}"
    );
    assert!(said.contains(" bytes cut]…"));
    assert!(left["list"][1].as_str().unwrap().ends_with('\u{1}'));
    assert_eq!(left["list"][2], "short");
    assert_eq!(event.meta.input.value.unwrap().len(), 1_000);
}

#[test]
fn a_json_text_of_numbers_is_cut_as_any_text_and_no_other_pays_for_it() {
    let numbers: Vec<f64> = (0..20_000).map(|n| f64::from(n) / 7.0).collect();
    let mut event = asked(vec![Message::user("q".repeat(2_000))]);
    event.meta.output.value =
        Some(json!({"embedding": numbers, "of": "o".repeat(500)}).to_string());
    shrunk(&mut event, 50_000);
    assert_eq!(content(&event, 0).len(), 2_000);
    let left = event.meta.output.value.unwrap();
    assert!(left.starts_with("{\"embedding\":[0.0,") && left.ends_with("ooo\"}"));
}

#[test]
fn media_go_before_any_text_and_only_as_many_as_must() {
    let image = |bytes: usize| MediaPart::base64("image/png", "AAAA".repeat(bytes / 3));
    let message = Message::user("t".repeat(9_000))
        .image(image(30_000))
        .image(image(3_000));
    let mut event = asked(vec![message]);
    let done = shrunk(&mut event, 20_000);
    assert!(done.gone.is_empty());
    assert_eq!(content(&event, 0).len(), 9_000);
    let json = serde_json::to_value(&event).unwrap();
    let parts = &json["meta"]["input"]["messages"][0]["image_parts"];
    assert_eq!(parts[0]["content"], "…[30000 bytes of image/png cut]");
    assert_eq!(parts[1]["content"].as_str().unwrap().len(), 4_000);
}

#[test]
fn metadata_that_are_too_large_alone_leave_a_mark_and_their_neighbours() {
    let mut event = asked(vec![Message::user("question")]);
    let numbers: Vec<u32> = (0..10_000).collect();
    event.meta.metadata = json!({"embedding": numbers, "temperature": 0.5, "small": [1, 2]})
        .as_object()
        .unwrap()
        .clone();
    let size = length::of(&event.meta.metadata["embedding"]);
    let done = shrunk(&mut event, 5_000);
    assert_eq!(done.gone, ["metadata"]);
    let mark = format!("…[{size} bytes cut]");
    let left = json!({"embedding": mark, "temperature": 0.5, "small": [1, 2]});
    assert_eq!(json!(event.meta.metadata), left);
    assert_eq!(content(&event, 0), "question");
}

#[test]
fn metadata_of_many_keys_tell_how_many_are_gone() {
    let mut event = asked(vec![Message::user("question")]);
    for number in 0..5_000 {
        event
            .meta
            .metadata
            .insert(format!("key {number}"), number.into());
    }
    event.meta.metadata.insert("k".repeat(3_000), 1.into());
    let done = shrunk(&mut event, 2_000);
    assert_eq!(done.gone, ["metadata"]);
    assert_eq!(
        json!(event.meta.metadata),
        json!({"…": "…[5001 entries cut]"})
    );
    assert_eq!(content(&event, 0), "question");
}

#[test]
fn marks_in_metadata_go_as_well_where_there_are_too_many() {
    let mut event = event();
    let skeleton = length::of(&event);
    for n in 0..200 {
        let numbers = vec![1; 400];
        event
            .meta
            .metadata
            .insert(format!("k{n:03}"), json!(numbers));
    }
    shrunk(&mut event, skeleton + 200);
    assert_eq!(event.meta.metadata["…"], "…[200 entries cut]");
}

#[test]
fn the_largest_part_goes_first_and_the_others_stay() {
    type Fill = fn(&mut SpanEvent, usize);
    let cases: [(&str, Fill); 6] = [
        ("input", |event, size| {
            event.meta.input.messages = Some(vec![Message::user("hi"); size]);
        }),
        ("output", |event, size| {
            event.meta.output.messages = Some(vec![Message::user("hi"); size]);
        }),
        ("tool definitions", |event, size| {
            event.meta.tool_definitions = vec![ToolDefinition::new("t"); size];
        }),
        ("span links", |event, size| {
            let link = SpanLink::new(&crate::SpanContext::new("5", "t").unwrap());
            event.span_links = vec![link; size];
        }),
        ("metrics", |event, size| {
            let metrics = (0..size).map(|number| (format!("metric {number}"), number.into()));
            event.metrics = metrics.collect();
            event.metrics.insert("input_tokens".into(), 7.into());
        }),
        ("tags", |event, size| {
            event
                .tags
                .extend((0..size).map(|number| format!("tag {number}:x")));
        }),
    ];
    for (name, fill) in cases {
        let mut event = event();
        for (_, fill) in &cases {
            fill(&mut event, 2);
        }
        let small = serde_json::to_value(&event).unwrap();
        fill(&mut event, 5_000);
        let done = shrunk(&mut event, 4_000);
        assert_eq!(done.gone, [name]);
        let left = serde_json::to_value(&event).unwrap();
        for (part, pointer) in [
            ("input", "/meta/input"),
            ("output", "/meta/output"),
            ("tool definitions", "/meta/tool_definitions"),
            ("span links", "/span_links"),
        ] {
            let same = left.pointer(pointer) == small.pointer(pointer);
            assert_eq!(same, part != name, "{part} for {name}");
        }
        assert_eq!(left["metrics"]["input_tokens"], 7);
        assert_eq!(left["tags"][0], "ml_app:app");
    }
}

#[test]
fn names_and_tags_are_bounded_and_tags_keep_their_keys() {
    let mut event = event();
    let long = "x".repeat(10_000);
    event.name.clone_from(&long);
    event.session_id = Some(long.clone());
    event.tags.push(format!("session_id:{long}"));
    event.tags.push(format!("team:{long}"));
    event.meta.error = Some(crate::failure::SpanError::new(long.clone(), long));
    let done = shrunk(&mut event, 2_000);
    assert!(done.gone.is_empty());
    assert!(event.name.starts_with("xx") && event.name.ends_with("xx"));
    assert_eq!(event.tags[0], "ml_app:app");
    assert!(event.tags[2].starts_with("team:x"));
    assert_eq!(
        event.session_id.as_deref(),
        event.tags[1].strip_prefix("session_id:")
    );
}

#[test]
fn tags_of_the_user_go_altogether_where_a_few_are_too_many() {
    let mut whole = event();
    whole.name = "n".repeat(100);
    whole
        .tags
        .extend([format!("k:{}", "x".repeat(82)), "l:short".to_owned()]);
    whole.tags.push(format!("m:{}", "y".repeat(40)));
    let mut smallest = whole.clone();
    smallest.tags.truncate(1);
    smallest.collection_errors.push("dropped_io".to_owned());
    let size = length::of(&whole);
    for limit in length::of(&smallest)..size {
        let mut event = whole.clone();
        shrunk(&mut event, limit);
        assert_eq!(event.tags[0], "ml_app:app");
    }
}

#[test]
fn what_has_to_stay_may_be_more_than_the_limit() {
    let mut event = asked(vec![Message::user("x".repeat(10_000)); 100]);
    event
        .meta
        .metadata
        .insert("k".into(), json!(vec![1; 1_000]));
    let skeleton = length::of(&self::event());
    let size = length::of(&event);
    let done = span(&mut event, size, 1).unwrap();
    assert_eq!(done.gone, ["input", "metadata"]);
    assert!(length::of(&event) < skeleton + 400, "{event:?}");
}

#[test]
fn the_arguments_of_a_call_stay_an_object() {
    let call = ToolCall::new("f", json!({"code": "c".repeat(9_000), "n": 1}));
    let mut event = asked(vec![Message::assistant("").tool_call(call)]);
    shrunk(&mut event, 2_000);
    let call = &event.meta.input.messages.as_ref().unwrap()[0].tool_calls()[0];
    assert_eq!(call.arguments()["n"], 1);
    assert!(call.arguments()["code"].as_str().unwrap().contains("cut]"));
}

fn evaluation_of(value: &str) -> EvaluationEvent {
    let target = crate::EvaluationTarget::span("1", "2");
    let evaluation = crate::Evaluation::new("quality", value);
    evaluation.into_event(target, "app").unwrap()
}

#[test]
fn of_an_evaluation_the_remarks_are_cut_and_the_value_never() {
    let mut event = evaluation_of("good");
    event.reasoning = Some("because ".repeat(1_000));
    event
        .metadata
        .insert("judge".into(), "said ".repeat(1_000).into());
    let size = length::of(&event);
    assert_eq!(evaluation(&mut event, size), Fit::Whole);
    assert_eq!(evaluation(&mut event, 3_000), Fit::Cut(size));
    assert!(length::of(&event) <= 3_000);
    assert!(event.reasoning.as_ref().unwrap().contains("cut]…"));
    assert!(event.metadata["judge"].as_str().unwrap().contains("cut]…"));
    event
        .metadata
        .insert("numbers".into(), json!(vec![1; 5_000]));
    let size = length::of(&event);
    assert_eq!(evaluation(&mut event, 3_000), Fit::Cut(size));
    assert_eq!(json!(event.metadata), json!({"…": "…[2 entries cut]"}));
    assert_eq!(event.categorical_value.as_deref(), Some("good"));

    let mut event = evaluation_of(&"good".repeat(1_000));
    let size = length::of(&event);
    assert_eq!(evaluation(&mut event, 3_000), Fit::Not(size));
    assert!(event.metadata.is_empty(), "there was none to cut");

    // Of what the mark leaves no more is cut than must.
    let mut event = evaluation_of("good");
    event.reasoning = Some("because ".repeat(1_000));
    let numbers = json!(vec![1; 5_000]);
    event.metadata.insert("numbers".into(), numbers);
    let size = length::of(&event);
    assert_eq!(evaluation(&mut event, 3_000), Fit::Cut(size));
    let left = length::of(&event);
    assert!(3_000 - left <= 2, "{left}");
}

#[test]
fn of_feedback_the_reasoning_is_cut_and_the_text_never() {
    let of = |text: String| {
        let feedback = crate::Feedback::new("comment", crate::FeedbackValue::text(text), "user-1");
        let feedback = feedback.reasoning("because ".repeat(1_000));
        feedback
            .into_event(crate::FeedbackTarget::span_id("1"), "app")
            .unwrap()
    };
    let mut event = of("fine".to_owned());
    let size = length::of(&event);
    assert_eq!(feedback(&mut event, 3_000), Fit::Cut(size));
    assert!(length::of(&event) <= 3_000);
    let mut event = of("fine".repeat(1_000));
    assert!(matches!(feedback(&mut event, 3_000), Fit::Not(_)));
}

/// Prints, asserts nothing: `cargo test --release -p llmobs-runtime how_long -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "its purpose")]
fn how_long_large_events_take() {
    const MB: usize = 1_000_000;
    let one = |bytes: usize| asked(vec![Message::user("word ".repeat(bytes / 5))]);
    let many = |bytes: usize| asked(vec![Message::user("line\n".repeat(100)); bytes / 600]);
    let json = |bytes: usize| {
        let rows = vec![json!({"text": "say \"x\"\n".repeat(40), "score": 0.5}); bytes / 700];
        let mut event = event();
        event.meta.output.value = Some(json!(rows).to_string());
        event
    };
    let numbers = |bytes: usize| {
        let mut event = event();
        event
            .meta
            .metadata
            .insert("k".into(), json!(vec![1.25; bytes / 5]));
        event
    };
    let media = |bytes: usize| {
        let url = format!("data:image/png;base64,{}", "AAAA".repeat(bytes / 40));
        asked(vec![Message::user(json!({"url": url}).to_string()); 10])
    };
    let makers: [(&str, &dyn Fn(usize) -> SpanEvent); 5] = [
        ("one string", &one),
        ("many strings", &many),
        ("strings in JSON text", &json),
        ("numbers", &numbers),
        ("media", &media),
    ];
    for (name, make) in makers {
        for bytes in [6 * MB, 12 * MB, 24 * MB, 48 * MB] {
            let mut event = make(bytes);
            let size = length::of(&event);
            let start = std::time::Instant::now();
            let whole = serde_json::to_vec(&event).unwrap();
            let encoded = start.elapsed();
            let start = std::time::Instant::now();
            span(&mut event, whole.len(), 5 * MB).unwrap();
            let shrunk = start.elapsed();
            let left = length::of(&event);
            println!("{name}: {size} bytes to {left}: encode {encoded:?}, shrink {shrunk:?}");
        }
    }
}
