//! Imports the finished spans of another system: here, the log of a chat service.
//!
//! ```sh
//! cargo run --example import_past_spans                       # a sample
//! cargo run --example import_past_spans -- - < calls.jsonl    # a log of your own
//! ```
//!
//! A line of the log is
//! `{"chat": "c-1", "asked_ms": …, "took_ms": …, "model": …, "question": …, "answer": …,
//! "tokens": [in, out], "failed": …}`. The spans go where the environment says
//! (`DD_TRACE_AGENT_URL`, or `DD_API_KEY` and `DD_SITE`); where it says nothing, to the
//! journal on disk. Datadog takes spans that began within the last 24 hours.

use std::error::Error;
use std::io::Read;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use llmobs::{Config, Destination, PastSpan, RowResult, SpanKind, SpansClient, TokenUsage};
use serde_json::{Value, json};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let lines = match std::env::args().nth(1).as_deref() {
        None => {
            println!("a sample of three calls; the last is too old on purpose");
            sample()?
        }
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            let lines = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
            lines.collect::<Result<Vec<_>, _>>()?
        }
        Some(other) => return Err(format!("{other:?}: expected `-` for stdin, or nothing").into()),
    };

    let mut config = Config::from_env()?.dir(folder());
    if !is_configured() {
        config = config.destination(Destination::Journal);
    }
    let client = SpansClient::new(config)?;

    let spans: Vec<PastSpan> = lines.iter().flat_map(spans).collect();
    let results = client.submit(spans);
    for (row, result) in results.iter().enumerate() {
        println!("span {row}: {result}");
    }
    // What did not get through for no fault of its own may be submitted again: the ids make
    // it the same span.
    let again = results.iter().filter(|result| result.is_retriable());
    println!("{} to be submitted again", again.count());
    if !is_configured() && results.iter().any(RowResult::is_sent) {
        println!("sent to the journal in {}/journal", folder());
    }
    Ok(())
}

/// The two spans of a call: the chat's turn, and the model's call within it.
fn spans(call: &Value) -> [PastSpan; 2] {
    let text = |key: &str| call[key].as_str().unwrap_or_default();
    let millis = |key: &str| Duration::from_millis(call[key].as_u64().unwrap_or_default());
    let (start, took) = (UNIX_EPOCH + millis("asked_ms"), millis("took_ms"));
    let tokens = |place: usize| call["tokens"][place].as_u64().unwrap_or_default();

    let mut turn = PastSpan::new(SpanKind::Workflow, "turn", start, took)
        .ml_app("support-chat")
        .session_id(text("chat"))
        .input(text("question"))
        .tag("imported_from", "chat-log");
    let mut llm = PastSpan::new(SpanKind::Llm, "generate", start, took)
        .child_of(&turn)
        .model_name(text("model"))
        .input(("user", text("question")))
        .usage(TokenUsage::new().input(tokens(0)).output(tokens(1)));
    if let Some(failure) = call["failed"].as_str() {
        turn = turn.error("CallFailed", failure);
        llm = llm.error("CallFailed", failure);
    } else {
        turn = turn.output(text("answer"));
        llm = llm.output(("assistant", text("answer")));
    }
    [turn, llm]
}

fn sample() -> Result<Vec<Value>, Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let ago = |minutes: u64| {
        now.saturating_sub(Duration::from_secs(minutes * 60))
            .as_millis()
    };
    let call = |minutes, outcome: [(&str, Value); 2]| {
        let mut call = json!({
            "chat": "c-1", "asked_ms": u64::try_from(ago(minutes))?, "took_ms": 850,
            "model": "claude", "question": "Where is my parcel?",
        });
        for (key, value) in outcome {
            call[key] = value;
        }
        Ok::<Value, Box<dyn Error>>(call)
    };
    let answered = || [("answer", json!("In Oslo.")), ("tokens", json!([12, 4]))];
    Ok(vec![
        call(30, answered())?,
        call(
            20,
            [
                ("failed", json!("the model was overloaded")),
                ("tokens", json!([12, 0])),
            ],
        )?,
        call(25 * 60, answered())?,
    ])
}

/// Whether the environment names a place to send to.
fn is_configured() -> bool {
    let variables = [
        "DD_API_KEY",
        "DD_TRACE_AGENT_URL",
        "DD_AGENT_HOST",
        "DD_LLMOBS_AGENTLESS_ENABLED",
        "DD_LLMOBS_OVERRIDE_ORIGIN",
    ];
    variables
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn folder() -> String {
    let named = std::env::var("LLMOBS_DIR")
        .ok()
        .filter(|dir| !dir.is_empty());
    named.unwrap_or_else(|| ".llmobs".to_owned())
}
