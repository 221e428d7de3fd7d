//! Questions about this repository, answered from its own Markdown files, and every step
//! of it observed: no account, no server, no network.
//!
//!     cargo run --example quickstart
//!     cargo run --example quickstart -- "What happens when the intake is down?"
//!
//! A workflow calls a retrieval, a model and a tool; what they did is evaluated, and the
//! evaluations are attached to the spans. Everything goes to a journal on disk, and
//! besides to a Datadog Agent (`DD_TRACE_AGENT_URL` or `DD_AGENT_HOST`) or to the intake
//! (`DD_API_KEY`) where one is configured. The model is any OpenAI-compatible endpoint
//! (`OPENAI_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_MODEL`), else a small answerer in this
//! example that copies sentences and says so.

mod journal;
mod library;
mod model;
mod words;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use library::{Library, Passage};
use llmobs::{
    Annotation, Assessment, Config, Destination, Document, Evaluation, EventKind, SpanContext,
    annotate, export_span, llm, submit_evaluation, tool, workflow,
};
use model::Model;
use serde_json::json;
use words::content_words;

const QUESTIONS: [&str; 3] = [
    "What is tried again when it fails?",
    "How many events may wait before the newest is dropped?",
    "Which arguments are captured as redacted?",
];

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
    let started = SystemTime::now();
    let dir = std::env::var_os("LLMOBS_DIR").map_or_else(|| ".llmobs".into(), PathBuf::from);
    let guard = config(&dir)?.enable()?;

    let library = Library::read(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let model = Model::from_env()?;
    let about = format!("{} passages of Markdown, model: {model}", library.len());
    println!("{}\n", wrapped(&about));

    let asked: Vec<String> = std::env::args().skip(1).collect();
    let questions = if asked.is_empty() {
        QUESTIONS.map(String::from).to_vec()
    } else {
        asked
    };
    for question in &questions {
        match answer(question, &library, &model) {
            Ok(answer) => println!("Q: {question}\n{}\n", wrapped(&format!("A: {answer}"))),
            // The span holds the error too.
            Err(error) => println!("Q: {question}\nno answer: {error}\n"),
        }
    }

    let client = guard.client().cloned();
    drop(guard); // sends what waits, and gives up after 5 s

    let files = journal::print(&dir, started)?;
    if let Some(client) = client {
        print_deliveries(&client.stats());
    }
    for file in files {
        println!("the journal of this run:\n  {}", file.display());
    }
    Ok(())
}

/// A text in the lines of a terminal that has 80 columns.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > 79 {
            lines.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

/// What each destination got, and what it did not get and why.
fn print_deliveries(stats: &llmobs::Stats) {
    let kinds = [
        ("spans", EventKind::Span),
        ("evaluations", EventKind::Evaluation),
    ];
    for destination in &stats.destinations {
        for (kinds, kind) in kinds {
            let counts = destination.counts(kind);
            println!(
                "{}: {} of {} {kinds} delivered",
                destination.name, counts.delivered, counts.made
            );
            for (reason, count) in &counts.dropped {
                println!("  {count} given up: {reason}");
            }
        }
    }
}

/// The journal, whatever the environment says, and what it names besides.
fn config(dir: &Path) -> Result<Config, llmobs::ConfigError> {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let switch = std::env::var("DD_LLMOBS_ENABLED").unwrap_or_default();
    if ["0", "false"].contains(&&*switch.to_ascii_lowercase()) {
        println!("DD_LLMOBS_ENABLED is off, and this example runs all the same");
    }
    let mut config = Config::from_env()?
        .enabled(true)
        .dir(dir)
        .destination(Destination::Journal);
    if !set("DD_LLMOBS_ML_APP") && !set("DD_SERVICE") {
        config = config.ml_app("quickstart");
    }
    if set("DD_TRACE_AGENT_URL") || set("DD_AGENT_HOST") {
        config = config.destination(Destination::Agent);
    } else if set("DD_API_KEY") {
        config = config.destination(Destination::Agentless);
    }
    Ok(config)
}

/// The whole way from a question to an answer that has been checked.
#[workflow(name = "answer", tags(topic = "documentation"), skip(library, model))]
fn answer(question: &str, library: &Library, model: &Model) -> Result<String, Box<dyn Error>> {
    let passages = search(question, library);
    let reply = generate(question, &passages, model)?;
    let sources = cite(&reply.text, &passages);
    evaluate(question, &reply, &passages, &sources);
    if sources.is_empty() {
        return Ok(reply.text);
    }
    Ok(format!("{} [{}]", reply.text, sources.join(", ")))
}

/// The passages that fit best, by BM25.
#[llmobs::retrieval(skip(library))]
fn search<'a>(question: &str, library: &'a Library) -> Vec<(f64, &'a Passage)> {
    let found = library.rank(question, 4);
    let documents: Vec<Document> = found
        .iter()
        .map(|(score, passage)| {
            Document::new(&passage.text)
                .name(&passage.file)
                .id(format!("{}:{}", passage.file, passage.line))
                .score(*score)
        })
        .collect();
    // An attribute on a retrieval captures no output by itself: the documents say more.
    annotate(None, Annotation::new().output(documents)).ok();
    found
}

struct Reply {
    text: String,
    /// For evaluations that are made after the call.
    span: Option<SpanContext>,
}

#[llm(
    model_name = model.name(),
    model_provider = model.provider(),
    output = |reply: &Reply| reply.text.as_str()
)]
fn generate(
    question: &str,
    passages: &[(f64, &Passage)],
    model: &Model,
) -> Result<Reply, Box<dyn Error>> {
    let messages = model::prompt(question, passages);
    annotate(
        None,
        Annotation::new()
            .input(messages.clone())
            .metadata("temperature", 0),
    )
    .ok();
    let completion = model.complete(question, passages, &messages)?;
    annotate(
        None,
        Annotation::new()
            .metric("input_tokens", completion.input_tokens)
            .metric("output_tokens", completion.output_tokens)
            .metric(
                "total_tokens",
                completion.input_tokens + completion.output_tokens,
            ),
    )
    .ok();
    Ok(Reply {
        text: completion.text,
        span: export_span(None),
    })
}

/// Where the sentences of the answer come from: `file:line` of each passage that holds one.
#[tool(skip(passages))]
fn cite(answer: &str, passages: &[(f64, &Passage)]) -> Vec<String> {
    let sentences = words::sentences(answer);
    let holds_one = |passage: &&(f64, &Passage)| {
        let words = content_words(&passage.1.text);
        sentences.iter().any(|sentence| {
            let sentence = content_words(sentence);
            !sentence.is_empty() && sentence.is_subset(&words)
        })
    };
    let sources = passages.iter().filter(holds_one);
    sources
        .map(|(_, passage)| format!("{}:{}", passage.file, passage.line))
        .collect()
}

/// What can be said about the answer without asking another model.
fn evaluate(question: &str, reply: &Reply, passages: &[(f64, &Passage)], sources: &[String]) {
    let answer = content_words(&reply.text);
    let read: words::Words = passages
        .iter()
        .flat_map(|(_, passage)| content_words(&passage.text))
        .collect();
    let supported = words::share(&answer, &read);
    let relevant = words::share(&content_words(question), &answer);

    let faithful = Evaluation::new("faithfulness", supported)
        .assessment(if supported >= 0.8 {
            Assessment::Pass
        } else {
            Assessment::Fail
        })
        .reasoning(format!(
            "{:.0} % of its words stand in the passages",
            supported * 100.0
        ))
        .tag("evaluator", "word-overlap");
    let verdict = match relevant {
        share if share >= 0.6 => "on topic",
        share if share >= 0.3 => "partly",
        _ => "off topic",
    };
    let of_the_answer = [faithful, Evaluation::new("relevance", verdict)];
    for evaluation in of_the_answer {
        submit_evaluation(&reply.span, evaluation).ok();
    }
    let of_the_whole = [
        Evaluation::new("cited", !sources.is_empty()),
        Evaluation::new(
            "coverage",
            json!({"passages": passages.len(), "cited": sources.len()}),
        ),
    ];
    for evaluation in of_the_whole {
        submit_evaluation(export_span(None), evaluation).ok();
    }
}
