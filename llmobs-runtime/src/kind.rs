//! The seven kinds of span.

use std::fmt;

/// What a span stands for, in Datadog's vocabulary; the wire field `meta.span.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanKind {
    /// A call of a language model.
    Llm,
    /// A fixed sequence of steps.
    Workflow,
    /// A model that decides its own steps.
    Agent,
    /// A call of a program or service that a model asked for.
    Tool,
    /// A step without a call to the outside.
    Task,
    /// A call of an embedding model.
    Embedding,
    /// A search in a knowledge base.
    Retrieval,
}

impl SpanKind {
    /// The name on the wire, which is also the default name of a span: `"llm"`, `"workflow"`, …
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Workflow => "workflow",
            Self::Agent => "agent",
            Self::Tool => "tool",
            Self::Task => "task",
            Self::Embedding => "embedding",
            Self::Retrieval => "retrieval",
        }
    }

    /// Only these kinds carry `model_name` and `model_provider` (golden 02).
    pub(crate) const fn has_model(self) -> bool {
        matches!(self, Self::Llm | Self::Embedding)
    }
}

impl fmt::Display for SpanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
