//! Everything that has ended.

use std::fmt;

use serde_json::Value;

use super::span::FinishedSpan;
use super::submitted::Submitted;
use super::tree::Tree;
use crate::export::memory::Memory;
use crate::stats::EventKind;

/// What was given to a client and has ended: [`TestClient::finished`](super::TestClient::finished).
#[derive(Clone)]
pub struct Finished {
    spans: Vec<Value>,
    evaluations: Vec<Value>,
    feedback: Vec<Value>,
}

impl Finished {
    /// What a destination keeps, for a client that is not of this module: flush it first.
    ///
    /// ```
    /// # use llmobs_runtime as llmobs;
    /// use llmobs::testing::Finished;
    /// use llmobs::{Config, Destination, Memory, Span};
    /// use std::time::Duration;
    ///
    /// let memory = Memory::new();
    /// let _llmobs = Config::new().destination(Destination::Memory(memory.clone())).enable()?;
    /// std::thread::spawn(|| drop(Span::task("count").start())).join().unwrap();
    /// llmobs::flush(Duration::from_secs(5))?;
    /// assert_eq!(Finished::of(&memory).tree(), "task count\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(memory: &Memory) -> Self {
        let mut spans = memory.of_kind(EventKind::Span);
        spans.sort_by_key(|span| span["start_ns"].as_u64());
        Self {
            spans,
            evaluations: memory.of_kind(EventKind::Evaluation),
            feedback: memory.of_kind(EventKind::Feedback),
        }
    }

    /// The spans, in the order of their starts.
    pub fn spans(&self) -> Vec<FinishedSpan<'_>> {
        let spans = self.spans.iter();
        spans.map(|event| FinishedSpan::new(event, self)).collect()
    }

    /// The one span of this name.
    ///
    /// # Panics
    ///
    /// With the tree, where there is none or where there are several
    /// ([`spans_named`](Self::spans_named) gives them all).
    #[track_caller]
    pub fn span(&self, name: &str) -> FinishedSpan<'_> {
        let named = self.spans_named(name);
        match named[..] {
            [span] => span,
            [] if self.spans.is_empty() => {
                panic!("no span {name:?}: no span has ended that was started in the client's scope")
            }
            [] => panic!(
                "no span {name:?} has ended, but there are\n\n{}",
                self.tree()
            ),
            _ => panic!(
                "{} spans have the name {name:?}, and `spans_named` gives them all, in\n\n{}",
                named.len(),
                self.tree()
            ),
        }
    }

    /// All spans of this name, in the order of their starts.
    pub fn spans_named(&self, name: &str) -> Vec<FinishedSpan<'_>> {
        let mut spans = self.spans();
        spans.retain(|span| span.name() == name);
        spans
    }

    /// The spans that are the first of their trace, in the order of their starts.
    pub fn roots(&self) -> Vec<FinishedSpan<'_>> {
        let mut spans = self.spans();
        spans.retain(FinishedSpan::is_root);
        spans
    }

    /// The evaluations, in the order in which they were submitted.
    pub fn evaluations(&self) -> Vec<Submitted<'_>> {
        let events = self.evaluations.iter();
        events.map(|event| Submitted::new(event, self)).collect()
    }

    /// The one evaluation of this label.
    ///
    /// # Panics
    ///
    /// With the labels that there are, where there is none or where there are several.
    #[track_caller]
    pub fn evaluation(&self, label: &str) -> Submitted<'_> {
        let all = self.evaluations();
        match one(&all, label) {
            Ok(evaluation) => evaluation,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// The feedback of end users, in the order in which it was submitted.
    pub fn feedback(&self) -> Vec<Submitted<'_>> {
        let events = self.feedback.iter();
        events.map(|event| Submitted::new(event, self)).collect()
    }

    /// Whether nothing has ended and nothing was submitted.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.evaluations.is_empty() && self.feedback.is_empty()
    }

    /// The spans as text.
    pub fn tree(&self) -> Tree<'_> {
        Tree::of(&self.spans).with_submitted(self.evaluations.iter().chain(&self.feedback))
    }
}

/// The only one of this label, or what is wrong.
pub(super) fn one<'a>(all: &[Submitted<'a>], label: &str) -> Result<Submitted<'a>, String> {
    let mut found = all.iter().filter(|one| one.label() == label);
    let labels: Vec<&str> = all.iter().map(Submitted::label).collect();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(*one),
        (None, _) if all.is_empty() => {
            Err(format!("no evaluation {label:?}: none was submitted here"))
        }
        (None, _) => Err(format!("no evaluation {label:?} among {labels:?}")),
        (Some(_), Some(_)) => Err(format!("several evaluations {label:?} among {labels:?}")),
    }
}

/// The tree.
impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let submitted = self.evaluations.len() + self.feedback.len();
        writeln!(
            f,
            "{} spans, {submitted} evaluations and feedback",
            self.spans.len()
        )?;
        write!(f, "{}", self.tree().evaluations())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Feedback has its target beside the rest (golden 20): a span without its trace, a
    /// trace, a session, a key.
    #[test]
    fn feedback_stands_below_what_it_is_about() {
        let memory = Memory::new();
        let span = |id: &str, parent: &str, name: &str, start: u64| {
            json!({
                "trace_id": "t1", "span_id": id, "parent_id": parent, "name": name, "status": "ok",
                "start_ns": start, "meta": {"span": {"kind": "task"}}, "tags": [],
            })
        };
        let feedback = |label: &str, target: (&str, &str)| {
            json!({
                "event_kind": "feedback", "label": label, "metric_type": "text", "text_value": "a\nb",
                "assessment": "pass", target.0: target.1,
            })
        };
        let keep = |kind, event: Value| memory.keep(kind, event.to_string().as_bytes());
        keep(EventKind::Span, span("2", "1", "child", 2));
        keep(EventKind::Span, span("1", "undefined", "root", 1));
        for (label, target) in [
            ("span", ("span_id", "2")),
            ("trace", ("trace_id", "t1")),
            ("session", ("session_id", "s1")),
            ("key", ("feedback_join_key", "k1")),
            ("other", ("trace_id", "t2")),
        ] {
            keep(EventKind::Feedback, feedback(label, target));
        }

        let finished = Finished::of(&memory);
        finished.tree().evaluations().assert_is(
            r"
            task root
              = trace: a\nb [pass] [feedback]
              task child
                = span: a\nb [pass] [feedback]
            = session: a\nb [pass] [feedback] [no span]
            = key: a\nb [pass] [feedback] [no span]
            = other: a\nb [pass] [feedback] [trace elsewhere]
            ",
        );
        let feedback = finished.feedback();
        assert_eq!(feedback[0].span().map(|span| span.name()), Some("child"));
        assert!(feedback[2].span().is_none());
        assert_eq!(*feedback[0].value(), "a\nb");
        assert!(finished.evaluations().is_empty());
    }
}
