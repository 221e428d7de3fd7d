//! The wire model of feedback (golden 20).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{merge_tags, own_tags};
use crate::evaluation::details::Checked;
use crate::evaluation::{Assessment, CheckedValue};
use crate::feedback::Submitter;

/// One piece of feedback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FeedbackEvent {
    pub(crate) event_kind: String,
    #[serde(flatten)]
    pub(crate) subject: FeedbackSubject,
    pub(crate) submitter: Submitter,
    pub(crate) label: String,
    #[serde(flatten)]
    pub(crate) metric: FeedbackMetric,
    pub(crate) ml_app: String,
    pub(crate) timestamp_ms: u64,
    /// `key:value`, in the order in which they were given.
    pub(crate) tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assessment: Option<Assessment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning: Option<String>,
}

/// What it is about; the name of the variant is the key on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeedbackSubject {
    SpanId(String),
    TraceId(String),
    SessionId(String),
    FeedbackJoinKey(String),
}

/// The value, under the key that its type names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "metric_type", rename_all = "snake_case")]
pub(crate) enum FeedbackMetric {
    Score { score_value: Value },
    Categorical { categorical_value: String },
    Boolean { boolean_value: bool },
    Json { json_value: Map<String, Value> },
    Text { text_value: String },
}

impl FeedbackSubject {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::SpanId(id)
            | Self::TraceId(id)
            | Self::SessionId(id)
            | Self::FeedbackJoinKey(id) => id,
        }
    }

    /// What it is, in words.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::SpanId(_) => "span id",
            Self::TraceId(_) => "trace id",
            Self::SessionId(_) => "session id",
            Self::FeedbackJoinKey(_) => "join key",
        }
    }
}

impl From<CheckedValue> for FeedbackMetric {
    fn from(value: CheckedValue) -> Self {
        match value {
            CheckedValue::Score(score_value) => Self::Score { score_value },
            CheckedValue::Categorical(categorical_value) => Self::Categorical { categorical_value },
            CheckedValue::Boolean(boolean_value) => Self::Boolean { boolean_value },
            CheckedValue::Json(json_value) => Self::Json { json_value },
        }
    }
}

impl FeedbackEvent {
    pub(crate) fn new(
        checked: Checked<FeedbackMetric>,
        subject: FeedbackSubject,
        submitter: Submitter,
    ) -> Self {
        let mut tags = own_tags(&checked.ml_app);
        merge_tags(&mut tags, checked.tags);
        Self {
            event_kind: "feedback".to_owned(),
            subject,
            submitter,
            label: checked.label,
            metric: checked.value,
            ml_app: checked.ml_app,
            timestamp_ms: checked.timestamp_ms,
            tags,
            assessment: checked.assessment,
            reasoning: checked.reasoning,
        }
    }
}
