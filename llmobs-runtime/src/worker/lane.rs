//! Lanes: one line of batches to one destination, in order, so that one that hangs holds
//! up no other.

use std::sync::Arc;

use tokio::sync::mpsc::{
    UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel,
};
use tokio::task::JoinHandle;

use super::batch::{Batch, Event, Pending};
use super::queue::Budget;
use super::{Control, retry};
use crate::config::Settings;
use crate::export::Exporter;
use crate::stats::{DropReason, EventKind, Ledger};
use crate::sync::atomic::{AtomicU64, Ordering};

/// What waits for one destination, and what became of the rest.
pub(crate) struct Account {
    pub(crate) ledger: Arc<Ledger>,
    pub(super) budget: Budget,
}

pub(super) struct Lanes {
    lanes: Vec<Lane>,
    accounts: Vec<Arc<Account>>,
}

struct Lane {
    kinds: &'static [EventKind],
    account: Arc<Account>,
    batches: UnboundedSender<Batch>,
    submitted: u64,
    settled: Arc<Settled>,
    task: JoinHandle<()>,
}

/// The number of the last batch that a lane has settled, with the counts of all before it.
#[derive(Debug, Default)]
pub(super) struct Settled(AtomicU64);

impl Settled {
    pub(super) fn reach(&self, number: u64) {
        self.0.store(number, Ordering::Release);
    }

    pub(super) fn reached(&self, mark: u64) -> bool {
        self.0.load(Ordering::Acquire) >= mark
    }
}

/// How far each lane has to come for a flush to be over; `None` is never.
#[derive(Clone)]
pub(super) struct Mark(Option<Vec<u64>>);

impl Mark {
    /// Where not everything could be handed to the lanes.
    pub(super) const NEVER: Self = Self(None);
}

impl Lanes {
    pub(super) fn open(
        exporters: Vec<Exporter>,
        settings: &Settings,
        progress: &WeakUnboundedSender<Control>,
    ) -> Self {
        let mut lanes = Vec::new();
        let mut accounts = Vec::new();
        for exporter in exporters {
            let account = Arc::new(Account {
                ledger: Arc::new(Ledger::new(exporter.name())),
                budget: Budget::new(settings.max_events, settings.max_event_bytes()),
            });
            for kinds in exporter.lanes() {
                let (batches, receiver) = unbounded_channel();
                let settled = Arc::<Settled>::default();
                let task = Task {
                    delivery: retry::Delivery::new(
                        exporter.clone(),
                        settings.clone(),
                        Arc::clone(&account.ledger),
                        retry::Patience::Endless,
                    ),
                    batches: receiver,
                    settled: Arc::clone(&settled),
                    progress: progress.clone(),
                };
                lanes.push(Lane {
                    kinds,
                    account: Arc::clone(&account),
                    batches,
                    submitted: 0,
                    settled,
                    task: tokio::spawn(task.run()),
                });
            }
            accounts.push(account);
        }
        Self { lanes, accounts }
    }

    pub(super) fn ledgers(&self) -> Vec<Arc<Ledger>> {
        let ledgers = self.accounts.iter().map(|account| &account.ledger);
        ledgers.cloned().collect()
    }

    /// Hands a batch to every destination.
    pub(super) fn submit(&mut self, kind: EventKind, events: &[Arc<Event>]) {
        for lane in &mut self.lanes {
            if lane.kinds.contains(&kind) {
                lane.submit(kind, events);
            }
        }
    }

    /// Counts an event that cannot be sent anywhere.
    pub(super) fn dropped(&self, kind: EventKind, reason: DropReason) {
        for account in &self.accounts {
            account.ledger.dropped(kind, reason);
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(Some(self.lanes.iter().map(|lane| lane.submitted).collect()))
    }

    pub(super) fn reached(&self, mark: &Mark) -> bool {
        let Some(mark) = &mark.0 else { return false };
        let mut lanes = self.lanes.iter().zip(mark);
        lanes.all(|(lane, mark)| {
            // A lane that panicked has let go of everything, counted: nobody waits for it.
            lane.task.is_finished() || lane.settled.reached(*mark)
        })
    }

    /// Ends every lane where it stands; what it holds counts as dropped.
    pub(super) async fn close(&mut self) {
        for lane in self.lanes.drain(..) {
            lane.task.abort();
            drop(lane.batches);
            // An aborted task has let go of its batches once this returns.
            let _ = lane.task.await;
        }
    }
}

impl Lane {
    fn submit(&mut self, kind: EventKind, events: &[Arc<Event>]) {
        let pending = |event: &Arc<Event>| Pending::new(Arc::clone(event), &self.account);
        let events: Vec<Pending> = events.iter().filter_map(pending).collect();
        if events.is_empty() {
            return;
        }
        self.submitted += 1;
        let batch = Batch {
            kind,
            events,
            number: self.submitted,
        };
        // A lane that has ended gives the batch back; dropping it counts its events.
        let _ = self.batches.send(batch);
    }
}

/// What a lane does.
struct Task {
    delivery: retry::Delivery,
    batches: UnboundedReceiver<Batch>,
    settled: Arc<Settled>,
    progress: WeakUnboundedSender<Control>,
}

impl Task {
    async fn run(mut self) {
        while let Some(batch) = self.batches.recv().await {
            let number = batch.number;
            self.delivery
                .deliver(batch.kind, batch.events, Pending::settle)
                .await;
            self.settled.reach(number);
            if let Some(control) = self.progress.upgrade() {
                let _ = control.send(Control::Progress);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::export::memory::Memory;

    #[test]
    fn a_lane_that_is_gone_holds_up_no_flush_and_counts_what_it_is_given() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let settings = Config::new().settings().unwrap();
            let (control, _receiver) = unbounded_channel();
            let exporter = Exporter::Memory(Memory::new());
            let mut lanes = Lanes::open(vec![exporter], &settings, &control.downgrade());
            lanes.lanes[0].task.abort();
            while !lanes.lanes[0].task.is_finished() {
                tokio::task::yield_now().await;
            }
            let budget = Arc::new(Budget::new(1, 10));
            let event = Event::new(EventKind::Span, vec![b'{', b'}'], 0, budget, 0);
            lanes.submit(EventKind::Span, &[event]);
            assert!(lanes.reached(&lanes.mark()));
            let ledgers: Vec<Arc<Ledger>> = lanes.ledgers();
            let stats = crate::stats::Front::default().stats(&[&ledgers[0]]);
            assert_eq!(stats.spans().dropped, [(DropReason::Shutdown, 1)]);
        });
    }
}
