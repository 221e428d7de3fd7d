use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::*;

const SOON: Duration = Duration::from_secs(60);
const SPANS: &str = "/evp_proxy/v2/api/v2/llmobs";

fn connect(intake: &Intake) -> TcpStream {
    TcpStream::connect(intake.url().trim_start_matches("http://")).unwrap()
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn span_body(events: usize) -> String {
    json!([{"event_type": "span", "spans": vec![json!({"name": "a"}); events]}]).to_string()
}

/// One answer: the head and as much of the body as its content-length says.
fn read_answer(stream: &mut impl Read) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    let head = String::from_utf8(answer).unwrap();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

fn send(intake: &Intake, request: &str) -> String {
    let mut stream = connect(intake);
    stream.write_all(request.as_bytes()).unwrap();
    read_answer(&mut stream)
}

fn violations_of(request: &str) -> Vec<String> {
    let mut intake = Intake::start();
    intake.allow_violations();
    send(&intake, request);
    intake.violations()
}

#[test]
fn a_raw_request_is_recorded_and_answered_202() {
    let intake = Intake::start();
    let answer = send(
        &intake,
        &post(SPANS, &span_body(2)).replace("Host", "X-One: 1\r\nx-one: 2\r\nHost"),
    );
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{}"), "{answer}");
    let requests = intake.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("POST", SPANS)
    );
    assert_eq!(requests[0].header("x-one"), Some("1, 2"));
    assert_eq!(requests[0].answer, Some(202));
    assert_eq!(intake.spans(), [json!({"name": "a"}), json!({"name": "a"})]);
    assert!(intake.evaluations().is_empty());
}

#[test]
fn evaluations_are_found_by_their_path() {
    let intake = Intake::start();
    let body =
        json!({"data": {"type": "evaluation_metric", "attributes": {"metrics": [{"label": "x"}]}}});
    send(
        &intake,
        &post("/api/intake/llm-obs/v2/eval-metric", &body.to_string()),
    );
    assert_eq!(
        intake.wait_for_evaluations(1, SOON),
        [json!({"label": "x"})]
    );
    assert!(intake.spans().is_empty());
}

#[test]
fn info_is_answered_and_counted_but_not_recorded() {
    let intake = Intake::start();
    let ask = "GET /info HTTP/1.1\r\nHost: x\r\n\r\n";
    assert!(send(&intake, ask).contains("\"/evp_proxy/v2/\""));
    intake.endpoints(&["/v0.4/traces"]);
    assert!(!send(&intake, ask).contains("evp_proxy"));
    intake.info(Reply::status(404));
    assert!(send(&intake, ask).starts_with("HTTP/1.1 404 "));
    assert_eq!(intake.info_count(), 3);
    assert!(intake.requests().is_empty());
}

#[test]
fn one_connection_carries_many_requests_even_pipelined() {
    let intake = Intake::start();
    let mut stream = connect(&intake);
    let both = post("/first", "{}") + &post("/second", "[]");
    stream.write_all(both.as_bytes()).unwrap();
    read_answer(&mut stream);
    read_answer(&mut stream);
    let (head, tail) = both.split_at(20);
    stream.write_all(head.as_bytes()).unwrap();
    stream.flush().unwrap();
    stream.write_all(tail.as_bytes()).unwrap();
    let paths: Vec<String> = intake
        .wait_for(|all| all.len() == 4, SOON)
        .into_iter()
        .map(|one| one.path)
        .collect();
    assert_eq!(paths, ["/first", "/second", "/first", "/second"]);
}

#[cfg(unix)]
#[test]
fn a_unix_socket_serves_and_goes_with_its_directory() {
    let intake = Intake::start_unix();
    let path = intake.url().trim_start_matches("unix://").to_owned();
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream
        .write_all(post(SPANS, &span_body(1)).as_bytes())
        .unwrap();
    assert!(read_answer(&mut stream).starts_with("HTTP/1.1 202 "));
    assert_eq!(intake.spans().len(), 1);
    drop(intake);
    assert!(!std::path::Path::new(&path).parent().unwrap().exists());
}

#[test]
fn queued_replies_come_first_then_the_script() {
    let intake = Intake::start();
    intake.replies([
        Reply::status(429).header("retry-after", "7"),
        Reply::json(json!({"ok": 1})),
    ]);
    intake.script(|request| Reply::status(if request.path == "/bad" { 500 } else { 204 }));
    let first = send(&intake, &post("/a", "{}"));
    assert!(
        first.starts_with("HTTP/1.1 429 ") && first.contains("retry-after: 7\r\n"),
        "{first}"
    );
    assert!(send(&intake, &post("/a", "{}")).ends_with("{\"ok\":1}"));
    assert!(send(&intake, &post("/bad", "{}")).starts_with("HTTP/1.1 500 "));
    assert!(send(&intake, &post("/good", "{}")).starts_with("HTTP/1.1 204 "));
    let answers: Vec<_> = intake
        .requests()
        .iter()
        .map(|request| request.answer)
        .collect();
    assert_eq!(answers, [Some(429), Some(200), Some(500), Some(204)]);
}

#[test]
fn only_what_was_answered_2xx_counts_as_accepted() {
    let intake = Intake::start();
    intake.replies([Reply::status(500)]);
    send(&intake, &post(SPANS, &span_body(1)));
    send(&intake, &post(SPANS, &span_body(2)));
    assert_eq!(
        (intake.spans().len(), intake.accepted_spans().len()),
        (3, 2)
    );
}

#[test]
fn a_delayed_reply_comes_later() {
    let intake = Intake::start();
    intake.replies([Reply::default().after(Duration::from_millis(30))]);
    let begun = Instant::now();
    send(&intake, &post("/a", "{}"));
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[test]
fn a_dropped_connection_ends_without_an_answer() {
    let intake = Intake::start();
    intake.replies([Reply::drop_connection()]);
    let mut stream = connect(&intake);
    stream.write_all(post("/a", "{}").as_bytes()).unwrap();
    assert_eq!(stream.read(&mut [0; 10]).unwrap(), 0);
    assert_eq!(intake.requests()[0].answer, None);
}

#[test]
fn a_reset_is_seen_as_one() {
    let intake = Intake::start();
    intake.replies([Reply::reset()]);
    let mut stream = connect(&intake);
    stream.write_all(post("/a", "{}").as_bytes()).unwrap();
    assert_eq!(
        stream.read(&mut [0; 10]).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn a_hanging_reply_holds_its_connection_only_and_the_drop_ends_it() {
    let intake = Intake::start();
    intake.replies([Reply::hang()]);
    let mut hanging = connect(&intake);
    hanging.write_all(post("/a", "{}").as_bytes()).unwrap();
    intake.wait_for(|all| all.len() == 1, SOON);
    assert!(send(&intake, &post("/b", "{}")).starts_with("HTTP/1.1 202 "));
    hanging
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    assert!(hanging.read(&mut [0]).is_err());
    drop(intake);
    hanging.set_read_timeout(Some(SOON)).unwrap();
    assert!(matches!(hanging.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn a_lie_about_the_length_ends_in_a_closed_connection() {
    let intake = Intake::start();
    intake.replies([Reply::default().header("content-length", "100")]);
    let mut stream = connect(&intake);
    stream.write_all(post("/a", "{}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("content-length: 100\r\n") && answer.ends_with("\r\n\r\n{}"),
        "{answer}"
    );
}

#[test]
#[should_panic(expected = "not within")]
fn waiting_for_what_does_not_come_panics() {
    Intake::start().wait_for_spans(1, Duration::from_millis(10));
}

#[test]
#[should_panic(expected = "a real server would have refused this")]
fn a_violation_fails_the_test_at_the_drop() {
    send(&Intake::start(), &post("/a", "not json"));
}

#[test]
fn a_good_request_has_no_violations() {
    assert_eq!(violations_of(&post(SPANS, &span_body(1_000))), [""; 0]);
}

#[test]
fn each_rule_of_the_server_is_checked() {
    let good = post(SPANS, "{}");
    let huge = format!("\"{}\"", "a".repeat(5_000_000));
    let cases = [
        (good.replace("Host: x\r\n", ""), "no host"),
        (
            good.replace("Content-Type: application/json\r\n", ""),
            "content-type: None",
        ),
        (
            good.replace("/json", "/msgpack"),
            "content-type: Some(\"application/msgpack\")",
        ),
        (
            good.replace("Host", "Content-Encoding: gzip\r\nHost"),
            "content-encoding: gzip",
        ),
        (post(SPANS, "{"), "body is not JSON"),
        (post(SPANS, &huge), "body of 5000002 bytes"),
        (post(SPANS, &span_body(1_001)), "1001 events"),
    ];
    for (request, expected) in cases {
        let found = violations_of(&request);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{expected}: {found:?}"
        );
    }
}

#[test]
fn a_body_that_is_not_utf8_is_a_violation() {
    let mut intake = Intake::start();
    intake.allow_violations();
    let mut stream = connect(&intake);
    let mut bytes = post(SPANS, "\"ab\"").into_bytes();
    let middle = bytes.len() - 2;
    bytes[middle] = 0xff;
    stream.write_all(&bytes).unwrap();
    read_answer(&mut stream);
    assert!(intake.violations()[0].contains("body is not UTF-8"));
}

#[test]
fn a_chunked_body_is_read_and_is_a_violation() {
    let head = post(SPANS, "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let found = violations_of(&(head + "1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].ends_with("no content-length") && found[1].ends_with("transfer-encoding: chunked")
    );
}

#[test]
fn half_a_request_is_a_violation() {
    let mut intake = Intake::start();
    intake.allow_violations();
    let mut stream = connect(&intake);
    stream
        .write_all(&post(SPANS, "{}").as_bytes()[..80])
        .unwrap();
    drop(stream);
    // Only a request that ends wakes a waiter with a record; this one is noted without one.
    let deadline = Instant::now() + SOON;
    let mut log = intake.shared.log();
    while log.broken.is_empty() && Instant::now() < deadline {
        log = intake.shared.changed.wait_timeout(log, SOON).unwrap().0;
    }
    drop(log);
    assert!(intake.violations()[0].contains("broken request"));
    assert!(intake.requests().is_empty());
}

#[test]
fn ten_thousand_events_and_ten_thousand_requests_pass_quickly() {
    let intake = Intake::start();
    let begun = Instant::now();
    let mut stream = connect(&intake);
    let full = post(SPANS, &span_body(1_000));
    for _ in 0..10 {
        stream.write_all(full.as_bytes()).unwrap();
        read_answer(&mut stream);
    }
    let pipelined = post(SPANS, &span_body(1)).repeat(10_000);
    let mut reading = stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || std::io::copy(&mut reading, &mut std::io::sink()));
    stream.write_all(pipelined.as_bytes()).unwrap();
    assert_eq!(intake.wait_for_spans(20_000, SOON * 6).len(), 20_000);
    assert!(begun.elapsed() < SOON * 6, "{:?}", begun.elapsed());
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    reader.join().unwrap().unwrap();
}

#[test]
fn an_intake_goes_down_and_comes_up_at_the_same_place() {
    let intake = Intake::start_down();
    let address = intake.url()["http://".len()..].to_owned();
    let refused = || TcpStream::connect(&address).unwrap_err().kind();
    for _ in 0..3 {
        assert_eq!(refused(), ErrorKind::ConnectionRefused);
        intake.come_up();
        let mut open = connect(&intake);
        open.write_all(post(SPANS, &span_body(1)).as_bytes())
            .unwrap();
        read_answer(&mut open);
        intake.go_down();
        intake.wait_until_closed(SOON);
        assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)));
    }
    assert_eq!(intake.spans().len(), 3);
    assert_eq!(intake.connections(), 3);
}

#[test]
fn a_deaf_intake_hears_what_was_said_once_it_comes_up() {
    let intake = Intake::start_deaf();
    let mut stream = connect(&intake);
    stream
        .write_all(post(SPANS, &span_body(1)).as_bytes())
        .unwrap();
    assert_eq!(intake.connections(), 0);
    intake.come_up();
    assert!(read_answer(&mut stream).starts_with("HTTP/1.1 202 "));
}

#[test]
fn a_scripted_reading_leaves_the_request_out_of_the_record() {
    let intake = Intake::start();
    intake.readings([
        Reading::ResetAfter(3),
        Reading::HangUpAfter(3),
        Reading::Slowly(Duration::from_millis(1)),
    ]);
    for _ in 0..3 {
        let mut stream = connect(&intake);
        let sent = stream.write_all(post(SPANS, &span_body(1)).as_bytes());
        let ended = stream.shutdown(std::net::Shutdown::Write);
        // A reset may come before the end is said.
        drop((sent, ended));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(answer.is_empty());
    }
    assert!(intake.requests().is_empty());
    send(&intake, &post(SPANS, &span_body(1)));
    assert_eq!(intake.requests().len(), 1);
}

#[test]
fn answers_are_cut_prefixed_and_written_as_they_are() {
    let intake = Intake::start();
    intake.replies([
        Reply::raw("what is this"),
        Reply::default().after_interim(&[103]),
        Reply::default().reset_after(5),
        Reply::default().dripping_after(10, Duration::ZERO),
    ]);
    let ask = || {
        let mut stream = connect(&intake);
        let request = post(SPANS, &span_body(1)).replace("Host", "Connection: close\r\nHost");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        (String::from_utf8(answer).unwrap(), ended.is_ok())
    };
    assert_eq!(ask(), ("what is this".to_owned(), true));
    let (answer, _) = ask();
    assert!(answer.starts_with("HTTP/1.1 103 "), "{answer}");
    assert!(answer.contains("\r\n\r\nHTTP/1.1 202 "), "{answer}");
    assert!(ask().0.len() <= 5);
    assert!(ask().0.ends_with("\r\n\r\n{}"));
    let answers: Vec<_> = intake.requests().iter().map(|one| one.answer).collect();
    assert_eq!(answers, [None, Some(202), None, Some(202)]);
}
