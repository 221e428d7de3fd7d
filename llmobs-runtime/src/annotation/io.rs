//! What goes into a step and what comes out of it, in the form that its kind is sent in.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::capture::{self, Captured};
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
    /// `value`: JSON, made text by the worker. The value is boxed because every span has room for two
    /// contents, and few contents are JSON.
    Json(Box<Value>),
    /// A captured value. The worker removes its secrets and brings it into the form of the span's kind.
    Captured(Captured),
    /// `value`: the arguments of a function by name, made a JSON object by the worker.
    Arguments(Vec<(&'static str, Captured)>),
    Messages(Vec<Message>),
    Documents(Vec<Document>),
}

impl Io {
    /// Brings the value into the form of its kind (as in ddtrace), within the limits of
    /// what is captured. What the wire does not allow in an element is mended, and told beside
    /// the content: one element does not cost the others.
    pub(crate) fn into_content(
        self,
        kind: SpanKind,
        side: Side,
    ) -> Result<(Option<Content>, Option<String>), IoError> {
        let io = Self(capture::bound_io(self.0));
        let mut content = match (kind, side) {
            (SpanKind::Llm, _) => Content::Messages(io.into_messages(kind, side)?),
            (SpanKind::Embedding, Side::Input) | (SpanKind::Retrieval, Side::Output) => {
                Content::Documents(io.into_documents(kind, side)?)
            }
            _ => match io.0 {
                IoRepr::Text(text) => Content::Text(text),
                IoRepr::Texts(texts) => Content::Json(Box::new(texts.into())),
                IoRepr::Json(value) | IoRepr::Read(value) => match value {
                    Value::Null => return Ok((None, None)),
                    Value::String(text) => Content::Text(text),
                    value => Content::Json(Box::new(value)),
                },
                IoRepr::Messages(messages) => Content::Json(Box::new(to_json(&messages))),
                IoRepr::Documents(documents) => Content::Json(Box::new(to_json(&documents))),
            },
        };
        let mut flaw = None;
        match &mut content {
            Content::Messages(messages) => {
                for message in &mut *messages {
                    let wrong = message.mend();
                    flaw = flaw.or(wrong);
                }
            }
            Content::Documents(documents) => {
                for document in &mut *documents {
                    let wrong = document.mend();
                    flaw = flaw.or(wrong);
                }
            }
            _ => {}
        }
        let content = match &content {
            Content::Messages(messages) if messages.is_empty() => None,
            Content::Documents(documents) if documents.is_empty() => None,
            _ => Some(content),
        };
        Ok((content, flaw))
    }

    fn into_messages(self, kind: SpanKind, side: Side) -> Result<Vec<Message>, IoError> {
        Ok(match self.0 {
            IoRepr::Text(text) => vec![text.into()],
            IoRepr::Texts(texts) => texts.into_iter().map(Message::from).collect(),
            IoRepr::Messages(messages) => messages,
            IoRepr::Json(value) | IoRepr::Read(value) => messages_from_json(value),
            IoRepr::Documents(_) => {
                let field = side.documents();
                return Err(IoError::WrongKind { field, kind });
            }
        })
    }

    fn into_documents(self, kind: SpanKind, side: Side) -> Result<Vec<Document>, IoError> {
        Ok(match self.0 {
            IoRepr::Text(text) => vec![text.into()],
            IoRepr::Texts(texts) => texts.into_iter().map(Document::from).collect(),
            IoRepr::Documents(documents) => documents,
            IoRepr::Json(value) | IoRepr::Read(value) => documents_from_json(value),
            IoRepr::Messages(_) => {
                let field = side.messages();
                return Err(IoError::WrongKind { field, kind });
            }
        })
    }
}

/// Why an [`Io`] does not fit a span.
#[derive(Debug)]
pub(crate) enum IoError {
    WrongKind { field: &'static str, kind: SpanKind },
}

/// JSON as messages: a string, an object that is a message, or a list of those; whatever
/// else becomes one message with its JSON text, never an empty one. What is no message in a
/// list that has one becomes a message by itself.
pub(crate) fn messages_from_json(value: Value) -> Vec<Message> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items)
            if items.iter().all(is_message)
                || items
                    .iter()
                    .any(|item| item.is_object() && is_message(item)) =>
        {
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
        value => {
            let role = value
                .get("role")
                .and_then(Value::as_str)
                .unwrap_or_default();
            Message::new(role, json_text(&value))
        }
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
                .all(|item| item.is_string() || item.is_object())
                || items.iter().any(|item| item.get("text").is_some()) =>
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
        let content = |io: Io, kind| {
            let (content, flaw) = io.into_content(kind, Side::Input).unwrap();
            assert_eq!(flaw, None);
            content.unwrap()
        };
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
        assert_eq!(*list, json!([cut, "…[rest cut]"]));
    }

    #[test]
    fn json_that_becomes_longer_as_text_is_cut_as_text() {
        let value = json!({"k": "\u{1}".repeat(1_000_000)});
        let Content::Messages(messages) = Io::from(value)
            .into_content(SpanKind::Llm, Side::Input)
            .unwrap()
            .0
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
        assert!(matches!(content, (None, None)));
    }

    #[test]
    fn one_odd_element_does_not_cost_the_others() {
        use crate::message::{MediaPart, ToolCall};

        let content = |io: Io, kind, side| {
            let (content, flaw) = io.into_content(kind, side).unwrap();
            let json = match content.unwrap() {
                Content::Messages(messages) => to_json(&messages),
                Content::Documents(documents) => to_json(&documents),
                _ => unreachable!("messages and documents are given"),
            };
            (json, flaw)
        };
        let call = |arguments: Value| ToolCall::new("f", arguments);
        let odd = Message::assistant("b")
            .tool_call(call(json!("")))
            .tool_call(call(json!("{broken")))
            .tool_call(call(json!([1])))
            .tool_call(ToolCall::new("", json!({"a": 1})))
            .image(MediaPart::base64("", "aWI="));
        let messages = vec![Message::user("a"), odd, Message::user("c")];
        let (json, flaw) = content(messages.into(), SpanKind::Llm, Side::Output);
        assert_eq!(
            json,
            json!([
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b", "tool_calls": [
                    {"name": "f", "arguments": {}},
                    {"name": "f", "arguments": {"not_an_object": "{broken"}},
                    {"name": "f", "arguments": {"not_an_object": [1]}},
                    {"name": "<no name>", "arguments": {"a": 1}},
                ], "image_parts": [{"mime_type": "application/octet-stream", "content": "aWI="}]},
                {"role": "user", "content": "c"},
            ])
        );
        let flaw = flaw.unwrap();
        assert!(
            flaw.contains("tool call \"f\"") && flaw.contains("{broken"),
            "{flaw}"
        );

        let documents = vec![
            Document::new("a").score(0.5),
            Document::new("b").name("odd").score(f64::NAN),
        ];
        let (json, flaw) = content(documents.into(), SpanKind::Retrieval, Side::Output);
        let kept = json!([{"text": "a", "score": 0.5}, {"text": "b", "name": "odd"}]);
        assert_eq!(json, kept);
        let flaw = flaw.unwrap();
        assert!(flaw.contains("\"odd\"") && flaw.contains("NaN"), "{flaw}");

        // By the JSON of other types too, where a NaN is a text by then.
        let given = json!([{"text": "a"}, {"text": "b", "score": "NaN"}, 7]);
        let (json, flaw) = content(given.into(), SpanKind::Retrieval, Side::Output);
        assert_eq!(json, json!([{"text": "a"}, {"text": "b"}, {"text": "7"}]));
        assert!(flaw.unwrap().contains("NaN"));
        let given = json!([
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": null, "refusal": "no"},
            {"role": "assistant", "content": "c", "tool_calls": [{"name": "f", "arguments": ""}]},
        ]);
        let (json, flaw) = content(given.into(), SpanKind::Llm, Side::Input);
        assert_eq!(
            json,
            json!([
                {"role": "user", "content": "a"},
                {"role": "assistant",
                    "content": "{\"content\":null,\"refusal\":\"no\",\"role\":\"assistant\"}"},
                {"role": "assistant", "content": "c", "tool_calls": [{"name": "f", "arguments": {}}]},
            ])
        );
        assert_eq!(flaw, None);
    }
}
