//! What goes into a step and what comes out of it, in the form that its kind is sent in.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::capture;
use crate::document::Document;
use crate::kind::SpanKind;
use crate::message::Message;

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
    Arguments(Vec<(&'static str, Value)>),
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
        let half = "x".repeat(2_500_000);
        let cut = format!("{half}…[7 bytes cut]…{half}");
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
        assert!(messages[0].content.contains("…[1000008 bytes cut]…"));
        assert!(messages[0].content.ends_with("\\u0001\"}"));
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
