//! What stands in the attribute.

use std::sync::atomic::{AtomicU32, Ordering};

use llmobs::{agent, llm, task, workflow};
use serde_json::json;

use crate::support::{has_tag, only, record, record_future};

const MODEL: &str = "m-const";

struct Client {
    model: String,
    provider: Option<String>,
}

impl Client {
    #[llm(model_name = self.model, model_provider = self.provider, name = format!("ask {topic}"))]
    fn ask(&self, topic: &str) -> usize {
        topic.len()
    }

    #[llm(model_name = self.model, model_provider = if self.provider.is_some() { Some("p") } else { None })]
    async fn ask_async(self) -> String {
        tokio::task::yield_now().await;
        self.model
    }

    #[llm(model_name = &*self.model, name = MODEL, session_id = id)]
    fn ask_by_ref(&mut self, id: String) -> String {
        self.model.push('!');
        id
    }
}

#[test]
fn case_49_expressions_may_use_arguments_and_self() {
    let client = Client {
        model: "m".into(),
        provider: None,
    };
    let (_, spans) = record(|| client.ask("x"));
    let span = only(&spans);
    assert_eq!(
        (&span["name"], &span["meta"]["model_name"]),
        (&json!("ask x"), &json!("m"))
    );
    assert_eq!(span["meta"]["model_provider"], "unknown");

    let mut client = Client {
        model: "m".into(),
        provider: Some("Anthropic".into()),
    };
    let (_, spans) = record(|| client.ask_by_ref("s-1".into()));
    assert_eq!(only(&spans)["session_id"], "s-1");
    assert_eq!(only(&spans)["name"], MODEL);
    assert_eq!(only(&spans)["meta"]["model_name"], "m");
    let (_, spans) = record_future(client.ask_async());
    assert_eq!(only(&spans)["meta"]["model_name"], "m!");
    assert_eq!(only(&spans)["meta"]["model_provider"], "p");
}

#[agent(
    version = 1.to_string(),
    session_id = "s",
    ml_app = "old",
    agent_service = "new",
    tags(team = "core", "team.name" = name, attempt = 3),
    metadata(temperature = 0.5, top = Some(1), nested = json!({"a": [1]}), stop = ["x"]),
)]
fn everything(name: &str) -> usize {
    name.len()
}

#[test]
fn case_50_every_argument_has_its_place() {
    let (_, spans) = record(|| everything("n"));
    let span = only(&spans);
    for tag in [
        "team:core",
        "team.name:n",
        "attempt:3",
        "agent_version:1",
        "ml_app:new",
    ] {
        assert!(has_tag(span, tag), "{tag}: {:#}", span["tags"]);
    }
    assert_eq!(span["session_id"], "s");
    assert_eq!(
        span["meta"]["metadata"],
        json!({"temperature": 0.5, "top": 1, "nested": {"a": [1]}, "stop": ["x"]})
    );
}

#[task(input = input, name = metadata, tags(name = tags))]
fn reserved(input: &str, metadata: &str, tags: &str, output: &str) -> usize {
    input.len() + metadata.len() + tags.len() + output.len()
}

#[test]
fn case_50_arguments_of_the_function_may_be_called_like_ours() {
    let (_, spans) = record(|| reserved("i", "m", "t", "o"));
    assert_eq!(only(&spans)["name"], "m");
    assert!(has_tag(only(&spans), "name:t"));
}

#[task]
fn without_brackets() {}
#[task()]
fn empty_brackets() {}
#[task(name = "trailing")]
fn trailing_comma() {}
#[task[name = "square"]]
fn square_brackets() {}

#[test]
fn case_52_brackets_and_commas() {
    let ((), spans) = record(|| {
        without_brackets();
        empty_brackets();
        trailing_comma();
        square_brackets();
    });
    let names: Vec<_> = spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["without_brackets", "empty_brackets", "trailing", "square"]
    );
}

static EVALUATED: AtomicU32 = AtomicU32::new(0);

fn evaluated() -> &'static str {
    EVALUATED.fetch_add(1, Ordering::Relaxed);
    "once"
}

struct Counted;
impl serde::Serialize for Counted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EVALUATED.fetch_add(100, Ordering::Relaxed);
        serializer.serialize_unit()
    }
}

#[workflow(name = evaluated(), tags(a = evaluated()))]
fn counted(value: &Counted) -> Counted {
    let _ = value;
    Counted
}

#[workflow(name = evaluated(), input = evaluated())]
async fn counted_async() {}

#[test]
fn case_55_expressions_run_once_and_only_when_enabled() {
    counted(&Counted);
    futures::executor::block_on(counted_async());
    assert_eq!(EVALUATED.load(Ordering::Relaxed), 0);
    record(|| {
        counted(&Counted);
    });
    assert_eq!(EVALUATED.swap(0, Ordering::Relaxed), 202);
    record_future(counted_async());
    assert_eq!(EVALUATED.load(Ordering::Relaxed), 2);
}

#[task(name = "")]
#[cfg(any())]
fn not_even_there() {}

#[task(name = Some(name).filter(|name| !name.is_empty()))]
fn named_at_run_time(name: &str) -> usize {
    name.len()
}

#[test]
fn a_name_that_turns_out_empty_leaves_the_functions_own() {
    let ((), spans) = record(|| {
        named_at_run_time("");
        named_at_run_time("given");
    });
    assert_eq!(spans[0]["name"], "named_at_run_time");
    assert_eq!(spans[1]["name"], "given");
}

fn no_name() -> &'static str {
    panic!("an expression of an attribute")
}

#[task(tags(before = 1), metadata(a = no_name()))]
fn told_wrong(number: u8) -> u8 {
    number
}

#[task(name = no_name())]
async fn told_wrong_later(number: u8) -> u8 {
    number
}

#[test]
fn case_49_an_expression_that_panics_harms_nobody() {
    let (returned, spans) = record(|| {
        let first = told_wrong(7);
        (first, futures::executor::block_on(told_wrong_later(8)))
    });
    assert_eq!(returned, (7, 8));
    assert_eq!(spans[0]["name"], "told_wrong");
    assert_eq!(spans[0]["status"], "ok");
    assert_eq!(spans[0]["meta"]["input"]["value"], r#"{"number":7}"#);
    assert_eq!(spans[1]["name"], "told_wrong_later");
}

#[test]
fn a_role_that_panics_when_it_is_read_harms_nobody() {
    struct Role;
    impl AsRef<str> for Role {
        fn as_ref(&self) -> &str {
            panic!("a role")
        }
    }
    #[llm(input = turn, output = |n| (Role, n.to_string()))]
    fn answer(turn: (Role, &str)) -> usize {
        turn.1.len()
    }
    let (length, spans) = record(|| answer((Role, "four")));
    assert_eq!(length, 4);
    assert_eq!(only(&spans)["name"], "answer");
    assert_eq!(only(&spans)["status"], "ok");
}

#[test]
fn what_a_model_is_told_may_be_pairs_of_role_and_content() {
    #[llm(input = ("user", prompt), output = |reply| ("assistant", reply))]
    fn one(prompt: &str) -> String {
        prompt.to_uppercase()
    }
    #[llm(input = history, output = |reply| vec![("reasoning", "hm"), ("assistant", reply)])]
    async fn many(history: &[(String, String)]) -> Result<String, String> {
        Ok(format!("{} turns", history.len()))
    }
    #[llm(input = [("system", String::from("be short")), ("user", format!("{n}?"))])]
    fn mixed(n: u8) {}
    #[task(input = ("user", text), output = |_| ("assistant", 1))]
    fn no_model(text: &str) -> u8 {
        text.len() as u8
    }
    #[llm(input = [text, "second"], output = |n| (n, "no role"))]
    fn no_pair(text: &str) -> u8 {
        text.len() as u8
    }
    let ((), spans) = record(|| {
        one("hi");
        let turn = |role: &str, content: &str| (role.to_owned(), content.to_owned());
        let history = [turn("user", "a"), turn("assistant", "b")];
        futures::executor::block_on(many(&history)).unwrap();
        mixed(2);
        no_model("x");
        no_pair("first");
    });
    let named = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
    let messages = |name: &str, side: &str| named(name)["meta"][side]["messages"].clone();
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    assert_eq!(messages("one", "input"), json!([message("user", "hi")]));
    assert_eq!(
        messages("one", "output"),
        json!([message("assistant", "HI")])
    );
    let history = json!([message("user", "a"), message("assistant", "b")]);
    assert_eq!(messages("many", "input"), history);
    let reply = json!([message("reasoning", "hm"), message("assistant", "2 turns")]);
    assert_eq!(messages("many", "output"), reply);
    let told = json!([message("system", "be short"), message("user", "2?")]);
    assert_eq!(messages("mixed", "input"), told);
    let value = |side: &str| named("no_model")["meta"][side]["value"].clone();
    assert_eq!(value("input"), r#"["user","x"]"#);
    assert_eq!(value("output"), r#"["assistant",1]"#);
    let texts = json!([message("", "first"), message("", "second")]);
    assert_eq!(messages("no_pair", "input"), texts);
    assert_eq!(
        messages("no_pair", "output"),
        json!([message("", r#"[5,"no role"]"#)])
    );
}

#[test]
fn an_expression_whose_panic_panics_again_when_it_is_dropped_harms_nobody() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            std::panic::panic_any("again");
        }
    }
    fn fails() -> &'static str {
        std::panic::resume_unwind(Box::new(Payload))
    }
    #[workflow(name = fails(), output = |_| fails())]
    fn answer(question: &str) -> usize {
        question.len()
    }
    let (length, spans) = record(|| answer("four"));
    assert_eq!(length, 4);
    assert_eq!(only(&spans)["name"], "answer");
    assert_eq!(only(&spans)["status"], "ok");
}

#[task(tags(url = url))]
fn connect(url: &str) -> usize {
    url.len()
}

#[test]
fn the_url_of_a_tag_has_no_secrets() {
    let (_, spans) = record(|| connect("postgres://ada:hunter@db/x"));
    let span = only(&spans);
    assert!(
        has_tag(span, "url:postgres://ada:[redacted]@db/x"),
        "{span:#}"
    );
}
