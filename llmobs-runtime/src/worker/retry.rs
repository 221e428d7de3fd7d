//! Delivery of one batch: again after a failure that may pass, in halves to find the
//! event that a server refuses, and given up where it says no for good.

use std::sync::Arc;
use std::time::Duration;

use super::batch::Pending;
use crate::config::Settings;
use crate::export::{Exporter, Outcome};
use crate::report;
use crate::stats::{DropReason, EventKind, Ledger};

/// The first wait is at most this long, and each further one may be twice the one before.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// The most that a server's `Retry-After` is obeyed for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// One lane's way to its destination.
pub(super) struct Delivery {
    exporter: Exporter,
    settings: Settings,
    ledger: Arc<Ledger>,
    /// Failures in a row, for the backoff.
    failures: u32,
    /// A failure that lasts is told once, and its end as well.
    told: bool,
}

impl Delivery {
    pub(super) fn new(exporter: Exporter, settings: Settings, ledger: Arc<Ledger>) -> Self {
        Self {
            exporter,
            settings,
            ledger,
            failures: 0,
            told: false,
        }
    }

    /// Delivers the events; returns when each of them is settled.
    pub(super) async fn deliver(&mut self, kind: EventKind, events: Vec<Pending>) {
        // The next part stands last.
        let mut parts = vec![Part::new(events)];
        while let Some(mut part) = parts.pop() {
            if self.exporter.reconsider(&self.settings).await {
                self.ledger.rename(self.exporter.name());
            }
            let outcome = self.exporter.export(kind, &part.events).await;
            match outcome {
                Outcome::Delivered => {
                    self.succeeded();
                    part.events.into_iter().for_each(Pending::delivered);
                }
                Outcome::Retry { after, reason } => {
                    self.wait(after, &reason).await;
                    parts.push(part);
                }
                Outcome::Unanswered { reason } => {
                    // The server may have it. A span that comes twice is one span; an
                    // evaluation counts twice, so it is risked once.
                    let count = part.events.len() as u64;
                    if kind != EventKind::Span && part.unanswered {
                        self.give_up(part.events, DropReason::Unanswered, &reason);
                        continue;
                    }
                    self.ledger.possible_duplicates(count);
                    part.unanswered = true;
                    self.wait(None, &reason).await;
                    parts.push(part);
                }
                Outcome::Divide { reason } if part.events.len() == 1 => {
                    self.give_up(part.events, DropReason::Refused, &reason);
                }
                Outcome::Divide { .. } => {
                    let half = part.events.split_off(part.events.len() / 2);
                    parts.push(Part::new(half));
                    parts.push(Part::new(part.events));
                }
                Outcome::Refused { reason } => {
                    self.give_up(part.events, DropReason::Refused, &reason);
                }
                Outcome::Elsewhere => {
                    self.exporter = crate::export::without_agent(&self.settings);
                    self.ledger.rename(self.exporter.name());
                    parts.push(part);
                }
            }
        }
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        if std::mem::take(&mut self.told) {
            report::info(|| format!("delivery to {} works again", self.exporter.name()));
        }
    }

    async fn wait(&mut self, after: Option<Duration>, reason: &str) {
        self.ledger.retried();
        if !std::mem::replace(&mut self.told, true) {
            report::error(|| {
                let name = self.exporter.name();
                format!("delivery to {name} fails and is tried again: {reason}")
            });
        }
        let delay = match after {
            Some(after) => after.min(LONGEST_RETRY_AFTER),
            None => backoff(self.failures),
        };
        self.failures = self.failures.saturating_add(1);
        tokio::time::sleep(delay).await;
    }

    fn give_up(&self, events: Vec<Pending>, drop_reason: DropReason, reason: &str) {
        report::error(|| {
            format!(
                "{} events given up at {}: {reason}",
                events.len(),
                self.exporter.name()
            )
        });
        for event in events {
            event.dropped(drop_reason);
        }
    }
}

struct Part {
    events: Vec<Pending>,
    /// It was sent once before without an answer.
    unanswered: bool,
}

impl Part {
    fn new(events: Vec<Pending>) -> Self {
        Self {
            events,
            unanswered: false,
        }
    }
}

/// Exponential with full jitter: anything up to a bound that doubles.
fn backoff(failures: u32) -> Duration {
    let bound = FIRST_BACKOFF
        .saturating_mul(1 << failures.min(16))
        .min(LONGEST_BACKOFF);
    bound.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_thirty_seconds() {
        for failures in 0..40 {
            let bound = Duration::from_millis(500 << failures.min(6)).min(LONGEST_BACKOFF);
            for _ in 0..50 {
                assert!(backoff(failures) <= bound);
            }
        }
        let longest = (0..200).map(|_| backoff(u32::MAX)).max();
        assert!(longest > Some(Duration::from_secs(15)));
    }
}
