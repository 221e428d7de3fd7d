//! An agent on tokio: async tools beside each other, a task and a blocking thread that
//! keep their place in the trace.
//!
//!     cargo run --example async_agent
//!
//! A span is current while its future is polled. What is handed to another task or
//! thread takes the context along where the code says so: `.in_current_context()` for a
//! future, `Context::current()` for a closure.
//!
//! The agent is asked twice. The second question fails on purpose: its span is an error.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use llmobs::prelude::*;
use llmobs::{
    Annotation, Assessment, Context, Evaluation, EventKind, Message, agent, llm, task, tool,
};

#[derive(Debug)]
struct Forecast {
    city: String,
    degrees: i32,
}

#[agent(name = "travel_agent", version = "2")]
async fn plan(cities: Vec<String>) -> Result<String, Box<dyn Error + Send + Sync>> {
    let [first, second] = cities.as_slice() else {
        return Err(format!("two cities are compared, not {}", cities.len()).into());
    };
    // Two tools at the same time, on this task: both are children of the agent.
    let (here, there) = tokio::join!(forecast(first), forecast(second));
    let forecasts = [here?, there?];

    // On another task: it keeps its parent because it says so.
    let audit = tokio::spawn(audit(forecasts.len()).in_current_context());

    // On a thread for blocking work.
    let context = Context::current();
    let best =
        tokio::task::spawn_blocking(move || context.in_scope(|| warmest(&forecasts))).await?;

    let answer = advise(&best).await;
    audit.await?;

    let helpful = Evaluation::new("mentions_the_city", answer.contains(&best))
        .assessment(Assessment::Pass)
        .tag("evaluator", "contains");
    llmobs::submit_evaluation(llmobs::export_span(None), helpful)?;
    Ok(answer)
}

#[tool(tags(source = "made up"))]
async fn forecast(city: &str) -> Result<Forecast, std::num::TryFromIntError> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(Forecast {
        city: city.to_owned(),
        degrees: i32::try_from(city.len())? * 3,
    })
}

#[task]
async fn audit(forecasts: usize) {
    tokio::time::sleep(Duration::from_millis(1)).await;
    llmobs::annotate(None, Annotation::new().metadata("forecasts", forecasts)).ok();
}

#[task]
fn warmest(forecasts: &[Forecast]) -> String {
    let warmest = forecasts.iter().max_by_key(|forecast| forecast.degrees);
    warmest.map_or_else(String::new, |forecast| forecast.city.clone())
}

#[llm(
    model_name = "template",
    model_provider = "example",
    metadata(temperature = 0)
)]
async fn advise(city: &str) -> String {
    tokio::time::sleep(Duration::from_millis(2)).await;
    let question = Message::user(format!("What do I wear in {city}?"));
    llmobs::annotate(None, Annotation::new().input(question)).ok();
    format!("Take light clothes to {city}.")
}

#[tokio::main]
async fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    println!("{}", plan(vec!["Oslo".into(), "Reykjavik".into()]).await?);
    if let Err(error) = plan(vec!["Oslo".into()]).await {
        println!("on purpose, an error in its span: {error}");
    }

    // The drop of the guard sends what waits too, but holds up the thread.
    if let Err(error) = llmobs::flush_async(Duration::from_secs(5)).await {
        println!("{error}");
    }
    for destination in &llmobs::stats().destinations {
        let spans = destination.counts(EventKind::Span);
        println!(
            "{}: {} of {} spans delivered",
            destination.name, spans.delivered, spans.made
        );
    }
    Ok(())
}

fn main() -> ExitCode {
    let config = llmobs::Config::from_env().map(|config| config.ml_app("async-agent"));
    // Outside of the runtime, so that tasks that end with the runtime are delivered as well.
    let _llmobs = match config.and_then(llmobs::Config::enable) {
        Ok(guard) => guard,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
