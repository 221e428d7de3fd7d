//! One span that has ended: what it holds, and assertions on it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::finished::{Finished, one};
use super::submitted::Submitted;
use super::tree::{belongs, io_lines};
use crate::document::Document;
use crate::event::NO_PARENT;
use crate::given::{IntoJson, IntoNumber};
use crate::id::SpanContext;
use crate::kind::SpanKind;
use crate::message::Message;

const KINDS: [SpanKind; 7] = [
    SpanKind::Llm,
    SpanKind::Workflow,
    SpanKind::Agent,
    SpanKind::Tool,
    SpanKind::Task,
    SpanKind::Embedding,
    SpanKind::Retrieval,
];

/// A span that has ended, as it would be sent: [`Finished::span`].
///
/// Each `assert_…` gives the span back, so that they stand in a row, and where it fails
/// shows what the span has instead, and the tree.
#[derive(Clone, Copy)]
pub struct FinishedSpan<'a> {
    event: &'a Value,
    all: &'a Finished,
}

impl<'a> FinishedSpan<'a> {
    pub(super) fn new(event: &'a Value, all: &'a Finished) -> Self {
        Self { event, all }
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.event["name"].as_str().unwrap_or_default()
    }

    /// Its kind.
    ///
    /// # Panics
    ///
    /// Where the event names a kind that this version does not know.
    #[track_caller]
    pub fn kind(&self) -> SpanKind {
        let known = KINDS
            .into_iter()
            .find(|kind| kind.as_str() == self.kind_name());
        match known {
            Some(kind) => kind,
            None => self.failed(&format!("{:?} is no kind of span", self.kind_name())),
        }
    }

    /// What it was given.
    pub fn input(&self) -> FinishedIo<'a> {
        FinishedIo(&self.event["meta"]["input"])
    }

    /// What it gave.
    pub fn output(&self) -> FinishedIo<'a> {
        FinishedIo(&self.event["meta"]["output"])
    }

    /// The metadata under `key`: `Some(&json!(0.5))`.
    pub fn metadata(&self, key: &str) -> Option<&'a Value> {
        self.event["meta"]["metadata"].get(key)
    }

    /// The metric `key`, such as `input_tokens`.
    pub fn metric(&self, key: &str) -> Option<f64> {
        self.event["metrics"].get(key)?.as_f64()
    }

    /// The value of the tag `key`, also of those that llmobs sets: `ml_app`, `service`,
    /// `cancelled`.
    pub fn tag(&self, key: &str) -> Option<&'a str> {
        tag_of(self.event, key)
    }

    /// The model of an `llm` or `embedding` span; `unknown` where none was named.
    pub fn model_name(&self) -> Option<&'a str> {
        self.event["meta"].get("model_name")?.as_str()
    }

    /// Who provides the model, in lower case; `unknown` where nobody was named.
    pub fn model_provider(&self) -> Option<&'a str> {
        self.event["meta"].get("model_provider")?.as_str()
    }

    /// The session, its own or inherited.
    pub fn session_id(&self) -> Option<&'a str> {
        self.event.get("session_id")?.as_str()
    }

    /// What went wrong; `None` for a span that is no error.
    pub fn error(&self) -> Option<FinishedError<'a>> {
        (self.event["status"] == "error").then(|| FinishedError(&self.event["meta"]["error"]))
    }

    /// Its parent; `None` for a root, and where the parent has not ended here.
    pub fn parent(&self) -> Option<FinishedSpan<'a>> {
        let mut spans = self.all.spans().into_iter();
        spans.find(|span| span.is_parent_of(self))
    }

    /// Its children that have ended, in the order of their starts.
    pub fn children(&self) -> Vec<FinishedSpan<'a>> {
        let mut spans = self.all.spans();
        spans.retain(|span| self.is_parent_of(span));
        spans
    }

    /// Whether it is the first span of its trace.
    pub fn is_root(&self) -> bool {
        self.event["parent_id"] == NO_PARENT
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.event["duration"].as_u64().unwrap_or_default())
    }

    /// Its identity, as [`export_span`](crate::export_span) gives it.
    ///
    /// # Panics
    ///
    /// Where the event has no ids.
    #[track_caller]
    pub fn context(&self) -> SpanContext {
        match SpanContext::deserialize(self.event) {
            Ok(context) => context,
            Err(error) => self.failed(&format!("it has no ids: {error}")),
        }
    }

    /// The evaluations that are joined to it, in the order in which they were submitted.
    pub fn evaluations(&self) -> Vec<Submitted<'a>> {
        let mut all = self.all.evaluations();
        all.retain(|evaluation| belongs(evaluation.json(), self.event));
        all
    }

    /// Its one evaluation of this label.
    ///
    /// # Panics
    ///
    /// With the labels that there are, where there is none or where there are several.
    #[track_caller]
    pub fn evaluation(&self, label: &str) -> Submitted<'a> {
        match one(&self.evaluations(), label) {
            Ok(evaluation) => evaluation,
            Err(reason) => self.failed(&reason),
        }
    }

    /// The event as it would be sent; the path of a field is Datadog's.
    pub fn json(&self) -> &'a Value {
        self.event
    }

    /// Fails unless the span has this kind.
    ///
    /// # Panics
    ///
    /// With its kind and the tree, where that is another.
    #[track_caller]
    pub fn assert_kind(self, kind: SpanKind) -> Self {
        let actual = self.kind();
        self.check(actual == kind, || {
            format!("its kind is {actual}, expected {kind}")
        })
    }

    /// Fails unless the text of the input is `expected`: [`FinishedIo::text`].
    ///
    /// # Panics
    ///
    /// With its input and the tree, where that is another.
    #[track_caller]
    pub fn assert_input(self, expected: &str) -> Self {
        let actual = self.input();
        self.check(actual == expected, || {
            format!("its input is {actual:?}, expected {expected:?}")
        })
    }

    /// Fails unless the text of the output is `expected`: [`FinishedIo::text`].
    ///
    /// # Panics
    ///
    /// With its output and the tree, where that is another.
    #[track_caller]
    pub fn assert_output(self, expected: &str) -> Self {
        let actual = self.output();
        self.check(actual == expected, || {
            format!("its output is {actual:?}, expected {expected:?}")
        })
    }

    /// Fails unless the metadata under `key` is `expected`.
    ///
    /// # Panics
    ///
    /// With its metadata and the tree, where that is something else or nothing.
    #[track_caller]
    pub fn assert_metadata(self, key: &str, expected: impl IntoJson) -> Self {
        let (actual, expected) = (self.metadata(key), expected.into_json());
        self.check(actual == Some(&expected), || {
            let all = &self.event["meta"]["metadata"];
            format!("expected the metadata {key:?} to be {expected}, but it has {all}")
        })
    }

    /// Fails unless the metric `key` is `expected`.
    ///
    /// # Panics
    ///
    /// With its metrics and the tree, where that is another number or none.
    #[track_caller]
    pub fn assert_metric(self, key: &str, expected: impl IntoNumber) -> Self {
        let expected = expected.into_number();
        let wanted = expected.to_json().and_then(|number| number.as_f64());
        self.check(wanted.is_some() && self.metric(key) == wanted, || {
            let all = &self.event["metrics"];
            format!("expected the metric {key:?} to be {expected}, but it has {all}")
        })
    }

    /// Fails unless the span has the tag `key:value`.
    ///
    /// # Panics
    ///
    /// With its tags and the tree, where it has not.
    #[track_caller]
    pub fn assert_tag(self, key: &str, value: impl fmt::Display) -> Self {
        let expected = value.to_string();
        self.check(self.tag(key) == Some(&*expected), || {
            let all = &self.event["tags"];
            format!("expected the tag {key}:{expected}, but it has {all}")
        })
    }

    /// Fails unless the span is an error whose type or message contains `part`.
    ///
    /// # Panics
    ///
    /// With its error and the tree, where it has another or none.
    #[track_caller]
    pub fn assert_error(self, part: &str) -> Self {
        let error = self.error();
        let found = error.is_some_and(|error| {
            error.type_name().contains(part) || error.message().contains(part)
        });
        self.check(found, || match error {
            Some(error) => format!("its error is {error:?}, expected one with {part:?}"),
            None => format!("it is no error, expected one with {part:?}"),
        })
    }

    /// Fails if the span is an error.
    ///
    /// # Panics
    ///
    /// With its error and the tree, where it is one.
    #[track_caller]
    pub fn assert_ok(self) -> Self {
        let error = self.error();
        self.check(error.is_none(), || match error {
            Some(error) => format!("it is an error: {error:?}"),
            None => String::new(),
        })
    }

    /// Fails unless the parent of the span has this name.
    ///
    /// # Panics
    ///
    /// With its parent and the tree, where that has another name or is not there.
    #[track_caller]
    pub fn assert_parent(self, name: &str) -> Self {
        let parent = self.parent();
        let found = parent.is_some_and(|parent| parent.name() == name);
        self.check(found, || match parent {
            Some(parent) => format!("its parent is {:?}, expected {name:?}", parent.name()),
            None if self.is_root() => format!("it has no parent, expected {name:?}"),
            None => format!("its parent has not ended here, expected {name:?}"),
        })
    }

    fn kind_name(&self) -> &'a str {
        let kind = &self.event["meta"]["span"]["kind"];
        kind.as_str().unwrap_or_default()
    }

    fn is_parent_of(&self, other: &Self) -> bool {
        let (parent, child) = (self.event, other.event);
        parent["span_id"] == child["parent_id"] && parent["trace_id"] == child["trace_id"]
    }

    #[track_caller]
    fn check(self, holds: bool, message: impl FnOnce() -> String) -> Self {
        if !holds {
            self.failed(&message());
        }
        self
    }

    #[track_caller]
    fn failed(&self, what: &str) -> ! {
        let (kind, name) = (self.kind_name(), self.name());
        panic!("{kind} span {name:?}: {what}, in\n\n{}", self.all.tree());
    }
}

/// Its line in the tree.
impl fmt::Debug for FinishedSpan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = if self.error().is_some() {
            " [error]"
        } else {
            ""
        };
        write!(f, "{} {}{error}", self.kind_name(), self.name())
    }
}

/// The value of a tag of an event: what stands behind the first colon.
pub(super) fn tag_of<'a>(event: &'a Value, key: &str) -> Option<&'a str> {
    let tags = event["tags"].as_array()?.iter();
    let mut tags = tags.filter_map(|tag| tag.as_str()?.split_once(':'));
    tags.find_map(|(other, value)| (other == key).then_some(value))
}

/// Input or output of a span: text, messages or documents.
///
/// It is compared with text: `assert_eq!(span.output(), "Paris")`.
#[derive(Clone, Copy)]
pub struct FinishedIo<'a>(&'a Value);

impl<'a> FinishedIo<'a> {
    /// The text: of a value, or of all messages' contents or documents' texts with line
    /// feeds between. Empty where there is nothing.
    pub fn text(&self) -> Cow<'a, str> {
        if let Some(value) = self.0.get("value").and_then(Value::as_str) {
            return Cow::Borrowed(value);
        }
        let items = |list: &str, text: &str| -> Vec<&'a str> {
            let items = self.0[list].as_array().into_iter().flatten();
            items.filter_map(|item| item.get(text)?.as_str()).collect()
        };
        let mut texts = items("messages", "content");
        texts.extend(items("documents", "text"));
        match texts[..] {
            [one] => Cow::Borrowed(one),
            _ => Cow::Owned(texts.join("\n")),
        }
    }

    /// The value as JSON, such as the arguments that an attribute captured:
    /// `assert_eq!(span.input().json()["question"], "Which city?")`. Text that is no JSON
    /// is a JSON string; messages and documents are an array; nothing is `Null`.
    pub fn json(&self) -> Value {
        if let Some(value) = self.0.get("value").and_then(Value::as_str) {
            return serde_json::from_str(value).unwrap_or_else(|_| value.into());
        }
        let lists = ["messages", "documents"];
        let list = lists.into_iter().find_map(|list| self.0.get(list));
        list.cloned().unwrap_or_default()
    }

    /// The messages of an `llm` span.
    pub fn messages(&self) -> Vec<Message> {
        self.list("messages")
    }

    /// The documents of a `retrieval` or `embedding` span.
    pub fn documents(&self) -> Vec<Document> {
        self.list("documents")
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.as_object().is_none_or(serde_json::Map::is_empty)
    }

    fn list<T: for<'de> Deserialize<'de>>(self, key: &str) -> Vec<T> {
        let items = self.0[key].as_array().into_iter().flatten();
        items.filter_map(|item| T::deserialize(item).ok()).collect()
    }
}

/// The lines that a tree shows.
impl fmt::Debug for FinishedIo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&io_lines(self.0).join("\n"), f)
    }
}

impl fmt::Display for FinishedIo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

macro_rules! equal_to_text {
    ($($text:ty)*) => {$(
        impl PartialEq<$text> for FinishedIo<'_> {
            fn eq(&self, other: &$text) -> bool {
                self.text() == *other
            }
        }
    )*};
}

equal_to_text!(str &str String);

/// What went wrong in a span.
#[derive(Clone, Copy)]
pub struct FinishedError<'a>(&'a Value);

impl<'a> FinishedError<'a> {
    /// The type: a path such as `std::num::error::ParseIntError`, or `panic`.
    pub fn type_name(&self) -> &'a str {
        self.text("type")
    }

    /// What it says.
    pub fn message(&self) -> &'a str {
        self.text("message")
    }

    /// Type, message and sources, a line each.
    pub fn stack(&self) -> &'a str {
        self.text("stack")
    }

    fn text(self, key: &str) -> &'a str {
        self.0[key].as_str().unwrap_or_default()
    }
}

impl fmt::Debug for FinishedError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.type_name(), self.message())
    }
}
