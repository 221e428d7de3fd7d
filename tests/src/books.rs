//! What `stats()` says has to add up, and what it calls delivered has to be at the intake.

use std::collections::BTreeMap;

use llmobs::{Counts, EventKind, Stats};
use serde_json::Value;

use crate::Intake;

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
    assert_adds_up(stats);
    let first = &stats.destinations[0];
    let mut twice = 0;
    for kind in KINDS {
        let counts = first.counts(kind);
        let copies = accepted(intake, kind);
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
    let events = match kind {
        EventKind::Span => intake.accepted_spans(),
        _ => intake.accepted_evaluations(),
    };
    let is_feedback = |event: &Value| event["event_kind"] == "feedback";
    let mut copies = BTreeMap::new();
    for event in events {
        if is_feedback(&event) == (kind == EventKind::Feedback) {
            *copies.entry(event.to_string()).or_default() += 1;
        }
    }
    copies
}
