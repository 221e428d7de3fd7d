//! Headers of a request, from anybody: what is extracted is bounded, what is injected is legal and
//! says the same when it is extracted again.
#![no_main]

use std::cell::Cell;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use llmobs_runtime::propagation::{Extractor, Injector, extract, inject};
use llmobs_runtime::{Config, Context, Destination, LlmObs, Memory, Span, fuzzing};

mod records;

/// What one context may hold of the headers that it was made from: `x-datadog-tags` with 512
/// characters, `tracestate` with 8,192 of Datadog's member and 512 of others, an origin with 256.
/// The first two may tell the same value twice: by itself, and to be handed on.
const MOST_HELD: usize = 2 * (512 + 8_192) + 512 + 256;

/// As they came: names in any case, and more than once.
#[derive(Clone, Debug, Default)]
struct Headers(Vec<(String, String)>);

impl Headers {
    fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter();
        let named = named.filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}

impl Extractor for Headers {
    fn get(&self, name: &str) -> Option<&str> {
        self.named(name).next()
    }

    fn get_all(&self, name: &str) -> Vec<&str> {
        self.named(name).collect()
    }
}

impl Injector for Headers {
    fn set(&mut self, name: &'static str, value: String) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.0.push((name.to_owned(), value));
    }
}

static MEMORY: LazyLock<Memory> = LazyLock::new(Memory::new);
static CLIENT: LazyLock<LlmObs> = LazyLock::new(|| {
    let config = Config::new().ml_app("app").tracing_spans(false);
    let config = config.destination(Destination::Memory(MEMORY.clone()));
    config.build().expect("a client")
});

thread_local! {
    static RUNS: Cell<u32> = const { Cell::new(0) };
}

/// What is handed on from a context, if it tells a trace.
fn written(context: &Context, mut over: Headers) -> Option<Headers> {
    let done = context.in_scope(|| inject(&mut over)).is_ok();
    done.then_some(over)
}

/// What a strict reader asks of the headers that we set.
fn assert_legal(headers: &Headers) {
    const OURS: [(&str, usize); 6] = [
        ("traceparent", 55),
        ("tracestate", 256 + 512),
        ("x-datadog-trace-id", 20),
        ("x-datadog-parent-id", 20),
        ("x-datadog-sampling-priority", 4),
        ("x-datadog-tags", 512),
    ];
    for (name, longest) in OURS {
        let all: Vec<&str> = headers.named(name).collect();
        let [value] = all[..] else {
            panic!("{name} is there {} times", all.len());
        };
        let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        assert!(plain && value.trim() == value, "{name}: {value:?}");
        assert!(
            !value.is_empty() && value.len() <= longest,
            "{name}: {value:?}"
        );
        http::HeaderValue::from_str(value).expect(name);
    }
    let members: Vec<&str> = headers
        .named("tracestate")
        .flat_map(|all| all.split(','))
        .collect();
    assert!(
        members.len() <= 32 && members[0].starts_with("dd="),
        "{members:?}"
    );
    assert!(members[0].len() <= 256 && members.iter().all(|member| member.contains('=')));
    for pair in headers
        .named("x-datadog-tags")
        .flat_map(|all| all.split(','))
    {
        let (key, value) = pair.split_once('=').expect("a pair");
        assert!(
            key.starts_with("_dd.p.") && !key.contains(' ') && !value.is_empty(),
            "{pair:?}"
        );
    }
}

/// Without the agent's name, the one text that is cut where the room ends.
fn nameless(headers: &Headers) -> Vec<(String, String)> {
    let without = |value: &String| {
        let fields = value.split([',', ';']);
        let others = fields.filter(|field| !field.contains("llmobs_pagent_name"));
        others.collect::<Vec<_>>().join(" ")
    };
    let all = headers.0.iter();
    all.map(|(key, value)| (key.clone(), without(value)))
        .collect()
}

fn check(incoming: &Headers) {
    let context = extract(incoming);
    let held = fuzzing::held_of_headers(&context);
    assert!(held <= MOST_HELD, "{held} bytes are held");

    // Below a span of ours, into a carrier that holds the very same headers.
    let span = context.in_scope(|| Span::task("t").start());
    let over = written(&Context::from(&span), incoming.clone()).expect("a span is current");
    assert_legal(&over);
    let back = extract(&over).span_context();
    let id = span.context().map(|id| id.span_id().into_owned());
    assert_eq!(back.map(|id| id.span_id().into_owned()), id);

    let Some(once) = written(&context, Headers::default()) else {
        return;
    };
    assert_legal(&once);
    let origin = once.get("x-datadog-origin");
    assert!(origin.is_none_or(|origin| http::HeaderValue::from_str(origin).is_ok()));
    let twice = written(&extract(&once), Headers::default()).expect("a trace was told");
    assert_legal(&twice);
    assert_eq!(nameless(&once), nameless(&twice));
    let thrice = written(&extract(&twice), Headers::default()).expect("a trace was told");
    assert_eq!(twice.0, thrice.0);
}

fuzz_target!(|input: &[u8]| {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let pairs = records::records(input).map(|(name, value)| (name.to_owned(), text(value)));
    let incoming = Headers(pairs.collect());
    CLIENT.scope(|| check(&incoming));
    if RUNS.replace(RUNS.get().wrapping_add(1)) % 4_096 == 0 {
        MEMORY.clear();
    }
});
