//! A program that changes its working directory.

use std::path::Path;
use std::time::Duration;

use super::{NEVER, config, say};

/// Keeps what waits in the default folder of `home`, changes to another one, and delivers.
pub(super) fn changes(url: &str, home: &str) {
    std::env::set_current_dir(home).unwrap();
    let config = config(url)
        .spool(true)
        .flush_interval(Duration::from_millis(10));
    let client = config.build().unwrap();
    client.scope(|| {
        let context = {
            let span = llmobs::Span::task("waits").start();
            llmobs::export_span(&span)
        };
        llmobs::submit_evaluation(context, llmobs::Evaluation::new("good", true)).unwrap();
    });
    let spooled = || {
        let stats = client.stats();
        (stats.spans().spooled, stats.evaluations().spooled)
    };
    while spooled() != (1, 1) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let elsewhere = Path::new(home).join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::env::set_current_dir(&elsewhere).unwrap();
    say("elsewhere");
    let stats = client.shutdown(NEVER).unwrap().stats;
    let (spans, evaluations) = (stats.spans(), stats.evaluations());
    assert_eq!((spans.delivered, spans.spooled), (1, 0));
    assert_eq!((evaluations.delivered, evaluations.spooled), (1, 0));
}
