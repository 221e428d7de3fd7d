//! The seven kinds, and what each of them allows and captures (ddtrace's rules).

/// The kind of span that an attribute makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Llm,
    Workflow,
    Agent,
    Tool,
    Task,
    Embedding,
    Retrieval,
}

impl Kind {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 7] = [
        Self::Llm,
        Self::Workflow,
        Self::Agent,
        Self::Tool,
        Self::Task,
        Self::Embedding,
        Self::Retrieval,
    ];

    /// The attribute's name.
    pub(crate) fn name(self) -> &'static str {
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

    /// The runtime's name for it.
    pub(crate) fn variant(self) -> &'static str {
        match self {
            Self::Llm => "Llm",
            Self::Workflow => "Workflow",
            Self::Agent => "Agent",
            Self::Tool => "Tool",
            Self::Task => "Task",
            Self::Embedding => "Embedding",
            Self::Retrieval => "Retrieval",
        }
    }

    pub(crate) fn has_model(self) -> bool {
        matches!(self, Self::Llm | Self::Embedding)
    }

    pub(crate) fn has_version(self) -> bool {
        self == Self::Agent
    }

    /// Whether the arguments are the input unless the attribute says otherwise. What a
    /// model is given is messages, which arguments rarely are.
    pub(crate) fn captures_input(self) -> bool {
        !self.has_model()
    }

    /// Whether the returned value is the output unless the attribute says otherwise.
    pub(crate) fn captures_output(self) -> bool {
        !matches!(self, Self::Embedding | Self::Retrieval)
    }
}
