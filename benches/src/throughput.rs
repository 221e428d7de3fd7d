//! What an event costs the worker: encoding, batching, and the write to an intake on loopback,
//! which is another process.

use std::time::{Duration, Instant};

use llmobs::{Annotation, Message, llm};
use serde_json::json;

use crate::clock::{self, Thread};
use crate::report::{self, Budget, median_and_minimum, number};
use crate::sink::{Manner, Sink};
use crate::{Options, Result, subjects};

const RUNS: usize = 40;
const EVENTS: u64 = 20_000;
/// Bytes of the texts below, with what is escaped in them. The rest of the kilobyte is ids,
/// names, times, tags, and what stands around each event.
const QUESTION: &str = "Translate this to French, keep \"names\":\n\
    The quick brown fox jumps over the lazy dog.\n";
const ANSWER: &str = "Le vif renard brun saute par-dessus le chien étonné.\n";

/// An event of about 1 kB on the wire.
#[llm(
    name = "translate",
    model_name = "claude-sonnet-4-5",
    model_provider = "anthropic"
)]
pub fn call(answer: &str) {
    let annotation = Annotation::new()
        .input([Message::user(QUESTION)])
        .output(Message::assistant(answer))
        .metadata("temperature", 0.2)
        .metric("input_tokens", 52)
        .metric("output_tokens", 31)
        .tag("user", "u1");
    llmobs::annotate(None, annotation).ok();
}

pub fn answer() -> &'static str {
    std::hint::black_box(ANSWER)
}

/// One run: so many events made in one go, then delivered.
struct Run {
    worker: f64,
    wall: f64,
}

pub fn run(options: &Options) -> Result<()> {
    let header = report::header(&[]);
    let sink = Sink::start(Manner::Answers)?;
    let guard = subjects::config(sink.address).enable()?;
    let (runs, events) = if options.quick {
        (2, 1_000)
    } else {
        (RUNS, EVENTS)
    };
    made_and_delivered(events)?;
    let worker = Thread::named("llmobs-worker")?;
    let before = sink.received()?;
    let mut measured = Vec::new();
    for _ in 0..runs {
        let (cpu, start) = (worker.cpu(), Instant::now());
        made_and_delivered(events)?;
        measured.push(Run {
            worker: clock::nanos(worker.cpu().saturating_sub(cpu)) / count(events),
            wall: start.elapsed().as_secs_f64(),
        });
    }
    let after = sink.received()?;
    let made = events * runs as u64;
    let arrived = after.spans - before.spans;
    let of = |value: fn(&Run) -> f64| measured.iter().map(value).collect::<Vec<_>>();
    let (median, minimum) = median_and_minimum(&of(|run| run.worker));
    let (wall, least_wall) = median_and_minimum(&of(|run| run.wall));
    let bytes = count(after.bytes - before.bytes) / count(arrived.max(1));
    let requests = after.requests - before.requests;
    let lost = made.saturating_sub(arrived);
    let stats = llmobs::stats().spans();
    drop(guard);
    let budgets = [
        Budget {
            what: "worker CPU per event".to_owned(),
            unit: "µs",
            minimum: minimum / 1_000.0,
            median: median / 1_000.0,
            limit: Some(3.3),
        },
        Budget {
            what: "events lost".to_owned(),
            unit: "",
            minimum: count(lost),
            median: count(lost),
            limit: Some(0.0),
        },
    ];
    if options.json {
        let result = json!({
            "header": report::header_json(&header),
            "runs": runs, "events_a_run": events, "requests": requests, "bytes_an_event": bytes,
            "worker_nanoseconds_an_event": { "median": median, "minimum": minimum },
            "events_a_second": { "median": count(events) / wall, "best": count(events) / least_wall },
            "made": made, "arrived": arrived, "lost": lost,
            "stats": { "made": stats.made, "delivered": stats.delivered, "dropped": stats.dropped_total() },
            "budgets": budgets.iter().map(Budget::json).collect::<Vec<_>>(),
        });
        println!("{result:#}");
    } else {
        report::print_header(&header);
        println!(
            "{runs} runs of {events} events; {bytes:.0} bytes an event with its envelope, {:.0} events a request",
            count(made) / count(requests.max(1))
        );
        println!(
            "worker CPU an event: {} ns, median {} ns: {} events a second of its CPU",
            number(minimum),
            number(median),
            number(1e9 / median)
        );
        println!(
            "from the first call to the last acknowledgement, all of it on this machine: {} events a second, best {}",
            number(count(events) / wall),
            number(count(events) / least_wall)
        );
        println!("made {made}, arrived {arrived}, lost {lost}; {stats:?}\n");
        report::budgets(&budgets);
    }
    if lost == 0 && arrived == made {
        Ok(())
    } else {
        Err(format!("{made} events were made, {arrived} arrived").into())
    }
}

fn made_and_delivered(events: u64) -> Result<()> {
    let answer = answer();
    for _ in 0..events {
        call(answer);
    }
    let stats = llmobs::flush(Duration::from_secs(30))?.stats.spans();
    if stats.made == stats.delivered {
        Ok(())
    } else {
        Err(format!("events were lost: {stats:?}").into())
    }
}

/// Exact below 2^53.
#[allow(clippy::cast_precision_loss)]
pub fn count(number: u64) -> f64 {
    number as f64
}
