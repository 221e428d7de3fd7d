//! What an intake has taken, and whether that is what it should be.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use llmobs::{Counts, DestinationStats};
use llmobs_tests::intake::Request;
use serde_json::Value;

/// How often each event has arrived, by run and number.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Runs>);

#[derive(Default)]
struct Runs {
    spans: HashMap<u32, Vec<u8>>,
    evaluations: HashMap<u32, Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Span,
    Evaluation,
}

pub(crate) fn span_name(run: u32, n: u32) -> String {
    format!("{run} {n}")
}

pub(crate) fn label(run: u32) -> String {
    format!("run_{run}")
}

impl Seen {
    pub(crate) fn take(&self, request: &Request) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for span in request.spans() {
            let name = span["name"].as_str().expect("a name");
            let (run, n) = name.split_once(' ').expect("run and number");
            count(&mut runs.spans, number(run), number(n));
        }
        for evaluation in request.evaluations() {
            let label = evaluation["label"].as_str().expect("a label");
            let run = label.strip_prefix("run_").expect("a run");
            let n = evaluation["score_value"].as_u64().expect("a number");
            count(
                &mut runs.evaluations,
                number(run),
                u32::try_from(n).expect("small"),
            );
        }
    }

    /// How many different events of a run have arrived, and how many of them more than once.
    pub(crate) fn of(&self, kind: Kind, run: u32) -> (u64, u64) {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(times) = runs.of(kind).get(&run) else {
            return (0, 0);
        };
        let different = times.iter().filter(|times| **times > 0).count() as u64;
        let again = times.iter().filter(|times| **times > 1).count() as u64;
        (different, again)
    }

    /// Which of the events before `end` have not arrived.
    pub(crate) fn missing(
        &self,
        kind: Kind,
        run: u32,
        numbers: impl Iterator<Item = u32>,
    ) -> Vec<u32> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let none = Vec::new();
        let times = runs.of(kind).get(&run).unwrap_or(&none);
        numbers
            .filter(|n| times.get(*n as usize).is_none_or(|times| *times == 0))
            .collect()
    }
}

impl Runs {
    fn of(&self, kind: Kind) -> &HashMap<u32, Vec<u8>> {
        match kind {
            Kind::Span => &self.spans,
            Kind::Evaluation => &self.evaluations,
        }
    }
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number")
}

fn count(runs: &mut HashMap<u32, Vec<u8>>, run: u32, n: u32) {
    let times = runs.entry(run).or_default();
    let n = n as usize;
    if times.len() <= n {
        times.resize(n + 1, 0);
    }
    times[n] = times[n].saturating_add(1);
}

/// The sum that holds at every moment, and nothing waits any more.
pub(crate) fn assert_adds_up(what: &str, counts: &Counts) {
    assert_eq!(counts.waiting, 0, "{what}: {counts:?}");
    let settled = counts.delivered + counts.spooled + counts.dropped_total();
    assert_eq!(
        counts.made + counts.recovered,
        settled,
        "{what}: {counts:?}"
    );
}

/// As one line for people and for a parent process.
pub(crate) fn shown(destination: &DestinationStats) -> Value {
    let counts = |counts: &Counts| {
        let dropped: Vec<String> = counts
            .dropped
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        serde_json::json!({
            "made": counts.made, "recovered": counts.recovered, "delivered": counts.delivered,
            "waiting": counts.waiting, "spooled": counts.spooled, "dropped": dropped,
        })
    };
    serde_json::json!({
        "spans": counts(&destination.spans),
        "evaluations": counts(&destination.evaluations),
        "retried": destination.retried,
        "possible_duplicates": destination.possible_duplicates,
    })
}
