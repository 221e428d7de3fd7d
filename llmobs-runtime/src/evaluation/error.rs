//! Why an evaluation was not taken.

use super::details::Fault;

/// Why an evaluation was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// There was no span to export where the target was made.
    #[error(
        "evaluation {label:?} has no span: no span was current where export_span was called; \
         call it inside the annotated function, or give the span itself (&span)"
    )]
    NoSpan {
        /// The evaluation's label.
        label: String,
    },
    /// The ids or the tag of the target are not usable.
    #[error("evaluation {label:?} has an unusable target: {reason}")]
    InvalidTarget {
        /// The evaluation's label.
        label: String,
        /// What is wrong, with the value.
        reason: String,
    },
    /// The label breaks Datadog's rules.
    #[error("{label:?} is no label for an evaluation: {rule}; see `Evaluation::sanitized`")]
    InvalidLabel {
        /// What was given.
        label: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The value is no metric.
    #[error(
        "evaluation {label:?} cannot have the value {value}: expected a finite number, text, \
         a bool or a JSON object"
    )]
    InvalidValue {
        /// The evaluation's label.
        label: String,
        /// What was given.
        value: String,
    },
    /// The timestamp is not positive.
    #[error(
        "evaluation {label:?} has the timestamp {timestamp_ms}: expected milliseconds since \
         the Unix epoch, above 0"
    )]
    InvalidTimestamp {
        /// The evaluation's label.
        label: String,
        /// What was given.
        timestamp_ms: i64,
    },
    /// A tag has an empty key.
    #[error("evaluation {label:?} has a tag with an empty key (value {value:?})")]
    InvalidTag {
        /// The evaluation's label.
        label: String,
        /// The tag's value.
        value: String,
    },
    /// It fits into no request, even with its reasoning and metadata cut: the value itself is
    /// too large, which is never cut.
    #[error(
        "evaluation {label:?} has {bytes} bytes as JSON; a request takes {limit}, and a value is \
         not cut"
    )]
    TooLarge {
        /// The evaluation's label.
        label: String,
        /// Its size.
        bytes: usize,
        /// The largest that one request takes
        /// ([`Config::payload_size_bytes`](crate::Config::payload_size_bytes)).
        limit: usize,
    },
}

impl EvaluationError {
    pub(super) fn of(label: String, fault: Fault) -> Self {
        match fault {
            Fault::Label(rule) => Self::InvalidLabel { label, rule },
            Fault::Value(value) => Self::InvalidValue { label, value },
            Fault::Timestamp(timestamp_ms) => Self::InvalidTimestamp {
                label,
                timestamp_ms,
            },
            Fault::Tag(value) => Self::InvalidTag { label, value },
        }
    }
}
