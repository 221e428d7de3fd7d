//! What no annotation may do: leave with less capture than it needs, tell megabytes in an error, or take without end.

use std::cell::Cell;
use std::fmt;
use std::sync::mpsc;

use llmobs::{
    AgentManifest, AnnotateError, Annotation, AnnotationContext, Capture, Config, Destination,
    Evaluation, EvaluationTarget, Memory, Prompt, Span, SpanContext, SpanLink, ToolDefinition,
    Verdict, task,
};
use serde_json::json;

use crate::client::Client;

/// Every text that an annotation takes beside input, output and metadata.
fn everything() -> [Annotation; 3] {
    let prompt = |side: &str| {
        Prompt::new(format!("full {side} id"))
            .template(format!("full {side} template {{{{v}}}}"))
            .variable("v", format!("full {side} variable"))
            .tag("team", format!("full {side} tag"))
            .context_variables([format!("full {side} key")])
    };
    let tool = ToolDefinition::new("metadata tool")
        .description("metadata description")
        .schema(json!({"metadata": "schema"}));
    let manifest = AgentManifest::new()
        .name("metadata agent")
        .instructions("full instructions")
        .model("metadata model")
        .model_setting("stop_sequences", "metadata setting")
        .tool("metadata agent tool", "metadata agent description");
    let link: SpanContext = "1:2".parse().unwrap();
    let llm = Annotation::new()
        .prompt(prompt("own"))
        .tool_definitions([tool])
        .intent("full intent")
        .link(SpanLink::new(&link));
    let agent = Annotation::new().agent(manifest).intent("full aim");
    [llm, agent, Annotation::new().prompt(prompt("inherited"))]
}

/// A word of each text says how much capture it needs.
#[test]
fn no_text_leaves_with_less_capture_than_it_needs() {
    for (capture, full, metadata) in [
        (Capture::Full, 14, 8),
        (Capture::Metadata, 0, 8),
        (Capture::None, 0, 0),
    ] {
        let sent = Client::configured(Config::new().capture(capture)).sent_by(|| {
            let [llm, agent, inherited] = everything();
            Span::llm("l").start().annotate(llm).unwrap();
            let workflow = Span::workflow("w").start();
            workflow.annotate(inherited.clone()).unwrap();
            let _in = workflow.enter();
            drop(Span::llm("child").start());
            Span::agent("a").start().annotate(agent).unwrap();
            // Nothing but what must not leave: then there is no manifest.
            let told = AgentManifest::new().instructions("full alone");
            let alone = Span::agent("alone").start();
            alone.annotate(Annotation::new().agent(told)).unwrap();
        });
        let text = json!(sent.spans).to_string();
        let found = (
            text.matches("full ").count(),
            text.matches("metadata ").count(),
        );
        let schema = usize::from(text.contains(r#"{"metadata":"schema"}"#));
        assert_eq!(found.1 + schema, metadata, "{capture:?} {text}");
        assert_eq!(found.0, full, "{capture:?} {text}");
        let manifest = sent.span("alone").pointer("/meta/metadata/_dd");
        assert_eq!(manifest.is_some(), capture == Capture::Full);
        assert_eq!(sent.span("l")["span_links"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn an_error_shows_the_beginning_of_what_was_wrong() {
    let long = "x".repeat(1_000_000);
    let agent = |manifest| Annotation::new().agent(manifest);
    let tools = |tool: ToolDefinition| Annotation::new().tool_definitions([tool]);
    let both = Prompt::new(long.clone())
        .template("t")
        .chat_message("u", "c");
    let wrong = [
        Annotation::new().prompt(both),
        Annotation::new().cost_tags([&long]),
        Annotation::new().metric(&*long, f64::NAN),
        agent(AgentManifest::new().model_setting(&*long, 1)),
        agent(AgentManifest::new().tool("", &*long)),
        tools(ToolDefinition::new("").description(&*long)),
        tools(ToolDefinition::new(&*long).schema(1)),
    ];
    let sent = Client::start().sent_by(|| {
        for (index, annotation) in wrong.into_iter().enumerate() {
            let span = match index {
                3 | 4 => Span::agent("a").start(),
                _ => Span::llm("l").start(),
            };
            let error = span.annotate(annotation.tag("applied", "yes")).unwrap_err();
            assert!(
                matches!(error, AnnotateError::InvalidValue { .. }),
                "{index}"
            );
            let told = error.to_string();
            assert!(told.len() < 600, "{index}: {} bytes", told.len());
            assert!(index == 2 || told.contains("xxx…"), "{told}");
        }
    });
    let applied = json!("applied:yes");
    for span in &sent.spans {
        assert!(
            span["tags"].as_array().unwrap().contains(&applied),
            "{span}"
        );
    }
}

#[test]
fn a_span_takes_so_many_links_and_is_sent_with_them() {
    let link = SpanLink::new(&"6b02903500000000fd3aa7b191cc3984:42".parse().unwrap());
    let many = |count| (0..count).fold(Annotation::new(), |links, _| links.link(link.clone()));
    let sent = Client::start().sent_by(|| {
        let span = Span::llm("l").start();
        span.annotate(many(9_000)).unwrap();
        let error = span.annotate(many(2_000).tag("kept", 1)).unwrap_err();
        assert!(error.to_string().contains("1000 are left out"), "{error}");
    });
    assert_eq!(
        sent.span("l")["span_links"].as_array().unwrap().len(),
        10_000
    );
    assert_eq!(sent.tag("l", "kept"), Some("1"));
}

/// What a child has from its parent is held to the limits as well, and nothing is lost uncounted.
#[test]
fn a_prompt_and_tools_without_end_are_cut_and_the_span_arrives() {
    let huge = "x".repeat(6_000_000);
    let sent = Client::start().sent_by(|| {
        let parent = Span::llm("parent").start();
        let prompt = Prompt::new("p").template("{{v}}").variable("v", &huge);
        assert_eq!(prompt.text().len(), 6_000_000, "a model is given all of it");
        let scope = AnnotationContext::new().prompt(prompt.clone());
        parent.annotate(Annotation::new().prompt(prompt)).unwrap();
        let _in = parent.enter();
        drop(Span::llm("child").start());
        scope.in_scope(|| drop(Span::llm("scoped").start()));
        let many = (0..200_000).map(|_| ToolDefinition::new("t").version("1"));
        let caller = Span::llm("caller").start();
        caller
            .annotate(Annotation::new().tool_definitions(many))
            .unwrap();
    });
    for name in ["parent", "child", "scoped"] {
        let span = sent.span(name);
        assert_eq!(span["collection_errors"], json!(["dropped_io"]), "{name}");
        let variable = &span["meta"]["input"]["prompt"]["variables"]["v"];
        assert!(
            variable.as_str().unwrap().contains(" bytes cut]…"),
            "{name}"
        );
    }
    let tools = sent.span("caller")["meta"]["tool_definitions"].as_array();
    let tools = tools.unwrap();
    assert_eq!(tools.len(), 100_001);
    assert_eq!(tools[100_000], json!({"name": "…[rest cut]"}));
}

/// What a user's `Display` may do.
enum Odd {
    Fails,
    Panics,
    HasNoEnd,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails => Err(fmt::Error),
            Self::Panics => panic!("the Display of a tag"),
            Self::HasNoEnd => loop {
                f.write_str("again and ")?;
            },
        }
    }
}

/// `to_string` panics where a `Display` fails, as that of a date with a wrong pattern does.
#[test]
fn a_display_that_fails_panics_or_has_no_end_harms_nobody() {
    let sent = Client::start().sent_by(|| {
        let scope = AnnotationContext::new().tag("scope", Odd::Panics);
        let _in = scope.enter();
        let span = Span::task("t").tag("start", Odd::Fails).start();
        let tags = Annotation::new().tag("later", Odd::Panics).tag("last", 1);
        span.annotate(tags).unwrap();
        let evaluation = Evaluation::new("x", 1).tag("e", Odd::Panics);
        llmobs::submit_evaluation(&span, evaluation).unwrap();
        // It comes back.
        drop(Annotation::new().tag("endless", Odd::HasNoEnd));
    });
    for key in ["scope", "start", "later"] {
        let told = sent.tag("t", key).unwrap();
        assert!(told.contains("Odd: its Display"), "{key}: {told}");
    }
    assert_eq!(sent.tag("t", "last"), Some("1"));
}

#[test]
fn a_display_that_fails_or_panics_harms_no_prompt_and_no_target_of_an_evaluation() {
    let prompt = Prompt::new("p").tag("t", Odd::Panics);
    drop(prompt.tag("u", Odd::Fails));
    drop(EvaluationTarget::tag("k", Odd::Fails));
    drop(EvaluationTarget::tag("k", Odd::Panics));
}

const MIB: usize = 1 << 20;

/// Goes on for much longer than anything of it is kept, unless it is stopped, and counts.
#[derive(Debug)]
struct Long;

thread_local! {
    static WRITTEN: Cell<usize> = const { Cell::new(0) };
}

impl fmt::Display for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let piece = "x".repeat(MIB / 16);
        for _ in 0..80 * 16 {
            f.write_str(&piece)?;
            WRITTEN.set(WRITTEN.get() + piece.len());
        }
        Ok(())
    }
}

/// An error of which each source is as long.
#[derive(Debug)]
struct LongError;

impl fmt::Display for LongError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Long.fmt(f)
    }
}

impl std::error::Error for LongError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&Self)
    }
}

#[task(tags(k = Long))]
fn tagged() {}

#[task]
fn fails_with_a_display() -> Result<(), Long> {
    Err(Long)
}

#[task]
fn fails_with_an_error() -> Result<(), LongError> {
    Err(LongError)
}

#[task]
fn fails_with_anyhow() -> anyhow::Result<()> {
    Err(LongError.into())
}

#[task]
fn fails_with_a_box() -> Result<(), Box<dyn std::error::Error>> {
    Err(LongError.into())
}

/// One without an end would take all memory, and never come back.
#[test]
fn a_display_is_stopped_wherever_it_is_given() {
    let told: [(&str, usize, fn()); 10] = [
        ("a tag of an attribute", 5 * MIB, tagged),
        ("a plain error", MIB, || drop(fails_with_a_display())),
        ("an error", MIB, || drop(fails_with_an_error())),
        ("anyhow", MIB, || drop(fails_with_anyhow())),
        ("an error in a box", MIB, || drop(fails_with_a_box())),
        ("a span that is ended with an error", MIB, || {
            Span::task("t")
                .start()
                .finish_with_error(&LongError)
                .unwrap();
        }),
        ("a tag", 5 * MIB, || drop(Annotation::new().tag("k", Long))),
        ("a tag of a prompt", 5 * MIB, || {
            drop(Prompt::new("p").tag("k", Long));
        }),
        ("a tag of an evaluation", 5 * MIB, || {
            drop(Evaluation::new("l", 1).tag("k", Long));
        }),
        ("the target of an evaluation", 5 * MIB, || {
            drop(EvaluationTarget::tag("k", Long));
        }),
    ];
    // Nobody has to send them.
    let config = Config::new().processor(|_| Verdict::Drop);
    let client = config.destination(Destination::Memory(Memory::new()));
    client.build().unwrap().scope(|| {
        for (what, most, tell) in told {
            tell();
            let written = WRITTEN.replace(0);
            assert!(written <= most, "{what}: {} MiB", written / MIB);
        }
    });
}

#[test]
fn a_tag_that_a_processor_sets_is_stopped_as_well() {
    let (told, tells) = mpsc::channel();
    let config = Config::new().ml_app("app").processor(move |span| {
        span.set_tag("k", Long);
        span.set_tag("odd", Odd::Fails);
        // Within what an event may have.
        span.remove_tag("k");
        told.send(WRITTEN.replace(0)).unwrap();
        Verdict::Keep
    });
    let sent = Client::configured(config).sent_by(|| drop(Span::task("t").start()));
    assert!(tells.recv().unwrap() <= 5 * MIB);
    assert!(sent.tag("t", "odd").unwrap().contains("Odd: its Display"));
}
