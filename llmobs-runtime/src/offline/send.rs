//! Sending: a thread with a runtime of its own for each submission, and the same exporters,
//! framing and retries as the worker's, with an end to its patience.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use tokio::sync::oneshot;

use super::{RejectionCode, Row, RowResult};
use crate::config::Settings;
use crate::export::{self, Encoded, Exporter, Line};
use crate::report;
use crate::stats::{EventKind, Ledger};
use crate::worker::batch::Gathering;
use crate::worker::retry::{Delivery, Fate, Patience};

const THREAD: &str = "llmobs-evaluations";
/// How often one request is tried.
const TRIES: u32 = 3;

/// A row and its place among those that are sent.
type Placed<'a> = (usize, &'a Row);

impl Encoded for Placed<'_> {
    fn line(&self) -> Line<'_> {
        Line {
            json: &self.1.json,
            made_ms: self.1.made_ms,
        }
    }
}

/// The bytes of the largest row that fits into a request.
pub(super) fn largest_row(settings: &Settings) -> usize {
    requests(settings).largest_event()
}

fn requests<'a>(settings: &Settings) -> Gathering<Placed<'a>> {
    let kind = EventKind::Evaluation;
    Gathering::new(kind, export::frame(kind), settings.payload_size_bytes)
}

/// Sends the rows and writes their results; blocks until then, within a runtime too.
pub(super) fn blocking(settings: &Settings, rows: &[Row], results: &mut [RowResult]) {
    let done = thread::scope(|scope| {
        let thread = thread::Builder::new().name(THREAD.to_owned());
        let thread = thread.spawn_scoped(scope, || on_this_thread(send(settings, rows)));
        match thread {
            Ok(thread) => thread.join().ok(),
            Err(error) => Some(Err(error)),
        }
    });
    // A thread that panicked leaves the results as they are, which is "interrupted".
    if let Some(done) = done {
        enter(rows, results, done);
    }
}

/// The same on a thread that is not waited for, and that ends when nobody waits for the
/// results any more.
pub(super) async fn detached(
    settings: Settings,
    rows: Vec<Row>,
    mut results: Vec<RowResult>,
) -> Vec<RowResult> {
    let rows: Arc<[Row]> = rows.into();
    let (mut sender, receiver) = oneshot::channel();
    let thread = thread::Builder::new().name(THREAD.to_owned());
    let sent = Arc::clone(&rows);
    let thread = thread.spawn(move || {
        let done = on_this_thread(async {
            let mut work = pin!(send(&settings, &sent));
            let mut abandoned = pin!(sender.closed());
            poll_fn(|cx| match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending => abandoned.as_mut().poll(cx).map(|()| None),
            })
            .await
        });
        if let Some(done) = done.transpose() {
            // Whoever has gone in the meantime needs no results.
            let _ = sender.send(done);
        }
    });
    match thread {
        Ok(_) => {
            if let Ok(done) = receiver.await {
                enter(&rows, &mut results, done);
            }
        }
        Err(error) => enter(&rows, &mut results, Err(error)),
    }
    results
}

fn on_this_thread<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let _silence = report::silence();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}

/// Puts the results of the rows into their places.
fn enter(rows: &[Row], results: &mut [RowResult], done: std::io::Result<Vec<RowResult>>) {
    let done = done.unwrap_or_else(|error| {
        let reason = format!("no thread could be started to send it: {error}");
        vec![RowResult::Retriable { reason }; rows.len()]
    });
    for (row, result) in rows.iter().zip(done) {
        results[row.index] = result;
    }
}

/// Sends the rows to every destination; one result for each, in their order.
async fn send(settings: &Settings, rows: &[Row]) -> Vec<RowResult> {
    let mut results = vec![RowResult::Sent; rows.len()];
    for exporter in export::choose(settings).await {
        let places = send_to(exporter, settings, rows).await;
        for (result, here) in results.iter_mut().zip(places) {
            if rank(&here) > rank(result) {
                *result = here;
            }
        }
    }
    results
}

async fn send_to(exporter: Exporter, settings: &Settings, rows: &[Row]) -> Vec<RowResult> {
    let mut results = vec![RowResult::interrupted(); rows.len()];
    let ledger = Arc::new(Ledger::new(exporter.name()));
    let patience = Patience::Bounded {
        tries: TRIES,
        longest_wait: settings.timeout,
    };
    let mut delivery = Delivery::new(exporter, settings.clone(), ledger, patience);
    let mut gathering = requests(settings);
    let mut batches = Vec::new();
    for placed in rows.iter().enumerate() {
        batches.extend(gathering.add(placed));
    }
    batches.extend(gathering.seal());
    for batch in batches {
        let kind = EventKind::Evaluation;
        let settle = |(place, _): Placed<'_>, fate: &Fate| results[place] = result(fate);
        delivery.deliver(kind, batch, settle).await;
    }
    results
}

fn result(fate: &Fate) -> RowResult {
    match fate {
        Fate::Delivered => RowResult::Sent,
        Fate::Refused(reason) => RowResult::Rejected {
            code: RejectionCode::Refused,
            reason: reason.clone(),
        },
        Fate::Unanswered(reason) => RowResult::Retriable {
            reason: format!("{reason}; it may have arrived, and would then count twice"),
        },
        Fate::OutOfTries(reason) => RowResult::Retriable {
            reason: reason.clone(),
        },
    }
}

/// What is worse comes later: a refusal cannot be helped, but something is left to do for a
/// row that did not get through.
fn rank(result: &RowResult) -> u8 {
    match result {
        RowResult::Sent => 0,
        RowResult::Rejected { .. } => 1,
        RowResult::Retriable { .. } => 2,
    }
}
