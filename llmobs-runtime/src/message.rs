//! What an `llm` span says and hears: messages, with tool calls, tool results and media.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::evaluation::shortened;
use crate::given::IntoJson;

/// The name of a tool call that has none.
const NO_NAME: &str = "<no name>";

/// The MIME type of a media part that has none.
const ANY_TYPE: &str = "application/octet-stream";

/// One message of a conversation with a model; the wire form of `meta.input.messages`
/// and `meta.output.messages`, recorded from ddtrace 4.16.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Message, ToolCall};
/// use serde_json::json;
///
/// let asked = Message::user("How is the weather in Paris?");
/// let answered = Message::assistant("")
///     .tool_call(ToolCall::new("get_weather", json!({"city": "Paris"})).tool_id("call_1"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub(crate) content: String,
    /// Empty where nobody said; the field is always on the wire.
    #[serde(default)]
    pub(crate) role: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<ToolCall>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_results: Vec<ToolResult>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) audio_parts: Vec<MediaPart>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) image_parts: Vec<MediaPart>,
}

impl Message {
    /// A message of any role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            ..Self::default()
        }
    }

    /// A message of the role `system`.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new("system", content)
    }

    /// A message of the role `user`.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// A message of the role `assistant`.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }

    /// A message of the role `reasoning`: what a model thought before it answered. It stands
    /// before the answer, as a message of its own (as Datadog's integrations send it).
    pub fn reasoning(content: impl Into<String>) -> Self {
        Self::new("reasoning", content)
    }

    /// A message of the role `tool`.
    pub fn tool(content: impl Into<String>) -> Self {
        Self::new("tool", content)
    }

    /// Adds a call that the model asks for.
    pub fn tool_call(mut self, call: ToolCall) -> Self {
        self.tool_calls.push(call);
        self
    }

    /// Adds the result of a call.
    pub fn tool_result(mut self, result: ToolResult) -> Self {
        self.tool_results.push(result);
        self
    }

    /// Adds a piece of audio.
    pub fn audio(mut self, part: MediaPart) -> Self {
        self.audio_parts.push(part);
        self
    }

    /// Adds a picture.
    pub fn image(mut self, part: MediaPart) -> Self {
        self.image_parts.push(part);
        self
    }

    /// What the message says.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// What the message says, to be changed.
    pub fn content_mut(&mut self) -> &mut String {
        &mut self.content
    }

    /// Who says it; empty where nobody said.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Who says it, to be changed.
    pub fn role_mut(&mut self) -> &mut String {
        &mut self.role
    }

    /// The calls that the model asks for.
    pub fn tool_calls(&self) -> &[ToolCall] {
        &self.tool_calls
    }

    /// The calls that the model asks for, to be changed.
    pub fn tool_calls_mut(&mut self) -> &mut Vec<ToolCall> {
        &mut self.tool_calls
    }

    /// The results of calls.
    pub fn tool_results(&self) -> &[ToolResult] {
        &self.tool_results
    }

    /// The results of calls, to be changed.
    pub fn tool_results_mut(&mut self) -> &mut Vec<ToolResult> {
        &mut self.tool_results
    }

    /// The pieces of audio, to be changed.
    pub fn audio_mut(&mut self) -> &mut Vec<MediaPart> {
        &mut self.audio_parts
    }

    /// The pictures, to be changed.
    pub fn images_mut(&mut self) -> &mut Vec<MediaPart> {
        &mut self.image_parts
    }

    /// Whether it holds more than a role.
    pub(crate) fn says_something(&self) -> bool {
        let Self {
            content,
            role: _,
            tool_calls,
            tool_results,
            audio_parts,
            image_parts,
        } = self;
        !(content.is_empty()
            && tool_calls.is_empty()
            && tool_results.is_empty()
            && audio_parts.is_empty()
            && image_parts.is_empty())
    }

    /// Makes what the wire does not allow in the message into what it does, and keeps what it
    /// says; tells the first of that.
    pub(crate) fn mend(&mut self) -> Option<String> {
        let mut flaw = None;
        for call in &mut self.tool_calls {
            let wrong = call.mend();
            flaw = flaw.or(wrong);
        }
        let media = self.audio_parts.iter_mut().chain(&mut self.image_parts);
        for part in media.filter(|part| part.flaw().is_some()) {
            flaw = flaw.or(part.flaw());
            ANY_TYPE.clone_into(&mut part.mime_type);
        }
        flaw
    }

    /// The first thing in the message that the wire does not allow.
    #[cfg(test)]
    pub(crate) fn flaw(&self) -> Option<String> {
        let call = self.tool_calls.iter().find_map(ToolCall::flaw);
        let media = || {
            let parts = self.audio_parts.iter().chain(&self.image_parts);
            parts.clone().find_map(MediaPart::flaw)
        };
        call.or_else(media)
    }
}

/// A message without a role.
impl From<&str> for Message {
    fn from(content: &str) -> Self {
        Self::new("", content)
    }
}

/// A message without a role.
impl From<String> for Message {
    fn from(content: String) -> Self {
        Self::new("", content)
    }
}

/// `(role, content)`.
impl<R: Into<String>, C: Into<String>> From<(R, C)> for Message {
    fn from((role, content): (R, C)) -> Self {
        Self::new(role, content)
    }
}

/// A call of a tool that a model asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    pub(crate) name: String,
    pub(crate) arguments: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tool_id: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
}

impl ToolCall {
    /// The tool's name and its arguments: a JSON object, or a string that holds one, as
    /// model providers give it. No text at all and `null`, which providers give for a tool
    /// without arguments, are `{}`. Anything else is sent as `{"not_an_object": …}`, and
    /// `annotate` returns an error that names the tool.
    pub fn new(name: impl Into<String>, arguments: impl IntoJson) -> Self {
        let mut call = Self {
            name: name.into(),
            arguments: arguments.into_json(),
            tool_id: None,
            kind: None,
        };
        call.read_arguments();
        call
    }

    fn read_arguments(&mut self) {
        let read = match &self.arguments {
            Value::Null => Some(Map::new().into()),
            Value::String(text) if text.trim().is_empty() => Some(Map::new().into()),
            Value::String(text) => serde_json::from_str(text).ok().filter(Value::is_object),
            _ => None,
        };
        if let Some(read) = read {
            self.arguments = read;
        }
    }

    /// The id by which the result will refer to this call. An empty one is left out.
    pub fn tool_id(mut self, id: impl Into<String>) -> Self {
        self.tool_id = Some(id.into()).filter(|id| !id.is_empty());
        self
    }

    /// The provider's name for this sort of call, such as `function`. An empty one is left out.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into()).filter(|kind| !kind.is_empty());
        self
    }

    /// The tool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the tool is asked with: a JSON object.
    pub fn arguments(&self) -> &Value {
        &self.arguments
    }

    /// What the tool is asked with, to be changed; it has to stay a JSON object.
    pub fn arguments_mut(&mut self) -> &mut Value {
        &mut self.arguments
    }

    fn flaw(&self) -> Option<String> {
        if self.name.is_empty() {
            return Some(format!(
                "a tool call has an empty name (arguments {})",
                shortened(&self.arguments.to_string())
            ));
        }
        (!self.arguments.is_object()).then(|| {
            format!(
                "the arguments of tool call {:?} must be a JSON object, not {}",
                self.name,
                shortened(&self.arguments.to_string())
            )
        })
    }

    fn mend(&mut self) -> Option<String> {
        self.read_arguments();
        let flaw = self.flaw()?;
        if self.name.is_empty() {
            NO_NAME.clone_into(&mut self.name);
        }
        if !self.arguments.is_object() {
            let given = self.arguments.take();
            self.arguments = Map::from_iter([("not_an_object".to_owned(), given)]).into();
        }
        Some(flaw)
    }
}

/// What a tool gave back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    pub(crate) result: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tool_id: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
}

impl ToolResult {
    /// The result as text; it may be empty.
    pub fn new(result: impl Into<String>) -> Self {
        Self {
            result: result.into(),
            ..Self::default()
        }
    }

    /// The result as text.
    pub fn result(&self) -> &str {
        &self.result
    }

    /// The result as text, to be changed.
    pub fn result_mut(&mut self) -> &mut String {
        &mut self.result
    }

    /// The tool's name. An empty one is left out.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into()).filter(|name| !name.is_empty());
        self
    }

    /// The id of the call that this answers. An empty one is left out.
    pub fn tool_id(mut self, id: impl Into<String>) -> Self {
        self.tool_id = Some(id.into()).filter(|id| !id.is_empty());
        self
    }

    /// The provider's name for this sort of result, such as `tool_result`. An empty one is left out.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into()).filter(|kind| !kind.is_empty());
        self
    }
}

/// A picture or a piece of audio: either its bytes in base64 or the key of an attachment,
/// never both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MediaPart {
    pub(crate) mime_type: String,
    #[serde(flatten)]
    pub(crate) source: MediaSource,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MediaSource {
    Content(String),
    AttachmentKey(String),
}

impl MediaPart {
    /// Bytes in base64, with their MIME type (`image/png`).
    pub fn base64(mime_type: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            mime_type: mime_type.into(),
            source: MediaSource::Content(content.into()),
        }
    }

    /// The key of an attachment that is stored elsewhere, with its MIME type.
    pub fn attachment(mime_type: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            mime_type: mime_type.into(),
            source: MediaSource::AttachmentKey(key.into()),
        }
    }

    fn flaw(&self) -> Option<String> {
        let which = match &self.source {
            MediaSource::Content(content) => format!("with {} bytes of base64", content.len()),
            MediaSource::AttachmentKey(key) => format!("with attachment key {key:?}"),
        };
        self.mime_type
            .is_empty()
            .then(|| format!("a media part {which} has an empty MIME type"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_given_as_json_text_become_an_object() {
        let call = ToolCall::new("f", r#"{"a": 1}"#);
        assert_eq!(call.arguments, json!({"a": 1}));
        assert_eq!(call.flaw(), None);
        let flaw = ToolCall::new("f", json!([1])).flaw().unwrap();
        assert!(flaw.contains("\"f\"") && flaw.contains("[1]"), "{flaw}");
        let flaw = ToolCall::new("f", "x".repeat(10_000)).flaw().unwrap();
        assert!(flaw.len() < 200, "an error is no place for all of it");
    }

    #[test]
    fn a_media_part_has_exactly_one_source_on_the_wire() {
        let parts = [
            MediaPart::base64("image/png", "iVBORw0K"),
            MediaPart::attachment("image/png", "k1"),
        ];
        assert_eq!(
            serde_json::to_value(&parts).unwrap(),
            json!([
                {"mime_type": "image/png", "content": "iVBORw0K"},
                {"mime_type": "image/png", "attachment_key": "k1"},
            ])
        );
    }
}
