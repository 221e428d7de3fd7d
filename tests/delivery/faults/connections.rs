//! Connections that are not made, break, hang, or carry something else.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use llmobs::{Config, DropReason, Evaluation, EvaluationTarget, LlmObs, Span, Stats, Verdict};
use llmobs_tests::{Intake, Reading, Reply, Request, assert_accounted, assert_adds_up};

use super::{
    EACH, SHORT, agentless, assert_all_accounted, assert_all_delivered, events, first, give_up,
    give_up_everything, impatient, make, settle, through, through_with, to_agent, wait_for_retries,
    wait_until, waiting,
};
use crate::{SOON, client, log};

fn duplicates(stats: &Stats) -> u64 {
    stats.destinations[0].possible_duplicates
}

fn unanswered(request: &Request) -> bool {
    request.answer.is_none()
}

/// A second try of what the server may have had: nothing lost, and what it may have twice is counted.
#[track_caller]
fn assert_tried_again(intake: &Intake, stats: &Stats) {
    assert_eq!(stats.destinations[0].retried, 2);
    assert_eq!(duplicates(stats), events(intake, unanswered));
    assert!(duplicates(stats) > 0);
}

#[test]
fn a_server_that_never_answers_is_tried_again() {
    let (intake, stats) = through_with(impatient, Reply::hang());
    assert_tried_again(&intake, &stats);
}

#[test]
fn evaluations_and_feedback_that_no_answer_came_to_are_risked_once_more_and_spans_for_ever() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let client = impatient(&intake);
    make(&client, 0..EACH);
    let spans = |all: &[Request]| all.iter().filter(|one| one.spans().len() > 0).count();
    intake.wait_for(|all| spans(all) > 2, SOON);
    let lost = |client: &LlmObs| {
        let stats = client.stats();
        stats.evaluations().dropped_total() + stats.feedback().dropped_total()
    };
    wait_until(|| lost(&client) == 2 * u64::from(EACH));
    let stats = give_up(&client, &intake);
    let all = u64::from(EACH);
    assert_eq!(stats.evaluations().dropped, [(DropReason::Unanswered, all)]);
    assert_eq!(stats.feedback().dropped, [(DropReason::Unanswered, all)]);
    assert_eq!(waiting(&stats), [all, 0, 0]);
    assert_eq!(duplicates(&stats), 3 * all);
    // Each of them came twice.
    let judgements = |request: &Request| request.evaluations().len() > 0;
    assert_eq!(events(&intake, judgements), 4 * all);
    let told = log::lines_with(intake.url());
    let given_up = told.iter().filter(|(_, line)| line.contains("given up"));
    assert_eq!(given_up.count(), 2, "one line for each batch: {told:?}");
}

#[test]
fn evaluations_and_feedback_whose_answer_is_lost_are_risked_once_more_and_spans_for_ever() {
    for reply in [Reply::drop_connection(), Reply::reset()] {
        let intake = Intake::start();
        intake.script(move |_| reply.clone());
        let client = to_agent(&intake);
        make(&client, 0..EACH);
        let spans = |all: &[Request]| all.iter().filter(|one| one.spans().len() > 0).count();
        intake.wait_for(|all| spans(all) > 2, SOON);
        let lost = |client: &LlmObs| {
            let stats = client.stats();
            stats.evaluations().dropped_total() + stats.feedback().dropped_total()
        };
        wait_until(|| lost(&client) == 2 * u64::from(EACH));
        let stats = give_up(&client, &intake);
        let all = u64::from(EACH);
        assert_eq!(stats.evaluations().dropped, [(DropReason::Unanswered, all)]);
        assert_eq!(stats.feedback().dropped, [(DropReason::Unanswered, all)]);
        assert_eq!(waiting(&stats), [all, 0, 0]);
        let judgements = |request: &Request| request.evaluations().len() > 0;
        assert_eq!(events(&intake, judgements), 4 * all, "each came twice");
    }
}

#[test]
fn an_answer_that_drips_past_the_timeout_is_none() {
    let drip = Reply::default().dripping_after(0, Duration::from_millis(50));
    let intake = Intake::start();
    first(&intake, move |_| drip.clone());
    let stats = settle(&impatient(&intake), &intake);
    assert_all_delivered(&stats);
    assert_eq!(stats.destinations[0].retried, 2);
    // The intake has taken these twice, and said so too late.
    let twice = events(&intake, |_| true) - 3 * u64::from(EACH);
    assert_eq!(duplicates(&stats), twice);
    assert!(twice > 0);
}

#[test]
fn a_status_counts_though_the_rest_of_the_answer_does_not_come() {
    let head = "HTTP/1.1 202 Accepted\r\ncontent-length: 100000\r\n\r\n";
    let beginning = Reply::raw(head.to_owned() + &"x".repeat(100));
    let drip = beginning
        .clone()
        .dripping_after(head.len(), Duration::from_millis(50));
    for reply in [beginning, drip] {
        let intake = Intake::start();
        first(&intake, move |_| reply.clone());
        let client = impatient(&intake);
        make(&client, 0..EACH);
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_all_accounted(&stats, &intake);
        assert_all_delivered(&stats);
        assert_eq!((stats.destinations[0].retried, duplicates(&stats)), (0, 0));
        assert_eq!(events(&intake, |_| true), 3 * u64::from(EACH));
    }
}

/// Nearly as much as a request may have: more than the buffers between here and there hold.
fn judge_at_length(client: &LlmObs) {
    client.scope(|| {
        for number in 0..5 {
            let judged = EvaluationTarget::span("1", "2");
            let evaluation = Evaluation::new("quality", number).reasoning("large ".repeat(160_000));
            llmobs::submit_evaluation(judged, evaluation).unwrap();
        }
    });
}

#[test]
fn what_a_server_has_not_read_to_its_end_is_no_possible_duplicate() {
    for reading in [
        Reading::Slowly(Duration::from_millis(10)),
        Reading::ResetAfter(100_000),
        Reading::HangUpAfter(100_000),
    ] {
        let intake = Intake::start();
        // Were it risked but once more, the evaluations would be lost.
        intake.readings([reading; 2]);
        let config = Config::new()
            .agent_url(intake.url())
            .timeout(Duration::from_secs(1));
        // All of them go together.
        let together = config
            .ml_app("delivery")
            .flush_interval(Duration::from_secs(10));
        let client = together.build().unwrap();
        judge_at_length(&client);
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_accounted(&stats, &intake);
        assert_eq!(stats.evaluations().delivered, 5, "{reading:?}");
        assert_eq!(stats.destinations[0].retried, 2, "{reading:?}");
        assert_eq!(duplicates(&stats), 0, "{reading:?}");
    }
}

#[test]
fn a_connection_that_is_reset_while_a_small_body_is_sent_is_tried_again() {
    for reading in [Reading::ResetAfter(10), Reading::HangUpAfter(10)] {
        let intake = Intake::start();
        intake.readings([reading]);
        let stats = settle(&to_agent(&intake), &intake);
        assert_all_delivered(&stats);
        assert_eq!(stats.destinations[0].retried, 1);
        // It was small enough to be under way as a whole.
        assert_eq!(duplicates(&stats), u64::from(EACH));
        assert_eq!(events(&intake, |_| true), 3 * u64::from(EACH));

        // Spans are sent as often as it takes.
        let intake = Intake::start();
        intake.readings([reading; 4]);
        let client = to_agent(&intake);
        client.scope(|| drop(Span::task("a").start()));
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_accounted(&stats, &intake);
        assert_eq!(stats.spans().delivered, 1);
        let destination = &stats.destinations[0];
        assert_eq!((destination.retried, duplicates(&stats)), (4, 1));
    }
}

#[test]
fn a_connection_that_ends_before_the_answer_is_tried_again() {
    for reply in [Reply::drop_connection(), Reply::reset()] {
        let (intake, stats) = through(reply);
        assert_tried_again(&intake, &stats);
    }
}

#[test]
fn a_connection_that_is_reset_in_the_middle_of_the_status_is_tried_again() {
    let (intake, stats) = through(Reply::default().reset_after(12));
    assert_tried_again(&intake, &stats);
}

#[test]
fn a_status_counts_though_the_connection_is_reset_after_it() {
    let intake = Intake::start();
    let head = "HTTP/1.1 202 Accepted\r\ncontent-length: 100000\r\n\r\n";
    let cut = Reply::raw(head).reset_after(head.len());
    first(&intake, move |_| cut.clone());
    let client = to_agent(&intake);
    make(&client, 0..EACH);
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_all_accounted(&stats, &intake);
    assert_all_delivered(&stats);
    // A reset may overtake the status that was sent before it; then it was tried again, and counted.
    let twice = events(&intake, |_| true) - 3 * u64::from(EACH);
    assert_eq!(duplicates(&stats), twice);
}

#[test]
fn a_reply_that_is_no_http_is_tried_again() {
    for reply in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\0\u{1}\u{2}",
        "HTTP/9.9 what\r\n\r\n",
    ] {
        let (intake, stats) = through(Reply::raw(reply));
        assert_tried_again(&intake, &stats);
    }
}

#[test]
fn a_reply_with_headers_that_are_none_is_tried_again() {
    let head = "HTTP/1.1 202 Accepted\r\n";
    let garbage = format!("{head}: no name\r\n\u{1}\u{2}\u{3}\r\n\r\n");
    let huge = format!("{head}x-huge: {}\r\n\r\n", "x".repeat(1_000_000));
    let many = format!("{head}{}\r\n", "x-many: x\r\n".repeat(1_000));
    let wrong_length = format!("{head}content-length: ten\r\n\r\n");
    for reply in [garbage, huge, many, wrong_length] {
        let (intake, stats) = through(Reply::raw(reply));
        assert_tried_again(&intake, &stats);
    }
}

#[test]
fn an_answer_that_lies_about_its_length_counts_by_its_status() {
    for length in ["100000", "1"] {
        let lie = Reply::default()
            .header("content-length", length)
            .body("what is more than one byte");
        let (intake, stats) = through(lie);
        assert_eq!((stats.destinations[0].retried, duplicates(&stats)), (0, 0));
        assert_eq!(events(&intake, |_| true), 3 * u64::from(EACH));
        assert!(told_of_failure(&intake).is_empty());
    }
}

/// The lines about this intake that tell of a failure.
fn told_of_failure(intake: &Intake) -> Vec<String> {
    let lines = log::lines_with(intake.url()).into_iter();
    let lines = lines.map(|(_, line)| line);
    lines.filter(|line| line.contains("fails")).collect()
}

#[test]
fn a_connection_that_was_closed_while_nobody_used_it_is_no_failure() {
    let intake = Intake::start();
    intake.script(|_| Reply::default().then_closes());
    let client = to_agent(&intake);
    for round in 0..20 {
        // One request at a time: a second one, of the other lane too, might cross the close.
        client.scope(|| {
            if round % 2 == 0 {
                drop(Span::task("a").start());
            } else {
                let span = EvaluationTarget::span("1", "2");
                llmobs::submit_evaluation(span, Evaluation::new("quality", round)).unwrap();
            }
        });
        client.flush(SOON).unwrap();
        intake.wait_until_closed(SOON);
    }
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    assert_eq!((stats.destinations[0].retried, duplicates(&stats)), (0, 0));
    assert_eq!(stats.spans().delivered + stats.evaluations().delivered, 20);
    assert_eq!(told_of_failure(&intake), [""; 0]);
}

#[test]
fn a_connection_that_was_closed_while_the_worker_was_busy_is_no_failure() {
    let intake = Arc::new(Intake::start());
    let closes = Arc::clone(&intake);
    // It runs where requests are made.
    let config = Config::new().agent_url(intake.url()).timeout(SOON);
    let client = client(config.processor(move |span| {
        if span.name() == "after it" {
            closes.go_down();
            closes.wait_until_closed(SOON);
            closes.come_up();
        }
        Verdict::Keep
    }));
    for round in 1..=10 {
        for name in ["before it", "after it"] {
            client.scope(|| drop(Span::task(name).start()));
            client.flush(SOON).unwrap();
        }
        assert_eq!(intake.connections(), round + 1);
    }
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    assert_eq!((stats.destinations[0].retried, duplicates(&stats)), (0, 0));
    assert_eq!(stats.spans().delivered, 20);
    assert_eq!(told_of_failure(&intake), [""; 0]);
}

#[test]
fn a_connection_that_nobody_has_used_for_long_is_not_used_again() {
    let intake = Intake::start();
    let client = to_agent(&intake);
    let send = || {
        client.scope(|| drop(Span::task("a").start()));
        client.flush(SOON).unwrap();
        intake.connections()
    };
    assert_eq!([send(), send()], [1, 1]);
    // An Agent may close it after five seconds; this intake closes nothing by itself.
    std::thread::sleep(Duration::from_millis(4_400));
    assert_eq!(send(), 2);
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    assert_eq!(stats.spans().delivered, 3);
    assert_eq!((stats.destinations[0].retried, duplicates(&stats)), (0, 0));
}

#[test]
fn one_connection_for_each_lane_is_used_again_and_again() {
    let intake = Intake::start();
    let client = to_agent(&intake);
    for round in 0..10 {
        make(&client, round * EACH..(round + 1) * EACH);
        client.flush(SOON).unwrap();
    }
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    assert!(intake.requests().len() >= 30);
    assert!(intake.connections() <= 2, "{}", intake.connections());
}

#[test]
fn a_port_where_nobody_listens_is_tried_again_and_is_no_possible_duplicate() {
    let intake = Intake::start_down();
    // Nothing is asked first where an origin is given.
    let client = crate::client(agentless(&intake));
    make(&client, 0..EACH);
    wait_for_retries(&client, 4);
    intake.come_up();
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    assert_all_delivered(&stats);
    assert_eq!(duplicates(&stats), 0);
}

#[test]
fn a_server_that_takes_connections_and_never_reads_is_tried_again() {
    let intake = Intake::start_deaf();
    let client = crate::client(agentless(&intake).timeout(SHORT));
    client.scope(|| drop(Span::task("a").start()));
    client.flush(SHORT * 2).unwrap_err();
    intake.come_up();
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    assert_eq!(stats.spans().delivered, 1);
    assert_eq!(duplicates(&stats), 1);
}

#[test]
fn a_server_that_takes_no_connection_is_tried_again_and_is_no_possible_duplicate() {
    let intake = Intake::start_deaf();
    let address: SocketAddr = intake.url()["http://".len()..].parse().unwrap();
    // As many as the system takes, until one is left waiting.
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
    let taken: Vec<TcpStream> = std::iter::from_fn(|| connect().ok()).collect();
    let client = crate::client(agentless(&intake).timeout(SHORT));
    make(&client, 0..EACH);
    wait_for_retries(&client, 4);
    assert_eq!(duplicates(&client.stats()), 0);
    assert_eq!(client.stats().dropped(), 0);
    drop(taken);
    intake.come_up();
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &intake);
    assert_all_delivered(&stats);
    assert_eq!(duplicates(&stats), 0);
}

#[test]
fn a_name_that_does_not_exist_keeps_everything_waiting() {
    let config = Config::new().agent_url("http://nonexistent.invalid:8126");
    let client = crate::client(config.timeout(SHORT));
    make(&client, 0..EACH);
    // A try of each lane, at least.
    wait_for_retries(&client, 2);
    client.flush(Duration::from_millis(50)).unwrap_err();
    let stats = client.stats();
    assert_adds_up(&stats);
    assert_eq!(waiting(&stats), [u64::from(EACH); 3]);
    assert_eq!(duplicates(&stats), 0);
    give_up_everything(&client);
}
