//! A spool on a small disk that fills up while the intake is down.

use std::path::PathBuf;
use std::time::Duration;

use llmobs::Config;
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;

use crate::Options;
use crate::seen::{KINDS, assert_adds_up, made_with, shown};
use crate::work::Maker;

const SPANS: u32 = 2_000;

/// `full --dir …`, a folder on a disk with less room than the spans need.
pub(crate) fn run(options: &Options) {
    let dir = PathBuf::from(options.get("--dir", String::new()));
    println!("full disk: {SPANS} spans, {}", dir.display());
    let intake = Intake::start();
    intake.script(|_| Reply::status(503).header("Retry-After", "1"));
    let client = Config::new()
        .ml_app("soak")
        .agent_url(intake.url())
        .dir(dir.join("llmobs"))
        .spool(true)
        .build()
        .expect("a configuration that is valid");
    let mut maker = Maker::new(&client, 0);
    for n in (0..SPANS).step_by(100) {
        maker.step(n..n + 100);
        drop(client.flush(Duration::from_millis(20)));
    }
    maker.finish();
    let stats = client.stats();
    let here = &stats.destinations[0];
    println!("with the disk full: {}", shown(here));
    let spans = &here.spans;
    assert!(spans.spooled > 0, "there was room for some: {spans:?}");
    assert!(spans.waiting > 0, "and not for all: {spans:?}");
    assert_eq!(
        spans.spooled + spans.waiting,
        u64::from(SPANS),
        "none is lost: {spans:?}"
    );

    intake.script(|_| Reply::default());
    let report = client
        .shutdown(Duration::from_secs(60))
        .expect("everything is sent");
    let here = &report.stats.destinations[0];
    println!("afterwards: {}", shown(here));
    for kind in KINDS {
        let counts = here.counts(kind);
        assert_adds_up("afterwards", counts);
        assert_eq!(counts.delivered, made_with(kind, SPANS), "{kind:?}");
    }
    println!("every event has arrived");
}
