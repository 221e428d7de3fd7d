//! How much memory is resident while the intake takes what is posted and never answers.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::clock::mebibytes;
use crate::report::{self, Budget, Figures, Limit};
use crate::sink::{Manner, Sink};
use crate::throughput::{answer, call, count};
use crate::{Options, Result, subjects};

/// What may wait by default: `Config::max_bytes`.
const BUDGET: f64 = 64.0;
/// Spans a second.
const RATE: u32 = 20_000;
const SECONDS: u32 = 30;
const SAMPLE: Duration = Duration::from_millis(100);
/// Spans are made in portions, so that the thread sleeps in between.
const PORTIONS: u32 = 200;

pub fn run(options: &Options) -> Result<()> {
    let header = report::header(&[]);
    let sink = Sink::start(Manner::Hangs)?;
    let before = mebibytes("VmRSS")?;
    let guard = subjects::config(sink.address).enable()?;
    let seconds = if options.quick { 3 } else { SECONDS };
    let samples = make_spans(seconds)?;
    let peak = mebibytes("VmHWM")?;
    let stats = llmobs::stats().spans();
    let posted = sink.received()?;
    let client = guard.client().cloned();
    // What waits would be waited for: the intake never answers.
    client.map(|client| client.shutdown(Duration::from_millis(100)).ok());
    let end = llmobs::stats();

    // The beginning fills the budget; then nothing more may come.
    let filled = samples.len() / 3;
    let part = samples[filled..].len() / 4;
    let first = Figures::of(&samples[filled..filled + part]).median;
    let last = Figures::of(&samples[samples.len() - part..]).median;
    let highest = samples[filled..].iter().copied().fold(f64::MIN, f64::max);
    let lowest = samples[filled..].iter().copied().fold(f64::MAX, f64::min);
    let row = |what: &str, value: f64, limit| Budget::new(what, "MiB", Figures::one(value), limit);
    let budgets = [
        row(
            "the most, over what was resident before",
            peak - before,
            Limit::Amount(BUDGET * 1.1),
        ),
        row(
            "growth in the last two thirds",
            last - first,
            Limit::Amount(BUDGET * 0.01),
        ),
        row(
            "highest less lowest in the last two thirds",
            highest - lowest,
            Limit::Open,
        ),
    ];
    if options.json {
        let result = json!({
            "header": report::header_json(&header),
            "seconds": seconds, "spans_a_second": RATE,
            "resident_before_mib": before, "peak_mib": peak,
            "sample_milliseconds": 100, "resident_mib": samples,
            "made": stats.made, "waiting": stats.waiting, "dropped": stats.dropped_total(),
            "requests": posted.requests, "bytes_posted": posted.bytes,
            "budgets": budgets.iter().map(Budget::json).collect::<Vec<_>>(),
        });
        println!("{result:#}");
        return report::verdict(&budgets, options);
    }
    report::print_header(&header);
    println!(
        "{RATE} spans a second for {seconds} s, {:.0} bytes each on the wire",
        { count(posted.bytes) / count(posted.spans.max(1)) }
    );
    println!("resident before: {before:.1} MiB; then at the end of each second:");
    let at: Vec<String> = samples
        .chunks(10)
        .filter_map(|second| second.last())
        .map(|mebibytes| format!("{mebibytes:.1}"))
        .collect();
    println!("{}", at.join(" "));
    println!(
        "then: {stats:?}; {} requests were never answered",
        posted.requests
    );
    println!("after the shutdown: {:?}\n", end.spans());
    report::budgets(&budgets);
    report::verdict(&budgets, options)
}

/// Makes spans at the rate, and looks how much is resident meanwhile.
fn make_spans(seconds: u32) -> Result<Vec<f64>> {
    let answer = answer();
    let (start, mut samples) = (Instant::now(), Vec::new());
    for portion in 0..seconds * PORTIONS {
        for _ in 0..RATE / PORTIONS {
            call(answer);
        }
        let due = start + Duration::from_secs(1) / PORTIONS * (portion + 1);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if start.elapsed() >= SAMPLE * u32::try_from(samples.len() + 1)? {
            samples.push(mebibytes("VmRSS")?);
        }
    }
    Ok(samples)
}
