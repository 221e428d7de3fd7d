//! What an event costs the worker: encoding, batching, and the write to an intake on loopback,
//! which is another process.

mod least;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use llmobs::{Annotation, Config, Counts, Message, llm};
use serde_json::json;

use self::least::Least;
use crate::child::Measurer;
use crate::clock::{self, Thread};
use crate::report::{self, Budget, Figures, Limit, Yardstick, number};
use crate::sink::{Manner, Sink};
use crate::{Options, Result, subjects};

const RUNS: usize = 160;
/// As many as wait for the worker without waking it: it would be woken at half of a limit, and share the
/// two processors with the calls.
const EVENTS: u64 = 5_000;
/// How many times the writing and sending of an event its worker may take: docs/benchmarks.md tells
/// how it comes to 3.3 µs there.
const MOST: f64 = 4.1;
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

/// What is measured in turns with the worker.
struct Yardsticks {
    least: Least,
    fastrace: Measurer,
}

impl Yardsticks {
    fn start() -> Result<Self> {
        let mut fastrace = Command::new(std::env::current_exe()?);
        fastrace.args(["serve", "fastrace"]);
        Ok(Self {
            least: Least::start()?,
            fastrace: Measurer::start("fastrace", &mut fastrace)?,
        })
    }
}

/// What the runs of one client came to.
struct Series {
    /// Nanoseconds of the worker's CPU for an event.
    worker: Figures,
    /// The same of who only writes and sends it.
    least: Figures,
    /// Nanoseconds of fastrace's span with three strings.
    fastrace: Figures,
    /// Seconds of a run.
    wall: Figures,
    made: u64,
    arrived: u64,
    bytes: u64,
    requests: u64,
    stats: Counts,
}

impl Series {
    fn measure(
        options: &Options,
        yardsticks: &mut Yardsticks,
        configured: impl FnOnce(Config) -> Config,
    ) -> Result<Self> {
        let sink = Sink::start(Manner::Answers)?;
        let _guard = configured(subjects::config(sink.address)).enable()?;
        let Size { runs, events } = size(options);
        made_and_delivered(events)?;
        let worker = Thread::named("llmobs-worker")?;
        let before = sink.received()?;
        let (mut measured, mut least, mut fastrace) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs {
            least.push(yardsticks.least.measure(events)?);
            fastrace.push(yardsticks.fastrace.alone(0, 1_000)?);
            let (cpu, start) = (worker.cpu(), Instant::now());
            made_and_delivered(events)?;
            measured.push(Run {
                worker: clock::nanos(worker.cpu().saturating_sub(cpu)) / count(events),
                wall: start.elapsed().as_secs_f64(),
            });
        }
        let after = sink.received()?;
        let of = |value: fn(&Run) -> f64| measured.iter().map(value).collect::<Vec<_>>();
        Ok(Self {
            worker: Figures::of(&of(|run| run.worker)),
            least: Figures::of(&least),
            fastrace: Figures::of(&fastrace),
            wall: Figures::of(&of(|run| run.wall)),
            made: events * runs as u64,
            arrived: after.spans - before.spans,
            bytes: after.bytes - before.bytes,
            requests: after.requests - before.requests,
            stats: llmobs::stats().spans(),
        })
    }

    fn lost(&self) -> u64 {
        self.made.saturating_sub(self.arrived)
    }

    fn bytes_an_event(&self) -> f64 {
        count(self.bytes) / count(self.arrived.max(1))
    }

    fn budgets(&self, how: &str, most: Option<f64>) -> [Budget; 3] {
        let micros = |figures: Figures| figures.times(1.0 / 1_000.0);
        let what = format!("worker CPU per event{how}");
        let least = Yardstick {
            of: "writing and sending it",
            figures: micros(self.least),
        };
        let limit = match most {
            Some(most) => Limit::Times(most, least),
            None => Limit::Beside(least),
        };
        let fastrace = Yardstick {
            of: "fastrace's span",
            figures: micros(self.fastrace),
        };
        let lost = Figures::one(count(self.lost()));
        [
            Budget::new(&what, "µs", micros(self.worker), limit),
            Budget::new(&what, "µs", micros(self.worker), Limit::Beside(fastrace)),
            Budget::new(&format!("events lost{how}"), "", lost, Limit::Amount(0.0)),
        ]
    }

    fn json(&self, events: u64) -> serde_json::Value {
        let (worker, wall) = (self.worker, self.wall);
        json!({
            "requests": self.requests, "bytes_an_event": self.bytes_an_event(),
            "worker_nanoseconds_an_event": { "median": worker.median, "minimum": worker.minimum },
            "events_a_second": {
                "median": count(events) / wall.median, "best": count(events) / wall.minimum,
            },
            "made": self.made, "arrived": self.arrived, "lost": self.lost(),
            "stats": {
                "made": self.stats.made,
                "delivered": self.stats.delivered,
                "dropped": self.stats.dropped_total(),
            },
        })
    }

    fn print(&self, events: u64) {
        let (worker, wall) = (self.worker, self.wall);
        println!(
            "{:.0} bytes an event with its envelope, {:.0} events a request",
            self.bytes_an_event(),
            count(self.made) / count(self.requests.max(1))
        );
        println!(
            "worker CPU an event: {} ns, median {} ns: {} events a second of its CPU",
            number(worker.minimum),
            number(worker.median),
            number(1e9 / worker.median)
        );
        println!(
            "from the first call to the last acknowledgement, all of it on this machine: {} events a second, best {}",
            number(count(events) / wall.median),
            number(count(events) / wall.minimum)
        );
        println!(
            "made {}, arrived {}, lost {}; {:?}\n",
            self.made,
            self.arrived,
            self.lost(),
            self.stats
        );
    }
}

struct Size {
    runs: usize,
    events: u64,
}

fn size(options: &Options) -> Size {
    if options.quick {
        Size {
            runs: 2,
            events: 1_000,
        }
    } else {
        Size {
            runs: RUNS,
            events: EVENTS,
        }
    }
}

pub fn run(options: &Options) -> Result<()> {
    let header = report::header(&[]);
    let mut yardsticks = Yardsticks::start()?;
    let memory = Series::measure(options, &mut yardsticks, |config| config)?;
    let folder = Folder::new()?;
    let spool = Series::measure(options, &mut yardsticks, |config| {
        config.spool(true).dir(&folder.0)
    })?;
    let Size { runs, events } = size(options);
    let budgets = [
        memory.budgets("", Some(MOST)),
        spool.budgets(", with the spool", None),
    ]
    .concat();
    if options.json {
        let result = json!({
            "header": report::header_json(&header),
            "runs": runs, "events_a_run": events,
            "without_spool": memory.json(events), "with_spool": spool.json(events),
            "budgets": budgets.iter().map(Budget::json).collect::<Vec<_>>(),
        });
        println!("{result:#}");
    } else {
        report::print_header(&header);
        println!("{runs} runs of {events} events");
        memory.print(events);
        println!("with the spool, in {}:", folder.0.display());
        spool.print(events);
        report::budgets(&budgets);
    }
    for series in [memory, spool] {
        if series.arrived != series.made {
            let Series { made, arrived, .. } = series;
            return Err(format!("{made} events were made, {arrived} arrived").into());
        }
    }
    report::verdict(&budgets, options)
}

/// A folder for the spool, gone with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let name = format!("llmobs-bench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
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
