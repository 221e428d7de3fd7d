use super::*;
use crate::document::Document;
use serde_json::json;

/// What an `llm` span would send.
fn messages(add: impl FnOnce(&mut StreamOutput)) -> Value {
    match content_of(SpanKind::Llm, add) {
        Some(Content::Messages(messages)) => json(&messages),
        None => Value::Null,
        other => unreachable!("{other:?}"),
    }
}

fn content_of(kind: SpanKind, add: impl FnOnce(&mut StreamOutput)) -> Option<Content> {
    let mut output = StreamOutput::new(kind, true);
    add(&mut output);
    output.finish(kind).content
}

/// What a `task` span would send.
fn value(add: impl FnOnce(&mut StreamOutput)) -> Value {
    match content_of(SpanKind::Task, add) {
        Some(Content::Json(value)) => *value,
        Some(Content::Text(text)) => text.into(),
        None => Value::Null,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn pieces_of_a_message_become_one() {
    let told = messages(|output| {
        for piece in ["", "Hel", "lo"] {
            output.role("assistant").text(piece);
        }
        output.role("").text("!");
    });
    assert_eq!(told, json!([{"role": "assistant", "content": "Hello!"}]));
    let late = messages(|output| {
        output.text("Hello").role("assistant");
    });
    assert_eq!(late, json!([{"role": "assistant", "content": "Hello"}]));
}

#[test]
fn another_role_or_a_whole_message_begins_the_next() {
    let told = messages(|output| {
        output.role("reasoning").text("hm");
        output.role("assistant").text("a");
        output.message(Message::user("b"));
        output.text("c");
    });
    assert_eq!(
        told,
        json!([
            {"role": "reasoning", "content": "hm"},
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": "b"},
            {"role": "", "content": "c"},
        ])
    );
}

#[test]
fn who_says_nothing_begins_no_message() {
    let told = messages(|output| {
        output.role("").text("");
    });
    assert_eq!(told, Value::Null);
    let told = messages(|output| {
        output.message(Message::user("a"));
        output.role("").text("").usage(TokenUsage::new().output(1));
        output.begin_item();
        output.choice(1).role("");
    });
    assert_eq!(told, json!([{"role": "user", "content": "a"}]));
}

#[test]
fn answers_beside_each_other_stay_apart() {
    let told = messages(|output| {
        for (choice, text) in [(1, "x"), (0, "a"), (1, "y"), (0, "b")] {
            output.begin_item();
            output.choice(choice).text(text);
        }
        output.begin_item();
        output.text("c");
    });
    assert_eq!(
        told,
        json!([{"role": "", "content": "abc"}, {"role": "", "content": "xy"}])
    );
}

#[test]
fn calls_of_tools_are_put_together_by_their_index() {
    let told = messages(|output| {
        output.role("assistant");
        let first = output.tool_call(0).id("call_1").name("weather");
        first.arguments("{\"city\"");
        output.tool_call(1).id("call_2").name("time");
        output.tool_call(0).arguments(": \"Paris\"}");
        // Servers differ: some tell the name with each piece, some with none.
        output.tool_call(0).id("call_1").name("weather");
        output.tool_call(0).name("").arguments("");
        output.tool_call(2).arguments("{\"half\": ");
    });
    assert_eq!(
        told,
        json!([{
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"name": "weather", "arguments": {"city": "Paris"}, "tool_id": "call_1"},
                {"name": "time", "arguments": {}, "tool_id": "call_2"},
                {"name": "unknown", "arguments": {"unparsed": "{\"half\": "}},
            ],
        }])
    );
}

#[test]
fn other_kinds_get_text_or_json() {
    let text = value(|output| {
        output.text("a").text("b");
    });
    assert_eq!(text, json!("ab"));
    let message = value(|output| {
        output.role("assistant").text("a");
    });
    assert_eq!(message, json!([{"role": "assistant", "content": "a"}]));
    let list = value(|output| {
        output.json(&1).json("a").json("b").json(&None::<u8>);
        output.json(&[2]).message(Message::user("c"));
    });
    assert_eq!(
        list,
        json!([1, "ab", [2], {"role": "user", "content": "c"}])
    );
    assert_eq!(value(|_| {}), Value::Null);
    let documents = content_of(SpanKind::Retrieval, |output| {
        Document::new("d").add_to(output);
    });
    assert!(matches!(documents, Some(Content::Documents(d)) if d == [Document::new("d")]));
}

#[test]
fn a_list_is_the_text_of_a_model() {
    let told = messages(|output| {
        output.json(&json!({"answer": 42}));
    });
    assert_eq!(told, json!([{"role": "", "content": "[{\"answer\":42}]"}]));
    let told = messages(|output| {
        output.json(&Message::user("a")).json("b");
    });
    assert_eq!(
        told,
        json!([{"role": "user", "content": "a"}, {"role": "", "content": "b"}])
    );
}

#[test]
fn a_message_that_the_wire_does_not_allow_is_mended() {
    let told = messages(|output| {
        output.message(Message::user("a").tool_call(ToolCall::new("f", 1)));
    });
    let calls = json!([{"name": "f", "arguments": {"not_an_object": 1}}]);
    assert_eq!(told[0]["content"], "a");
    assert_eq!(told[0]["tool_calls"], calls);
}

#[test]
fn elements_beyond_the_limit_are_left_out_and_marked() {
    let mut output = StreamOutput::new(SpanKind::Task, true);
    for number in 0..100_002 {
        output.element(json!(number));
    }
    assert!(!output.takes_elements());
    // What is no output has room all the same.
    output.usage(TokenUsage::new().output(7));
    let finished = output.finish(SpanKind::Task);
    let Some(Content::Json(list)) = finished.content else {
        unreachable!("JSON")
    };
    let Value::Array(list) = *list else {
        unreachable!("a list")
    };
    assert_eq!(list.len(), 100_001);
    assert_eq!(list[99_999..], [json!(99_999), json!(Room::REST)]);
    assert_eq!(finished.usage, Some(TokenUsage::new().output(7)));
    let told = messages(|output| {
        for _ in 0..100_001 {
            output.message(Message::user(""));
        }
    });
    assert_eq!(told[100_000]["content"], Room::REST);
}

#[test]
fn text_beyond_the_limit_is_counted_and_not_kept() {
    let piece = "x".repeat(1_000_000);
    let told = messages(|output| {
        for _ in 0..40 {
            output.role("assistant").text(&piece);
            output.tool_call(0).name("f").arguments("[");
        }
    });
    let text = told[0]["content"].as_str().unwrap();
    // The role, the name and four brackets came before there was no room.
    assert_eq!(text.find('…'), Some(5_000_000 - 9 - 1 - 4));
    assert!(text.ends_with("…[35000014 bytes cut]"), "{}", text.len());
    let call = &told[0]["tool_calls"][0];
    let arguments = json!({"unparsed": "[[[[…[36 bytes cut]"});
    assert_eq!(
        (&call["name"], &call["arguments"]),
        (&json!("f"), &arguments)
    );
}

#[test]
fn what_is_not_captured_is_not_kept() {
    let mut output = StreamOutput::new(SpanKind::Llm, false);
    output.role("assistant").text("a").json(&1);
    output.message(Message::user("b"));
    output.tool_call(0).name("f").arguments("{}");
    output.metadata("finish_reason", "stop");
    output.usage(TokenUsage::new().input(1));
    output.usage(TokenUsage::new().output(2));
    assert!(output.choices.is_empty(), "{output:?}");
    let finished = output.finish(SpanKind::Llm);
    assert!(finished.content.is_none());
    assert_eq!(finished.usage, Some(TokenUsage::new().input(1).output(2)));
    assert_eq!(json(&finished.metadata), json!({"finish_reason": "stop"}));
}

#[test]
fn metadata_is_bounded_however_often_it_is_told() {
    let mut output = StreamOutput::new(SpanKind::Task, true);
    for number in 0..100_010 {
        output.metadata("same", "value");
        output.metadata(&format!("k{}", number % 2), number);
    }
    assert_eq!(output.metadata["same"], "value");
    assert_eq!(output.metadata[Room::REST_KEY], Room::REST);
    assert_eq!(output.metadata.len(), 4);
    // The output has its own room.
    output.text("a");
    assert!(output.finish(SpanKind::Task).content.is_some());
}

#[test]
fn the_first_error_counts() {
    let mut output = StreamOutput::new(SpanKind::Task, true);
    output.error(&std::io::Error::other("one"));
    output.error(&std::io::Error::other("two"));
    assert_eq!(output.finish(SpanKind::Task).error.unwrap().message, "one");
}

#[test]
fn a_url_in_several_items_has_no_secrets_and_what_is_told_by_hand_is_as_it_is() {
    let pieces = ["at postgres://ada:HUN", "TER@db/x"];
    let captured = |output: &mut StreamOutput| {
        for piece in pieces {
            output.captured(piece.into());
        }
    };
    let hidden = "at postgres://ada:[redacted]@db/x";
    assert_eq!(messages(captured)[0]["content"], hidden);
    let read = |output: &mut StreamOutput| {
        for piece in pieces {
            output.json(piece);
        }
    };
    assert_eq!(value(read), hidden);
    let chunks = |output: &mut StreamOutput| pieces.iter().for_each(|piece| output.chunk(piece));
    assert_eq!(value(chunks), hidden);
    let with_more = value(|output| {
        read(output);
        output.json(&1);
    });
    assert_eq!(with_more, json!([hidden, 1]));
    let by_hand = value(|output| {
        for piece in pieces {
            output.text(piece);
        }
    });
    assert_eq!(by_hand, pieces.concat());
}
