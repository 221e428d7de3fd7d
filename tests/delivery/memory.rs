//! What waits counts against `max_bytes`, whatever it consists of.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use llmobs::{
    AgentManifest, Annotation, Config, Destination, Document, DropReason, Evaluation,
    EvaluationTarget, Feedback, FeedbackTarget, FeedbackValue, MediaPart, Memory, Message, Prompt,
    Span, SpanContext, SpanLink, Stats, Submitter, ToolCall, ToolDefinition, ToolResult, Verdict,
    submit_evaluation, submit_feedback,
};
use serde_json::{Map, Value, json};

use crate::{SOON, client};

/// What may wait.
const LIMIT: usize = 1 << 20;
const LONG: usize = LIMIT / 16;
/// So many would be twice the limit.
const MANY: usize = 2 * LIMIT / LONG;

/// A text that is long.
fn long() -> String {
    "x".repeat(LONG)
}

/// A short text that holds as much.
fn roomy() -> String {
    let mut text = String::with_capacity(LONG);
    text.push_str("short");
    text
}

/// What became of all that was made while the worker was busy with another span.
fn while_busy(make: impl Fn()) -> Stats {
    let (busy, is_busy) = mpsc::channel();
    let (go_on, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let memory = Destination::Memory(Memory::new());
    let config = Config::new().destination(memory).max_bytes(LIMIT);
    let client = client(config.processor(move |_| {
        let _ = busy.send(());
        let _ = waits.lock().unwrap().recv();
        Verdict::Drop
    }));
    client.scope(|| {
        drop(Span::task("first").start());
        is_busy.recv_timeout(SOON).unwrap();
        (0..MANY).for_each(|_| make());
    });
    let stats = client.stats();
    drop(go_on);
    let _ = client.shutdown(Duration::from_secs(1));
    stats
}

/// Each case, `MANY` times, is more than may wait: half of them are dropped at least.
#[track_caller]
fn each_counts(cases: &[(&'static str, &dyn Fn())]) {
    let half = u64::try_from(MANY / 2).unwrap();
    let counts_too_little = |(what, make): &(&'static str, &dyn Fn())| {
        let stats = while_busy(make);
        let all = [stats.spans(), stats.evaluations(), stats.feedback()];
        let dropped = all.iter().flat_map(|counts| &counts.dropped);
        let dropped: Vec<_> = dropped.copied().collect();
        let enough = matches!(*dropped, [(DropReason::MemoryFull, count)] if count >= half);
        (!enough).then_some((*what, dropped))
    };
    let too_little: Vec<_> = cases.iter().filter_map(counts_too_little).collect();
    assert!(too_little.is_empty(), "of {MANY}: {too_little:?}");
}

/// What a span is annotated with.
fn with(span: Span, annotation: Annotation) {
    span.annotate(annotation).unwrap();
}

fn says(message: Message) {
    with(Span::llm("s").start(), Annotation::new().output([message]));
}

fn finds(document: Document) {
    let annotation = Annotation::new().output(vec![document]);
    with(Span::retrieval("s").start(), annotation);
}

fn prompted(prompt: Prompt) {
    with(Span::llm("s").start(), Annotation::new().prompt(prompt));
}

fn offered(tool: ToolDefinition) {
    let annotation = Annotation::new().tool_definitions([tool]);
    with(Span::llm("s").start(), annotation);
}

fn made_of(agent: AgentManifest) {
    with(Span::agent("s").start(), Annotation::new().agent(agent));
}

fn task(annotation: Annotation) {
    with(Span::task("s").start(), annotation);
}

#[derive(Debug)]
struct LongError;

impl fmt::Display for LongError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&long())
    }
}

impl Error for LongError {}

#[test]
fn every_text_of_a_span_counts_while_it_waits() {
    each_counts(&[
        ("name", &|| drop(Span::task(long()).start())),
        ("later name", &|| task(Annotation::new().name(long()))),
        ("model", &|| {
            drop(Span::llm("s").model_name(long()).start());
        }),
        ("provider", &|| {
            drop(Span::llm("s").model_provider(long()).start());
        }),
        ("session", &|| {
            drop(Span::task("s").session_id(long()).start());
        }),
        ("ml_app", &|| drop(Span::task("s").ml_app(long()).start())),
        ("agent's service", &|| {
            drop(Span::task("s").agent_service(long()).start());
        }),
        ("agent's version", &|| {
            drop(Span::agent("s").version(long()).start());
        }),
        ("tag", &|| drop(Span::task("s").tag("k", long()).start())),
        ("tag's key", &|| {
            drop(Span::task("s").tag(long(), "v").start());
        }),
        ("metadata", &|| {
            task(Annotation::new().metadata("k", long()));
        }),
        ("metadata's key", &|| {
            task(Annotation::new().metadata(long(), 1));
        }),
        ("metric's key", &|| {
            task(Annotation::new().metric(long(), 1))
        }),
        ("error", &|| {
            let span = Span::task("s").start();
            span.finish_with_error(&LongError).unwrap();
        }),
        ("intent", &|| task(Annotation::new().intent(long()))),
        ("link", &|| {
            let other = SpanContext::new("1", long()).unwrap();
            task(Annotation::new().link(SpanLink::new(&other)));
        }),
        ("text", &|| task(Annotation::new().input(long()))),
        ("JSON", &|| task(Annotation::new().input(json!([long()])))),
        ("key of JSON", &|| {
            let map = Map::from_iter([(long(), Value::Null)]);
            task(Annotation::new().output(Value::Object(map)));
        }),
    ]);
}

#[test]
fn every_text_of_what_a_model_hears_and_says_counts_while_it_waits() {
    let call = || ToolCall::new("f", json!({}));
    let called = |call: ToolCall| says(Message::user("").tool_call(call));
    let gave = |result: ToolResult| says(Message::user("").tool_result(result));
    let showed = |part: MediaPart| says(Message::user("").image(part));
    each_counts(&[
        ("content", &|| says(Message::user(long()))),
        ("role", &|| says(Message::new(long(), ""))),
        ("call's name", &|| called(ToolCall::new(long(), json!({})))),
        ("arguments", &|| {
            called(ToolCall::new("f", json!({"k": long()})));
        }),
        ("call's id", &|| called(call().tool_id(long()))),
        ("call's kind", &|| called(call().kind(long()))),
        ("result", &|| gave(ToolResult::new(long()))),
        ("result's name", &|| gave(ToolResult::new("").name(long()))),
        ("result's id", &|| gave(ToolResult::new("").tool_id(long()))),
        ("result's kind", &|| gave(ToolResult::new("").kind(long()))),
        ("media", &|| showed(MediaPart::base64("image/png", long()))),
        ("attachment", &|| {
            showed(MediaPart::attachment("image/png", long()));
        }),
        ("MIME type", &|| showed(MediaPart::base64(long(), "aa"))),
        ("MIME type of audio", &|| {
            says(Message::user("").audio(MediaPart::base64(long(), "aa")));
        }),
        ("document", &|| finds(Document::new(long()))),
        ("document's name", &|| finds(Document::new("").name(long()))),
        ("document's id", &|| finds(Document::new("").id(long()))),
        ("prompt's id", &|| prompted(Prompt::new(long()))),
        ("template", &|| prompted(Prompt::new("p").template(long()))),
        ("chat template", &|| {
            prompted(Prompt::new("p").chat_message(long(), ""));
        }),
        ("placeholder", &|| {
            prompted(Prompt::new("p").chat_placeholder(long()));
        }),
        ("variable", &|| {
            prompted(Prompt::new("p").variable("v", long()));
        }),
        ("names of variables", &|| {
            prompted(Prompt::new("p").query_variables([long()]));
        }),
        ("tool's name", &|| offered(ToolDefinition::new(long()))),
        ("tool's description", &|| {
            offered(ToolDefinition::new("t").description(long()));
        }),
        ("schema", &|| {
            offered(ToolDefinition::new("t").schema(json!({"k": long()})));
        }),
        ("tool's version", &|| {
            offered(ToolDefinition::new("t").version(long()));
        }),
        ("instructions", &|| {
            made_of(AgentManifest::new().instructions(long()));
        }),
        ("agent's model", &|| {
            made_of(AgentManifest::new().model(long()))
        }),
        ("agent's setting", &|| {
            made_of(AgentManifest::new().model_setting("top_k", long()));
        }),
        ("agent's tool", &|| {
            made_of(AgentManifest::new().tool(long(), ""))
        }),
    ]);
}

#[test]
fn every_text_that_is_said_of_a_span_counts_while_it_waits() {
    let judged =
        |evaluation| submit_evaluation(EvaluationTarget::span("1", "2"), evaluation).unwrap();
    let felt = |feedback| submit_feedback(FeedbackTarget::session_id("1"), feedback).unwrap();
    let good = || Evaluation::new("good", true);
    let nice = || Feedback::new("nice", true, "u");
    each_counts(&[
        ("category", &|| judged(Evaluation::new("l", long()))),
        ("JSON", &|| {
            judged(Evaluation::new("l", json!({"k": long()})))
        }),
        ("reasoning", &|| judged(good().reasoning(long()))),
        ("ml_app", &|| judged(good().ml_app(long()))),
        ("tag", &|| judged(good().tag("k", long()))),
        ("metadata", &|| judged(good().metadata("k", long()))),
        ("span's id", &|| {
            submit_evaluation(EvaluationTarget::span(long(), "2"), good()).unwrap();
        }),
        ("tag of a span", &|| {
            submit_evaluation(EvaluationTarget::tag(long(), 1), good()).unwrap();
        }),
        ("value of a tag of a span", &|| {
            submit_evaluation(EvaluationTarget::tag("k", long()), good()).unwrap();
        }),
        ("feedback's category", &|| {
            felt(Feedback::new("l", long(), "u"))
        }),
        ("feedback's text", &|| {
            felt(Feedback::new("l", FeedbackValue::text(long()), "u"));
        }),
        ("feedback's reasoning", &|| felt(nice().reasoning(long()))),
        ("feedback's ml_app", &|| felt(nice().ml_app(long()))),
        ("feedback's tag", &|| felt(nice().tag("k", long()))),
        ("submitter", &|| felt(Feedback::new("l", true, long()))),
        ("submitter's type", &|| {
            felt(Feedback::new(
                "l",
                true,
                Submitter::new("u").of_type(long()),
            ));
        }),
        ("subject", &|| {
            submit_feedback(FeedbackTarget::join_key(long()), nice()).unwrap();
        }),
    ]);
}

#[test]
fn room_that_a_text_or_a_list_has_and_does_not_use_counts_as_well() {
    each_counts(&[
        ("content", &|| says(Message::user(roomy()))),
        ("role", &|| says(Message::new(roomy(), ""))),
        ("document", &|| finds(Document::new(roomy()))),
        ("text", &|| task(Annotation::new().input(roomy()))),
        ("JSON", &|| {
            let list = vec![Value::from(roomy())];
            task(Annotation::new().input(Value::from(list)));
        }),
        ("metadata", &|| {
            task(Annotation::new().metadata("k", roomy()));
        }),
        ("calls", &|| {
            let mut message = Message::user("");
            message
                .tool_calls_mut()
                .reserve(LONG / size_of::<ToolCall>());
            says(message);
        }),
        ("value", &|| {
            let evaluation = Evaluation::new("l", roomy());
            submit_evaluation(EvaluationTarget::span("1", "2"), evaluation).unwrap();
        }),
        ("subject", &|| {
            submit_feedback(
                FeedbackTarget::join_key(roomy()),
                Feedback::new("l", 1, "u"),
            )
            .unwrap();
        }),
    ]);
}

#[test]
fn values_without_a_text_count_by_their_number() {
    let values = LONG / size_of::<Value>();
    let list = Value::from(vec![Value::Null; values]);
    let keys = (0..LONG / size_of::<(String, Value)>()).map(|key| (key.to_string(), Value::Null));
    let map = Value::Object(keys.collect());
    each_counts(&[
        ("list", &|| task(Annotation::new().input(list.clone()))),
        ("map", &|| task(Annotation::new().input(map.clone()))),
        ("maps", &|| {
            // Each has room for eleven.
            let one = Value::Object(Map::from_iter([("k".to_owned(), Value::Null)]));
            let list = vec![one; LONG / size_of::<(String, Value)>() / 11];
            task(Annotation::new().input(Value::from(list)));
        }),
        ("messages", &|| {
            let messages = vec![Message::user(""); LONG / size_of::<Message>()];
            with(Span::llm("s").start(), Annotation::new().input(messages));
        }),
    ]);
}
