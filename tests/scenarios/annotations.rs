//! What annotations add beyond what the recordings show: prompts over several levels, tools, costs, agents, links.

use llmobs::{
    AgentManifest, AnnotateError, Annotation, Evaluation, LinkEnd, Message, Prompt, Span,
    SpanContext, SpanLink, TokenUsage, ToolDefinition,
};
use serde_json::{Value, json};

use crate::client::{Client, Sent};

fn llm(name: &str) -> Span {
    Span::llm(name).model_name("m").start()
}

fn with_prompt(span: &Span, id: &str) {
    let prompt = Prompt::new(id).template("t");
    span.annotate(Annotation::new().prompt(prompt)).unwrap();
}

fn prompt<'a>(sent: &'a Sent, name: &str) -> Option<&'a str> {
    sent.span(name).pointer("/meta/input/prompt/id")?.as_str()
}

#[track_caller]
fn refused(error: Result<(), AnnotateError>, shown: &str) {
    let error = error.unwrap_err().to_string();
    assert!(error.contains(shown), "{error}");
}

#[test]
fn a_prompt_is_inherited_from_the_parent_and_from_nobody_above_it() {
    let sent = Client::start().sent_by(|| {
        let _root = Span::workflow("root").start().enter();
        with_prompt(_root.span(), "outer");
        {
            let _mid = Span::task("mid").start().enter();
            drop(llm("grandchild"));
        }
        let child = llm("child");
        {
            let _in = child.enter();
            drop(llm("in child"));
            let own = llm("own");
            with_prompt(&own, "inner");
            let _own = own.enter();
            drop(llm("below own"));
        }
    });
    assert_eq!(prompt(&sent, "child"), Some("outer"));
    assert_eq!(prompt(&sent, "grandchild"), None, "its parent has none");
    assert_eq!(
        prompt(&sent, "in child"),
        None,
        "its parent has none of its own"
    );
    assert_eq!(prompt(&sent, "own"), Some("inner"));
    assert_eq!(prompt(&sent, "below own"), Some("inner"));
    assert_eq!(prompt(&sent, "root"), None, "of a model alone is it sent");
    let method = "prompt_tracking_instrumentation_method";
    assert_eq!(sent.tag("root", method), Some("annotated"));
    assert_eq!(sent.tag("child", method), None);
}

#[test]
fn a_child_that_outlives_its_parent_still_has_its_prompt_and_its_tools() {
    let sent = Client::start().sent_by(|| {
        let parent = llm("parent");
        with_prompt(&parent, "p");
        let tools = [ToolDefinition::new("search").version("v3")];
        parent
            .annotate(Annotation::new().tool_definitions(tools))
            .unwrap();
        let (child, tool) = {
            let _in = parent.enter();
            (llm("child"), Span::tool("search").start())
        };
        parent.finish().unwrap();
        llmobs::flush(crate::client::SOON).unwrap();
        drop((child, tool));
    });
    assert_eq!(prompt(&sent, "child"), Some("p"));
    assert_eq!(sent.span("search")["meta"]["tool"]["version"], "v3");
}

/// Whoever is told that a prompt was taken finds it in what is sent.
#[test]
fn a_prompt_that_was_taken_while_the_span_ended_is_the_one_that_is_sent() {
    const RACES: usize = 300;
    let taken = std::sync::Mutex::new(Vec::new());
    let sent = Client::start().sent_by(|| {
        let parent = Span::workflow("parent").start();
        with_prompt(&parent, "parent's");
        let _in = parent.enter();
        for race in 0..RACES {
            let child = llm(&format!("child {race}"));
            let both = std::sync::Barrier::new(2);
            let own = Annotation::new().prompt(Prompt::new("own"));
            let annotated = std::thread::scope(|scope| {
                let annotating = scope.spawn(|| {
                    both.wait();
                    child.annotate(own)
                });
                both.wait();
                child.finish().unwrap();
                annotating.join().unwrap()
            });
            taken.lock().unwrap().push(annotated.is_ok());
        }
    });
    for (race, taken) in taken.into_inner().unwrap().into_iter().enumerate() {
        let expected = if taken { "own" } else { "parent's" };
        assert_eq!(prompt(&sent, &format!("child {race}")), Some(expected));
    }
}

#[test]
fn prompts_of_one_span_add_up() {
    let sent = Client::start().sent_by(|| {
        let span = llm("l");
        let first = Prompt::new("p").template("{{a}}").variable("a", 1);
        span.annotate(Annotation::new().prompt(first)).unwrap();
        let method = Annotation::new()
            .prompt(Prompt::default().version("2").variable("b", 2))
            .tag("prompt_tracking_instrumentation_method", "auto");
        span.annotate(method).unwrap();
    });
    let expected = json!({
        "id": "p", "ml_app": "app", "version": "2", "template": "{{a}}", "variables": {"b": "2"},
        "_dd_context_variable_keys": ["context"], "_dd_query_variable_keys": ["question"],
    });
    assert_eq!(sent.span("l")["meta"]["input"]["prompt"], expected);
    assert_eq!(
        sent.tag("l", "prompt_tracking_instrumentation_method"),
        Some("auto")
    );
}

#[test]
fn a_prompt_with_a_template_and_messages_goes_with_its_messages() {
    let both = || {
        Prompt::new("p")
            .version("2")
            .template("x")
            .chat_message("user", "{{a}}")
            .variable("a", 1)
    };
    let sent = Client::start().sent_by(|| {
        let span = llm("annotated");
        let annotation = Annotation::new().prompt(both()).tag("t", "v");
        refused(span.annotate(annotation), "template and chat messages");
        drop(span);
    });
    let expected = json!({
        "id": "p", "ml_app": "app", "version": "2", "variables": {"a": "1"},
        "chat_template": [{"role": "user", "content": "{{a}}"}],
        "_dd_context_variable_keys": ["context"], "_dd_query_variable_keys": ["question"],
    });
    assert_eq!(sent.span("annotated")["meta"]["input"]["prompt"], expected);
    assert_eq!(sent.tag("annotated", "t"), Some("v"));
}

#[test]
fn a_tool_has_its_version_from_the_nearest_model_above_that_knows_it() {
    let sent = Client::start().sent_by(|| {
        let offer = |version: &str| {
            let tools = [
                ToolDefinition::new("search").version(version),
                ToolDefinition::new("bare"),
            ];
            Annotation::new().tool_definitions(tools)
        };
        let outer = llm("outer");
        outer.annotate(offer("v1")).unwrap();
        let _outer = outer.enter();
        {
            let _step = Span::task("step").start().enter();
            let span = Span::tool("first name").start();
            span.annotate(Annotation::new().name("search")).unwrap();
        }
        drop(Span::tool("bare").start());
        drop(Span::tool("unknown").start());
        let inner = llm("inner");
        inner.annotate(offer("v1")).unwrap();
        inner.annotate(offer("v2")).unwrap();
        let _inner = inner.enter();
        drop(Span::tool("search").session_id("inner").start());
    });
    let versions: Vec<Value> = sent
        .spans
        .iter()
        .filter(|span| span["meta"]["span"]["kind"] == "tool")
        .map(|span| json!([span["name"], span["meta"].get("tool")]))
        .collect();
    let expected = [
        json!(["search", {"version": "v1"}]),
        json!(["bare", null]),
        json!(["unknown", null]),
        json!(["search", {"version": "v2"}]),
    ];
    assert_eq!(versions, expected);
}

/// As ddtrace 4.16 did for the same calls.
#[test]
fn cost_tags_are_keys_of_tags_that_are_there() {
    let sent = Client::start().sent_by(|| {
        let first = llm("both");
        let tags = Annotation::new()
            .tag("a", 1)
            .tag("b", 2)
            .cost_tags(["a", "nope", "a", "b", "env", "ml_app"]);
        refused(first.annotate(tags), "\"nope\"");
        first
            .annotate(Annotation::new().cost_tags(["b", "a"]))
            .unwrap();
        let task = Span::task("any kind").start();
        let own = json!({"spoof": 1});
        task.annotate(
            Annotation::new()
                .tag("a", 1)
                .cost_tags(["a"])
                .metadata("_dd", own),
        )
        .unwrap();
        let none = llm("none");
        refused(
            none.annotate(Annotation::new().cost_tags(["nope"])),
            "cost tag \"nope\"",
        );
        let late = llm("session");
        refused(
            late.annotate(Annotation::new().cost_tags(["session_id"])),
            "session_id",
        );
        late.annotate(
            Annotation::new()
                .tag("session_id", "s")
                .cost_tags(["session_id"]),
        )
        .unwrap();
    });
    let cost_tags = |name: &str| sent.span(name)["meta"]["metadata"].get("_dd").cloned();
    assert_eq!(
        cost_tags("both"),
        Some(json!({"cost_tags": ["a", "b", "env", "ml_app"]}))
    );
    assert_eq!(
        cost_tags("any kind"),
        Some(json!({"cost_tags": ["a"], "spoof": 1}))
    );
    assert_eq!(cost_tags("none"), None);
    assert_eq!(
        cost_tags("session"),
        Some(json!({"cost_tags": ["session_id"]}))
    );
}

/// As ddtrace 4.16 did for the same calls, save that there a wrong setting is dropped without a word.
#[test]
fn a_manifest_says_what_an_agent_is_made_of() {
    let sent = Client::start().sent_by(|| {
        let agent = |name: &str, manifest: AgentManifest| {
            let span = Span::agent(name).start();
            let result = span.annotate(Annotation::new().agent(manifest));
            (span, result)
        };
        let new = AgentManifest::new;
        agent("version alone", new().version("v1")).1.unwrap();
        agent("nothing", new()).1.unwrap();
        agent("instructions", new().instructions("x")).1.unwrap();
        let all = new()
            .version("v1")
            .name("n")
            .model("m")
            .model_setting("temperature", 0.5)
            .model_setting("weird", 1)
            .tool("t2", "d")
            .tool("bare", "")
            .tool("", "nameless");
        let (span, result) = agent("all", all);
        refused(result, "\"weird\"");
        let later = new().model("m2").model_setting("top_p", 1);
        span.annotate(Annotation::new().agent(later)).unwrap();
        let span = Span::agent("versions").version("own").start();
        let tag = Annotation::new()
            .agent(new().version("w"))
            .tag("agent_version", "tag");
        span.annotate(tag).unwrap();
        let task = Span::task("no agent").start();
        refused(
            task.annotate(Annotation::new().agent(new().version("v1"))),
            "agent manifest",
        );
    });
    let manifest = |name: &str| {
        sent.span(name)
            .pointer("/meta/metadata/_dd/agent_manifest")
            .cloned()
    };
    let version = |name: &str| sent.tag(name, "agent_version");
    assert_eq!(
        (manifest("version alone"), version("version alone")),
        (None, Some("v1"))
    );
    assert_eq!((manifest("nothing"), version("nothing")), (None, None));
    let instructions = json!({"framework": "manual", "name": "instructions", "instructions": "x"});
    assert_eq!(manifest("instructions"), Some(instructions));
    let all = json!({
        "framework": "manual", "name": "n", "model": "m2", "model_settings": {"top_p": 1},
        "tools": [{"name": "t2", "description": "d"}, {"name": "bare"}],
    });
    assert_eq!((manifest("all"), version("all")), (Some(all), Some("v1")));
    assert_eq!(
        version("versions"),
        Some("w"),
        "wins over a tag of the same name"
    );
    assert_eq!((manifest("no agent"), version("no agent")), (None, None));
}

#[test]
fn a_span_can_be_renamed_and_its_model_told_late() {
    let sent = Client::start().sent_by(|| {
        let agent = Span::agent("first").start();
        let _in = agent.enter();
        let call = Span::llm("call").model_provider("OpenAI").start();
        let late = Annotation::new()
            .model_name("gpt")
            .model_provider("Azure")
            .name("later")
            .name(None::<&str>);
        call.annotate(late).unwrap();
        call.annotate(Annotation::new().model_name("")).unwrap();
        drop(call);
        agent.annotate(Annotation::new().name("second")).unwrap();
        let task = Span::task("task").start();
        refused(
            task.annotate(Annotation::new().model_name("m").tag("kept", 1)),
            "model name",
        );
    });
    assert_eq!(sent.span("call")["meta"]["model_name"], "gpt");
    assert_eq!(sent.span("call")["meta"]["model_provider"], "azure");
    assert_eq!(
        sent.span("call")["meta"]["agent_attribution"]["pagent_name"],
        "second"
    );
    assert!(sent.spans.iter().any(|span| span["name"] == "second"));
    assert_eq!(sent.span("task")["meta"].get("model_name"), None);
    assert_eq!(sent.tag("task", "kept"), Some("1"));
}

#[test]
fn intent_links_usage_and_reasoning_are_sent() {
    let other: SpanContext = "6b02903500000000fd3aa7b191cc3984:42".parse().unwrap();
    let sent = Client::start().sent_by(|| {
        let tool = Span::tool("t").start();
        let annotation = Annotation::new()
            .intent("find the weather")
            .link(SpanLink::new(&other))
            .link(SpanLink::new(&other).ends(LinkEnd::Input, LinkEnd::Output));
        tool.annotate(annotation).unwrap();
        let call = llm("l");
        let usage = TokenUsage::new()
            .uncached_input(3)
            .cache_read(10)
            .cache_write(5)
            .output(7)
            .reasoning(2);
        let output = [Message::reasoning("hm"), Message::assistant("yes")];
        call.annotate(Annotation::new().usage(usage).output(output))
            .unwrap();
    });
    assert_eq!(sent.span("t")["meta"]["intent"], "find the weather");
    let link = |from: &str, to: &str| {
        json!({
            "span_id": "42", "trace_id": "6b02903500000000fd3aa7b191cc3984", "attributes": {"from": from, "to": to},
        })
    };
    let links = json!([link("output", "input"), link("input", "output")]);
    assert_eq!(sent.span("t")["span_links"], links);
    let metrics = json!({
        "input_tokens": 18, "output_tokens": 7, "total_tokens": 25, "cache_read_input_tokens": 10,
        "cache_write_input_tokens": 5, "reasoning_output_tokens": 2,
    });
    assert_eq!(sent.span("l")["metrics"], metrics);
    let output = &sent.span("l")["meta"]["output"]["messages"];
    assert_eq!(output[0], json!({"role": "reasoning", "content": "hm"}));
    assert_eq!(sent.span("l").get("span_links"), None);
}

/// A comma in a tag is the backend's to read: the list of tags has an entry for each.
#[test]
fn a_tag_goes_as_it_was_given() {
    let long = "x".repeat(300);
    let sent = Client::start().sent_by(|| {
        let span = Span::task("t").start();
        let tags = Annotation::new()
            .tag("list", "a,b,c")
            .tag("long", &long)
            .tag("colon", "a:b")
            .tag("empty", "")
            .tag("lines", "a\nb")
            .tag("Ümlaut key", "é");
        span.annotate(tags).unwrap();
    });
    let tags = sent.span("t")["tags"].as_array().unwrap();
    let long = format!("long:{long}");
    for tag in [
        "list:a,b,c",
        &long,
        "colon:a:b",
        "empty:",
        "lines:a\nb",
        "Ümlaut key:é",
    ] {
        assert!(tags.contains(&json!(tag)), "{tag}");
    }
}

#[test]
fn a_session_that_is_told_late_is_that_of_what_follows() {
    let sent = Client::start().sent_by(|| {
        let root = Span::workflow("root").start();
        let _in = root.enter();
        drop(Span::task("before").start());
        root.annotate(Annotation::new().tag("session_id", "late"))
            .unwrap();
        drop(Span::task("after").start());
        llmobs::submit_evaluation(&root, Evaluation::new("x", 1)).unwrap();
    });
    let session = |name: &str| sent.span(name)["session_id"].as_str();
    assert_eq!(
        (session("root"), session("before"), session("after")),
        (Some("late"), None, Some("late"))
    );
    assert_eq!(sent.tag("before", "session_id"), None);
}

#[test]
fn deep_schemas_become_text() {
    let deep = (0..20).fold(json!(1), |inner, _| json!({"k": inner}));
    let sent = Client::start().sent_by(|| {
        let tools = [ToolDefinition::new("deep").schema(deep)];
        llm("l")
            .annotate(Annotation::new().tool_definitions(tools))
            .unwrap();
    });
    let tools = &sent.span("l")["meta"]["tool_definitions"];
    // Ten levels below the schema, which stands at the third: a text from the twelfth on.
    let text = tools[0]["schema"].pointer("/k/k/k/k/k/k/k/k/k").unwrap();
    assert!(
        text.as_str()
            .is_some_and(|text| text.starts_with(r#"{"k":{"#)),
        "{text}"
    );
}

#[test]
fn an_empty_key_is_an_error_and_the_rest_is_applied() {
    let sent = Client::start().sent_by(|| {
        let span = Span::task("t").start();
        let annotate = |annotation: Annotation| span.annotate(annotation.tag("kept", 1));
        refused(
            annotate(Annotation::new().metric("", 3)),
            "a metric has an empty key (value 3)",
        );
        refused(
            annotate(Annotation::new().tag("", "x")),
            "a tag has an empty key (value \"x\")",
        );
        refused(
            annotate(Annotation::new().metadata("", true)),
            "an empty key (value true)",
        );
    });
    let span = sent.span("t");
    assert_eq!(sent.tag("t", "kept"), Some("1"));
    assert_eq!(sent.tag("t", ""), None);
    assert_eq!(
        (&span["metrics"], &span["meta"]["metadata"]),
        (&json!({}), &json!({}))
    );
}
