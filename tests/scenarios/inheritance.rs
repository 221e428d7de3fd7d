//! What a span takes from its parent, its trace and the configuration.

use std::ffi::OsString;

use llmobs::{Annotation, Config, Evaluation, Span};
use serde_json::{Value, json};

use crate::client::Client;

/// An ended span below the current one.
fn task(name: &str) {
    drop(Span::task(name).start());
}

#[test]
fn the_first_session_of_a_trace_fills_later_spans_without_one() {
    let sent = Client::start().sent_by(|| {
        let _root = Span::workflow("root").start().enter();
        task("before");
        {
            let _first = Span::task("first").session_id("s1").start().enter();
            task("below first");
        }
        task("sibling");
        {
            let _other = Span::task("other").session_id("s2").start().enter();
            task("below other");
        }
        task("after other");
        drop(Span::task("empty").session_id("").start());
    });
    for (name, session) in [
        ("root", None),
        ("before", None),
        ("first", Some("s1")),
        ("below first", Some("s1")),
        ("sibling", Some("s1")),
        ("other", Some("s2")),
        ("below other", Some("s2")),
        ("after other", Some("s1")),
        ("empty", Some("s1")),
    ] {
        assert_eq!(sent.span(name)["session_id"].as_str(), session, "{name}");
        assert_eq!(sent.tag(name, "session_id"), session, "{name}");
    }
}

#[test]
fn another_trace_knows_nothing_of_a_session() {
    let sent = Client::start().sent_by(|| {
        drop(Span::workflow("one").session_id("s").start().enter());
        task("two");
    });
    assert_eq!(sent.span("one")["session_id"], "s");
    assert_eq!(sent.span("two").get("session_id"), None);
}

#[test]
fn a_session_by_tag_is_the_session_of_the_span_and_of_its_children() {
    let sent = Client::start().sent_by(|| {
        let root = Span::workflow("root").session_id("s1").start().enter();
        task("before");
        let tag = Annotation::new().tag("session_id", "s2");
        root.span().annotate(tag).unwrap();
        task("after");
    });
    let session = |name: &str| sent.span(name)["session_id"].as_str();
    assert_eq!(session("root"), Some("s2"));
    assert_eq!(session("before"), Some("s1"));
    assert_eq!(session("after"), Some("s2"));
    assert_eq!(sent.tag("root", "session_id"), Some("s2"));
}

#[test]
fn a_tag_at_the_start_sets_the_session_where_nothing_else_does() {
    let sent = Client::start().sent_by(|| {
        let root = Span::workflow("root").tag("session_id", "first");
        let root = root.tag("session_id", "tag").start();
        let _in = root.enter();
        task("below");
        let both = Span::task("both").session_id("own");
        drop(both.tag("session_id", "tag").start());
    });
    let session = |name: &str| sent.span(name)["session_id"].as_str();
    assert_eq!(
        (session("root"), session("below")),
        (Some("tag"), Some("tag"))
    );
    assert_eq!(session("both"), Some("own"));
}

fn from_vars(vars: &[(&str, &str)]) -> Config {
    let lookup = |name: &str| {
        let found = vars.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| OsString::from(value))
    };
    Config::from_vars(lookup).unwrap()
}

#[test]
fn the_application_is_the_spans_its_parents_the_codes_the_environments_the_service_or_unnamed() {
    let all = [("DD_LLMOBS_ML_APP", "by-env"), ("DD_SERVICE", "by-service")];
    let cases = [
        (from_vars(&[]), "unnamed-ml-app"),
        (from_vars(&all[1..]), "by-service"),
        (from_vars(&all), "by-env"),
        (from_vars(&all).ml_app("by-code"), "by-code"),
        (
            from_vars(&all).ml_app("by-code").agent_service("newer"),
            "newer",
        ),
        (from_vars(&all).ml_app(""), "by-env"),
    ];
    for (config, configured) in cases {
        let sent = Client::configured(config).sent_by(|| {
            let root = Span::workflow("root").start().enter();
            let of_root = llmobs::export_span(root.span());
            llmobs::submit_evaluation(&of_root, Evaluation::new("plain", 1)).unwrap();
            let named = Evaluation::new("named", 1).ml_app("its-own");
            llmobs::submit_evaluation(&of_root, named).unwrap();
            let _span = Span::workflow("named").ml_app("by-span").start().enter();
            task("child");
            drop(Span::task("own").ml_app("by-child").start());
            let both = Span::task("both").ml_app("older").agent_service("newer");
            drop(both.start());
        });
        for (name, ml_app) in [
            ("root", configured),
            ("named", "by-span"),
            ("child", "by-span"),
            ("own", "by-child"),
            ("both", "newer"),
        ] {
            assert_eq!(sent.tag(name, "ml_app"), Some(ml_app), "{name}");
            assert_eq!(sent.tag(name, "agent_service"), Some(ml_app), "{name}");
        }
        let of_evaluations = sent.evaluations.iter().map(|one| &one["ml_app"]);
        assert!(of_evaluations.eq([configured, "its-own"]));
    }
}

#[test]
fn a_span_is_attributed_to_the_nearest_agent_above_it() {
    let sent = Client::start().sent_by(|| {
        task("alone");
        let outer = Span::agent("outer").start().enter();
        {
            let _workflow = Span::workflow("workflow").start().enter();
            task("deep");
        }
        {
            let _inner = Span::agent("inner").start().enter();
            task("innermost");
        }
        outer.span().finish().unwrap();
        task("late");
    });
    for (name, agent) in [
        ("alone", None),
        ("outer", None),
        ("workflow", Some("outer")),
        ("deep", Some("outer")),
        ("inner", Some("outer")),
        ("innermost", Some("inner")),
        ("late", Some("outer")),
    ] {
        let attribution = agent.map(|agent| {
            let id = &sent.span(agent)["span_id"];
            json!({"pagent_name": agent, "pagent_span_id": id})
        });
        let ours = sent.span(name)["meta"].get("agent_attribution");
        assert_eq!(ours, attribution.as_ref(), "{name}");
    }
}

#[test]
fn the_whole_trace_shares_its_ids_and_its_sampling() {
    let config = Config::new().sample_rate(0.25);
    let sent = Client::configured(config).sent_by(|| {
        for _ in 0..20 {
            let _root = Span::workflow("root").start().enter();
            let _child = Span::workflow("child").start().enter();
            task("grandchild");
        }
    });
    let of_trace = |span: &Value| {
        let _dd = &span["_dd"];
        assert_eq!(_dd["sample_rate"], "0.25");
        assert_eq!(_dd["trace_id"], _dd["apm_trace_id"]);
        assert_eq!(_dd["span_id"], span["span_id"]);
        let apm = u128::from_str_radix(_dd["trace_id"].as_str().unwrap(), 16).unwrap();
        let low = apm as u64;
        let threshold = (0.25 * u64::MAX as f64) as u64;
        let kept = low.wrapping_mul(1_111_111_111_111_111_111) <= threshold;
        assert_eq!(_dd["sampling_decision"], if kept { "1" } else { "0" });
        (span["trace_id"].clone(), _dd["trace_id"].clone())
    };
    let mut traces = sent.spans.iter().map(of_trace).collect::<Vec<_>>();
    traces.sort_by_key(|(trace, _)| trace.to_string());
    traces.dedup();
    assert_eq!(traces.len(), 20, "{traces:?}");
}
