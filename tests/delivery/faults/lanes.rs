//! What a request that is tried again and again holds up: its own lane, and no more.

use std::time::Duration;

use llmobs::{Config, DropReason};
use llmobs_tests::{Intake, Reply, assert_accounted};

use super::{EACH, give_up, make, to_agent, waiting};
use crate::SOON;

fn only(refused: &'static str) -> Intake {
    let intake = Intake::start();
    intake.script(move |request| {
        let status = if request.path.ends_with(refused) {
            500
        } else {
            202
        };
        Reply::status(status)
    });
    intake
}

#[test]
fn spans_that_are_tried_again_hold_up_no_evaluations() {
    let intake = only("/api/v2/llmobs");
    let client = to_agent(&intake);
    make(&client, 0..EACH);
    let all = 2 * EACH as usize;
    intake.wait_for_evaluations(all, SOON);
    let stats = give_up(&client, &intake);
    assert_eq!(waiting(&stats), [u64::from(EACH), 0, 0]);
}

#[test]
fn evaluations_that_are_tried_again_hold_up_no_spans() {
    let intake = only("/eval-metric");
    let client = to_agent(&intake);
    make(&client, 0..EACH);
    intake.wait_for_spans(EACH as usize, SOON);
    let stats = give_up(&client, &intake);
    let all = u64::from(EACH);
    assert_eq!(waiting(&stats), [0, all, all]);
}

#[test]
fn past_the_limit_the_newest_of_a_lane_that_waits_is_dropped_and_the_rest_arrives() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(403).header("Retry-After", "1"));
    let client = crate::client(Config::new().agent_url(intake.url()).max_events(30));
    make(&client, 0..20);
    let stats = client.stats();
    assert_accounted(&stats, &intake);
    for counts in [stats.spans(), stats.evaluations(), stats.feedback()] {
        assert_eq!(counts.dropped, [(DropReason::QueueFull, 10)]);
    }
    intake.script(|_| Reply::default());
    client.flush(SOON).unwrap();
    // There is room again.
    make(&client, 20..25);
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    for counts in [stats.spans(), stats.evaluations(), stats.feedback()] {
        assert_eq!((counts.delivered, counts.dropped_total()), (15, 10));
    }
}

#[test]
fn the_order_of_a_lane_is_kept_through_a_failure() {
    let intake = Intake::start();
    intake.replies([Reply::status(503), Reply::status(503)]);
    let client = to_agent(&intake);
    for round in 0..4 {
        make(&client, round * EACH..(round + 1) * EACH);
        // Longer than a batch waits for more.
        std::thread::sleep(Duration::from_millis(150));
    }
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    let spans = intake.accepted_spans();
    let names = crate::names(&spans);
    let made: Vec<String> = (0..4 * EACH).map(|n| format!("task {n}")).collect();
    assert_eq!(names, made);
}
