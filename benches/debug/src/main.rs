//! Arguments that are captured by their `Debug`, beside `format!("{:?}")` of the same value, in a
//! debug build, where everybody develops: a package that `llmobs-bench debug` builds with cargo's
//! dev profile as it is.

use std::fmt::{self, Debug, Write as _};
use std::hint::black_box;
use std::time::Duration;

use llmobs::{Config, Destination, Memory, workflow};
use llmobs_bench_measure::{Variant, serve};

/// What a program hands on: a text among a few fields.
#[derive(Debug)]
#[allow(dead_code)]
struct Question {
    role: &'static str,
    text: String,
    max_tokens: Option<u32>,
}

/// What a program that calls tools hands on: short fields, one of them a secret by its name.
#[derive(Debug)]
#[allow(dead_code)]
struct Call {
    id: u64,
    name: String,
    arguments: Vec<(&'static str, f64)>,
    key: Key,
    parent: Option<Box<Call>>,
}

#[derive(Debug)]
#[allow(dead_code)]
struct Key {
    api_key: String,
    expires_in: Duration,
}

/// Bytes that print themselves one by one, as those of the crate `bytes` do: here the printing,
/// too, is code of a debug build.
struct Frame(Vec<u8>);

impl Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("b\"")?;
        for &byte in &self.0 {
            match byte {
                b'\n' => f.write_str("\\n")?,
                b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                0x20..0x7f => f.write_char(char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_str("\"")
    }
}

#[workflow(name = "captured", capture_output = false)]
#[inline(never)]
fn captured<T: Debug>(value: &T) {
    black_box(value);
}

#[workflow(name = "skipped", skip(value), capture_output = false)]
#[inline(never)]
fn skipped<T: Debug>(value: &T) {
    black_box(value);
}

/// The smallest of these values that prints as so many bytes or more.
fn printing<T: Debug>(bytes: usize, of: impl Fn(usize) -> T) -> T {
    let sizes = (1..=bytes).map(of);
    let mut long_enough = sizes.skip_while(|value| format!("{value:?}").len() < bytes);
    long_enough.next().expect("more of it prints longer")
}

fn question(words: usize) -> Question {
    let words = [
        "What ", "is ", "\"the ", "key\" ", "to: ", "this, ", "then?\n",
    ]
    .iter()
    .cycle()
    .take(words);
    Question {
        role: "user",
        text: words.copied().collect(),
        max_tokens: Some(1_024),
    }
}

fn calls(count: usize) -> Vec<Call> {
    let call = |number: usize, parent| Call {
        id: 7_000_000 + number as u64,
        name: format!("search_{number}"),
        arguments: vec![("latitude", 48.2), ("longitude", 16.37)],
        key: Key {
            api_key: "0123456789abcdef".to_owned(),
            expires_in: Duration::from_millis(1_500),
        },
        parent,
    };
    let with_parent = |number| call(number, Some(Box::new(call(number + 1_000, None))));
    (0..count).map(with_parent).collect()
}

fn numbers(count: usize) -> Vec<u32> {
    (0..10_000)
        .map(|number| number * 37 % 1_000)
        .take(count)
        .collect()
}

/// A header, then what is compressed.
fn frame(bytes: usize) -> Frame {
    let bytes = (0..bytes).map(|at| match at % 251 {
        rest @ 0..60 => b' ' + u8::try_from(rest).unwrap_or(0),
        rest => u8::try_from(rest * 7 % 256).unwrap_or(0),
    });
    Frame(bytes.collect())
}

/// The three things to compare, of one value.
fn of<T: Debug + Sync + Send + 'static>(names: [&'static str; 3], value: T) -> [Variant; 3] {
    let value: &'static T = Box::leak(Box::new(value));
    let [printed, skips, captures] = names;
    [
        Variant::new(printed, 20, move |bench| {
            bench.time(|| format!("{value:?}"));
        })
        .each(0),
        Variant::new(skips, 20, move |bench| bench.time(|| skipped(value))),
        Variant::new(captures, 20, move |bench| bench.time(|| captured(value))),
    ]
}

macro_rules! names {
    ($what:literal) => {
        [
            concat!($what, ": format!"),
            concat!($what, ": skipped"),
            concat!($what, ": captured"),
        ]
    };
}

fn main() {
    let memory = Memory::new();
    let _guard = Config::new()
        .ml_app("bench")
        .destination(Destination::Memory(memory.clone()))
        .enable()
        .expect("the configuration is right");
    let variants = [
        of(names!("a text, 1 kB"), printing(1_000, question)),
        of(names!("a text, 4 kB"), printing(4_000, question)),
        of(names!("fields, 1 kB"), printing(1_000, calls)),
        of(names!("fields, 4 kB"), printing(4_000, calls)),
        of(names!("numbers, 1 kB"), printing(1_000, numbers)),
        of(names!("numbers, 4 kB"), printing(4_000, numbers)),
        of(names!("1,000 bytes"), frame(1_000)),
        of(names!("4,000 bytes"), frame(4_000)),
    ];
    serve(variants.as_flattened(), |made| {
        let flushed = llmobs::flush(Duration::from_secs(30));
        flushed.map_err(|error| error.to_string())?;
        let spans = memory.spans();
        memory.clear();
        if spans.len() as u64 != made {
            return Err(format!("{made} spans were made, {} arrived", spans.len()));
        }
        // An argument that is not captured is a cheap one.
        let captured = spans.iter().filter(|span| span["name"] == "captured");
        let lengths = captured.map(|span| span["meta"]["input"]["value"].to_string().len());
        match lengths.min() {
            Some(shortest) if shortest < 500 => Err(format!("{shortest} bytes were captured")),
            _ => Ok(()),
        }
    });
}
