//! What an answer of the server leads to. Each row: what was lost is counted, and nothing else is.

use std::time::Duration;

use llmobs::{Config, DropReason, Evaluation, EvaluationTarget, Stats, submit_evaluation};
use llmobs_tests::intake::Reply;
use llmobs_tests::{Intake, assert_accounted};

use crate::{SOON, client, client_that_waits, make_spans, names};

/// Sends five spans to an intake that answers by `script` and waits until all are settled.
fn five_spans(intake: &Intake) -> Stats {
    let config = Config::new().agent_url(intake.url()).timeout(SOON);
    let client = client_that_waits(config);
    make_spans(&client, &["a", "b", "c", "poison", "e"]);
    let stats = client.flush(SOON).unwrap().stats;
    client.shutdown(SOON).unwrap();
    assert_accounted(&stats, intake);
    assert_eq!(stats.waiting(), 0);
    assert_eq!(stats.spans().made, 5);
    stats
}

/// A time that runs out without an answer: long enough for a request to have left and to be read, on a busy machine.
const A_SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_may_pass_is_tried_again() {
    for status in [408, 425, 429, 500, 503] {
        let intake = Intake::start();
        intake.replies([Reply::status(status)]);
        let stats = five_spans(&intake);
        assert_eq!(stats.spans().delivered, 5, "{status}");
        assert_eq!(stats.destinations[0].retried, 1, "{status}");
        assert_eq!(intake.accepted_spans().len(), 5, "{status}");
    }
}

#[test]
fn a_connection_that_breaks_is_tried_again() {
    for reply in [Reply::drop_connection(), Reply::reset()] {
        let intake = Intake::start();
        intake.replies([reply]);
        let stats = five_spans(&intake);
        assert_eq!(stats.spans().delivered, 5);
        // The server may have read it before the connection broke.
        assert_eq!(stats.destinations[0].possible_duplicates, 5);
        assert_eq!(intake.accepted_spans().len(), 5);
    }
}

#[test]
fn retry_after_is_honoured() {
    let intake = Intake::start();
    intake.replies([Reply::status(429).header("Retry-After", "1")]);
    five_spans(&intake);
    let requests = intake.requests();
    let waited = requests[1].arrived - requests[0].arrived;
    // The backoff alone would be at most half a second.
    assert!(waited >= Duration::from_millis(950), "{waited:?}");
}

#[test]
fn one_bad_event_is_found_by_halves_and_takes_no_other_with_it() {
    for status in [400, 413, 422] {
        let intake = Intake::start();
        intake.script(move |request| {
            let poisoned = request.spans().any(|span| span["name"] == "poison");
            Reply::status(if poisoned { status } else { 202 })
        });
        let stats = five_spans(&intake);
        assert_eq!(stats.spans().delivered, 4, "{status}");
        assert_eq!(stats.spans().dropped, [(DropReason::Refused, 1)]);
        let mut accepted: Vec<String> = names(&intake.accepted_spans())
            .into_iter()
            .map(str::to_owned)
            .collect();
        accepted.sort();
        assert_eq!(accepted, ["a", "b", "c", "e"]);
    }
}

#[test]
fn what_is_refused_for_good_is_given_up_and_counted() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(410).body("no such thing"));
    let stats = five_spans(&intake);
    assert_eq!(stats.spans().dropped, [(DropReason::Refused, 5)]);
    assert_eq!(intake.requests().len(), 1);
}

#[test]
fn a_key_that_is_refused_pauses_and_keeps() {
    for status in [401, 403] {
        let intake = Intake::start();
        intake.script(move |_| Reply::status(status));
        let client = client(Config::new().agent_url(intake.url()));
        make_spans(&client, &["kept"]);
        intake.wait_for(|requests| !requests.is_empty(), SOON);
        client.flush(Duration::from_millis(200)).unwrap_err();
        assert_eq!(client.stats().spans().waiting, 1, "{status}");
        assert_eq!(intake.requests().len(), 1, "{status}");
        client.shutdown(Duration::from_millis(10)).unwrap_err();
        assert_eq!(client.stats().spans().dropped, [(DropReason::Shutdown, 1)]);
        assert_accounted(&client.stats(), &intake);
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Intake::start();
    let intake = Intake::start();
    let location = elsewhere.url().to_owned();
    intake.script(move |_| Reply::status(301).header("Location", &location));
    let client = client(
        Config::new()
            .agent_url(intake.url())
            .header("X-Secret", "s"),
    );
    make_spans(&client, &["kept"]);
    intake.wait_for(|requests| !requests.is_empty(), SOON);
    client.flush(Duration::from_millis(200)).unwrap_err();
    assert_eq!(client.stats().spans().waiting, 1);
    assert!(elsewhere.requests().is_empty());
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    assert_accounted(&client.stats(), &intake);
}

#[test]
fn an_agent_that_forgets_its_route_is_asked_again() {
    let intake = Intake::start();
    intake.replies([Reply::status(404)]);
    let stats = five_spans(&intake);
    assert_eq!(stats.spans().delivered, 5);
    assert_eq!(intake.info_count(), 2);
}

#[test]
fn an_origin_in_the_agents_place_is_not_asked_what_it_offers() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(404).body("no such route"));
    let client = client(Config::new().override_origin(intake.url()));
    make_spans(&client, &["a"]);
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!(stats.spans().dropped, [(DropReason::Refused, 1)]);
    assert_eq!(intake.info_count(), 0);
    assert_accounted(&client.stats(), &intake);
}

#[test]
fn an_evaluation_without_an_answer_is_risked_once_more() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let config = Config::new().agent_url(intake.url()).timeout(A_SECOND);
    let client = client(config);
    client.scope(|| {
        submit_evaluation(EvaluationTarget::span("1", "2"), Evaluation::new("good", 1)).unwrap();
    });
    let stats = client.flush(SOON).unwrap().stats;
    assert_eq!(stats.evaluations().dropped, [(DropReason::Unanswered, 1)]);
    assert_eq!(stats.destinations[0].possible_duplicates, 1);
    assert_eq!(intake.evaluations().len(), 2);
    client.shutdown(SOON).unwrap();
    assert_accounted(&client.stats(), &intake);
}

#[test]
fn past_the_limits_the_newest_is_dropped_and_counted() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let client = client(Config::new().agent_url(intake.url()).max_events(10));
    for _ in 0..25 {
        make_spans(&client, &["one of many"]);
    }
    let spans = client.stats().spans();
    assert_eq!((spans.made, spans.waiting), (25, 10));
    assert_eq!(spans.dropped, [(DropReason::QueueFull, 15)]);
    client.shutdown(Duration::from_millis(50)).unwrap_err();
    let spans = client.stats().spans();
    assert_eq!(spans.dropped_total(), 25);
    assert_eq!(spans.waiting, 0);
    assert_accounted(&client.stats(), &intake);
}

#[test]
fn a_server_that_asks_to_be_tried_again_at_once_is_not_flooded() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(429).header("Retry-After", "0"));
    let client = client(Config::new().agent_url(intake.url()));
    make_spans(&client, &["kept"]);
    intake.wait_for(|requests| !requests.is_empty(), SOON);
    client.flush(Duration::from_millis(300)).unwrap_err();
    let requests = intake.requests().len();
    assert!(requests < 20, "{requests} requests in 0.3 s");
    client.shutdown(Duration::from_millis(10)).unwrap_err();
    assert_accounted(&client.stats(), &intake);
}

#[test]
fn an_event_that_may_have_arrived_several_times_is_one_possible_duplicate() {
    let intake = Intake::start();
    intake.replies([Reply::hang(), Reply::hang(), Reply::hang()]);
    let config = Config::new().agent_url(intake.url()).timeout(A_SECOND);
    let client = client(config);
    make_spans(&client, &["a", "b"]);
    let stats = client.flush(SOON).unwrap().stats;
    assert_eq!(stats.spans().delivered, 2);
    assert_eq!(stats.destinations[0].retried, 3);
    assert_eq!(stats.destinations[0].possible_duplicates, 2);
    client.shutdown(SOON).unwrap();
    assert_accounted(&client.stats(), &intake);
}

#[test]
fn the_halves_of_what_had_no_answer_are_risked_no_more_often() {
    let intake = Intake::start();
    intake.replies([Reply::hang(), Reply::status(413)]);
    intake.script(|_| Reply::hang());
    let config = Config::new().agent_url(intake.url()).timeout(A_SECOND);
    let client = client(config);
    client.scope(|| {
        for id in ["1", "2"] {
            let target = EvaluationTarget::span(id, "2");
            submit_evaluation(target, Evaluation::new("good", 1)).unwrap();
        }
    });
    let stats = client.flush(SOON).unwrap().stats;
    assert_eq!(stats.evaluations().dropped, [(DropReason::Unanswered, 2)]);
    // Together, together, and each for itself.
    assert_eq!(intake.requests().len(), 4);
    assert_eq!(stats.destinations[0].possible_duplicates, 2);
    client.shutdown(SOON).unwrap();
    assert_accounted(&client.stats(), &intake);
}

#[test]
fn the_halves_of_what_had_no_answer_are_possible_duplicates_once() {
    let intake = Intake::start();
    let (hang, divide) = (Reply::hang(), Reply::status(413));
    intake.replies([hang.clone(), divide, hang.clone(), hang]);
    let config = Config::new().agent_url(intake.url()).timeout(A_SECOND);
    let client = client(config);
    make_spans(&client, &["a", "b"]);
    let stats = client.flush(SOON).unwrap().stats;
    assert_eq!(stats.spans().delivered, 2);
    assert_eq!(stats.destinations[0].possible_duplicates, 2);
    client.shutdown(SOON).unwrap();
    assert_accounted(&client.stats(), &intake);
}
