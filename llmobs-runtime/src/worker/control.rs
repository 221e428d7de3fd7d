//! What callers ask of the worker, and how they are answered.

use std::time::Instant;

use super::asked::Asked;
use super::lane::Mark;
use crate::capture;

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
    /// Whether it is a flush that nobody waits for any more.
    pub(super) fn is_void(&self) -> bool {
        matches!(self, Self::Flush(flush) if flush.answer.is_void())
    }

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
    /// The caller's side keeps the time as well.
    Timed(Asked),
}

impl Answer {
    /// Whether the caller has gone: a future that was dropped.
    pub(super) fn is_void(&self) -> bool {
        match self {
            Self::Blocking(_) => false,
            Self::Async(sender) => sender.is_closed(),
            Self::Timed(asked) => asked.is_void(),
        }
    }

    pub(super) fn tell(self, done: bool) {
        // A caller that has gone needs no answer.
        match self {
            Self::Blocking(sender) => drop(sender.try_send(done)),
            // Its waker is the caller's, and may panic.
            Self::Async(sender) => {
                capture::panics(|| {
                    let _ = sender.send(done);
                });
            }
            Self::Timed(asked) => asked.tell(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flush(answer: Answer) -> Flush {
        let deadline = Instant::now();
        Flush { deadline, answer }
    }

    #[test]
    fn only_a_flush_whose_caller_has_gone_is_void() {
        let (sender, awaited) = tokio::sync::oneshot::channel();
        let asked = Control::Flush(flush(Answer::Async(sender)));
        assert!(!asked.is_void());
        drop(awaited);
        assert!(asked.is_void());
        let (sender, blocks) = std::sync::mpsc::sync_channel(1);
        assert!(!Control::Flush(flush(Answer::Blocking(sender))).is_void());
        drop(blocks);
        let (sender, _) = tokio::sync::oneshot::channel();
        let ends = Control::Shutdown(flush(Answer::Async(sender)));
        assert!(!ends.is_void(), "it is obeyed all the same");
        assert!(!Control::Wake.is_void() && !Control::Progress.is_void());
    }

    #[test]
    fn flushes_and_shutdowns_wait_for_an_answer() {
        let asked = |control: fn(Flush) -> Control| {
            let (sender, answer) = std::sync::mpsc::sync_channel(1);
            let asked = control(flush(Answer::Blocking(sender))).asked(&Mark::NEVER);
            asked.unwrap().0.answer.tell(true);
            answer.recv()
        };
        assert_eq!(asked(Control::Flush), Ok(true));
        assert_eq!(asked(Control::Shutdown), Ok(true));
        assert!(Control::Wake.asked(&Mark::NEVER).is_none());
    }
}
