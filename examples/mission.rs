//! The shortest program: one annotated function, one evaluation of what it did.
//!
//!     cargo run --example mission
//!
//! Without an Agent and without `DD_API_KEY`, both go to the journal.

use llmobs::{Evaluation, llm};

#[llm(
    model_name = "claude",
    name = "invoke_llm",
    model_provider = "anthropic"
)]
fn llm_call(prompt: &str) -> String {
    let completion = call_the_model(prompt);
    let span_context = llmobs::export_span(None);
    llmobs::submit_evaluation(span_context, Evaluation::new("sentiment", 10)).ok();
    completion
}

fn call_the_model(prompt: &str) -> String {
    format!("an answer to {prompt:?}")
}

fn main() -> Result<(), llmobs::ConfigError> {
    // Keep the guard: `let _ = …` would shut down at once.
    let guard = llmobs::enable()?;
    println!("{}", llm_call("How do you feel?"));
    drop(guard); // sends what waits, and gives up after 5 s

    for destination in llmobs::stats().destinations {
        let (spans, evaluations) = (destination.spans, destination.evaluations);
        println!("{}:", destination.name);
        println!("  {} of {} spans", spans.delivered, spans.made);
        println!(
            "  {} of {} evaluations",
            evaluations.delivered, evaluations.made
        );
    }
    Ok(())
}
