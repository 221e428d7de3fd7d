//! Evaluations of spans of the past, against a real HTTP server.

mod destinations;

use std::time::Duration;

use llmobs::{
    Assessment, Config, Destination, Evaluation, EvaluationTarget, EvaluationsClient, Memory,
    RejectionCode, RowResult, SpanContext,
};
use llmobs_tests::{Exemptions, Golden, Intake, Reply};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

fn client(intake: &Intake) -> EvaluationsClient {
    client_of(config(intake))
}

fn config(intake: &Intake) -> Config {
    Config::new()
        .ml_app("golden-app")
        .service("golden-svc")
        .agent_url(intake.url())
        .timeout(Duration::from_secs(20))
}

fn client_of(config: Config) -> EvaluationsClient {
    EvaluationsClient::new(config).unwrap()
}

fn in_memory() -> (EvaluationsClient, Memory) {
    let memory = Memory::new();
    let config = Config::new().destination(Destination::Memory(memory.clone()));
    (client_of(config), memory)
}

fn target(number: usize) -> EvaluationTarget {
    EvaluationTarget::span(number.to_string(), "trace")
}

fn numbered(count: usize) -> Vec<(EvaluationTarget, Evaluation)> {
    let row = |number| (target(number), Evaluation::new("number", number));
    (0..count).map(row).collect()
}

fn numbers(evaluations: &[Value]) -> Vec<u64> {
    let number = |evaluation: &Value| evaluation["score_value"].as_u64().unwrap();
    evaluations.iter().map(number).collect()
}

#[track_caller]
fn assert_all_sent(results: &[RowResult]) {
    for (row, result) in results.iter().enumerate() {
        assert!(result.is_sent(), "row {row}: {result}");
    }
}

#[track_caller]
fn assert_retriable(result: &RowResult, words: &[&str]) {
    assert!(result.is_retriable(), "{result}");
    for word in words {
        assert!(result.reason().unwrap().contains(word), "{result}");
    }
}

#[test]
fn what_ddtrace_sends_is_what_is_sent() {
    let intake = Intake::start();
    let results = client(&intake).submit([
        (
            EvaluationTarget::tag("msg_id", "abc-123"),
            Evaluation::new("quality", 0.9)
                .tag("evaluator", "human")
                .tag("t", "v:w")
                .ml_app("other-app")
                .timestamp_ms(1_700_000_000_000)
                .metadata("k", json!({"n": 1}))
                .metadata("o", json!([1]))
                .assessment(Assessment::Pass)
                .reasoning("because ☃"),
        ),
        (
            EvaluationTarget::tag("msg_id", "abc-124"),
            Evaluation::new("q2", "bad").assessment(Assessment::Fail),
        ),
        (
            EvaluationTarget::span("123", "abc"),
            Evaluation::new("minimal", false).ml_app("svc-x"),
        ),
    ]);
    assert_all_sent(&results);
    let golden = Golden::load("19-eval-all-arguments");
    // Ids are typed here, so that there is no other key beside them.
    let exemptions = Exemptions::none().expect_evaluation_absent("minimal", "/join_on/span/extra");
    golden.assert_equal(&[], &intake.evaluations(), &exemptions);
    golden.assert_envelopes(&intake.requests());
}

#[test]
fn many_rows_go_in_order_in_requests_of_a_thousand() {
    let intake = Intake::start();
    let results = client(&intake).submit(numbered(2_500));
    assert_eq!(results.len(), 2_500);
    assert_all_sent(&results);
    let sizes = intake
        .requests()
        .iter()
        .map(|one| one.evaluations().len())
        .collect::<Vec<_>>();
    assert_eq!(sizes, [1_000, 1_000, 500]);
    assert_eq!(
        numbers(&intake.evaluations()),
        (0..2_500).collect::<Vec<_>>()
    );
}

#[test]
fn a_request_is_no_larger_than_configured() {
    let intake = Intake::start();
    let client = client_of(config(&intake).payload_size_bytes(5_000));
    let mut rows = numbered(40);
    let large = Evaluation::new("large", 1).reasoning("a".repeat(5_000));
    rows.insert(7, (target(99), large));
    let results = client.submit(rows);
    assert_eq!(results[7].code(), Some(RejectionCode::TooLarge));
    assert_eq!(results.iter().filter(|result| result.is_sent()).count(), 40);
    assert!(intake.requests().len() > 2);
    assert!(
        intake
            .requests()
            .iter()
            .all(|request| request.body.len() <= 5_000)
    );
    assert_eq!(numbers(&intake.evaluations()), (0..40).collect::<Vec<_>>());
}

#[test]
fn a_row_that_the_server_refuses_hinders_no_other() {
    let intake = Intake::start();
    intake.script(|request| {
        let mut rows = request.evaluations();
        if rows.any(|row| row["score_value"] == 617) {
            Reply::status(400).body("number 617 is poison")
        } else {
            Reply::default()
        }
    });
    let results = client(&intake).submit(numbered(1_000));
    for (row, result) in results.iter().enumerate() {
        assert_eq!(result.is_sent(), row != 617, "row {row}: {result}");
    }
    assert_eq!(results[617].code(), Some(RejectionCode::Refused));
    let reason = results[617].reason().unwrap();
    assert!(reason.contains("number 617 is poison"), "{reason}");
    assert!(reason.contains(intake.url()), "{reason}");
    let accepted = numbers(&intake.accepted_evaluations());
    let expected = (0..1_000).filter(|number| *number != 617);
    assert_eq!(accepted, expected.collect::<Vec<_>>());
}

#[test]
fn a_server_that_fails_twice_gets_it_at_the_third_try() {
    let intake = Intake::start();
    intake.replies([Reply::status(503), Reply::status(503)]);
    assert_all_sent(&client(&intake).submit(numbered(3)));
    assert_eq!(intake.requests().len(), 3);
    assert_eq!(intake.accepted_evaluations().len(), 3);
}

#[test]
fn a_pause_that_the_server_asks_for_is_made() {
    let intake = Intake::start();
    intake.replies([Reply::status(429).header("retry-after", "1")]);
    assert_all_sent(&client(&intake).submit(numbered(1)));
    let requests = intake.requests();
    let pause = requests[1].arrived.duration_since(requests[0].arrived);
    assert!(pause >= Duration::from_millis(900), "{pause:?}");
}

#[test]
fn a_longer_pause_is_left_to_the_caller() {
    let intake = Intake::start();
    intake.replies([Reply::status(429)
        .header("retry-after", "60")
        .body("slow down")]);
    let results = client(&intake).submit(numbered(1_500));
    assert_retriable(&results[0], &["slow down", intake.url()]);
    assert_retriable(&results[1_499], &["not sent", "slow down"]);
    assert_eq!(intake.requests().len(), 1);
}

#[test]
fn a_server_that_stays_down_is_given_up_after_two_requests() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(503).body("down"));
    let results = client(&intake).submit(numbered(4_000));
    assert_eq!(results.len(), 4_000);
    assert_retriable(&results[0], &["503", "down", intake.url()]);
    assert_retriable(&results[3_999], &["not sent", "down"]);
    assert_eq!(intake.requests().len(), 6);
}

#[test]
fn one_request_that_fails_takes_no_other_with_it() {
    let intake = Intake::start();
    intake.replies([Reply::status(503), Reply::status(503), Reply::status(503)]);
    let results = client(&intake).submit(numbered(1_001));
    assert_retriable(&results[999], &["503"]);
    assert!(results[1_000].is_sent());
}

#[test]
fn a_key_that_is_not_let_in_is_told_with_the_site_at_once() {
    let intake = Intake::start();
    intake.script(|_| Reply::status(403).body("Forbidden"));
    let config = Config::new()
        .destination(Destination::Agentless)
        .site("datadoghq.eu")
        .api_key("k")
        .override_origin(intake.url());
    let results = client_of(config).submit(numbered(1_001));
    assert_retriable(
        &results[0],
        &["403", "Forbidden", "datadoghq.eu", "DD_API_KEY"],
    );
    assert_retriable(&results[1_000], &["not sent"]);
    assert_eq!(intake.requests().len(), 1);
}

#[test]
fn a_server_that_hangs_is_asked_twice_and_may_have_it() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let client = client_of(config(&intake).timeout(Duration::from_secs(1)));
    let results = client.submit(numbered(2));
    assert_retriable(&results[0], &["may have arrived", intake.url()]);
    assert_retriable(&results[1], &["may have arrived"]);
    assert_eq!(intake.requests().len(), 2);
}

#[test]
fn nobody_listens_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let client = client_of(Config::new().agent_url(&*url));
    assert_retriable(&client.submit(numbered(1))[0], &[&url]);
}

/// The documentation's example of version 1; its first id has more than 64 bits.
fn documented() -> Value {
    json!({"data": {"type": "evaluation_metric", "attributes": {"metrics": [
        {
            "span_id": "61399242116139924211",
            "trace_id": "13932955089405749200",
            "timestamp": 1_609_459_200,
            "metric_type": "categorical",
            "label": "Sentiment",
            "categorical_value": "Positive",
        },
        {
            "span_id": "20245611112024561111",
            "trace_id": "13932955089405749200",
            "metric_type": "score",
            "label": "Accuracy",
            "score_value": 3,
        },
    ]}}})
}

#[test]
fn version_1_is_sent_as_version_2() {
    let intake = Intake::start();
    let results = client(&intake).submit_json(documented()).unwrap();
    assert_all_sent(&results);
    let sent = intake.evaluations();
    assert_eq!(
        sent[0]["join_on"],
        json!({"span": {"span_id": "61399242116139924211", "trace_id": "13932955089405749200"}})
    );
    assert_eq!(sent[0]["timestamp_ms"], 1_609_459_200_000_i64);
    assert_eq!(sent[0]["categorical_value"], "Positive");
    assert_eq!(sent[1]["score_value"], 3);
    assert_eq!(sent[1]["ml_app"], "golden-app");
    assert!(sent[1]["timestamp_ms"].as_u64().unwrap() > 1_700_000_000_000);
    for key in ["span_id", "trace_id", "timestamp"] {
        assert!(sent.iter().all(|row| row.get(key).is_none()), "{key}");
    }
    let request = &intake.requests()[0];
    assert!(request.path.ends_with("/api/intake/llm-obs/v2/eval-metric"));
}

#[test]
fn versions_and_forms_may_be_mixed() {
    let intake = Intake::start();
    let client = client(&intake);
    let v2 = json!({
        "join_on": {"tag": {"key": "msg_id", "value": "1123132"}},
        "ml_app": "weather-bot", "timestamp_ms": 1_609_479_200, "metric_type": "boolean",
        "label": "Helpful", "boolean_value": true, "tags": ["a:b"], "assessment": "pass",
    });
    let v1 = documented()["data"]["attributes"]["metrics"][0].clone();
    let bare = json!([v1, {"label": "lost"}, v2]);
    let attributes = json!({"metrics": bare, "tags": ["team:x", "a:c"]});
    for body in [bare, attributes] {
        let results = client.submit_json(body).unwrap();
        let codes: Vec<_> = results.iter().map(RowResult::code).collect();
        assert_eq!(codes, [None, Some(RejectionCode::InvalidJoin), None]);
        assert!(results[0].is_sent() && results[2].is_sent());
    }
    let sent = intake.evaluations();
    let tags = |row: usize| sent[row]["tags"].as_array().unwrap()[1..].to_vec();
    assert_eq!(tags(1), ["ml_app:weather-bot", "a:b"]);
    assert_eq!(tags(2), ["ml_app:golden-app", "team:x", "a:c"]);
    assert_eq!(tags(3), ["ml_app:weather-bot", "team:x", "a:c", "a:b"]);
    assert_eq!(sent[3]["boolean_value"], true);
}

#[test]
fn a_malformed_envelope_sends_nothing_and_is_named() {
    let (client, memory) = in_memory();
    let body = json!({"data": {"type": "evaluation_metric", "attributes": {"metric": []}}});
    let error = client.submit_json(body).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`data.attributes.metrics` is missing"),
        "{error}"
    );
    assert!(memory.evaluations().is_empty());
    assert_eq!(client.submit_json(json!([])), Ok(Vec::new()));
}

#[test]
fn a_typed_row_that_is_not_valid_has_its_code() {
    let (client, memory) = in_memory();
    let none: Option<SpanContext> = None;
    let good = || Evaluation::new("good", 1);
    let span = || EvaluationTarget::span("1", "2");
    let results = client.submit([
        (EvaluationTarget::from(none), good()),
        (EvaluationTarget::span("", "2"), good()),
        (EvaluationTarget::tag("", "2"), good()),
        (span(), Evaluation::new("", 1)),
        (span(), Evaluation::new("a.b", 1)),
        (span(), Evaluation::new("l", f64::NAN)),
        (span(), Evaluation::new("l", json!([1]))),
        (span(), good().timestamp_ms(-1)),
        (span(), good().tag("", "v")),
        (span(), good()),
    ]);
    let codes: Vec<_> = results
        .iter()
        .map(|result| result.code().map_or("-", RejectionCode::as_str))
        .collect();
    assert_eq!(
        codes,
        [
            "invalid_join",
            "invalid_join",
            "invalid_join",
            "missing_label",
            "invalid_label",
            "invalid_value",
            "invalid_value",
            "invalid_timestamp",
            "invalid_tags",
            "-",
        ]
    );
    assert_eq!(memory.evaluations().len(), 1);
}

#[test]
fn a_json_row_that_is_not_valid_has_its_code() {
    let (client, memory) = in_memory();
    let row = |fields: Value| {
        let mut row = json!({
            "span_id": "1", "trace_id": "2", "label": "l", "metric_type": "score",
            "score_value": 1,
        });
        row.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        row
    };
    let cases = [
        (row(json!({"label": null})), "missing_label"),
        (row(json!({"label": "1st"})), "invalid_label"),
        (row(json!({"trace_id": null})), "invalid_join"),
        (row(json!({"score_value": null})), "invalid_value"),
        (row(json!({"score_value": "1"})), "type_mismatch"),
        (row(json!({"timestamp_ms": 0})), "invalid_timestamp"),
        (row(json!({"tags": "a:b"})), "invalid_tags"),
        (row(json!({"metric_type": "number"})), "invalid_metric_type"),
        (row(json!({"assessment": "maybe"})), "invalid_assessment"),
        (row(json!({"eval_scope": "session"})), "invalid_scope"),
        (row(json!({"reasoning": 1})), "invalid_reasoning"),
        (row(json!({"metadata": 1})), "invalid_metadata"),
        (row(json!({"ml_app": 1})), "invalid_ml_app"),
        (row(json!({"event_kind": "feedback"})), "invalid_event_kind"),
        (row(json!({"confidence": 1})), "unknown_key"),
        (json!("row"), "not_an_object"),
        (
            row(json!({"reasoning": "a".repeat(5_000_000)})),
            "too_large",
        ),
    ];
    let rows: Vec<&Value> = cases.iter().map(|(row, _)| row).collect();
    let results = client.submit_json(json!(rows)).unwrap();
    for ((row, code), result) in cases.iter().zip(&results) {
        let found = result.code().map(RejectionCode::as_str);
        assert_eq!(found, Some(*code), "{:.200}: {result}", row.to_string());
    }
    assert!(memory.evaluations().is_empty());
}

#[test]
fn while_disabled_every_row_says_so_and_nothing_is_sent() {
    let memory = Memory::new();
    let config = Config::from_vars(|name| (name == "DD_LLMOBS_ENABLED").then(|| "0".into()))
        .unwrap()
        .destination(Destination::Memory(memory.clone()));
    let client = client_of(config);
    let mut results = client.submit([(target(1), Evaluation::new("not a label", 1))]);
    results.extend(client.submit_json(documented()).unwrap());
    let codes: Vec<_> = results.iter().filter_map(RowResult::code).collect();
    assert_eq!(codes, [RejectionCode::Disabled; 3]);
    assert!(memory.evaluations().is_empty());
}

#[test]
fn it_blocks_within_a_runtime_without_a_panic() {
    let intake = Intake::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let client = client(&intake);
    runtime.block_on(async { assert_all_sent(&client.submit(numbered(1))) });
    runtime.block_on(async { assert_all_sent(&client.submit_async(numbered(1)).await) });
    assert_eq!(intake.evaluations().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn submissions_run_beside_each_other_on_any_executor() {
    let intake = Intake::start();
    let client = client(&intake);
    let running =
        std::array::from_fn::<_, 8, _>(|_| tokio::spawn(client.submit_async(numbered(10))));
    for submission in running {
        assert_all_sent(&submission.await.unwrap());
    }
    let json = client.submit_json_async(documented()).unwrap().await;
    assert_all_sent(&json);
    assert_eq!(intake.evaluations().len(), 82);
}

#[test]
fn an_executor_that_is_not_tokio_does_as_well() {
    let intake = Intake::start();
    let submission = client(&intake).submit_async(numbered(3));
    assert!(intake.requests().is_empty(), "sent before it is polled");
    assert_all_sent(&block_on(submission));
    assert_eq!(intake.evaluations().len(), 3);
}

/// The smallest executor: polls when it is woken.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[tokio::test]
async fn a_dropped_submission_sends_nothing_further() {
    let intake = Intake::start();
    intake.script(|_| Reply::default().after(Duration::from_secs(2)));
    let mut submission = Box::pin(client(&intake).submit_async(numbered(5_000)));
    let polled = tokio::time::timeout(Duration::from_millis(1), &mut submission).await;
    assert!(polled.is_err());
    intake.wait_for(|requests| requests.len() == 1, SOON);
    drop(submission);
    // Longer than one of its requests would have taken; there is nothing to wait for.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(intake.requests().len(), 1);
}
