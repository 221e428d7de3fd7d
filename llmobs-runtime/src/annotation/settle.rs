//! The form in which what was captured is kept and sent, kind by kind.

use serde_json::{Map, Value};

use super::io::{Content, Io, Side, messages_from_json};
use crate::capture::Captured;
use crate::kind::SpanKind;

impl Content {
    /// Keeps a captured value until the worker has the span; `None` for `null`, which is no content.
    pub(crate) fn captured(value: Captured) -> Option<Self> {
        (!value.is_null()).then_some(Self::Captured(value))
    }

    /// As its kind sends it. A model gets messages: the one argument if it is one, else all of
    /// them as JSON text. None at all, of a function whose arguments are all left out by `cfg`,
    /// are no input.
    pub(crate) fn settle(self, kind: SpanKind, side: Side) -> Option<Self> {
        match self {
            Self::Captured(value) => content(kind, side, value.into_value()),
            Self::Arguments(arguments) if arguments.is_empty() => None,
            Self::Arguments(arguments) if kind.has_model() => as_messages(kind, arguments),
            settled => Some(settled),
        }
    }
}

/// A captured value as its kind sends it.
fn content(kind: SpanKind, side: Side, value: Value) -> Option<Content> {
    if value.is_null() {
        return None;
    }
    Io::from(value).into_content(kind, side).ok()?.0
}

fn text_content(kind: SpanKind, side: Side, value: &Value) -> Option<Content> {
    Io::from(value.to_string()).into_content(kind, side).ok()?.0
}

fn as_messages(kind: SpanKind, arguments: Vec<(&'static str, Captured)>) -> Option<Content> {
    let side = Side::Input;
    let arguments = arguments.into_iter();
    let mut arguments: Vec<_> = arguments
        .map(|(name, value)| (name, value.into_value()))
        .collect();
    if let [(_, value)] = &mut arguments[..] {
        let fits = match kind {
            SpanKind::Llm => speaks(value),
            _ => value.is_string() || is_texts(value),
        };
        if fits {
            return content(kind, side, value.take());
        }
    }
    let named = arguments
        .into_iter()
        .map(|(name, value)| (name.into(), value));
    let named = Value::Object(named.collect::<Map<_, _>>());
    text_content(kind, side, &named)
}

/// Whether a value is a message, or a list of them, by itself.
fn speaks(value: &Value) -> bool {
    let one =
        |value: &Value| value.is_string() || value.get("content").is_some_and(Value::is_string);
    match value {
        Value::Array(items) => {
            !items.is_empty()
                && items.iter().all(one)
                && messages_from_json(value.clone()).len() == items.len()
        }
        value => one(value),
    }
}

/// Whether a value is a list of texts or of documents.
fn is_texts(value: &Value) -> bool {
    let one = |value: &Value| value.is_string() || value.get("text").is_some_and(Value::is_string);
    match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(one),
        value => one(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::IoFields;
    use serde_json::json;

    const KINDS: [SpanKind; 7] = [
        SpanKind::Llm,
        SpanKind::Workflow,
        SpanKind::Agent,
        SpanKind::Tool,
        SpanKind::Task,
        SpanKind::Embedding,
        SpanKind::Retrieval,
    ];

    #[derive(Debug)]
    #[allow(dead_code, reason = "it is printed")]
    struct Login {
        password: &'static str,
    }

    fn printed(name: Option<&str>) -> Captured {
        Captured::printed(name, &Login { password: "HUNTER" })
    }

    fn sent(content: Content, kind: SpanKind, side: Side) -> Value {
        let settled = content.settle(kind, side);
        serde_json::to_value(settled.map(IoFields::from)).unwrap()
    }

    #[test]
    fn what_was_printed_is_sent_in_the_form_of_its_kind_without_secrets() {
        const TEXT: &str = "Login { password: [redacted] }";
        for kind in KINDS {
            for side in [Side::Input, Side::Output] {
                let content = Content::captured(printed(None)).unwrap();
                let expected = match (kind, side) {
                    (SpanKind::Llm, _) => json!({"messages": [{"content": TEXT, "role": ""}]}),
                    (SpanKind::Embedding, Side::Input) | (SpanKind::Retrieval, Side::Output) => {
                        json!({"documents": [{"text": TEXT}]})
                    }
                    _ => json!({"value": TEXT}),
                };
                assert_eq!(sent(content, kind, side), expected, "{kind:?} {side:?}");
            }
        }
    }

    #[test]
    fn arguments_are_sent_in_the_form_of_their_kind_without_secrets() {
        for kind in KINDS {
            for arguments in [
                vec![("login", printed(Some("login")))],
                vec![
                    ("login", printed(Some("login"))),
                    ("times", Value::from(2).into()),
                    ("password", printed(Some("password"))),
                ],
            ] {
                let count = arguments.len();
                let content = Content::Arguments(arguments);
                assert!(!format!("{content:?}").contains("HUNTER"));
                let sent = sent(content, kind, Side::Input).to_string();
                assert!(!sent.contains("HUNTER"), "{kind:?}: {sent}");
                assert_eq!(sent.matches("[redacted]").count(), 1 + count / 3, "{sent}");
            }
        }
        assert!(Content::captured(Value::Null.into()).is_none());
        for kind in KINDS {
            let none = Content::Arguments(Vec::new());
            assert_eq!(sent(none, kind, Side::Input), Value::Null);
        }
    }
}
