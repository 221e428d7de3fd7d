//! What annotations add: messages, documents, values, metadata, metrics, tags.

use std::collections::{BTreeMap, BTreeSet};

use llmobs::{
    Annotation, Document, Io, MediaPart, Message, Span, SpanBuilder, ToolCall, ToolResult, kinds,
};
use llmobs_tests::Exemptions;
use serde_json::json;

use crate::twin::Twin;

/// Starts the span, annotates it from inside and ends it.
fn annotated<K: kinds::Kind>(span: SpanBuilder<K>, annotation: Annotation) {
    let _in = span.start().enter();
    llmobs::annotate(None, annotation).unwrap();
}

#[test]
fn twin_06_annotate_llm_messages() {
    let twin = Twin::start("06-annotate-llm-messages");
    let llm = |name: &str, annotation| {
        let span = Span::llm(name)
            .model_name("gpt-4o")
            .model_provider("openai");
        annotated(span, annotation);
    };
    let input = |input: Io| Annotation::new().input(input);
    twin.run(|| {
        llm("strings", input("in".into()).output("out"));
        llm(
            "dict",
            input(("user", "in").into()).output(Message::assistant("out")),
        );
        let list = [
            Message::system("You are."),
            Message::user("hi"),
            Message::new("", "norole"),
            Message::from("bare string"),
        ];
        llm("list", input(list.into()).output([("assistant", "yo")]));
        let call = ToolCall::new("get_weather", json!({"city": "Paris", "n": 1}));
        let calls = Message::assistant("")
            .tool_call(call.tool_id("call_1").kind("function"))
            .tool_call(ToolCall::new("noargs", json!({})));
        llm("tools", input(("user", "weather?").into()).output(calls));
        let result = ToolResult::new("sunny").name("get_weather");
        let results = Message::tool("")
            .tool_result(result.tool_id("call_1").kind("tool_result"))
            .tool_result(ToolResult::new("only"));
        let answer = Message::assistant("It is sunny");
        llm("toolresults", input(results.into()).output(answer));
        let parts = Message::user("look")
            .audio(MediaPart::base64("audio/wav", "UklGRg=="))
            .image(MediaPart::base64("image/png", "iVBORw0K"))
            .image(MediaPart::attachment("image/png", "k1"));
        llm("parts", input(parts.into()));
        let nothing = Vec::<Message>::new();
        llm("empty", input(nothing.clone().into()).output(nothing));
        // A message of ours has no place for other keys.
        llm("unknownkeys", input(Message::user("x").into()));
    });
    twin.assert_equal(&Exemptions::none());
}

#[test]
fn twin_06_messages_as_json_are_the_same() {
    let twin = Twin::start("06-annotate-llm-messages");
    twin.run(|| {
        for span in llmobs_tests::Golden::load("06-annotate-llm-messages").spans() {
            let io = |side: &str| span["meta"][side]["messages"].clone();
            let model = Span::llm(span["name"].as_str())
                .model_name("gpt-4o")
                .model_provider("openai");
            let annotation = Annotation::new().input(io("input")).output(io("output"));
            annotated(model, annotation);
        }
    });
    twin.assert_equal(&Exemptions::none());
}

#[test]
fn twin_07_annotate_documents() {
    let twin = Twin::start("07-annotate-documents");
    let embedding = |name: &str, annotation| {
        let span = Span::embedding(name)
            .model_name("te3")
            .model_provider("openai");
        annotated(span, annotation);
    };
    let retrieval = |name: &str, annotation| annotated(Span::retrieval(name), annotation);
    let full = || Document::new("t").name("n").id("i");
    let new = Annotation::new;
    twin.run(|| {
        embedding("e1", new().input("text").output("[3 dims]"));
        embedding("e2", new().input(["a", "b"]).output(json!([0.1, 0.2])));
        embedding("e3", new().input(full().score(1)));
        let scored = [Document::new("t").score(0), Document::new("u").score(0.25)];
        embedding("e4", new().input(scored));
        retrieval("r1", new().input("q").output("single doc"));
        let query = json!({"q": 1, "a": [2]});
        retrieval("r2", new().input(query).output(["d1", "d2"]));
        let found = vec![full().score(0.5), Document::from("u")];
        retrieval("r3", new().input("q").output(found));
        retrieval("r4", new().input("q").output(Vec::<Document>::new()));
    });
    let kept = Exemptions::none().expect("e4", "/meta/input/documents/0/score", json!(0));
    twin.assert_equal(&kept);
}

/// What serialises as bytes, as `serde_bytes` does.
struct Bytes(&'static [u8]);

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[test]
fn twin_08_annotate_values() {
    let twin = Twin::start("08-annotate-values");
    let value = |name: &str, io: Io| {
        annotated(
            Span::task(name),
            Annotation::new().input(io.clone()).output(io),
        );
    };
    fn serialized(name: &str, value: &impl serde::Serialize) {
        let annotation = Annotation::new().input_json(value).output_json(value);
        annotated(Span::task(name), annotation);
    }
    twin.run(|| {
        value("v_str", "s".into());
        let nested = json!({"b": 1, "a": {"d": null, "c": [1.5, true]}});
        value("v_dict", nested.into());
        value("v_list", json!([1, "x"]).into());
        value("v_int", json!(7).into());
        serialized("v_float", &1.0);
        serialized("v_bool", &false);
        serialized("v_nan", &[f64::NAN, f64::INFINITY]);
        serialized("v_tuple", &(1, 2));
        serialized("v_set", &BTreeSet::from([1]));
        serialized("v_intkeys", &BTreeMap::from([(1, "a")]));
        serialized("v_bytes", &Bytes(b"\xffab"));
        value("v_emptystr", "".into());
        value("v_zero", json!(0).into());
        value("v_unicode", json!({"k": "héllo ☃ 😀"}).into());
    });
    let mut exemptions = Exemptions::none().without_span("v_obj");
    for (name, value) in [
        ("v_nan", r#"["NaN","inf"]"#),
        ("v_set", "[1]"),
        ("v_intkeys", r#"{"1":"a"}"#),
        ("v_bytes", "<3 bytes>"),
    ] {
        for side in ["input", "output"] {
            let pointer = format!("/meta/{side}/value");
            exemptions = exemptions.expect(name, &pointer, json!(value));
        }
    }
    twin.assert_equal(&exemptions);
}

#[test]
fn twin_10_metadata_metrics_tags() {
    let twin = Twin::start("10-metadata-metrics-tags");
    twin.run(|| {
        {
            let _in = Span::llm("merge").model_name("m").start().enter();
            let first = Annotation::new()
                .metadata("temperature", 0)
                .metadata("max_tokens", 100)
                .metadata("a", json!({"x": 1}))
                .metric("input_tokens", 4)
                .metric("output_tokens", 6)
                .metric("my.dotted.metric", 1.5)
                .tag("host", "h1")
                .tag("n", 1)
                .tag("b", false);
            llmobs::annotate(None, first).unwrap();
            let second = Annotation::new()
                .metadata("max_tokens", 200)
                .metadata("a", json!({"y": 2}))
                .metric("output_tokens", 7)
                .metric("total_tokens", 10)
                .tag("host", "h2")
                .tag("list", json!([1, 2]))
                .tag("5", "five");
            llmobs::annotate(None, second).unwrap();
        }
        let reserved = Annotation::new()
            .tag("env", "override")
            .tag("ml_app", "other-app")
            .tag("session_id", "sess-from-tag")
            .tag("version", 9)
            .tag("ddtrace.version", 0)
            .tag("x:y", "a:b");
        annotated(Span::llm("reserved").model_name("m"), reserved);
        let deep = (0..15).rev().fold(
            json!({}),
            |inner, level| json!({format!("l{level}"): inner}),
        );
        let deep = Annotation::new()
            .metadata("deep", deep)
            .metadata("_dd", json!({"spoof": 1}))
            .metadata("obj", "object");
        annotated(Span::task("deep"), deep);
    });
    let exemptions = Exemptions::none()
        .expect_absent("merge", "/metrics/flag")
        .expect_tags(
            "merge",
            &["b:false", "list:[1,2]"],
            &["b:False", "list:[1, 2]", "none:None"],
        )
        .without_span("bad");
    twin.assert_equal(&exemptions);
}
