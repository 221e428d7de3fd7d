//! Headers that nobody would send in good faith.

mod random;

use super::extract::trace_id;
use super::tests::{Headers, client, handed_on, headers, state, tag};
use super::*;
use crate::context::Context;
use crate::span::Span;

const HEX: &str = "6b029035000000005af1d0824f64ccff";

fn injected(session: &str, carrier: &mut Headers) {
    client().scope(|| {
        let span = Span::task("t").session_id(session).start();
        let _in = span.enter();
        inject(carrier).unwrap();
    });
}

fn w3c(tracestate: &str) -> Headers {
    let traceparent = format!("00-{HEX}-00000000000001c8-01");
    headers(&[("traceparent", &traceparent), ("tracestate", tracestate)])
}

#[test]
fn what_a_carrier_holds_already_injects_no_header() {
    let mut carrier = headers(&[(
        "x-datadog-tags",
        "_dd.p.a\r\nevil: 1=2,_dd.p.b c=3,_dd.p.é=4,_dd.p.good=5",
    )]);
    injected("s", &mut carrier);
    let tags = &carrier["x-datadog-tags"];
    assert!(!tags.contains("evil") && tags.is_ascii(), "{tags:?}");
    assert!(!tags.contains("b c"), "{tags:?}");
    assert_eq!(tag(&carrier, "good"), Some("5"));
}

#[test]
fn nothing_that_a_request_says_takes_the_room_of_the_parent() {
    let long = "x".repeat(240);
    let longer = "4".repeat(400);
    let tags = format!("_dd.p.dm=-{longer},_dd.p.llmobs_parent_id=456");
    let incoming = headers(&[
        ("x-datadog-trace-id", "5"),
        ("x-datadog-parent-id", "6"),
        ("x-datadog-origin", &long),
        ("x-datadog-tags", &tags),
    ]);
    let of_state = w3c(&format!(
        "dd=s:1;o:{long};t.dm:{longer};t.llmobs_parent_id:456"
    ));
    for incoming in [incoming, of_state] {
        client().scope(|| {
            let span = extract(&incoming).in_scope(|| Span::llm("l").session_id("s").start());
            let mut out = Headers::new();
            Context::from(&span).in_scope(|| inject(&mut out)).unwrap();
            let id = span.context().unwrap().span_id().into_owned();
            assert_eq!(tag(&out, "llmobs_parent_id"), Some(&*id));
            assert_eq!(tag(&out, "llmobs_sid"), Some("s"));
            assert_eq!(state(&out, "t.llmobs_parent_id"), Some(&*id));
            assert_eq!(state(&out, "t.llmobs_sid"), Some("s"));
        });
    }
}

#[test]
fn members_that_w3c_forbids_are_not_handed_on() {
    let long = "v".repeat(257);
    let out = handed_on(&w3c(&format!(
        "FOO=1,a=b=c,a b=1,=1,k=,é=1,-k=1,long={long},1t@v=x y,ok=1,dd=s:1;t.x:1=2"
    )));
    assert!(
        out["tracestate"].ends_with(",1t@v=x y,ok=1"),
        "{}",
        out["tracestate"]
    );
    assert_eq!(out["tracestate"].matches('=').count(), 3);
    assert_eq!(state(&out, "t.x"), Some("1~2"));
}

#[test]
fn a_value_that_ends_in_a_space_is_left_out() {
    let mut out = Headers::new();
    injected("s ", &mut out);
    assert_eq!(
        tag(&out, "llmobs_sid"),
        None,
        "a header loses the space on its way"
    );
    client().scope(|| {
        let agent = Span::agent("a ".repeat(300)).start();
        let _in = agent.enter();
        let mut out = Headers::new();
        inject(&mut out).unwrap();
        assert!(!out["x-datadog-tags"].ends_with(' '));
        assert!(tag(&out, "llmobs_pagent_name").is_some());
    });
}

#[test]
fn a_trace_id_that_no_header_can_hold_is_not_taken() {
    let told = |incoming: Headers| {
        client().scope(|| {
            let context = extract(&incoming);
            let here = context.in_scope(|| Span::task("t").start()).context();
            let mut out = Headers::new();
            context.in_scope(|| inject(&mut out)).unwrap();
            let next = extract(&out).span_context().unwrap();
            let here = here.unwrap().trace_id().into_owned();
            let same = trace_id(&here) == trace_id(&next.trace_id());
            assert!(same, "{here}: the next process is in {next}");
            here
        })
    };
    let by_tags = |id: &str| {
        let tags = format!("_dd.p.llmobs_parent_id=6,_dd.p.llmobs_trace_id={id}");
        told(headers(&[
            ("x-datadog-trace-id", "5"),
            ("x-datadog-tags", &tags),
        ]))
    };
    let by_state = |id: &str| {
        told(w3c(&format!(
            "dd=t.llmobs_parent_id:6;t.llmobs_trace_id:{id}"
        )))
    };
    for id in ["custom-id", &"i".repeat(256)] {
        assert_eq!([by_tags(id), by_state(id)], [id, id]);
    }
    for id in ["i".repeat(257), "i".repeat(400)] {
        assert_eq!(
            [by_tags(&id), by_state(&id)],
            ["5", HEX],
            "as where none is told"
        );
    }
    assert_eq!(by_tags("é"), "5");
}

#[test]
fn of_a_pair_that_comes_twice_the_last_counts() {
    let out = handed_on(&headers(&[
        ("x-datadog-trace-id", "5"),
        ("x-datadog-parent-id", "6"),
        (
            "x-datadog-tags",
            "_dd.p.llmobs_sid=one,_dd.p.u=1,_dd.p.llmobs_sid=two,_dd.p.u=2",
        ),
    ]));
    assert_eq!(tag(&out, "llmobs_sid"), Some("two"));
    assert_eq!(tag(&out, "u"), Some("2"));
}

#[test]
fn an_upper_half_in_upper_case_is_none() {
    let out = handed_on(&headers(&[
        ("x-datadog-trace-id", "5"),
        ("x-datadog-parent-id", "6"),
        ("x-datadog-tags", "_dd.p.tid=6B02903500000000"),
    ]));
    assert_eq!(tag(&out, "tid"), None);
}

#[test]
fn an_agent_without_a_parent_is_none() {
    client().scope(|| {
        let context = extract(&headers(&[
            ("x-datadog-trace-id", "5"),
            (
                "x-datadog-tags",
                "_dd.p.llmobs_parent_id=undefined,_dd.p.llmobs_pagent_span_id=7",
            ),
        ]));
        assert_eq!(context.remote().unwrap().agent, None);
    });
}

#[test]
fn all_that_starts_below_a_parent_is_in_one_apm_trace() {
    for trace in [HEX, "9"] {
        let tags = format!("_dd.p.llmobs_parent_id=456,_dd.p.llmobs_trace_id={trace}");
        let incoming = headers(&[("x-datadog-tags", &tags)]);
        client().scope(|| {
            let context = extract(&incoming);
            let apm = || {
                let span = context.in_scope(|| Span::llm("l").start());
                let mut out = Headers::new();
                Context::from(&span).in_scope(|| inject(&mut out)).unwrap();
                out["traceparent"][..35].to_owned()
            };
            assert_eq!(apm(), apm());
        });
        let out = handed_on(&incoming);
        assert_eq!(tag(&out, "llmobs_parent_id"), Some("456"));
    }
}

#[test]
fn what_one_of_two_headers_had_room_for_is_handed_on_again() {
    let (pad, y) = ("p".repeat(300), "y".repeat(100));
    let mut incoming = w3c(&format!("dd=s:1;t.x:{}", "x".repeat(60)));
    let tags = format!("_dd.p.llmobs_parent_id=456,_dd.p.pad={pad},_dd.p.y={y}");
    incoming.insert("x-datadog-tags".into(), tags);
    let once = handed_on(&incoming);
    let has = |key| (tag(&once, key).is_some(), state(&once, key).is_some());
    assert_eq!(has("pad"), (true, false));
    assert_ne!(has("x"), (false, false));
    let twice = handed_on(&once);
    assert_eq!(once, twice);
}

#[test]
fn an_origin_is_handed_on_in_both_forms() {
    let datadog = headers(&[
        ("x-datadog-trace-id", "5"),
        ("x-datadog-parent-id", "6"),
        ("x-datadog-origin", "synthetics"),
    ]);
    for incoming in [datadog, w3c("dd=o:synthetics")] {
        let out = handed_on(&incoming);
        assert_eq!(out["x-datadog-origin"], "synthetics");
        assert_eq!(state(&out, "o"), Some("synthetics"));
    }
    let mut evil = w3c("dd=s:1");
    evil.insert("x-datadog-trace-id".into(), "5".into());
    evil.insert("x-datadog-parent-id".into(), "6".into());
    evil.insert("x-datadog-origin".into(), "a\r\nevil: 1".into());
    assert!(!handed_on(&evil).contains_key("x-datadog-origin"));
}

#[test]
fn an_origin_of_a_tracestate_is_no_longer_than_one_of_a_header() {
    for (length, told) in [(256, true), (257, false)] {
        let origin = "o".repeat(length);
        let once = handed_on(&w3c(&format!("dd=s:2;o:{origin}")));
        let twice = handed_on(&once);
        for out in [once, twice] {
            assert_eq!(out.contains_key("x-datadog-origin"), told, "{length}");
        }
    }
}

#[test]
fn headers_in_several_cases_are_read_in_one_order() {
    let traceparent = format!("00-{HEX}-00000000000001c8-01");
    for _ in 0..20 {
        let out = handed_on(&headers(&[
            ("Traceparent", &traceparent),
            ("TRACESTATE", "a=1"),
            ("Tracestate", "b=2"),
        ]));
        assert!(out["tracestate"].ends_with(",a=1,b=2"), "{out:?}");
    }
}

#[cfg(feature = "http")]
#[test]
fn two_traceparents_that_disagree_tell_nothing() {
    let mut map = http::HeaderMap::new();
    for span in ["00000000000001c8", "00000000000001c9"] {
        let value = format!("00-{HEX}-{span}-01").parse().unwrap();
        map.append("traceparent", value);
        let told = client().scope(|| extract(&map).remote().is_some());
        assert_eq!(told, map.len() == 1);
    }
}

#[cfg(feature = "http")]
#[test]
fn a_header_map_that_is_full_survives() {
    let mut map = http::HeaderMap::new();
    let mut number = 0;
    while map
        .try_insert(
            http::HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap(),
            http::HeaderValue::from_static("1"),
        )
        .is_ok()
    {
        number += 1;
    }
    client().scope(|| {
        let _in = Span::llm("l").start().enter();
        inject(&mut map).unwrap();
    });
}

/// A user's carrier that panics at the call of this number.
struct Panics(std::cell::Cell<u32>);

impl Panics {
    fn count(&self) {
        self.0.set(self.0.get().wrapping_sub(1));
        assert!(self.0.get() != 0, "a carrier of the test");
    }
}

impl Extractor for Panics {
    fn get(&self, name: &str) -> Option<&str> {
        self.count();
        (name == header::TRACE_ID).then_some("5")
    }
}

impl Injector for Panics {
    fn set(&mut self, _: &'static str, _: String) {
        self.count();
    }
}

#[test]
fn a_carrier_that_panics_is_survived() {
    let client = client();
    client.scope(|| {
        for at in 1..=3 {
            let context = extract(&Panics(at.into()));
            assert!(context.remote().is_none());
        }
        let _in = Span::llm("l").start().enter();
        for at in 1..=8 {
            let injected = inject(&mut Panics(at.into()));
            assert_eq!(injected, Err(InjectError::Carrier), "{at}");
        }
        assert_eq!(inject(&mut Panics(9.into())), Ok(()));
    });
    assert_eq!(client.stats().rejected, 8);
}

#[test]
fn the_limits_are_met_to_the_character() {
    for (name, limit, around) in [
        ("tracestate", 256, ";t.llmobs_sid:".len()),
        ("x-datadog-tags", 512, ",_dd.p.llmobs_sid=".len()),
    ] {
        let mut out = Headers::new();
        injected("s", &mut out);
        // Ids have more digits or fewer, so that lengths around the limit are tried.
        let room = limit - out[name].len();
        let mut met = false;
        // And tried again, since it is chance which of them meet it.
        for length in (room - 8..=room + 8).cycle().take(17 * 20) {
            let mut out = Headers::new();
            injected(&"s".repeat(length), &mut out);
            let has = out[name].contains("llmobs_sid");
            let whole = out[name].len() + if has { 0 } else { around + length };
            assert_eq!(has, whole <= limit, "{name}, {length}: {whole}");
            met |= out[name].len() == limit;
            if has {
                let told = client().scope(|| extract(&out).remote().unwrap().session.clone());
                assert_eq!(told.map(|session| session.len()), Some(length));
            }
        }
        assert!(met, "{name}: the limit itself was never met");
    }
    let tags = |length: usize| {
        let tags = "_dd.p.llmobs_parent_id=456,_dd.p.pad=";
        format!("{tags}{}", "x".repeat(length - tags.len()))
    };
    for (length, told) in [(511, true), (512, true), (513, false)] {
        let incoming = headers(&[
            ("x-datadog-trace-id", "5"),
            ("x-datadog-tags", &tags(length)),
        ]);
        let parent = client().scope(|| extract(&incoming).span_context().is_some());
        assert_eq!(parent, told, "{length}");
    }
}
