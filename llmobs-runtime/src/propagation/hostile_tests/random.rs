//! Headers of nonsense, and valid ones with changes, at random.

use std::collections::HashMap;

use super::super::tests::{Headers, client};
use super::super::*;
use super::HEX;
use crate::context::Context;
use crate::span::Span;

/// A text of anything, or of what means something in headers.
fn noise(random: &mut fastrand::Rng) -> String {
    const WORDS: &[&str] = &[
        "_dd.p.",
        "llmobs_parent_id",
        "llmobs_trace_id",
        "llmobs_ml_app",
        "llmobs_sid",
        "llmobs_sr",
        "llmobs_sd",
        "llmobs_pagent_span_id",
        "llmobs_pagent_name",
        "dm",
        "tid",
        "dd=",
        "t.",
        "s:",
        "o:",
        "p:",
        ",",
        ";",
        "=",
        ":",
        "~",
        "-",
        " ",
        "\t",
        "\r\n",
        "\0",
        "é",
        "💣",
        "0",
        "1",
        "-1",
        "00",
        "ff",
        "undefined",
        "foo=1",
        "a@b=c",
        HEX,
        "18446744073709551615",
        "18446744073709551616",
        "0.5",
        "NaN",
        "x",
    ];
    let mut text = String::new();
    for _ in 0..random.usize(..20) {
        match random.u8(..8) {
            0 => text.push(random.char(..)),
            1 => text.extend(std::iter::repeat_n(
                random.alphanumeric(),
                random.usize(..300),
            )),
            _ => text.push_str(WORDS[random.usize(..WORDS.len())]),
        }
    }
    text
}

/// Headers that are valid but for some changes.
fn mutated(random: &mut fastrand::Rng) -> Headers {
    let pair = |key: &str, value: String| format!("_dd.p.{key}={value}");
    let number = |random: &mut fastrand::Rng| match random.u8(..4) {
        0 => random.u64(..).to_string(),
        1 => random.u128(..).to_string(),
        2 => format!("{:032x}", random.u128(..)),
        _ => random.u8(..).to_string(),
    };
    let (upper, lower) = (random.u64(..), random.u64(..));
    let mut tags = vec![
        pair("tid", format!("{upper:016x}")),
        pair("dm", format!("-{}", random.u8(..12))),
        pair("llmobs_parent_id", random.u64(..).to_string()),
        pair("llmobs_trace_id", number(random)),
        pair("llmobs_sid", noise(random)),
        pair("llmobs_ml_app", noise(random)),
        pair("llmobs_sr", "0.25".into()),
        pair("llmobs_sd", "1".into()),
        pair("llmobs_pagent_span_id", number(random)),
        pair("llmobs_pagent_name", noise(random)),
        noise(random),
    ];
    random.shuffle(&mut tags);
    tags.truncate(random.usize(..=tags.len()));
    let state: Vec<String> = tags
        .iter()
        .map(|tag| tag.replacen("_dd.p.", "t.", 1).replacen('=', ":", 1))
        .collect();
    let trace = if random.bool() {
        format!("{upper:016x}{lower:016x}")
    } else {
        format!("{:032x}", random.u128(..))
    };
    let span = random.u64(..);
    let mut all = vec![
        ("x-datadog-trace-id", lower.to_string()),
        ("x-datadog-parent-id", span.to_string()),
        ("X-Datadog-Sampling-Priority", random.i8(-3..4).to_string()),
        ("x-datadog-origin", noise(random)),
        ("x-datadog-tags", tags.join(",")),
        (
            "Traceparent",
            format!("00-{trace}-{span:016x}-{:02x}", random.u8(..)),
        ),
        (
            "tracestate",
            format!(
                "{},dd=s:{};{},{}",
                noise(random),
                random.i8(..),
                state.join(";"),
                noise(random)
            ),
        ),
    ];
    for (_, value) in &mut all {
        match random.u8(..16) {
            0 => *value = noise(random),
            1 => value.push_str(&noise(random)),
            2 => value.make_ascii_uppercase(),
            3 => *value = value.chars().skip(random.usize(..4)).collect(),
            4 => *value = value.chars().take(random.usize(..60)).collect(),
            _ => {}
        }
    }
    random.shuffle(&mut all);
    all.truncate(random.usize(1..=all.len()));
    let owned = |(key, value): (&str, String)| (key.to_owned(), value);
    all.into_iter().map(owned).collect()
}

/// What a strict reader asks of what we write.
fn assert_legal(out: &Headers, why: &str) {
    let traceparent = w3c::traceparent(&out["traceparent"]).expect(why);
    assert_eq!(traceparent.to_string(), out["traceparent"], "{why}");
    let low = TraceLow(traceparent.trace).to_string();
    assert_eq!(out["x-datadog-trace-id"], low, "{why}");
    assert_eq!(
        out["x-datadog-parent-id"],
        traceparent.span.to_string(),
        "{why}"
    );
    out["x-datadog-sampling-priority"].parse::<i8>().expect(why);

    let plain = |text: &str| text.bytes().all(|b| matches!(b, b' '..=b'~'));
    let members: Vec<&str> = out["tracestate"].split(',').collect();
    assert!(members.len() <= 32 && members[0].len() <= 256, "{why}");
    assert!(out["tracestate"].len() <= 256 + 512, "{why}");
    let mut keys = Vec::new();
    for member in members {
        let (key, value) = member.split_once('=').expect(why);
        assert!(!keys.contains(&key), "{why}");
        keys.push(key);
        let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        assert!(lower(key.as_bytes()[0]), "{why}");
        assert!(
            key.bytes().all(|b| lower(b) || b"_-*/@".contains(&b)),
            "{why}"
        );
        assert!(
            plain(value) && !value.contains('=') && value.len() <= 256,
            "{why}"
        );
        assert!(!value.is_empty() && !value.ends_with(' '), "{why}");
    }
    assert_eq!(keys[0], "dd", "{why}");

    let tags = &out["x-datadog-tags"];
    assert!(
        tags.len() <= 512 && plain(tags) && tags.trim() == tags,
        "{why}"
    );
    let mut keys = Vec::new();
    for tag in tags.split(',') {
        let (key, value) = tag.split_once('=').expect(why);
        assert!(key.starts_with("_dd.p.") && !key.contains(' '), "{why}");
        assert!(!value.is_empty() && !keys.contains(&key), "{why}");
        keys.push(key);
    }
    assert!(keys.contains(&"_dd.p.llmobs_parent_id"), "{why}");
    if let Some(origin) = out.get("x-datadog-origin") {
        assert!(plain(origin) && origin.len() <= 256, "{why}");
    }
}

/// The half of a trace id that Datadog's own header holds.
struct TraceLow(u128);

impl std::fmt::Display for TraceLow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0 & u128::from(u64::MAX))
    }
}

fn nameless(headers: &Headers) -> Headers {
    let without = |value: &String| {
        let fields = value.split_inclusive([',', ';']);
        let others = fields.filter(|field| !field.contains("llmobs_pagent_name"));
        others.collect::<String>().replace([',', ';'], " ")
    };
    let all = headers.iter();
    all.map(|(key, value)| (key.clone(), without(value).trim().to_owned()))
        .collect()
}

/// `LLMOBS_TEST_SEED` is for another run than the usual one.
#[test]
fn no_headers_make_us_panic_or_write_what_is_illegal() {
    let seed = std::env::var("LLMOBS_TEST_SEED");
    let seed = seed.map_or(7, |seed| seed.parse().expect("a number"));
    println!("LLMOBS_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let client = client();
    let mut written = 0;
    for round in 0..20_000 {
        let incoming = if random.u8(..4) == 0 {
            let names = [
                "traceparent",
                "tracestate",
                "x-datadog-tags",
                "x-datadog-trace-id",
            ];
            let mut all = HashMap::new();
            for name in names {
                all.insert(name.to_owned(), noise(&mut random));
            }
            all
        } else {
            mutated(&mut random)
        };
        let why = format!("seed {seed}, round {round}: {incoming:?}");
        client.scope(|| {
            let write = |context: &Context, mut out: Headers| {
                let done = context.in_scope(|| inject(&mut out)).is_ok();
                done.then_some(out)
            };
            let context = extract(&incoming);
            // Below a span of ours, into a carrier that holds the very same headers.
            let span = context.in_scope(|| Span::task("t").start());
            let over = write(&Context::from(&span), incoming.clone()).expect(&why);
            let over = over
                .into_iter()
                .map(|(key, value)| (key.to_lowercase(), value));
            let mut over: Headers = over.collect();
            // A stale one stays where there is none to replace it.
            let stale = incoming.get("x-datadog-origin");
            if over.get("x-datadog-origin") == stale {
                over.remove("x-datadog-origin");
            }
            assert_legal(&over, &why);
            let back = extract(&over);
            assert_eq!(
                back.span_context().map(|id| id.span_id().into_owned()),
                span.context().map(|id| id.span_id().into_owned()),
                "{why}"
            );

            let Some(once) = write(&context, Headers::new()) else {
                return;
            };
            written += 1;
            assert_legal(&once, &why);
            let twice = write(&extract(&once), Headers::new()).expect(&why);
            assert_legal(&twice, &why);
            // The agent's name is the one thing that may be cut, and once it is it stays so.
            let thrice = write(&extract(&twice), Headers::new()).expect(&why);
            assert_eq!(twice, thrice, "{why}");
            assert_eq!(nameless(&once), nameless(&twice), "{why}");
        });
    }
    assert!(written > 5_000, "{written} of the rounds told a trace");
}
