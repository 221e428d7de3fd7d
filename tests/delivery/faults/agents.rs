//! Agents that come late, go, come back, or are none.

use llmobs::{Config, Stats};
use llmobs_tests::{Intake, Reply, assert_accounted, assert_adds_up};
use serde_json::json;

use super::{
    EACH, assert_all_delivered, make, settle, to_agent, wait_for_both_lanes, wait_for_retries,
};
use crate::{Folder, SOON};

#[track_caller]
fn assert_no_duplicates(stats: &Stats) {
    assert_eq!(stats.destinations[0].possible_duplicates, 0);
}

/// Both ways in which an Agent may be reached.
fn down() -> Vec<Intake> {
    vec![
        Intake::start_down(),
        #[cfg(unix)]
        Intake::start_unix_down(),
    ]
}

#[test]
fn an_agent_that_comes_up_late_gets_everything() {
    for agent in down() {
        let client = to_agent(&agent);
        make(&client, 0..EACH);
        // A try of each lane, at least.
        wait_for_retries(&client, 2);
        assert_accounted(&client.stats(), &agent);
        agent.come_up();
        client.flush(SOON).unwrap();
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_accounted(&stats, &agent);
        assert_all_delivered(&stats);
        assert_no_duplicates(&stats);
    }
}

#[test]
fn an_agent_that_goes_away_and_comes_back_gets_everything() {
    for agent in down() {
        agent.come_up();
        let client = to_agent(&agent);
        for round in 0..3 {
            make(&client, 2 * round * EACH..(2 * round + 1) * EACH);
            client.flush(SOON).unwrap();
            agent.go_down();
            make(&client, (2 * round + 1) * EACH..(2 * round + 2) * EACH);
            wait_for_retries(&client, u64::from(round + 1) * 2);
            assert_accounted(&client.stats(), &agent);
            agent.come_up();
        }
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_accounted(&stats, &agent);
        assert_all_delivered(&stats);
        assert_eq!(stats.spans().made, u64::from(6 * EACH));
        assert_no_duplicates(&stats);
    }
}

#[test]
fn an_agent_that_goes_away_in_the_middle_of_a_request_gets_it_again() {
    for agent in down() {
        agent.come_up();
        agent.script(|_| Reply::hang());
        let client = to_agent(&agent);
        make(&client, 0..EACH);
        wait_for_both_lanes(&agent);
        agent.go_down();
        wait_for_retries(&client, 2);
        agent.script(|_| Reply::default());
        agent.come_up();
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_accounted(&stats, &agent);
        assert_all_delivered(&stats);
        // What was under way may have arrived.
        let possible = stats.destinations[0].possible_duplicates;
        assert!((1..=3 * u64::from(EACH)).contains(&possible));
    }
}

#[test]
fn an_agent_without_the_proxy_is_replaced_and_nothing_is_lost() {
    let agent = Intake::start();
    let mut asked = 0;
    for info in [
        Reply::json(json!({"version": "7.30.0", "endpoints": ["/v0.4/traces"]})),
        Reply::status(404),
        Reply::status(200).body("<html>a server that is no Agent</html>"),
    ] {
        agent.info(info);
        let folder = Folder::new();
        let client = crate::client(Config::new().agent_url(agent.url()).dir(&folder.0));
        make(&client, 0..EACH);
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_adds_up(&stats);
        assert_all_delivered(&stats);
        assert!(stats.destinations[0].name.starts_with("journal "));
        assert_eq!(folder.journal().len() as u32, 3 * EACH);
        assert!(agent.requests().is_empty());
        let before = std::mem::replace(&mut asked, agent.info_count());
        assert!((1..=2).contains(&(asked - before)), "once by a lane");
    }
}

#[test]
fn an_agent_that_cannot_say_yet_what_it_offers_is_waited_for() {
    let offers =
        || Reply::json(json!({"endpoints": ["/evp_proxy/v2/"], "config": "x".repeat(999)}));
    for info in [
        Reply::status(500),
        Reply::status(503),
        Reply::status(408),
        Reply::status(425),
        Reply::status(429),
        Reply::drop_connection(),
        Reply::reset(),
        Reply::raw("no HTTP"),
        // Half of an answer.
        offers().header("content-length", "100000"),
        offers().reset_after(200),
    ] {
        let mut agent = Intake::start();
        agent.allow_violations();
        agent.info(info.clone());
        let client = to_agent(&agent);
        make(&client, 0..EACH);
        wait_for_retries(&client, 2);
        assert_accounted(&client.stats(), &agent);
        assert!(agent.requests().is_empty(), "{info:?}");
        agent.info(offers());
        let stats = client.shutdown(SOON).unwrap().stats;
        assert_accounted(&stats, &agent);
        assert_all_delivered(&stats);
        assert_no_duplicates(&stats);
        let name = &stats.destinations[0].name;
        assert!(name.starts_with("agent "), "{name} after {info:?}");
    }
}

#[test]
fn an_agent_that_hangs_when_it_is_asked_what_it_offers_is_waited_for() {
    let agent = Intake::start();
    agent.info(Reply::hang());
    let client = to_agent(&agent);
    make(&client, 0..EACH);
    wait_for_retries(&client, 2);
    agent.endpoints(&["/evp_proxy/v2/"]);
    make(&client, EACH..2 * EACH);
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_accounted(&stats, &agent);
    assert_all_delivered(&stats);
    assert_no_duplicates(&stats);
}

#[test]
fn an_agent_that_is_there_gets_everything_at_once() {
    for agent in down() {
        agent.come_up();
        let stats = settle(&to_agent(&agent), &agent);
        assert_all_delivered(&stats);
        assert_eq!(stats.destinations[0].retried, 0);
        assert_no_duplicates(&stats);
    }
}
