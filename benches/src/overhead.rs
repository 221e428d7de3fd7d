//! What a call costs the thread that makes it: llmobs and its peers in turns, round after round,
//! so that what the machine does meanwhile meets all of them.

mod budgets;
mod peers;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::child::{self, Measurer};
use crate::report::{self, Budget, Figures, number};
use crate::sink::{Manner, Sink};
use crate::{Options, Result};

const GROUPS: [&str; 10] = [
    "kernel",
    "disabled",
    "llmobs",
    "annotated",
    "large",
    "seen",
    "registry",
    "otel",
    "fastrace",
    "logfire",
];
/// What several threads do at once, in processes of their own: their queues have more room.
const CONTENDING: [&str; 4] = [
    "llmobs, contending",
    "registry, contending",
    "otel, contending",
    "fastrace, contending",
];
const ROUNDS: usize = 300;
/// Python takes a thousand times as long.
const PYTHON_EVERY: usize = 15;
const CONTENDING_EVERY: usize = 30;
/// How often a thread makes a variant's calls where others contend. Once is a tenth of a
/// millisecond: threads that start together would be done one after the other.
const CONTENDING_RUNS: u32 = 50;
/// The calls that `ddtrace_overhead.py` makes before it measures.
const WARM: u32 = 20;
const THREADS: [u32; 4] = [1, 2, 4, 8];

/// One variant and what was measured of it, in nanoseconds a call.
struct Row {
    group: &'static str,
    name: String,
    threads: u32,
    measured: Vec<f64>,
}

impl Row {
    fn figures(&self) -> Figures {
        Figures::of(&self.measured)
    }

    /// One of those that are measured on several threads, be it on one.
    fn contends(&self) -> bool {
        CONTENDING.contains(&self.group)
    }
}

struct Rows(Vec<Row>);

impl Rows {
    fn of(&self, group: &str, name: &str) -> Result<Figures> {
        self.on_threads(group, name, 1)
    }

    fn on_threads(&self, group: &str, name: &str, threads: u32) -> Result<Figures> {
        let mut rows = self.0.iter();
        let row = rows.find(|row| row.group == group && row.name == name && row.threads == threads);
        let row = row.ok_or_else(|| format!("nothing was measured of {group}: {name}"))?;
        Ok(row.figures())
    }

    fn print(&self) {
        let alone = self.0.iter().filter(|row| !row.contends()).map(|row| {
            let figures = row.figures();
            vec![
                format!("{}: {}", row.group, row.name),
                number(figures.minimum),
                number(figures.median),
            ]
        });
        report::table(&["what", "minimum", "median"], &alone.collect::<Vec<_>>());
        println!("several threads at once, each its own CPU time a call: minimum (median)\n");
        let contending = CONTENDING.iter().map(|group| {
            let mut cells = Vec::new();
            for row in self.0.iter().filter(|row| row.group == *group) {
                if cells.is_empty() {
                    cells.push(format!(
                        "{}: {}",
                        group.replace(", contending", ""),
                        row.name
                    ));
                }
                let figures = row.figures();
                let (minimum, median) = (number(figures.minimum), number(figures.median));
                cells.push(format!("{minimum} ({median})"));
            }
            cells
        });
        report::table(
            &["what", "1 thread", "2", "4", "8"],
            &contending.collect::<Vec<_>>(),
        );
    }
}

pub fn run(options: &Options) -> Result<()> {
    // It tells what arrived: ddtrace drops what is too much for it.
    let sink_of_python = Sink::start(Manner::Answers)?;
    let mut measurers = start(options, &sink_of_python)?;
    let mut more = Vec::new();
    if let Some(python) = &options.python {
        more.push(("python", python_versions(python)?));
    }
    let header = report::header(&more);
    let usual = if options.quick { 2 } else { ROUNDS };
    let rounds = options.rounds.unwrap_or(usual);

    let mut rows = all_rows(&measurers);
    let mut made_by_python = 0;
    for round in 0..rounds {
        for row in &mut rows {
            if is_due(row, round) {
                made_by_python += measure(row, &mut measurers, options)?;
            }
        }
        if !options.json && round % 30 == 29 {
            eprintln!("round {} of {rounds}", round + 1);
        }
    }
    drop(measurers);
    let arrived = sink_of_python.received()?.spans;
    if arrived != made_by_python {
        return Err(format!("ddtrace made {made_by_python} spans, {arrived} arrived").into());
    }

    let rows = Rows(rows);
    let budgets = budgets::of(&rows, options.python.is_some())?;
    let pairs = peers::of(&rows)?;
    if options.json {
        let result = json!({
            "header": report::header_json(&header),
            "unit": "nanoseconds of the calling thread's CPU time, a call",
            "rounds": rounds,
            "variants": rows.0.iter().map(row_json).collect::<Vec<_>>(),
            "peers": pairs.iter().map(peers::Pair::json).collect::<Vec<_>>(),
            "budgets": budgets.iter().map(Budget::json).collect::<Vec<_>>(),
        });
        println!("{result:#}");
    } else {
        report::print_header(&header);
        println!(
            "CPU time of the calling thread in nanoseconds a call; {rounds} rounds, in turns\n"
        );
        rows.print();
        peers::print(&pairs);
        report::budgets(&budgets);
    }
    report::verdict(&budgets, options)
}

/// Every variant alone, and those that contend on several threads.
fn all_rows(measurers: &[Measurer]) -> Vec<Row> {
    let mut rows = Vec::new();
    for threads in THREADS {
        for measurer in measurers {
            if threads > 1 && !CONTENDING.contains(&measurer.group) {
                continue;
            }
            let row = |(name, _): &(String, u32)| Row {
                group: measurer.group,
                name: name.clone(),
                threads,
                measured: Vec::new(),
            };
            rows.extend(measurer.variants.iter().map(row));
        }
    }
    rows
}

fn is_due(row: &Row, round: usize) -> bool {
    let every = match (row.contends(), row.group) {
        (true, _) => CONTENDING_EVERY,
        (_, "ddtrace" | "ddtrace disabled") => PYTHON_EVERY,
        _ => 1,
    };
    round.is_multiple_of(every)
}

/// Adds a measurement; gives how many spans ddtrace made for it.
fn measure(row: &mut Row, measurers: &mut [Measurer], options: &Options) -> Result<u64> {
    let measurer = measurers.iter_mut().find(|one| one.group == row.group);
    let measurer = measurer.ok_or("no such group")?;
    let mut variants = measurer.variants.iter();
    let which = variants.position(|(name, _)| *name == row.name);
    let which = which.ok_or_else(|| format!("{} has no {}", row.group, row.name))?;
    let share = if options.quick { 10 } else { 1 };
    let calls = (measurer.variants[which].1 / share).max(20);
    let nanos = if row.contends() {
        let runs = if options.quick { 2 } else { CONTENDING_RUNS };
        measurer.contending(which, calls, runs, row.threads)?
    } else {
        measurer.alone(which, calls)?
    };
    row.measured.push(nanos);
    let makes_spans = row.group == "ddtrace" && row.name != "bare";
    Ok(if makes_spans {
        u64::from(calls + WARM)
    } else {
        0
    })
}

fn row_json(row: &Row) -> serde_json::Value {
    let Figures { minimum, median } = row.figures();
    json!({
        "group": row.group, "name": row.name, "threads": row.threads,
        "minimum": minimum, "median": median, "measurements": row.measured.len(),
    })
}

fn start(options: &Options, sink_of_python: &Sink) -> Result<Vec<Measurer>> {
    let this = std::env::current_exe()?;
    let mut measurers = vec![Measurer::start(
        "not enabled",
        &mut Command::new(build_off()?),
    )?];
    for group in GROUPS.into_iter().chain(CONTENDING) {
        let mut command = clean(&this);
        command.args(["serve", group]);
        measurers.push(Measurer::start(group, &mut command)?);
    }
    if let Some(python) = &options.python {
        for group in ["ddtrace disabled", "ddtrace"] {
            let mut command = clean(python);
            command
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/ddtrace_overhead.py"))
                .args([group, &sink_of_python.address.to_string()]);
            measurers.push(Measurer::start(group, &mut command)?);
        }
    }
    Ok(measurers)
}

/// No setting of the machine may reach what is measured.
fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let settings = ["DD_", "_DD_", "LLMOBS_", "OTEL_", "LOGFIRE_", "RUST_LOG"];
        if settings.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command
}

/// The program without the feature `enabled`, built alone: a package that is built with another
/// gets the other's features.
fn build_off() -> Result<PathBuf> {
    child::build("llmobs-bench-off", &["--release"])
}

fn python_versions(python: &Path) -> Result<String> {
    let ask =
        "import sys, ddtrace; print(sys.version.split()[0], 'with ddtrace', ddtrace.__version__)";
    let output = clean(python).args(["-c", ask]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
