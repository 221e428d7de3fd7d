//! The start of an annotated function: what its attribute says and what it captures.

use std::any::{Any, type_name};
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::annotation::Content;
use crate::capture::{self, Captured};
use crate::client;
use crate::context::{Token, function};
use crate::failure::SpanError;
use crate::kind::SpanKind;
use crate::passing;
use crate::span::{Slot, Span, SpanData, SpanInner};
use crate::text::{IntoText, Text};

/// A span that is about to start; none where no client takes it. One pointer: it is moved about in
/// annotated functions.
pub struct Starting(Option<Slot>);

/// The kinds.
#[derive(Debug)]
pub struct Kind;

#[allow(
    non_upper_case_globals,
    reason = "the attributes write them as variants"
)]
impl Kind {
    pub const Llm: SpanKind = SpanKind::Llm;
    pub const Workflow: SpanKind = SpanKind::Workflow;
    pub const Agent: SpanKind = SpanKind::Agent;
    pub const Tool: SpanKind = SpanKind::Tool;
    pub const Task: SpanKind = SpanKind::Task;
    pub const Embedding: SpanKind = SpanKind::Embedding;
    pub const Retrieval: SpanKind = SpanKind::Retrieval;
}

/// Whether anything is, at the price of one relaxed load.
#[inline]
pub fn enabled() -> bool {
    client::any_enabled()
}

/// Begins a span, if a client takes it.
#[cold]
#[inline(never)]
pub fn start(name: &'static &'static str, kind: SpanKind) -> Starting {
    Starting(function::draft(name, kind))
}

impl Starting {
    /// Whether there is anything to be told.
    #[inline]
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    #[inline]
    fn span(&mut self) -> Option<&mut SpanInner> {
        self.0.as_mut()?.span_mut()
    }

    #[inline]
    fn tell(&mut self, tell: impl FnOnce(&mut SpanInner)) {
        if let Some(span) = self.span() {
            tell(span);
        }
    }

    /// Whether what the function is given may be looked at.
    pub fn captures(&self) -> bool {
        let span = self.0.as_ref().and_then(Slot::span);
        span.is_some_and(SpanInner::captures)
    }

    /// An empty name, or none, leaves the function's own.
    #[inline]
    pub fn name(&mut self, name: impl Telling) {
        let Some(slot) = &mut self.0 else { return };
        if let Some(literal) = name.literal() {
            slot.set_literal(literal);
        }
        if let Some(span) = slot.span_mut() {
            name.put(span.name_mut());
        }
    }

    pub fn session_id(&mut self, session_id: impl Telling) {
        let session_id = session_id.text();
        self.tell(|span| span.set_session(session_id));
    }

    /// Comes before [`agent_service`](Self::agent_service), its newer name, which wins.
    pub fn ml_app(&mut self, ml_app: impl Telling) {
        let ml_app = ml_app.text();
        self.tell(|span| span.set_ml_app(ml_app));
    }

    pub fn agent_service(&mut self, agent_service: impl Telling) {
        let agent_service = agent_service.text();
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

    #[inline]
    pub fn tag<T: Display + ?Sized>(&mut self, key: &'static str, value: &T) {
        self.tag_as(type_name::<T>(), key, &value);
    }

    /// Once for all types.
    #[inline(never)]
    fn tag_as(&mut self, type_name: &str, key: &'static str, value: &dyn Display) {
        let mut told = Text::default();
        capture::tell_as(type_name, value, &mut told);
        capture::scrub_urls(&mut told);
        self.tell(|span| span.data_mut().tags.push((Text::literal(key), told)));
    }

    pub fn metadata(&mut self, key: &'static str, value: Captured) {
        let value = value.into_value();
        self.tell(|span| {
            let details = span.data_mut().details();
            details.metadata.insert(key.to_owned(), value);
        });
    }

    /// The same of so many arguments, for which there is room then.
    pub fn captures_arguments(&mut self, count: usize) -> bool {
        let captures = self.captures();
        if captures {
            let arguments = Content::Arguments(Vec::with_capacity(count));
            self.tell(|span| span.data_mut().input = Some(arguments));
        }
        captures
    }

    /// One captured argument.
    pub fn argument(&mut self, name: &'static str, value: Captured) {
        self.tell(|span| {
            if let Some(Content::Arguments(arguments)) = &mut span.data_mut().input {
                arguments.push((name, value));
            }
        });
    }

    /// `input = expr`.
    pub fn input(&mut self, value: Captured) {
        self.tell(|span| {
            span.data_mut().input = Content::captured(value);
        });
    }

    /// Starts the span and makes it current.
    #[inline(never)]
    pub fn enter(self) -> Entered {
        let token = self.settle().and_then(function::enter);
        Entered::new(token.unwrap_or(Token::NONE))
    }

    /// The same within the first poll of an [`Instrumented`](super::future::Instrumented),
    /// which takes the span over when that poll returns.
    pub fn enter_poll(self) {
        let entered = self.enter();
        if entered.is_some() {
            super::future::begun(entered);
        }
    }

    /// The span after all that it was told.
    #[inline]
    fn settle(self) -> Option<Slot> {
        let Self(mut slot) = self;
        slot.as_mut()?.settle();
        slot
    }
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Starting")
    }
}

/// A span that is current on this thread, by its place on the thread's stack. Where the function's
/// body stands inline, its drop ends the span, with an error if a panic comes by.
///
/// One register, since it is moved about in annotated functions; of its thread, as that stack.
#[derive(Debug)]
pub struct Entered(Token, PhantomData<*const ()>);

impl Entered {
    #[inline]
    fn new(token: Token) -> Self {
        Self(token, PhantomData)
    }

    /// Whether there is a span.
    #[inline]
    pub(super) fn is_some(&self) -> bool {
        self.0 != Token::NONE
    }

    /// Whether what the function returns is worth a look.
    pub(super) fn wants_output(&self) -> bool {
        function::wants_output(self.0)
    }

    /// Changes what can be added until the end; `None` after it, and where there is no span. No
    /// code of a user may run in `change`.
    pub(super) fn with_data<R>(&self, change: impl FnOnce(&mut SpanData) -> R) -> Option<R> {
        function::with_data(self.0, change)
    }

    /// Notes the panic that comes by; the drop ends the span.
    #[cold]
    #[inline(never)]
    fn panicked(&self, payload: &(dyn Any + Send)) {
        let error = SpanError::panic(payload);
        self.with_data(|data| {
            data.error.get_or_insert_with(|| Box::new(error));
        });
    }

    /// The span is current no more.
    pub(super) fn leave(self) -> Span {
        let token = self.0;
        std::mem::forget(self);
        function::leave(token).unwrap_or_else(Span::idle)
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        function::finish(self.0);
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
                passing::resumes(&*payload);
                resume_unwind(payload)
            }
        },
    }
}

/// Any expression that an attribute may hold where a text goes.
#[inline]
pub fn text<T: IntoText>(text: T) -> Told<T> {
    Told {
        text,
        into_text: T::into_text,
        put: T::put,
    }
}

/// A literal, which is not copied.
#[inline]
pub fn literal(text: &'static &'static str) -> Literal {
    Literal(text)
}

/// What can be done with it goes along, so that a type that is no text is one error, where it stands.
#[derive(Debug)]
pub struct Told<T> {
    text: T,
    into_text: fn(T) -> Option<Text>,
    put: fn(T, &mut Text) -> bool,
}

#[derive(Debug)]
pub struct Literal(&'static &'static str);

/// What an attribute tells with [`text`] or [`literal`].
pub trait Telling {
    fn text(self) -> Option<Text>;

    /// Puts it into `place`, unless it is empty or nothing is set.
    fn put(self, place: &mut Text);

    /// The literal, unless it is none or empty.
    fn literal(&self) -> Option<&'static &'static str> {
        None
    }
}

impl<T> Telling for Told<T> {
    fn text(self) -> Option<Text> {
        (self.into_text)(self.text)
    }

    #[inline]
    fn put(self, place: &mut Text) {
        (self.put)(self.text, place);
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

    fn literal(&self) -> Option<&'static &'static str> {
        Some(self.0).filter(|text| !text.is_empty())
    }
}

/// Stands in a `return` that is never reached, and tells the compiler the type of all others.
#[allow(clippy::empty_loop, reason = "never called")]
pub fn fake<T>() -> T {
    loop {}
}
