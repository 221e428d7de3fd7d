//! A trace that goes on in another process.

use std::collections::{BTreeMap, HashMap};

use llmobs::{Context, Span, propagation};
use llmobs_tests::{Exemptions, Golden};
use serde_json::{Value, json};

use crate::twin::Twin;

type Headers = HashMap<String, String>;

/// The caller of scenario 22.
fn injected() -> Headers {
    let client = Span::workflow("client")
        .session_id("s-dist")
        .ml_app("dist-app")
        .start();
    let _client = client.enter();
    let _router = Span::agent("router").start().enter();
    let _sender = Span::task("sender").start().enter();
    let mut headers = Headers::new();
    propagation::inject(&mut headers).unwrap();
    headers
}

/// The called side of scenario 22.
fn serve(context: &Context) {
    context.in_scope(|| {
        let _llm = Span::llm("server_llm").model_name("m").start().enter();
        drop(Span::tool("server_tool").start());
    });
}

/// The header as a map, each id in it by what it is in the bodies.
fn members(header: &str, symbols: &[(String, &str)]) -> BTreeMap<String, String> {
    let fields = header.trim_start_matches("dd=").split([';', ',']);
    let pairs = fields.map(|field| {
        let (key, value) = field.split_once([':', '=']).unwrap();
        let symbol = symbols.iter().find(|(id, _)| id == value);
        let value = symbol.map_or(value, |(_, symbol)| symbol);
        (key.to_owned(), value.to_owned())
    });
    pairs.collect()
}

#[test]
fn twin_22_distributed() {
    let twin = Twin::start("22-distributed");
    let golden = Golden::load("22-distributed");
    let headers = twin.run(injected);
    let alone: Headers = headers
        .iter()
        .filter(|(name, _)| name.starts_with("trace"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    twin.run(|| serve(&propagation::extract(&alone)));
    let sent = twin.assert_equal(&Exemptions::none());

    let id =
        |name: &str, pointer: &str| sent.span(name).pointer(pointer).unwrap().as_str().unwrap();
    let sender = id("sender", "/span_id").parse::<u64>().unwrap();
    let trace = u128::from_str_radix(id("sender", "/trace_id"), 16).unwrap();
    let symbols = [
        (format!("{sender:016x}"), "$span.5.hex"),
        (sender.to_string(), "$span.5"),
        (id("router", "/span_id").to_owned(), "$span.4"),
        (trace.to_string(), "$trace.1.decimal"),
    ];
    let recorded = &golden.observed()["injected_headers"];
    let mut expected = members(recorded["tracestate"].as_str().unwrap(), &[]);
    // OpenTelemetry's own member, which Python's tracer adds.
    assert!(expected.remove("ot").is_some() && expected.remove("th").is_some());
    assert_eq!(members(&headers["tracestate"], &symbols), expected);
    let apm = id("sender", "/_dd/apm_trace_id");
    let traceparent = format!("00-{apm}-{sender:016x}-01");
    assert_eq!(headers["traceparent"], traceparent);
    assert_eq!(recorded["traceparent"], "00-$apm.1-$span.5.hex-01");
}

#[test]
fn twin_22_with_datadogs_headers_the_agent_keeps_its_name() {
    let twin = Twin::start("22-distributed");
    let headers = twin.run(injected);
    twin.run(|| serve(&propagation::extract(&headers)));
    let name = "/meta/agent_attribution/pagent_name";
    let kept = Exemptions::none()
        .expect("server_llm", name, json!("router"))
        .expect("server_tool", name, json!("router"));
    let sent = twin.assert_equal(&kept);
    let apm = sent.span("sender")["_dd"]["apm_trace_id"].as_str().unwrap();
    let low = u64::from_str_radix(&apm[16..], 16).unwrap();
    assert_eq!(headers["x-datadog-trace-id"], low.to_string());
    assert_eq!(
        Value::from(&*headers["x-datadog-parent-id"]),
        sent.span("sender")["span_id"]
    );
    assert_eq!(headers["x-datadog-sampling-priority"], "1");
    let tid = format!("_dd.p.tid={},", &apm[..16]);
    assert!(headers["x-datadog-tags"].contains(&tid), "{headers:?}");
}
