//! The lines of the log at the end of a client.

use super::ClientInner;
use crate::report;
use crate::stats::Stats;

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
}
