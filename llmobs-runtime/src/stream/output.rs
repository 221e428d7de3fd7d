//! The output of a stream, put together from what its items say.

use std::collections::BTreeMap;
use std::error::Error;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Chunk, first};
use crate::annotation::{Content, Io, IoRepr, Side};
use crate::capture::{self, Growing, Room};
use crate::failure::SpanError;
use crate::given::IntoJson;
use crate::kind::SpanKind;
use crate::message::{Message, ToolCall};
use crate::usage::TokenUsage;

/// The name of a tool call whose name never came: the wire wants one.
const UNNAMED: &str = "unknown";
/// The key for arguments of a tool call that are no JSON object, because the stream broke
/// off for instance: the wire wants one.
const UNPARSED: &str = "unparsed";

/// The output of a stream as it grows, for [`Chunk::add_to`].
///
/// Text goes to the message that is open: the first piece of text, role or tool call opens
/// one, and another role begins the next. For `llm` the output is these messages; for the
/// other kinds it is the text, or JSON where there is more than text.
///
/// All of it together has the limits of an [`Annotation`](crate::Annotation): what is beyond
/// is counted, marked (`…[12 bytes cut]`, `…[rest cut]`) and not kept. Where
/// [`Capture`](crate::Capture) forbids outputs, nothing but usage, metadata and errors is
/// kept.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
pub struct StreamOutput {
    captures: bool,
    /// Of a model that talks.
    is_model: bool,
    room: Room,
    /// By the index of the choice.
    choices: BTreeMap<usize, Vec<Part>>,
    choice: usize,
    /// A message or an element had no room.
    rest_cut: bool,
    usage: Option<TokenUsage>,
    metadata: Map<String, Value>,
    metadata_room: Room,
    /// What comes is read from an item, and not told by hand.
    reads: bool,
    /// Something was said: text, a message, a call of a tool, or an element.
    pub(super) has_token: bool,
    pub(super) error: Option<SpanError>,
}

#[derive(Debug)]
enum Part {
    Open(Box<OpenMessage>),
    Whole(Box<Message>),
    Element(Value),
}

/// A message that may still grow.
#[derive(Debug, Default)]
struct OpenMessage {
    role: String,
    content: Growing,
    /// Some of the content was read from items, and not told by hand.
    is_captured: bool,
    tool_calls: BTreeMap<usize, OpenCall>,
}

#[derive(Debug, Default)]
struct OpenCall {
    id: String,
    name: String,
    arguments: Growing,
}

impl StreamOutput {
    pub(super) fn new(kind: SpanKind, captures: bool) -> Self {
        Self {
            captures,
            is_model: kind == SpanKind::Llm,
            room: Room::new(),
            choices: BTreeMap::new(),
            choice: 0,
            rest_cut: false,
            usage: None,
            metadata: Map::new(),
            metadata_room: Room::new(),
            has_token: false,
            reads: false,
            error: None,
        }
    }

    /// Adds to the text of the message.
    pub fn text(&mut self, text: &str) -> &mut Self {
        if text.is_empty() {
            return self;
        }
        self.has_token = true;
        let reads = self.reads;
        if let (Some(message), room) = self.open() {
            room.grow(&mut message.content, text);
            message.is_captured |= reads;
        }
        self
    }

    /// Says whose the following text is. The role that the message has already, and an empty
    /// one, change nothing; another one begins a new message. So a model's thoughts are a
    /// message of their own: `output.role("reasoning").text(thought)`.
    pub fn role(&mut self, role: &str) -> &mut Self {
        if role.is_empty() {
            return self;
        }
        let (Some(message), room) = self.open_for(role) else {
            return self;
        };
        if message.role.is_empty() {
            message.role = room.copy(role);
        }
        self
    }

    /// The call of a tool that the following parts are of, by its index among the calls of
    /// the message.
    pub fn tool_call(&mut self, index: usize) -> ToolCallDelta<'_> {
        self.has_token = true;
        let (message, room) = self.open();
        let call = message.and_then(|message| {
            let is_there = message.tool_calls.contains_key(&index);
            (is_there || room.take_node()).then(|| message.tool_calls.entry(index).or_default())
        });
        ToolCallDelta { call, room }
    }

    /// A message that is whole.
    pub fn message(&mut self, message: Message) -> &mut Self {
        self.has_token = self.has_token || message.says_something();
        if self.captures {
            let message = self.room.take_message(message);
            self.push(message.map(|message| Part::Whole(Box::new(message))));
        }
        self
    }

    /// An element of a list, for what is neither text nor a message. Strings are text and
    /// `null` is nothing. Values that are named like a secret are hidden, as in automatic
    /// capture.
    pub fn json<T: Serialize + ?Sized>(&mut self, element: &T) -> &mut Self {
        if self.takes_items() {
            self.element(capture::serialize(None, element).into_value());
        }
        self
    }

    /// Adds JSON that can be looked at where it may not be kept.
    pub(super) fn value(&mut self, element: &Value) {
        self.has_token = self.has_token || first::brings_token(element);
        if self.takes_elements() {
            self.element(capture::serialize(None, element).into_value());
        }
    }

    /// How many tokens the call took so far: what is told later wins over what was told
    /// before ([`TokenUsage::merge`]).
    pub fn usage(&mut self, usage: TokenUsage) -> &mut Self {
        self.usage = Some(self.usage.map_or(usage, |before| before.merge(usage)));
        self
    }

    /// A property of the call, such as `finish_reason`; the later value wins. `null` says
    /// nothing.
    pub fn metadata(&mut self, key: &str, value: impl IntoJson) -> &mut Self {
        let value = value.into_json();
        if value.is_null() || self.metadata.get(key) == Some(&value) {
            return self;
        }
        let key = self.metadata_room.copy(key);
        match self.metadata_room.take(value) {
            Some(value) => self.metadata.insert(key, value),
            None => self
                .metadata
                .insert(Room::REST_KEY.to_owned(), Room::REST.into()),
        };
        self
    }

    /// Which of several answers the rest of this item is part of, by its index. Each item
    /// begins with 0.
    pub fn choice(&mut self, index: usize) -> &mut Self {
        self.choice = index;
        self
    }

    /// The error that this item is: the span ends with it, and the first one counts.
    pub fn error<E: Error + ?Sized>(&mut self, error: &E) {
        self.fail(SpanError::from_error(error));
    }

    pub(crate) fn fail(&mut self, error: SpanError) {
        self.error.get_or_insert(error);
    }

    /// Adds what an item says, which is about to come.
    pub(crate) fn begin_item(&mut self) {
        self.choice = 0;
    }

    pub(crate) fn chunk(&mut self, chunk: &dyn Chunk) {
        self.reading(|output| chunk.add_to(output));
    }

    /// Runs `add`, which takes what it adds from an item.
    fn reading(&mut self, add: impl FnOnce(&mut Self)) {
        self.reads = true;
        add(self);
        self.reads = false;
    }

    /// Whether an element is kept.
    fn takes_elements(&self) -> bool {
        self.captures && !self.rest_cut
    }

    /// Whether an item is worth a look that does not say itself what it adds. Without one, nobody
    /// knows that it says nothing.
    pub(crate) fn takes_items(&mut self) -> bool {
        let takes = self.takes_elements();
        self.has_token = self.has_token || !takes;
        takes
    }

    /// Adds an element of the list that has been read.
    pub(crate) fn element(&mut self, element: Value) {
        self.has_token = self.has_token || first::brings_token(&element);
        match element {
            Value::Null => {}
            Value::String(text) => {
                self.reading(|output| {
                    output.text(&text);
                });
            }
            element => {
                let element = self.room.take(element);
                self.push(element.map(Part::Element));
            }
        }
    }

    /// Adds an item that does not say itself what it adds: what a model says is text, and
    /// all else is an element.
    pub(crate) fn captured(&mut self, item: Value) {
        if item.is_string() && !self.is_model {
            self.has_token = self.has_token || first::brings_token(&item);
            let item = self.room.take(item);
            self.push(item.map(Part::Element));
        } else {
            self.element(item);
        }
    }

    fn push(&mut self, part: Option<Part>) {
        match part {
            Some(part) => self.choices.entry(self.choice).or_default().push(part),
            None => self.rest_cut = true,
        }
    }

    /// The message that is open, or a new one if there is room.
    fn open(&mut self) -> (Option<&mut OpenMessage>, &mut Room) {
        self.open_for("")
    }

    /// The same for what `role` says. An empty role is anyone's.
    fn open_for(&mut self, role: &str) -> (Option<&mut OpenMessage>, &mut Room) {
        if !self.captures {
            return (None, &mut self.room);
        }
        let last = self
            .choices
            .get(&self.choice)
            .and_then(|parts| parts.last());
        let fits = match last {
            Some(Part::Open(open)) => role.is_empty() || open.role.is_empty() || open.role == role,
            _ => false,
        };
        if !fits {
            let opened = self.room.take_node();
            self.push(opened.then(|| Part::Open(Box::default())));
            if !opened {
                return (None, &mut self.room);
            }
        }
        let parts = self.choices.get_mut(&self.choice);
        let message = parts.and_then(|parts| match parts.last_mut() {
            Some(Part::Open(message)) => Some(&mut **message),
            _ => None,
        });
        (message, &mut self.room)
    }

    /// What has come so far, in the form of its kind.
    pub(super) fn finish(self, kind: SpanKind) -> Finished {
        let parts: Vec<Part> = self.choices.into_values().flatten().collect();
        Finished {
            content: content(kind, parts, self.rest_cut),
            usage: self.usage,
            metadata: self.metadata,
            error: self.error,
        }
    }
}

/// What a stream came to.
pub(super) struct Finished {
    pub(super) content: Option<Content>,
    pub(super) usage: Option<TokenUsage>,
    pub(super) metadata: Map<String, Value>,
    pub(super) error: Option<SpanError>,
}

fn content(kind: SpanKind, mut parts: Vec<Part>, rest_cut: bool) -> Option<Content> {
    if parts.is_empty() && !rest_cut {
        return None;
    }
    let is_list = parts.iter().any(|part| matches!(part, Part::Element(_)));
    if rest_cut {
        parts.push(Part::Whole(Box::new(capture::rest_message())));
    }
    let value = match parts.pop() {
        Some(Part::Open(only)) if parts.is_empty() && only.is_text() => Value::String(only.text()),
        Some(last) if is_list => {
            let parts = parts.into_iter().chain([last]);
            Value::Array(parts.map(Part::into_element).collect())
        }
        last => {
            let parts = parts.into_iter().chain(last);
            let mut messages: Vec<Message> = parts.filter_map(Part::into_message).collect();
            if kind == SpanKind::Llm {
                for message in &mut messages {
                    message.mend();
                }
                return Some(Content::Messages(messages));
            }
            json(&messages)
        }
    };
    let read = |value| Io(IoRepr::Read(value)).into_content(kind, Side::Output);
    read(value).ok()?.0
}

fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

impl Part {
    fn into_message(self) -> Option<Message> {
        match self {
            Self::Open(message) => Some(message.finish()),
            Self::Whole(message) => Some(*message),
            Self::Element(_) => None,
        }
    }

    fn into_element(self) -> Value {
        match self {
            Self::Open(message) if message.is_text() => message.text().into(),
            Self::Open(message) => json(&message.finish()),
            Self::Whole(message) if *message == capture::rest_message() => Room::REST.into(),
            Self::Whole(message) => json(&message),
            Self::Element(element) => element,
        }
    }
}

impl OpenMessage {
    fn is_text(&self) -> bool {
        self.role.is_empty() && self.tool_calls.is_empty()
    }

    /// The text, when all of it has come.
    fn text(self) -> String {
        if self.is_captured {
            self.content.finish_captured()
        } else {
            self.content.finish()
        }
    }

    fn finish(mut self) -> Message {
        let role = std::mem::take(&mut self.role);
        let calls = std::mem::take(&mut self.tool_calls).into_values();
        let mut message = Message::new(role, self.text());
        message.tool_calls = calls.map(OpenCall::finish).collect();
        message
    }
}

impl OpenCall {
    fn finish(self) -> ToolCall {
        let name = if self.name.is_empty() {
            UNNAMED.to_owned()
        } else {
            self.name
        };
        let mut call = ToolCall::new(name, Value::Object(Map::new())).tool_id(self.id);
        if !self.arguments.is_empty() {
            let text = self.arguments.finish();
            call.arguments = match serde_json::from_str(&text) {
                Ok(Value::Object(arguments)) => capture::bound(Value::Object(arguments)),
                _ => Value::Object(Map::from_iter([(UNPARSED.to_owned(), text.into())])),
            };
        }
        call
    }
}

/// Parts of one call of a tool: [`StreamOutput::tool_call`].
#[derive(Debug)]
pub struct ToolCallDelta<'a> {
    call: Option<&'a mut OpenCall>,
    room: &'a mut Room,
}

impl ToolCallDelta<'_> {
    /// The id by which the result will refer to the call. An empty one says nothing.
    pub fn id(self, id: &str) -> Self {
        self.part(id, |call| &mut call.id)
    }

    /// The tool's name. An empty one says nothing.
    pub fn name(self, name: &str) -> Self {
        self.part(name, |call| &mut call.name)
    }

    /// Adds to the text of the arguments, which is a JSON object when all of it has come. One
    /// that is none, because the stream broke off for instance, is kept as the text of
    /// `{"unparsed": "…"}`.
    pub fn arguments(mut self, text: &str) -> Self {
        if let Some(call) = &mut self.call {
            self.room.grow(&mut call.arguments, text);
        }
        self
    }

    /// Some servers tell the same with each piece.
    fn part(mut self, text: &str, part: fn(&mut OpenCall) -> &mut String) -> Self {
        if let Some(call) = &mut self.call {
            let part = part(call);
            if !text.is_empty() && part != text {
                *part = self.room.copy(text);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;
