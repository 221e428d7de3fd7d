//! What is sent of the past: clients that need no span of this process and tell what became
//! of each row. One takes evaluations, typed or as the Evaluations API's JSON; the other
//! takes finished spans.
//!
//! Nothing waits here in the background: a submission is validated, sent, and over.

mod envelope;
mod json;
mod past;
mod public;
mod result;
#[cfg(feature = "enabled")]
mod send;
mod spans;
mod submission;

use std::fmt;

use serde_json::Value;

use crate::config::{Config, ConfigError, Settings};
use crate::evaluation::{Evaluation, EvaluationTarget};
use crate::event::EvaluationEvent;
use crate::stats::EventKind;
pub use envelope::EnvelopeError;
pub use past::PastSpan;
use result::Rejection;
pub use result::{RejectionCode, RowResult};
pub use spans::SpansClient;
pub use submission::Submission;
use submission::{Body, Prepared, warn_of};

/// Sends evaluations of spans that need not belong to this process, and gives a result for
/// each of them, in the order of the input.
///
/// It is for jobs that judge answers hours later: export ids or a tag with the span, keep
/// them, and submit by them. For evaluations of a running application there is
/// [`submit_evaluation`](crate::submit_evaluation), which never blocks.
///
/// The destination is found as for [`Config::enable`], at each submission anew; the journal
/// and memory are destinations too, where "sent" means written. A request carries at most
/// 1,000 evaluations and [`Config::payload_size_bytes`], and is tried three times where the
/// server does not answer, is busy or fails, with pauses as long as it asks for, up to
/// [`Config::timeout`]. Once two requests in a row have failed in this way, or the server
/// does not let us in or asks for a longer pause, no other is tried. Where a server refuses
/// a whole request because of one row, the request is halved until that row is found. With
/// several destinations a row's result is the worst of them.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{
///     Config, Destination, Evaluation, EvaluationTarget, EvaluationsClient, Memory, RejectionCode,
/// };
///
/// let memory = Memory::new();
/// let config = Config::new().destination(Destination::Memory(memory.clone()));
/// let client = EvaluationsClient::new(config)?;
/// let results = client.submit([
///     (EvaluationTarget::span("123", "abc"), Evaluation::new("quality", 0.9)),
///     (EvaluationTarget::tag("msg_id", 7), Evaluation::new("not a label", true)),
/// ]);
/// assert!(results[0].is_sent());
/// assert_eq!(results[1].code(), Some(RejectionCode::InvalidLabel));
/// assert_eq!(memory.evaluations().len(), 1);
/// # Ok::<(), llmobs_runtime::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct EvaluationsClient {
    settings: Settings,
}

impl EvaluationsClient {
    /// A client of this configuration; no thread is started and no I/O is done.
    ///
    /// A configuration that is disabled makes a client that sends nothing: every row is
    /// [`RejectionCode::Disabled`]. The same without the feature `enabled`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the variable or the setter that is wrong, its value, and what
    /// is allowed.
    ///
    /// ```
    /// # use llmobs_runtime::{Config, EvaluationsClient};
    /// let client = EvaluationsClient::new(Config::from_env()?.ml_app("support-chat"))?;
    /// assert!(EvaluationsClient::new(Config::new().site("not a site")).is_err());
    /// # Ok::<(), llmobs_runtime::ConfigError>(())
    /// ```
    #[allow(
        clippy::needless_pass_by_value,
        reason = "as `Config::enable` and `Config::build`"
    )]
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let settings = config.settings()?;
        warn_of(&settings);
        Ok(Self { settings })
    }

    /// Sends the evaluations and blocks until each has its result.
    ///
    /// A row is the target and the evaluation, validated as by
    /// [`submit_evaluation`](crate::submit_evaluation); one that is not valid is
    /// [`RowResult::Rejected`] and hinders no other. May be called anywhere, within a tokio
    /// runtime too, whose thread it then holds up: see [`submit_async`](Self::submit_async).
    ///
    /// ```
    /// # use llmobs_runtime::{Config, Destination, Evaluation, EvaluationsClient, Memory, RowResult, SpanContext};
    /// # let config = Config::new().destination(Destination::Memory(Memory::new()));
    /// # let client = EvaluationsClient::new(config)?;
    /// let stored: SpanContext = "6b029035000000005af1d0824f64ccff:123".parse()?;
    /// for result in client.submit([(stored, Evaluation::new("sentiment", "positive"))]) {
    ///     match result {
    ///         RowResult::Sent => {}
    ///         RowResult::Rejected { code, reason } => eprintln!("{code}: {reason}"),
    ///         RowResult::Retriable { reason } => eprintln!("again later: {reason}"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit<T: Into<EvaluationTarget>>(
        &self,
        rows: impl IntoIterator<Item = (T, Evaluation)>,
    ) -> Vec<RowResult> {
        self.prepare_typed(rows).send(&self.settings)
    }

    /// The same without blocking the thread, on any executor.
    ///
    /// The rows are validated at once, and sent once the future is polled.
    ///
    /// ```
    /// # use llmobs_runtime::{Config, Destination, Evaluation, EvaluationTarget, EvaluationsClient, Memory};
    /// # async fn example() -> Result<(), llmobs_runtime::ConfigError> {
    /// let client = EvaluationsClient::new(Config::from_env()?)?;
    /// let target = EvaluationTarget::tag("msg_id", "abc-123");
    /// let results = client.submit_async([(target, Evaluation::new("helpful", true))]).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit_async<T: Into<EvaluationTarget>>(
        &self,
        rows: impl IntoIterator<Item = (T, Evaluation)>,
    ) -> Submission {
        self.prepare_typed(rows).submission(&self.settings)
    }

    /// Sends evaluations in the JSON of Datadog's Evaluations API, and blocks until each has
    /// its result.
    ///
    /// `body` is `{"data": {"type": "evaluation_metric", "attributes": {"metrics": [row, …],
    /// "tags": [tag, …]}}}`, or the attributes alone, or the array of rows alone. The common
    /// tags are added to each row. The keys of a row:
    ///
    /// | key | holds |
    /// |---|---|
    /// | `join_on` | `{"span": {"span_id", "trace_id"}}` or `{"tag": {"key", "value"}}` |
    /// | `span_id`, `trace_id` | in place of `join_on`: the API's version 1; it is sent as version 2 |
    /// | `label` | as in [`Evaluation::new`] |
    /// | `metric_type` | `score`, `categorical`, `boolean` or `json` |
    /// | `score_value`, … | the value, under the key that its type names, and no other |
    /// | `timestamp_ms` | milliseconds since the Unix epoch; default: now |
    /// | `timestamp` | the same in seconds, from version 1 |
    /// | `ml_app` | default: the configured one |
    /// | `tags` | an array of texts, `key:value` |
    /// | `assessment` | `pass` or `fail` |
    /// | `reasoning`, `metadata` | a text, an object |
    /// | `eval_scope` | `span` (the default) or `trace` |
    /// | `event_kind` | `evaluation`, which is also the default |
    /// | `id` | the server's, in its answers: taken and left out |
    ///
    /// A key whose value is null counts as absent; any other key makes the row
    /// [`RejectionCode::UnknownKey`], since what is not understood would be lost. Ids are
    /// opaque text; an integer is taken with its digits, where JSON readers keep them
    /// (beyond 64 bits they do not, and the row is rejected rather than joined to another
    /// span).
    ///
    /// # Errors
    ///
    /// [`EnvelopeError`] names what is wrong with what stands around the rows; nothing is
    /// sent then. What is wrong with a row is its result.
    ///
    /// ```
    /// # use llmobs_runtime::{Config, Destination, EvaluationsClient, Memory};
    /// # use serde_json::json;
    /// # let config = Config::new().destination(Destination::Memory(Memory::new()));
    /// # let client = EvaluationsClient::new(config)?;
    /// let results = client.submit_json(json!({"data": {"type": "evaluation_metric", "attributes": {
    ///     "metrics": [{
    ///         "span_id": "61399242116139924211", "trace_id": "13932955089405749200",
    ///         "timestamp": 1_609_459_200, "label": "Sentiment",
    ///         "metric_type": "categorical", "categorical_value": "Positive",
    ///     }],
    ///     "tags": ["team:support"],
    /// }}}))?;
    /// assert!(results[0].is_sent());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit_json(&self, body: Value) -> Result<Vec<RowResult>, EnvelopeError> {
        Ok(self.prepare_json(body)?.send(&self.settings))
    }

    /// The same without blocking the thread, on any executor.
    ///
    /// # Errors
    ///
    /// As [`submit_json`](Self::submit_json), at once.
    ///
    /// ```
    /// # use llmobs_runtime::{Config, EvaluationsClient};
    /// # async fn example(body: serde_json::Value) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = EvaluationsClient::new(Config::from_env()?)?;
    /// let results = client.submit_json_async(body)?.await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit_json_async(&self, body: Value) -> Result<Submission, EnvelopeError> {
        Ok(self.prepare_json(body)?.submission(&self.settings))
    }

    fn prepare_typed<T: Into<EvaluationTarget>>(
        &self,
        rows: impl IntoIterator<Item = (T, Evaluation)>,
    ) -> Prepared {
        let event = |(target, evaluation): (T, Evaluation)| {
            Ok(evaluation.into_event(target.into(), &self.settings.ml_app)?)
        };
        self.prepare(rows, event)
    }

    fn prepare_json(&self, body: Value) -> Result<Prepared, EnvelopeError> {
        let envelope = envelope::open(body)?;
        let event = |row| json::event(row, &envelope.tags, &self.settings.ml_app);
        Ok(self.prepare(envelope.rows, event))
    }

    fn prepare<R>(
        &self,
        rows: impl IntoIterator<Item = R>,
        event: impl Fn(R) -> Result<EvaluationEvent, Rejection>,
    ) -> Prepared {
        Prepared::of(EventKind::Evaluation, &self.settings, rows, |row| {
            let event = event(row)?;
            let json = serde_json::to_vec(&event)
                .map_err(|error| Rejection::new(RejectionCode::InvalidValue, error.to_string()))?;
            Ok(Body {
                json,
                made_ms: event.timestamp_ms,
                public: None,
                flaw: None,
            })
        })
    }
}

impl fmt::Debug for EvaluationsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvaluationsClient")
            .field("ml_app", &self.settings.ml_app)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(feature = "enabled")))]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_every_row_is_rejected_as_disabled() {
        let client = EvaluationsClient::new(Config::new()).unwrap();
        let target = EvaluationTarget::span("1", "2");
        let results = client.submit([(target, Evaluation::new("quality", 1))]);
        assert_eq!(results[0].code(), Some(RejectionCode::Disabled));
        let results = client.submit_json(serde_json::json!([{}, 5])).unwrap();
        assert!(
            results
                .iter()
                .all(|result| result.code() == Some(RejectionCode::Disabled))
        );
        let client = SpansClient::new(Config::new()).unwrap();
        let now = std::time::SystemTime::now();
        let span = PastSpan::new(crate::SpanKind::Task, "t", now, std::time::Duration::ZERO);
        assert_eq!(
            client.submit([span])[0].code(),
            Some(RejectionCode::Disabled)
        );
    }
}
