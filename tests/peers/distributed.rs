//! One trace through three processes: ddtrace calls us, we call ddtrace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use llmobs::{Config, Destination, LlmObs, Span, propagation};
use llmobs_tests::{Intake, Reply, tree};
use serde_json::Value;

use crate::lapdog::{Lapdog, spans};

type Headers = HashMap<String, String>;

/// How ddtrace is set up: a name for failures, and its variables.
type Style = (&'static str, &'static [(&'static str, &'static str)]);

/// All that ddtrace can be told to write. With APM off it writes no header of Datadog's.
const STYLES: [Style; 5] = [
    ("both", &[]),
    ("datadog", &[("DD_TRACE_PROPAGATION_STYLE", "datadog")]),
    (
        "tracecontext",
        &[("DD_TRACE_PROPAGATION_STYLE", "tracecontext")],
    ),
    ("without APM", &[("DD_APM_TRACING_ENABLED", "false")]),
    (
        "tracecontext without APM",
        &[
            ("DD_APM_TRACING_ENABLED", "false"),
            ("DD_TRACE_PROPAGATION_STYLE", "tracecontext"),
        ],
    ),
];

/// Ours, in the middle: spans below what came, and a call with our own headers.
fn plan(headers: &Headers, python: &str) {
    propagation::extract(headers).in_scope(|| {
        let _planner = Span::agent("planner").start().enter();
        drop(Span::llm("think").model_name("large").start());
        let _delegate = Span::tool("delegate").start().enter();
        let mut headers = Headers::new();
        propagation::inject(&mut headers).expect("a span is current");
        post(python, &headers);
    });
}

/// A request over a connection of its own.
fn post(address: &str, headers: &Headers) {
    let mut request = format!("POST / HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("content-length: 2\r\nconnection: close\r\n\r\n{}");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1);
    assert_eq!(status, Some("200"), "{answer}");
}

/// The Python script with only these variables, and those that keep it to itself.
fn python(lapdog: &Lapdog, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let python = std::env::var("LLMOBS_PEERS_PYTHON").expect("LLMOBS_PEERS_PYTHON is set");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/distributed.py");
    let mut command = Command::new(python);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("DD_TRACE_AGENT_URL", lapdog.url())
        .env("DD_LLMOBS_AGENTLESS_ENABLED", "0")
        .env("DD_LLMOBS_ML_APP", "python")
        .env("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false")
        .env("DD_REMOTE_CONFIGURATION_ENABLED", "false")
        .env("DD_TRACE_STARTUP_LOGS", "false")
        .envs(variables.iter().copied())
        .arg(script)
        .args(arguments);
    command
}

/// Python's server; it ends with this value.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(lapdog: &Lapdog, variables: &[(&str, &str)]) -> Self {
        let mut process = python(lapdog, variables, &["serve"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let stdout = process.stdout.take().expect("its output");
        let mut port = String::new();
        let read = BufReader::new(stdout).read_line(&mut port);
        let address = format!("127.0.0.1:{}", port.trim());
        let server = Self { process, address };
        assert!(read.is_ok_and(|length| length > 0), "no port was told");
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn rust(lapdog: &Lapdog) -> LlmObs {
    let config = Config::new().ml_app("rust").agent_url(lapdog.url());
    config
        .destination(Destination::Agent)
        .build()
        .expect("a client")
}

/// Two calls through all three; what Python's headers were, and the spans that came of it.
fn run(
    variables: &[(&str, &str)],
    caller: &[(&str, &str)],
    session: &str,
    agent: &str,
) -> (Lapdog, Vec<Headers>, Vec<Value>) {
    let lapdog = Lapdog::start();
    let server = Server::start(&lapdog, variables);
    let client = rust(&lapdog);
    let (seen, headers) = mpsc::channel();
    let mut middle = Intake::start();
    // What calls us here is no exporter.
    middle.allow_violations();
    let (address, ours) = (server.address.clone(), client.clone());
    middle.script(move |request| {
        let headers: Headers = request.headers.clone().into_iter().collect();
        ours.scope(|| plan(&headers, &address));
        seen.send(headers).expect("the test waits");
        Reply::json(Value::Null)
    });
    let both: Vec<_> = variables.iter().chain(caller).copied().collect();
    let called = python(&lapdog, &both, &["call", middle.url(), session, agent])
        .output()
        .expect("python runs");
    let told = String::from_utf8_lossy(&called.stderr);
    assert!(called.status.success(), "{told}");
    let left = client.shutdown(Duration::from_secs(10));
    assert!(left.is_ok(), "{left:?}");

    let headers: Vec<Headers> = headers.try_iter().collect();
    assert_eq!(headers.len(), 2);
    let spans = wait_for_spans(&lapdog, 2 * 8);
    (lapdog, headers, spans)
}

/// Spans of the stored requests. A tracer sends on its own time.
fn wait_for_spans(lapdog: &Lapdog, count: usize) -> Vec<Value> {
    let started = Instant::now();
    loop {
        let spans = spans(&lapdog.stored());
        if spans.len() >= count || started.elapsed() > Duration::from_secs(30) {
            assert_eq!(spans.len(), count, "{}", tree(&spans));
            return spans;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn by_trace(spans: &[Value]) -> BTreeMap<&str, Vec<Value>> {
    let mut traces: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for span in spans {
        let trace = span["trace_id"].as_str().expect("a trace id");
        traces.entry(trace).or_default().push(span.clone());
    }
    traces
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let mut found = spans.iter().filter(|span| span["name"] == name);
    found.next().unwrap_or_else(|| panic!("no span {name}"))
}

fn all<'a>(spans: &'a [Value], pointer: &str) -> BTreeSet<Option<&'a str>> {
    let values = spans.iter();
    let text = |span: &'a Value| span.pointer(pointer).and_then(Value::as_str);
    values.map(text).collect()
}

fn has_tag(span: &Value, tag: &str) -> bool {
    let tags = span["tags"].as_array().expect("tags");
    tags.iter().any(|other| other == tag)
}

const TREE: &str = "\
workflow client
  agent router
    task sender
      agent planner
        llm think
        tool delegate
          task answer
            llm write
";

/// What lapdog's trace query makes of a trace is what was sent.
fn assert_read(lapdog: &Lapdog, trace: &str, spans: &[Value]) {
    let read = lapdog.trace(trace);
    let known = read["spans"].as_object().expect("spans");
    assert_eq!(known.len(), spans.len());
    assert_eq!(read["root_id"], named(spans, "client")["span_id"]);
    for span in spans {
        let seen = &known[span["span_id"].as_str().expect("an id")];
        for field in ["name", "parent_id", "session_id"] {
            assert_eq!(seen[field], span[field], "{field} of {}", span["name"]);
        }
        assert_eq!(seen["meta"]["span"]["kind"], span["meta"]["span"]["kind"]);
    }
}

#[test]
fn a_trace_goes_from_python_through_rust_to_python_in_every_style() {
    for (style, variables) in STYLES {
        let caller = [("DD_LLMOBS_SAMPLE_RATE", "0")];
        let (lapdog, headers, spans) = run(variables, &caller, "s-1", "router");
        for headers in &headers {
            let has = |name: &str| headers.contains_key(name);
            let datadog = matches!(style, "both" | "datadog");
            assert_eq!(has("x-datadog-tags"), datadog, "{style}");
            assert_eq!(has("tracestate"), style != "datadog", "{style}");
        }
        let traces = by_trace(&spans);
        assert_eq!(traces.len(), 2, "{style}: {}", tree(&spans));
        for (trace, spans) in &traces {
            assert_eq!(tree(spans), TREE, "{style}");
            assert_read(&lapdog, trace, spans);

            for id in ["/_dd/apm_trace_id", "/_dd/trace_id"] {
                assert_apm(spans, id, &named(spans, "client")["_dd"]["trace_id"]);
            }
            assert_eq!(all(spans, "/session_id"), [Some("s-1")].into(), "{style}");
            // Decided by the caller; the other two keep everything.
            for mark in ["/_dd/sample_rate", "/_dd/sampling_decision"] {
                assert_eq!(all(spans, mark), [Some("0")].into(), "{style}: {mark}");
            }
            for span in spans {
                assert!(has_tag(span, "ml_app:dist-app"), "{style}: {span}");
                assert!(has_tag(span, "session_id:s-1"), "{style}: {span}");
            }

            // ddtrace leaves the name out of `tracestate`, we out of neither.
            let name = matches!(style, "both" | "datadog").then_some("router");
            assert_agent(spans, "planner", "router", name);
            assert_agent(spans, "think", "planner", Some("planner"));
            assert_agent(spans, "delegate", "planner", Some("planner"));
        }
        for kind in ["workflow", "tool"] {
            let query = format!("@ml_app:dist-app @meta.span.kind:{kind}");
            assert_eq!(lapdog.list(&query).len(), 2, "{style}");
        }
        assert_eq!(lapdog.list("@ml_app:dist-app").len(), 16, "{style}");
    }
}

/// All have the caller's APM trace. Of what a tracer sent, only the first span of a chunk
/// tells the upper half, and lapdog gives the others zeros.
fn assert_apm(spans: &[Value], pointer: &str, trace: &Value) {
    let trace = trace.as_str().expect("an APM trace id");
    assert!(!trace.starts_with("00000000"), "{trace}");
    let lower = format!("{:0>32}", &trace[16..]);
    for span in spans {
        let seen = span.pointer(pointer).and_then(Value::as_str);
        let first = span["name"] == "client" || span["name"] == "answer";
        let cut = !first && has_tag(span, "language:python") && seen == Some(&lower);
        assert!(seen == Some(trace) || cut, "{pointer} of {span}");
    }
}

fn assert_agent(spans: &[Value], span: &str, agent: &str, name: Option<&str>) {
    let attribution = &named(spans, span)["meta"]["agent_attribution"];
    let id = &named(spans, agent)["span_id"];
    assert_eq!(&attribution["pagent_span_id"], id, "{span}");
    assert_eq!(attribution["pagent_name"].as_str(), name, "{span}");
}

#[test]
fn what_python_cannot_put_into_a_header_costs_neither_trace_nor_parent() {
    let agent = "a router with a long name ".repeat(20);
    let [both, _, _, without_apm, _] = STYLES;
    // `=` is written as `~` in `tracestate`. With a comma Python gives up `x-datadog-tags`, and
    // says `_` in `tracestate`.
    for ((style, variables), session, arrives) in [
        (both, "u=4 {/}", "u=4 {/}"),
        (both, "a,b", "a_b"),
        (without_apm, "u=4 {/}", "u=4 {/}"),
        (without_apm, "a,b;é", "a_b__"),
    ] {
        let (lapdog, headers, spans) = run(variables, &[], session, &agent);
        let tags = headers[0].get("x-datadog-tags");
        for (trace, spans) in &by_trace(&spans) {
            assert_eq!(
                tree(spans),
                TREE.replace("agent router", &format!("agent {agent}"))
            );
            let client = named(spans, "client");
            assert_eq!(client["session_id"], session);
            for span in ["planner", "think", "delegate", "answer", "write"] {
                let span = named(spans, span);
                assert_eq!(span["session_id"], arrives, "{style}: {span}");
                assert_apm(spans, "/_dd/trace_id", &client["_dd"]["trace_id"]);
            }
            let attribution = &named(spans, "planner")["meta"]["agent_attribution"];
            let name = attribution["pagent_name"].as_str();
            let cut = name.is_some_and(|name| !name.is_empty() && agent.starts_with(name));
            assert_eq!(cut, tags.is_some(), "{style}: {attribution}");
            assert_read(&lapdog, trace, spans);
        }
    }
}

#[test]
fn what_we_cannot_put_into_a_header_costs_neither_trace_nor_parent() {
    for (style, variables) in STYLES {
        let lapdog = Lapdog::start();
        let server = Server::start(&lapdog, variables);
        let client = rust(&lapdog);
        let agent = "a planner with a long name ".repeat(20);
        client.scope(|| {
            let _root = Span::workflow("client").session_id("a,b;é").start().enter();
            let _agent = Span::agent(&*agent).start().enter();
            let mut headers = Headers::new();
            propagation::inject(&mut headers).expect("a span is current");
            post(&server.address, &headers);
        });
        let left = client.shutdown(Duration::from_secs(10));
        assert!(left.is_ok(), "{left:?}");
        let spans = wait_for_spans(&lapdog, 4);
        let expected =
            format!("workflow client\n  agent {agent}\n    task answer\n      llm write\n");
        assert_eq!(tree(&spans), expected, "{style}");
        assert_apm(
            &spans,
            "/_dd/trace_id",
            &named(&spans, "client")["_dd"]["trace_id"],
        );
        for span in [named(&spans, "answer"), named(&spans, "write")] {
            assert_eq!(span["session_id"], Value::Null, "{style}");
            assert!(has_tag(span, "ml_app:rust"), "{style}: {span}");
            let attribution = &span["meta"]["agent_attribution"];
            let id = &named(&spans, &agent)["span_id"];
            assert_eq!(&attribution["pagent_span_id"], id, "{style}");
            let name = attribution["pagent_name"].as_str();
            let cut = name.is_some_and(|name| !name.is_empty() && agent.starts_with(name));
            let by_state = style.contains("tracecontext");
            assert_eq!(cut, !by_state, "{style}: {attribution}");
        }
    }
}
