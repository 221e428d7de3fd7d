//! The batches that wait in a lane, in memory or on disk, in order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, mpsc::WeakUnboundedSender};

use super::Control;
use super::batch::{Batch, Event, Held, Pending};
use super::lane::Account;
use super::spool::{Beside, Kept, Spans, Spool};
use crate::report;
use crate::stats::{DropReason, EventKind};

pub(super) struct Line {
    inner: Mutex<Inner>,
    account: Arc<Account>,
    /// The line of spans, which what is in this one goes out after.
    spans: Option<Arc<Line>>,
    /// A batch has come.
    news: Notify,
    /// One has been settled.
    moved: Notify,
    progress: WeakUnboundedSender<Control>,
}

struct Inner {
    queue: VecDeque<Batch>,
    current: Option<Current>,
    submitted: u64,
    spool: Option<Spool>,
    /// The destination is one that what waits is kept on disk for.
    spools: bool,
    /// There may be more that earlier processes have left.
    behind: bool,
    /// Nobody takes batches out any more.
    closed: bool,
}

/// The batch that is being delivered.
struct Current {
    number: u64,
    /// It goes out after this many batches of spans.
    after: u64,
    segment: Option<Arc<Kept>>,
}

impl Line {
    pub(super) fn new(
        account: Arc<Account>,
        spans: Option<Arc<Self>>,
        spool: Option<Spool>,
        spools: bool,
        progress: WeakUnboundedSender<Control>,
    ) -> Self {
        let inner = Inner {
            queue: VecDeque::new(),
            current: None,
            submitted: 0,
            behind: spool.is_some() && spools,
            spools,
            spool,
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            account,
            spans,
            news: Notify::new(),
            moved: Notify::new(),
            progress,
        }
    }

    /// Counts events that the line did not get.
    pub(super) fn dropped(&self, kind: EventKind, reason: DropReason, count: u64) {
        self.account.ledger.dropped_many(kind, reason, count);
    }

    /// Adds a batch, on disk first. It goes out after what is in the line of spans by now.
    pub(super) fn submit(&self, kind: EventKind, events: &[Arc<Event>]) {
        self.follow_its_spans();
        let after = self.spans.as_ref().map_or(0, |spans| spans.submitted());
        let mut inner = self.lock();
        let writes = inner.spools && inner.spool.is_some();
        if writes && inner.spool.as_ref().is_some_and(Spool::was_removed) {
            // Events that wait stand before those that come.
            inner.write_what_was_removed();
        }
        let spool = inner.spool.as_mut().filter(|_| writes);
        let written = spool.and_then(|spool| spool.write(kind, events));
        let (held, place, began) = match written {
            None => {
                let pending = |event: &Arc<Event>| Pending::new(Arc::clone(event), &self.account);
                let events: Vec<Pending> = events.iter().filter_map(pending).collect();
                if events.is_empty() {
                    return;
                }
                (Held::Memory(events), None, false)
            }
            Some(written) => {
                self.account.ledger.spooled(kind, events.len() as u64);
                // What is on disk needs no memory; a little of it spares reading it again.
                let held = if self.account.budget.is_quarter_full() {
                    Held::Disk(events.len())
                } else {
                    let segment = &written.place.segment;
                    let pending = |(event, end): (&Arc<Event>, u64)| {
                        Pending::spooled(Arc::clone(event), &self.account, segment, end)
                    };
                    let events = events.iter().zip(written.ends);
                    Held::Memory(events.map(pending).collect())
                };
                (held, Some(written.place), written.began)
            }
        };
        inner.submitted += 1;
        let batch = Batch {
            kind,
            held,
            place,
            formed: SystemTime::now(),
            number: inner.submitted,
            after,
        };
        if inner.closed {
            // What is in memory counts itself as dropped, what is on disk is for a later process.
            return;
        }
        let most = inner.spool.as_ref().map_or(0, Spool::most_request_bytes);
        match inner.queue.back_mut() {
            Some(last) if last.may_grow_by(&batch, most) => last.grow_by(&batch),
            _ => inner.queue.push_back(batch),
        }
        if began {
            self.make_room(&mut inner);
        }
        drop(inner);
        self.news.notify_one();
    }

    /// Whether what is submitted is written to disk.
    pub(super) fn is_kept_on_disk(&self) -> bool {
        let inner = self.lock();
        inner.spools && inner.spool.is_some()
    }

    pub(super) fn submitted(&self) -> u64 {
        self.lock().submitted
    }

    /// Whether every batch up to this number is settled, and what earlier processes left.
    pub(super) fn reached(&self, mark: u64) -> bool {
        let inner = self.lock();
        inner.closed || inner.oldest() > mark
    }

    /// Waits until that is so.
    async fn passed(&self, mark: u64) {
        loop {
            let moved = self.moved.notified();
            if self.reached(mark) {
                return;
            }
            moved.await;
        }
    }

    /// Waits until the spans before the batch have gone out.
    pub(super) async fn after_its_spans(&self, batch: &Batch) {
        if let Some(spans) = &self.spans {
            spans.passed(batch.after).await;
        }
    }

    /// The line of spans, where the batch at hand goes out after one of those.
    pub(super) fn waits_for(&self) -> Option<&Arc<Self>> {
        let after = self.lock().current.as_ref().map(|current| current.after)?;
        let spans = self.spans.as_ref();
        spans.filter(|spans| !spans.reached(after))
    }

    /// The next batch; what earlier processes left comes first.
    pub(super) async fn next(&self) -> Batch {
        loop {
            self.follow_its_spans();
            let (batch, look) = {
                let mut inner = self.lock();
                let batch = self.take(&mut inner);
                let spool = inner.spool.as_ref().filter(|_| inner.spools);
                (batch, spool.map(Spool::look))
            };
            if let Some(batch) = batch {
                return batch;
            }
            self.tell();
            if let Some(look) = look {
                // Another process may have ended in the meantime.
                drop(tokio::time::timeout_at(look.into(), self.news.notified()).await);
            } else {
                self.news.notified().await;
            }
        }
    }

    fn take(&self, inner: &mut Inner) -> Option<Batch> {
        if inner.spools && inner.is_next_our_own() {
            inner.behind |= inner
                .spool
                .as_ref()
                .is_some_and(|spool| spool.look() <= Instant::now());
            inner.behind = inner.behind && self.adopt(inner);
        }
        self.give_up_expired(inner);
        let batch = inner.queue.pop_front()?;
        inner.current = Some(Current {
            number: batch.number,
            after: batch.after,
            segment: batch.place.as_ref().map(|place| Arc::clone(&place.segment)),
        });
        Some(batch)
    }

    /// The batch that was taken is settled.
    pub(super) fn done(&self) {
        self.lock().current = None;
        self.tell();
    }

    /// Another destination has taken the place of the one before; `spools` says whether it is one that
    /// what waits is kept on disk for, `folder` where. It is so for all lines at once: who sends what
    /// is in one folder finds spans there, and what is said of them.
    pub(super) fn moves(&self, spools: bool, folder: Option<String>) {
        if let Some(spans) = &self.spans {
            spans.moves_alone(spools, folder.clone());
        }
        self.moves_alone(spools, folder);
    }

    fn follow_its_spans(&self) {
        if let Some(spans) = &self.spans {
            let (spools, folder) = {
                let inner = spans.lock();
                let name = inner.spool.as_ref().map(|spool| spool.name().to_owned());
                (inner.spools, name)
            };
            self.moves_alone(spools, folder);
        }
    }

    fn moves_alone(&self, spools: bool, folder: Option<String>) {
        let mut inner = self.lock();
        let moved = match (&inner.spool, folder) {
            (Some(spool), Some(folder)) if spool.name() != folder => Some(spool.moved_to(folder)),
            _ => None,
        };
        if inner.spools != spools || moved.is_some() {
            inner.spools = spools;
            inner.spool = moved.or_else(|| inner.spool.take());
            // What others have left for a destination that was replaced is for a later process, but for
            // those that have left something here as well.
            inner.behind = spools && inner.spool.is_some();
            // Who waits for something to send looks into the new folder.
            self.news.notify_one();
        }
    }

    fn tell(&self) {
        self.moved.notify_waiters();
        if let Some(control) = self.progress.upgrade() {
            let _ = control.send(Control::Progress);
        }
    }

    /// Nobody takes batches out any more: nobody waits for it.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.write_what_was_removed();
        let rest = std::mem::take(&mut inner.queue);
        drop(inner);
        for batch in &rest {
            let segment = batch.place.as_ref().map(|place| &place.segment);
            if let (Held::Disk(count), true) =
                (&batch.held, segment.is_some_and(|one| one.is_gone()))
            {
                let ledger = &self.account.ledger;
                ledger.unspooled(batch.kind, *count as u64);
                ledger.dropped_many(batch.kind, DropReason::Shutdown, *count as u64);
            }
        }
        // Events in memory count themselves.
        drop(rest);
        self.tell();
    }

    /// Puts the oldest segment that an earlier process left in front. `false` where there is
    /// none.
    fn adopt(&self, inner: &mut Inner) -> bool {
        let take_spans_of = |writer: &str| {
            let spans = self.spans.as_ref();
            spans.is_none_or(|spans| spans.take_over_spans_of(writer))
        };
        let adopted = inner.with_spool(|spool, is_here| {
            spool.adopt(&Beside {
                is_here,
                take_spans_of: &take_spans_of,
            })
        });
        match adopted.flatten() {
            Some(batches) => {
                self.put_in_front(inner, batches);
                true
            }
            None => false,
        }
    }

    /// Puts what a writer that is gone has left of spans in front; `false` where some of it is not to be
    /// had now, and may not have gone out yet.
    fn take_over_spans_of(&self, writer: &str) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return false;
        }
        let adopted = inner.with_spool(|spool, is_here| spool.spans_of(writer, is_here));
        let Spans { batches, elsewhere } = adopted.unwrap_or_default();
        if !batches.is_empty() {
            self.put_in_front(&mut inner, batches);
            drop(inner);
            self.news.notify_one();
        }
        !elsewhere
    }

    /// Adds what an earlier process left, behind what else was left.
    fn put_in_front(&self, inner: &mut Inner, batches: Vec<Batch>) {
        let left = inner.queue.iter().take_while(|one| one.number == 0).count();
        let mut recovered = EventKind::ALL.map(|_| 0);
        let mut dirs: Vec<_> = batches
            .iter()
            .filter_map(|batch| batch.place.as_ref()?.segment.path().parent())
            .map(|dir| dir.display().to_string())
            .collect();
        dirs.dedup();
        for (place, batch) in (left..).zip(batches) {
            self.account.ledger.recovered(batch.kind, batch.len());
            recovered[batch.kind as usize] += batch.len();
            inner.queue.insert(place, batch);
        }
        report::info(|| {
            let kinds = EventKind::ALL.into_iter().zip(recovered);
            let kinds: Vec<String> = kinds
                .filter(|(_, count)| *count > 0)
                .map(|(kind, count)| format!("{count} {}", kind.plural()))
                .collect();
            format!(
                "taken over from an earlier process, in {}: {}",
                dirs.join(" and "),
                kinds.join(", ")
            )
        });
    }

    /// Keeps the spool within its size: the oldest segments go first, save for those that are
    /// being written or sent.
    fn make_room(&self, inner: &mut Inner) {
        let mut excess = inner.spool.as_ref().map_or(0, Spool::excess);
        while excess > 0 {
            // What others have left is older than what is ours.
            let is_left = |batch: &&Batch| batch.number == 0;
            let mut left = inner.queue.iter().take_while(is_left);
            let oldest = left.find_map(|batch| inner.idle_segment(batch));
            if oldest.is_none() && self.adopt(inner) {
                continue;
            }
            let any = || {
                inner
                    .queue
                    .iter()
                    .find_map(|batch| inner.idle_segment(batch))
            };
            let Some(oldest) = oldest.or_else(any) else {
                return;
            };
            excess = excess.saturating_sub(oldest.bytes());
            let is_in_it = |batch: &Batch| {
                let place = batch.place.as_ref();
                place.is_some_and(|place| Arc::ptr_eq(&place.segment, &oldest))
            };
            let all = std::mem::take(&mut inner.queue);
            let (gone, kept): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(is_in_it);
            inner.queue = kept;
            self.give_up(gone.into(), DropReason::SpoolFull);
        }
    }

    /// From time to time: gives up what has waited in the spool for longer than it may, wherever it stands,
    /// and lets go of what was delivered.
    pub(super) fn tidy(&self) {
        let mut inner = self.lock();
        let Some(max_age) = inner.spool.as_ref().map(|spool| spool.max_age) else {
            return;
        };
        inner.write_what_was_removed();
        let all = std::mem::take(&mut inner.queue);
        // What is acknowledged of a segment is all up to there: clocks may have made an earlier part younger.
        let mut staying = HashSet::new();
        let (gone, kept): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(|batch| {
            let place = batch.place.as_ref();
            let segment = place.map(|place| Arc::as_ptr(&place.segment));
            let stays = !inner.is_expired(batch, max_age)
                || segment.is_some_and(|segment| staying.contains(&segment));
            if stays {
                staying.extend(segment);
            }
            !stays
        });
        inner.queue = kept;
        self.give_up(gone.into(), DropReason::Expired);
        if let Some(spool) = &mut inner.spool {
            spool.close_delivered();
        }
    }

    /// The same for what stands in front.
    fn give_up_expired(&self, inner: &mut Inner) {
        let Some(max_age) = inner.spool.as_ref().map(|spool| spool.max_age) else {
            return;
        };
        let old = inner.queue.iter();
        let old = old.take_while(|batch| inner.is_expired(batch, max_age));
        let count = old.count();
        let gone: Vec<Batch> = inner.queue.drain(..count).collect();
        self.give_up(gone, DropReason::Expired);
    }

    fn give_up(&self, batches: Vec<Batch>, reason: DropReason) {
        let count: u64 = batches.iter().map(Batch::len).sum();
        if count == 0 {
            return;
        }
        for batch in batches {
            match batch.held {
                Held::Memory(events) => {
                    for event in events {
                        event.give_up(reason);
                    }
                }
                Held::Disk(count) => {
                    let ledger = &self.account.ledger;
                    ledger.unspooled(batch.kind, count as u64);
                    ledger.dropped_many(batch.kind, reason, count as u64);
                }
            }
            if let Some(place) = batch.place {
                place.settled();
            }
        }
        report::once(report::Kind::Spool, || {
            format!("the oldest events of the spool are dropped, and counted: {count} {reason}")
        });
        self.tell();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The spool, where there is one, with a look at whether this line has a segment already.
    fn with_spool<R>(
        &mut self,
        with: impl FnOnce(&mut Spool, &dyn Fn(&Path) -> bool) -> R,
    ) -> Option<R> {
        let waiting = self.queue.iter().filter_map(|batch| batch.place.as_ref());
        let waiting = waiting.map(|place| &place.segment);
        let sent = self.current.iter().filter_map(|one| one.segment.as_ref());
        let segments = waiting.chain(sent);
        let is_here = |path: &Path| segments.clone().any(|segment| segment.path() == path);
        self.spool.as_mut().map(|spool| with(spool, &is_here))
    }

    /// Writes to new files what waits in some that somebody has removed. Where that fails it stays as it is:
    /// it can still be sent, and is looked at again.
    fn write_what_was_removed(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        let mut seen: HashMap<*const Kept, bool> = HashMap::new();
        let mut told = false;
        for batch in &mut self.queue {
            let Some(place) = &batch.place else { continue };
            let is_gone = seen
                .entry(Arc::as_ptr(&place.segment))
                .or_insert_with(|| place.segment.is_gone());
            if !*is_gone {
                continue;
            }
            if !std::mem::replace(&mut told, true) {
                spool.tell_removed();
            }
            let Ok(again) = spool.write_again(place) else {
                return;
            };
            batch.stands_at(again);
        }
    }

    /// Whether nothing that an earlier process left stands in front.
    fn is_next_our_own(&self) -> bool {
        self.queue.front().is_none_or(|first| first.number > 0)
    }

    /// Whether the batch shares its segment with the one that is being sent, which is older.
    fn is_busy(&self, batch: &Batch) -> bool {
        let sent = self
            .current
            .as_ref()
            .and_then(|current| current.segment.as_ref());
        let place = batch.place.as_ref();
        place
            .zip(sent)
            .is_some_and(|(place, sent)| Arc::ptr_eq(&place.segment, sent))
    }

    /// Whether it has waited on disk for longer than it may. What shares its segment with the one that is
    /// being sent stays for that.
    fn is_expired(&self, batch: &Batch, max_age: Duration) -> bool {
        let age = SystemTime::now().duration_since(batch.formed);
        let is_old = age.unwrap_or(Duration::ZERO) > max_age;
        is_old && batch.place.is_some() && !self.is_busy(batch)
    }

    /// The segment of the batch, unless it is being written or sent.
    fn idle_segment(&self, batch: &Batch) -> Option<Arc<Kept>> {
        let segment = &batch.place.as_ref()?.segment;
        // What waited for a destination that was replaced frees nothing of this one's folder.
        let spool = self.spool.as_ref();
        let is_in_it = |spool: &Spool| segment.path().starts_with(spool.dir());
        if !spool.is_some_and(is_in_it) {
            return None;
        }
        let is_written = self
            .spool
            .as_ref()
            .is_some_and(|spool| spool.is_writing(segment));
        (!is_written && !self.is_busy(batch)).then(|| Arc::clone(segment))
    }

    /// The number of the oldest batch that is not settled.
    fn oldest(&self) -> u64 {
        if self.behind {
            return 0;
        }
        let current = self.current.as_ref().map(|current| current.number);
        // What an earlier process left may stand behind the one that is being sent.
        let first = self.queue.front().map(|batch| batch.number);
        current.into_iter().chain(first).min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
