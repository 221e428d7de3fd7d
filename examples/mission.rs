//! The shortest program: one annotated function, one evaluation of what it did.
//!
//!     cargo run --example mission
//!
//! Without an Agent and without `DD_API_KEY`, both go to the journal.

use llmobs::{Annotation, Evaluation, EventKind, Stats, llm};

#[llm(
    model_name = "claude",
    name = "invoke_llm",
    model_provider = "anthropic"
)]
fn llm_call(prompt: &str) -> String {
    llmobs::annotate(None, Annotation::new().input(("user", prompt))).ok();
    let completion = call_the_model(prompt);
    let span_context = llmobs::export_span(None);
    llmobs::submit_evaluation(span_context, Evaluation::new("sentiment", 10)).ok();
    completion
}

fn call_the_model(prompt: &str) -> String {
    format!("an answer to {prompt:?}")
}

fn main() {
    // Keep the guard: `let _ = …` would shut down at once.
    let guard = llmobs::enable().unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
    println!("{}", llm_call("How do you feel?"));

    let client = guard.client().cloned();
    drop(guard); // sends what waits, and gives up after 5 s
    let stats = client.map_or_else(Stats::default, |client| client.stats());
    for destination in &stats.destinations {
        let span = destination.counts(EventKind::Span).delivered;
        let evaluation = destination.counts(EventKind::Evaluation).delivered;
        println!("{}: {span} span, {evaluation} evaluation", destination.name);
    }
}
