//! What a call costs the thread that makes it: llmobs and its peers in turns, round after round,
//! so that what the machine does meanwhile meets all of them.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::child::Measurer;
use crate::report::{self, Budget, median_and_minimum, number};
use crate::sink::{Manner, Sink};
use crate::subjects::{FURTHER, ITEMS};
use crate::{Options, Result};

const GROUPS: [&str; 7] = [
    "disabled", "llmobs", "seen", "registry", "otel", "fastrace", "logfire",
];
const ROUNDS: usize = 300;
/// Python takes a thousand times as long.
const PYTHON_EVERY: usize = 15;
/// The calls that ddtrace_overhead.py makes before it measures.
const WARM: u32 = 20;
/// There is no budget for it.
const NONE: f64 = f64::INFINITY;
const THREADS: [u32; 4] = [1, 2, 4, 8];
/// What several threads do at once.
const CONTENDING: [(&str, &str); 4] = [
    ("llmobs", "#[llm], three strings"),
    ("registry", "#[instrument], three arguments"),
    ("otel", "#[instrument], three arguments"),
    ("fastrace", "#[trace], three strings"),
];

/// One variant and what was measured of it, in nanoseconds a call.
struct Row {
    group: &'static str,
    name: String,
    threads: u32,
    measured: Vec<f64>,
}

struct Rows(Vec<Row>);

impl Rows {
    fn of(&self, group: &str, name: &str) -> Result<(f64, f64)> {
        let row = self.0.iter();
        let mut row = row.filter(|row| row.group == group && row.name == name && row.threads == 1);
        let row = row
            .next()
            .ok_or_else(|| format!("nothing was measured of {group}: {name}"))?;
        Ok(median_and_minimum(&row.measured))
    }
}

pub fn run(options: &Options) -> Result<()> {
    let sink = Sink::start(Manner::Answers)?;
    // Its own, which tells what arrived: ddtrace drops what is too much for it.
    let sink_of_python = Sink::start(Manner::Answers)?;
    let mut measurers = start(options, &sink, &sink_of_python)?;
    let mut more = Vec::new();
    if let Some(python) = &options.python {
        more.push(("python", python_versions(python)?));
    }
    let rounds = if options.quick { 2 } else { ROUNDS };
    let share = if options.quick { 10 } else { 1 };
    let header = report::header(&more);

    let mut rows = Vec::new();
    for measurer in &measurers {
        for (name, _) in &measurer.variants {
            rows.push(Row {
                group: measurer.group,
                name: name.clone(),
                threads: 1,
                measured: Vec::new(),
            });
        }
    }
    let alone = rows.len();
    for threads in THREADS {
        rows.extend(CONTENDING.map(|(group, name)| Row {
            group,
            name: name.to_owned(),
            threads,
            measured: Vec::new(),
        }));
    }
    let mut made_by_python = 0;
    for round in 0..rounds {
        for (number, row) in rows.iter_mut().enumerate() {
            let python = row.group.starts_with("ddtrace");
            let contends = number >= alone;
            if (python && !round.is_multiple_of(PYTHON_EVERY)) || (contends && round % 3 != 0) {
                continue;
            }
            let measurer = measurers.iter_mut().find(|one| one.group == row.group);
            let measurer = measurer.ok_or("no such group")?;
            let mut variants = measurer.variants.iter();
            let which = variants.position(|(name, _)| *name == row.name);
            let which = which.ok_or_else(|| format!("{} has no {}", row.group, row.name))?;
            let calls = (measurer.variants[which].1 / share).max(20);
            if row.group == "ddtrace" && row.name != "bare" {
                made_by_python += u64::from(calls + WARM);
            }
            row.measured
                .push(measurer.measure(which, calls, row.threads)?);
        }
        if !options.json && round % 30 == 29 {
            eprintln!("round {} of {rounds}", round + 1);
        }
    }
    let (single, contending): (Vec<_>, Vec<_>) = {
        let contending = rows.split_off(alone);
        (rows, contending)
    };
    let single = Rows(single);
    drop(measurers);
    let arrived = sink_of_python.received()?.spans;
    if arrived != made_by_python {
        return Err(format!("ddtrace made {made_by_python} spans, {arrived} arrived").into());
    }
    let budgets = budgets(&single, options)?;
    if options.json {
        let result = json!({
            "header": report::header_json(&header),
            "unit": "nanoseconds of the calling thread's CPU time, a call",
            "rounds": rounds,
            "variants": single.0.iter().map(row_json).collect::<Vec<_>>(),
            "contending": contending.iter().map(row_json).collect::<Vec<_>>(),
            "budgets": budgets.iter().map(Budget::json).collect::<Vec<_>>(),
        });
        println!("{result:#}");
        return Ok(());
    }
    report::print_header(&header);
    println!("CPU time of the calling thread in nanoseconds a call; {rounds} rounds, in turns\n");
    let cells = single.0.iter().map(|row| {
        let (median, minimum) = median_and_minimum(&row.measured);
        vec![
            format!("{}: {}", row.group, row.name),
            number(minimum),
            number(median),
        ]
    });
    report::table(&["what", "minimum", "median"], &cells.collect::<Vec<_>>());
    println!("several threads at once, each its own CPU time a call: minimum (median)\n");
    let cells = CONTENDING.iter().map(|(group, name)| {
        let of_these = contending.iter();
        let of_these = of_these.filter(|row| row.group == *group && row.name == *name);
        let measured = of_these.map(|row| {
            let (median, minimum) = median_and_minimum(&row.measured);
            format!("{} ({})", number(minimum), number(median))
        });
        let first = std::iter::once(format!("{group}: {name}"));
        first.chain(measured).collect::<Vec<_>>()
    });
    report::table(
        &["what", "1 thread", "2", "4", "8"],
        &cells.collect::<Vec<_>>(),
    );
    report::budgets(&budgets);
    Ok(())
}

fn row_json(row: &Row) -> serde_json::Value {
    let (median, minimum) = median_and_minimum(&row.measured);
    json!({
        "group": row.group, "name": row.name, "threads": row.threads,
        "minimum": minimum, "median": median, "measurements": row.measured.len(),
    })
}

fn start(options: &Options, sink: &Sink, sink_of_python: &Sink) -> Result<Vec<Measurer>> {
    let this = std::env::current_exe()?;
    let mut measurers = vec![Measurer::start(
        "not enabled",
        &mut Command::new(build_off()?),
    )?];
    for group in GROUPS {
        let mut command = clean(&this);
        command.args(["serve", group, &sink.address.to_string()]);
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

/// Builds the program without the feature `enabled`, alone, and says where it is: a package
/// that is built with another gets the other's features.
fn build_off() -> Result<std::path::PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--message-format=json"])
        .args(["--package", "llmobs-bench-off", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .stderr(std::process::Stdio::inherit())
        .output()?;
    let out = String::from_utf8(output.stdout)?;
    for line in out.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if let Some(path) = message["executable"].as_str() {
            return Ok(path.into());
        }
    }
    Err("llmobs-bench-off was not built".into())
}

fn python_versions(python: &Path) -> Result<String> {
    let ask =
        "import sys, ddtrace; print(sys.version.split()[0], 'with ddtrace', ddtrace.__version__)";
    let output = clean(python).args(["-c", ask]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The budgets of the calling thread.
fn budgets(rows: &Rows, options: &Options) -> Result<Vec<Budget>> {
    let of = |group: &str, name: &str| rows.of(group, name);
    // Differences of medians, and of minima.
    let over =
        |(median, minimum): (f64, f64), (less, least): (f64, f64)| (median - less, minimum - least);
    let each = |(median, minimum): (f64, f64), count: u32| {
        (median / f64::from(count), minimum / f64::from(count))
    };
    let mut budgets = Vec::new();
    let mut must = |what: &str, (median, minimum): (f64, f64), limit: f64| {
        budgets.push(Budget {
            what: what.to_owned(),
            unit: "ns",
            minimum,
            median,
            limit: limit.is_finite().then_some(limit),
        });
    };

    let strings = "#[llm], three strings";
    let bare = of("disabled", "bare")?;
    must(
        "not enabled, over the bare function",
        over(of("not enabled", strings)?, of("not enabled", "bare")?),
        4.0,
    );
    must(
        "disabled, over the bare function",
        over(of("disabled", strings)?, bare),
        4.0,
    );
    let bare_async = of("disabled", "bare async")?;
    let disabled_async = of("disabled", "async #[llm]")?;
    must(
        "disabled, an async call, over a bare one",
        over(disabled_async, bare_async),
        12.0,
    );
    let bare_polls = over(of("disabled", "bare async, 100 further polls")?, bare_async);
    let disabled_polls = over(
        of("disabled", "async #[llm], 100 further polls")?,
        disabled_async,
    );
    must(
        "disabled, a poll, over a bare one",
        each(over(disabled_polls, bare_polls), FURTHER),
        6.0,
    );

    let fastrace = of("fastrace", "#[trace], three strings")?.1;
    let otel = of("otel", "#[instrument], three arguments")?.1;
    let ours = of("llmobs", strings)?;
    must("#[llm], three strings: fastrace's", ours, fastrace);
    must(
        "the same, in a workflow: fastrace's",
        of("llmobs", "#[llm], three strings, in a workflow")?,
        fastrace,
    );
    must(
        "#[llm], three strings: 1/8 of tracing-opentelemetry's",
        ours,
        otel / 8.0,
    );
    if options.python.is_some() {
        let ddtrace = of("ddtrace", "@llm")?.1;
        must(
            "#[llm], three strings: 1/1000 of ddtrace's",
            ours,
            ddtrace / 1_000.0,
        );
    }
    must(
        "#[workflow], three arguments and the output",
        of("llmobs", "#[workflow], three arguments")?,
        500.0,
    );
    must(
        "the same, text returned",
        of("llmobs", "#[workflow], three arguments, text returned")?,
        500.0,
    );
    must(
        "#[llm], 10 kB of messages annotated",
        of("llmobs", "#[llm], 10 kB of messages")?,
        2_000.0,
    );
    must(
        "export_span(None)",
        of("llmobs", "export_span(None)")?,
        30.0,
    );
    let plain = of("llmobs", "#[llm]")?;
    must(
        "annotate(None, tag), the first of a span",
        over(of("llmobs", "#[llm] with annotate(None, tag)")?, plain),
        100.0,
    );
    must(
        "annotate(None, tag), a further one",
        of("llmobs", "annotate(None, tag) again")?,
        100.0,
    );
    let polls = over(
        of("llmobs", "async #[llm], 100 further polls")?,
        of("llmobs", "async #[llm]")?,
    );
    must("enabled, a further poll", each(polls, FURTHER), 20.0);
    let stream = |items: u32| of("llmobs", &format!("#[llm(stream)] of {items}"));
    let items = over(stream(ITEMS)?, stream(0)?);
    must("enabled, an item of a stream", each(items, ITEMS), NONE);
    Ok(budgets)
}
