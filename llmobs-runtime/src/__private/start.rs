//! The start of an annotated function: what its attribute says and what it captures.

use std::any::Any;
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use serde_json::Value;

use super::record;
use crate::annotation::{Annotations, Side};
use crate::client;
use crate::config::Capture;
use crate::context::{self, Attached, Token};
use crate::failure::SpanError;
use crate::kind::SpanKind;
use crate::span::{Slot, Span, SpanData, SpanInner};
use crate::text::{IntoText, Text};

/// A span that is about to start.
pub struct Starting {
    /// Where it is; empty once it has started.
    slot: Option<Slot>,
    kind: SpanKind,
    captures: bool,
    /// The newer name of `ml_app`, which it wins over.
    told_agent_service: bool,
    annotations: Option<Annotations>,
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
    let (mut origin, mut slot) = context::origin_with_slot()?;
    let kind = kind();
    let captures = origin.client.settings.capture == Capture::Full;
    let annotations = origin.annotations.take();
    slot.draft(kind, Text::literal(name), true, origin);
    Some(Starting {
        slot: Some(slot),
        kind,
        captures,
        told_agent_service: false,
        annotations,
        arguments: Vec::new(),
    })
}

impl Starting {
    fn span(&mut self) -> Option<&mut SpanInner> {
        self.slot.as_mut()?.span_mut()
    }

    #[inline]
    fn tell(&mut self, tell: impl FnOnce(&mut SpanInner)) {
        if let Some(span) = self.span() {
            tell(span);
        }
    }

    /// Whether what the function is given may be looked at.
    #[inline]
    pub fn captures(&self) -> bool {
        self.captures
    }

    /// An empty name, or none, leaves the function's own.
    #[inline]
    pub fn name(&mut self, name: impl Telling) {
        if let Some(span) = self.span() {
            name.put(span.name_mut());
        }
    }

    pub fn session_id(&mut self, session_id: impl Telling) {
        let session_id = session_id.text();
        self.tell(|span| span.set_session(session_id));
    }

    pub fn ml_app(&mut self, ml_app: impl Telling) {
        if !self.told_agent_service {
            let ml_app = ml_app.text();
            self.tell(|span| span.set_ml_app(ml_app));
        }
    }

    pub fn agent_service(&mut self, agent_service: impl Telling) {
        let agent_service = agent_service.text();
        let told = agent_service.as_ref();
        self.told_agent_service = told.is_some_and(|text| !text.is_empty());
        self.tell(|span| span.set_ml_app(agent_service));
    }

    #[inline]
    pub fn model_name(&mut self, model_name: impl Telling) {
        if let Some(span) = self.span() {
            model_name.put(&mut span.data_mut().model_name);
        }
    }

    #[inline]
    pub fn model_provider(&mut self, model_provider: impl Telling) {
        if let Some(span) = self.span() {
            model_provider.put(&mut span.data_mut().model_provider);
        }
    }

    pub fn version(&mut self, version: impl Telling) {
        let version = version.text();
        self.tell(|span| span.set_agent_version(version));
    }

    pub fn tag(&mut self, key: &'static str, value: &dyn Display) {
        let value = Text::from(record::display(value));
        self.tell(|span| span.data_mut().tags.push((Text::literal(key), value)));
    }

    pub fn metadata(&mut self, key: &'static str, value: Value) {
        self.tell(|span| drop(span.data_mut().metadata.insert(key.to_owned(), value)));
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
        let content = record::content(self.kind, Side::Input, value);
        self.tell(|span| span.data_mut().input = content);
    }

    /// Starts the span and makes it current.
    #[inline(never)]
    pub fn enter(&mut self) -> Entered {
        let captures = self.captured_kind();
        match self.settle() {
            Some(slot) if !slot.span().is_some_and(SpanInner::has_tracing) => Entered {
                own: context::push_own(slot),
                attached: Attached::default(),
                span: Span::idle(),
                captures,
            },
            slot => Entered::shared(shared(slot), captures),
        }
    }

    /// The same within the first poll of an [`Instrumented`](super::future::Instrumented),
    /// which takes the span over when that poll returns.
    pub fn enter_poll(&mut self) {
        let span = shared(self.settle());
        super::future::begun(Entered::shared(span, self.captured_kind()));
    }

    fn captured_kind(&self) -> Option<SpanKind> {
        self.captures.then_some(self.kind)
    }

    /// The span after all that it was told.
    #[inline]
    fn settle(&mut self) -> Option<Slot> {
        if !self.arguments.is_empty() {
            let arguments = std::mem::take(&mut self.arguments);
            let content = record::arguments(self.kind, arguments);
            self.tell(|span| span.data_mut().input = content);
        }
        let annotations = self.annotations.take();
        self.tell(|span| span.settle(annotations));
        self.slot.take()
    }
}

/// A handle on a span that others may refer to.
fn shared(slot: Option<Slot>) -> Span {
    let Some(mut slot) = slot else {
        return Span::idle();
    };
    let span = slot.take().map(Arc::new);
    context::keep_slot(slot);
    span.map_or_else(Span::idle, Span::of)
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Starting({})", self.kind)
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

/// Any expression that an attribute may hold where a text goes.
#[inline]
pub fn text<T: IntoText>(text: T) -> Told<T> {
    Told(text)
}

/// A literal, which is not copied.
#[inline]
pub fn literal(text: &'static str) -> Literal {
    Literal(text)
}

#[derive(Debug)]
pub struct Told<T>(T);

#[derive(Debug)]
pub struct Literal(&'static str);

/// What an attribute tells with [`text`] or [`literal`].
pub trait Telling {
    fn text(self) -> Option<Text>;

    /// Puts it into `place`, unless it is empty or nothing is set.
    fn put(self, place: &mut Text);
}

impl<T: IntoText> Telling for Told<T> {
    fn text(self) -> Option<Text> {
        self.0.into_text()
    }

    #[inline]
    fn put(self, place: &mut Text) {
        self.0.put(place);
    }
}

impl Telling for Literal {
    fn text(self) -> Option<Text> {
        Some(Text::literal(self.0))
    }

    fn put(self, place: &mut Text) {
        if !self.0.is_empty() {
            *place = Text::literal(self.0);
        }
    }
}

/// Stands in a `return` that is never reached, and tells the compiler the type of all others.
#[allow(clippy::empty_loop, reason = "never called")]
pub fn fake<T>() -> T {
    loop {}
}
