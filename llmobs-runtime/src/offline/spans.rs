//! The client for finished spans of the past.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::past::{self, PastSpan};
use super::result::Rejection;
use super::submission::{Body, Prepared, Public, Submission, warn_of};
use super::{RejectionCode, RowResult, public};
use crate::config::{Config, ConfigError, Settings};
use crate::event::SpanEvent;
use crate::kind::SpanKind;
use crate::processor::{Processed, Processing};
use crate::stats::EventKind;

/// Sends finished spans that this process did not make, and gives a result for each of them,
/// in the order of the input.
///
/// It is for imports: logs of another system, the calls of a batch job. For the spans of a
/// running application there are the attributes and [`Span`](crate::Span).
///
/// The destination is found as for [`Config::enable`], at each submission anew. An Agent
/// gets the form that Datadog's SDKs send; the intake gets the documented Spans API
/// (`POST https://api.<site>/api/intake/llm-obs/v1/trace/spans`), which also takes
/// spans of tools other than an SDK; the journal and memory hold the former. A request carries
/// the spans of one application, at most 1,000 and
/// [`Config::payload_size_bytes`]. Retries, and the finding of a row that a server refuses,
/// are those of [`EvaluationsClient`](crate::EvaluationsClient), and so are the results. A
/// span that comes twice with its ids is one span, so that a row may be submitted again.
///
/// A span must have begun within the last 24 hours, whatever the destination, since Datadog
/// refuses what is older. One that is too large is rejected as it is, and nothing is cut.
/// [Processors](Config::processor) see each span before it is sent, on the thread that submits.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Config, Destination, Memory, PastSpan, RejectionCode, SpanKind, SpansClient};
/// use std::time::{Duration, SystemTime};
///
/// let memory = Memory::new();
/// let config = Config::new().destination(Destination::Memory(memory.clone()));
/// let client = SpansClient::new(config)?;
/// let hours = |hours: u64| SystemTime::now() - Duration::from_secs(hours * 3_600);
/// let results = client.submit([
///     PastSpan::new(SpanKind::Task, "recent", hours(1), Duration::from_secs(2)),
///     PastSpan::new(SpanKind::Task, "of last week", hours(168), Duration::from_secs(2)),
/// ]);
/// assert!(results[0].is_sent());
/// assert_eq!(results[1].code(), Some(RejectionCode::TooOld));
/// assert_eq!(memory.spans()[0]["name"], "recent");
/// # Ok::<(), llmobs_runtime::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SpansClient {
    settings: Settings,
    processing: Option<Arc<Processing>>,
}

impl SpansClient {
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
    /// # use llmobs_runtime::{Config, SpansClient};
    /// let client = SpansClient::new(Config::from_env()?.ml_app("support-chat"))?;
    /// # Ok::<(), llmobs_runtime::ConfigError>(())
    /// ```
    #[allow(
        clippy::needless_pass_by_value,
        reason = "as `Config::enable` and `Config::build`"
    )]
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let settings = config.settings()?;
        warn_of(&settings);
        let processing = Processing::new(&settings).map(Arc::new);
        Ok(Self {
            settings,
            processing,
        })
    }

    /// Sends the spans and blocks until each has its result.
    ///
    /// A span that is not valid is [`RowResult::Rejected`] and hinders no other. May be called
    /// anywhere, within a tokio runtime too, whose thread it then holds up: see
    /// [`submit_async`](Self::submit_async).
    ///
    /// ```
    /// # use llmobs_runtime::{Config, Destination, Memory, PastSpan, SpanKind, SpansClient};
    /// # use std::time::{Duration, SystemTime};
    /// # let config = Config::new().destination(Destination::Memory(Memory::new()));
    /// # let client = SpansClient::new(config)?;
    /// let span = PastSpan::new(SpanKind::Task, "count", SystemTime::now(), Duration::ZERO);
    /// for result in client.submit([span.clone()]) {
    ///     if result.is_retriable() {
    ///         eprintln!("again later: {result}");
    ///     }
    /// }
    /// # Ok::<(), llmobs_runtime::ConfigError>(())
    /// ```
    pub fn submit(&self, rows: impl IntoIterator<Item = PastSpan>) -> Vec<RowResult> {
        self.prepare(rows).send(&self.settings)
    }

    /// The same without blocking the thread, on any executor.
    ///
    /// The rows are validated at once, and sent once the future is polled.
    ///
    /// ```
    /// # use llmobs_runtime::{Config, PastSpan, SpanKind, SpansClient};
    /// # use std::time::{Duration, SystemTime};
    /// # async fn example() -> Result<(), llmobs_runtime::ConfigError> {
    /// let client = SpansClient::new(Config::from_env()?)?;
    /// let span = PastSpan::new(SpanKind::Task, "count", SystemTime::now(), Duration::ZERO);
    /// let results = client.submit_async([span]).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit_async(&self, rows: impl IntoIterator<Item = PastSpan>) -> Submission {
        self.prepare(rows).submission(&self.settings)
    }

    fn prepare(&self, rows: impl IntoIterator<Item = PastSpan>) -> Prepared {
        let now = SystemTime::now();
        Prepared::of(EventKind::Span, &self.settings, rows, |row| {
            self.body(row, now)
        })
    }

    /// What is hidden in the spans of a running application is hidden here as well.
    fn processed(
        &self,
        event: SpanEvent,
        kind: SpanKind,
        ml_app: &str,
    ) -> Result<SpanEvent, Rejection> {
        let Some(processing) = &self.processing else {
            return Ok(event);
        };
        match processing.run(event, kind, past::own_tags(&self.settings, ml_app)) {
            Processed::Kept(event) | Processed::Stripped(event) => Ok(event),
            Processed::Dropped => {
                let reason = "a processor dropped it".to_owned();
                Err(Rejection::new(RejectionCode::Processor, reason))
            }
        }
    }

    fn body(&self, row: PastSpan, now: SystemTime) -> Result<Body, Rejection> {
        let ml_app = row
            .application()
            .unwrap_or(&self.settings.ml_app)
            .to_owned();
        let kind = row.kind;
        let (event, flaws) = past::event(row, &self.settings, now)?;
        let event = self.processed(event, kind, &ml_app)?;
        let not_encodable = |error: serde_json::Error| {
            Rejection::new(RejectionCode::InvalidValue, error.to_string())
        };
        Ok(Body {
            json: serde_json::to_vec(&event).map_err(not_encodable)?,
            made_ms: event.start_ns.saturating_add(event.duration) / 1_000_000,
            public: Some(Public {
                ml_app,
                json: public::span_json(&event).map_err(not_encodable)?,
            }),
            flaw: flaws.told(),
        })
    }
}

impl fmt::Debug for SpansClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpansClient")
            .field("ml_app", &self.settings.ml_app)
            .finish_non_exhaustive()
    }
}
