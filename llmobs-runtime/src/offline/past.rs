//! A finished span of the past, as a user tells it.

mod check;

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::annotation::Annotation;
use crate::failure::SpanError;
use crate::given::{IntoIo, IntoJson, IntoNumber};
use crate::id::{self, SpanContext, TraceId};
use crate::kind::SpanKind;
use crate::text::IntoText;
use crate::usage::TokenUsage;
pub(super) use check::{event, own_tags};

/// A finished span that this library did not see: of a log, of a batch job, of another
/// process. A [`SpansClient`](crate::SpansClient) sends it.
///
/// It has fresh ids and no parent until it is given some. Building cannot fail; what is
/// wrong is the row's result when it is submitted.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{PastSpan, SpanKind, TokenUsage};
/// use std::time::{Duration, SystemTime};
///
/// let start = SystemTime::now() - Duration::from_secs(3_600);
/// let workflow = PastSpan::new(SpanKind::Workflow, "answer", start, Duration::from_secs(3))
///     .input("What is Rust?")
///     .output("A language.");
/// let call = PastSpan::new(SpanKind::Llm, "generate", start, Duration::from_secs(2))
///     .child_of(&workflow)
///     .model_name("claude")
///     .model_provider("anthropic")
///     .input(("user", "What is Rust?"))
///     .output(("assistant", "A language."))
///     .usage(TokenUsage::new().input(5).output(3));
/// assert_eq!(call.trace_id(), workflow.trace_id());
/// ```
#[derive(Clone, Debug)]
#[must_use = "a span of the past does nothing until it is submitted"]
pub struct PastSpan {
    pub(super) kind: SpanKind,
    name: String,
    span_id: String,
    trace_id: String,
    parent_id: Option<String>,
    apm_trace_id: Option<String>,
    start: SystemTime,
    length: Length,
    session_id: Option<String>,
    ml_app: Option<String>,
    model_name: Option<String>,
    model_provider: Option<String>,
    error: Option<SpanError>,
    annotation: Annotation,
}

/// How long a span took, by whichever of its ends is known.
#[derive(Clone, Copy, Debug)]
enum Length {
    Duration(Duration),
    Until(SystemTime),
}

impl PastSpan {
    /// A span of `kind` that began at `start` and took `duration`.
    ///
    /// A start in nanoseconds since the Unix epoch is
    /// `UNIX_EPOCH + Duration::from_nanos(start_ns)`. Datadog takes spans that began at most
    /// 24 hours ago.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// let start = UNIX_EPOCH + Duration::from_nanos(1_756_910_127_022_000_000);
    /// let span = PastSpan::new(SpanKind::Task, "count", start, Duration::from_millis(7));
    /// ```
    pub fn new(
        kind: SpanKind,
        name: impl Into<String>,
        start: SystemTime,
        duration: Duration,
    ) -> Self {
        Self::of(kind, name.into(), start, Length::Duration(duration))
    }

    /// The same for a span whose end is known. An end before the start is refused when the
    /// span is submitted.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// let end = SystemTime::now();
    /// let span = PastSpan::between(SpanKind::Task, "count", end - Duration::from_secs(1), end);
    /// ```
    pub fn between(
        kind: SpanKind,
        name: impl Into<String>,
        start: SystemTime,
        end: SystemTime,
    ) -> Self {
        Self::of(kind, name.into(), start, Length::Until(end))
    }

    fn of(kind: SpanKind, name: String, start: SystemTime, length: Length) -> Self {
        let since = start.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = u32::try_from(since.as_secs()).unwrap_or(u32::MAX);
        Self {
            kind,
            name,
            span_id: id::random().to_string(),
            trace_id: TraceId::new(seconds, id::random()).to_string(),
            parent_id: None,
            apm_trace_id: None,
            start,
            length,
            session_id: None,
            ml_app: None,
            model_name: None,
            model_provider: None,
            error: None,
            annotation: Annotation::new(),
        }
    }

    /// The span's id: opaque text, not empty. Default: a fresh one.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Task, "t", SystemTime::now(), Duration::ZERO);
    /// let span = span.with_span_id("17").with_trace_id("turn-4").with_parent_id("16");
    /// assert_eq!(span.context().unwrap().to_string(), "turn-4:17");
    /// ```
    pub fn with_span_id(mut self, span_id: impl Into<String>) -> Self {
        self.span_id = span_id.into();
        self
    }

    /// The trace's id: opaque text, not empty. Default: a fresh one, so that the span is
    /// alone in its trace.
    pub fn with_trace_id(mut self, trace_id: impl Into<String>) -> Self {
        self.trace_id = trace_id.into();
        self
    }

    /// The id of its parent within the trace. Without one, or with an empty one, it is the
    /// root.
    pub fn with_parent_id(mut self, parent_id: impl IntoText) -> Self {
        self.parent_id = filled(parent_id);
        self
    }

    /// Both ids of the span from a context.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Task, "t", SystemTime::now(), Duration::ZERO);
    /// # use llmobs_runtime::SpanContext;
    /// let stored: SpanContext = "6b029035000000005af1d0824f64ccff:123".parse()?;
    /// let span = span.with_context(&stored);
    /// assert_eq!(span.span_id(), "123");
    /// # Ok::<(), llmobs_runtime::SpanContextError>(())
    /// ```
    pub fn with_context(self, context: &SpanContext) -> Self {
        self.with_span_id(context.span_id())
            .with_trace_id(context.trace_id())
    }

    /// A span of the past as the parent: its trace, its id, and, where this span has none of
    /// its own, its session and its application.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Task, "t", SystemTime::now(), Duration::ZERO);
    /// let child = PastSpan::new(SpanKind::Tool, "look", SystemTime::now(), Duration::ZERO)
    ///     .child_of(&span);
    /// assert_eq!(child.trace_id(), span.trace_id());
    /// ```
    pub fn child_of(mut self, parent: &PastSpan) -> Self {
        self.session_id = self.session_id.or_else(|| parent.session_id.clone());
        self.ml_app = self.ml_app.or_else(|| parent.ml_app.clone());
        self.apm_trace_id.clone_from(&parent.apm_trace_id);
        self.with_trace_id(&parent.trace_id)
            .with_parent_id(&parent.span_id)
    }

    /// A span that was sent otherwise as the parent: its trace and its id.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Task, "t", SystemTime::now(), Duration::ZERO);
    /// # use llmobs_runtime::SpanContext;
    /// let sent: SpanContext = "6b029035000000005af1d0824f64ccff:123".parse()?;
    /// let span = span.child_of_context(&sent);
    /// # Ok::<(), llmobs_runtime::SpanContextError>(())
    /// ```
    pub fn child_of_context(self, parent: &SpanContext) -> Self {
        self.with_trace_id(parent.trace_id())
            .with_parent_id(&*parent.span_id())
    }

    /// The id of the trace in APM. Default: the trace's id.
    pub fn apm_trace_id(mut self, apm_trace_id: impl IntoText) -> Self {
        self.apm_trace_id = filled(apm_trace_id);
        self
    }

    /// The span's id.
    pub fn span_id(&self) -> &str {
        &self.span_id
    }

    /// The trace's id.
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// The application, where it was named.
    pub(super) fn application(&self) -> Option<&str> {
        self.ml_app.as_deref()
    }

    /// The span's identity, to join evaluations to; `None` where an id is empty.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// let span = PastSpan::new(SpanKind::Task, "count", SystemTime::now(), Duration::ZERO);
    /// assert!(span.context().is_some());
    /// assert!(span.with_span_id("").context().is_none());
    /// ```
    pub fn context(&self) -> Option<SpanContext> {
        SpanContext::new(&*self.span_id, &*self.trace_id).ok()
    }

    /// What went into the step, as in [`Annotation::input`].
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Llm, "l", SystemTime::now(), Duration::ZERO);
    /// let span = span.input(("user", "hi")).output(("assistant", "ho"));
    /// ```
    pub fn input(mut self, input: impl IntoIo) -> Self {
        self.annotation = self.annotation.input(input);
        self
    }

    /// What came out of it, as in [`Annotation::output`].
    pub fn output(mut self, output: impl IntoIo) -> Self {
        self.annotation = self.annotation.output(output);
        self
    }

    /// Any `Serialize` as the input, as in [`Annotation::input_json`].
    pub fn input_json<T: Serialize + ?Sized>(mut self, input: &T) -> Self {
        self.annotation = self.annotation.input_json(input);
        self
    }

    /// Any `Serialize` as the output, as in [`Annotation::input_json`].
    pub fn output_json<T: Serialize + ?Sized>(mut self, output: &T) -> Self {
        self.annotation = self.annotation.output_json(output);
        self
    }

    /// A property of the call, such as `temperature`.
    pub fn metadata(mut self, key: impl Into<String>, value: impl IntoJson) -> Self {
        self.annotation = self.annotation.metadata(key, value);
        self
    }

    /// A measure, under the names of [`Annotation::metric`]; a dot in the key becomes an
    /// underscore. `time_to_first_token` is in seconds.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Llm, "l", SystemTime::now(), Duration::ZERO);
    /// let span = span.metric("time_to_first_token", 0.25).metadata("temperature", 0.2);
    /// ```
    pub fn metric(mut self, key: impl Into<String>, value: impl IntoNumber) -> Self {
        self.annotation = self.annotation.metric(key, value);
        self
    }

    /// How many tokens the call took.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Llm, "l", SystemTime::now(), Duration::ZERO);
    /// # use llmobs_runtime::TokenUsage;
    /// let span = span.usage(TokenUsage::new().input(12).output(3));
    /// ```
    pub fn usage(mut self, usage: TokenUsage) -> Self {
        self.annotation = self.annotation.usage(usage);
        self
    }

    /// A tag, sent as `key:value`; the key must not be empty.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Task, "t", SystemTime::now(), Duration::ZERO);
    /// let span = span.tag("imported_from", "chat-log").session_id("chat-9");
    /// ```
    pub fn tag(mut self, key: impl IntoText, value: impl fmt::Display) -> Self {
        self.annotation = self.annotation.tag(key, value);
        self
    }

    /// Several tags.
    pub fn tags<K: IntoText, V: fmt::Display>(
        mut self,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.annotation = self.annotation.tags(tags);
        self
    }

    /// The session that it belongs to. Empty text is left out.
    pub fn session_id(mut self, session_id: impl IntoText) -> Self {
        self.session_id = filled(session_id);
        self
    }

    /// The application, in place of the configured one. Empty text is left out.
    pub fn ml_app(mut self, ml_app: impl IntoText) -> Self {
        self.ml_app = filled(ml_app);
        self
    }

    /// The model, on spans of the kinds `llm` and `embedding`. Empty text is left out.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Llm, "l", SystemTime::now(), Duration::ZERO);
    /// let span = span.model_name("claude").model_provider("anthropic");
    /// ```
    pub fn model_name(mut self, model_name: impl IntoText) -> Self {
        self.model_name = filled(model_name);
        self
    }

    /// Who provides the model, on spans of the kinds `llm` and `embedding`; sent in lower
    /// case. Empty text is left out.
    pub fn model_provider(mut self, model_provider: impl IntoText) -> Self {
        self.model_provider = filled(model_provider);
        self
    }

    /// It failed: the type of the error, and its message.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Task, "t", SystemTime::now(), Duration::ZERO);
    /// let span = span.error("Timeout", "no answer within 30 s");
    /// ```
    pub fn error(mut self, kind: impl Into<String>, message: impl Into<String>) -> Self {
        self.error = Some(SpanError::new(kind, message));
        self
    }

    /// It failed with an error of this program, which is read with its sources.
    ///
    /// ```
    /// # use llmobs_runtime::{PastSpan, SpanKind};
    /// # use std::time::{Duration, SystemTime};
    /// # let span = PastSpan::new(SpanKind::Task, "t", SystemTime::now(), Duration::ZERO);
    /// let error = "x".parse::<i32>().unwrap_err();
    /// let span = span.failed_with(&error);
    /// ```
    pub fn failed_with<E: Error + ?Sized>(mut self, error: &E) -> Self {
        self.error = Some(SpanError::from_error(error));
        self
    }
}

fn filled(text: impl IntoText) -> Option<String> {
    let text = text.into_text().map(String::from);
    text.filter(|text| !text.is_empty())
}
