//! Prompts, the tools that a model was offered, what an agent is made of, and annotations for all spans of a scope.

use llmobs::{
    AgentManifest, AnnotateError, Annotation, AnnotationContext, Prompt, Span, SpanBuilder,
    ToolDefinition, kinds,
};
use llmobs_tests::Exemptions;
use serde_json::json;

use crate::twin::Twin;

fn llm(name: &str) -> SpanBuilder<kinds::Llm> {
    Span::llm(name).model_name("m")
}

#[test]
fn twin_09_prompt() {
    let twin = Twin::start("09-prompt");
    let with_prompt = |name: &str, prompt: Prompt| {
        let span = llm(name).start();
        span.annotate(Annotation::new().prompt(prompt))
    };
    twin.run(|| {
        let full = Prompt::new("greet")
            .version("1.0.0")
            .label("production")
            .template("Hi {{name}} {{context}}")
            .variable("name", "Bob")
            .variable("context", "c")
            .tag("team", "x")
            .context_variables(["context"])
            .query_variables(["name"]);
        let span = llm("p_full").start();
        span.annotate(Annotation::new().input("Hi Bob").prompt(full))
            .unwrap();
        drop(span);
        let chat = Prompt::new("chat")
            .chat_message("system", "You {{x}}")
            .chat_placeholder("history")
            .chat_message("user", "{{q}}")
            .variable("x", "y");
        with_prompt("p_chat", chat).unwrap();
        with_prompt("p_vars", Prompt::default().variable("a", "b")).unwrap();
        with_prompt("p_empty", Prompt::default()).unwrap();
        let task = Span::task("p_task").start();
        task.annotate(Annotation::new().prompt(Prompt::new("t").template("x")))
            .unwrap();
        drop(task);
        {
            let _in = Span::workflow("p_parent").start().enter();
            let inherited = Annotation::new().prompt(Prompt::new("inh").template("t"));
            llmobs::annotate(None, inherited).unwrap();
            drop(llm("p_child").start());
        }
        let both = Prompt::new("b").template("t").chat_message("user", "u");
        let error = with_prompt("p_bad", both).unwrap_err();
        let named =
            matches!(&error, AnnotateError::InvalidValue { reason } if reason.contains("\"b\""));
        assert!(named, "{error}");
        // Variables of the wrong type are no variables.
        drop(llm("p_badvars").start());
    });
    // ddtrace loses the whole prompt; ours loses its template.
    let messages = json!({"prompt": {
        "_dd_context_variable_keys": ["context"],
        "_dd_query_variable_keys": ["question"],
        "chat_template": [{"role": "user", "content": "u"}],
        "id": "b",
        "ml_app": "golden-app",
    }});
    let method = "prompt_tracking_instrumentation_method:annotated";
    let exemptions = Exemptions::none()
        .expect("p_bad", "/meta/input", messages)
        .expect_tags("p_bad", &[method], &[]);
    twin.assert_equal(&exemptions);
}

#[test]
fn twin_11_tool_definitions() {
    let twin = Twin::start("11-tool-definitions");
    twin.run(|| {
        {
            let _in = llm("caller").start().enter();
            let weather = ToolDefinition::new("get_weather")
                .description("d")
                .version("v2")
                .schema(json!({
                    "type": "object",
                    "properties": {"city": {"type": "string"}},
                    "required": ["city"],
                }));
            let tools = [
                weather,
                ToolDefinition::new("bare"),
                ToolDefinition::new("").description("no name"),
                ToolDefinition::new("badschema").schema("nope"),
            ];
            let error = llmobs::annotate(None, Annotation::new().tool_definitions(tools));
            let told = error.unwrap_err().to_string();
            assert!(told.contains("\"no name\""), "{told}");
            drop(Span::tool("get_weather").start());
        }
        let nope = Span::task("nope").start();
        let tools = Annotation::new().tool_definitions([ToolDefinition::new("x")]);
        let error = nope.annotate(tools).unwrap_err();
        assert!(matches!(
            error,
            AnnotateError::WrongKind {
                field: "tool definitions",
                ..
            }
        ));
    });
    twin.assert_equal(&Exemptions::none());
}

#[test]
fn twin_15_annotation_context() {
    let twin = Twin::start("15-annotation-context");
    twin.run(|| {
        let prompt = Prompt::new("ctxp")
            .version("2")
            .template("T {{v}}")
            .variable("v", "1");
        let outer = AnnotationContext::new()
            .tag("ctx", "outer")
            .tag("shared", "o")
            .prompt(prompt)
            .name("renamed");
        {
            let _annotations = outer.enter();
            let _workflow = Span::workflow("w").start().enter();
            let span = llm("l").start();
            span.annotate(Annotation::new().tag("own", 1)).unwrap();
            drop(span);
            let inner = AnnotationContext::new()
                .tag("shared", "inner")
                .name("inner_name");
            inner.in_scope(|| drop(Span::task("t").start()));
            drop(Span::task("t2").start());
        }
        drop(Span::task("clean").start());
        {
            let _workflow = Span::workflow("w2").start().enter();
            let late = AnnotationContext::new().tag("late", 1);
            late.in_scope(|| drop(Span::tool("tl").start()));
            drop(Span::tool("tl2").start());
        }
        let _agent = Span::agent("declared").start().enter();
        let manifest = AgentManifest::new()
            .version("v7")
            .instructions("be nice")
            .model("gpt");
        llmobs::annotate(None, Annotation::new().agent(manifest)).unwrap();
        drop(Span::task("under").start());
    });
    twin.assert_equal(&Exemptions::none());
}
