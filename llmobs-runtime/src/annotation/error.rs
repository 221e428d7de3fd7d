//! Why an annotation was not applied as a whole.

use crate::kind::SpanKind;

/// Why an annotation, or a part of one, was not applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotateError {
    /// No span was given and none is current here.
    #[error("no span to annotate: none was given and none is current on this thread or task")]
    NoSpan,
    /// The span has ended; what it holds is on its way.
    #[error("span {name:?} has ended: nothing can be added to it")]
    Ended {
        /// The span's name.
        name: String,
    },
    /// The kind of this span has no such field. The rest of the annotation was applied.
    #[error("a span of kind {kind} carries no {field}; the rest of the annotation was applied")]
    WrongKind {
        /// What was given.
        field: &'static str,
        /// The span's kind.
        kind: SpanKind,
    },
    /// A value that the wire has no place for. The rest of the annotation was applied.
    #[error("{reason}; the rest of the annotation was applied")]
    InvalidValue {
        /// What is wrong, with the name and the value.
        reason: String,
    },
}
