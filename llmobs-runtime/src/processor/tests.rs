//! What processors see, what they can change, and what is left when one fails.

use serde_json::{Map, Value, json};

use super::*;
use crate::config::Config;
use crate::document::Document;
use crate::event::{AgentAttribution, Internal, IoFields, Meta, Status};
use crate::failure::SpanError;
use crate::message::{MediaPart, Message, ToolCall, ToolResult};
use crate::prompt::Prompt;
use crate::tool::ToolDefinition;

/// What must not be found; quote, backslash and line end are written otherwise in JSON.
const SECRET: &str = "the \"secret\"\\\n";

fn event() -> SpanEvent {
    let mut meta = Meta::new(SpanKind::Llm);
    meta.model_name = Some("m".into());
    meta.agent_attribution = Some(AgentAttribution {
        pagent_name: Some(format!("agent {SECRET}")),
        pagent_span_id: Some("9".into()),
    });
    SpanEvent {
        trace_id: "aa".into(),
        span_id: "1".into(),
        parent_id: "undefined".into(),
        name: "n".into(),
        start_ns: 1,
        duration: 2,
        status: Status::Ok,
        meta,
        metrics: Map::new(),
        tags: own_tags(),
        _dd: Internal {
            span_id: "1".into(),
            trace_id: "bb".into(),
            apm_trace_id: "bb".into(),
            sample_rate: None,
            sampling_decision: None,
        },
        session_id: None,
        span_links: Vec::new(),
        collection_errors: Vec::new(),
    }
}

fn own_tags() -> Vec<String> {
    ["env:prod", "error:0", "ml_app:a"].map(String::from).into()
}

/// An event with the secret in every text, names and keys included.
fn full() -> SpanEvent {
    let mut event = event();
    let call = ToolCall::new("f", json!({"a": [{"deep": SECRET}]}));
    let message = Message::user(SECRET)
        .tool_call(call)
        .tool_result(ToolResult::new(json!({"r": [SECRET]}).to_string()))
        .image(MediaPart::base64("image/png", "iVBORw0K"));
    event.meta.input = IoFields {
        value: Some(json!({"k": SECRET, SECRET: 1}).to_string()),
        messages: Some(vec![message]),
        documents: vec![Document::new(SECRET)],
        prompt: None,
    };
    event.meta.output = event.meta.input.clone();
    let prompt = Prompt::new("p")
        .chat_message("user", SECRET)
        .variable("v", SECRET)
        .tag("t", SECRET);
    event.meta.input.prompt = Some(prompt.template(SECRET).event("a"));
    let schema = json!({"k": [SECRET]});
    let tool = ToolDefinition::new("f").description(SECRET).schema(schema);
    event.meta.tool_definitions = vec![tool];
    event.meta.intent = Some(SECRET.into());
    event.meta.metadata = Map::from_iter([
        ("a".to_owned(), json!([{"b": SECRET}])),
        ("_dd".to_owned(), json!({"manifest": SECRET})),
    ]);
    event.status = Status::Error;
    event.meta.error = Some(SpanError::new("my::Error", SECRET));
    event.session_id = Some(SECRET.into());
    event.metrics.insert("input_tokens".into(), json!(7));
    event.tags = vec![
        "cancelled:true".into(),
        format!("env:{SECRET}"),
        "error:1".into(),
        "error_type:my::Error".into(),
        "ml_app:a".into(),
        format!("session_id:{SECRET}"),
        format!("user:{SECRET}"),
    ];
    event
}

fn run(event: SpanEvent, processors: &[fn(&mut ProcessedSpan) -> Verdict]) -> Processed {
    let mut all = Processors::default();
    for processor in processors {
        all.add(*processor);
    }
    all.run(event, SpanKind::Llm, own_tags())
}

#[track_caller]
fn kept(event: SpanEvent, processor: fn(&mut ProcessedSpan) -> Verdict) -> Value {
    match run(event, &[processor]) {
        Processed::Kept(event) => serde_json::to_value(&event).unwrap(),
        Processed::Stripped(event) => panic!("stripped: {event:?}"),
        Processed::Dropped => panic!("dropped"),
    }
}

#[track_caller]
fn stripped(event: SpanEvent, processor: fn(&mut ProcessedSpan) -> Verdict) -> Value {
    match run(event, &[processor]) {
        Processed::Stripped(event) => serde_json::to_value(&event).unwrap(),
        _ => panic!("it went on as if nothing had failed"),
    }
}

#[test]
fn a_processor_that_does_nothing_changes_nothing() {
    let before = serde_json::to_value(full()).unwrap();
    assert_eq!(kept(full(), |_| Verdict::Keep), before);
    let before = serde_json::to_value(event()).unwrap();
    assert_eq!(kept(event(), |_| Verdict::Keep), before);
}

#[test]
fn redact_meets_the_secret_wherever_content_is_and_nowhere_else() {
    let after = kept(full(), |span| {
        span.redact(|text| *text = text.replace(SECRET, "*"));
        Verdict::Keep
    });
    let tools = json!([{"name": "f", "description": "*", "schema": {"k": ["*"]}}]);
    assert_eq!(after["meta"]["tool_definitions"], tools);
    assert_eq!(after["meta"]["intent"], "*");
    let prompt = &after["meta"]["input"]["prompt"];
    let texts = [
        "/template",
        "/chat_template/0/content",
        "/variables/v",
        "/tags/t",
    ];
    for text in texts {
        assert_eq!(prompt.pointer(text), Some(&json!("*")), "{text}");
    }
    let message = json!({
        "content": "*",
        "role": "user",
        "tool_calls": [{"name": "f", "arguments": {"a": [{"deep": "*"}]}}],
        "tool_results": [{"result": r#"{"r":["*"]}"#}],
        "image_parts": [{"mime_type": "image/png", "content": "iVBORw0K"}],
    });
    for side in ["input", "output"] {
        let io = &after["meta"][side];
        let value: Value = serde_json::from_str(io["value"].as_str().unwrap()).unwrap();
        assert_eq!(value, json!({"k": "*", "*": 1}));
        assert_eq!(io["messages"], json!([message]));
        assert_eq!(io["documents"], json!([{"text": "*"}]));
    }
    let metadata = json!({"a": [{"b": "*"}], "_dd": {"manifest": "*"}});
    assert_eq!(after["meta"]["metadata"], metadata);
    let error = json!({"type": "my::Error", "message": "*", "stack": "my::Error: *"});
    assert_eq!(after["meta"]["error"], error);
    let tags = after["tags"].as_array().unwrap();
    assert!(tags.contains(&"user:*".into()), "{tags:?}");
    assert!(
        tags.contains(&"env:*".into()),
        "a tag that took the place of ours is the user's: {tags:?}"
    );
    assert_eq!(after["session_id"], SECRET, "a session is for its setter");
    let agent = &after["meta"]["agent_attribution"]["pagent_name"];
    assert_eq!(*agent, format!("agent {SECRET}"));
}

#[test]
fn redact_leaves_the_tags_of_the_configuration_and_of_llmobs_alone() {
    let mut event = event();
    event.tags.push("team:ml".into());
    let after = kept(event, |span| {
        span.redact(String::clear);
        Verdict::Keep
    });
    assert_eq!(
        after["tags"],
        json!(["env:prod", "error:0", "ml_app:a", "team:"])
    );
}

#[test]
fn a_text_that_is_json_is_otherwise_kept_as_it_is_written() {
    let texts = [
        (
            r#" { "a" : 12345678901234567890123, "b":"x\u0041x" } "#,
            r#" { "a" : 12345678901234567890123, "b":"*" } "#,
        ),
        (r#"["xAx","\ud800",1.0]"#, r#"["*","\ud800",1.0]"#),
        (
            r#"{"xAx":"{\"k\":\"say \\\"xAx\\\"\"}"}"#,
            r#"{"*":"{\"k\":\"say \\\"*\\\"\"}"}"#,
        ),
        (r#"{"no json: "xAx""#, r#"{"no json: "*""#),
        (r"x\u0041x", r"x\u0041x"),
        ("", ""),
    ];
    for (before, after) in texts {
        let mut text = before.to_owned();
        texts::in_text(&mut text, &mut |text| *text = text.replace("xAx", "*"));
        assert_eq!(text, after);
    }
}

#[test]
fn what_is_left_of_a_span_whose_processor_failed() {
    let after = stripped(full(), |span| {
        span.set_tag("late", SECRET);
        span.set_metadata("late", SECRET);
        std::panic::resume_unwind(Box::new(SECRET));
    });
    let expected = json!({
        "trace_id": "aa",
        "span_id": "1",
        "parent_id": "undefined",
        "name": "llm",
        "start_ns": 1,
        "duration": 2,
        "status": "error",
        "meta": {
            "span": {"kind": "llm"},
            "metadata": {},
            "model_name": "m",
            "error": {"type": "my::Error", "message": "", "stack": "my::Error: "},
            "agent_attribution": {"pagent_name": null, "pagent_span_id": "9"},
        },
        "metrics": {"input_tokens": 7},
        "tags": [
            "cancelled:true", "env:prod", "error:1", "error_type:my::Error", "ml_app:a",
        ],
        "_dd": {"span_id": "1", "trace_id": "bb", "apm_trace_id": "bb"},
        "collection_errors": ["processor_failed"],
    });
    assert_eq!(after, expected);
}

#[test]
fn an_element_that_the_wire_does_not_allow_costs_nothing_but_itself() {
    fn nothing(_: &mut ProcessedSpan) -> Verdict {
        Verdict::Keep
    }

    let untouched = kept(full(), nothing);
    let with = |pointer: &str, value: Value| {
        let mut expected = untouched.clone();
        *expected.pointer_mut(pointer).unwrap() = value;
        expected
    };
    let after = kept(full(), |span| {
        let call = |name: &str, arguments: Value| ToolCall::new(name, arguments);
        let odd = Message::assistant("a")
            .tool_call(call("", json!({})))
            .tool_call(call("f", json!("***")));
        let good = Message::assistant("b").tool_call(call("g", json!({"k": 1})));
        span.output_mut().set_messages(vec![odd, good]);
        Verdict::Keep
    });
    let messages = json!([
        {"role": "assistant", "content": "a", "tool_calls": [
            {"name": "<no name>", "arguments": {}},
            {"name": "f", "arguments": {"not_an_object": "***"}},
        ]},
        {"role": "assistant", "content": "b", "tool_calls": [
            {"name": "g", "arguments": {"k": 1}},
        ]},
    ]);
    assert_eq!(after, with("/meta/output/messages", messages));

    let after = kept(full(), |span| {
        let odd = Document::new("t").score(f64::NAN);
        let good = Document::new("u").score(0.5);
        span.output_mut().set_documents(vec![odd, good]);
        Verdict::Keep
    });
    let documents = json!([{"text": "t"}, {"text": "u", "score": 0.5}]);
    assert_eq!(after["meta"]["output"]["documents"], documents);
    assert_eq!(after["meta"]["input"], untouched["meta"]["input"]);
    assert_eq!(after.get("collection_errors"), None);

    let after = kept(full(), |span| {
        span.set_metadata("", SECRET);
        span.set_tag("", SECRET);
        Verdict::Keep
    });
    assert_eq!(after, untouched);
}

#[test]
fn after_a_drop_no_processor_runs() {
    let dropped = run(
        event(),
        &[|_| Verdict::Drop, |_| panic!("not to be called")],
    );
    assert!(matches!(dropped, Processed::Dropped));
}

#[test]
fn the_reserved_metadata_is_not_seen_and_cannot_be_replaced() {
    let mut before = event();
    let metadata = json!({"_dd": {"real": 1}, "a": 1, "b": 2});
    before.meta.metadata = metadata.as_object().unwrap().clone();
    let after = kept(before, |span| {
        assert_eq!(span.metadata("_dd"), None);
        assert_eq!(span.remove_metadata("_dd"), None);
        span.set_metadata("_dd", json!({"spoof": 1}));
        let mut seen = Vec::new();
        span.retain_metadata(|key, value| {
            seen.push(key.to_owned());
            *value = json!(7);
            key != "b"
        });
        assert_eq!(seen, ["_dd", "a", "b"]);
        Verdict::Keep
    });
    assert_eq!(
        after["meta"]["metadata"],
        json!({"_dd": {"real": 1}, "a": 7})
    );
    let after = kept(event(), |span| {
        span.set_metadata("_dd", 1);
        Verdict::Keep
    });
    assert_eq!(after["meta"]["metadata"], json!({}));
}

#[test]
fn what_a_processor_nests_too_deep_is_cut_and_flattened() {
    let after = kept(event(), |span| {
        let deep = (0..200).fold(json!(0), |inner, _| json!([inner]));
        span.set_metadata("deep", deep.clone());
        let call = ToolCall::new("f", json!({"deep": deep}));
        let message = Message::assistant("").tool_call(call);
        span.output_mut().set_messages(vec![message]);
        Verdict::Keep
    });
    let depth = |value: &Value| std::iter::successors(Some(value), |value| value.get(0)).count();
    let metadata = &after["meta"]["metadata"]["deep"];
    let arguments = &after["meta"]["output"]["messages"][0]["tool_calls"][0]["arguments"]["deep"];
    assert!((5..=13).contains(&depth(metadata)), "{metadata}");
    assert!((5..=13).contains(&depth(arguments)), "{arguments}");
}

#[test]
fn tags_and_session_say_the_same() {
    let with_session = || {
        let mut event = event();
        event.session_id = Some("s".into());
        event.tags.push("session_id:s".into());
        event.tags.push("x:y:z".into());
        event
    };
    let after = kept(with_session(), |span| {
        assert_eq!(span.session_id(), Some("s"));
        assert_eq!(span.tag("session_id"), Some("s"));
        assert_eq!((span.tag("x"), span.tag("x:y")), (Some("y:z"), Some("z")));
        assert!(span.tags().any(|tag| tag == ("env", "prod")));
        span.set_tag("session_id", 5);
        assert_eq!(span.session_id(), Some("5"));
        span.set_tag("env", "test");
        span.set_tag("error", 7);
        span.set_tag("new", true);
        span.remove_tag("x:y");
        span.retain_tags(|key, _| key != "ml_app");
        Verdict::Keep
    });
    assert_eq!(after["session_id"], "5");
    let tags = json!(["env:test", "error:0", "new:true", "session_id:5"]);
    assert_eq!(after["tags"], tags);
    let without: [fn(&mut ProcessedSpan) -> Verdict; 3] = [
        |span| {
            span.remove_tag("session_id");
            Verdict::Keep
        },
        |span| {
            span.set_session_id("");
            Verdict::Keep
        },
        |span| {
            span.set_tag("session_id", "");
            Verdict::Keep
        },
    ];
    for processor in without {
        let after = kept(with_session(), processor);
        assert_eq!(after.get("session_id"), None);
        assert!(!after["tags"].to_string().contains("session_id"));
    }
}

#[test]
fn names_metrics_and_the_error_can_be_changed() {
    let after = kept(full(), |span| {
        assert_eq!((span.kind(), span.name()), (SpanKind::Llm, "n"));
        assert_eq!((span.span_id(), span.trace_id()), ("1", "aa"));
        assert_eq!((span.parent_id(), span.start_ns()), (None, 1));
        assert_eq!(span.duration().as_nanos(), 2);
        assert_eq!(
            (span.model_name(), span.model_provider()),
            (Some("m"), None)
        );
        assert!(span.is_error() && span.agent_name().is_some());
        span.set_name("");
        span.set_agent_name("a");
        assert_eq!(span.metric("input_tokens"), Some(7.0));
        span.set_metric("a.b", 1).unwrap();
        let error = span.set_metric("nan", f64::NAN).unwrap_err();
        assert!(error.to_string().contains("\"nan\""), "{error}");
        span.retain_metrics(|key, _| key != "input_tokens");
        span.error_type_mut().unwrap().push('2');
        span.error_message_mut().unwrap().clear();
        span.error_stack_mut().unwrap().clear();
        assert_eq!(span.error_type(), Some("my::Error2"));
        assert_eq!(
            (span.error_message(), span.error_stack()),
            (Some(""), Some(""))
        );
        Verdict::Keep
    });
    assert_eq!(after["name"], "llm");
    assert_eq!(after["metrics"], json!({"a_b": 1}));
    assert_eq!(after["meta"]["agent_attribution"]["pagent_name"], "a");
    let error = json!({"type": "my::Error2", "message": "", "stack": ""});
    assert_eq!(after["meta"]["error"], error);
    let tags = after["tags"].as_array().unwrap();
    assert!(tags.contains(&"error_type:my::Error2".into()), "{tags:?}");
}

#[test]
fn without_its_content_a_span_keeps_its_names_and_its_session() {
    let after = kept(full(), |span| {
        span.remove_content();
        assert_eq!(span.error_type(), Some("my::Error"));
        assert_eq!(span.tag("error"), Some("1"));
        Verdict::Keep
    });
    assert_eq!(
        (&after["name"], &after["session_id"]),
        (&json!("n"), &json!(SECRET))
    );
    assert_eq!(after["meta"].get("input"), None);
    assert_eq!(after["meta"]["metadata"], json!({}));
    assert_eq!(after.get("collection_errors"), None);
    assert!(!after["tags"].to_string().contains("user"));
}

#[test]
fn a_debug_shows_nothing_of_the_content() {
    kept(full(), |span| {
        let text = format!("{span:?} {:?}", span.input());
        assert!(text.contains("llm \"n\" aa:1"), "{text}");
        assert!(!text.contains("secret"), "{text}");
        Verdict::Keep
    });
    let config = Config::new().processor(|_| Verdict::Keep).clone();
    let text = format!("{:?}", config.processor(|_| Verdict::Drop));
    assert!(text.contains("processors: 2"), "{text}");
}

#[test]
fn the_drop_of_what_a_processor_holds_may_panic() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("as asked"));
        }
    }
    let mut processors = Processors::default();
    for bomb in [Bomb, Bomb] {
        processors.add(move |_| {
            let _ = &bomb;
            Verdict::Keep
        });
    }
    drop(processors.clone());
    drop(processors);
}
