//! What llmobs costs, beside its peers: `overhead`, `throughput`, `memory`, `compile` and `debug`.
//! docs/benchmarks.md tells what each measures, and has results.

mod child;
mod clock;
mod compile;
mod debug;
mod memory;
mod overhead;
mod report;
mod sink;
mod subjects;
mod throughput;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str =
    "usage: llmobs-bench overhead|throughput|memory|compile|debug [--json] [--quick] [--rounds N] [--python PATH]

  overhead     CPU time of the calling thread for each call, llmobs and its peers in turns
  throughput   CPU time of the worker for each event, through a loopback intake
  memory       resident memory while the intake hangs
  compile      how long annotated functions take to compile
  debug        arguments captured by their `Debug`, in a debug build

  --json         the results as JSON
  --quick        a run that only shows that the bench works; its numbers mean nothing, and
                 miss no budget
  --rounds N     overhead: so many rounds in place of 300; fewer leave more to chance
  --python PATH  overhead: a Python with ddtrace, which is measured beside the others

A budget that is missed, or a span that is lost, is an error.";

/// What was asked for.
pub struct Options {
    json: bool,
    quick: bool,
    python: Option<PathBuf>,
    rounds: Option<usize>,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    use lexopt::prelude::{Long, Short, Value, ValueExt as _};

    let mut words = Vec::new();
    let mut options = Options {
        json: false,
        quick: false,
        python: None,
        rounds: None,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("json") => options.json = true,
            Long("quick") => options.quick = true,
            Long("python") => options.python = Some(arguments.value()?.into()),
            Long("rounds") => options.rounds = Some(arguments.value()?.parse()?),
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(());
            }
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["overhead"] => overhead::run(&options),
        ["throughput"] => throughput::run(&options),
        ["compile"] => compile::run(&options),
        ["debug"] => debug::run(&options),
        ["memory"] => memory::run(&options),
        // What the program starts of itself.
        ["serve", group] => Ok(subjects::serve(group)?),
        ["sink", "answers"] => sink::run(sink::Manner::Answers),
        ["sink", "hangs"] => sink::run(sink::Manner::Hangs),
        _ => Err(USAGE.into()),
    }
}
