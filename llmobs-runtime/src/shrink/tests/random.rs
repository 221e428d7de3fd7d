//! What is true of any event and any limit.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::event;
use crate::document::Document;
use crate::failure::SpanError;
use crate::message::{Message, ToolCall};
use crate::tool::ToolDefinition;

/// Text of a kind that is hard to cut, of any length up to some kilobytes.
fn text() -> impl Strategy<Value = String> {
    let sign = prop_oneof![
        Just("a"),
        Just("\""),
        Just("\\"),
        Just("\n"),
        Just("\u{1}"),
        Just("é"),
        Just("語"),
        Just("👩‍👩‍👧‍👦"),
        Just("e\u{301}"),
        Just("…[12 bytes cut]"),
        Just("{}"),
    ];
    let few = prop_oneof![4 => 1..40_usize, 1 => 40..600_usize];
    (vec(sign, 1..12), few).prop_map(|(signs, times)| signs.concat().repeat(times))
}

/// A user's JSON.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((".{1,20}", inner), 0..4).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

fn content() -> impl Strategy<Value = String> {
    prop_oneof![text(), json().prop_map(|value| value.to_string())]
}

fn span_event() -> impl Strategy<Value = SpanEvent> {
    let messages = vec((content(), text(), proptest::option::of(json())), 0..6);
    let sides = (
        messages,
        proptest::option::of(content()),
        vec(content(), 0..3),
    );
    let metadata = vec((".{1,30}", json()), 0..5);
    let rest = (
        text(),
        vec(text(), 0..3),
        vec(text(), 0..3),
        proptest::option::of(text()),
    );
    (sides, metadata, rest).prop_map(|(sides, metadata, rest)| {
        let mut event = event();
        let (messages, value, documents) = sides;
        let messages = messages.into_iter().map(|(content, role, arguments)| {
            let message = Message::new(role, content);
            match arguments {
                Some(arguments) => message.tool_call(ToolCall::new("f", json!({"a": arguments}))),
                None => message,
            }
        });
        event.meta.input.messages = Some(messages.collect());
        event.meta.output.value = value;
        event.meta.output.documents = documents.into_iter().map(Document::new).collect();
        event.meta.metadata = metadata.into_iter().collect();
        let (name, tools, tags, error) = rest;
        event.name = name;
        let tools = tools
            .into_iter()
            .map(|text| ToolDefinition::new("t").description(text));
        event.meta.tool_definitions = tools.collect();
        event
            .tags
            .extend(tags.into_iter().map(|tag| format!("k:{tag}")));
        event.meta.error = error.map(|message| SpanError::new("E", message));
        event
    })
}

/// The strings that may be cut, before and after: with the bytes that each had on the wire.
type Pairs = Vec<(String, String, usize)>;

fn pairs(before: &Value, after: &Value, json: Json, pairs: &mut Pairs) {
    match (before, after) {
        (Value::String(before), Value::String(after)) => strings(before, after, json, pairs),
        (Value::Array(before), Value::Array(after)) => {
            assert_eq!(before.len(), after.len());
            for (before, after) in before.iter().zip(after) {
                self::pairs(before, after, json, pairs);
            }
        }
        (Value::Object(before), Value::Object(after)) => {
            assert!(before.keys().eq(after.keys()));
            for (key, value) in before {
                self::pairs(value, &after[key], json, pairs);
            }
        }
        (before, after) => assert_eq!(before, after),
    }
}

fn strings(before: &str, after: &str, json: Json, pairs: &mut Pairs) {
    let cost = length::inside(before);
    if json == Json::Inside && strings::inside(0, before, cost).is_some() {
        let (then, now) = (length::literals(before).unwrap(), length::literals(after));
        let now = now.expect("a JSON text stays JSON");
        assert_eq!(then.len(), now.len());
        for (then, now) in then.into_iter().zip(now) {
            let cost = length::inside(&before[then.clone()]);
            pairs.push((before[then].to_owned(), after[now].to_owned(), cost));
        }
    } else {
        pairs.push((before.to_owned(), after.to_owned(), cost));
    }
}

/// Whether `after` is the head and the tail of `before` with the mark between them.
fn is_cut(before: &str, after: &str) -> bool {
    after.match_indices("…[").any(|(at, mark)| {
        let (head, rest) = (&after[..at], &after[at + mark.len()..]);
        let Some((missing, tail)) = rest.split_once(" bytes cut]…") else {
            return false;
        };
        let Some(gone) = before.len().checked_sub(head.len() + tail.len()) else {
            return false;
        };
        let same = before.starts_with(head) && before.ends_with(tail);
        let whole = !head.is_empty() && !tail.is_empty();
        let gone = || length::missing_bytes(&before[head.len()..head.len() + gone]);
        same && whole && missing == gone().to_string()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_fits_and_is_the_longest_cut_first(
        whole in span_event(),
        share in 5..100_usize,
    ) {
        let size = length::of(&whole);
        let limit = size * share / 100;
        let mut event = whole.clone();
        let Some(done) = span(&mut event, size, limit) else {
            prop_assert!(size <= limit);
            return Ok(());
        };
        let json = serde_json::to_vec(&event).unwrap();
        let back: SpanEvent = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(&back, &event);
        let mut again = whole.clone();
        let done_again = span(&mut again, size, limit);
        prop_assert_eq!(done_again.as_ref(), Some(&done));
        prop_assert_eq!(&again, &event, "the same event and limit, the same result");
        if json.len() > limit {
            // What has to stay is more: then nothing else is there.
            let rest = Pieces::of(&mut |visit| walk::span(&mut again, visit), Json::Whole);
            prop_assert_eq!(rest.spare(), 0);
            prop_assert!(json.len() < 3_000, "{} of {limit}", json.len());
            return Ok(());
        }
        if !done.gone.is_empty() {
            return Ok(());
        }
        prop_assert_eq!(span(&mut again, json.len(), limit), None);

        let mut measured = whole.clone();
        measured.collection_errors = event.collection_errors.clone();
        let excess = length::of(&measured) - limit;
        let inside = Pieces::of(&mut |visit| walk::span(&mut measured, visit), Json::Inside);
        let json = inside.line(excess).map_or(Json::Whole, |_| Json::Inside);
        let mut all = Pairs::new();
        let (mut before, mut after) = (json!(whole), json!(event));
        for side in [&mut before, &mut after] {
            side.as_object_mut().unwrap().remove("collection_errors");
            // The keys of tags stay.
            for tag in side["tags"].as_array_mut().unwrap() {
                *tag = tag.as_str().unwrap().split_once(':').unwrap().1.into();
            }
        }
        pairs(&before, &after, json, &mut all);
        let (cut, same): (Vec<_>, Vec<_>) = all.into_iter().partition(|(one, other, _)| one != other);
        prop_assert!(!cut.is_empty());
        for (before, after, _) in &cut {
            prop_assert!(is_cut(before, after), "{:?} to {:?}", before, after);
        }
        let shortest = cut.iter().map(|(.., cost)| *cost).min().unwrap();
        let longest = same.iter().map(|(.., cost)| *cost).max().unwrap_or(0);
        prop_assert!(longest <= shortest, "{} stays and {} is cut", longest, shortest);
        // And the cut ones come down to one line, which none that stays is above.
        let line = cut.iter().map(|(_, after, _)| length::inside(after)).max().unwrap();
        prop_assert!(line <= shortest);
    }
}
