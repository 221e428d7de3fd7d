use super::*;
use crate::config::Config;
use crate::event::VERSION;
use crate::id::SpanContext;
use crate::kind::SpanKind;
use crate::{Document, Message};

const NANOSECOND: Duration = Duration::from_nanos(1);

fn settings() -> Settings {
    Config::new().ml_app("app").settings().unwrap()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn task(start: SystemTime, duration: Duration) -> PastSpan {
    PastSpan::new(SpanKind::Task, "t", start, duration)
}

fn llm() -> PastSpan {
    PastSpan::new(SpanKind::Llm, "l", now() - SKEW, Duration::ZERO)
}

fn checked(span: PastSpan) -> Result<SpanEvent, Rejection> {
    let (event, flaws) = event(span, &settings(), now())?;
    assert!(flaws.told().is_none());
    Ok(event)
}

/// The event of a span that is sent without an element of it.
#[track_caller]
fn mended(span: PastSpan, code: Code, shown: &str) -> SpanEvent {
    let (event, flaws) = event(span, &settings(), now()).unwrap();
    let flaw = flaws.told().unwrap();
    assert_eq!(flaw.code, code, "{}", flaw.reason);
    assert!(flaw.reason.contains(shown), "{}", flaw.reason);
    event
}

#[track_caller]
fn assert_rejected(span: PastSpan, code: Code, shown: &str) {
    let rejection = checked(span).unwrap_err();
    assert_eq!(rejection.code, code, "{}", rejection.reason);
    assert!(rejection.reason.contains(shown), "{}", rejection.reason);
}

#[test]
fn a_span_of_exactly_a_day_ago_is_taken_and_one_a_nanosecond_older_is_not() {
    let oldest = now() - OLDEST;
    assert!(checked(task(oldest, Duration::ZERO)).is_ok());
    assert!(checked(task(oldest, OLDEST)).is_ok());
    let older = oldest - NANOSECOND;
    assert_rejected(task(older, OLDEST), Code::TooOld, "24 hours");
}

#[test]
fn a_start_in_the_future_is_refused_but_for_what_clocks_differ_by() {
    assert!(checked(task(now() + SKEW, Duration::ZERO)).is_ok());
    let future = now() + SKEW + NANOSECOND;
    assert_rejected(task(future, Duration::ZERO), Code::InvalidStart, "from now");
    let ancient = UNIX_EPOCH - NANOSECOND;
    assert_rejected(task(ancient, Duration::ZERO), Code::InvalidStart, "1970");
}

#[test]
fn a_span_must_have_ended_and_not_before_its_start() {
    let begun = |duration| task(now(), duration);
    assert!(checked(begun(SKEW)).is_ok());
    assert_rejected(begun(SKEW + NANOSECOND), Code::InvalidDuration, "not ended");
    assert_rejected(begun(Duration::MAX), Code::InvalidDuration, "not ended");
    let backwards = PastSpan::between(SpanKind::Task, "t", now(), now() - NANOSECOND);
    assert_rejected(backwards, Code::InvalidDuration, "1ns before");
    let second = now() - Duration::from_secs(1);
    let event = checked(PastSpan::between(SpanKind::Task, "t", second, now())).unwrap();
    assert_eq!(event.duration, 1_000_000_000);
}

#[test]
fn names_and_ids_must_not_be_empty_nor_a_span_its_own_parent() {
    let nameless = PastSpan::new(SpanKind::Task, "", now(), Duration::ZERO);
    assert_rejected(nameless.with_span_id("7"), Code::MissingName, "\"7\"");
    let span = || task(now(), Duration::ZERO);
    assert_rejected(span().with_span_id(""), Code::MissingId, "span_id");
    assert_rejected(span().with_trace_id(""), Code::MissingId, "trace_id");
    let own = span().with_span_id("7").with_parent_id("7");
    assert_rejected(own, Code::InvalidParent, "\"7\"");
    let root = checked(span().with_parent_id("")).unwrap();
    assert_eq!(root.parent_id, NO_PARENT);
}

#[test]
fn what_a_kind_does_not_carry_is_left_out() {
    let span = || task(now(), Duration::ZERO).input("in");
    for (span, shown) in [
        (span().model_name("m"), "model_name"),
        (span().model_provider("p"), "\"p\""),
    ] {
        let event = mended(span, Code::WrongKind, shown);
        assert_eq!(event.meta.model_name, None);
        assert_eq!(event.meta.model_provider, None);
        assert_eq!(event.meta.input.value.as_deref(), Some("in"));
    }
    let documents = llm().input(Document::new("d")).output("o");
    let event = mended(documents, Code::WrongKind, "input documents");
    assert_eq!(event.meta.input, Meta::new(SpanKind::Llm).input);
    assert_eq!(event.meta.output.messages.unwrap()[0].content(), "o");
}

#[test]
fn an_odd_element_costs_nothing_but_itself() {
    let documents = vec![
        Document::new("a").score(0.5),
        Document::new("b").name("odd").score(f64::NAN),
    ];
    let retrieval = PastSpan::new(SpanKind::Retrieval, "r", now(), Duration::ZERO);
    let retrieval = retrieval.input("in").output(documents);
    let event = mended(retrieval, Code::InvalidValue, "\"odd\"");
    assert_eq!(event.meta.input.value.as_deref(), Some("in"));
    assert_eq!(
        serde_json::to_value(event.meta.output.documents).unwrap(),
        serde_json::json!([{"text": "a", "score": 0.5}, {"text": "b", "name": "odd"}])
    );

    let call = Message::assistant("c").tool_call(crate::ToolCall::new("f", "{broken"));
    let event = mended(llm().output(call), Code::InvalidValue, "{broken");
    assert_eq!(
        serde_json::to_value(event.meta.output.messages).unwrap()[0]["tool_calls"],
        serde_json::json!([{"name": "f", "arguments": {"not_an_object": "{broken"}}])
    );
}

#[test]
fn metrics_tags_and_metadata_that_are_odd_are_left_out() {
    let good = || llm().metric("m", 1).tag("t", "v").metadata("k", "w");
    let [metrics, tags, metadata] = ["{\"m\":1}", "t:v", "{\"k\":\"w\"}"];
    for (odd, code, shown) in [
        (good().metric("n", f64::NAN), Code::InvalidMetric, "NaN"),
        (good().metric("", 1), Code::InvalidMetric, "\"\""),
        (good().tag("", "orphan"), Code::InvalidTags, "orphan"),
        (good().metadata("", "lost"), Code::InvalidMetadata, "lost"),
        (
            good().metric("i", f64::INFINITY).tag("", 1).metric("", 2),
            Code::InvalidMetric,
            "\"i\" must have a name and be finite, not inf (and 2 more)",
        ),
    ] {
        let event = mended(odd, code, shown);
        assert_eq!(serde_json::to_string(&event.metrics).unwrap(), metrics);
        let own = |tag: &&String| tag.starts_with("t:") || tag.starts_with(':');
        let own: Vec<_> = event.tags.iter().filter(own).collect();
        assert_eq!(own, [tags]);
        let kept = serde_json::to_string(&event.meta.metadata).unwrap();
        assert_eq!(kept, metadata);
    }
    let event = checked(llm().metric("a.b", 1).metric("a_b", 2)).unwrap();
    assert_eq!(
        serde_json::to_value(event.metrics).unwrap(),
        serde_json::json!({"a_b": 2})
    );
}

#[test]
fn a_child_is_in_its_parents_trace_session_and_application() {
    let parent = || {
        let parent = task(now(), Duration::ZERO).session_id("s").ml_app("other");
        parent.apm_trace_id("apm")
    };
    let parent_of = parent();
    let child = checked(llm().child_of(&parent_of)).unwrap();
    assert_eq!(child.parent_id, parent_of.span_id());
    assert_eq!(child.trace_id, parent_of.trace_id());
    assert_eq!(child.session_id.as_deref(), Some("s"));
    let SpanEvent { _dd: internal, .. } = &child;
    assert_eq!(internal.apm_trace_id, "apm");
    assert!(child.tags.contains(&"ml_app:other".to_owned()));
    let own = checked(llm().session_id("mine").child_of(&parent())).unwrap();
    assert_eq!(own.session_id.as_deref(), Some("mine"));
    let context = SpanContext::new("5", "6").unwrap();
    let child = checked(llm().child_of_context(&context)).unwrap();
    assert_eq!((&*child.parent_id, &*child.trace_id), ("5", "6"));
}

#[test]
fn an_event_is_as_an_sdk_sends_it() {
    let span = llm()
        .with_context(&SpanContext::new("11", "22").unwrap())
        .with_parent_id("10")
        .model_provider("OpenAI")
        .input([Message::user("hi")])
        .output("ho")
        .metadata("temperature", 0.5)
        .tag("session_id", "s")
        .tag("team", "a")
        .error("Timeout", "too slow");
    let event = serde_json::to_value(checked(span).unwrap()).unwrap();
    let start_ns = 1_799_999_940_000_000_000_u64;
    assert_eq!(
        event,
        serde_json::json!({
            "trace_id": "22", "span_id": "11", "parent_id": "10", "name": "l",
            "start_ns": start_ns, "duration": 0, "status": "error", "session_id": "s",
            "meta": {
                "span": {"kind": "llm"},
                "model_name": "unknown", "model_provider": "openai",
                "input": {"messages": [{"content": "hi", "role": "user"}]},
                "output": {"messages": [{"content": "ho", "role": ""}]},
                "metadata": {"temperature": 0.5},
                "error": {"type": "Timeout", "message": "too slow", "stack": "Timeout: too slow"},
            },
            "metrics": {},
            "tags": [
                "agent_service:app", format!("ddtrace.version:{VERSION}"), "env:", "error:1",
                "error_type:Timeout", "language:rust", "ml_app:app", "service:",
                "session_id:s", "source:integration", "team:a", "version:",
            ],
            "_dd": {"span_id": "11", "trace_id": "22", "apm_trace_id": "22"},
        })
    );
}

#[test]
fn what_may_not_be_captured_is_not_sent() {
    let span = || {
        llm()
            .input("in")
            .output("out")
            .metadata("k", 1)
            .metric("m", 1)
    };
    let sent = |capture| {
        let settings = Config::new().capture(capture).settings().unwrap();
        event(span(), &settings, now()).unwrap().0.meta
    };
    let (none, metadata, full) = (
        sent(Capture::None),
        sent(Capture::Metadata),
        sent(Capture::Full),
    );
    assert!(none.metadata.is_empty() && none.input == Meta::new(SpanKind::Llm).input);
    assert!(!metadata.metadata.is_empty() && metadata.output == none.output);
    assert!(full.input != none.input && full.output != none.output);
}

#[test]
fn usage_and_json_are_read_as_an_annotation_reads_them() {
    let usage = crate::TokenUsage::new().input(3).output(4);
    let event = checked(llm().usage(usage).input_json(&["a", "b"])).unwrap();
    assert_eq!(event.metrics["total_tokens"], 7);
    assert_eq!(
        event.meta.input,
        crate::event::IoFields::from(
            Io::from(vec!["a", "b"])
                .into_content(SpanKind::Llm, Side::Input)
                .unwrap()
                .0
                .unwrap()
        )
    );
}
