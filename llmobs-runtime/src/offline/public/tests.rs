use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::*;
use crate::config::Config;
use crate::offline::PastSpan;
use crate::offline::past::event;
use crate::{SpanContext, ToolCall};

const START: Duration = Duration::from_nanos(1_756_910_127_022_000_123);

fn span(kind: SpanKind) -> PastSpan {
    let span = PastSpan::new(kind, "n", UNIX_EPOCH + START, Duration::from_micros(1_500));
    span.with_context(&SpanContext::new("11", "22").unwrap())
}

fn public(span: PastSpan) -> Value {
    let config = Config::new().ml_app("app").env("prod");
    let event = event(span, &config.settings().unwrap(), UNIX_EPOCH + START);
    let (event, _) = event.unwrap_or_else(|rejection| unreachable!("{}", rejection.reason));
    serde_json::from_slice(&span_json(&event).unwrap()).unwrap()
}

/// The API's documentation is the source: `meta.kind`, the model within the metadata, the
/// literal `undefined` for a root, nanoseconds for times, seconds for `time_to_first_token`.
#[test]
fn a_call_of_a_model_is_as_the_documentation_says() {
    let call = span(SpanKind::Llm)
        .model_name("gpt-4o")
        .model_provider("OpenAI")
        .input([Message::system("short"), Message::user("hi ☃")])
        .output(("assistant", "ho"))
        .metadata("temperature", 0.5)
        .metadata("stream", true)
        .usage(crate::TokenUsage::new().input(3).output(4))
        .metric("time_to_first_token", 0.25)
        .session_id("s")
        .tag("team", "a");
    assert_eq!(
        public(call),
        json!({
            "name": "n", "span_id": "11", "trace_id": "22", "parent_id": "undefined",
            "start_ns": 1_756_910_127_022_000_123_u64, "duration": 1_500_000, "status": "ok",
            "session_id": "s",
            "meta": {
                "kind": "llm",
                "input": {"messages": [
                    {"content": "short", "role": "system"},
                    {"content": "hi ☃", "role": "user"},
                ]},
                "output": {"messages": [{"content": "ho", "role": "assistant"}]},
                "metadata": {
                    "temperature": 0.5, "stream": true,
                    "model_name": "gpt-4o", "model_provider": "openai",
                },
            },
            "metrics": {
                "input_tokens": 3, "output_tokens": 4, "total_tokens": 7,
                "time_to_first_token": 0.25,
            },
            "tags": [
                "agent_service:app",
                concat!("ddtrace.version:", env!("CARGO_PKG_VERSION")),
                "env:prod", "language:rust", "source:integration", "team:a",
            ],
        })
    );
}

#[test]
fn a_span_that_says_little_is_sent_without_empty_fields() {
    let task = public(
        span(SpanKind::Task)
            .with_parent_id("10")
            .apm_trace_id("apm"),
    );
    assert_eq!(task["meta"], json!({"kind": "task"}));
    assert_eq!(task["parent_id"], "10");
    assert_eq!(task["apm_trace_id"], "apm");
    assert_eq!(task.get("metrics"), None);
    let llm = public(span(SpanKind::Llm));
    assert_eq!(llm["meta"], json!({"kind": "llm"}), "no model was named");
}

#[test]
fn an_error_is_the_status_and_the_meta() {
    let failed = public(span(SpanKind::Tool).error("Timeout", "too slow"));
    assert_eq!(failed["status"], "error");
    let error = json!({"type": "Timeout", "message": "too slow", "stack": "Timeout: too slow"});
    assert_eq!(failed["meta"]["error"], error);
}

#[test]
fn metadata_are_scalars_and_the_rest_is_their_json() {
    let task = span(SpanKind::Task)
        .metadata("list", json!([1, 2]))
        .metadata("object", json!({"a": 1}))
        .metadata("nothing", Value::Null)
        .metadata("text", "t");
    let expected = json!({"list": "[1,2]", "object": "{\"a\":1}", "nothing": "null", "text": "t"});
    assert_eq!(public(task)["meta"]["metadata"], expected);
}

#[test]
fn documents_are_what_a_retrieval_gives_and_text_elsewhere() {
    let found = Document::new("d").name("n").id("i").score(0);
    let retrieval = public(span(SpanKind::Retrieval).input("q").output(found.clone()));
    assert_eq!(retrieval["meta"]["input"], json!({"value": "q"}));
    let document = json!({"text": "d", "name": "n", "id": "i", "score": 0});
    assert_eq!(
        retrieval["meta"]["output"],
        json!({"documents": [document]})
    );
    let embedding =
        |io: crate::Io| public(span(SpanKind::Embedding).input(io))["meta"]["input"].clone();
    assert_eq!(embedding("plain".into()), json!({"value": "plain"}));
    let text = embedding(found.into())["value"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!([document])
    );
}

#[test]
fn what_a_message_holds_beside_its_text_follows_it() {
    let arguments = Map::from_iter([("city".to_owned(), json!("Oslo"))]);
    let calls = |content: &str| {
        let message =
            Message::assistant(content).tool_call(ToolCall::new("weather", arguments.clone()));
        public(span(SpanKind::Llm).output(message))["meta"]["output"]["messages"][0].clone()
    };
    let message = calls("let me look");
    let (text, rest) = message["content"]
        .as_str()
        .unwrap()
        .split_once('\n')
        .unwrap();
    assert_eq!(text, "let me look");
    let rest: Value = serde_json::from_str(rest).unwrap();
    assert_eq!(rest["tool_calls"][0]["name"], "weather");
    assert_eq!(rest["tool_calls"][0]["arguments"], json!({"city": "Oslo"}));
    assert_eq!(message.as_object().unwrap().len(), 2, "content and role");
    assert!(calls("")["content"].as_str().unwrap().starts_with('{'));
}

/// Such as a processor leaves it.
#[test]
fn a_value_hides_neither_messages_nor_documents() {
    let mut fields = IoFields {
        value: Some("v".to_owned()),
        messages: Some(vec![Message::user("hi")]),
        documents: vec![Document::new("d")],
        prompt: None,
    };
    let as_json = |io: Option<PublicIo<'_>>| serde_json::to_value(io).unwrap();
    let messages = json!([{"content": "hi", "role": "user"}]);
    assert_eq!(
        as_json(io(&fields, true)),
        json!({"value": "v", "messages": messages, "documents": [{"text": "d"}]})
    );
    assert_eq!(
        as_json(io(&fields, false)),
        json!({"value": "v\n[{\"text\":\"d\"}]", "messages": messages})
    );
    fields.value = None;
    assert_eq!(
        as_json(io(&fields, false)),
        json!({"value": "d", "messages": messages})
    );
}
