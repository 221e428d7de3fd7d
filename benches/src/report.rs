//! The header of every result, and tables of text.

use serde_json::{Value, json};

use crate::{Options, Result};

/// What is in the lock file and worth a mention.
const NAMED: [&str; 7] = [
    "fastrace",
    "logfire",
    "opentelemetry_sdk",
    "tracing",
    "tracing-opentelemetry",
    "tracing-subscriber",
    "llmobs",
];

/// Hardware, compiler, versions, command.
pub fn header(more: &[(&str, String)]) -> Vec<(String, String)> {
    let line = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = line("/proc/meminfo", "MemTotal");
    let memory = memory.split(' ').next().and_then(|kib| kib.parse().ok());
    let gib = memory.unwrap_or(0_u64) / (1024 * 1024);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut rows = vec![
        (
            "machine",
            format!(
                "{}, {cores} cores, {gib} GiB",
                line("/proc/cpuinfo", "model name")
            ),
        ),
        ("load", format!("{load} (1 and 5 minutes, at the start)")),
        ("rustc", rustc()),
        ("profile", "release, as cargo has it".to_owned()),
        ("versions", versions()),
        (
            "command",
            format!(
                "cargo run --release --manifest-path benches/Cargo.toml -- {}",
                arguments.join(" ")
            ),
        ),
    ];
    rows.extend(more.iter().cloned());
    rows.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub fn print_header(header: &[(String, String)]) {
    for (name, value) in header {
        println!("{name:<9} {value}");
    }
    println!();
}

pub fn header_json(header: &[(String, String)]) -> Value {
    let pairs = header
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)));
    Value::Object(pairs.collect())
}

pub fn rustc() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc).arg("--version").output();
    output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn versions() -> String {
    let lock = include_str!("../Cargo.lock");
    let mut found = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_matches([' ', '=', '"']))
        };
        if let (Some(name), Some(version)) = (field("name"), field("version"))
            && NAMED.contains(&name)
        {
            found.push(format!("{name} {version}"));
        }
    }
    found.join(", ")
}

/// A table in Markdown; the first column is text, the others stand right.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |row: &[String]| {
        let mut line = String::from("|");
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let (left, right) = if column == 0 {
                ("", &*pad)
            } else {
                (&*pad, "")
            };
            line.push_str(&[" ", left, cell, right, " |"].concat());
        }
        println!("{line}");
    };
    print(&head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>());
    let rules = widths.iter().enumerate().map(|(column, width)| {
        if column == 0 {
            "-".repeat(width + 2)
        } else {
            format!("{}:", "-".repeat(width + 1))
        }
    });
    println!("|{}|", rules.collect::<Vec<_>>().join("|"));
    for row in rows {
        print(row);
    }
    println!();
}

/// What was measured beside its budget, if it has one: the minimum decides, the median is shown.
#[derive(Clone)]
pub struct Budget {
    pub what: String,
    pub unit: &'static str,
    pub minimum: f64,
    pub median: f64,
    pub limit: Option<f64>,
}

impl Budget {
    pub fn met(&self) -> Option<bool> {
        self.limit.map(|limit| self.minimum <= limit)
    }

    pub fn json(&self) -> Value {
        json!({
            "what": self.what, "unit": self.unit, "minimum": self.minimum,
            "median": self.median, "limit": self.limit, "met": self.met(),
        })
    }
}

pub fn budgets(budgets: &[Budget]) {
    let rows = budgets.iter().map(|budget| {
        vec![
            budget.what.clone(),
            number(budget.minimum),
            number(budget.median),
            budget
                .limit
                .map_or_else(|| "–".to_owned(), |limit| format!("≤ {}", number(limit))),
            budget.unit.to_owned(),
            match budget.met() {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            }
            .to_owned(),
        ]
    });
    table(
        &["budget", "minimum", "median", "must be", "", ""],
        &rows.collect::<Vec<_>>(),
    );
}

/// An error that names the budgets that were missed; `--quick` measures too little to miss one.
pub fn verdict(budgets: &[Budget], options: &Options) -> Result<()> {
    let missed = budgets.iter().filter(|one| one.met() == Some(false));
    let missed: Vec<&str> = missed.map(|one| one.what.as_str()).collect();
    if options.quick || missed.is_empty() {
        return Ok(());
    }
    Err(format!("missed: {}", missed.join("; ")).into())
}

/// With as many places as say something.
pub fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// The middle of some values, and the least.
pub fn median_and_minimum(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2);
    (
        middle.copied().unwrap_or(f64::NAN),
        sorted.first().copied().unwrap_or(f64::NAN),
    )
}
