//! Why feedback was not taken.

use crate::evaluation::details::Fault;

/// Why feedback was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedbackError {
    /// There was no span to export where the target was made.
    #[error(
        "feedback {label:?} has no target: no span was current where export_span was called; \
         call it inside the annotated function and keep what it gives, or name the target \
         (`FeedbackTarget`)"
    )]
    NoSpan {
        /// The feedback's label.
        label: String,
    },
    /// The id or the key of the target is empty.
    #[error("feedback {label:?} has an unusable target: {reason}")]
    InvalidTarget {
        /// The feedback's label.
        label: String,
        /// What is wrong.
        reason: String,
    },
    /// The label breaks Datadog's rules.
    #[error("{label:?} is no label for feedback: {rule}; see `Feedback::sanitized`")]
    InvalidLabel {
        /// What was given.
        label: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The value is no metric.
    #[error(
        "feedback {label:?} cannot have the value {value}: expected a finite number, text, \
         a bool or a JSON object"
    )]
    InvalidValue {
        /// The feedback's label.
        label: String,
        /// What was given.
        value: String,
    },
    /// The timestamp is not positive.
    #[error(
        "feedback {label:?} has the timestamp {timestamp_ms}: expected milliseconds since \
         the Unix epoch, above 0"
    )]
    InvalidTimestamp {
        /// The feedback's label.
        label: String,
        /// What was given.
        timestamp_ms: i64,
    },
    /// A tag has an empty key.
    #[error("feedback {label:?} has a tag with an empty key (value {value:?})")]
    InvalidTag {
        /// The feedback's label.
        label: String,
        /// The tag's value.
        value: String,
    },
    /// The submitter has an empty id.
    #[error(
        "feedback {label:?} has a submitter with an empty id (type {}): expected text that \
         tells who gave it",
        kind.as_deref().unwrap_or("not set")
    )]
    InvalidSubmitter {
        /// The feedback's label.
        label: String,
        /// The submitter's type, if it has one.
        kind: Option<String>,
    },
    /// It fits into no request, even with its reasoning cut: the value itself is
    /// too large, which is never cut.
    #[error(
        "feedback {label:?} has {bytes} bytes as JSON; a request takes {limit}, and a value is \
         not cut"
    )]
    TooLarge {
        /// The feedback's label.
        label: String,
        /// Its size.
        bytes: usize,
        /// The largest that one request takes
        /// ([`Config::payload_size_bytes`](crate::Config::payload_size_bytes)).
        limit: usize,
    },
}

impl FeedbackError {
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
