//! What an agent is made of: the manifest of an `agent` span.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::capture::Room;
use crate::evaluation::shortened;
use crate::given::IntoJson;
use crate::text::{IntoText, Text};
use crate::weight;

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
    pub fn model_setting(mut self, key: impl Into<String>, value: impl IntoJson) -> Self {
        self.model_settings.insert(key.into(), value.into_json());
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
                    let key = shortened(key);
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
                        shortened(&tool.description)
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

    /// Keeps all of it together within the limits of what is captured.
    pub(crate) fn bound(&mut self) {
        let mut room = Room::new();
        let texts = [&mut self.version, &mut self.name, &mut self.model];
        let texts = texts.into_iter().chain([&mut self.instructions]);
        for text in texts.flatten() {
            room.cut(text);
        }
        for value in self.model_settings.values_mut() {
            room.cut_json(value);
        }
        let rest = || AgentTool {
            name: Room::REST.to_owned(),
            description: String::new(),
        };
        room.cut_list(&mut self.tools, rest, |tool, room| {
            room.cut_string(&mut tool.name);
            room.cut_string(&mut tool.description);
        });
    }

    /// Takes out what a model was told, which is content.
    pub(crate) fn remove_content(&mut self) {
        self.instructions = None;
    }

    /// Bytes that it holds beside itself.
    pub(crate) fn weight(&self) -> usize {
        let Self {
            version,
            name,
            instructions,
            model,
            model_settings,
            tools,
        } = self;
        let texts = [version, name, instructions, model].into_iter().flatten();
        texts.map(Text::weight).sum::<usize>()
            + weight::of_map(model_settings)
            + weight::of_list(tools, |AgentTool { name, description }| {
                name.capacity() + description.capacity()
            })
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_manifest_is_cut_as_a_whole() {
        let mut manifest = AgentManifest::new()
            .name("agent")
            .model("m")
            .instructions("x".repeat(5_000_000))
            .model_setting("stop_sequences", json!(["stop"]))
            .tool("t", "d");
        manifest.bound();
        let event = serde_json::to_value(manifest.event("span")).unwrap();
        let kept = 5_000_000 - "agentm".len();
        let half = "x".repeat(kept / 2);
        let cut = format!("{half}…[6 bytes cut]…{half}");
        assert!(event["instructions"] == cut);
        assert_eq!(event["model"], "m");
        assert_eq!(event["tools"], json!([{"name": "…[rest cut]"}]));
        assert!(event["model_settings"].to_string().contains('…'));
    }
}
