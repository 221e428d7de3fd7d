//! The quickstart, run as a newcomer runs it but with an Agent beside: what lapdog makes of it.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use llmobs_tests::intake::Reply;
use llmobs_tests::{Intake, tree};
use serde_json::{Value, json};

use crate::lapdog::{Lapdog, SPANS, Stored, spans};

const EVALUATIONS: &str = "/evp_proxy/v2/api/intake/llm-obs/v2/eval-metric";

fn run_quickstart(agent: &str, model: Option<&str>, questions: &[&str]) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let folder = std::env::temp_dir().join(format!(
        "llmobs-quickstart-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    ));
    let output = Command::new(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--package",
            "llmobs",
            "--example",
            "quickstart",
            "--",
        ])
        .args(questions)
        .env("DD_TRACE_AGENT_URL", agent)
        .env("LLMOBS_DIR", &folder)
        .env("OPENAI_BASE_URL", model.unwrap_or_default())
        .env("OPENAI_API_KEY", "key-of-the-model")
        .env("OPENAI_MODEL", "tiny")
        .env_remove("DD_API_KEY")
        .output()
        .expect("cargo runs");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    std::fs::remove_dir_all(folder).expect("the journal's folder");
    stdout
}

fn evaluations(stored: &[Stored]) -> Vec<Value> {
    let bodies = stored.iter().filter(|request| request.path == EVALUATIONS);
    bodies
        .flat_map(|request| {
            let metrics = &request.body["data"]["attributes"]["metrics"];
            metrics.as_array().expect("metrics")
        })
        .cloned()
        .collect()
}

#[test]
fn lapdog_reads_the_quickstart_as_it_was_sent() {
    let lapdog = Lapdog::start();
    let questions = [
        "How do I attach an evaluation to a span?",
        "What is redacted?",
    ];
    let printed = run_quickstart(lapdog.url(), None, &questions);

    let stored = lapdog.stored();
    for request in &stored {
        let subdomain = if request.path == SPANS {
            "llmobs-intake"
        } else {
            "api"
        };
        let headers = request.headers.as_object().expect("headers");
        let header = |name: &str| {
            let mut found = headers
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name));
            found
                .next()
                .map(|(_, value)| value.as_str().unwrap_or_default())
        };
        assert_eq!(
            header("x-datadog-evp-subdomain"),
            Some(subdomain),
            "{}",
            request.path
        );
        assert_eq!(header("content-type"), Some("application/json"));
    }

    let sent = spans(&stored);
    let expected = "workflow answer\n  retrieval search\n  llm generate\n  tool cite\n";
    let mut traces: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for span in &sent {
        let trace = span["trace_id"].as_str().expect("a trace id");
        traces.entry(trace).or_default().push(span.clone());
    }
    assert_eq!(traces.len(), questions.len(), "one trace for each question");

    for (trace_id, spans) in &traces {
        assert_eq!(tree(spans).trim_end(), expected.trim_end());
        let read = lapdog.trace(trace_id);
        for span in spans {
            let id = span["span_id"].as_str().expect("a span id");
            let seen = &read["spans"][id];
            assert_eq!(seen["name"], span["name"], "{id}");
            assert_eq!(seen["parent_id"], span["parent_id"], "{id}");
            assert_eq!(
                seen["meta"]["span"]["kind"], span["meta"]["span"]["kind"],
                "{id}"
            );
            for side in ["input", "output"] {
                assert_eq!(
                    seen["meta"][side], span["meta"][side],
                    "{side} of {}",
                    span["name"]
                );
            }
            for metric in ["input_tokens", "output_tokens", "total_tokens"] {
                let sent = span["metrics"][metric].as_f64();
                if sent.is_some() {
                    assert_eq!(seen["metrics"][metric].as_f64(), sent, "{metric}");
                }
            }
        }
        let root = read["root_id"].as_str().expect("a root");
        assert_eq!(read["spans"][root]["meta"]["span"]["kind"], "workflow");
    }

    // Kinds that lapdog does not make up: it takes what has none for an llm.
    for kind in ["workflow", "retrieval", "tool", "llm"] {
        let found = lapdog.list(&format!("@meta.span.kind:{kind}"));
        assert_eq!(found.len(), questions.len(), "{kind}");
    }
    for found in lapdog.list("@meta.span.kind:retrieval") {
        let documents = &found["event"]["custom"]["meta"]["output"]["documents"];
        let first = &documents[0];
        assert!(
            first["text"].is_string() && first["score"].is_number(),
            "{documents}"
        );
    }

    let evaluations = evaluations(&stored);
    assert_eq!(evaluations.len(), 4 * questions.len());
    for evaluation in &evaluations {
        let joined = &evaluation["join_on"]["span"];
        let of = |kind: &str| {
            sent.iter().any(|span| {
                span["span_id"] == joined["span_id"]
                    && span["trace_id"] == joined["trace_id"]
                    && span["meta"]["span"]["kind"] == kind
            })
        };
        match evaluation["label"].as_str() {
            Some("faithfulness") => assert!(of("llm") && evaluation["score_value"].is_number()),
            Some("relevance") => assert!(of("llm") && evaluation["categorical_value"].is_string()),
            Some("cited") => assert!(of("workflow") && evaluation["boolean_value"].is_boolean()),
            Some("coverage") => assert!(of("workflow") && evaluation["json_value"].is_object()),
            other => panic!("an evaluation {other:?} that the quickstart does not make"),
        }
    }
    assert!(printed.contains("journal: "), "{printed}");
}

#[test]
fn the_quickstart_asks_a_model_where_one_is_named() {
    let agent = Intake::start();
    let mut model = Intake::start();
    // What a model's server is asked is no event of ours.
    model.allow_violations();
    model.script(|_| {
        Reply::json(json!({
            "choices": [{"message": {"role": "assistant", "content": "It is counted by reason."}}],
            "usage": {"prompt_tokens": 321, "completion_tokens": 6, "total_tokens": 327},
        }))
    });
    let base_url = format!("{}/v1", model.url());
    let question = "What happens to what is dropped?";
    let printed = run_quickstart(agent.url(), Some(&base_url), &[question]);
    assert!(printed.contains("It is counted by reason."), "{printed}");

    let asked = &model.requests()[0];
    assert_eq!(asked.path, "/v1/chat/completions");
    assert_eq!(
        asked.header("authorization"),
        Some("Bearer key-of-the-model")
    );
    assert_eq!(asked.json()["model"], "tiny");
    assert_eq!(
        asked.json()["messages"][1],
        json!({"content": question, "role": "user"})
    );

    let spans = agent.spans();
    let is_llm = |span: &&Value| span["meta"]["span"]["kind"] == "llm";
    let llm = spans.iter().find(is_llm).expect("a span of the model");
    assert_eq!(llm["meta"]["model_name"], "tiny");
    assert_eq!(llm["meta"]["model_provider"], "openai");
    assert_eq!(llm["metrics"]["input_tokens"], 321);
    assert_eq!(llm["metrics"]["output_tokens"], 6);
    let output = &llm["meta"]["output"]["messages"][0]["content"];
    assert_eq!(output, "It is counted by reason.");
    for request in agent.requests() {
        assert!(!String::from_utf8_lossy(&request.body).contains("key-of-the-model"));
    }
}
