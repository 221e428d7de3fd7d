//! What an agent is made of: the manifest of an `agent` span.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::capture;
use crate::text::{IntoText, Text};

/// The settings of a model that a manifest may have (as in ddtrace).
const MODEL_SETTINGS: [&str; 14] = [
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "parallel_tool_calls",
    "presence_penalty",
    "seed",
    "stop_sequences",
    "temperature",
    "timeout",
    "tool_choice",
    "top_k",
    "top_logprobs",
    "top_p",
];

/// What an agent is made of, for [`Annotation::agent`](crate::Annotation::agent).
///
/// A version becomes the tag `agent_version`; the rest becomes the manifest that LLM
/// Observability shows of the agent (golden 15; `meta.metadata._dd.agent_manifest`). A
/// version alone makes no manifest. Several annotations of a span add up, field by field.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{AgentManifest, Annotation};
///
/// let planner = AgentManifest::new()
///     .version("v7")
///     .instructions("Plan trips. Ask before you book.")
///     .model("claude")
///     .model_setting("temperature", 0.2)
///     .tool("search_flights", "Finds flights between two cities");
/// let annotation = Annotation::new().agent(planner);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a manifest does nothing until it is given to an annotation"]
pub struct AgentManifest {
    pub(crate) version: Option<Text>,
    name: Option<Text>,
    instructions: Option<Text>,
    model: Option<Text>,
    model_settings: Map<String, Value>,
    tools: Vec<AgentTool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AgentTool {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
}

impl AgentManifest {
    /// An empty manifest.
    pub fn new() -> Self {
        Self::default()
    }

    /// The agent's version: the tag `agent_version`.
    pub fn version(mut self, version: impl IntoText) -> Self {
        self.version = version.into_text().filter(|text| !text.is_empty());
        self
    }

    /// The agent's name. Default: the span's.
    pub fn name(mut self, name: impl IntoText) -> Self {
        self.name = name.into_text().filter(|text| !text.is_empty());
        self
    }

    /// What the agent is told to do.
    pub fn instructions(mut self, instructions: impl IntoText) -> Self {
        self.instructions = instructions.into_text().filter(|text| !text.is_empty());
        self
    }

    /// The model that decides its steps.
    pub fn model(mut self, model: impl IntoText) -> Self {
        self.model = model.into_text().filter(|text| !text.is_empty());
        self
    }

    /// A setting of the model: `frequency_penalty`, `logit_bias`, `logprobs`, `max_tokens`,
    /// `parallel_tool_calls`, `presence_penalty`, `seed`, `stop_sequences`, `temperature`,
    /// `timeout`, `tool_choice`, `top_k`, `top_logprobs` or `top_p`. Another is refused by
    /// `annotate`, which names it.
    pub fn model_setting(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.model_settings.insert(key.into(), value.into());
        self
    }

    /// Adds a tool that the agent may call. An empty description is left out.
    pub fn tool(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.tools.push(AgentTool {
            name: name.into(),
            description: description.into(),
        });
        self
    }

    /// Takes what the wire does not allow out of it; tells the first of that.
    pub(crate) fn take_flaw(&mut self) -> Option<String> {
        let mut flaw = None;
        self.model_settings.retain(|key, _| {
            let known = MODEL_SETTINGS.contains(&key.as_str());
            if !known {
                flaw.get_or_insert_with(|| {
                    format!(
                        "model setting {key:?} is none that a manifest may have: expected one of {}",
                        MODEL_SETTINGS.join(", ")
                    )
                });
            }
            known
        });
        self.tools.retain(|tool| {
            let named = !tool.name.is_empty();
            if !named {
                flaw.get_or_insert_with(|| {
                    format!(
                        "a tool of the agent has an empty name (description {:?})",
                        tool.description
                    )
                });
            }
            named
        });
        flaw
    }

    /// What `later` says wins, field by field (as in ddtrace).
    pub(crate) fn update(&mut self, later: Self) {
        self.version = later.version.or(self.version.take());
        self.name = later.name.or(self.name.take());
        self.instructions = later.instructions.or(self.instructions.take());
        self.model = later.model.or(self.model.take());
        if !later.model_settings.is_empty() {
            self.model_settings = later.model_settings;
        }
        if !later.tools.is_empty() {
            self.tools = later.tools;
        }
    }

    /// Keeps it within the limits of what is captured.
    pub(crate) fn bound(&mut self) {
        self.model_settings = capture::bound_map(std::mem::take(&mut self.model_settings));
    }

    /// Bytes of text, for the memory limit.
    pub(crate) fn weight(&self) -> usize {
        let text = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.len());
        let tools = self.tools.iter();
        size_of::<Self>()
            + text(&self.instructions)
            + tools
                .map(|tool| tool.name.len() + tool.description.len())
                .sum::<usize>()
    }

    /// The form in which it is sent, `None` where it says nothing but a version; `span` is
    /// the span's name.
    pub(crate) fn event(&self, span: &str) -> Option<ManifestEvent> {
        let said = self.name.is_some()
            || self.instructions.is_some()
            || self.model.is_some()
            || !self.model_settings.is_empty()
            || !self.tools.is_empty();
        let text = |text: &Option<Text>| text.as_deref().map(str::to_owned);
        said.then(|| ManifestEvent {
            framework: "manual".to_owned(),
            name: text(&self.name).unwrap_or_else(|| span.to_owned()),
            instructions: text(&self.instructions),
            model: text(&self.model),
            model_settings: self.model_settings.clone(),
            tools: self.tools.clone(),
        })
    }
}

/// `meta.metadata._dd.agent_manifest`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ManifestEvent {
    framework: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    model_settings: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tools: Vec<AgentTool>,
}
