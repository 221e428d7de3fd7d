//! What callers ask of the worker, and how they are answered.

use std::time::Instant;

use super::lane::Mark;

/// What a caller asks of the worker.
pub(crate) enum Control {
    /// Look at the queue now.
    Wake,
    /// A lane has settled a batch.
    Progress,
    Flush(Flush),
    Shutdown(Flush),
}

impl Control {
    /// The flush that is asked for, if one is, over at `mark`.
    pub(super) fn asked(self, mark: &Mark) -> Option<(Flush, Mark)> {
        match self {
            Self::Flush(flush) | Self::Shutdown(flush) => Some((flush, mark.clone())),
            Self::Wake | Self::Progress => None,
        }
    }
}

pub(crate) struct Flush {
    pub(super) deadline: Instant,
    pub(super) answer: Answer,
}

/// Where the end of a flush is told: `true` where everything was settled in time.
pub(super) enum Answer {
    Blocking(std::sync::mpsc::SyncSender<bool>),
    Async(tokio::sync::oneshot::Sender<bool>),
}

impl Answer {
    pub(super) fn tell(self, done: bool) {
        // A caller that has gone needs no answer.
        match self {
            Self::Blocking(sender) => drop(sender.try_send(done)),
            Self::Async(sender) => drop(sender.send(done)),
        }
    }
}
