//! Statuses, and how long to wait.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use llmobs::{DropReason, FlushError, Stats};
use llmobs_tests::{Intake, Reply, Request};

use super::{
    EACH, agentless, assert_all_accounted, assert_all_delivered, events, first, give_up, make,
    settle, through, to_agent, wait_for_both_lanes, wait_for_retries, waiting,
};
use crate::{Folder, SOON, log};

/// What the two lanes count where each has one failure that the server has answered.
#[track_caller]
fn assert_retried_once(stats: &Stats) {
    let here = &stats.destinations[0];
    assert_eq!((here.retried, here.possible_duplicates), (2, 0));
}

/// The time between the first two requests to each path, the shorter one.
fn shortest_wait(intake: &Intake) -> Duration {
    let requests = intake.requests();
    let waits = ["/api/v2/llmobs", "/eval-metric"].map(|path| {
        let times: Vec<_> = requests
            .iter()
            .filter(|request| request.path.ends_with(path))
            .map(|request| request.arrived)
            .collect();
        times[1] - times[0]
    });
    waits[0].min(waits[1])
}

/// More than the first backoff may be, and less than a second less what a clock's grain takes.
const LONGER_THAN_A_BACKOFF: Duration = Duration::from_millis(900);

#[test]
fn a_server_in_trouble_is_tried_again() {
    for status in [500, 501, 502, 503, 504, 505, 599] {
        let (_, stats) = through(Reply::status(status));
        assert_retried_once(&stats);
    }
}

#[test]
fn a_request_that_came_too_late_or_too_early_is_sent_again() {
    for status in [408, 425] {
        let (_, stats) = through(Reply::status(status));
        assert_retried_once(&stats);
        let (intake, stats) = through(Reply::status(status).header("Retry-After", "1"));
        assert_retried_once(&stats);
        assert!(shortest_wait(&intake) >= LONGER_THAN_A_BACKOFF, "{status}");
    }
}

#[test]
fn a_rate_limit_that_names_no_time_is_waited_for_with_backoff() {
    let (_, stats) = through(Reply::status(429));
    assert_retried_once(&stats);
}

#[test]
fn a_rate_limit_is_waited_for_as_many_seconds_as_it_says() {
    let (intake, stats) = through(Reply::status(429).header("Retry-After", "1"));
    assert_retried_once(&stats);
    assert!(shortest_wait(&intake) >= LONGER_THAN_A_BACKOFF);
}

#[test]
fn a_rate_limit_is_waited_for_until_the_date_that_it_says() {
    let intake = Intake::start();
    first(&intake, |_| {
        // A date has whole seconds: this is one second off at least.
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
        Reply::status(429).header("Retry-After", &date)
    });
    let stats = settle(&to_agent(&intake), &intake);
    assert_all_delivered(&stats);
    assert_retried_once(&stats);
    assert!(shortest_wait(&intake) >= LONGER_THAN_A_BACKOFF);
}

#[test]
fn a_rate_limit_is_waited_for_until_its_reset() {
    let in_seconds = || 1;
    let as_a_time = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        // In whole seconds: this is one second off at least.
        now.as_secs() + 2
    };
    let resets: [fn() -> u64; 2] = [in_seconds, as_a_time];
    for reset in resets {
        let intake = Intake::start();
        first(&intake, move |_| {
            Reply::status(429).header("X-RateLimit-Reset", &reset().to_string())
        });
        let stats = settle(&to_agent(&intake), &intake);
        assert_all_delivered(&stats);
        assert_retried_once(&stats);
        assert!(shortest_wait(&intake) >= LONGER_THAN_A_BACKOFF);
    }
}

#[test]
fn a_server_in_trouble_may_say_how_long_as_well() {
    let (intake, stats) = through(Reply::status(503).header("Retry-After", "1"));
    assert_retried_once(&stats);
    assert!(shortest_wait(&intake) >= LONGER_THAN_A_BACKOFF);
}

#[test]
fn a_long_wait_that_a_server_asks_for_holds_up_no_flush_and_no_shutdown() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(429).header("Retry-After", "86400"));
    let client = to_agent(&intake);
    make(&client, 0..EACH);
    wait_for_both_lanes(&intake);
    let stats = give_up(&client, &intake);
    assert_eq!(waiting(&stats), [u64::from(EACH); 3]);
    let dropped = client.stats().spans().dropped;
    assert_eq!(dropped, [(DropReason::Shutdown, u64::from(EACH))]);
}

#[test]
fn a_key_that_is_refused_is_told_once_with_site_and_destination_and_tried_after_a_pause() {
    for status in [401, 403] {
        let intake = Intake::start();
        // In the place of the thirty seconds that it would be.
        let paused = Reply::status(status).header("Retry-After", "1");
        first(&intake, move |_| paused.clone());
        let client = crate::client(agentless(&intake).site("datadoghq.eu"));
        let stats = settle(&client, &intake);
        assert_all_delivered(&stats);
        assert_retried_once(&stats);
        assert!(shortest_wait(&intake) >= LONGER_THAN_A_BACKOFF);
        // The port may have been an Agent's of another test before.
        let lines = log::lines_with(&format!("intake {}", intake.url()));
        for kind in ["spans", "evaluations"] {
            let told = format!("delivery of {kind} to intake {}", intake.url());
            let (_, line) = lines
                .iter()
                .find(|(_, line)| line.contains(&told))
                .unwrap_or_else(|| panic!("{kind}: {lines:?}"));
            assert!(line.contains(r#"site "datadoghq.eu" (DD_SITE)"#), "{line}");
            assert!(!line.contains("key-of-faults"), "{line}");
        }
        let again = lines
            .iter()
            .filter(|(_, line)| line.contains("works again"));
        assert_eq!((again.count(), lines.len()), (2, 5), "{lines:?}");
    }
}

#[test]
fn what_somebody_has_to_mend_pauses_and_keeps() {
    // An Agent's key, redirects of every sort, a proxy that wants to know who asks.
    let statuses = [401, 403, 300, 301, 302, 303, 304, 307, 308, 407];
    let paused = statuses.map(|status| {
        let elsewhere = Intake::start();
        let intake = Intake::start();
        let location = elsewhere.url().to_owned();
        intake.script(move |_| Reply::status(status).header("Location", &location));
        let client = to_agent(&intake);
        make(&client, 0..EACH);
        wait_for_both_lanes(&intake);
        wait_for_retries(&client, 2);
        (status, client, intake, elsewhere)
    });
    // A backoff would be over, all ten of them within that time.
    std::thread::sleep(Duration::from_secs(1));
    for (status, client, intake, elsewhere) in paused {
        assert_eq!(client.stats().destinations[0].retried, 2, "{status}");
        let sent = events(&intake, |_| true);
        assert!(sent <= 3 * u64::from(EACH), "{status}: no other try");
        let stats = give_up(&client, &intake);
        assert_eq!(waiting(&stats), [u64::from(EACH); 3], "{status}");
        assert!(elsewhere.requests().is_empty(), "{status}");
        assert_eq!(elsewhere.info_count(), 0, "{status}");
    }
}

#[test]
fn the_intake_that_says_not_found_is_taken_at_its_word() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(404).body("no such route"));
    let client = crate::client(agentless(&intake));
    let stats = settle(&client, &intake);
    for counts in [stats.spans(), stats.evaluations(), stats.feedback()] {
        assert_eq!(counts.dropped, [(DropReason::Refused, u64::from(EACH))]);
    }
    assert_eq!(stats.destinations[0].retried, 0);
    let told = log::lines_with(intake.url());
    let given_up = told.iter().filter(|(_, line)| line.contains("given up"));
    let with_reason = given_up
        .clone()
        .filter(|(_, line)| line.contains("no such route"));
    assert_eq!((given_up.count(), with_reason.count()), (3, 3), "{told:?}");
}

#[test]
fn an_agent_that_has_the_proxy_and_still_says_not_found_passes_on_the_intakes_word() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(404));
    let client = to_agent(&intake);
    let stats = settle(&client, &intake);
    for counts in [stats.spans(), stats.evaluations(), stats.feedback()] {
        assert_eq!(counts.dropped, [(DropReason::Refused, u64::from(EACH))]);
    }
    // Each batch was sent, the Agent asked again, and the batch sent once more.
    assert_eq!(
        stats.destinations[0].retried as usize * 2,
        intake.requests().len()
    );
    assert!(intake.info_count() > 2);
}

#[test]
fn an_agent_that_has_lost_the_proxy_is_replaced_and_nothing_is_lost() {
    let intake = Intake::start();
    let folder = Folder::new();
    let client = crate::client(llmobs::Config::new().agent_url(intake.url()).dir(&folder.0));
    make(&client, 0..EACH);
    client.flush(SOON).unwrap();
    assert_eq!(
        events(&intake, llmobs_tests::Request::was_accepted),
        3 * u64::from(EACH)
    );
    intake.endpoints(&["/v0.4/traces"]);
    intake.script(|_| Reply::status(404));
    make(&client, EACH..2 * EACH);
    let stats = client.shutdown(SOON).unwrap().stats;
    llmobs_tests::assert_adds_up(&stats);
    assert_all_delivered(&stats);
    assert!(stats.destinations[0].name.starts_with("journal "));
    assert_eq!(folder.journal().len() as u32, 3 * EACH);
}

#[test]
fn an_answer_that_has_no_content_is_as_good_as_any() {
    for status in [200, 201, 202, 204] {
        let intake = Intake::start();
        let reply = if status == 204 {
            // The intake closes the connection, which the next request might cross.
            Reply::raw("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        } else {
            Reply::status(status).body("")
        };
        intake.script(move |_| reply.clone());
        let client = to_agent(&intake);
        make(&client, 0..EACH);
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_all_accounted(&stats, &intake);
        assert_all_delivered(&stats);
        assert_eq!(stats.destinations[0].retried, 0, "{status}");
        assert_eq!(events(&intake, |_| true), 3 * u64::from(EACH));
    }
}

#[test]
fn interim_answers_are_passed_over() {
    let (intake, stats) = through(Reply::default().after_interim(&[100, 102, 103, 100]));
    let here = &stats.destinations[0];
    assert_eq!((here.retried, here.possible_duplicates), (0, 0));
    assert_eq!(events(&intake, |_| true), 3 * u64::from(EACH));
}

#[test]
fn a_server_that_wants_to_speak_something_else_is_tried_again() {
    let switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    let (_, stats) = through(Reply::raw(switching));
    assert_retried_once(&stats);
}

#[test]
fn spans_that_have_become_too_old_while_they_waited_are_not_sent() {
    let intake = Intake::start();
    first(&intake, |_| Reply::status(503).header("Retry-After", "2"));
    // In the place of the day that it would be.
    let config = llmobs::Config::new().agent_url(intake.url());
    let client = crate::client(config.spool_max_age(Duration::from_secs(1)));
    let stats = settle(&client, &intake);
    let all = u64::from(EACH);
    assert_eq!(stats.spans().dropped, [(DropReason::Expired, all)]);
    assert_eq!(stats.evaluations().delivered, all);
    assert_eq!(stats.feedback().delivered, all);
    assert!(intake.accepted_spans().is_empty());
}

#[test]
fn a_shutdown_that_is_too_short_for_a_server_in_trouble_counts_what_waits() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(500));
    let client = to_agent(&intake);
    make(&client, 0..EACH);
    wait_for_both_lanes(&intake);
    let undelivered = client.shutdown(Duration::from_millis(300)).unwrap_err();
    let FlushError::Undelivered { report, .. } = undelivered else {
        panic!("{undelivered}");
    };
    llmobs_tests::assert_accounted(&report.stats, &intake);
    for counts in [
        report.stats.spans(),
        report.stats.evaluations(),
        report.stats.feedback(),
    ] {
        assert_eq!(counts.dropped, [(DropReason::Shutdown, u64::from(EACH))]);
    }
}

#[test]
fn a_shutdown_tries_at_once_what_waits_for_its_next_try_and_soon_again() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let client = to_agent(&intake);
    make(&client, 0..EACH);
    // By now either lane waits for up to eight seconds.
    let of = |requests: &[Request], path: &str| {
        let to_path = requests.iter().filter(|one| one.path.ends_with(path));
        to_path.count()
    };
    let enough = |requests: &[Request]| {
        of(requests, "/api/v2/llmobs") >= 5 && of(requests, "/eval-metric") >= 5
    };
    intake.wait_for(enough, 2 * SOON);
    first(&intake, |_| Reply::status(503));
    let report = client.shutdown(Duration::from_secs(7)).unwrap();
    llmobs_tests::assert_accounted(&report.stats, &intake);
    assert_all_delivered(&report.stats);
}

#[test]
fn a_shutdown_tries_once_more_what_somebody_had_to_mend() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(403));
    let client = to_agent(&intake);
    make(&client, 0..EACH);
    wait_for_both_lanes(&intake);
    wait_for_retries(&client, 2);
    intake.script(|_| Reply::default());
    let report = client.shutdown(SOON).unwrap();
    llmobs_tests::assert_accounted(&report.stats, &intake);
    assert_all_delivered(&report.stats);
}

#[test]
fn a_shutdown_is_over_when_nothing_can_be_tried_in_its_time() {
    let asked = Reply::status(429).header("Retry-After", "86400");
    for (reply, requests) in [(asked, 2), (Reply::status(403), 4)] {
        let intake = Intake::start();
        intake.script(move |_| reply.clone());
        let client = to_agent(&intake);
        make(&client, 0..EACH);
        wait_for_both_lanes(&intake);
        wait_for_retries(&client, 2);
        let started = Instant::now();
        let a_long_time = Duration::from_secs(25);
        client.shutdown(a_long_time).unwrap_err();
        assert!(started.elapsed() < a_long_time / 2);
        let stats = client.stats();
        llmobs_tests::assert_accounted(&stats, &intake);
        assert_eq!(stats.waiting(), 0);
        assert_eq!(intake.requests().len(), requests);
    }
}
