//! Evaluations and feedback: from a call to the queue.

use std::sync::Arc;

use super::{ClientInner, Owner};
use crate::evaluation::{Evaluation, EvaluationError, EvaluationTarget};
use crate::feedback::{Feedback, FeedbackError, FeedbackTarget};
use crate::report;
use crate::shrink::{self, Fit};
use crate::stats::EventKind;
use crate::weight;
use crate::worker::{Submitted, Worker};

impl ClientInner {
    /// Hands over what was made of a submission, or counts it as rejected.
    fn submit<E>(&self, kind: EventKind, event: Result<(Submitted, usize), E>) -> Result<(), E> {
        match event {
            Ok((submitted, weight)) => {
                self.front.made(kind);
                self.worker.submit(self, submitted, weight);
                Ok(())
            }
            Err(error) => {
                self.front.rejected();
                Err(error)
            }
        }
    }
}

/// An event is measured where its weight is more than this part of what a request takes: text
/// has at most six times its bytes as JSON.
const MAY_BE_TOO_LARGE: usize = 8;

impl ClientInner {
    /// Makes an event fit into a request if it is too large for one; `Err` with its bytes and the
    /// limit where that cannot be.
    fn fit<T>(
        &self,
        kind: EventKind,
        event: &mut T,
        weight: fn(&T) -> usize,
        shrink: fn(&mut T, usize) -> Fit,
        label: fn(&T) -> &str,
    ) -> Result<usize, (usize, usize)> {
        let limit = Worker::largest_event(&self.settings, kind);
        let estimate = weight(event);
        if estimate <= limit / MAY_BE_TOO_LARGE {
            return Ok(estimate);
        }
        match shrink(event, limit) {
            Fit::Whole => Ok(estimate),
            Fit::Cut(bytes) => {
                self.front.cut();
                report::once(report::Kind::CutRemarks, || {
                    format!(
                        "{} {:?} has {bytes} bytes, the limit is {limit}: its remarks are cut; \
                         `stats().cut` counts such events",
                        kind.as_str(),
                        label(event)
                    )
                });
                Ok(weight(event))
            }
            Fit::Not(bytes) => Err((bytes, limit)),
        }
    }
}

/// Attaches `evaluation` to the span that `target` names. It is validated at once and sent
/// in the background.
///
/// Where several clients are in use ([`LlmObs::scope`](crate::LlmObs::scope)): an evaluation
/// of a span that is given itself, `&span`, goes where the span goes. Ids and tags name no
/// client, as they may come from another process; those go with the client in force here.
///
/// # Errors
///
/// [`EvaluationError`] names the label and the value that is wrong. Always `Ok` while
/// llmobs is not enabled.
///
/// One that is larger than a request may be
/// ([`Config::payload_size_bytes`](crate::Config::payload_size_bytes)) is sent with its reasoning
/// and its metadata cut: the longest texts lose their middle, where a mark tells how much. It is
/// counted in [`Stats::cut`](crate::Stats::cut). The value is never cut, as it would be another:
/// [`EvaluationError::TooLarge`].
pub fn submit_evaluation(
    target: impl Into<EvaluationTarget>,
    evaluation: Evaluation,
) -> Result<(), EvaluationError> {
    let target = target.into();
    let Some(client) = Owner::client(target.owner()) else {
        return Ok(());
    };
    let kind = EventKind::Evaluation;
    let event = evaluation.into_event(target, &client.settings.ml_app);
    let event = event.and_then(|mut event| {
        let weigh = weight::of_evaluation;
        let fit = client.fit(kind, &mut event, weigh, shrink::evaluation, |event| {
            &event.label
        });
        match fit {
            Ok(weight) => Ok((
                Submitted::Evaluation(Box::new(event), Arc::clone(&client)),
                weight,
            )),
            Err((bytes, limit)) => Err(EvaluationError::TooLarge {
                label: event.label,
                bytes,
                limit,
            }),
        }
    });
    client.submit(kind, event)
}

/// Submits what an end user said of a span, a trace, a session, or of whatever shares a
/// join key. It is validated at once, in the order target, label, value, timestamp, tags,
/// submitter, and sent in the background, to the endpoint of the evaluations (golden 20).
///
/// Where several clients are in use ([`LlmObs::scope`](crate::LlmObs::scope)): feedback on a
/// span that is given itself, `&span`, goes where the span goes. Ids and keys name no client;
/// those go with the client in force here.
///
/// # Errors
///
/// [`FeedbackError`] names the label and the value that is wrong. Always `Ok` while
/// llmobs is not enabled.
///
/// Of one that is larger than a request may be the reasoning is cut, as of an
/// [evaluation](submit_evaluation); the value is not: [`FeedbackError::TooLarge`].
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Config, Destination, Feedback, FeedbackTarget, FeedbackValue, Memory, Span};
/// use std::time::Duration;
///
/// let memory = Memory::new();
/// let client = Config::new().destination(Destination::Memory(memory.clone())).build()?;
/// // Where the answer is made: its context goes to the page that shows it.
/// let context = client.scope(|| Span::llm("answer").start().context());
/// // Where the page's buttons arrive, maybe in another process.
/// client.scope(|| {
///     llmobs::submit_feedback(&context, Feedback::new("thumbs_up", true, "user-17"))?;
///     let comment = FeedbackValue::text("Short and right.");
///     llmobs::submit_feedback(
///         FeedbackTarget::session_id("chat-9"),
///         Feedback::new("comment", comment, "user-17"),
///     )
/// })?;
/// client.flush(Duration::from_secs(5))?;
/// assert_eq!(memory.feedback()[1]["text_value"], "Short and right.");
/// # client.shutdown(Duration::from_secs(5))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn submit_feedback(
    target: impl Into<FeedbackTarget>,
    feedback: Feedback,
) -> Result<(), FeedbackError> {
    let target = target.into();
    let Some(client) = Owner::client(target.owner()) else {
        return Ok(());
    };
    let kind = EventKind::Feedback;
    let event = feedback.into_event(target, &client.settings.ml_app);
    let event = event.and_then(|mut event| {
        let weigh = weight::of_feedback;
        let fit = client.fit(kind, &mut event, weigh, shrink::feedback, |event| {
            &event.label
        });
        match fit {
            Ok(weight) => Ok((
                Submitted::Feedback(Box::new(event), Arc::clone(&client)),
                weight,
            )),
            Err((bytes, limit)) => Err(FeedbackError::TooLarge {
                label: event.label,
                bytes,
                limit,
            }),
        }
    });
    client.submit(kind, event)
}
