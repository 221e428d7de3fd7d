//! The prompt that a model was given: its template, apart from what was filled in.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::places::Part;
use crate::capture::{self, Room};
use crate::evaluation::shortened;
use crate::message::Message;
use crate::text::{IntoText, Text};
use crate::weight;

pub(crate) mod places;

/// The prompt of a call, for [`Annotation::prompt`](crate::Annotation::prompt): what stays
/// the same from call to call, and the variables that do not.
///
/// LLM Observability groups calls by the prompt's id and version. Without a version, each
/// new text of the template counts as one, so what changes belongs into variables. Their
/// places in the template are `{{name}}`. Text that is not set (`None`) changes nothing.
///
/// On the wire: golden 09 (`meta.input.prompt`).
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Annotation, Prompt};
///
/// let prompt = Prompt::new("translate")
///     .version("1.2.0")
///     .template("Translate {{text}} to {{lang}}")
///     .variable("text", "good morning")
///     .variable("lang", "French");
/// assert_eq!(prompt.text(), "Translate good morning to French");
/// let annotation = Annotation::new().prompt(prompt);
/// ```
///
/// [`prompt!`](https://docs.rs/llmobs/latest/llmobs/macro.prompt.html) makes the same out of
/// a template that is checked when the program is compiled.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a prompt does nothing until it is given to an annotation"]
pub struct Prompt {
    id: Text,
    version: Text,
    label: Text,
    template: Text,
    chat: Vec<ChatPart>,
    variables: BTreeMap<Text, String>,
    tags: BTreeMap<Text, String>,
    context_keys: Vec<String>,
    query_keys: Vec<String>,
}

/// One part of a chat template.
#[derive(Clone, Debug, PartialEq)]
enum ChatPart {
    Message { role: Text, content: Text },
    Placeholder(Text),
}

impl Prompt {
    /// A prompt of this id, which is unique within an application. An empty one becomes
    /// `<ml_app>_unnamed-prompt` (as in ddtrace).
    pub fn new(id: impl IntoText) -> Self {
        Self {
            id: id.into_text().unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Its version, such as `1.2.0`. Default: found by the backend from the template's text.
    pub fn version(mut self, version: impl IntoText) -> Self {
        set(&mut self.version, version);
        self
    }

    /// Where it is in use, such as `production`.
    pub fn label(mut self, label: impl IntoText) -> Self {
        set(&mut self.label, label);
        self
    }

    /// The template as one text. A prompt has this or messages: with both the messages stay,
    /// and `annotate` returns an error.
    pub fn template(mut self, template: impl IntoText) -> Self {
        set(&mut self.template, template);
        self
    }

    /// Adds a message to the chat template; its content may have places for variables.
    pub fn chat_message(mut self, role: impl IntoText, content: impl IntoText) -> Self {
        self.chat.push(ChatPart::Message {
            role: role.into_text().unwrap_or_default(),
            content: content.into_text().unwrap_or_default(),
        });
        self
    }

    /// Adds a place in the chat template that takes any number of messages, such as the
    /// history of a conversation.
    pub fn chat_placeholder(mut self, name: impl IntoText) -> Self {
        let name = name.into_text().unwrap_or_default();
        self.chat.push(ChatPart::Placeholder(name));
        self
    }

    /// What stands in place of `{{name}}`: what the value's `Display` gives, all of it, since it is
    /// for the model. A panic of it is the caller's own, as with `format!`.
    pub fn variable(mut self, name: impl IntoText, value: impl fmt::Display) -> Self {
        if let Some(name) = name.into_text() {
            self.variables.insert(name, value.to_string());
        }
        self
    }

    /// A tag of the prompt, not of the span.
    pub fn tag(mut self, key: impl IntoText, value: impl fmt::Display) -> Self {
        if let Some(key) = key.into_text() {
            self.tags.insert(key, capture::told(&value).into());
        }
        self
    }

    /// Which variables hold what a retrieval found; the evaluations of retrieval-augmented
    /// generation read them. Default: `context`.
    pub fn context_variables<K: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = K>,
    ) -> Self {
        self.context_keys = names.into_iter().map(K::into).collect();
        self
    }

    /// Which variables hold what the user asked. Default: `question`.
    pub fn query_variables<K: Into<String>>(mut self, names: impl IntoIterator<Item = K>) -> Self {
        self.query_keys = names.into_iter().map(K::into).collect();
        self
    }

    /// The prompt's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The template with its variables filled in, to be given to the model. Of a chat
    /// template, the contents of its messages, a line each. A place without a variable
    /// stays as it is.
    pub fn text(&self) -> String {
        if self.chat.is_empty() {
            return self.filled(&self.template);
        }
        let contents = self.messages().into_iter().map(|message| message.content);
        contents.collect::<Vec<_>>().join("\n")
    }

    /// The chat template's messages with their variables filled in. Placeholders are left
    /// out; a template of one text is one message without a role.
    pub fn messages(&self) -> Vec<Message> {
        if self.chat.is_empty() {
            return vec![Message::from(self.filled(&self.template))];
        }
        let message = |part: &ChatPart| match part {
            ChatPart::Message { role, content } => {
                Some(Message::new(&**role, self.filled(content)))
            }
            ChatPart::Placeholder(_) => None,
        };
        self.chat.iter().filter_map(message).collect()
    }

    fn filled(&self, template: &str) -> String {
        let mut text = String::with_capacity(template.len());
        for part in places::parts(template) {
            text.push_str(match part {
                Part::Place { whole, name } => {
                    self.variables.get(&name.into()).map_or(whole, |v| v)
                }
                Part::Text(stays) | Part::Unclosed(stays) => stays,
            });
        }
        text
    }

    /// Leaves out the template of a prompt that has chat messages, since the wire allows one of the
    /// two and the model gets the messages ([`text`](Self::text)); tells of it.
    pub(crate) fn mend(&mut self) -> Option<String> {
        if self.template.is_empty() || self.chat.is_empty() {
            return None;
        }
        self.template = Text::default();
        Some(format!(
            "prompt {:?} has a template and chat messages, and can have one of them: the template is \
             left out",
            shortened(&self.id)
        ))
    }

    /// Adds what `prompt` says to what is there.
    pub(crate) fn add(there: &mut Option<Arc<Self>>, prompt: Arc<Self>) {
        match there {
            Some(there) => Arc::make_mut(there).update(Arc::unwrap_or_clone(prompt)),
            None => *there = Some(prompt),
        }
    }

    /// What `later` says wins, field by field; a template of one form replaces the other's.
    pub(crate) fn update(&mut self, later: Self) {
        fn text(mine: &mut Text, later: Text) {
            if !later.is_empty() {
                *mine = later;
            }
        }
        fn list<T>(mine: &mut Vec<T>, later: Vec<T>) {
            if !later.is_empty() {
                *mine = later;
            }
        }
        if !later.template.is_empty() || !later.chat.is_empty() {
            self.template = later.template;
            self.chat = later.chat;
        }
        text(&mut self.id, later.id);
        text(&mut self.version, later.version);
        text(&mut self.label, later.label);
        list(&mut self.context_keys, later.context_keys);
        list(&mut self.query_keys, later.query_keys);
        if !later.variables.is_empty() {
            self.variables = later.variables;
        }
        if !later.tags.is_empty() {
            self.tags = later.tags;
        }
    }

    /// Keeps all of it together within the limits of what is captured. Not where it is
    /// built: a model is given the whole of its text.
    pub(crate) fn bound(&mut self) {
        let keys = self.context_keys.len() + self.query_keys.len();
        let pairs = self.variables.len() + self.tags.len();
        if Room::holds(self.weight(), keys + pairs + self.chat.len()) {
            return;
        }
        let mut room = Room::new();
        for text in [&mut self.id, &mut self.version, &mut self.label] {
            room.cut(text);
        }
        room.cut(&mut self.template);
        let rest = || ChatPart::Placeholder(Text::literal(Room::REST));
        room.cut_list(&mut self.chat, rest, |part, room| match part {
            ChatPart::Message { role, content } => {
                room.cut(role);
                room.cut(content);
            }
            ChatPart::Placeholder(name) => room.cut(name),
        });
        for pairs in [&mut self.tags, &mut self.variables] {
            room.cut_pairs(pairs);
        }
        for keys in [&mut self.context_keys, &mut self.query_keys] {
            let rest = || Room::REST.to_owned();
            room.cut_list(keys, rest, |key, room| room.cut_string(key));
        }
    }

    /// Bytes that it holds, its own size included: no less than all of its text.
    pub(crate) fn weight(&self) -> usize {
        let Self {
            id,
            version,
            label,
            template,
            chat,
            variables,
            tags,
            context_keys,
            query_keys,
        } = self;
        let texts = [id, version, label, template].into_iter();
        let entries = |count| weight::of_entries::<Text, String>(count);
        let pairs = variables.iter().chain(tags);
        size_of::<Self>()
            + texts.map(Text::weight).sum::<usize>()
            + entries(variables.len())
            + entries(tags.len())
            + pairs
                .map(|(key, value)| key.weight() + value.capacity())
                .sum::<usize>()
            + weight::of_list(chat, |part| match part {
                ChatPart::Message { role, content } => role.weight() + content.weight(),
                ChatPart::Placeholder(name) => name.weight(),
            })
            + weight::of_list(context_keys, String::capacity)
            + weight::of_list(query_keys, String::capacity)
    }

    /// The form in which it is sent; `ml_app` is the configured application.
    pub(crate) fn event(&self, ml_app: &str) -> PromptEvent {
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let keys = |keys: &[String], default: &str| match keys {
            [] => vec![default.to_owned()],
            keys => keys.to_vec(),
        };
        let owned = |pairs: &BTreeMap<Text, String>| {
            let pairs = pairs.iter().map(|(k, v)| (k.to_string(), v.clone()));
            pairs.collect()
        };
        PromptEvent {
            id: filled(&self.id).unwrap_or_else(|| format!("{ml_app}_unnamed-prompt")),
            ml_app: ml_app.to_owned(),
            version: filled(&self.version),
            label: filled(&self.label),
            template: filled(&self.template),
            chat_template: self.chat.iter().map(ChatEvent::from).collect(),
            variables: owned(&self.variables),
            tags: owned(&self.tags),
            context_keys: keys(&self.context_keys, "context"),
            query_keys: keys(&self.query_keys, "question"),
        }
    }
}

/// Replaces the text, unless nothing is set.
fn set(place: &mut Text, text: impl IntoText) {
    if let Some(text) = text.into_text() {
        *place = text;
    }
}

/// `meta.input.prompt` (golden 09).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PromptEvent {
    pub(crate) id: String,
    pub(crate) ml_app: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) chat_template: Vec<ChatEvent>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) variables: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(rename = "_dd_context_variable_keys")]
    pub(crate) context_keys: Vec<String>,
    #[serde(rename = "_dd_query_variable_keys")]
    pub(crate) query_keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum ChatEvent {
    Message {
        role: String,
        content: String,
    },
    Placeholder {
        name: String,
        #[serde(rename = "type")]
        kind: String,
    },
}

impl From<&ChatPart> for ChatEvent {
    fn from(part: &ChatPart) -> Self {
        match part {
            ChatPart::Message { role, content } => Self::Message {
                role: role.to_string(),
                content: content.to_string(),
            },
            ChatPart::Placeholder(name) => Self::Placeholder {
                name: name.to_string(),
                kind: "placeholder".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_what_is_none_stays() {
        let prompt = Prompt::new("p")
            .template("{{a}}{{ b }} {{c}} {{ {{a}} {{{a}}} {{a")
            .variable("a", 1)
            .variable("b", "{{a}}");
        assert_eq!(prompt.text(), "1{{a}} {{c}} {{ 1 {1} {{a");
    }

    #[test]
    fn a_chat_template_gives_messages() {
        let prompt = Prompt::new("p")
            .chat_message("system", "Speak {{lang}}.")
            .chat_placeholder("history")
            .chat_message("user", "{{q}}")
            .variable("lang", "French")
            .variable("q", "Hello?");
        let expected = [Message::system("Speak French."), Message::user("Hello?")];
        assert_eq!(prompt.messages(), expected);
        assert_eq!(prompt.text(), "Speak French.\nHello?");
    }

    #[test]
    fn a_later_prompt_wins_field_by_field() {
        let mut prompt = Prompt::new("a").template("t").variable("x", 1).label("l");
        prompt.update(Prompt::default().version("2").variable("y", 2));
        let expected = Prompt::new("a")
            .template("t")
            .label("l")
            .version("2")
            .variable("y", 2);
        assert_eq!(prompt, expected);
        prompt.update(Prompt::new("a").chat_message("user", "u"));
        assert_eq!(prompt.mend(), None, "one template replaces the other");
    }

    #[test]
    fn a_prompt_is_cut_as_a_whole_and_one_within_the_limits_is_left_alone() {
        let small = Prompt::new("p").template("t").variable("v", 1).tag("k", 2);
        let mut bounded = small.clone();
        bounded.bound();
        assert_eq!(bounded, small);

        let mut long = small.variable("a", "x".repeat(5_000_000)).variable("w", 3);
        long.bound();
        let event = long.event("app");
        let kept = 5_000_000 - "ptk2a".len();
        // An odd number of bytes: the tail has one more.
        let (head, tail) = ("x".repeat(kept / 2), "x".repeat(kept.div_ceil(2)));
        let cut = format!("{head}…[5 bytes cut]…{tail}");
        assert!(event.variables["a"] == cut);
        assert_eq!(event.variables.len(), 2);
        assert_eq!(event.variables["…"], "…[rest cut]");
        assert_eq!(
            (&*event.tags["k"], event.template.as_deref()),
            ("2", Some("t"))
        );

        let mut many = Prompt::new("p").context_variables((0..60_000).map(|n| n.to_string()));
        many = (0..60_000).fold(many, |many, _| many.chat_message("user", "u"));
        many.bound();
        assert_eq!((many.chat.len(), many.context_keys.len()), (60_000, 40_001));
        assert_eq!(many.context_keys[40_000], "…[rest cut]");
    }
}
