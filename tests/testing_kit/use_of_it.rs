//! What a test reads of the spans of annotated functions.

use std::time::Duration;

use llmobs::testing::{self, Finished};
use llmobs::{
    Annotation, Capture, Config, Destination, Document, Memory, Message, Span, SpanKind, ToolCall,
    llm, retrieval, workflow,
};
use serde_json::json;

#[workflow(session_id = "s1", tags(customer = customer))]
fn answer(question: &str, customer: &str) -> Result<String, String> {
    let passages = search(question);
    let reply = ask(question, passages.len());
    if question.is_empty() {
        return Err("nothing was asked".into());
    }
    Ok(reply)
}

#[retrieval(capture_output = true)]
fn search(question: &str) -> Vec<String> {
    vec![format!("about {question}"), "more".into()]
}

#[llm(model_name = "claude", model_provider = "Anthropic", name = "ask")]
fn ask(question: &str, passages: usize) -> String {
    let usage = Annotation::new().input(("user", question));
    let usage = usage
        .metric("input_tokens", 7)
        .metric("cost", 0.5)
        .metadata("passages", passages);
    llmobs::annotate(None, usage).unwrap();
    format!("Paris: {question}")
}

fn finished(calls: impl FnOnce()) -> Finished {
    let llmobs = testing::client();
    llmobs.scope(calls);
    llmobs.finished()
}

#[test]
fn the_tree_is_text_without_ids_and_times() {
    let finished = finished(|| {
        answer("Where?", "acme").unwrap();
        answer("", "acme").unwrap_err();
    });
    let expected = "workflow answer\n  retrieval search\n  llm ask\n\
                    workflow answer [error]\n  retrieval search\n  llm ask\n";
    assert_eq!(finished.tree(), expected);
    assert_eq!(finished.tree(), String::from(expected));
    assert_eq!(finished.tree().to_string(), expected);
    assert_eq!(format!("{:?}", finished.tree()), format!("{expected:?}"));
    assert_eq!(finished.tree(), finished.clone().tree());
    assert_ne!(finished.tree(), "workflow answer\n");
    finished.tree().tags(&["customer"]).assert_is(
        "
        workflow answer {customer:acme}
          retrieval search
          llm ask
        workflow answer [error] {customer:acme}
          retrieval search
          llm ask
        ",
    );
}

#[test]
fn a_tree_shows_what_went_in_and_came_out() {
    let finished = finished(|| {
        let span = Span::llm("ask").start();
        let call = ToolCall::new("find", json!({"city": "Paris"}));
        let said = Annotation::new().input(vec![
            Message::system("Be\nbrief."),
            Message::user("Where is it?"),
        ]);
        let call = Message::assistant("").tool_call(call);
        span.annotate(said.output(call)).unwrap();
        let search = Span::retrieval("search").start();
        let found = Annotation::new().output(vec![Document::new("a passage")]);
        search.annotate(found.input("Paris")).unwrap();
        let error = "x".parse::<u8>().unwrap_err();
        search.finish_with_error(&error).unwrap();
    });
    finished.tree().io().assert_is(
        r#"
        llm ask
          < system: Be\nbrief.
          < user: Where is it?
          > assistant: find({"city":"Paris"})
        retrieval search [error]
          < Paris
          > a passage
          ! core::num::error::ParseIntError: invalid digit found in string
        "#,
    );
}

#[test]
fn a_span_says_what_it_holds() {
    let finished = finished(|| drop(answer("Where?", "acme")));
    let ask = finished.span("ask");
    assert_eq!(ask.name(), "ask");
    assert_eq!(ask.kind(), SpanKind::Llm);
    assert_eq!(ask.input(), "Where?");
    assert_eq!(ask.output(), "Paris: Where?");
    assert_eq!(ask.output(), String::from("Paris: Where?"));
    assert_eq!(ask.input().messages(), [Message::user("Where?")]);
    assert_eq!(
        ask.input().json(),
        json!([{"role": "user", "content": "Where?"}])
    );
    assert_eq!(ask.metadata("passages"), Some(&json!(2)));
    assert_eq!(ask.metadata("other"), None);
    assert_eq!(ask.metric("input_tokens"), Some(7.0));
    assert_eq!(ask.metric("output_tokens"), None);
    assert_eq!(ask.model_name(), Some("claude"));
    assert_eq!(ask.model_provider(), Some("anthropic"));
    assert_eq!(ask.session_id(), Some("s1"));
    assert!(ask.error().is_none());
    assert!(!ask.is_root());
    assert!(ask.duration() < Duration::from_secs(60));
    assert_eq!(ask.json()["meta"]["model_name"], "claude");

    let answer = finished.span("answer");
    assert_eq!(answer.input().json()["question"], "Where?");
    assert_eq!(answer.tag("customer"), Some("acme"));
    assert_eq!(answer.tag("decorator"), Some("1"));
    assert_eq!(answer.tag("cust"), None);
    assert_eq!(answer.model_name(), None);
    assert!(answer.is_root() && answer.parent().is_none());
    let children: Vec<&str> = answer.children().iter().map(|span| span.name()).collect();
    assert_eq!(children, ["search", "ask"]);
    assert_eq!(ask.parent().unwrap().name(), "answer");

    let search = finished.span("search");
    let texts = ["about Where?", "more"].map(Document::new);
    assert_eq!(search.output().documents(), texts);
    assert_eq!(search.output(), "about Where?\nmore");
    assert!(search.output().messages().is_empty());
    assert_eq!(finished.roots().len(), 1);
    let names: Vec<&str> = finished.spans().iter().map(|span| span.name()).collect();
    assert_eq!(names, ["answer", "search", "ask"]);
}

#[test]
fn an_error_has_its_type_its_message_and_its_chain() {
    let finished = finished(|| {
        let error = "x".parse::<u8>().unwrap_err();
        Span::task("parse")
            .start()
            .finish_with_error(&error)
            .unwrap();
    });
    let error = finished.span("parse").error().unwrap();
    assert_eq!(error.type_name(), "core::num::error::ParseIntError");
    assert_eq!(error.message(), "invalid digit found in string");
    assert!(error.stack().starts_with(error.type_name()));
    let parse = finished.span("parse");
    parse
        .assert_error("invalid digit")
        .assert_error("ParseIntError");
    assert!(parse.output().is_empty());
    assert_eq!(parse.output(), "");
    assert_eq!(parse.output().json(), json!(null));
}

#[test]
fn assertions_stand_in_a_row() {
    let finished = finished(|| drop(answer("Where?", "acme")));
    finished
        .span("ask")
        .assert_kind(SpanKind::Llm)
        .assert_input("Where?")
        .assert_output("Paris: Where?")
        .assert_metadata("passages", 2)
        .assert_metric("input_tokens", 7)
        .assert_metric("cost", 0.5)
        .assert_tag("session_id", "s1")
        .assert_parent("answer")
        .assert_ok();
}

#[test]
fn spans_of_one_name_come_in_the_order_of_their_starts() {
    let finished = finished(|| {
        let outer = Span::task("again").start();
        let _in = outer.enter();
        for round in 0..50 {
            let span = Span::task("again").start();
            span.annotate(Annotation::new().metadata("round", round))
                .unwrap();
        }
    });
    let again = finished.spans_named("again");
    assert!(again[0].is_root(), "the first to start is the last to end");
    let rounds = again[1..]
        .iter()
        .map(|span| span.metadata("round").unwrap());
    assert!(rounds.eq((0..50).map(|round| json!(round)).collect::<Vec<_>>().iter()));
    assert!(finished.spans_named("another").is_empty());
}

#[test]
fn the_configuration_of_the_application_is_taken_but_for_its_destinations() {
    let config = Config::new()
        .ml_app("chat")
        .capture(Capture::Metadata)
        .api_key("never used")
        .destination(Destination::Agentless);
    let llmobs = testing::client_with(config.api_key("a-key"));
    llmobs.scope(|| drop(answer("Where?", "acme")));
    let finished = llmobs.finished();
    finished.span("answer").assert_tag("ml_app", "chat");
    assert!(finished.span("answer").input().is_empty());
    let stats = llmobs.handle().stats();
    assert_eq!(stats.destinations.len(), 1);
    assert_eq!(stats.destinations[0].name, "memory");
}

#[test]
fn an_application_that_is_off_gives_nothing_and_works_all_the_same() {
    let llmobs = testing::client_with(Config::new().enabled(false));
    assert_eq!(
        llmobs.scope(|| answer("Where?", "acme")).unwrap(),
        "Paris: Where?"
    );
    assert!(llmobs.finished().is_empty());
    assert_eq!(llmobs.finished().tree(), "");
}

#[test]
fn any_memory_is_read_in_the_same_way() {
    let memory = Memory::new();
    let config = Config::new().destination(Destination::Memory(memory.clone()));
    let client = config.build().unwrap();
    client.scope(|| drop(answer("Where?", "acme")));
    client.shutdown(Duration::from_secs(60)).unwrap();
    let finished = Finished::of(&memory);
    finished.span("ask").assert_parent("answer");
}
