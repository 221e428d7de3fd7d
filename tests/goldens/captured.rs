//! What the attributes capture by themselves.

use std::collections::BTreeMap;

use llmobs::{Annotation, Message};
use llmobs::{agent, embedding, llm, retrieval, task, tool, workflow};
use llmobs_tests::Exemptions;
use serde_json::{Value, json};

use crate::twin::Twin;

#[workflow]
fn wf(a: i32, b: i32) -> Value {
    json!({"z": [1, 2], "sum": a + b, "é": "ü"})
}

/// Rust has no `*args` and no `**kwargs`; a list and a map of these names are the same.
#[workflow(name = "wf")]
fn wf_with_all(a: i32, b: i32, c: i32, args: &[i32], kw: BTreeMap<&str, &str>) -> Value {
    assert_eq!((c, args.len(), kw.len()), (4, 2, 1));
    json!({"z": [1, 2], "sum": a + b, "é": "ü"})
}

#[task(name = "task_0")]
fn task_zero(x: i32) -> i32 {
    x
}

#[task(name = "task_False")]
fn task_false(x: bool) -> bool {
    x
}

#[task(name = "task_''")]
fn task_empty(x: &str) -> &str {
    x
}

#[task(name = "task_None")]
fn task_none(x: Option<i32>) -> Option<i32> {
    x
}

struct Tools;

impl Tools {
    #[tool]
    fn m(&self, q: &str) -> (String, i32, Option<i32>) {
        assert_eq!(q, "query");
        ("r".to_owned(), 1, None)
    }
}

#[agent]
fn ag(p: Value) -> &'static str {
    assert_eq!(p["k"][0], 1);
    llmobs::annotate(None, Annotation::new().output("manual")).unwrap();
    "auto"
}

#[retrieval]
fn rt(q: &str) -> Vec<String> {
    vec![q.to_owned()]
}

#[llm(model_name = "m", model_provider = "p")]
fn llm_0(prompt: &str) -> &str {
    assert_eq!(prompt, "plain");
    prompt
}

#[llm(model_name = "m", model_provider = "p")]
fn llm_1() -> Message {
    Message::assistant("c")
}

/// The same by the shape of its JSON.
#[derive(serde::Serialize)]
struct Said {
    content: &'static str,
    role: &'static str,
}

#[llm(model_name = "m", model_provider = "p", name = "llm_1")]
fn llm_1_by_shape() -> Said {
    Said {
        content: "c",
        role: "assistant",
    }
}

#[llm(model_name = "m", model_provider = "p")]
fn llm_2() -> Vec<Message> {
    vec![Message::user("c1"), Message::from("c2")]
}

#[llm(model_name = "m", model_provider = "p")]
fn llm_3() -> i32 {
    42
}

#[embedding(model_name = "m")]
fn emb(text: &str) -> Vec<f64> {
    vec![0.1; text.len()]
}

#[workflow(capture_input = false, capture_output = false)]
fn noio(x: i32) -> i32 {
    x
}

/// Makes the calls of scenario 05, with `llm_1` as given.
fn calls(llm_1: impl FnOnce()) {
    wf(1, 2);
    wf_with_all(1, 2, 4, &[5, 6], BTreeMap::from([("k", "v")]));
    assert_eq!(task_zero(0), 0);
    assert!(!task_false(false));
    assert_eq!(task_empty(""), "");
    assert_eq!(task_none(None), None);
    assert_eq!(Tools.m("query").1, 1);
    assert_eq!(ag(json!({"k": [1, 2]})), "auto");
    rt("question");
    assert_eq!(llm_0("plain"), "plain");
    llm_1();
    llm_2();
    assert_eq!(llm_3(), 42);
    emb("text");
    assert_eq!(noio(1), 1);
}

#[test]
fn twin_05_decorator_auto_io() {
    let as_message = || drop(llm_1());
    let by_shape = || {
        llm_1_by_shape();
    };
    for llm_1 in [&as_message as &dyn Fn(), &by_shape] {
        let twin = Twin::start("05-decorator-auto-io");
        twin.run(|| calls(llm_1));
        let text = json!({"messages": [{"content": "42", "role": ""}]});
        let exemptions = Exemptions::none().expect("llm_3", "/meta/output", text);
        twin.assert_equal(&exemptions);
    }
}
