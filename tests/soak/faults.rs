//! Random faults for the whole length, then a healthy intake.

use std::time::{Duration, Instant};

use llmobs::{Config, FlushError, LlmObs, Stats};

use crate::Options;
use crate::random::World;
use crate::seen::{Kind, assert_adds_up, shown};
use crate::work::{EVALUATED, at_rate, step};

pub(crate) fn run(options: &Options) {
    let seconds = options.get("--seconds", 60);
    let rate = options.get("--rate", 5_000);
    let seed = options.get("--seed", fastrand::u64(..1_000_000));
    println!("faults: {seconds} s, {rate} spans/s for each of two clients, --seed {seed}");
    let dir = std::env::temp_dir().join(format!("llmobs-soak-{}", std::process::id()));
    let worlds = [true, false].map(|spool| {
        let world = World::new(seed + u64::from(spool), false);
        let client = Config::new()
            .ml_app("soak")
            .agent_url(world.intake.url())
            .dir(&dir)
            .spool(spool)
            .timeout(Duration::from_millis(500))
            .build()
            .expect("a configuration that is valid");
        (spool, world, client)
    });

    let end = Instant::now() + Duration::from_secs(seconds);
    let mut made = 0;
    at_rate(rate, |numbers| {
        made = numbers.end;
        for (_, world, client) in &worlds {
            step(client, 0, numbers.clone());
            world.intake.forget();
        }
        Instant::now() < end
    });
    println!(
        "{made} spans and {} evaluations were made by each",
        made.div_ceil(EVALUATED)
    );
    for (spool, world, client) in &worlds {
        world.recover();
        check(*spool, world, client, made);
    }
    drop(worlds);
    std::fs::remove_dir_all(&dir).expect("the folder of the spool");
    println!("every event has arrived, or is counted");
}

fn check(spool: bool, world: &World, client: &LlmObs, made: u32) {
    let stats: Stats = match client.shutdown(Duration::from_secs(120)) {
        Ok(report) => report.stats,
        Err(FlushError::Undelivered { report, .. }) => report.stats,
        Err(error) => panic!("{error}"),
    };
    let destination = &stats.destinations[0];
    let name = if spool {
        "with a spool"
    } else {
        "without a spool"
    };
    println!("{name}: {}", shown(destination));
    let mut again = 0;
    for (kind, counts, made) in [
        (Kind::Span, &destination.spans, made),
        (
            Kind::Evaluation,
            &destination.evaluations,
            made.div_ceil(EVALUATED),
        ),
    ] {
        assert_eq!(counts.made, u64::from(made), "{name}, {kind:?}");
        assert_adds_up(name, counts);
        let (arrived, twice) = world.seen.of(kind, 0);
        println!("{name}, {kind:?}: {arrived} have arrived, {twice} of them more than once");
        again += twice;
        assert!(
            arrived >= counts.delivered,
            "{name}, {kind:?}: what counts as delivered has arrived"
        );
        let accounted = arrived + counts.spooled + counts.dropped_total();
        assert!(
            accounted >= u64::from(made),
            "{name}, {kind:?}: nothing is lost uncounted"
        );
    }
    assert!(
        again <= destination.possible_duplicates,
        "{name}: {again} came again, {} were counted",
        destination.possible_duplicates
    );
    // Only what the intake refuses, or answers neither time, may be lost with a spool.
    if spool {
        for counts in [&destination.spans, &destination.evaluations] {
            for (reason, count) in &counts.dropped {
                use llmobs::DropReason::{Refused, Unanswered};
                assert!(matches!(reason, Refused | Unanswered), "{count} {reason}");
            }
        }
    }
}
