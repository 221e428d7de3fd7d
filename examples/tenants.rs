//! Several tenants in one process: each has its own key, site and application.
//!
//!     cargo run --example tenants
//!
//! A tenant whose key is in `<TENANT>_DD_API_KEY` (and its site in `<TENANT>_DD_SITE`) is
//! sent to Datadog's intake; one without is written to a journal of its own, in
//! `<LLMOBS_DIR>/<tenant>/journal`. A service takes them from where it keeps its secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use llmobs::prelude::*;
use llmobs::{
    Annotation, Config, ConfigError, Destination, Evaluation, LlmObs, llm, retrieval, workflow,
};

/// A client for each tenant, made once: a client has a thread and a queue of its own.
struct Tenants(BTreeMap<&'static str, LlmObs>);

impl Tenants {
    fn new(names: &[&'static str]) -> Result<Self, ConfigError> {
        let clients = names.iter().map(|&name| Ok((name, client(name)?)));
        Ok(Self(clients.collect::<Result<_, _>>()?))
    }

    /// One request, in the scope of the tenant that it is for. No code below knows of tenants.
    async fn serve(&self, tenant: &str, question: String) -> String {
        match self.0.get(tenant) {
            Some(client) => client.scope_future(answer(question)).await,
            None => answer(question).await, // the global client, if one is enabled
        }
    }
}

fn client(name: &str) -> Result<LlmObs, ConfigError> {
    let config = Config::new().ml_app(format!("{name}-chat"));
    let Some(key) = variable(name, "DD_API_KEY") else {
        let folder = std::env::var_os("LLMOBS_DIR").unwrap_or_else(|| ".llmobs".into());
        let config = config.destination(Destination::Journal);
        return config.dir(PathBuf::from(folder).join(name)).build();
    };
    let site = variable(name, "DD_SITE").unwrap_or_else(|| "datadoghq.com".into());
    // Each client has its own limits, too: one tenant's backlog takes nothing from another's.
    let config = config.api_key(key).site(site).max_bytes(16 << 20);
    config.destination(Destination::Agentless).build()
}

fn variable(tenant: &str, name: &str) -> Option<String> {
    let value = std::env::var(format!("{}_{name}", tenant.to_uppercase()));
    value.ok().filter(|value| !value.is_empty())
}

#[workflow]
async fn answer(question: String) -> String {
    // A task of its own takes the tenant along, with the span that is its parent.
    let passages = tokio::spawn(search(question.clone()).in_current_context());
    ask(&question, passages.await.unwrap_or_default()).await
}

#[retrieval]
async fn search(question: String) -> Vec<String> {
    tokio::task::yield_now().await;
    vec![format!("a passage on {question}")]
}

#[llm(model_name = "claude", model_provider = "anthropic")]
async fn ask(question: &str, passages: Vec<String>) -> String {
    tokio::task::yield_now().await; // the model thinks
    llmobs::annotate(None, Annotation::new().input(("user", question))).ok();
    let grounded = Evaluation::new("grounded", !passages.is_empty());
    llmobs::submit_evaluation(llmobs::export_span(None), grounded).ok();
    format!("{} says so", passages.join(", "))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tenants = Arc::new(Tenants::new(&["acme", "globex", "initech"])?);

    let requests = ["acme", "globex", "acme", "initech", "acme", "globex"];
    let serve = |(number, tenant)| {
        let tenants = Arc::clone(&tenants);
        let question = format!("question {number}");
        tokio::spawn(async move { tenants.serve(tenant, question).await })
    };
    for answered in requests
        .into_iter()
        .enumerate()
        .map(serve)
        .collect::<Vec<_>>()
    {
        answered.await?;
    }

    for (name, client) in &tenants.0 {
        // What one tenant's destination does not take in time holds up no other one.
        if let Err(error) = client.shutdown(Duration::from_secs(5)) {
            println!("{name}: {error}");
        }
        for place in client.stats().destinations {
            println!(
                "{name}: {} spans and {} evaluations to {}",
                place.spans.delivered, place.evaluations.delivered, place.name
            );
        }
    }
    Ok(())
}
