use std::collections::HashMap;

use super::extract::trace_id;
use super::*;
use crate::config::Destination;
use crate::context::Context;
use crate::export::memory::Memory;
use crate::id::{LlmTraceId, TraceId};
use crate::span::Span;
use crate::{Annotation, Config, LlmObs};

pub(super) type Headers = HashMap<String, String>;

pub(super) fn client() -> LlmObs {
    let config = Config::new().ml_app("app").tracing_spans(false);
    config
        .destination(Destination::Memory(Memory::new()))
        .build()
        .unwrap()
}

pub(super) fn headers(pairs: &[(&str, &str)]) -> Headers {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// What is handed on from `incoming` without a span in between.
pub(super) fn handed_on(incoming: &Headers) -> Headers {
    client().scope(|| {
        let mut outgoing = Headers::new();
        let context = extract(incoming);
        let injected = context.in_scope(|| inject(&mut outgoing));
        assert_eq!(injected.is_ok(), !outgoing.is_empty());
        outgoing
    })
}

fn fields(header: &str, separator: char, equals: char) -> Vec<(&str, &str)> {
    let pairs = header.split(separator);
    pairs.map(|pair| pair.split_once(equals).unwrap()).collect()
}

pub(super) fn tag<'a>(headers: &'a Headers, key: &str) -> Option<&'a str> {
    let tags = fields(&headers["x-datadog-tags"], ',', '=');
    let key = format!("_dd.p.{key}");
    tags.into_iter()
        .find_map(|(name, value)| (name == key).then_some(value))
}

pub(super) fn state<'a>(headers: &'a Headers, key: &str) -> Option<&'a str> {
    let member = headers["tracestate"].split(',').next().unwrap();
    let fields = fields(member.strip_prefix("dd=").unwrap(), ';', ':');
    fields
        .into_iter()
        .find_map(|(name, value)| (name == key).then_some(value))
}

#[test]
fn a_trace_id_is_read_in_either_spelling() {
    let number = |text: &str, expected| {
        assert_eq!(
            trace_id(text),
            LlmTraceId::Number(TraceId(expected)),
            "{text}"
        );
    };
    number(
        "6b029035000000005af1d0824f64ccff",
        0x6b02_9035_0000_0000_5af1_d082_4f64_ccff,
    );
    number("00000000000000000000000000000123", 0x123);
    number("18446744073709551616", 1 << 64);
    number("018446744073709551616", 1 << 64);
    number(
        "142000000000000000000000000000000000000",
        142 * 10_u128.pow(36),
    );
    number("14200000000000000000000000000000", 142 * 10_u128.pow(29));
    for text in [
        "123",
        "18446744073709551615",
        "6B029035000000005AF1D0824F64CCFF",
        "custom-id",
        "999999999999999999999999999999999999999999",
    ] {
        assert_eq!(trace_id(text), LlmTraceId::Text(text.into()), "{text}");
    }
}

#[test]
fn what_goes_out_comes_in_again() {
    client().scope(|| {
        let agent = Span::agent("router")
            .session_id("s-1")
            .ml_app("dist")
            .start();
        let _agent = agent.enter();
        let sender = Span::task("sender").start();
        let _in = sender.enter();
        let mut out = Headers::new();
        inject(&mut out).unwrap();
        assert!(out["tracestate"].starts_with("dd=p:"));
        assert_eq!(tag(&out, "llmobs_pagent_name"), Some("router"));
        let context = extract(&out);
        assert_eq!(context.span_context(), sender.context());
        let remote = context.remote().unwrap();
        assert_eq!(remote.ml_app.as_deref(), Some("dist"));
        assert_eq!(remote.session.as_deref(), Some("s-1"));
        assert_eq!(remote.sampling.as_ref().unwrap().keep, Some(true));
        let agent_id = agent.context().unwrap().span_id().into_owned();
        assert_eq!(remote.agent.as_ref().unwrap().span, agent_id);
    });
}

#[test]
fn an_agent_is_the_nearest_agent_of_what_it_calls() {
    client().scope(|| {
        let outer = Span::agent("outer").start();
        let _outer = outer.enter();
        let inner = Span::agent("inner").start();
        let _inner = inner.enter();
        inner.annotate(Annotation::new().name("renamed")).unwrap();
        let mut out = Headers::new();
        inject(&mut out).unwrap();
        assert_eq!(tag(&out, "llmobs_pagent_name"), Some("renamed"));
    });
}

/// What ddtrace 4.16 handed on for these very headers.
#[test]
fn datadogs_headers_are_handed_on_as_they_came() {
    let tags = "_dd.p.tid=6b02903500000000,_dd.p.dm=-4,_dd.p.other=zz,_dd.p.llmobs_parent_id=456,\
                _dd.p.llmobs_trace_id=142000000000000000000000000000000000000,\
                _dd.p.llmobs_ml_app=app2,_dd.p.llmobs_sid=sx,_dd.p.llmobs_sr=0.5,\
                _dd.p.llmobs_sd=0,_dd.p.llmobs_pagent_span_id=77,_dd.p.llmobs_pagent_name=ag";
    let out = handed_on(&headers(&[
        ("X-Datadog-Trace-Id", "123"),
        ("x-datadog-parent-id", "455"),
        ("x-datadog-sampling-priority", "-1"),
        ("x-datadog-tags", tags),
    ]));
    let mut sorted: Vec<&str> = tags.split(',').collect();
    sorted.sort_unstable();
    let mut written: Vec<&str> = out["x-datadog-tags"].split(',').collect();
    written.sort_unstable();
    assert_eq!(written, sorted);
    assert_eq!(
        out["traceparent"],
        "00-6b02903500000000000000000000007b-00000000000001c7-00"
    );
    assert_eq!(out["x-datadog-trace-id"], "123");
    assert_eq!(out["x-datadog-parent-id"], "455");
    assert_eq!(out["x-datadog-sampling-priority"], "-1");
    assert_eq!(state(&out, "s"), Some("-1"));
    assert_eq!(state(&out, "t.dm"), Some("-4"));
    assert_eq!(state(&out, "t.llmobs_parent_id"), Some("456"));
}

#[test]
fn w3cs_headers_alone_carry_the_same() {
    let out = handed_on(&headers(&[
        (
            "traceparent",
            "00-6b029035000000005af1d0824f64ccff-00000000000001c8-01",
        ),
        (
            "tracestate",
            "foo=1,dd=s:2;o:rum;p:00000000000001c9;t.dm:-4;t.usr:x~y;t.llmobs_parent_id:456;\
             t.llmobs_trace_id:9;t.llmobs_sid:a_b~c , bar=2",
        ),
    ]));
    assert_eq!(
        out["traceparent"],
        "00-6b029035000000005af1d0824f64ccff-00000000000001c8-01"
    );
    assert!(
        out["tracestate"].ends_with(",foo=1,bar=2"),
        "{}",
        out["tracestate"]
    );
    assert_eq!(state(&out, "o"), Some("rum"));
    assert_eq!(state(&out, "s"), Some("2"));
    assert_eq!(tag(&out, "usr"), Some("x=y"));
    assert_eq!(tag(&out, "llmobs_sid"), Some("a_b=c"));
    assert_eq!(tag(&out, "llmobs_trace_id"), Some("9"));
    assert_eq!(tag(&out, "llmobs_sr"), None, "said by nobody");
}

#[test]
fn datadogs_headers_come_before_w3cs() {
    let datadog = [
        ("x-datadog-trace-id", "123"),
        ("x-datadog-parent-id", "456"),
        ("x-datadog-tags", "_dd.p.llmobs_parent_id=456"),
    ];
    let w3c = |trace: &'static str| {
        let mut all = datadog.to_vec();
        all.push(("traceparent", trace));
        all.push((
            "tracestate",
            "dd=s:2;t.llmobs_parent_id:888;t.llmobs_ml_app:other,foo=1",
        ));
        headers(&all)
    };
    let of_another = handed_on(&w3c(
        "00-6b029035000000005af1d0824f64ccff-00000000000001c8-01",
    ));
    assert_eq!(tag(&of_another, "llmobs_parent_id"), Some("456"));
    assert_eq!(tag(&of_another, "llmobs_ml_app"), None, "another trace's");
    assert!(!of_another["tracestate"].contains("foo=1"));
    let of_the_same = handed_on(&w3c(
        "00-0000000000000000000000000000007b-00000000000001c8-01",
    ));
    assert_eq!(tag(&of_the_same, "llmobs_parent_id"), Some("456"));
    assert_eq!(tag(&of_the_same, "llmobs_ml_app"), Some("other"));
    assert!(of_the_same["tracestate"].ends_with(",foo=1"));
}

#[test]
fn a_parent_that_is_none_leaves_the_rest() {
    for parent in [
        "undefined",
        "garbage",
        "-5",
        "+5",
        "0",
        "99999999999999999999",
    ] {
        let tags = format!("_dd.p.llmobs_parent_id={parent},_dd.p.llmobs_sid=s");
        let incoming = headers(&[("x-datadog-trace-id", "123"), ("x-datadog-tags", &tags)]);
        client().scope(|| {
            let context = extract(&incoming);
            assert_eq!(context.span_context(), None, "{parent}");
            let span = context.in_scope(|| Span::llm("l").start());
            let mut out = Headers::new();
            Context::from(&span).in_scope(|| inject(&mut out)).unwrap();
            assert_eq!(tag(&out, "llmobs_sid"), Some("s"));
            assert_eq!(out["x-datadog-trace-id"], "123");
            assert_eq!(tag(&out, "llmobs_sr"), Some("1"), "decided here");
        });
    }
}

#[test]
fn headers_that_say_nothing_give_an_empty_context() {
    client().scope(|| {
        let long = "a".repeat(3_000_000);
        for incoming in [
            headers(&[]),
            headers(&[("x-datadog-trace-id", "-1"), ("traceparent", "00-00-00-00")]),
            headers(&[("x-datadog-trace-id", "0")]),
            headers(&[(
                "traceparent",
                "ff-6b029035000000005af1d0824f64ccff-00000000000001c8-01",
            )]),
            headers(&[(
                "traceparent",
                "00-6B029035000000005af1d0824f64ccff-00000000000001c8-01",
            )]),
            headers(&[(
                "traceparent",
                "00-00000000000000000000000000000000-00000000000001c8-01",
            )]),
            headers(&[(
                "traceparent",
                "00-6b029035000000005af1d0824f64ccffé00000000000001c8-01",
            )]),
            headers(&[
                ("x-datadog-tags", &long),
                ("tracestate", &long),
                ("traceparent", &long),
            ]),
            headers(&[("x-datadog-tags", "=,,==,_dd.p.=,_dd.p.llmobs_trace_id=5")]),
        ] {
            let context = extract(&incoming);
            assert!(context.remote().is_none(), "{incoming:?}");
        }
    });
}

#[test]
fn a_later_version_of_traceparent_is_read_as_far_as_it_is_known() {
    let parent = |text: &str| w3c::traceparent(text).map(|parent| parent.span);
    let later = "cc-6b029035000000005af1d0824f64ccff-00000000000001c8-01-what-comes";
    assert_eq!(parent(later), Some(0x1c8));
    assert_eq!(parent(&later.replacen("cc", "00", 1)), None);
    assert_eq!(parent(&later.replace("-what", ".what")), None);
}

fn injected(session: &str, agent: &str, carrier: &mut Headers) {
    client().scope(|| {
        let agent = Span::agent(agent).session_id(session).start();
        let _in = agent.enter();
        inject(carrier).unwrap();
    });
}

#[test]
fn the_room_of_a_header_ends_with_the_agents_name() {
    for length in 1..600 {
        let mut out = Headers::new();
        injected("s", &"n".repeat(length), &mut out);
        let tags = &out["x-datadog-tags"];
        assert!(tags.len() <= 512);
        let name = tag(&out, "llmobs_pagent_name").unwrap();
        assert!(
            name.len() == length || tags.len() == 512,
            "{length}: {}",
            tags.len()
        );
        let member = &out["tracestate"];
        assert!(member.len() <= 256);
        let name = state(&out, "t.llmobs_pagent_name");
        assert!(
            name.is_none_or(|name| name.len() == length),
            "whole or not at all"
        );
        assert!(state(&out, "t.llmobs_pagent_span_id").is_some());
    }
}

#[test]
fn a_value_that_a_header_cannot_hold_is_left_out_alone() {
    for session in ["a,b", "é", "line\nbreak", &"s".repeat(600)] {
        let mut out = Headers::new();
        injected(session, "router", &mut out);
        assert_eq!(tag(&out, "llmobs_sid"), None);
        assert_eq!(state(&out, "t.llmobs_sid"), None);
        assert!(tag(&out, "llmobs_parent_id").is_some());
    }
    let mut out = Headers::new();
    injected("a=b;c~d", "router", &mut out);
    assert_eq!(tag(&out, "llmobs_sid"), Some("a=b;c~d"));
    assert_eq!(
        state(&out, "t.llmobs_sid"),
        None,
        "it would come back as another"
    );
    let mut out = Headers::new();
    injected("a=b c", "router", &mut out);
    assert_eq!(state(&out, "t.llmobs_sid"), Some("a~b c"));
}

#[test]
fn stale_entries_are_replaced_and_foreign_ones_stay() {
    let mut carrier = headers(&[
        (
            "X-Datadog-Tags",
            "_dd.p.llmobs_parent_id=1,_dd.p.llmobs_sid=old,_dd.p.usr=u,_dd.p.tid=0000000000000001",
        ),
        ("TraceState", "dd=s:2;t.llmobs_parent_id:1,foo=1,ot=x,foo=2"),
        (
            "Traceparent",
            "00-6b029035000000005af1d0824f64ccff-00000000000001c8-01",
        ),
        ("x-other", "kept"),
    ]);
    injected("new", "router", &mut carrier);
    injected("newer", "router", &mut carrier);
    assert_eq!(carrier.len(), 7, "{carrier:?}");
    assert_eq!(tag(&carrier, "llmobs_sid"), Some("newer"));
    assert_eq!(tag(&carrier, "usr"), Some("u"));
    assert_eq!(carrier["x-datadog-tags"].matches("_dd.p.tid=").count(), 1);
    assert!(
        carrier["tracestate"].ends_with(",foo=1,ot=x"),
        "{}",
        carrier["tracestate"]
    );
    assert_eq!(carrier["x-other"], "kept");
}

#[test]
fn many_members_of_others_are_bounded() {
    let many: Vec<String> = (0..100)
        .map(|n| format!("m{n}={}", "v".repeat(20)))
        .collect();
    let mut carrier = headers(&[("tracestate", &many.join(","))]);
    injected("s", "router", &mut carrier);
    let members: Vec<&str> = carrier["tracestate"].split(',').collect();
    assert!(
        members.len() <= 32 && members.len() > 10,
        "{}",
        members.len()
    );
    assert!(carrier["tracestate"].len() <= 256 + 512);
}

#[test]
fn without_a_span_nothing_is_written_and_that_is_an_error() {
    let client = client();
    client.scope(|| {
        let mut carrier = headers(&[("x-datadog-tags", "_dd.p.llmobs_parent_id=1")]);
        let before = carrier.clone();
        assert_eq!(inject(&mut carrier), Err(InjectError::NoSpan));
        assert_eq!(carrier, before);
    });
    assert_eq!(client.stats().rejected, 1);
}

#[test]
fn what_another_process_said_goes_where_its_context_is_carried() {
    let (one, two) = (client(), client());
    let incoming = headers(&[
        ("x-datadog-trace-id", "5"),
        ("x-datadog-parent-id", "6"),
        (
            "x-datadog-tags",
            "_dd.p.llmobs_parent_id=456,_dd.p.llmobs_trace_id=9",
        ),
    ]);
    let said = || {
        let mut out = Headers::new();
        inject(&mut out).ok()?;
        Some(tag(&out, "llmobs_parent_id")?.to_owned())
    };
    let context = one.scope(|| extract(&incoming));
    let parent = Some("456".to_owned());
    // It has no client of its own: that of the scope is in force.
    let current = two.scope(|| context.in_scope(Context::current));
    assert_eq!(current.span_context(), context.span_context());
    let in_thread = || current.in_scope(said);
    assert_eq!(
        std::thread::scope(|scope| scope.spawn(in_thread).join().unwrap()),
        parent
    );
    two.scope(|| {
        assert_eq!(context.in_scope(said), parent);
        context.in_scope(|| {
            let hidden = one.scope(said);
            assert_eq!(hidden, None, "a scope begins with nothing");
            assert_eq!(Context::root().in_scope(said), None);
            assert_eq!(said(), parent);
            let span = Span::task("t").start();
            let below = Context::from(&span).in_scope(said);
            let id = span.context().unwrap().span_id().into_owned();
            assert_eq!(below, Some(id));
        });
    });
}

#[test]
fn a_session_that_is_set_late_is_in_the_headers_from_then_on() {
    client().scope(|| {
        let root = Span::workflow("w").start();
        let _root = root.enter();
        let session = || {
            let mut out = Headers::new();
            inject(&mut out).unwrap();
            tag(&out, "llmobs_sid").map(str::to_owned)
        };
        assert_eq!(session(), None);
        let below = Span::task("t").session_id("late").start();
        let at = |span: &Span| Context::from(span).in_scope(session);
        assert_eq!(at(&below).as_deref(), Some("late"));
        assert_eq!(at(&root).as_deref(), Some("late"));
        let other = Span::task("t").session_id("other").start();
        assert_eq!(
            at(&other).as_deref(),
            Some("late"),
            "the trace's, as in ddtrace"
        );
    });
}

#[test]
fn hostile_pairs_are_not_handed_on() {
    let out = handed_on(&headers(&[
        ("x-datadog-trace-id", "5"),
        ("x-datadog-parent-id", "6"),
        (
            "x-datadog-tags",
            "_dd.p.good=1,_dd.p.bad key=2,_dd.p.x\r\nevil: 1=3,_dd.p.control=a\u{1}b,nonsense",
        ),
    ]));
    assert_eq!(tag(&out, "good"), Some("1"));
    let all = format!("{out:?}");
    assert!(
        !all.contains("evil") && !all.contains("bad key") && !all.contains("control"),
        "{all}"
    );
}

#[cfg(feature = "http")]
#[test]
fn a_header_map_is_a_carrier() {
    let mut map = http::HeaderMap::new();
    client().scope(|| {
        let span = Span::llm("l").start();
        let _in = span.enter();
        map.append("tracestate", "foo=1".parse().unwrap());
        map.append("tracestate", "bar=2".parse().unwrap());
        inject(&mut map).unwrap();
        assert!(
            map["tracestate"]
                .to_str()
                .unwrap()
                .ends_with(",foo=1,bar=2")
        );
        assert_eq!(map.get_all("tracestate").iter().count(), 1);
        assert_eq!(extract(&map).span_context(), span.context());
        let binary = http::HeaderValue::from_bytes(b"_dd.p.llmobs_parent_id=\xff").unwrap();
        map.insert("x-datadog-tags", binary);
        let context = extract(&map).span_context();
        assert_eq!(context, span.context(), "tracestate has it as well");
    });
}

#[test]
fn of_two_that_differ_in_case_the_lower_one_comes_first() {
    let map = headers(&[("X-A", "upper"), ("x-a", "lower"), ("x-b", "other")]);
    assert_eq!(map.get_all("x-a"), ["lower", "upper"]);
    assert_eq!(Extractor::get(&map, "x-a"), Some("lower"));
}

#[cfg(feature = "http")]
#[test]
fn a_header_map_gives_the_first_value_that_is_text() {
    let mut map = http::HeaderMap::new();
    assert_eq!(Extractor::get(&map, "x-a"), None);
    map.append("x-a", "first".parse().unwrap());
    map.append("x-a", "second".parse().unwrap());
    assert_eq!(Extractor::get(&map, "x-a"), Some("first"));
    assert_eq!(Extractor::get_all(&map, "x-a"), ["first", "second"]);
}

#[test]
fn the_flag_of_w3c_says_whether_a_trace_is_kept_and_the_state_how_much() {
    for (flags, state, priority) in [
        ("00", "dd=s:2", "0"),
        ("00", "dd=s:0", "0"),
        ("00", "dd=s:-1", "-1"),
        ("01", "dd=s:2", "2"),
        ("01", "dd=s:0", "1"),
        ("01", "dd=s:-1", "1"),
        ("01", "foo=1", "1"),
    ] {
        let parent = format!("00-6b029035000000005af1d0824f64ccff-00000000000001c8-{flags}");
        let out = handed_on(&headers(&[
            ("traceparent", &*parent),
            ("tracestate", state),
        ]));
        let told = format!("{flags} {state}");
        assert_eq!(out["x-datadog-sampling-priority"], priority, "{told}");
        assert!(out["traceparent"].ends_with(&format!("-{flags}")), "{told}");
    }
}

#[test]
fn a_traceparent_that_is_none_takes_nothing_of_datadogs_headers_away() {
    let long = "00-6b029035000000005af1d0824f64ccff-00000000000001c8-0é";
    for traceparent in ["", "0", "é", "00-1-2-01", long] {
        let out = handed_on(&headers(&[
            ("x-datadog-trace-id", "123"),
            ("x-datadog-parent-id", "456"),
            ("traceparent", traceparent),
        ]));
        assert_eq!(out["x-datadog-trace-id"], "123", "{traceparent}");
    }
}

#[test]
fn a_trace_id_that_is_a_text_goes_on_as_it_came() {
    for text in ["abc", "12", "x"] {
        let tags = format!("_dd.p.llmobs_parent_id=456,_dd.p.llmobs_trace_id={text}");
        let out = handed_on(&headers(&[
            ("x-datadog-trace-id", "123"),
            ("x-datadog-parent-id", "456"),
            ("x-datadog-tags", &*tags),
        ]));
        assert_eq!(tag(&out, "llmobs_trace_id"), Some(text));
    }
}
