//! The results of a submission, row by row.

use std::fmt;

use crate::evaluation::EvaluationError;

/// What became of one row.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{RejectionCode, RowResult};
///
/// let result = RowResult::Rejected {
///     code: RejectionCode::MissingLabel,
///     reason: "`label` is missing".to_owned(),
/// };
/// assert_eq!(result.to_string(), "rejected (missing_label): `label` is missing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use = "a row that was not sent has to be submitted again or given up"]
pub enum RowResult {
    /// The server has acknowledged it, or it is written in the journal or to memory.
    Sent,
    /// It was sent as well, but for an element that the wire does not allow and that was mended or
    /// left out, such as a metric that is NaN. It need not be sent again; spans alone are mended.
    Mended {
        /// The kind of flaw, for programs.
        code: RejectionCode,
        /// The first element that was wrong, with its value, and how many others were.
        reason: String,
    },
    /// It is not valid, or the server refused it: it will not do better a second time.
    Rejected {
        /// Why, for programs.
        code: RejectionCode,
        /// Why, with the value that is wrong or the server's words.
        reason: String,
    },
    /// It did not get through, for no fault of its own: it may be submitted again.
    Retriable {
        /// Why, with the destination; and whether it may have arrived all the same.
        reason: String,
    },
}

impl RowResult {
    /// What stays where the sending ends before its time.
    pub(super) fn interrupted() -> Self {
        let reason = "the submission was interrupted, and the row may have arrived";
        Self::Retriable {
            reason: reason.to_owned(),
        }
    }

    /// Whether the row was sent, mended or not.
    pub fn is_sent(&self) -> bool {
        matches!(self, Self::Sent | Self::Mended { .. })
    }

    /// Whether the row may be submitted again.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Retriable { .. })
    }

    /// Why the row was rejected or mended, if it was.
    pub fn code(&self) -> Option<RejectionCode> {
        match self {
            Self::Rejected { code, .. } | Self::Mended { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Why the row was not sent, or not as it was given, in words; `None` if it was.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Sent => None,
            Self::Mended { reason, .. }
            | Self::Rejected { reason, .. }
            | Self::Retriable { reason } => Some(reason),
        }
    }
}

impl fmt::Display for RowResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent => f.write_str("sent"),
            Self::Mended { code, reason } => write!(f, "sent, mended ({code}): {reason}"),
            Self::Rejected { code, reason } => write!(f, "rejected ({code}): {reason}"),
            Self::Retriable { reason } => write!(f, "retriable: {reason}"),
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Why a row was rejected, or mended. The texts are stable, for logs and for other programs.
        ///
        /// ```
        /// # use llmobs_runtime::RejectionCode;
        /// assert_eq!(RejectionCode::InvalidJoin.as_str(), "invalid_join");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RejectionCode {
            $($(#[$doc])* $name,)*
        }

        impl RejectionCode {
            /// The code as text, such as `missing_label`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// There is no label, or an empty one.
    MissingLabel = "missing_label";
    /// The label breaks Datadog's rules ([`Evaluation::new`](crate::Evaluation::new)), or is no text.
    InvalidLabel = "invalid_label";
    /// It does not say which span it belongs to, or not in one way that can be used.
    InvalidJoin = "invalid_join";
    /// There is no value, or one that is no metric: NaN, an infinity, an array, null. Of a
    /// span, which is mended: a part of its input or output is not usable.
    InvalidValue = "invalid_value";
    /// The value is of another type than `metric_type` says.
    TypeMismatch = "type_mismatch";
    /// The timestamp is not above 0, not of this time, or no number.
    InvalidTimestamp = "invalid_timestamp";
    /// The tags are no array of texts, or one of them has no key; a span goes without that one.
    InvalidTags = "invalid_tags";
    /// `metric_type` is missing or none that an evaluation has.
    InvalidMetricType = "invalid_metric_type";
    /// `assessment` is neither `pass` nor `fail`.
    InvalidAssessment = "invalid_assessment";
    /// `eval_scope` is neither `span` nor `trace`.
    InvalidScope = "invalid_scope";
    /// `reasoning` is no text.
    InvalidReasoning = "invalid_reasoning";
    /// `metadata` is no object. Of a span, which goes without it: a property has no name.
    InvalidMetadata = "invalid_metadata";
    /// `ml_app` is no text.
    InvalidMlApp = "invalid_ml_app";
    /// `event_kind` is not `evaluation`.
    InvalidEventKind = "invalid_event_kind";
    /// It has a key that evaluations do not have.
    UnknownKey = "unknown_key";
    /// A span has an empty id.
    MissingId = "missing_id";
    /// A span has no name.
    MissingName = "missing_name";
    /// A span is its own parent.
    InvalidParent = "invalid_parent";
    /// A span begins in the future, or before 1970.
    InvalidStart = "invalid_start";
    /// A span began more than 24 hours ago: Datadog does not take it.
    TooOld = "too_old";
    /// A span ends before it begins, or has not ended yet.
    InvalidDuration = "invalid_duration";
    /// A metric has no name, or is NaN or an infinity: the span goes without it.
    InvalidMetric = "invalid_metric";
    /// A span has what its kind does not carry, and goes without it: messages, documents, a model.
    WrongKind = "wrong_kind";
    /// A processor dropped the span ([`Config::processor`](crate::Config::processor)).
    Processor = "processor";
    /// The row is no JSON object.
    NotAnObject = "not_an_object";
    /// It is larger than a request may be.
    TooLarge = "too_large";
    /// The server refused it; the reason has its words.
    Refused = "refused";
    /// llmobs is disabled or was built without its feature `enabled`: nothing is sent.
    Disabled = "disabled";
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a row, or an element of it, is not valid.
#[derive(Clone, Debug)]
pub(super) struct Rejection {
    pub(super) code: RejectionCode,
    pub(super) reason: String,
}

impl Rejection {
    pub(super) fn new(code: RejectionCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// Elements of a row that the wire does not allow: the first in words, the others by their number.
#[derive(Debug, Default)]
pub(super) struct Flaws {
    first: Option<Rejection>,
    others: usize,
}

impl Flaws {
    pub(super) fn note(&mut self, code: RejectionCode, reason: impl Into<String>) {
        if self.first.is_some() {
            self.others += 1;
        } else {
            self.first = Some(Rejection::new(code, reason));
        }
    }

    /// All of them in one; `None` where there are none.
    pub(super) fn told(self) -> Option<Rejection> {
        let mut flaw = self.first?;
        if self.others > 0 {
            flaw.reason = format!("{} (and {} more)", flaw.reason, self.others);
        }
        Some(flaw)
    }
}

impl From<Rejection> for RowResult {
    fn from(Rejection { code, reason }: Rejection) -> Self {
        Self::Rejected { code, reason }
    }
}

impl From<EvaluationError> for Rejection {
    fn from(error: EvaluationError) -> Self {
        let code = match &error {
            EvaluationError::NoSpan { .. } | EvaluationError::InvalidTarget { .. } => {
                RejectionCode::InvalidJoin
            }
            EvaluationError::InvalidLabel { label, .. } if label.is_empty() => {
                RejectionCode::MissingLabel
            }
            EvaluationError::InvalidLabel { .. } => RejectionCode::InvalidLabel,
            EvaluationError::InvalidValue { .. } => RejectionCode::InvalidValue,
            EvaluationError::InvalidTimestamp { .. } => RejectionCode::InvalidTimestamp,
            EvaluationError::InvalidTag { .. } => RejectionCode::InvalidTags,
            EvaluationError::TooLarge { .. } => RejectionCode::TooLarge,
        };
        Self::new(code, error.to_string())
    }
}
