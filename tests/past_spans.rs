//! Finished spans of the past, against a real HTTP server.

use std::time::{Duration, SystemTime};

use llmobs::{
    Config, Destination, Evaluation, EvaluationsClient, Memory, PastSpan, ProcessedSpan,
    RejectionCode, RowResult, Span, SpanKind, SpansClient, TokenUsage, Verdict, is_enabled,
};
use llmobs_tests::{Intake, Reply, Request};
use serde_json::{Value, json};

const PUBLIC: &str = "/api/intake/llm-obs/v1/trace/spans";
const HOUR: Duration = Duration::from_secs(3_600);

fn config() -> Config {
    Config::new()
        .ml_app("import")
        .timeout(Duration::from_secs(60))
}

/// A client that sends to the intake, without an Agent.
fn agentless(intake: &Intake) -> SpansClient {
    client(to_intake(intake))
}

fn to_intake(intake: &Intake) -> Config {
    let config = config().agentless(true).override_origin(intake.url());
    config.api_key("0123456789abcdef0123456789abcdef")
}

fn by_agent(intake: &Intake) -> SpansClient {
    client(config().agent_url(intake.url()))
}

fn client(config: Config) -> SpansClient {
    SpansClient::new(config).unwrap()
}

fn an_hour_ago() -> SystemTime {
    SystemTime::now() - HOUR
}

fn task(name: impl Into<String>) -> PastSpan {
    PastSpan::new(SpanKind::Task, name, an_hour_ago(), Duration::from_secs(1))
}

fn numbered(count: usize) -> Vec<PastSpan> {
    (0..count).map(|number| task(number.to_string())).collect()
}

fn names(spans: &[Value]) -> Vec<&str> {
    spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect()
}

fn codes(results: &[RowResult]) -> Vec<Option<RejectionCode>> {
    results.iter().map(RowResult::code).collect()
}

#[track_caller]
fn assert_all_sent(results: &[RowResult]) {
    for (row, result) in results.iter().enumerate() {
        assert!(result.is_sent(), "row {row}: {result}");
    }
}

/// A trace of two spans, and what both destinations must know of it.
fn trace() -> [PastSpan; 2] {
    let workflow = PastSpan::new(
        SpanKind::Workflow,
        "answer",
        an_hour_ago(),
        Duration::from_secs(3),
    )
    .session_id("s")
    .input("What is Rust?")
    .output(json!({"answer": "A language."}));
    let call = PastSpan::new(
        SpanKind::Llm,
        "generate",
        an_hour_ago(),
        Duration::from_secs(2),
    )
    .child_of(&workflow)
    .model_name("claude")
    .model_provider("anthropic")
    .input(("user", "What is Rust?"))
    .output(("assistant", "A language."))
    .usage(TokenUsage::new().input(5).output(3));
    [workflow, call]
}

#[test]
fn the_intake_gets_the_documented_form() {
    let intake = Intake::start();
    let [workflow, call] = trace();
    assert_all_sent(&agentless(&intake).submit([workflow.clone(), call.clone()]));
    let requests = intake.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((&*requests[0].method, &*requests[0].path), ("POST", PUBLIC));
    assert_eq!(requests[0].header("x-datadog-evp-subdomain"), None);
    let data = &requests[0].json()["data"];
    assert_eq!(data["type"], "span");
    assert_eq!(data["attributes"]["ml_app"], "import");
    let spans = intake.public_spans();
    assert_eq!(names(&spans), ["answer", "generate"]);
    assert_eq!(spans[0]["parent_id"], "undefined");
    assert_eq!(spans[0]["duration"], 3_000_000_000_u64);
    assert_eq!(spans[1]["parent_id"], workflow.span_id());
    assert_eq!(spans[1]["trace_id"], workflow.trace_id());
    assert_eq!(spans[1]["session_id"], "s");
    assert_eq!(
        spans[1]["meta"],
        json!({
            "kind": "llm",
            "input": {"messages": [{"role": "user", "content": "What is Rust?"}]},
            "output": {"messages": [{"role": "assistant", "content": "A language."}]},
            "metadata": {"model_name": "claude", "model_provider": "anthropic"},
        })
    );
    let metrics = json!({"input_tokens": 5, "output_tokens": 3, "total_tokens": 8});
    assert_eq!(spans[1]["metrics"], metrics);
    assert!(intake.spans().is_empty());
}

#[test]
fn an_agent_gets_the_form_of_the_sdks() {
    let intake = Intake::start();
    assert_all_sent(&by_agent(&intake).submit(trace()));
    let requests = intake.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/evp_proxy/v2/api/v2/llmobs");
    let subdomain = requests[0].header("x-datadog-evp-subdomain");
    assert_eq!(subdomain, Some("llmobs-intake"));
    let spans = intake.spans();
    assert_eq!(names(&spans), ["answer", "generate"]);
    assert_eq!(spans[1]["meta"]["span"]["kind"], "llm");
    assert_eq!(spans[1]["meta"]["model_name"], "claude");
    assert_eq!(spans[1]["_dd"]["span_id"], spans[1]["span_id"]);
    assert!(intake.public_spans().is_empty());
}

#[test]
fn where_there_is_no_agent_after_all_the_journal_holds_the_form_of_the_sdks() {
    let intake = Intake::start();
    intake.endpoints(&["/v0.4/traces"]);
    let folder = std::env::temp_dir().join(format!("llmobs-past-{}", std::process::id()));
    let client = client(config().agent_url(intake.url()).dir(&folder));
    assert_all_sent(&client.submit([task("t")]));
    let segments = std::fs::read_dir(folder.join("journal")).unwrap();
    let lines: Vec<Value> = segments
        .map(|segment| std::fs::read_to_string(segment.unwrap().path()).unwrap())
        .flat_map(|text| {
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["kind"], "span");
    let event = &lines[0]["event"];
    assert_eq!(event["meta"]["span"]["kind"], "task");
    let end_ns = event["start_ns"].as_u64().unwrap() + event["duration"].as_u64().unwrap();
    assert_eq!(lines[0]["made_ms"], end_ns / 1_000_000);
    assert!(intake.requests().is_empty());
}

#[test]
fn memory_holds_the_form_of_the_sdks_and_evaluations_join_by_the_ids() {
    let memory = Memory::new();
    let config = || Config::new().destination(Destination::Memory(memory.clone()));
    let [workflow, call] = trace();
    assert_all_sent(&client(config()).submit([workflow, call.clone()]));
    let evaluations = EvaluationsClient::new(config()).unwrap();
    let row = (call.context(), Evaluation::new("quality", 0.9));
    assert_all_sent(&evaluations.submit([row]));
    let joined = &memory.evaluations()[0]["join_on"]["span"];
    assert_eq!(joined["span_id"], memory.spans()[1]["span_id"]);
    assert_eq!(joined["trace_id"], memory.spans()[1]["trace_id"]);
}

#[test]
fn results_stand_in_the_order_of_the_rows_and_a_bad_row_hinders_no_other() {
    let intake = Intake::start();
    let now = SystemTime::now();
    let at = |start, duration| PastSpan::new(SpanKind::Task, "t", start, duration);
    let results = agentless(&intake).submit([
        task("first"),
        at(now - 25 * HOUR, HOUR),
        task("second").with_span_id(""),
        at(now + HOUR, HOUR),
        task("third"),
        at(now - HOUR, 2 * HOUR),
        task("fourth").metric("m", f64::INFINITY),
        task(""),
        task("fifth").model_name("m"),
        task("last"),
    ]);
    let expected = [
        None,
        Some(RejectionCode::TooOld),
        Some(RejectionCode::MissingId),
        Some(RejectionCode::InvalidStart),
        None,
        Some(RejectionCode::InvalidDuration),
        Some(RejectionCode::InvalidMetric),
        Some(RejectionCode::MissingName),
        Some(RejectionCode::WrongKind),
        None,
    ];
    assert_eq!(codes(&results), expected);
    // An odd element costs itself alone, and its row is told.
    let mended = [RejectionCode::InvalidMetric, RejectionCode::WrongKind];
    for (result, code) in results.iter().zip(expected) {
        let sent = code.is_none_or(|code| mended.contains(&code));
        assert_eq!(result.is_sent(), sent, "{result}");
    }
    assert_eq!(
        results[6].to_string(),
        "sent, mended (invalid_metric): metric \"m\" must have a name and be finite, not inf"
    );
    let sent = intake.public_spans();
    assert_eq!(names(&sent), ["first", "third", "fourth", "fifth", "last"]);
    assert!(matches!(results[8], RowResult::Mended { .. }));
    assert!(!sent[3].to_string().contains("model_name"));
}

#[test]
fn a_span_of_almost_a_day_ago_is_taken() {
    let intake = Intake::start();
    let start = SystemTime::now() - 24 * HOUR + Duration::from_secs(30);
    let span = PastSpan::new(SpanKind::Task, "old", start, Duration::from_secs(1));
    assert_all_sent(&agentless(&intake).submit([span]));
}

#[test]
fn many_rows_go_in_order_in_requests_of_a_thousand() {
    for client in [agentless, by_agent] {
        let intake = Intake::start();
        let results = client(&intake).submit(numbered(2_100));
        assert_eq!(results.len(), 2_100);
        assert_all_sent(&results);
        let of = |request: &Request| request.spans().len() + request.public_spans().len();
        let sizes: Vec<usize> = intake.requests().iter().map(of).collect();
        assert_eq!(sizes, [1_000, 1_000, 100]);
        let spans = [intake.spans(), intake.public_spans()].concat();
        let expected: Vec<String> = (0..2_100).map(|number| number.to_string()).collect();
        assert_eq!(names(&spans), expected);
    }
}

#[test]
fn a_request_is_no_larger_than_configured_in_either_form() {
    let limit = 10_000;
    for to in [to_intake, |intake: &Intake| {
        config().agent_url(intake.url())
    }] {
        let intake = Intake::start();
        let client = client(to(&intake).payload_size_bytes(limit));
        let mut rows = numbered(60);
        rows.insert(7, task("too large").input("a".repeat(limit)));
        let results = client.submit(rows);
        assert_eq!(results[7].code(), Some(RejectionCode::TooLarge));
        assert_eq!(results.iter().filter(|result| result.is_sent()).count(), 60);
        let requests = intake.requests();
        assert!(requests.len() > 1);
        assert!(requests.iter().all(|request| request.body.len() <= limit));
    }
}

#[test]
fn the_largest_row_fits_and_one_byte_more_does_not() {
    let intake = Intake::start();
    let client = client(to_intake(&intake).payload_size_bytes(10_000));
    let taken = |length: usize| {
        // Ids of one length, which random numbers do not have.
        let row = task("t").with_span_id("1").input("a".repeat(length));
        client.submit([row])[0].is_sent()
    };
    let longest = (1..10_000).collect::<Vec<_>>();
    let longest = longest.partition_point(|length| taken(*length));
    assert!(taken(longest) && !taken(longest + 1));
    assert!(
        intake
            .requests()
            .iter()
            .all(|request| request.body.len() <= 10_000)
    );
}

#[test]
fn the_spans_of_each_application_go_in_requests_of_their_own() {
    let intake = Intake::start();
    let of = |name: &str, ml_app: &str| task(name).ml_app(ml_app);
    let rows = [
        of("a", "one"),
        of("b", "two \"☃\""),
        of("c", "one"),
        task("d"),
        of("e", ""),
    ];
    assert_all_sent(&agentless(&intake).submit(rows));
    let sent: Vec<(String, Vec<String>)> = intake
        .requests()
        .iter()
        .map(|request| {
            let ml_app = request.json()["data"]["attributes"]["ml_app"].as_str();
            let spans: Vec<Value> = request.public_spans().cloned().collect();
            let names = names(&spans).into_iter().map(str::to_owned);
            (ml_app.unwrap().to_owned(), names.collect())
        })
        .collect();
    let expected = [
        ("one", vec!["a", "c"]),
        ("two \"☃\"", vec!["b"]),
        ("import", vec!["d", "e"]),
    ];
    let expected = expected.map(|(ml_app, names)| {
        (
            ml_app.to_owned(),
            names.into_iter().map(str::to_owned).collect(),
        )
    });
    assert_eq!(sent, expected);
}

#[test]
fn a_row_that_the_server_refuses_is_found_by_halves() {
    let intake = Intake::start();
    intake.script(|request| {
        let poisoned = request.public_spans().any(|span| span["name"] == "7");
        if poisoned {
            return Reply::status(400).body(r#"{"errors":["span 7 is none"]}"#);
        }
        // As the documentation says: accepted, and no body.
        Reply::status(202).body("")
    });
    let results = agentless(&intake).submit(numbered(20));
    for (row, result) in results.iter().enumerate() {
        assert_eq!(result.is_sent(), row != 7, "row {row}: {result}");
    }
    assert_eq!(results[7].code(), Some(RejectionCode::Refused));
    assert!(results[7].reason().unwrap().contains("span 7 is none"));
}

#[test]
fn what_may_pass_is_tried_again_and_then_retriable() {
    let intake = Intake::start();
    intake.replies([
        Reply::status(503),
        Reply::status(429).header("retry-after", "0"),
    ]);
    assert_all_sent(&agentless(&intake).submit(numbered(3)));
    assert_eq!(intake.requests().len(), 3);

    let down = Intake::start();
    down.script(|_| Reply::status(500));
    let results = agentless(&down).submit(numbered(3));
    assert!(results.iter().all(RowResult::is_retriable), "{results:?}");
    assert_eq!(down.requests().len(), 3, "tries of one request");
}

#[test]
fn a_refusal_for_good_and_a_wrong_key_are_told_for_each_row() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(422));
    let results = agentless(&intake).submit(numbered(2));
    let refused = Some(RejectionCode::Refused);
    assert_eq!(codes(&results), [refused, refused]);

    let intake = Intake::start();
    intake.script(|_| Reply::status(403));
    let results = agentless(&intake).submit(numbered(2));
    assert!(results.iter().all(RowResult::is_retriable));
    assert!(results[0].reason().unwrap().contains("DD_API_KEY"));
    assert_eq!(intake.requests().len(), 1);
}

#[test]
fn with_several_destinations_each_gets_its_form() {
    let (intake, memory) = (Intake::start(), Memory::new());
    let config = to_intake(&intake)
        .destination(Destination::Agentless)
        .destination(Destination::Memory(memory.clone()));
    assert_all_sent(&client(config).submit([task("t")]));
    assert_eq!(intake.public_spans()[0]["meta"]["kind"], "task");
    assert_eq!(memory.spans()[0]["meta"]["span"]["kind"], "task");
}

#[test]
fn without_blocking_the_same_comes_out_on_any_executor() {
    let intake = Intake::start();
    let client = agentless(&intake);
    let submission = client.submit_async([task("a"), task(""), task("b")]);
    assert!(intake.requests().is_empty(), "it is sent once it is polled");
    let results = futures::executor::block_on(submission);
    assert_eq!(
        codes(&results),
        [None, Some(RejectionCode::MissingName), None]
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_all_sent(&runtime.block_on(client.submit_async([task("c")])));
    assert_eq!(names(&intake.public_spans()), ["a", "b", "c"]);
}

#[test]
fn disabled_nothing_is_validated_and_nothing_sent() {
    let intake = Intake::start();
    let client = client(to_intake(&intake).enabled(false));
    let results = client.submit([task(""), task("t")]);
    let disabled = Some(RejectionCode::Disabled);
    assert_eq!(codes(&results), [disabled, disabled]);
    assert!(client.submit([]).is_empty());
    assert!(intake.requests().is_empty());
}

#[test]
fn processors_see_spans_of_the_past_and_fail_closed() {
    let hide = |span: &mut ProcessedSpan| {
        assert_ne!(span.name(), "fails", "as asked");
        span.redact(|text| *text = text.replace("secret", "*"));
        match span.name() {
            "dropped" => Verdict::Drop,
            _ => Verdict::Keep,
        }
    };
    let intake = Intake::start();
    let client = client(to_intake(&intake).processor(hide));
    let results =
        client.submit(["kept", "dropped", "fails"].map(|name| task(name).input("a secret")));
    assert!(results[0].is_sent() && results[2].is_sent(), "{results:?}");
    assert_eq!(results[1].code(), Some(RejectionCode::Processor));
    let body = String::from_utf8_lossy(&intake.requests()[0].body).into_owned();
    assert!(body.contains("a *") && !body.contains("secret"), "{body}");
}

#[test]
fn what_a_processor_does_on_the_callers_thread_makes_no_spans_there() {
    let searching = |_: &mut ProcessedSpan| {
        drop(Span::task("search").start());
        match is_enabled() {
            true => Verdict::Drop,
            false => Verdict::Keep,
        }
    };
    let to_memory = Destination::Memory(Memory::new());
    let past = client(config().destination(to_memory).processor(searching));
    let memory = Memory::new();
    let running = config().destination(Destination::Memory(memory.clone()));
    let running = running.build().unwrap();
    running.scope(|| {
        let import = Span::workflow("import").start();
        let _in = import.enter();
        assert_all_sent(&past.submit(numbered(3)));
        assert!(is_enabled());
    });
    running.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(names(&memory.spans()), ["import"]);
}

#[test]
fn usage_that_is_told_in_parts_has_the_total_of_what_stands() {
    let intake = Intake::start();
    let start = TokenUsage::new().uncached_input(8).cache_read(2).output(1);
    let span = task("in parts")
        .usage(start)
        .usage(TokenUsage::new().output(30));
    assert_all_sent(&by_agent(&intake).submit([span.clone()]));
    assert_all_sent(&agentless(&intake).submit([span]));
    let whole = json!({
        "input_tokens": 10, "output_tokens": 30, "total_tokens": 40, "cache_read_input_tokens": 2,
    });
    assert_eq!(intake.spans()[0]["metrics"], whole);
    assert_eq!(intake.public_spans()[0]["metrics"], whole);
}
