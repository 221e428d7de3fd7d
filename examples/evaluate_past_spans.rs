//! Evaluates spans that ended long ago, perhaps in another process.
//!
//! ```sh
//! cargo run --example evaluate_past_spans                    # a sample
//! cargo run --example evaluate_past_spans -- - < rows.jsonl  # rows of the Evaluations API
//! ```
//!
//! Rows come as JSON lines, as an array, or as a whole request body. They go where the
//! environment says (`DD_TRACE_AGENT_URL`, or `DD_API_KEY` and `DD_SITE`); where it says
//! nothing, to the journal on disk.

use std::error::Error;
use std::io::Read;
use std::process::ExitCode;

use llmobs::{Config, Destination, EvaluationsClient, RowResult};
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
    let body = match std::env::args().nth(1).as_deref() {
        None => {
            println!("a sample of three rows; row 2 is wrong on purpose");
            sample()
        }
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            body(&text)?
        }
        Some(other) => return Err(format!("{other:?}: expected `-` for stdin, or nothing").into()),
    };

    let mut config = Config::from_env()?.dir(folder());
    if !is_configured() {
        config = config.destination(Destination::Journal);
    }
    let client = EvaluationsClient::new(config)?;

    let results = client.submit_json(body)?;
    for (row, result) in results.iter().enumerate() {
        println!("row {row}: {result}");
    }
    if !is_configured() && results.iter().any(RowResult::is_sent) {
        println!("sent to the journal in {}/journal", folder());
    }
    Ok(())
}

/// One value is a body as it is, unless it is a single row; several are rows.
fn body(text: &str) -> Result<Value, serde_json::Error> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut values = values.collect::<Result<Vec<_>, _>>()?;
    let is_row = |value: &Value| value.get("label").is_some();
    Ok(match values.as_slice() {
        [one] if !is_row(one) => values.remove(0),
        _ => Value::Array(values),
    })
}

/// Both versions of the API's rows, and one whose value does not fit its type.
fn sample() -> Value {
    json!({"data": {"type": "evaluation_metric", "attributes": {
        "metrics": [
            {
                "join_on": {"tag": {"key": "msg_id", "value": "1123132"}},
                "ml_app": "weather-bot", "label": "helpful", "metric_type": "boolean", "boolean_value": true,
                "assessment": "pass", "reasoning": "the user said thanks",
            },
            {
                "span_id": "61399242116139924211", "trace_id": "13932955089405749200",
                "ml_app": "weather-bot", "label": "Sentiment", "metric_type": "categorical",
                "categorical_value": "Positive", "timestamp": 1_609_459_200,
            },
            {
                "span_id": "20245611112024561111", "trace_id": "13932955089405749200",
                "ml_app": "weather-bot", "label": "Accuracy", "metric_type": "score", "score_value": "three",
            },
        ],
        "tags": ["evaluator:sample"],
    }}})
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
