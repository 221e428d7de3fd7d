//! One tenant's trouble is not another's.

use std::time::Duration;

use llmobs::{DropReason, FlushError, Span};
use llmobs_tests::Reply;

use crate::{SOON, Tenant, log};

fn span(tenant: &Tenant, name: &str) {
    tenant.run(|| drop(Span::task(name).start()));
}

#[test]
fn an_intake_that_does_not_answer_holds_up_its_own_tenant_only() {
    let (mut stuck, fine) = (Tenant::new("acme"), Tenant::new("globex"));
    stuck.intake.script(|_| Reply::hang());
    stuck.intake.allow_violations();
    span(&stuck, "waits");
    let moment = Duration::from_millis(50);
    let waiting = stuck.client.flush(moment).unwrap_err();
    assert!(matches!(waiting, FlushError::Timeout { waiting: 1, .. }));
    for _ in 0..20 {
        span(&fine, "goes");
        fine.flush();
    }
    assert_eq!(fine.intake.accepted_spans().len(), 20);
    assert_eq!(stuck.client.stats().spans().waiting, 1);
    let undelivered = stuck.client.shutdown(moment).unwrap_err();
    assert!(matches!(
        undelivered,
        FlushError::Undelivered { dropped: 1, .. }
    ));
    fine.assert_own(&[&stuck]);
}

#[test]
fn a_key_that_is_refused_stops_its_own_tenant_and_the_log_says_whose_it_is() {
    let (refused, fine) = (Tenant::new("hooli"), Tenant::new("globex"));
    refused.intake.script(|_| Reply::status(403));
    span(&refused, "stays");
    refused
        .intake
        .wait_for(|requests| !requests.is_empty(), SOON);
    span(&fine, "goes");
    assert_eq!(fine.tree(), "task goes\n");
    let lost = refused.client.shutdown(Duration::from_millis(50));
    assert!(lost.is_err());
    let stats = refused.client.stats();
    assert_eq!(stats.spans().dropped, [(DropReason::Shutdown, 1)]);
    let lines = log::lines_with(r#"for ml_app "hooli""#);
    let told = |part: &str| lines.iter().filter(|(_, line)| line.contains(part)).count();
    assert_eq!(told("fails and is tried again"), 1, "{lines:?}");
    assert_eq!(told("1 events were not delivered"), 1, "{lines:?}");
    assert!(log::lines_with("key-of").is_empty());
}

#[test]
fn a_tenant_that_goes_leaves_the_others_alive() {
    let (acme, globex) = (Tenant::new("acme"), Tenant::new("globex"));
    span(&acme, "first");
    acme.run(|| llmobs::shutdown(SOON)).unwrap();
    assert_eq!(acme.intake.accepted_spans().len(), 1);
    span(&acme, "nowhere");
    globex.run(|| assert!(llmobs::is_enabled()));
    span(&globex, "lives");
    assert_eq!(globex.tree(), "task lives\n");
    assert_eq!(acme.intake.accepted_spans().len(), 1);
    assert_eq!(acme.client.stats().spans().made, 1);
    // Also one whose last handle goes without a word: its worker sends the rest.
    let dropped = Tenant::new("initech");
    span(&dropped, "last");
    let Tenant { client, intake, .. } = dropped;
    drop(client);
    intake.wait_for_spans(1, SOON);
    span(&globex, "still");
    assert_eq!(globex.tree(), "task lives\ntask still\n");
}

#[test]
fn a_tenant_that_goes_with_events_waiting_says_so() {
    let Tenant { intake, client, .. } = Tenant::new("forgotten");
    let second = client.clone();
    client.scope(|| drop(Span::task("t").start()));
    drop(client);
    let told = "for ml_app \"forgotten\" went without `shutdown`, with 1 events waiting";
    let said = || log::lines_with(told).len();
    assert_eq!(said(), 0, "a handle is left");
    drop(second);
    assert_eq!(said(), 1);
    intake.wait_for_spans(1, SOON);
}
