//! A process that measures when it is asked to: the other side of [`llmobs_bench_measure::serve`].

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Result;

pub struct Measurer {
    pub group: &'static str,
    /// What it can measure, and how many calls that wants.
    pub variants: Vec<(String, u32)>,
    process: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Measurer {
    pub fn start(group: &'static str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = command.spawn();
        let mut process = started.map_err(|error| format!("{group}: {command:?}: {error}"))?;
        let ask = process.stdin.take();
        let out = process.stdout.take().ok_or("no output")?;
        let mut measurer = Self {
            group,
            variants: Vec::new(),
            process,
            ask,
            answers: BufReader::new(out),
        };
        loop {
            let line = measurer.line()?;
            if line == "ready" {
                return Ok(measurer);
            }
            let (name, calls) = line.split_once('\t').ok_or("a line without a tab")?;
            measurer.variants.push((name.to_owned(), calls.parse()?));
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("{}: the process has ended", self.group).into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Nanoseconds for each call.
    pub fn alone(&mut self, which: usize, calls: u32) -> Result<f64> {
        let nanos = self.ask(which, &format!("{which} {calls}"))?;
        Ok(nanos / f64::from(calls))
    }

    /// The same of several threads, each of which makes so many runs of the calls.
    pub fn contending(&mut self, which: usize, calls: u32, runs: u32, threads: u32) -> Result<f64> {
        let nanos = self.ask(which, &format!("{which} {calls} {runs} {threads}"))?;
        Ok(nanos
            / [calls, runs, threads]
                .map(f64::from)
                .iter()
                .product::<f64>())
    }

    fn ask(&mut self, which: usize, question: &str) -> Result<f64> {
        let ask = self.ask.as_mut().ok_or("no input")?;
        writeln!(ask, "{question}")?;
        let answer = self.line()?;
        let Some(nanos) = answer.strip_prefix("ok ") else {
            return Err(format!("{}, {}: {answer}", self.group, self.variants[which].0).into());
        };
        Ok(nanos.parse()?)
    }
}

impl Drop for Measurer {
    fn drop(&mut self) {
        // It ends with its input.
        self.ask = None;
        self.process.wait().ok();
    }
}

/// Builds a package of this workspace, alone, and says where its program is.
pub fn build(package: &str, how: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--message-format=json"])
        .args(how)
        .args(["--package", package, "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()?;
    let out = String::from_utf8(output.stdout)?;
    for line in out.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if let Some(path) = message["executable"].as_str() {
            return Ok(path.into());
        }
    }
    Err(format!("{package} was not built").into())
}
