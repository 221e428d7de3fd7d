//! The tools that a model was offered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::capture::Room;
use crate::evaluation::shortened;
use crate::given::IntoJson;
use crate::weight;

/// A tool that a model may call, for
/// [`Annotation::tool_definitions`](crate::Annotation::tool_definitions).
///
/// On the wire: golden 11 (`meta.tool_definitions`). A `tool` span below an `llm` span that
/// was offered a tool of its name gets that tool's version.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Annotation, ToolDefinition};
/// use serde_json::json;
///
/// let weather = ToolDefinition::new("get_weather")
///     .description("The weather of a city")
///     .schema(json!({"type": "object", "properties": {"city": {"type": "string"}}}))
///     .version("v2");
/// let annotation = Annotation::new().tool_definitions([weather]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[must_use = "a definition does nothing until it is given to an annotation"]
pub struct ToolDefinition {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

impl ToolDefinition {
    /// A tool of this name. An empty one is refused by `annotate`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// What the tool does. An empty text is left out.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into()).filter(|text| !text.is_empty());
        self
    }

    /// The schema of its arguments: a JSON object. Anything else is refused by `annotate`,
    /// which names the tool.
    pub fn schema(mut self, schema: impl IntoJson) -> Self {
        self.schema = Some(schema.into_json());
        self
    }

    /// Its version. An empty one is left out.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into()).filter(|text| !text.is_empty());
        self
    }

    /// The tool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes what the wire does not allow out of some tools, a nameless one as a whole; tells
    /// the first of that. All together are kept within the limits of what is captured.
    pub(crate) fn checked(mut tools: Vec<Self>) -> (Vec<Self>, Option<String>) {
        let rest = || Self::new(Room::REST);
        Room::new().cut_list(&mut tools, rest, |tool, room| {
            room.cut_string(&mut tool.name);
            let texts = [&mut tool.version, &mut tool.description];
            for text in texts.into_iter().flatten() {
                room.cut_string(text);
            }
            if let Some(schema) = &mut tool.schema {
                room.cut_json(schema);
            }
        });
        let mut flaw = None;
        let check = |mut tool: Self| {
            if tool.name.is_empty() {
                flaw.get_or_insert_with(|| {
                    let description = shortened(tool.description.as_deref().unwrap_or_default());
                    format!("a tool definition has an empty name (description {description:?})")
                });
                return None;
            }
            if let Some(schema) = tool.schema.take_if(|schema| !schema.is_object()) {
                flaw.get_or_insert_with(|| {
                    let shown = shortened(&schema.to_string());
                    let name = shortened(&tool.name);
                    format!("the schema of tool {name:?} must be a JSON object, not {shown}")
                });
            }
            Some(tool)
        };
        (tools.into_iter().filter_map(check).collect(), flaw)
    }

    /// Bytes that it holds beside itself.
    pub(crate) fn weight(&self) -> usize {
        let Self {
            name,
            description,
            schema,
            version,
        } = self;
        weight::of_texts([name].into_iter().chain(description).chain(version))
            + schema.as_ref().map_or(0, weight::of_json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_with_one_tool_leaves_the_others() {
        let tools = vec![
            ToolDefinition::new("").description("nameless"),
            ToolDefinition::new("list").schema(json!([1])),
            ToolDefinition::new("good").schema(json!({})).version(""),
        ];
        let (tools, flaw) = ToolDefinition::checked(tools);
        let kept = json!([{"name": "list"}, {"name": "good", "schema": {}}]);
        assert_eq!(serde_json::to_value(tools).unwrap(), kept);
        assert!(flaw.unwrap().contains("\"nameless\""));
    }
}
