use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use super::super::{members, text};
use super::denormalise;
use crate::{Exemptions, Golden, Intake};

/// Posts a golden's requests as ours to the intake, after a change to the headers and the body.
fn send(golden: &Golden, intake: &Intake, change: fn(&mut Value, &mut Value)) {
    let mut clock = 0;
    for request in golden.requests() {
        let mut headers = request["headers"].clone();
        let mut body = denormalise(&request["body"], "", &mut clock);
        change(&mut headers, &mut body);
        let body = body.to_string();
        let mut stream = TcpStream::connect(intake.url().trim_start_matches("http://")).unwrap();
        let (method, path) = (text(&request["method"]), text(&request["path"]));
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n",
            body.len()
        )
        .unwrap();
        for (name, value) in members(&headers) {
            write!(stream, "{name}: {}\r\n", text(value)).unwrap();
        }
        write!(stream, "\r\n{body}").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
    }
}

#[test]
fn every_golden_has_the_envelopes_of_its_own_requests() {
    for name in Golden::names() {
        let golden = Golden::load(&name);
        let intake = Intake::start();
        send(&golden, &intake, |_, _| {});
        golden.assert_envelopes(&intake.requests());
        golden.assert_equal(&intake.spans(), &intake.evaluations(), &Exemptions::none());
    }
}

fn envelopes_after(change: fn(&mut Value, &mut Value)) -> Vec<String> {
    let golden = Golden::load("01-llm-export-eval");
    let mut intake = Intake::start();
    intake.allow_violations();
    send(&golden, &intake, change);
    let result = golden.compare_envelopes(&intake.requests());
    result.err().map_or_else(Vec::new, |text| {
        text.lines().skip(1).map(str::to_owned).collect()
    })
}

#[test]
fn each_difference_of_an_envelope_is_told() {
    let lines = envelopes_after(|headers, _| headers["x-datadog-evp-subdomain"] = json!("api"));
    let spans = "POST /evp_proxy/v2/api/v2/llmobs";
    assert_eq!(
        lines,
        [format!(
            "{spans} /headers/x-datadog-evp-subdomain: \"llmobs-intake\" / \"api\""
        )]
    );

    let lines = envelopes_after(|_, body| {
        if body.is_array() {
            body[0]["extra"] = json!(1);
            body[0]["_dd.stage"] = json!("cooked");
        }
    });
    assert_eq!(lines.len(), 2, "{lines:#?}");

    let lines = envelopes_after(|_, body| {
        if body.is_array() {
            body[0]["spans"] = json!([]);
        }
    });
    assert_eq!(lines, [format!("{spans} /body/spans: \"events\" / []")]);

    let lines = envelopes_after(|_, body| {
        if body.is_object() {
            body["data"]["type"] = json!("metric");
        }
    });
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

#[test]
fn a_request_too_few_or_to_another_path_is_told() {
    let golden = Golden::load("01-llm-export-eval");
    assert_eq!(
        golden.compare_envelopes(&[]).unwrap_err().lines().count(),
        3
    );
    let intake = Intake::start();
    send(&golden, &intake, |_, _| {});
    let error = Golden::load("04-nested-all-kinds")
        .compare_envelopes(&intake.requests())
        .unwrap_err();
    assert!(
        error.ends_with("eval-metric is not in the golden"),
        "{error}"
    );
}
