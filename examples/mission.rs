//! The shortest program: one annotated function, one evaluation of what it did.
//!
//!     cargo run --example mission
//!
//! Without an Agent and without `DD_API_KEY`, both go to the journal.

use std::time::Duration;

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _llmobs = llmobs::enable()?;
    println!("{}", llm_call("How do you feel?"));

    let report = llmobs::flush(Duration::from_secs(5))?;
    for destination in &report.stats.destinations {
        println!("delivered to {}", destination.name);
    }
    Ok(())
}
