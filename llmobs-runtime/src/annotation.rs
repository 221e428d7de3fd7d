//! What a user adds to a span: input, output, metadata, metrics, tags.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::capture;
use crate::document::Document;
use crate::kind::SpanKind;
use crate::message::Message;
use crate::number::Number;
use crate::text::{IntoText, Text};
use crate::usage::TokenUsage;

/// What to add to a span, for [`annotate`](crate::annotate) and
/// [`Span::annotate`](crate::Span::annotate).
///
/// Annotations of one span add up: metadata, metrics and tags by key, the later value
/// wins; input and output are replaced. What is set by hand wins over what an attribute
/// captures by itself. Building does nothing yet and cannot fail.
///
/// What is given by hand goes as it is: nothing in it is hidden by its name, as automatic
/// capture does. Input, output and metadata each hold 5,000,000 bytes of text, 100,000
/// values and 64 levels; what is beyond is cut and marked (`…[12 bytes cut]`,
/// `…[rest cut]`, `…[deeper than 64 levels]`).
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Annotation, Message};
///
/// let annotation = Annotation::new()
///     .input([Message::system("Be short."), Message::user("What is Rust?")])
///     .output(("assistant", "A language."))
///     .metadata("temperature", 0.2)
///     .metric("input_tokens", 12)
///     .metric("output_tokens", 3)
///     .tag("tenant", "acme");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "an annotation does nothing until it is given to `annotate`"]
pub struct Annotation {
    pub(crate) input: Option<Io>,
    pub(crate) output: Option<Io>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) metrics: Vec<(String, Number)>,
    pub(crate) tags: Vec<(Text, Text)>,
}

impl Annotation {
    /// An empty annotation.
    pub fn new() -> Self {
        Self::default()
    }

    /// What went into the step: messages for `llm`, documents for `embedding`, a value for
    /// the other kinds. Text fits every kind.
    pub fn input(mut self, input: impl Into<Io>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// What came out of it: messages for `llm`, documents for `retrieval`, a value for the
    /// other kinds. Text fits every kind.
    pub fn output(mut self, output: impl Into<Io>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Any `Serialize` as the input. It is read at once, within the same limits. One that
    /// fails or panics gives a mark that says so: `<not captured: why>`.
    pub fn input_json<T: Serialize + ?Sized>(self, input: &T) -> Self {
        self.input(capture::as_given(input))
    }

    /// Any `Serialize` as the output, read as [`input_json`](Self::input_json) does.
    pub fn output_json<T: Serialize + ?Sized>(self, output: &T) -> Self {
        self.output(capture::as_given(output))
    }

    /// A property of the call, such as `temperature`. `value` is anything that becomes
    /// JSON: text, a number, a bool, a [`Value`].
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// A measure, such as `input_tokens`. A dot in the key becomes an underscore; a NaN or
    /// an infinity is refused by `annotate`.
    ///
    /// Any name will do. LLM Observability gives these a meaning:
    ///
    /// * tokens: `input_tokens`, `output_tokens`, `total_tokens`, `cache_read_input_tokens`,
    ///   `cache_write_input_tokens`, `ephemeral_5m_input_tokens`,
    ///   `ephemeral_1h_input_tokens`, `reasoning_output_tokens`, `billable_character_count`;
    /// * costs in US dollars, which win over the estimated ones: `input_cost`,
    ///   `output_cost`, `total_cost`;
    /// * times: `time_to_first_token`, `time_in_queue`, `time_in_model_prefill`,
    ///   `time_in_model_decode`, `time_in_model_inference`.
    pub fn metric(mut self, key: impl Into<String>, value: impl Into<Number>) -> Self {
        self.metrics.push((key.into(), value.into()));
        self
    }

    /// How many tokens the call took: the metrics that are known of it.
    pub fn usage(mut self, usage: TokenUsage) -> Self {
        self.metrics.extend(usage.metrics());
        self
    }

    /// A tag, sent as `key:value`; the value is what its `Display` gives. The tag
    /// `session_id` also sets the span's session.
    pub fn tag(mut self, key: impl IntoText, value: impl fmt::Display) -> Self {
        if let Some(key) = key.into_text() {
            self.tags.push((key, Cow::Owned(value.to_string())));
        }
        self
    }

    /// Several tags.
    pub fn tags<K: IntoText, V: fmt::Display>(
        mut self,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        for (key, value) in tags {
            self = self.tag(key, value);
        }
        self
    }
}

/// Which side of a span an [`Io`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

impl Side {
    fn messages(self) -> &'static str {
        match self {
            Self::Input => "input messages",
            Self::Output => "output messages",
        }
    }

    fn documents(self) -> &'static str {
        match self {
            Self::Input => "input documents",
            Self::Output => "output documents",
        }
    }
}

/// An input or an output: text, messages, documents, or any JSON.
///
/// Made by `From` out of what people hold: `&str`, `String`, `Cow<str>`, `(role, content)`,
/// a [`Message`], a [`Document`], a [`Value`], and `Vec`s, arrays and slices of these.
#[derive(Clone, Debug, PartialEq)]
pub struct Io(pub(crate) IoRepr);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum IoRepr {
    Text(String),
    Texts(Vec<String>),
    Messages(Vec<Message>),
    Documents(Vec<Document>),
    Json(Value),
    /// JSON that was read within the limits when it was given.
    Read(Value),
}

/// An input or an output in the form in which its kind is sent.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// `value`: text as it is.
    Text(String),
    /// `value`: JSON, made text by the worker.
    Json(Value),
    /// `value`: the arguments of a function by name, made a JSON object by the worker.
    Arguments(Vec<(Cow<'static, str>, Value)>),
    Messages(Vec<Message>),
    Documents(Vec<Document>),
}

impl Io {
    /// Brings the value into the form of its kind (as in ddtrace), within the limits of
    /// what is captured.
    pub(crate) fn into_content(
        self,
        kind: SpanKind,
        side: Side,
    ) -> Result<Option<Content>, IoError> {
        let io = Self(capture::bound_io(self.0));
        let content = match (kind, side) {
            (SpanKind::Llm, _) => Content::Messages(io.into_messages(kind, side)?),
            (SpanKind::Embedding, Side::Input) | (SpanKind::Retrieval, Side::Output) => {
                Content::Documents(io.into_documents(kind, side)?)
            }
            _ => match io.0 {
                IoRepr::Text(text) => Content::Text(text),
                IoRepr::Texts(texts) => Content::Json(texts.into()),
                IoRepr::Json(value) | IoRepr::Read(value) => match value {
                    Value::Null => return Ok(None),
                    Value::String(text) => Content::Text(text),
                    value => Content::Json(value),
                },
                IoRepr::Messages(messages) => Content::Json(to_json(&messages)),
                IoRepr::Documents(documents) => Content::Json(to_json(&documents)),
            },
        };
        Ok(match &content {
            Content::Messages(messages) if messages.is_empty() => None,
            Content::Documents(documents) if documents.is_empty() => None,
            _ => Some(content),
        })
    }

    fn into_messages(self, kind: SpanKind, side: Side) -> Result<Vec<Message>, IoError> {
        let messages = match self.0 {
            IoRepr::Text(text) => vec![text.into()],
            IoRepr::Texts(texts) => texts.into_iter().map(Message::from).collect(),
            IoRepr::Messages(messages) => messages,
            IoRepr::Json(value) | IoRepr::Read(value) => messages_from_json(value),
            IoRepr::Documents(_) => {
                let field = side.documents();
                return Err(IoError::WrongKind { field, kind });
            }
        };
        match messages.iter().find_map(Message::flaw) {
            Some(flaw) => Err(IoError::Invalid(flaw)),
            None => Ok(messages),
        }
    }

    fn into_documents(self, kind: SpanKind, side: Side) -> Result<Vec<Document>, IoError> {
        let documents = match self.0 {
            IoRepr::Text(text) => vec![text.into()],
            IoRepr::Texts(texts) => texts.into_iter().map(Document::from).collect(),
            IoRepr::Documents(documents) => documents,
            IoRepr::Json(value) | IoRepr::Read(value) => documents_from_json(value),
            IoRepr::Messages(_) => {
                let field = side.messages();
                return Err(IoError::WrongKind { field, kind });
            }
        };
        match documents.iter().find_map(Document::flaw) {
            Some(flaw) => Err(IoError::Invalid(flaw)),
            None => Ok(documents),
        }
    }
}

/// Why an [`Io`] does not fit a span.
#[derive(Debug)]
pub(crate) enum IoError {
    WrongKind { field: &'static str, kind: SpanKind },
    Invalid(String),
}

/// JSON as messages: a string, an object that is a message, or a list of those; whatever
/// else becomes one message with its JSON text, never an empty one.
pub(crate) fn messages_from_json(value: Value) -> Vec<Message> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) if items.iter().all(is_message) => {
            items.into_iter().map(message_from_json).collect()
        }
        value => vec![message_from_json(value)],
    }
}

const MESSAGE_KEYS: [&str; 6] = [
    "content",
    "role",
    "tool_calls",
    "tool_results",
    "audio_parts",
    "image_parts",
];

fn is_message(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Object(map) => {
            map.get("content").is_some_and(Value::is_string)
                && map.keys().all(|key| MESSAGE_KEYS.contains(&key.as_str()))
                && serde_json::from_value::<Message>(value.clone()).is_ok()
        }
        _ => false,
    }
}

fn message_from_json(value: Value) -> Message {
    match value {
        Value::String(text) => text.into(),
        value if is_message(&value) => serde_json::from_value(value).unwrap_or_default(),
        value => json_text(&value).into(),
    }
}

/// JSON as documents, by the same rules: `text` is what makes an object one.
fn documents_from_json(value: Value) -> Vec<Document> {
    let one = |value: Value| match value {
        Value::String(text) => text.into(),
        value => serde_json::from_value(value.clone())
            .unwrap_or_else(|_| Document::new(json_text(&value))),
    };
    match value {
        Value::Null => Vec::new(),
        Value::Array(items)
            if items
                .iter()
                .all(|item| item.is_string() || item.is_object()) =>
        {
            items.into_iter().map(one).collect()
        }
        value => vec![one(value)],
    }
}

/// A value's JSON, which has more bytes than its text has: escapes, keys' quotes.
fn json_text(value: &Value) -> String {
    capture::bound_text(value.to_string())
}

fn to_json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

macro_rules! io_from {
    ($($ty:ty: |$value:ident| $repr:expr;)*) => {$(
        impl From<$ty> for Io {
            fn from($value: $ty) -> Self {
                Self($repr)
            }
        }
    )*};
}

io_from! {
    &str: |text| IoRepr::Text(text.to_owned());
    String: |text| IoRepr::Text(text);
    &String: |text| IoRepr::Text(text.clone());
    Cow<'_, str>: |text| IoRepr::Text(text.into_owned());
    Message: |message| IoRepr::Messages(vec![message]);
    Document: |document| IoRepr::Documents(vec![document]);
    Value: |value| IoRepr::Json(value);
}

impl<R: Into<String>, C: Into<String>> From<(R, C)> for Io {
    fn from(message: (R, C)) -> Self {
        Message::from(message).into()
    }
}

/// What can stand in a list that is given as input or output.
mod item {
    use super::{Document, Io, IoRepr, Message, Value};

    pub trait Item: Sized {
        fn list(items: Vec<Self>) -> Io;
    }

    macro_rules! item {
        ($($ty:ty: |$items:ident| $repr:expr;)*) => {$(
            impl Item for $ty {
                fn list($items: Vec<Self>) -> Io {
                    Io($repr)
                }
            }
        )*};
    }

    item! {
        &str: |items| IoRepr::Texts(items.into_iter().map(str::to_owned).collect());
        String: |items| IoRepr::Texts(items);
        Message: |items| IoRepr::Messages(items);
        Document: |items| IoRepr::Documents(items);
        Value: |items| IoRepr::Json(Value::Array(items));
    }

    impl<R: Into<String>, C: Into<String>> Item for (R, C) {
        fn list(items: Vec<Self>) -> Io {
            Io(IoRepr::Messages(
                items.into_iter().map(Message::from).collect(),
            ))
        }
    }
}

impl<T: item::Item> From<Vec<T>> for Io {
    fn from(items: Vec<T>) -> Self {
        T::list(items)
    }
}

impl<T: item::Item, const N: usize> From<[T; N]> for Io {
    fn from(items: [T; N]) -> Self {
        T::list(items.into())
    }
}

impl<T: item::Item + Clone> From<&[T]> for Io {
    fn from(items: &[T]) -> Self {
        T::list(items.to_vec())
    }
}

impl<T: item::Item + Clone> From<&Vec<T>> for Io {
    fn from(items: &Vec<T>) -> Self {
        T::list(items.clone())
    }
}

/// Why an annotation, or a part of one, was not applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotateError {
    /// No span was given and none is current here.
    #[error("no span to annotate: none was given and none is current on this thread or task")]
    NoSpan,
    /// The span has ended; what it holds is on its way.
    #[error("span {name:?} has ended: nothing can be added to it")]
    Ended {
        /// The span's name.
        name: String,
    },
    /// The kind of this span has no such field. The rest of the annotation was applied.
    #[error("a span of kind {kind} carries no {field}; the rest of the annotation was applied")]
    WrongKind {
        /// What was given.
        field: &'static str,
        /// The span's kind.
        kind: SpanKind,
    },
    /// A value that the wire has no place for. The rest of the annotation was applied.
    #[error("{reason}; the rest of the annotation was applied")]
    InvalidValue {
        /// What is wrong, with the name and the value.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(value: Value) -> Value {
        serde_json::to_value(messages_from_json(value)).unwrap()
    }

    #[test]
    fn json_becomes_messages_and_never_an_empty_one() {
        assert_eq!(
            messages(json!("hi")),
            json!([{"content": "hi", "role": ""}])
        );
        assert_eq!(
            messages(json!({"content": "c", "role": "assistant"})),
            json!([{"content": "c", "role": "assistant"}])
        );
        assert_eq!(
            messages(json!([{"content": "c1", "role": "user"}, "c2"])),
            json!([{"content": "c1", "role": "user"}, {"content": "c2", "role": ""}])
        );
        assert_eq!(
            messages(json!({"answer": 42})),
            json!([{"content": "{\"answer\":42}", "role": ""}])
        );
        assert_eq!(
            messages(json!([1, 2])),
            json!([{"content": "[1,2]", "role": ""}])
        );
        assert_eq!(messages(json!(7)), json!([{"content": "7", "role": ""}]));
    }

    #[test]
    fn an_annotation_that_is_too_large_is_cut_once() {
        let text = "x".repeat(5_000_007);
        let cut = "x".repeat(5_000_000) + "…[7 bytes cut]";
        let content = |io: Io, kind| io.into_content(kind, Side::Input).unwrap().unwrap();
        let given = || {
            [
                Io::from(text.as_str()),
                Io::from(Value::from(text.as_str())),
                capture::as_given(&text),
            ]
        };
        for io in given() {
            assert!(matches!(content(io, SpanKind::Task), Content::Text(text) if text == cut));
        }
        for io in given() {
            let content = content(io, SpanKind::Llm);
            assert!(matches!(content, Content::Messages(m) if m[0].content == cut));
        }
        for io in given() {
            let content = content(io, SpanKind::Embedding);
            assert!(matches!(content, Content::Documents(d) if d[0].text == cut));
        }
        let list = Io::from(vec![text.as_str(), "more"]);
        let Content::Json(list) = content(list, SpanKind::Task) else {
            unreachable!("texts are JSON")
        };
        assert_eq!(list, json!([cut, "…[rest cut]"]));
    }

    #[test]
    fn json_that_becomes_longer_as_text_is_cut_as_text() {
        let value = json!({"k": "\u{1}".repeat(1_000_000)});
        let Content::Messages(messages) = Io::from(value)
            .into_content(SpanKind::Llm, Side::Input)
            .unwrap()
            .unwrap()
        else {
            unreachable!("an llm span has messages")
        };
        assert!(messages[0].content.ends_with("…[1000008 bytes cut]"));
    }

    #[test]
    fn documents_are_refused_where_messages_belong() {
        let error = Io::from(Document::new("d"))
            .into_content(SpanKind::Llm, Side::Input)
            .unwrap_err();
        assert!(matches!(
            error,
            IoError::WrongKind {
                field: "input documents",
                kind: SpanKind::Llm
            }
        ));
    }

    #[test]
    fn an_empty_list_writes_nothing() {
        let empty = Io::from(Vec::<Message>::new());
        let content = empty.into_content(SpanKind::Llm, Side::Input).unwrap();
        assert!(content.is_none());
    }
}
