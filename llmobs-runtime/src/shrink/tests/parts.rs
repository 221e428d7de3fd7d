//! Which parts go, and the strings that are cut before any of them does.

use serde_json::{Value, json};

use super::super::*;
use super::{event, shrunk};
use crate::prompt::Prompt;
use crate::tool::ToolDefinition;

/// A value of so many bytes as JSON, in which there is nothing to cut.
fn numbers(bytes: usize) -> Value {
    let mut ones = vec![json!(1); (bytes - 1) / 2];
    if bytes.is_multiple_of(2) {
        ones[0] = json!(11);
    }
    let value = Value::from(ones);
    assert_eq!(length::of(&value), bytes);
    value
}

/// What metadata come to in an event that has room for a mark in their place.
fn metadata_left(metadata: Vec<(String, Value)>) -> Value {
    let mut event = event();
    event.collection_errors = vec![DROPPED_IO.to_owned()];
    let limit = length::of(&event) + 60;
    event.meta.metadata = metadata.into_iter().collect();
    assert_eq!(shrunk(&mut event, limit).gone, ["metadata"]);
    event.meta.metadata.into()
}

#[test]
fn a_large_entry_of_the_metadata_has_a_mark_of_its_own() {
    for (key, value, is_large) in [
        (1, 511, false),
        (1, 512, true),
        (10, 200, false),
        (10, 503, true),
    ] {
        let key = "k".repeat(key);
        let left = metadata_left(vec![(key.clone(), numbers(value))]);
        let expected = if is_large {
            json!({key: format!("…[{value} bytes cut]")})
        } else {
            json!({"…": "…[1 entries cut]"})
        };
        assert_eq!(left, expected);
    }
    // A key that is as large as an entry goes as well.
    for (key, stays) in [(512, true), (513, false)] {
        let mut event = event();
        let key = "k".repeat(key);
        let limit = length::of(&event) + 600;
        event.meta.metadata = [(key.clone(), numbers(5_000))].into_iter().collect();
        shrunk(&mut event, limit);
        assert_eq!(event.meta.metadata.contains_key(&key), stays);
    }
}

#[test]
fn of_the_metadata_the_larger_part_goes_first() {
    let with = |metadata: Vec<(String, Value)>, limit: usize| {
        let mut event = event();
        event.meta.metadata = metadata.into_iter().collect();
        let limit = length::of(&self::event()) + limit;
        assert_eq!(shrunk(&mut event, limit).gone, ["metadata"]);
        Value::from(event.meta.metadata)
    };
    let (short, long) = ("k".repeat(2), "l".to_owned());
    let left = with(
        vec![
            (short.clone(), numbers(1_000)),
            (long.clone(), numbers(1_500)),
        ],
        1_200,
    );
    assert_eq!(
        left,
        json!({short: numbers(1_000), long: "…[1500 bytes cut]"})
    );
    // Many small ones are one part.
    let mut all: Vec<_> = (0..50)
        .map(|number| (format!("small-{number:04}"), numbers(101)))
        .collect();
    all.push(("large".to_owned(), numbers(1_001)));
    let left = with(all, 1_200);
    assert_eq!(
        left,
        json!({"large": numbers(1_001), "…": "…[50 entries cut]"})
    );
}

#[test]
fn marks_that_add_up_go_as_well_and_are_told_once() {
    let mut event = event();
    let entry = |number| (format!("entry-{number}"), numbers(600));
    event.meta.metadata = (0..100).map(entry).collect();
    assert_eq!(shrunk(&mut event, 2_000).gone, ["metadata"]);
    let left = Value::from(event.meta.metadata);
    assert_eq!(left, json!({"…": "…[100 entries cut]"}));
}

#[test]
fn a_part_that_is_small_goes_last() {
    let limit = length::of(&{
        let mut event = event();
        event.collection_errors = vec![DROPPED_IO.to_owned()];
        event
    }) + 10;
    let mut tagged = event();
    tagged.tags.push(format!("user:{}", "x".repeat(80)));
    assert_eq!(shrunk(&mut tagged, limit).gone, ["tags"]);
    assert_eq!(tagged.tags, ["ml_app:app"]);
    // A metric of the user's counts as a part where it has more than that.
    let largest = strings::SHORTEST - r#"{"":1}"#.len();
    for (key, gone) in [(largest, vec![]), (largest + 1, vec!["metrics"])] {
        let mut event = event();
        event.metrics.insert("k".repeat(key), json!(1));
        let size = length::of(&event);
        assert_eq!(span(&mut event, size, limit).unwrap().gone, gone);
    }
}

#[test]
fn an_eighth_of_the_limit_is_for_the_tags_of_the_user() {
    for (count, value, limit, stay) in [
        // Each has 20 bytes, two quotes and a comma.
        (200, 15, 4_000, 500 / 23),
        // Each is cut to 128 bytes and its key of four.
        (40, 1_000, 4_080, 510 / 135),
    ] {
        let mut event = event();
        let tag = |number| format!("k{number:03}:{}", "v".repeat(value));
        event.tags.extend((0..count).map(tag));
        assert_eq!(shrunk(&mut event, limit).gone, ["tags"]);
        assert_eq!(event.tags.len(), 1 + stay, "{:?}", event.tags);
    }
}

#[test]
fn what_tools_and_prompts_say_is_cut_before_they_go() {
    let long = "words ".repeat(2_000);
    let mut event = event();
    let tool = ToolDefinition::new("search").description(&*long);
    event.meta.tool_definitions = vec![tool];
    let prompt = Prompt::new("greeting")
        .template(long.clone())
        .variable("name", &*long);
    event.meta.input.prompt = Some(prompt.event("app"));
    assert!(shrunk(&mut event, 4_000).gone.is_empty());
    let prompt = event.meta.input.prompt.unwrap();
    let template = prompt.template.unwrap();
    for cut in [&template, &prompt.variables["name"]] {
        assert!(cut.contains(" bytes cut]…"), "{cut}");
    }
}

#[test]
fn strings_come_down_to_the_shortest_and_no_further() {
    let mut text = "x".repeat(1_000);
    let mut line = |excess| {
        let walk: Walk<'_> = &mut |visit| visit(&mut text, walk::Site::Content);
        Pieces::of(walk, Json::Whole).line(excess)
    };
    let spare = 1_000 - strings::SHORTEST;
    assert_eq!(line(spare - 1), Some(strings::SHORTEST + 1));
    assert_eq!(line(spare), Some(strings::SHORTEST));
    assert_eq!(line(spare + 1), None);
    // All that have more than that on the wire, and no shorter one.
    let spare = |text: &str, site: walk::Site<'_>| {
        let mut text = text.to_owned();
        Pieces::of(&mut |visit| visit(&mut text, site), Json::Whole).spare()
    };
    for (text, expected) in [
        ("x".repeat(strings::SHORTEST), 0),
        ("x".repeat(strings::SHORTEST + 9), 9),
        ("\u{1}".repeat(30), 30 * 6 - strings::SHORTEST),
    ] {
        assert_eq!(spare(&text, walk::Site::Content), expected);
    }
    // Of a tag the value is, save where its key is as long as a text.
    for (key, expected) in [(200, 1_000), (201, 1_202)] {
        let tag = format!("{}:{}", "k".repeat(key), "v".repeat(1_000));
        assert_eq!(spare(&tag, walk::Site::Tag), expected - strings::SHORTEST);
    }
}

#[test]
fn what_is_as_long_as_the_line_stays() {
    let mut texts = ["x".repeat(1_000), "y".repeat(500)];
    let mut walk = |visit: walk::Visit<'_>| {
        for text in &mut texts {
            visit(text, walk::Site::Content);
        }
    };
    let pieces = Pieces::of(&mut walk, Json::Whole);
    let line = pieces.line(500).unwrap();
    assert_eq!(line, 500);
    pieces.cut(&mut walk, line);
    assert!((499..=500).contains(&texts[0].len()));
    assert_eq!(texts[1], "y".repeat(500));
}
