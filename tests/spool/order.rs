//! Evaluations keep their order after their spans.

use std::time::Duration;

use llmobs_tests::Intake;
use llmobs_tests::intake::{Reply, Request};

use crate::{Folder, SOON, assert_adds_up, client, make_evaluated};

/// For each accepted request: how many spans and how many evaluations.
fn accepted(requests: &[Request]) -> Vec<(usize, usize)> {
    let accepted = requests.iter().filter(|request| request.was_accepted());
    accepted
        .map(|request| (request.spans().len(), request.evaluations().len()))
        .collect()
}

#[test]
fn evaluations_wait_for_the_spans_before_them() {
    let folder = Folder::new();
    let intake = Intake::start();
    // The spans have trouble, the evaluations would have none.
    let mut troubles = 3;
    intake.script(move |request| {
        if request.spans().len() > 0 && troubles > 0 {
            troubles -= 1;
            return Reply::status(429).header("Retry-After", "1");
        }
        Reply::default()
    });
    let client = client(&folder, intake.url());
    make_evaluated(&client, "a");
    let report = client.shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(accepted(&intake.requests()), [(1, 0), (0, 1)]);
}

#[test]
fn so_do_those_that_an_earlier_client_left() {
    let folder = Folder::new();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let first = client(&folder, intake.url());
    for name in ["a", "b", "c"] {
        make_evaluated(&first, name);
        drop(first.flush(Duration::from_millis(20)));
    }
    first.shutdown(Duration::from_millis(500)).unwrap();
    let before = intake.requests().len();
    intake.script(|_| Reply::default());
    let report = client(&folder, intake.url()).shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    let after = accepted(&intake.requests()[before..]);
    let spans: usize = after.iter().map(|(spans, _)| spans).sum();
    let evaluations: usize = after.iter().map(|(_, evaluations)| evaluations).sum();
    assert_eq!((spans, evaluations), (3, 3));
    let first_evaluation = after.iter().position(|(_, count)| *count > 0).unwrap();
    assert!(
        after[first_evaluation..]
            .iter()
            .all(|(spans, _)| *spans == 0),
        "{after:?}"
    );
}
