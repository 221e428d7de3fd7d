//! Sending: a thread with a runtime of its own for each submission, and the same exporters,
//! framing and retries as the worker's, with an end to its patience.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;

use super::result::Rejection;
use super::submission::Row;
use super::{RejectionCode, RowResult};
use crate::config::Settings;
use crate::export::{self, Encoded, Exporter, Line, PublicLine};
use crate::report::Silencer;
use crate::stats::{EventKind, Ledger};
use crate::thread;
use crate::worker::batch::Gathering;
use crate::worker::retry::{Delivery, Fate, Patience};

const THREAD: &str = "llmobs-offline";
/// How often one request is tried.
const TRIES: u32 = 3;

/// A row and its place among those that are sent.
type Placed<'a> = (usize, &'a Row);

impl Encoded for Placed<'_> {
    fn line(&self) -> Line<'_> {
        let body = &self.1.body;
        Line {
            json: &body.json,
            made_ms: body.made_ms,
            public: body.public.as_ref().map(|public| PublicLine {
                ml_app: &public.ml_app,
                json: &public.json,
            }),
        }
    }
}

/// The bytes of the largest body that fits into a request.
pub(super) fn largest_body(
    settings: &Settings,
    kind: EventKind,
    application: Option<&str>,
) -> usize {
    requests(settings, kind, application).largest_event()
}

/// Requests that are small enough in either form.
fn requests<'a>(
    settings: &Settings,
    kind: EventKind,
    application: Option<&str>,
) -> Gathering<Placed<'a>> {
    let mut frame = export::frame(kind);
    if let Some(application) = application {
        let public = export::public_frame(application);
        frame.around = frame.around.max(public.around);
        frame.each = frame.each.max(public.each);
    }
    Gathering::new(kind, frame, settings.payload_size_bytes)
}

/// The rows in requests: one after the other, and those of one application together.
fn batches<'a>(settings: &Settings, kind: EventKind, rows: &'a [Row]) -> Vec<Vec<Placed<'a>>> {
    let mut gatherings: HashMap<Option<&str>, Gathering<Placed<'a>>> = HashMap::new();
    let mut order = Vec::new();
    let mut batches = Vec::new();
    for placed in rows.iter().enumerate() {
        let application = placed.1.body.application();
        let gathering = gatherings.entry(application).or_insert_with(|| {
            order.push(application);
            requests(settings, kind, application)
        });
        batches.extend(gathering.add(placed));
    }
    let mut rest = |application| gatherings.get_mut(&application).and_then(Gathering::seal);
    batches.extend(order.into_iter().filter_map(&mut rest));
    batches
}

/// Sends the rows and writes their results; blocks until then, within a runtime too.
pub(super) fn blocking(
    settings: &Settings,
    kind: EventKind,
    rows: &[Row],
    results: &mut [RowResult],
) {
    let done = std::thread::scope(|scope| {
        let silencer = Silencer::new();
        let work = || on_this_thread(silencer, send(settings, kind, rows));
        let thread = thread::start_scoped(scope, THREAD, work);
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
    kind: EventKind,
    rows: Vec<Row>,
    mut results: Vec<RowResult>,
) -> Vec<RowResult> {
    let rows: Arc<[Row]> = rows.into();
    let (mut sender, receiver) = oneshot::channel();
    let sent = Arc::clone(&rows);
    let silencer = Silencer::new();
    let thread = thread::start(THREAD, move || {
        let done = on_this_thread(silencer, async {
            let mut work = pin!(send(&settings, kind, &sent));
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

fn on_this_thread<T>(silencer: Silencer, work: impl Future<Output = T>) -> std::io::Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    silencer.rest_with(&mut runtime);
    let _silence = silencer.silence();
    let runtime = runtime.enable_all().build()?;
    Ok(runtime.block_on(work))
}

/// Puts the results of the rows into their places.
fn enter(rows: &[Row], results: &mut [RowResult], done: std::io::Result<Vec<RowResult>>) {
    let done = done.unwrap_or_else(|error| {
        let reason = format!("no thread could be started to send it: {error}");
        vec![RowResult::Retriable { reason }; rows.len()]
    });
    for (row, result) in rows.iter().zip(done) {
        results[row.index] = match (result, &row.body.flaw) {
            (RowResult::Sent, Some(Rejection { code, reason })) => RowResult::Mended {
                code: *code,
                reason: reason.clone(),
            },
            (result, _) => result,
        };
    }
}

/// Sends the rows to every destination; one result for each, in their order.
async fn send(settings: &Settings, kind: EventKind, rows: &[Row]) -> Vec<RowResult> {
    let mut results = vec![RowResult::Sent; rows.len()];
    for exporter in export::choose(settings).await {
        let places = send_to(exporter, settings, kind, rows).await;
        for (result, here) in results.iter_mut().zip(places) {
            if rank(&here) > rank(result) {
                *result = here;
            }
        }
    }
    results
}

async fn send_to(
    exporter: Exporter,
    settings: &Settings,
    kind: EventKind,
    rows: &[Row],
) -> Vec<RowResult> {
    let mut results = vec![RowResult::interrupted(); rows.len()];
    let ledger = Arc::new(Ledger::new(exporter.name()));
    let patience = Patience::Bounded {
        tries: TRIES,
        longest_wait: settings.timeout,
    };
    let mut delivery = Delivery::new(exporter, settings.clone(), ledger, patience);
    for batch in batches(settings, kind, rows) {
        let settle = |rows: Vec<Placed<'_>>, fate: &Fate| {
            for (place, _) in rows {
                results[place] = result(fate);
            }
        };
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
        Fate::Expired => RowResult::Rejected {
            code: RejectionCode::TooOld,
            reason: "it is older than 24 hours".to_owned(),
        },
    }
}

/// What is worse comes later: a refusal cannot be helped, but something is left to do for a
/// row that did not get through.
fn rank(result: &RowResult) -> u8 {
    match result {
        RowResult::Sent | RowResult::Mended { .. } => 0,
        RowResult::Rejected { .. } => 1,
        RowResult::Retriable { .. } => 2,
    }
}
