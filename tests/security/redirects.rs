//! A redirect leads what is sent, and the key with it, to another place: none is followed.

use std::time::Duration;

use llmobs::{Config, Destination, Evaluation, EvaluationTarget, EvaluationsClient, RowResult};
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;

use crate::{Folder, SOON, client, make_span};

const REDIRECTS: [u16; 6] = [300, 301, 302, 303, 307, 308];

fn leading(status: u16, to: &Intake) -> Reply {
    let location = format!("{}/api/v2/llmobs", to.url());
    Reply::status(status).header("Location", &location)
}

#[track_caller]
fn nobody_came(elsewhere: &Intake) {
    assert!(
        elsewhere.requests().is_empty(),
        "{:?}",
        elsewhere.requests()
    );
    assert_eq!(elsewhere.info_count(), 0);
}

fn intake(url: &str) -> Config {
    Config::new()
        .destination(Destination::Agentless)
        .api_key("0123456789abcdef0123456789abcdef")
        .header("X-Relay", "relay-secret")
        .override_origin(url)
}

#[test]
fn the_intake_leads_the_key_nowhere() {
    for status in REDIRECTS {
        let (elsewhere, server) = (Intake::start(), Intake::start());
        let reply = leading(status, &elsewhere);
        server.script(move |_| reply.clone());
        let client = client(intake(server.url()));
        make_span(&client);
        server.wait_for(|requests| !requests.is_empty(), SOON);
        client.flush(Duration::from_millis(100)).unwrap_err();
        assert_eq!(client.stats().spans().waiting, 1, "{status}");
        client.shutdown(Duration::from_millis(10)).unwrap_err();
        nobody_came(&elsewhere);
    }
}

#[test]
fn an_agent_leads_spans_nowhere() {
    for status in REDIRECTS {
        let (elsewhere, server) = (Intake::start(), Intake::start());
        let reply = leading(status, &elsewhere);
        server.script(move |_| reply.clone());
        let client = client(
            Config::new()
                .agent_url(server.url())
                .header("X-Relay", "relay-secret"),
        );
        make_span(&client);
        server.wait_for(|requests| !requests.is_empty(), SOON);
        client.flush(Duration::from_millis(100)).unwrap_err();
        client.shutdown(Duration::from_millis(10)).unwrap_err();
        nobody_came(&elsewhere);
    }
}

#[test]
fn an_agent_whose_info_leads_elsewhere_counts_as_none() {
    for status in REDIRECTS {
        let (elsewhere, server) = (Intake::start(), Intake::start());
        server.info(Reply::status(status).header("Location", &format!("{}/info", elsewhere.url())));
        let folder = Folder::new();
        let client = client(Config::new().agent_url(server.url()).dir(&folder.0));
        make_span(&client);
        let stats = client.shutdown(SOON).unwrap().stats;
        assert!(
            stats.destinations[0].name.starts_with("journal "),
            "{stats:?}"
        );
        assert!(server.requests().is_empty());
        nobody_came(&elsewhere);
    }
}

#[test]
fn a_client_of_past_evaluations_is_led_nowhere() {
    let (elsewhere, server) = (Intake::start(), Intake::start());
    let reply = leading(308, &elsewhere);
    server.script(move |_| reply.clone());
    let client = EvaluationsClient::new(intake(server.url()).ml_app("security")).unwrap();
    let target = EvaluationTarget::span("1", "2");
    let results = client.submit([(target, Evaluation::new("good", true))]);
    let [RowResult::Retriable { reason }] = &results[..] else {
        panic!("{results:?}")
    };
    assert!(reason.contains("308"), "{reason}");
    nobody_came(&elsewhere);
}
