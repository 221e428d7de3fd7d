//! The start of an annotated function: what its attribute says and what it captures.

use std::any::Any;
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use serde_json::Value;

use super::record;
use crate::annotation::Side;
use crate::client;
use crate::config::Capture;
use crate::context::{self, Attached, Token};
use crate::failure::SpanError;
use crate::kind::SpanKind;
use crate::span::{Span, SpanData, SpanInner, Start};
use crate::text::{IntoText, Text};

/// A span that is about to start.
pub struct Starting {
    start: Start,
    captures: bool,
    arguments: Vec<(&'static str, Value)>,
}

/// The kinds as functions. What calls with a function counts for clippy as having an
/// effect, which the start of a span has; else it would ask for `#[must_use]` on functions
/// whose own effects it does not see, in the closure around their body.
#[derive(Debug)]
pub struct Kind;

#[allow(
    non_upper_case_globals,
    reason = "the attributes write them as variants"
)]
impl Kind {
    pub const Llm: fn() -> SpanKind = || SpanKind::Llm;
    pub const Workflow: fn() -> SpanKind = || SpanKind::Workflow;
    pub const Agent: fn() -> SpanKind = || SpanKind::Agent;
    pub const Tool: fn() -> SpanKind = || SpanKind::Tool;
    pub const Task: fn() -> SpanKind = || SpanKind::Task;
    pub const Embedding: fn() -> SpanKind = || SpanKind::Embedding;
    pub const Retrieval: fn() -> SpanKind = || SpanKind::Retrieval;
}

/// Whether anything is, at the price of one relaxed load.
#[inline]
pub fn enabled() -> bool {
    client::any_enabled()
}

/// `None` where no client takes it.
#[cold]
#[inline(never)]
pub fn start(name: &'static str, kind: fn() -> SpanKind) -> Option<Starting> {
    let mut start = Start::new(kind());
    start.origin = context::origin();
    let captures = start.origin.as_ref()?.client.settings.capture == Capture::Full;
    start.name = Some(Text::literal(name));
    start.decorated = true;
    Some(Starting {
        start,
        captures,
        arguments: Vec::new(),
    })
}

impl Starting {
    /// Whether what the function is given may be looked at.
    #[inline]
    pub fn captures(&self) -> bool {
        self.captures
    }

    /// An empty name, or none, leaves the function's own.
    pub fn name(&mut self, name: Option<Text>) {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.start.name = Some(name);
        }
    }

    pub fn session_id(&mut self, session_id: Option<Text>) {
        self.start.session_id = session_id;
    }

    pub fn ml_app(&mut self, ml_app: Option<Text>) {
        self.start.extra().ml_app = ml_app;
    }

    pub fn agent_service(&mut self, agent_service: Option<Text>) {
        self.start.extra().agent_service = agent_service;
    }

    pub fn model_name(&mut self, model_name: Option<Text>) {
        self.start.model_name = model_name;
    }

    pub fn model_provider(&mut self, model_provider: Option<Text>) {
        self.start.model_provider = model_provider;
    }

    pub fn version(&mut self, version: Option<Text>) {
        self.start.extra().agent_version = version;
    }

    pub fn tag(&mut self, key: &'static str, value: &dyn Display) {
        let value = Text::from(record::display(value));
        self.start.tags.push((Text::literal(key), value));
    }

    pub fn metadata(&mut self, key: &'static str, value: Value) {
        self.start.metadata.push((key.to_owned(), value));
    }

    /// The same of so many arguments, for which there is room then.
    pub fn captures_arguments(&mut self, count: usize) -> bool {
        if self.captures {
            self.arguments.reserve_exact(count);
        }
        self.captures
    }

    /// One captured argument.
    pub fn argument(&mut self, name: &'static str, value: Value) {
        self.arguments.push((name, value));
    }

    /// `input = expr`.
    pub fn input(&mut self, value: Value) {
        self.start.input = record::content(self.start.kind, Side::Input, value);
    }

    /// Starts the span and makes it current.
    #[inline(never)]
    pub fn enter(&mut self) -> Entered {
        let captures = self.captured_kind();
        self.take_arguments();
        let Some(mut slot) = context::own_slot() else {
            return Entered::shared(Span::idle(), captures);
        };
        if !SpanInner::begin_in(&mut slot, &mut self.start) {
            return Entered::shared(Span::idle(), captures);
        }
        if slot.span().is_some_and(SpanInner::has_tracing) {
            let span = slot.take().map(Arc::new);
            return Entered::shared(span.map_or_else(Span::idle, Span::of), captures);
        }
        Entered {
            own: context::push_own(slot),
            attached: Attached::default(),
            span: Span::idle(),
            captures,
        }
    }

    fn captured_kind(&self) -> Option<SpanKind> {
        self.captures.then_some(self.start.kind)
    }

    fn take_arguments(&mut self) {
        if !self.arguments.is_empty() {
            let arguments = std::mem::take(&mut self.arguments);
            self.start.input = record::arguments(self.start.kind, arguments);
        }
    }

    /// The same within the first poll of an [`Instrumented`](super::future::Instrumented),
    /// which takes the span over when that poll returns.
    pub fn enter_poll(&mut self) {
        self.take_arguments();
        let span = Span::begin_at_origin(&mut self.start);
        super::future::begun(Entered::shared(span, self.captured_kind()));
    }
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Starting({})", self.start.kind)
    }
}

/// A span that is current on this thread. Where the function's body stands inline, its
/// drop ends the span, with an error if a panic comes by.
#[derive(Debug)]
pub struct Entered {
    /// The place of a span that the thread's stack owns; then there is none in `span`.
    own: Option<Token>,
    attached: Attached,
    span: Span,
    /// The kind, where what the function returns may be looked at.
    captures: Option<SpanKind>,
}

impl Entered {
    fn shared(span: Span, captures: Option<SpanKind>) -> Self {
        Self {
            own: None,
            attached: Attached::span(&span),
            span,
            captures,
        }
    }

    pub(super) fn captured_kind(&self) -> Option<SpanKind> {
        self.captures
    }

    /// Changes what can be added until the end; `None` after it, and where there is no span. No
    /// code of a user may run in `change`.
    pub(super) fn with_data<R>(&self, change: impl FnOnce(&mut SpanData) -> R) -> Option<R> {
        match self.own {
            Some(token) => context::with_own(token, change),
            None => self.span.with_data(change),
        }
    }

    /// Notes the panic that comes by; the drop ends the span.
    #[cold]
    #[inline(never)]
    fn panicked(&self, payload: &(dyn Any + Send)) {
        self.with_data(|data| {
            data.error
                .get_or_insert_with(|| Box::new(SpanError::panic(payload)));
        });
    }

    /// The span is current no more.
    pub(super) fn leave(mut self) -> Span {
        match self.own.take() {
            Some(token) => context::pop_own(token).map_or_else(Span::idle, Span::of),
            None => {
                self.attached = Attached::default();
                std::mem::replace(&mut self.span, Span::idle())
            }
        }
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        if let Some(token) = self.own {
            context::finish_own(token);
        }
    }
}

/// Runs the body of a function that is not async.
#[inline]
pub fn call<R>(entered: &Option<Entered>, body: impl FnOnce() -> R) -> R {
    match entered {
        None => body(),
        Some(entered) => match catch_unwind(AssertUnwindSafe(body)) {
            Ok(returned) => returned,
            Err(payload) => {
                entered.panicked(&*payload);
                resume_unwind(payload)
            }
        },
    }
}

/// Text out of any expression that an attribute may hold.
pub fn text(text: impl IntoText) -> Option<Text> {
    text.into_text()
}

/// Text out of a literal, which is not copied.
#[inline]
pub fn literal(text: &'static str) -> Option<Text> {
    Some(Text::literal(text))
}

/// Stands in a `return` that is never reached, and tells the compiler the type of all others.
#[allow(clippy::empty_loop, reason = "never called")]
pub fn fake<T>() -> T {
    loop {}
}
