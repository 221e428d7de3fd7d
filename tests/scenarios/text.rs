//! Text of every sort arrives as it was given.

use llmobs::{
    Annotation, Assessment, Config, Document, Evaluation, EvaluationTarget, Message, Span,
    ToolCall, ToolResult,
};
use serde_json::json;

use crate::client::Client;

/// Accents, a snowman, a face outside the first plane, right-to-left text, a combining accent, a zero-width joiner,
/// a family, line and paragraph separators, quotes, control characters, a byte-order mark, the last code point.
const TEXT: &str = "ü ☃ 😀 שלום e\u{301} \u{200d} 👨\u{200d}👩\u{200d}👧 \u{2028}\u{2029} \"q\" \\ / \n\r\t\u{0}\u{1f}\u{7f} \u{feff}\u{10ffff}";

#[derive(Debug)]
struct Unicode;

impl std::fmt::Display for Unicode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(TEXT)
    }
}

impl std::error::Error for Unicode {}

#[test]
fn unicode_arrives_in_every_field_of_a_span() {
    let config = Config::new().ml_app(TEXT).tag(TEXT, TEXT);
    let config = config.service(TEXT).env(TEXT).version(TEXT);
    let sent = Client::configured(config).sent_by(|| {
        let agent = Span::agent(TEXT).version(TEXT).start().enter();
        agent
            .span()
            .annotate(Annotation::new().input(TEXT))
            .unwrap();
        let llm = Span::llm(TEXT).model_name(TEXT).model_provider("ÄÖ ☃");
        let llm = llm.session_id(TEXT).tag("own", TEXT).start();
        let call = ToolCall::new(TEXT, json!({TEXT: TEXT}))
            .tool_id(TEXT)
            .kind(TEXT);
        let result = ToolResult::new(TEXT).name(TEXT).tool_id(TEXT);
        let said = Message::new(TEXT, TEXT).tool_call(call).tool_result(result);
        let annotation = Annotation::new()
            .input(said)
            .output(TEXT)
            .metadata(TEXT, json!({TEXT: [TEXT]}))
            .metric("m", 1)
            .tag("other", TEXT);
        llm.annotate(annotation).unwrap();
        llm.finish_with_error(&Unicode).unwrap();
        let retrieval = Span::retrieval("found").start();
        let document = Document::new(TEXT).name(TEXT).id(TEXT);
        let annotation = Annotation::new()
            .input(json!({TEXT: TEXT}))
            .output(document);
        retrieval.annotate(annotation).unwrap();
    });
    let of_kind = |kind: &str| {
        let mut spans = sent.spans.iter();
        spans
            .find(|span| span["meta"]["span"]["kind"] == kind)
            .unwrap()
    };
    let has_tag = |span: &serde_json::Value, tag: String| {
        let tags = span["tags"].as_array().unwrap();
        assert!(tags.contains(&json!(tag)), "no {tag:?} in {tags:?}");
    };
    let agent = of_kind("agent");
    assert_eq!(agent["name"], TEXT);
    assert_eq!(agent["meta"]["input"]["value"], TEXT);
    has_tag(agent, format!("agent_version:{TEXT}"));
    let llm = of_kind("llm");
    let meta = &llm["meta"];
    assert_eq!(meta["model_name"], TEXT);
    assert_eq!(meta["model_provider"], "äö ☃");
    let message = json!({
        "role": TEXT,
        "content": TEXT,
        "tool_calls": [{"name": TEXT, "arguments": {TEXT: TEXT}, "tool_id": TEXT, "type": TEXT}],
        "tool_results": [{"result": TEXT, "name": TEXT, "tool_id": TEXT}],
    });
    assert_eq!(meta["input"]["messages"], json!([message]));
    assert_eq!(meta["output"]["messages"][0]["content"], TEXT);
    assert_eq!(meta["metadata"], json!({TEXT: {TEXT: [TEXT]}}));
    assert_eq!(meta["error"]["message"], TEXT);
    assert_eq!(meta["agent_attribution"]["pagent_name"], TEXT);
    assert_eq!(llm["session_id"], TEXT);
    for key in [
        "own",
        "other",
        "ml_app",
        "session_id",
        "service",
        "env",
        "version",
        TEXT,
    ] {
        has_tag(llm, format!("{key}:{TEXT}"));
    }
    let meta = &sent.span("found")["meta"];
    let document = json!({"text": TEXT, "name": TEXT, "id": TEXT});
    assert_eq!(meta["output"]["documents"], json!([document]));
    let input = meta["input"]["value"].as_str().unwrap();
    let input: serde_json::Value = serde_json::from_str(input).unwrap();
    assert_eq!(input, json!({TEXT: TEXT}));
}

#[test]
fn unicode_arrives_in_every_field_of_an_evaluation() {
    let sent = Client::start().sent_by(|| {
        let evaluation = Evaluation::new("label", TEXT)
            .tag(TEXT, TEXT)
            .ml_app(TEXT)
            .metadata(TEXT, TEXT)
            .assessment(Assessment::Pass)
            .reasoning(TEXT);
        llmobs::submit_evaluation(EvaluationTarget::tag(TEXT, TEXT), evaluation).unwrap();
        let json = Evaluation::new("json", json!({TEXT: [TEXT]}));
        llmobs::submit_evaluation(EvaluationTarget::span(TEXT, TEXT), json).unwrap();
    });
    let [evaluation, of_json] = &sent.evaluations[..] else {
        panic!("{:?}", sent.evaluations);
    };
    assert_eq!(evaluation["categorical_value"], TEXT);
    assert_eq!(evaluation["ml_app"], TEXT);
    assert_eq!(evaluation["reasoning"], TEXT);
    assert_eq!(evaluation["metadata"], json!({TEXT: TEXT}));
    assert_eq!(
        evaluation["join_on"]["tag"],
        json!({"key": TEXT, "value": TEXT})
    );
    assert_eq!(evaluation["tags"][1], format!("ml_app:{TEXT}"));
    assert_eq!(evaluation["tags"][2], format!("{TEXT}:{TEXT}"));
    assert_eq!(of_json["json_value"], json!({TEXT: [TEXT]}));
    assert_eq!(
        of_json["join_on"]["span"],
        json!({"span_id": TEXT, "trace_id": TEXT})
    );
}

#[test]
fn tags_are_sorted_and_each_key_is_there_once() {
    let sent = Client::configured(Config::new().tag("team", "a")).sent_by(|| {
        let span = Span::task("t").tag("team", "b").tag("z", 1).tag("a-b", 2);
        let annotation = Annotation::new().tags([("z", "3"), ("a", "4")]);
        span.start().annotate(annotation).unwrap();
    });
    let tags: Vec<&str> = sent.span("t")["tags"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tag| tag.as_str())
        .collect();
    assert!(tags.is_sorted(), "{tags:?}");
    for tag in ["team:b", "z:3", "a:4", "a-b:2"] {
        assert!(tags.contains(&tag), "{tags:?}");
    }
    assert!(!tags.contains(&"team:a") && !tags.contains(&"z:1"));
}

#[test]
fn an_empty_name_is_the_name_of_the_kind() {
    let sent = Client::start().sent_by(|| {
        drop(Span::task("").start());
        drop(Span::tool(None::<String>).start());
        drop(Span::llm(Some("named")).start());
    });
    let mut names: Vec<_> = sent.spans.iter().map(|span| &span["name"]).collect();
    names.sort_by_key(|name| name.to_string());
    assert_eq!(names, ["named", "task", "tool"]);
}

/// Python's sanitiser looks at all of `meta`, whose depth is 0: the arguments of a tool call lie at 6.
#[test]
fn containers_too_deep_become_their_text_in_tool_calls_as_in_metadata() {
    let deep = |depth: usize| (0..depth).fold(json!(0), |inner, _| json!({"k": inner}));
    let sent = Client::start().sent_by(|| {
        let call = ToolCall::new("f", deep(8));
        let said = Message::assistant("").tool_call(call);
        let annotation = Annotation::new().output(said).metadata("m", deep(12));
        Span::llm("l").start().annotate(annotation).unwrap();
    });
    let meta = &sent.span("l")["meta"];
    let arguments = "/output/messages/0/tool_calls/0/arguments/k/k/k/k/k/k";
    assert_eq!(meta.pointer(arguments), Some(&json!(r#"{"k":{"k":0}}"#)));
    let metadata = "/metadata/m/k/k/k/k/k/k/k/k/k/k";
    assert_eq!(meta.pointer(metadata), Some(&json!(r#"{"k":{"k":0}}"#)));
}
