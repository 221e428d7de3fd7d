//! A finished span as processors see it: the event, with what keeps it whole.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::texts;
use crate::annotation::AnnotateError;
use crate::capture;
use crate::document::Document;
use crate::event::{IoFields, Meta, NO_PARENT, SpanEvent, Status};
use crate::failure::SpanError;
use crate::given::{IntoJson, IntoNumber};
use crate::kind::SpanKind;
use crate::message::Message;
use crate::span;
use crate::text::IntoText;

/// The key of `metadata` that is not the user's.
const RESERVED: &str = "_dd";
/// Tags that follow a field of the event.
const SESSION: &str = "session_id";
const ERROR: &str = "error";
const ERROR_TYPE: &str = "error_type";
/// What is said of a future that was dropped: ours, though it comes the way of a user's tags.
const CANCELLED: &str = "cancelled:true";
/// The mark of a span whose processor failed.
const FAILED: &str = "processor_failed";

/// A finished span on its way out, as a processor sees and changes it
/// ([`Config::processor`](crate::Config::processor)).
///
/// It is all that will be sent: what [`Capture`](crate::Capture) takes away is gone already.
/// Ids, times, kind and status cannot be changed.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{ProcessedSpan, Verdict};
///
/// fn hide(span: &mut ProcessedSpan) -> Verdict {
///     span.redact(|text| *text = text.replace("Rumpelstiltskin", "[name]"));
///     span.remove_metadata("raw_request");
///     for message in span.input_mut().messages_mut() {
///         message.images_mut().clear();
///     }
///     Verdict::Keep
/// }
/// let config = llmobs::Config::new().processor(hide);
/// # drop(config);
/// ```
pub struct ProcessedSpan {
    event: SpanEvent,
    kind: SpanKind,
    input: ProcessedIo,
    output: ProcessedIo,
    /// What stood in the metadata under [`RESERVED`] (as in ddtrace: kept, and not shown).
    reserved: Option<Value>,
    own_tags: Vec<String>,
}

impl ProcessedSpan {
    pub(super) fn new(mut event: SpanEvent, kind: SpanKind, own_tags: Vec<String>) -> Self {
        let meta = &mut event.meta;
        Self {
            kind,
            input: ProcessedIo(std::mem::take(&mut meta.input)),
            output: ProcessedIo(std::mem::take(&mut meta.output)),
            reserved: meta.metadata.remove(RESERVED),
            own_tags,
            event,
        }
    }

    /// What the span stands for.
    pub fn kind(&self) -> SpanKind {
        self.kind
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.event.name
    }

    /// Gives it another name; an empty one stands for its kind's. Spans below an agent have
    /// the agent's former name ([`agent_name`](Self::agent_name)).
    pub fn set_name(&mut self, name: impl Into<String>) {
        self.event.name = name.into();
    }

    /// Its id: a decimal number.
    pub fn span_id(&self) -> &str {
        &self.event.span_id
    }

    /// The id of its trace: 32 hex digits.
    pub fn trace_id(&self) -> &str {
        &self.event.trace_id
    }

    /// The id of its parent; `None` for the first span of a trace.
    pub fn parent_id(&self) -> Option<&str> {
        Some(&*self.event.parent_id).filter(|id| *id != NO_PARENT)
    }

    /// When it started, in nanoseconds since 1970.
    pub fn start_ns(&self) -> u64 {
        self.event.start_ns
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.event.duration)
    }

    /// What went in.
    pub fn input(&self) -> &ProcessedIo {
        &self.input
    }

    /// What went in, to be changed.
    pub fn input_mut(&mut self) -> &mut ProcessedIo {
        &mut self.input
    }

    /// What came out.
    pub fn output(&self) -> &ProcessedIo {
        &self.output
    }

    /// What came out, to be changed.
    pub fn output_mut(&mut self) -> &mut ProcessedIo {
        &mut self.output
    }

    /// The model, of `llm` and `embedding`; `unknown` where nobody said.
    pub fn model_name(&self) -> Option<&str> {
        self.event.meta.model_name.as_deref()
    }

    /// Who runs the model, in lower case; `unknown` where nobody said.
    pub fn model_provider(&self) -> Option<&str> {
        self.event.meta.model_provider.as_deref()
    }

    /// The name of the nearest agent above, as it was when the span started.
    pub fn agent_name(&self) -> Option<&str> {
        let agent = self.event.meta.agent_attribution.as_ref()?;
        agent.pagent_name.as_deref()
    }

    /// Gives the nearest agent above another name in this span; `None` leaves its id alone.
    /// Without an agent it does nothing.
    pub fn set_agent_name(&mut self, name: impl IntoText) {
        if let Some(agent) = &mut self.event.meta.agent_attribution {
            agent.pagent_name = name.into_text().map(Into::into);
        }
    }

    /// Whether it ended with an error.
    pub fn is_error(&self) -> bool {
        self.event.status == Status::Error
    }

    /// The type of its error: a Rust type's name, or `panic`.
    pub fn error_type(&self) -> Option<&str> {
        Some(&self.event.meta.error.as_ref()?.kind)
    }

    /// The type of its error, to be changed; the tag `error_type` follows.
    pub fn error_type_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.event.meta.error.as_mut()?.kind)
    }

    /// What its error says.
    pub fn error_message(&self) -> Option<&str> {
        Some(&self.event.meta.error.as_ref()?.message)
    }

    /// What its error says, to be changed. The stack says it as well.
    pub fn error_message_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.event.meta.error.as_mut()?.message)
    }

    /// Type and message of its error, and a line for each cause.
    pub fn error_stack(&self) -> Option<&str> {
        Some(&self.event.meta.error.as_ref()?.stack)
    }

    /// Type and message of its error and a line for each cause, to be changed.
    pub fn error_stack_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.event.meta.error.as_mut()?.stack)
    }

    /// A property of the call. Datadog's own, under `_dd`, are not shown, cannot be set, and
    /// are sent as they are but for [`redact`](Self::redact).
    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.event.meta.metadata.get(key)
    }

    /// A property of the call, to be changed.
    pub fn metadata_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.event.meta.metadata.get_mut(key)
    }

    /// Sets a property, whether it was there or not.
    pub fn set_metadata(&mut self, key: impl Into<String>, value: impl IntoJson) {
        let value = value.into_json();
        self.event.meta.metadata.insert(key.into(), value);
    }

    /// Takes a property away.
    pub fn remove_metadata(&mut self, key: &str) -> Option<Value> {
        self.event.meta.metadata.remove(key)
    }

    /// Keeps those properties for which `keep` is true; it may change their values.
    pub fn retain_metadata(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        let metadata = &mut self.event.meta.metadata;
        metadata.retain(|key, value| keep(key, value));
    }

    /// A measure, rounded to the nearest float.
    pub fn metric(&self, key: &str) -> Option<f64> {
        self.event.metrics.get(key)?.as_f64()
    }

    /// Sets a measure, whether it was there or not. A dot in the key becomes an underscore.
    ///
    /// # Errors
    ///
    /// [`AnnotateError::InvalidValue`] for a NaN or an infinity, which changes nothing.
    pub fn set_metric(
        &mut self,
        key: impl Into<String>,
        value: impl IntoNumber,
    ) -> Result<(), AnnotateError> {
        let (key, number) = span::metric(key.into(), value.into_number())?;
        if let Some(number) = number.to_json() {
            self.event.metrics.insert(key, number);
        }
        Ok(())
    }

    /// Keeps those measures for which `keep` is true.
    pub fn retain_metrics(&mut self, mut keep: impl FnMut(&str, f64) -> bool) {
        let metrics = &mut self.event.metrics;
        metrics.retain(|key, value| keep(key, value.as_f64().unwrap_or(f64::NAN)));
    }

    /// The value of a tag. Those of the configuration and of llmobs itself are here as well:
    /// `env`, `service`, `ml_app`, `error`, `language`, …
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.event.tags.iter().find_map(|tag| value_of(tag, key))
    }

    /// All tags as key and value, which are parted at the first colon.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.event.tags.iter().map(|tag| parted(tag))
    }

    /// Sets a tag, whether it was there or not. `session_id` sets the session too; `error` and
    /// `error_type` follow the error, whatever is set here.
    pub fn set_tag(&mut self, key: impl IntoText, value: impl fmt::Display) {
        let Some(key) = key.into_text() else { return };
        let value = String::from(capture::told(&value));
        if key == *SESSION {
            self.event.session_id = Some(value).filter(|value| !value.is_empty());
            self.follow();
        } else {
            put(&mut self.event.tags, &key, Some(&value));
        }
    }

    /// Takes a tag away.
    pub fn remove_tag(&mut self, key: &str) {
        self.event.tags.retain(|tag| value_of(tag, key).is_none());
        self.forget_session();
    }

    /// Keeps those tags for which `keep` is true. Without the tag `session_id` the span has no
    /// session.
    pub fn retain_tags(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.event.tags.retain(|tag| {
            let (key, value) = parted(tag);
            keep(key, value)
        });
        self.forget_session();
    }

    /// The session that the span belongs to.
    pub fn session_id(&self) -> Option<&str> {
        self.event.session_id.as_deref()
    }

    /// Sets the session and the tag of that name; an empty text or `None` takes them away.
    pub fn set_session_id(&mut self, session: impl IntoText) {
        let session = session.into_text().filter(|session| !session.is_empty());
        self.event.session_id = session.map(Into::into);
        self.follow();
    }

    /// Hands every text of the span's content to `change`, such as one that replaces what must
    /// not be seen.
    ///
    /// That is: values, what messages say, the strings in the arguments of tool calls, the
    /// results of tools, the texts of documents, the strings in the metadata at any depth, the
    /// message and the stack of the error, and the values of the tags that are not of the
    /// configuration. Not handed out are names (of spans, agents, models, tools and documents),
    /// ids, roles, keys, numbers, the session, pictures and audio.
    ///
    /// A text that is JSON, such as captured arguments and their `value`, is handed out string by
    /// string first, keys included, each as the program had it, without escapes; then as a
    /// whole. So `change` may see the same words more than once. It changes the text in place:
    /// `|text| *text = text.replace("…", "***")`.
    pub fn redact(&mut self, mut change: impl FnMut(&mut String)) {
        let change = &mut change;
        texts::in_meta(&mut self.event.meta, change);
        for io in [&mut self.input, &mut self.output] {
            texts::in_io(&mut io.0, change);
        }
        if let Some(reserved) = &mut self.reserved {
            texts::in_json(reserved, change);
        }
        for tag in &mut self.event.tags {
            let (key, value) = parted(tag);
            if self.own_tags.contains(tag) || [SESSION, ERROR, ERROR_TYPE].contains(&key) {
                continue;
            }
            let (at, mut value) = (key.len(), value.to_owned());
            texts::in_text(&mut value, change);
            tag.truncate(at);
            tag.push(':');
            tag.push_str(&value);
        }
    }

    /// Takes all content away: input, output, metadata, the message and the stack of the error,
    /// and the tags that are neither of the configuration nor the session's. Names, the session,
    /// model and metrics stay.
    pub fn remove_content(&mut self) {
        let mut bare = Meta::new(self.kind);
        let meta = &mut self.event.meta;
        bare.model_name = meta.model_name.take();
        bare.model_provider = meta.model_provider.take();
        bare.agent_attribution = meta.agent_attribution.take();
        bare.error = meta
            .error
            .take()
            .map(|error| SpanError::new(error.kind, ""));
        self.event.meta = bare;
        self.input.clear();
        self.output.clear();
        self.reserved = None;
        let was_cancelled = self.event.tags.iter().any(|tag| tag == CANCELLED);
        self.event.tags.clone_from(&self.own_tags);
        if was_cancelled {
            self.event.tags.push(CANCELLED.to_owned());
        }
        self.follow();
    }

    /// Makes the tags say what the fields do.
    fn follow(&mut self) {
        let SpanEvent {
            tags,
            session_id,
            meta,
            ..
        } = &mut self.event;
        let error = meta.error.as_ref();
        put(tags, SESSION, session_id.as_deref());
        put(tags, ERROR, Some(if error.is_some() { "1" } else { "0" }));
        put(tags, ERROR_TYPE, error.map(|error| &*error.kind));
    }

    fn forget_session(&mut self) {
        if self.tag(SESSION).is_none() {
            self.event.session_id = None;
        }
    }

    /// Mends or takes out what a processor left and the wire does not allow, as `annotate` does. Tells
    /// the first of that, without a value: what it says may be what nobody is to see.
    pub(super) fn mend(&mut self) -> Option<&'static str> {
        let mut flaw = None;
        let mut note = |wrong: bool, what| {
            if wrong {
                flaw.get_or_insert(what);
            }
        };
        for io in [&mut self.input.0, &mut self.output.0] {
            for message in io.messages.iter_mut().flatten() {
                let what = "a tool call without a name or with arguments that are no object, or a \
                            media part without a MIME type: it is mended";
                note(message.mend().is_some(), what);
            }
            for document in &mut io.documents {
                let what = "a document's score that is no number: it is left out";
                note(document.mend().is_some(), what);
            }
        }
        let nameless = self.event.meta.metadata.remove("");
        let what = "a property of the metadata without a name: it is left out";
        note(nameless.is_some(), what);
        let tags = &mut self.event.tags;
        let before = tags.len();
        tags.retain(|tag| !parted(tag).0.is_empty());
        let what = "a tag without a key: it is left out";
        note(tags.len() < before, what);
        flaw
    }

    /// The event as processors leave it.
    pub(super) fn finished(mut self) -> SpanEvent {
        let meta = &mut self.event.meta;
        meta.metadata.remove(RESERVED);
        meta.metadata = capture::bound_map(std::mem::take(&mut meta.metadata));
        if let Some(reserved) = self.reserved.take() {
            meta.metadata.insert(RESERVED.to_owned(), reserved);
        }
        for io in [&mut self.input.0, &mut self.output.0] {
            let messages = io.messages.iter_mut().flatten();
            for call in messages.flat_map(|message| &mut message.tool_calls) {
                call.arguments = capture::bound(call.arguments.take());
            }
        }
        meta.input = std::mem::take(&mut self.input.0);
        meta.output = std::mem::take(&mut self.output.0);
        // A processor may have put something deep there.
        meta.flatten();
        if self.event.name.is_empty() {
            self.kind.as_str().clone_into(&mut self.event.name);
        }
        self.follow();
        self.event.tags.sort_unstable();
        self.event
    }

    /// The event after a processor has failed: of what processors may change, which they may
    /// have been about to hide, only numbers and the type of an error are left.
    pub(super) fn stripped(mut self) -> SpanEvent {
        self.event.name.clear();
        self.event.session_id = None;
        self.set_agent_name(None::<&str>);
        self.remove_content();
        self.event.collection_errors.push(FAILED.to_owned());
        self.finished()
    }
}

/// Key and value of a tag.
fn parted(tag: &str) -> (&str, &str) {
    tag.split_once(':').unwrap_or((tag, ""))
}

fn value_of<'a>(tag: &'a str, key: &str) -> Option<&'a str> {
    tag.strip_prefix(key)?.strip_prefix(':')
}

/// Sets a tag, or takes it away.
fn put(tags: &mut Vec<String>, key: &str, value: Option<&str>) {
    let at = tags.iter().position(|tag| value_of(tag, key).is_some());
    match (at, value) {
        (Some(at), Some(value)) => tags[at] = format!("{key}:{value}"),
        (None, Some(value)) => tags.push(format!("{key}:{value}")),
        (Some(at), None) => drop(tags.remove(at)),
        (None, None) => {}
    }
}

/// Not its content.
impl fmt::Debug for ProcessedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpanEvent {
            name,
            trace_id,
            span_id,
            ..
        } = &self.event;
        write!(
            f,
            "ProcessedSpan({} {name:?} {trace_id}:{span_id})",
            self.kind
        )
    }
}

/// An input or an output of a [`ProcessedSpan`]: a value, messages or documents, by its kind.
///
/// An `llm` has messages; what goes into an `embedding` and comes out of a `retrieval` are
/// documents; everything else is a value, which is text: a captured one is its JSON.
#[derive(Clone, PartialEq)]
pub struct ProcessedIo(IoFields);

impl ProcessedIo {
    /// The value, if it has one.
    pub fn value(&self) -> Option<&str> {
        self.0.value.as_deref()
    }

    /// The value, to be changed. An emptied one is sent as empty text.
    pub fn value_mut(&mut self) -> Option<&mut String> {
        self.0.value.as_mut()
    }

    /// Sets the value, or takes it away.
    pub fn set_value(&mut self, value: impl IntoText) {
        self.0.value = value.into_text().map(Into::into);
    }

    /// The messages; empty where it has none.
    pub fn messages(&self) -> &[Message] {
        self.0.messages.as_deref().unwrap_or_default()
    }

    /// The messages, to be changed; empty where it has none.
    pub fn messages_mut(&mut self) -> &mut [Message] {
        self.0.messages.as_deref_mut().unwrap_or_default()
    }

    /// Sets the messages. An empty list is sent as one (as in ddtrace).
    pub fn set_messages(&mut self, messages: Vec<Message>) {
        self.0.messages = Some(messages);
    }

    /// The documents; empty where it has none.
    pub fn documents(&self) -> &[Document] {
        &self.0.documents
    }

    /// The documents, to be changed; empty where it has none.
    pub fn documents_mut(&mut self) -> &mut [Document] {
        &mut self.0.documents
    }

    /// Sets the documents; of an empty list nothing is sent (as in ddtrace).
    pub fn set_documents(&mut self, documents: Vec<Document>) {
        self.0.documents = documents;
    }

    /// Takes everything away, so that nothing is sent of it.
    pub fn clear(&mut self) {
        self.0 = IoFields::default();
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.value().is_none() && self.messages().is_empty() && self.documents().is_empty()
    }
}

/// How much there is of it, not what.
impl fmt::Debug for ProcessedIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessedIo")
            .field("value_bytes", &self.0.value.as_ref().map(String::len))
            .field("messages", &self.messages().len())
            .field("documents", &self.documents().len())
            .finish()
    }
}
