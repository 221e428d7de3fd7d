//! Delivery under random faults, and under random `kill -9`.
//!
//! ```text
//! cargo run --release -p llmobs-tests --bin soak -- faults [--seconds 60] [--rate 5000] [--seed N]
//! cargo run --release -p llmobs-tests --bin soak -- kills  [--times 20]   [--rate 2500] [--seed N]
//! ```
//!
//! `faults`: two clients, one with a spool and one without, make spans, evaluations and feedback
//! while their intakes fail at random; the one with a spool ends in the middle of it, and another
//! sends what it left to an intake that is healthy. `kills`: two processes that share a spool make
//! them and are killed, or end, again and again; the last one only sends what was left.
//!
//! Every event has a number. Afterwards each has arrived, or is in the files of the spool, or is
//! counted; what arrived twice was counted as a possible duplicate, unless its process was killed.
//! Anything else ends this program with a panic, and so do an evaluation or feedback that arrive before
//! their span out of a spool that has it, and a rate that was not kept.
//!
//! A seed plays the same faults again: the n-th request of the spans meets the same one, and so does
//! that of evaluations and feedback, and processes live as long. What is in a request is a matter
//! of time.

mod faults;
mod full;
mod kills;
mod random;
mod seen;
mod work;

use std::str::FromStr;

/// The arguments after the mode: `--name value`.
pub(crate) struct Options(Vec<String>);

impl Options {
    pub(crate) fn get<T: FromStr>(&self, name: &str, default: T) -> T {
        let Some(at) = self.0.iter().position(|word| word == name) else {
            return default;
        };
        let value = self.0.get(at + 1).and_then(|word| word.parse().ok());
        value.unwrap_or_else(|| panic!("{name} needs a value"))
    }
}

fn main() {
    let mut words = std::env::args().skip(1);
    let mode = words.next().unwrap_or_else(|| "faults".to_owned());
    let options = Options(words.collect());
    match mode.as_str() {
        "faults" => faults::run(&options),
        "kills" => kills::run(&options),
        "full" => full::run(&options),
        "work" => work::run(&options),
        other => panic!("{other:?} is none of faults, kills and full"),
    }
}
