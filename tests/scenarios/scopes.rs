//! Annotation contexts, on threads and in futures, and the decision of a trace's sampling.

use std::collections::HashMap;

use llmobs::{
    Annotation, AnnotationContext, Config, Context, FutureExt as _, Prompt, SamplingRule, Span,
    propagation, task, workflow,
};

use crate::client::{Client, Sent};

fn ended(name: &str) {
    drop(Span::task(name).start());
}

fn tagged(value: &str) -> AnnotationContext {
    AnnotationContext::new().tag("scope", value)
}

#[track_caller]
fn assert_scopes(sent: &Sent, expected: &[(&str, Option<&str>)]) {
    for (name, scope) in expected {
        assert_eq!(sent.tag(name, "scope"), *scope, "{name}");
    }
}

#[test]
fn a_spans_own_tags_and_version_win_over_its_scope_and_its_name_does_not() {
    let scope = AnnotationContext::new()
        .name("renamed")
        .tag("own", "scope")
        .tag("both", "scope")
        .agent_version("scope");
    let sent = Client::start().sent_by(|| {
        let _in = scope.enter();
        let span = Span::agent("first")
            .version("own")
            .tag("own", "span")
            .start();
        span.annotate(Annotation::new().tag("both", "later"))
            .unwrap();
        drop(span);
        let inner = AnnotationContext::new()
            .agent_version("inner")
            .name("inner");
        inner.in_scope(|| drop(Span::agent("second").start()));
    });
    let tags = ["own", "both", "agent_version"].map(|key| sent.tag("renamed", key));
    assert_eq!(tags, [Some("span"), Some("later"), Some("own")]);
    assert_eq!(sent.tag("inner", "agent_version"), Some("inner"));
}

/// As ddtrace 4.16 did for the same calls.
#[test]
fn a_scope_sets_sessions_and_cost_tags_where_the_tags_are_there() {
    let scope = AnnotationContext::new()
        .tag("session_id", "late")
        .tag("team", "x")
        .cost_tags(["team", "nope"]);
    let sent = Client::start().sent_by(|| {
        let _in = scope.enter();
        ended("plain");
        drop(Span::task("own session").session_id("own").start());
    });
    assert_eq!(sent.span("plain")["session_id"], "late");
    assert_eq!(sent.span("own session")["session_id"], "own");
    let cost_tags = &sent.span("plain")["meta"]["metadata"]["_dd"]["cost_tags"];
    assert_eq!(*cost_tags, serde_json::json!(["team"]));
}

#[test]
fn a_scope_reaches_the_spans_of_annotated_functions() {
    #[task]
    fn inner() {}
    #[workflow]
    fn outer() {
        inner();
        tagged("inner").in_scope(inner);
    }
    let sent = Client::start().sent_by(|| tagged("outer").in_scope(outer));
    let scopes: Vec<_> = sent
        .spans
        .iter()
        .map(|span| span["tags"].to_string())
        .collect();
    let count = |scope: &str| scopes.iter().filter(|tags| tags.contains(scope)).count();
    assert_eq!((count("scope:outer"), count("scope:inner")), (2, 1));
}

#[test]
fn guards_may_go_in_any_order() {
    let sent = Client::start().sent_by(|| {
        let outer = tagged("outer").enter();
        let span = Span::workflow("w").start().enter();
        let inner = tagged("inner").enter();
        drop(outer);
        ended("inner alone");
        drop(span);
        ended("root, inner alone");
        drop(inner);
        ended("none");
    });
    assert_scopes(
        &sent,
        &[
            ("w", Some("outer")),
            ("inner alone", Some("inner")),
            ("root, inner alone", Some("inner")),
            ("none", None),
        ],
    );
    assert_eq!(sent.parent_of("inner alone"), Some("w"));
}

#[test]
fn a_scope_goes_where_its_context_is_carried_and_nowhere_else() {
    let client = Client::start();
    let handle = client.handle().clone();
    let sent = client.sent_by(|| {
        let _outer = tagged("carried").enter();
        let context = Context::current();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                handle.scope(|| ended("other thread"));
                let _here = tagged("replaced").enter();
                context.in_scope(|| {
                    ended("carried");
                    tagged("inner").in_scope(|| ended("inner"));
                });
            });
        });
        handle.scope(|| ended("another scope of a client"));
        Context::root().in_scope(|| handle.scope(|| ended("root")));
    });
    assert_scopes(
        &sent,
        &[
            ("other thread", None),
            ("carried", Some("carried")),
            ("inner", Some("inner")),
            ("another scope of a client", None),
            ("root", None),
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_of_a_future_is_in_force_during_its_polls_alone() {
    #[task]
    async fn step(name: &str) {
        tokio::task::yield_now().await;
        ended(name);
    }
    let client = Client::start();
    let one = step("one").in_annotation_context(tagged("one"));
    let two = step("two").in_annotation_context(tagged("two"));
    let spawned = async {
        tokio::spawn(step("wrapped").in_current_context())
            .await
            .unwrap();
        tokio::spawn(step("bare")).await.unwrap();
    };
    let all = async {
        tokio::join!(
            one,
            step("none"),
            two,
            spawned.in_annotation_context(tagged("spawned"))
        )
    };
    client.handle().scope_future(all).await;
    let sent = client.sent();
    assert_scopes(
        &sent,
        &[
            ("one", Some("one")),
            ("two", Some("two")),
            ("none", None),
            ("wrapped", Some("spawned")),
        ],
    );
    assert!(
        !sent.spans.iter().any(|span| span["name"] == "bare"),
        "it knows no client"
    );
}

#[test]
fn what_a_dropped_future_starts_is_still_in_its_scope() {
    struct OnDrop;
    impl Drop for OnDrop {
        fn drop(&mut self) {
            ended("from drop");
        }
    }
    let sent = Client::start().sent_by(|| {
        let waiting = async {
            let _on_drop = OnDrop;
            std::future::pending::<()>().await;
        };
        let mut waiting = Box::pin(waiting.in_annotation_context(tagged("dropped")));
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut task).is_pending());
        drop(waiting);
        ended("after");
    });
    assert_scopes(&sent, &[("from drop", Some("dropped")), ("after", None)]);
}

#[test]
fn a_wrong_prompt_of_a_scope_costs_its_template_alone() {
    let both = Prompt::new("b").template("t").chat_message("user", "u");
    let sent = Client::start().sent_by(|| {
        let _in = tagged("x").prompt(both).enter();
        drop(Span::llm("l").start());
    });
    let prompt = &sent.span("l")["meta"]["input"]["prompt"];
    assert_eq!(prompt["id"], "b");
    assert_eq!(prompt["chat_template"][0]["content"], "u");
    assert_eq!(prompt.get("template"), None);
    assert_eq!(sent.tag("l", "scope"), Some("x"));
}

#[test]
fn a_scope_without_a_client_does_nothing() {
    let _in = tagged("x").enter();
    assert!(Span::task("t").start().context().is_none());
    Context::current().in_scope(|| ());
}

fn gold_is_kept() -> Config {
    Config::new()
        .ml_app("app")
        .env("prod-eu")
        .sample_rate(0.0)
        .sampling_rule(
            SamplingRule::new(1.0)
                .tag("tier", "gold")
                .tag("env", "PROD*"),
        )
}

fn decision<'a>(sent: &'a Sent, name: &str) -> (&'a str, &'a str) {
    let dd = &sent.span(name)["_dd"];
    let text = |key: &str| dd[key].as_str().unwrap();
    (text("sample_rate"), text("sampling_decision"))
}

#[test]
fn a_trace_is_decided_when_its_first_span_ends() {
    let sent = Client::configured(gold_is_kept()).sent_by(|| {
        let gold = || Annotation::new().tag("tier", "Gold");
        {
            let root = Span::workflow("in time").start().enter();
            root.span().annotate(gold()).unwrap();
            ended("child in time");
        }
        {
            let root = Span::workflow("too late").start().enter();
            ended("child too late");
            root.span().annotate(gold()).unwrap();
        }
        drop(Span::task("by its own tag").tag("tier", "gold").start());
    });
    for name in ["in time", "child in time", "by its own tag"] {
        assert_eq!(decision(&sent, name), ("1", "1"), "{name}");
    }
    for name in ["too late", "child too late"] {
        assert_eq!(decision(&sent, name), ("0", "0"), "{name}");
    }
}

#[test]
fn a_trace_is_decided_when_its_headers_go_out() {
    let mut headers = HashMap::<String, String>::new();
    let client = Client::configured(gold_is_kept());
    client.run(|| {
        let root = Span::workflow("caller").start().enter();
        propagation::inject(&mut headers).unwrap();
        root.span()
            .annotate(Annotation::new().tag("tier", "gold"))
            .unwrap();
        let everything = Config::new().sampling_rule(SamplingRule::new(1.0));
        let called = Client::configured(everything);
        let sent = called.sent_by(|| propagation::extract(&headers).in_scope(|| ended("called")));
        assert_eq!(
            decision(&sent, "called"),
            ("0", "0"),
            "the caller has decided"
        );
    });
    let sent = client.sent();
    assert_eq!(decision(&sent, "caller"), ("0", "0"));
    assert!(headers["x-datadog-tags"].contains("_dd.p.llmobs_sd=0"));
}

#[test]
fn a_rule_keeps_about_its_share() {
    let half = Config::new().sampling_rule(SamplingRule::new(0.5).tag("half", "*"));
    let sent = Client::configured(half).sent_by(|| {
        for _ in 0..1_000 {
            drop(Span::task("t").tag("half", "").start());
        }
    });
    let kept = sent
        .spans
        .iter()
        .filter(|span| span["_dd"]["sampling_decision"] == "1")
        .count();
    assert!((400..600).contains(&kept), "{kept} of 1000 at 0.5");
    assert!(
        sent.spans
            .iter()
            .all(|span| span["_dd"]["sample_rate"] == "0.5")
    );
}

/// As ddtrace 4.16 did for the same calls.
#[test]
fn a_scopes_session_is_for_spans_without_one_and_its_tags_tell_how_a_prompt_came_about() {
    const METHOD: &str = "prompt_tracking_instrumentation_method";
    let scope = AnnotationContext::new()
        .tag("session_id", "scope")
        .tag(METHOD, "auto")
        .prompt(Prompt::new("p").template("t"));
    let sent = Client::start().sent_by(|| {
        let _in = scope.enter();
        {
            let _own = Span::workflow("own").session_id("own").start().enter();
            ended("child");
        }
        drop(Span::workflow("none").session_id("").start());
        let inner = AnnotationContext::new().prompt(Prompt::new("p").version("2"));
        inner.in_scope(|| drop(Span::llm("inner").start()));
    });
    for (name, session) in [("own", "own"), ("child", "scope"), ("none", "scope")] {
        assert_eq!(sent.span(name)["session_id"], session, "{name}");
        assert_eq!(sent.tag(name, "session_id"), Some(session), "{name}");
        assert_eq!(sent.tag(name, METHOD), Some("auto"), "{name}");
    }
    assert_eq!(sent.tag("inner", METHOD), Some("annotated"));
    let prompt = &sent.span("inner")["meta"]["input"]["prompt"];
    assert_eq!(
        (&prompt["template"], &prompt["version"]),
        (&"t".into(), &"2".into())
    );
}
