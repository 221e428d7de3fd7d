//! The lines of the log at the end of a client.

use super::ClientInner;
use crate::evaluation::shortened;
use crate::report;
use crate::stats::Stats;

/// How many names of open spans a line has at most.
const MOST_NAMED: usize = 10;

impl ClientInner {
    /// The totals of what was lost, a line for each destination.
    pub(super) fn tell_dropped(&self, stats: &Stats) {
        for destination in &stats.destinations {
            let reasons = destination.loss_reasons();
            let lost = destination.lost();
            if lost > 0 {
                report::error(|| {
                    let name = &destination.name;
                    let whose = self.settings.whose();
                    format!(
                        "{lost} events were not delivered to {name}{whose} and are lost: {reasons}"
                    )
                });
            }
            let waiting = destination.waiting();
            if waiting > 0 {
                report::error(|| {
                    let (name, whose) = (&destination.name, self.settings.whose());
                    format!(
                        "{waiting} events for {name}{whose} still wait for the worker, which a \
                         processor or the disk holds up: what it does not come to is lost"
                    )
                });
            }
            let spooled = destination.spooled();
            if spooled > 0 {
                report::info(|| {
                    let (name, whose) = (&destination.name, self.settings.whose());
                    format!(
                        "{spooled} events for {name}{whose} stay in the spool, for the next process \
                         that sends there"
                    )
                });
            }
        }
    }

    /// The spans that a shutdown leaves open, in one line.
    pub(super) fn tell_open(&self, open: &[String]) {
        if open.is_empty() {
            return;
        }
        report::warn(|| {
            let mut counted: Vec<(&str, usize)> = Vec::new();
            for name in open {
                match counted.iter_mut().find(|(other, _)| other == name) {
                    Some((_, count)) => *count += 1,
                    None => counted.push((name, 1)),
                }
            }
            let more = counted.len().saturating_sub(MOST_NAMED);
            let shown = |(name, count): &(&str, usize)| match count {
                1 => format!("{:?}", shortened(name)),
                _ => format!("{:?} ({count})", shortened(name)),
            };
            let mut names: Vec<String> = counted.iter().take(MOST_NAMED).map(shown).collect();
            if more > 0 {
                names.push(format!("{more} more names"));
            }
            format!(
                "{} spans were open still when llmobs{} shut down, and are lost: {}; keep the guard \
                 until their tasks and threads have ended (in `#[tokio::main]`, make it outside of \
                 the runtime)",
                open.len(),
                self.settings.whose(),
                names.join(", ")
            )
        });
    }
}
