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

/// What measurements of one thing come to: the least is nearest to a quiet machine and decides,
/// the middle is shown.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub minimum: f64,
    pub median: f64,
}

impl Figures {
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        Self {
            minimum: at(0),
            median: at(sorted.len() / 2),
        }
    }

    /// A single value.
    pub fn one(value: f64) -> Self {
        Self {
            minimum: value,
            median: value,
        }
    }

    /// The difference of the minima, and of the medians.
    pub fn over(self, less: Self) -> Self {
        Self {
            minimum: self.minimum - less.minimum,
            median: self.median - less.median,
        }
    }

    pub fn each(self, count: u32) -> Self {
        self.times(1.0 / f64::from(count))
    }

    pub fn times(self, factor: f64) -> Self {
        Self {
            minimum: self.minimum * factor,
            median: self.median * factor,
        }
    }

    /// How many of `scale` it is.
    pub fn multiple_of(self, scale: Self) -> Self {
        Self {
            minimum: self.minimum / scale.minimum,
            median: self.median / scale.median,
        }
    }
}

/// What a time is a multiple of: something that the same run measured in turns with it, so that
/// a slower machine takes longer for both.
#[derive(Clone)]
pub struct Yardstick {
    pub of: &'static str,
    pub figures: Figures,
}

/// The most that a row may be.
#[derive(Clone)]
pub enum Limit {
    /// The row is only shown.
    Open,
    /// So much in the row's unit, for what no machine changes: bytes, and losses.
    Amount(f64),
    /// So many times the yardstick.
    Times(f64, Yardstick),
    /// How many times the yardstick it is, is only shown.
    Beside(Yardstick),
}

/// Two runs of one build differ by so much in a multiple (docs/benchmarks.md): who is over a limit by
/// less is at the limit, and would be below it in the next run.
const NOISE: f64 = 0.05;

/// What became of a budget.
#[derive(Clone, Copy, PartialEq)]
pub enum Verdict {
    Met,
    AtTheLimit,
    Missed,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::AtTheLimit => "at the limit",
            Self::Missed => "MISSED",
        }
    }
}

/// What was measured beside its budget, if it has one.
#[derive(Clone)]
pub struct Budget {
    pub what: String,
    pub unit: &'static str,
    pub figures: Figures,
    pub limit: Limit,
}

impl Budget {
    pub fn new(what: &str, unit: &'static str, figures: Figures, limit: Limit) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            figures,
            limit,
        }
    }

    pub fn verdict(&self) -> Option<Verdict> {
        let (most, noise) = match &self.limit {
            Limit::Open | Limit::Beside(_) => return None,
            Limit::Amount(most) => (*most, 0.0),
            Limit::Times(most, yardstick) => (most * yardstick.figures.minimum, NOISE),
        };
        Some(if self.figures.minimum <= most {
            Verdict::Met
        } else if self.figures.minimum <= most * (1.0 + noise) {
            Verdict::AtTheLimit
        } else {
            // Also where nothing was measured.
            Verdict::Missed
        })
    }

    fn yardstick(&self) -> Option<&Yardstick> {
        match &self.limit {
            Limit::Times(_, yardstick) | Limit::Beside(yardstick) => Some(yardstick),
            Limit::Open | Limit::Amount(_) => None,
        }
    }

    pub fn json(&self) -> Value {
        let most = match self.limit {
            Limit::Amount(most) | Limit::Times(most, _) => Some(most),
            Limit::Open | Limit::Beside(_) => None,
        };
        let yardstick = self.yardstick().map(|yardstick| {
            let multiple = self.figures.multiple_of(yardstick.figures);
            json!({
                "of": yardstick.of, "minimum": yardstick.figures.minimum,
                "median": yardstick.figures.median,
                "multiple": { "minimum": multiple.minimum, "median": multiple.median },
            })
        });
        json!({
            "what": self.what, "unit": self.unit, "minimum": self.figures.minimum,
            "median": self.figures.median, "yardstick": yardstick, "limit": most,
            "verdict": self.verdict().map(Verdict::name),
        })
    }

    fn cells(&self) -> Vec<String> {
        let none = || "–".to_owned();
        let unit = |number: String| match self.unit {
            "" => number,
            unit => format!("{number} {unit}"),
        };
        let (multiple, of) = match self.yardstick() {
            Some(yardstick) => {
                let times = self.figures.multiple_of(yardstick.figures);
                (
                    format!("{} ({})", multiple(times.minimum), multiple(times.median)),
                    yardstick.of.to_owned(),
                )
            }
            None => (none(), String::new()),
        };
        let most = match &self.limit {
            Limit::Amount(most) => format!("≤ {}", unit(number(*most))),
            Limit::Times(most, _) => {
                let most = format!("{most:.3}");
                format!("≤ {} ×", most.trim_end_matches('0').trim_end_matches('.'))
            }
            Limit::Open | Limit::Beside(_) => none(),
        };
        let verdict = self.verdict().map_or("", Verdict::name);
        vec![
            self.what.clone(),
            unit(number(self.figures.minimum)),
            number(self.figures.median),
            multiple,
            most,
            of,
            verdict.to_owned(),
        ]
    }
}

pub fn budgets(budgets: &[Budget]) {
    let rows: Vec<_> = budgets.iter().map(Budget::cells).collect();
    table(
        &["budget", "minimum", "median", "×", "must be", "of", ""],
        &rows,
    );
}

/// An error that names the budgets that were missed; `--quick` measures too little to miss one.
pub fn verdict(budgets: &[Budget], options: &Options) -> Result<()> {
    let missed = budgets
        .iter()
        .filter(|one| one.verdict() == Some(Verdict::Missed));
    let missed: Vec<&str> = missed.map(|one| one.what.as_str()).collect();
    if options.quick || missed.is_empty() {
        return Ok(());
    }
    Err(format!("missed: {}", missed.join("; ")).into())
}

/// A multiple, with as many places as say something.
pub fn multiple(value: f64) -> String {
    match value.abs() {
        0.0..0.00005 => "0".to_owned(),
        0.00005..0.01 => format!("{value:.4}"),
        0.01..0.1 => format!("{value:.3}"),
        0.1..10.0 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    }
}

/// With as many places as say something.
pub fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(minimum: f64, limit: Limit) -> Option<Verdict> {
        Budget::new("", "ns", Figures::one(minimum), limit).verdict()
    }

    fn yardstick(nanos: f64) -> Yardstick {
        Yardstick {
            of: "a peer's",
            figures: Figures::one(nanos),
        }
    }

    #[test]
    fn a_machine_that_is_slower_by_any_factor_gives_the_same_verdict() {
        for factor in [0.5, 1.0, 2.4, 10.0] {
            let of = |nanos: f64| {
                let limit = Limit::Times(3.1, yardstick(161.0 * factor));
                verdict(nanos * factor, limit)
            };
            assert!(of(311.0) == Some(Verdict::Met), "{factor}");
            assert!(of(510.0) == Some(Verdict::AtTheLimit), "{factor}");
            assert!(of(530.0) == Some(Verdict::Missed), "{factor}");
        }
    }

    #[test]
    fn bytes_and_losses_have_no_noise() {
        assert!(verdict(0.0, Limit::Amount(0.0)) == Some(Verdict::Met));
        assert!(verdict(1.0, Limit::Amount(0.0)) == Some(Verdict::Missed));
        assert!(verdict(70.5, Limit::Amount(70.4)) == Some(Verdict::Missed));
    }

    #[test]
    fn what_was_not_measured_is_missed() {
        let nothing = Figures::of(&[]);
        let budget = Budget::new("", "ns", nothing, Limit::Times(1.0, yardstick(1.0)));
        assert!(budget.verdict() == Some(Verdict::Missed));
    }

    #[test]
    fn the_minimum_decides() {
        let figures = Figures::of(&[3.0, 1.0, 9.0]);
        assert_eq!((figures.minimum, figures.median), (1.0, 3.0));
    }
}
