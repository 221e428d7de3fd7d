//! Where events go: the Agent, the intake, the journal, memory. One exporter does one
//! attempt; what to do about a failure is the worker's business.

#[cfg(feature = "enabled")]
mod choose;
#[cfg(feature = "enabled")]
mod datadog;
#[cfg(feature = "enabled")]
mod envelope;
#[cfg(feature = "enabled")]
mod journal;
pub(crate) mod memory;
#[cfg(feature = "enabled")]
mod secrets;
#[cfg(feature = "enabled")]
mod tls;

#[cfg(feature = "enabled")]
pub(crate) use active::{
    Encoded, Exporter, Line, Outcome, PublicLine, Sent, frame, intake_folder, is_of_agent,
};
#[cfg(feature = "enabled")]
pub(crate) use choose::{choose, without_agent};
#[cfg(feature = "enabled")]
pub(crate) use envelope::public_frame;

#[cfg(feature = "enabled")]
mod active {
    use std::time::{Duration, Instant};

    use super::choose::{self, AgentWatch, without_agent};
    pub(crate) use super::datadog::Sent;
    use super::datadog::{self, AGENT, Datadog};
    use super::envelope::Envelope;
    use super::journal::Journal;
    use super::memory::Memory;
    use crate::config::Settings;
    use crate::stats::EventKind;
    use crate::worker::batch::Frame;

    /// One event as a destination takes it.
    #[derive(Clone, Copy)]
    pub(crate) struct Line<'a> {
        pub(crate) json: &'a [u8],
        pub(crate) made_ms: u64,
        /// The documented form of a span, for the intake.
        pub(crate) public: Option<PublicLine<'a>>,
    }

    /// A span as the documented Spans API takes it, of one application.
    #[derive(Clone, Copy)]
    pub(crate) struct PublicLine<'a> {
        pub(crate) ml_app: &'a str,
        pub(crate) json: &'a [u8],
    }

    impl Line<'_> {
        /// How many bytes it has, in the larger form.
        pub(crate) fn len(&self) -> usize {
            let public = self.public.map_or(0, |public| public.json.len());
            self.json.len().max(public)
        }
    }

    /// What holds an event that is ready to be sent.
    pub(crate) trait Encoded {
        fn line(&self) -> Line<'_>;

        /// Whether it is too old to be sent to Datadog.
        fn is_expired(&self) -> bool {
            false
        }

        /// Whether a later process sends it, if this one ends before it is settled.
        fn is_spooled(&self) -> bool {
            false
        }

        /// How often earlier processes have sent it without an answer, as far as that is known.
        fn risked(&self) -> usize {
            0
        }

        /// Notes for a later process that it was sent without an answer.
        fn note_risk(_: &[Self])
        where
            Self: Sized,
        {
        }
    }

    /// What one attempt came to.
    pub(crate) enum Outcome {
        /// Acknowledged, all of it.
        Delivered,
        /// It did not get through, or the server asks to try again.
        Retry {
            /// How long the server asks to wait.
            after: Option<Duration>,
            reason: String,
        },
        /// The server does not let us in: somebody has to mend that before another attempt.
        Barred {
            after: Option<Duration>,
            reason: String,
        },
        /// All of it has left and no answer came, be it in time or before the connection broke:
        /// the server may have it.
        Unanswered { reason: String },
        /// The server refuses the whole because of a part, or because of its size.
        Divide { reason: String },
        /// The server says no for good.
        Refused { reason: String },
        /// There is no such destination here after all.
        Elsewhere,
    }

    /// One destination.
    #[derive(Clone)]
    pub(crate) enum Exporter {
        Datadog(Box<Datadog>),
        Journal(Journal),
        /// The journal until an Agent appears.
        JournalMeanwhile(Journal, AgentWatch),
        Memory(Memory),
        /// No destination at all, since the journal cannot be written; it is tried again.
        Nowhere {
            reason: String,
            next: Instant,
        },
    }

    impl Exporter {
        pub(crate) fn name(&self) -> String {
            match self {
                Self::Datadog(datadog) => datadog.name(),
                Self::Journal(journal) | Self::JournalMeanwhile(journal, _) => journal.name(),
                Self::Memory(_) => "memory".to_owned(),
                Self::Nowhere { .. } => "nowhere".to_owned(),
            }
        }

        /// Whether events leave this machine's disk and memory.
        pub(crate) fn is_remote(&self) -> bool {
            matches!(self, Self::Datadog(_))
        }

        /// The name of the folder where what waits for this destination is kept: the same for
        /// every process that sends to the same place with the same key, and telling nothing of
        /// the key.
        pub(crate) fn spool_folder(&self, settings: &Settings) -> Option<String> {
            match self {
                Self::Datadog(datadog) => Some(datadog.spool_folder(settings)),
                // The Agent that may appear.
                Self::JournalMeanwhile(..) => Some(datadog::spool_folder(
                    AGENT,
                    &settings.agent.url.display(),
                    "",
                )),
                Self::Journal(_) | Self::Memory(_) | Self::Nowhere { .. } => None,
            }
        }

        /// Which kinds go one after the other; the groups go beside each other.
        pub(crate) fn lanes(&self) -> &'static [&'static [EventKind]] {
            const APART: &[&[EventKind]] = &[
                &[EventKind::Span],
                &[EventKind::Evaluation, EventKind::Feedback],
            ];
            const TOGETHER: &[&[EventKind]] = &[&EventKind::ALL];
            match self {
                Self::Datadog(_) => APART,
                _ => TOGETHER,
            }
        }

        /// The destination that takes this one's place: the same for all of its lanes, so
        /// that it is decided, and told, once.
        pub(crate) fn substitute(&self, settings: &Settings) -> Self {
            match self {
                Self::Datadog(datadog) => datadog
                    .substitute
                    .get_or_init(|| without_agent(settings))
                    .clone(),
                _ => without_agent(settings),
            }
        }

        /// Looks for a better destination that has appeared since: an Agent, or a journal
        /// that can be written by now. Says whether there is one.
        pub(crate) async fn reconsider(&mut self, settings: &Settings) -> bool {
            let better = match self {
                Self::JournalMeanwhile(_, watch) => watch.look(settings).await,
                Self::Nowhere { next, .. } => choose::journal_again(next, settings),
                // By another lane.
                Self::Datadog(datadog) => datadog.substitute.get().cloned(),
                _ => None,
            };
            match better {
                Some(better) => {
                    *self = better;
                    true
                }
                None => false,
            }
        }

        /// Tries once; `sent` knows meanwhile whether all of it has left.
        pub(crate) async fn export(
            &mut self,
            kind: EventKind,
            events: &[Line<'_>],
            sent: &Sent,
        ) -> Outcome {
            match self {
                Self::Datadog(datadog) => datadog.export(kind, events, sent).await,
                Self::Journal(journal) | Self::JournalMeanwhile(journal, _) => {
                    journal.export(kind, events)
                }
                Self::Nowhere { reason, .. } => Outcome::Refused {
                    reason: reason.clone(),
                },
                Self::Memory(memory) => {
                    for event in events {
                        memory.keep(kind, event.json);
                    }
                    Outcome::Delivered
                }
            }
        }
    }

    /// Whether the name of a folder in the spool is that of an Agent's.
    pub(crate) fn is_of_agent(folder: &str) -> bool {
        folder
            .strip_prefix(AGENT)
            .is_some_and(|rest| rest.starts_with('-'))
    }

    /// The name of the folder of what waits for the intake, where there is a key.
    pub(crate) fn intake_folder(settings: &Settings) -> Option<String> {
        let has_key = settings.api_key.is_some();
        has_key.then(|| datadog::intake_folder(settings))
    }

    /// The largest frame that any destination puts around events of this kind.
    pub(crate) fn frame(kind: EventKind) -> Frame {
        Envelope::of(kind).frame()
    }
}
