//! The model: an OpenAI-compatible endpoint, or a stand-in that copies sentences.

use std::error::Error;
use std::fmt;

use llmobs::Message;
use serde_json::{Value, json};

use crate::library::Passage;
use crate::words::{content_words, sentences, share, words};

pub(crate) enum Model {
    /// No model at all: it gives the sentences of the passages that share most words with
    /// the question. Its tokens are words.
    Extractive,
    OpenAi {
        http: reqwest::Client,
        runtime: tokio::runtime::Runtime,
        base_url: String,
        key: Option<String>,
        model: String,
    },
}

pub(crate) struct Completion {
    pub(crate) text: String,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl Model {
    pub(crate) fn from_env() -> Result<Self, Box<dyn Error>> {
        let var = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(base_url) = var("OPENAI_BASE_URL") else {
            return Ok(Self::Extractive);
        };
        // Another part of the program may have chosen a provider before us.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self::OpenAi {
            http: reqwest::Client::new(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            base_url: base_url.trim_end_matches('/').to_owned(),
            key: var("OPENAI_API_KEY"),
            model: var("OPENAI_MODEL").unwrap_or_else(|| "gpt-4o-mini".to_owned()),
        })
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Extractive => "extractive",
            Self::OpenAi { model, .. } => model,
        }
    }

    pub(crate) fn provider(&self) -> &'static str {
        match self {
            Self::Extractive => "quickstart",
            Self::OpenAi { .. } => "openai",
        }
    }

    pub(crate) fn complete(
        &self,
        question: &str,
        passages: &[(f64, &Passage)],
        messages: &[Message],
    ) -> Result<Completion, Box<dyn Error>> {
        match self {
            Self::Extractive => Ok(extract(question, passages, messages)),
            Self::OpenAi { runtime, .. } => runtime.block_on(self.ask(messages)),
        }
    }

    async fn ask(&self, messages: &[Message]) -> Result<Completion, Box<dyn Error>> {
        let Self::OpenAi {
            http,
            base_url,
            key,
            model,
            ..
        } = self
        else {
            return Err("this model has no endpoint".into());
        };
        let body = json!({"model": model, "messages": messages, "temperature": 0});
        let mut request = http
            .post(format!("{base_url}/chat/completions"))
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            return Err(format!("{base_url} answered {status}: {text}").into());
        }
        let reply: Value = serde_json::from_str(&text)?;
        let content = reply["choices"][0]["message"]["content"].as_str();
        Ok(Completion {
            text: content.ok_or("the reply holds no message")?.to_owned(),
            input_tokens: reply["usage"]["prompt_tokens"].as_u64().unwrap_or_default(),
            output_tokens: reply["usage"]["completion_tokens"]
                .as_u64()
                .unwrap_or_default(),
        })
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extractive => f.write_str(
                "none (OPENAI_BASE_URL is not set: answers are sentences copied from the passages)",
            ),
            Self::OpenAi {
                model, base_url, ..
            } => write!(f, "{model} at {base_url}"),
        }
    }
}

pub(crate) fn prompt(question: &str, passages: &[(f64, &Passage)]) -> Vec<Message> {
    let texts: Vec<&str> = passages.iter().map(|(_, passage)| &*passage.text).collect();
    vec![
        Message::system(format!(
            "Answer in two sentences, from these passages only:\n\n{}",
            texts.join("\n\n")
        )),
        Message::user(question),
    ]
}

/// The sentence that shares most words with the question, and the next best where it is
/// nearly as good, in the order of the text.
fn extract(question: &str, passages: &[(f64, &Passage)], messages: &[Message]) -> Completion {
    let asked = content_words(question);
    let all = passages
        .iter()
        .flat_map(|(_, passage)| sentences(&passage.text));
    let mut scored: Vec<(usize, f64, String)> = all
        .enumerate()
        .map(|(place, sentence)| (place, share(&asked, &content_words(&sentence)), sentence))
        .filter(|(_, score, _)| *score > 0.0)
        .collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    let enough = scored.first().map_or(0.0, |best| best.1 * 0.7);
    scored.retain(|(_, score, _)| *score >= enough);
    scored.truncate(2);
    scored.sort_by_key(|(place, ..)| *place);
    let chosen: Vec<String> = scored.into_iter().map(|(.., sentence)| sentence).collect();
    let text = if chosen.is_empty() {
        "The passages say nothing about that.".to_owned()
    } else {
        chosen.join(" ")
    };
    let count = |text: &str| u64::try_from(words(text).count()).unwrap_or(u64::MAX);
    Completion {
        input_tokens: messages
            .iter()
            .map(|message| count(message.content()))
            .sum(),
        output_tokens: count(&text),
        text,
    }
}
