//! Typed builders: a kind offers only what it can carry.

use std::fmt;
use std::marker::PhantomData;

use crate::capture;
use crate::given::IntoJson;
use crate::kind::SpanKind;
use crate::span::{Span, Start};
use crate::text::IntoText;

/// The kinds as types, for [`SpanBuilder`].
pub mod kinds {
    use crate::kind::SpanKind;

    mod sealed {
        pub trait Sealed {}
    }

    /// A kind of span, as a type.
    pub trait Kind: sealed::Sealed {
        /// The same as a value.
        const KIND: SpanKind;
    }

    /// A kind that calls a model.
    pub trait HasModel: Kind {}

    macro_rules! kinds {
        ($($kind:ident)*) => {$(
            #[doc = concat!("The kind `", stringify!($kind), "`.")]
            #[derive(Clone, Copy, Debug)]
            pub enum $kind {}
            impl sealed::Sealed for $kind {}
            impl Kind for $kind {
                const KIND: SpanKind = SpanKind::$kind;
            }
        )*};
    }

    kinds!(Llm Workflow Agent Tool Task Embedding Retrieval);
    impl HasModel for Llm {}
    impl HasModel for Embedding {}
}

use kinds::{Agent, Embedding, HasModel, Kind, Llm, Retrieval, Task, Tool, Workflow};

/// A span that has not started. [`start`](Self::start) starts it below the current span.
///
/// While llmobs is not enabled, starting gives an idle handle.
#[must_use = "a span starts with `start`"]
pub struct SpanBuilder<K> {
    start: Start,
    kind: PhantomData<K>,
}

macro_rules! makers {
    ($($(#[$doc:meta])* $maker:ident $kind:ident;)*) => {
        impl Span {$(
            $(#[$doc])*
            ///
            /// An empty name, or `None`, is the kind's own.
            pub fn $maker(name: impl IntoText) -> SpanBuilder<$kind> {
                SpanBuilder::new(name)
            }
        )*}
    };
}

makers! {
    /// A call of a language model.
    llm Llm;
    /// A fixed sequence of steps.
    workflow Workflow;
    /// A model that decides its own steps.
    agent Agent;
    /// A call of a program or service that a model asked for.
    tool Tool;
    /// A step without a call to the outside.
    task Task;
    /// A call of an embedding model.
    embedding Embedding;
    /// A search in a knowledge base.
    retrieval Retrieval;
}

impl<K: Kind> SpanBuilder<K> {
    fn new(name: impl IntoText) -> Self {
        let mut start = Start::new(K::KIND);
        start.name = name.into_text();
        Self {
            start,
            kind: PhantomData,
        }
    }

    /// The session that the span belongs to. Default: the parent's, else the first of the trace.
    pub fn session_id(mut self, session_id: impl IntoText) -> Self {
        self.start.session_id = session_id.into_text();
        self
    }

    /// The application. Default: the parent's, else the configured one.
    pub fn ml_app(mut self, ml_app: impl IntoText) -> Self {
        self.start.ml_app = ml_app.into_text();
        self
    }

    /// The newer name of [`ml_app`](Self::ml_app), which it wins over.
    pub fn agent_service(mut self, agent_service: impl IntoText) -> Self {
        self.start.agent_service = agent_service.into_text();
        self
    }

    /// A tag, sent as `key:value`; the value is what its `Display` gives. The tag
    /// `session_id` also sets the session, unless [`session_id`](Self::session_id) does.
    pub fn tag(mut self, key: impl IntoText, value: impl fmt::Display) -> Self {
        if let Some(key) = key.into_text() {
            self.start.tags.push((key, capture::told(&value)));
        }
        self
    }

    /// A property of the call.
    pub fn metadata(mut self, key: impl Into<String>, value: impl IntoJson) -> Self {
        self.start.metadata.push((key.into(), value.into_json()));
        self
    }

    /// Starts the span. It is not current yet: [`Span::enter`].
    pub fn start(self) -> Span {
        Span::begin(self.start)
    }
}

impl<K: HasModel> SpanBuilder<K> {
    /// The model's name. Default: `unknown`.
    pub fn model_name(mut self, model_name: impl IntoText) -> Self {
        self.start.model_name = model_name.into_text();
        self
    }

    /// Who runs the model; lower-cased when it is sent. Default: `unknown`.
    pub fn model_provider(mut self, model_provider: impl IntoText) -> Self {
        self.start.model_provider = model_provider.into_text();
        self
    }
}

impl SpanBuilder<Agent> {
    /// The agent's version: the tag `agent_version` of this span.
    pub fn version(mut self, version: impl IntoText) -> Self {
        self.start.agent_version = version.into_text();
        self
    }
}

impl<K: Kind> fmt::Debug for SpanBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.start.name.as_deref();
        write!(f, "SpanBuilder({} {name:?})", SpanKind::as_str(K::KIND))
    }
}
