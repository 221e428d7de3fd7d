//! Evaluations and feedback: from a call to the queue.

use std::sync::Arc;

use super::{ClientInner, Owner};
use crate::evaluation::{Evaluation, EvaluationError, EvaluationTarget};
use crate::feedback::{Feedback, FeedbackError, FeedbackTarget};
use crate::stats::EventKind;
use crate::weight;
use crate::worker::Payload;

impl ClientInner {
    /// Hands over what was made of a submission, or counts it as rejected.
    fn submit<E>(&self, kind: EventKind, event: Result<(Payload, usize), E>) -> Result<(), E> {
        match event {
            Ok((payload, weight)) => {
                self.front.made(kind);
                self.worker.enqueue(self, payload, weight);
                Ok(())
            }
            Err(error) => {
                self.front.rejected();
                Err(error)
            }
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
pub fn submit_evaluation(
    target: impl Into<EvaluationTarget>,
    evaluation: Evaluation,
) -> Result<(), EvaluationError> {
    let target = target.into();
    let Some(client) = Owner::client(target.owner()) else {
        return Ok(());
    };
    let event = evaluation.into_event(target, &client.settings.ml_app);
    client.submit(
        EventKind::Evaluation,
        event.map(|event| {
            let weight = weight::of_evaluation(&event);
            let payload = Payload::Evaluation(Box::new(event), Arc::clone(&client));
            (payload, weight)
        }),
    )
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
    let event = feedback.into_event(target, &client.settings.ml_app);
    client.submit(
        EventKind::Feedback,
        event.map(|event| {
            let weight = weight::of_feedback(&event);
            let payload = Payload::Feedback(Box::new(event), Arc::clone(&client));
            (payload, weight)
        }),
    )
}
