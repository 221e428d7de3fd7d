//! What `stats()` says has to add up, and what it calls delivered has to be at the intake.

use std::collections::BTreeMap;

use llmobs::{Counts, EventKind, Stats};
use serde_json::Value;

use crate::{Intake, Request};

const KINDS: [EventKind; 3] = [EventKind::Span, EventKind::Evaluation, EventKind::Feedback];

/// `made + recovered = delivered + waiting + spooled + dropped`, at every destination and for every kind.
///
/// # Panics
///
/// Where it is not so.
#[track_caller]
pub fn assert_adds_up(stats: &Stats) {
    for destination in &stats.destinations {
        for kind in KINDS {
            let counts = destination.counts(kind);
            assert_eq!(
                counts.made + counts.recovered,
                counts.delivered + left(counts),
                "{kind:?} at {}: {counts:?}",
                destination.name
            );
        }
    }
}

/// What is not delivered, and counted.
fn left(counts: &Counts) -> u64 {
    counts.waiting + counts.spooled + counts.dropped_total()
}

/// [`assert_adds_up`], and for each kind: every event that was acknowledged is at the intake; each that is not there is
/// counted as waiting, spooled or dropped; each that is there twice is a possible duplicate. The intake is the first
/// destination.
///
/// # Panics
///
/// Where it is not so.
#[track_caller]
pub fn assert_accounted(stats: &Stats, intake: &Intake) {
    assert_accounted_where(stats, intake, Request::was_accepted);
}

/// The same for an intake that cannot tell what it has taken by its own answers, since it wrote them byte by byte:
/// `took` picks the requests.
///
/// # Panics
///
/// Where it is not so.
#[track_caller]
pub fn assert_accounted_where(stats: &Stats, intake: &Intake, took: impl Fn(&Request) -> bool) {
    assert_adds_up(stats);
    let requests: Vec<Request> = intake
        .requests()
        .into_iter()
        .filter(|one| took(one))
        .collect();
    let first = &stats.destinations[0];
    let mut twice = 0;
    for kind in KINDS {
        let counts = first.counts(kind);
        let copies = copies(&requests, kind);
        let distinct = copies.len() as u64;
        twice += copies.values().sum::<u64>() - distinct;
        assert!(
            counts.delivered <= distinct,
            "{kind:?}: {} acknowledged, {distinct} arrived",
            counts.delivered
        );
        let made = counts.made + counts.recovered;
        assert!(
            distinct <= made && made - distinct <= left(counts),
            "{kind:?}: {distinct} arrived, {counts:?}"
        );
    }
    assert!(
        twice <= first.possible_duplicates,
        "{twice} came again, {} are said to be possible",
        first.possible_duplicates
    );
}

/// The events of a kind that the intake took, and how often it took each.
pub fn accepted(intake: &Intake, kind: EventKind) -> BTreeMap<String, u64> {
    let requests: Vec<Request> = intake.requests();
    let accepted = requests.into_iter().filter(Request::was_accepted);
    copies(&accepted.collect::<Vec<_>>(), kind)
}

fn copies(requests: &[Request], kind: EventKind) -> BTreeMap<String, u64> {
    let is_feedback = |event: &Value| event["event_kind"] == "feedback";
    let mut copies = BTreeMap::new();
    for request in requests {
        let events: Vec<&Value> = match kind {
            EventKind::Span => request.spans().collect(),
            _ => request.evaluations().collect(),
        };
        for event in events {
            if is_feedback(event) == (kind == EventKind::Feedback) {
                *copies.entry(event.to_string()).or_default() += 1;
            }
        }
    }
    copies
}
