//! What stands around the events of a body.

use super::Line;
use crate::event::VERSION;
use crate::stats::EventKind;
use crate::worker::batch::Frame;

/// What a body holds, which is what its path depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Spans,
    /// In the form of the documented Spans API.
    PublicSpans,
    Evaluations,
}

/// What stands around the events of a body, and around each of them (goldens 01, 26).
pub(super) struct Envelope {
    holds: Holds,
    open: String,
    before: String,
    after: &'static str,
    close: &'static str,
}

impl Envelope {
    pub(super) fn of(kind: EventKind) -> Self {
        match kind {
            EventKind::Span => Self {
                holds: Holds::Spans,
                open: "[".to_owned(),
                before: format!(
                    r#"{{"_dd.stage":"raw","_dd.tracer_version":"{VERSION}","event_type":"span","spans":["#
                ),
                after: "]}",
                close: "]",
            },
            EventKind::Evaluation | EventKind::Feedback => Self {
                holds: Holds::Evaluations,
                open: r#"{"data":{"type":"evaluation_metric","attributes":{"metrics":["#.to_owned(),
                before: String::new(),
                after: "",
                close: "]}}}",
            },
        }
    }

    /// That of the documented Spans API, around the spans of one application.
    pub(super) fn of_public_spans(ml_app: &str) -> Self {
        let ml_app = serde_json::Value::from(ml_app);
        Self {
            holds: Holds::PublicSpans,
            open: format!(r#"{{"data":{{"type":"span","attributes":{{"ml_app":{ml_app},"spans":["#),
            before: String::new(),
            after: "",
            close: "]}}}",
        }
    }

    pub(super) fn holds(&self) -> Holds {
        self.holds
    }

    pub(super) fn frame(&self) -> Frame {
        Frame {
            // The first event has no comma before it.
            around: self.open.len() + self.close.len() - ",".len(),
            each: self.before.len() + self.after.len() + ",".len(),
        }
    }

    /// The whole of a body.
    pub(super) fn body(&self, events: &[Line<'_>]) -> Vec<u8> {
        let frame = self.frame();
        let bytes = events
            .iter()
            .map(|event| self.json(event).len() + frame.each);
        let mut body = Vec::with_capacity(frame.around + bytes.sum::<usize>());
        body.extend(self.open.as_bytes());
        for (index, event) in events.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend(self.before.as_bytes());
            body.extend(self.json(event));
            body.extend(self.after.as_bytes());
        }
        body.extend(self.close.as_bytes());
        body
    }

    fn json<'a>(&self, event: &Line<'a>) -> &'a [u8] {
        match (self.holds, event.public) {
            (Holds::PublicSpans, Some(public)) => public.json,
            _ => event.json,
        }
    }
}

/// The frame of the documented Spans API.
pub(crate) fn public_frame(ml_app: &str) -> Frame {
    Envelope::of_public_spans(ml_app).frame()
}
