//! Large events, and more bytes than one request may have.

use llmobs::{Annotation, Prompt, Span};
use llmobs_tests::Exemptions;
use serde_json::json;

use crate::twin::{SOON, Twin};

/// The largest body that the intake takes, envelopes included.
const LARGEST_BODY: usize = 5_000_000;

#[test]
fn twin_24_event_1_2mb_is_sent_whole() {
    let twin = Twin::start("24-event-1_2MB");
    let long = "a".repeat(1_200_000);
    twin.run(|| {
        let _in = Span::llm("big").model_name("m").start().enter();
        let annotation = Annotation::new()
            .input(&long)
            .output("ok")
            .metadata("kept", 1);
        llmobs::annotate(None, annotation).unwrap();
    });
    let sent = twin.assert_equal(&Exemptions::none());
    let content = &sent.span("big")["meta"]["input"]["messages"][0]["content"];
    assert!(content.as_str() == Some(&long), "not the whole text");
    assert_eq!(sent.requests.len(), 1);
}

#[test]
fn twin_26_payload_is_split_over_requests() {
    let twin = Twin::start("26-payload-split");
    let long = "b".repeat(2_000_000);
    twin.run(|| {
        for name in ["p0", "p1", "p2", "p3"] {
            let _in = Span::task(name).start().enter();
            llmobs::annotate(None, Annotation::new().input(&long)).unwrap();
        }
    });
    let sent = twin.assert_equal(&Exemptions::none());
    let sizes: Vec<usize> = sent.requests.iter().map(|one| one.body.len()).collect();
    assert!(sizes.iter().all(|size| *size <= LARGEST_BODY), "{sizes:?}");
    // Two of 2 MB fit into a body, three do not.
    assert!((2..=4).contains(&sizes.len()), "{sizes:?}");
}

/// Ours cuts the longest string, where ddtrace drops all of input and output. The scenario tells of a third span, of
/// which the recording has nothing.
#[test]
fn twin_25_event_over_5mb_loses_the_middle_of_its_longest_string() {
    let twin = Twin::start("25-event-over-5MB");
    let long = "a".repeat(5_100_000);
    twin.run(|| {
        {
            let _in = Span::llm("too_big").model_name("m").start().enter();
            let annotation = Annotation::new()
                .input(&long)
                .output("ok")
                .metadata("kept", 1)
                .prompt(Prompt::new("p").template("t"))
                .tag("t", 1);
            llmobs::annotate(None, annotation).unwrap();
        }
        let small = Span::task("small_after").start();
        small.annotate(Annotation::new().input("x")).unwrap();
    });
    twin.client().flush(SOON).unwrap();
    let spans = twin.intake().spans();
    let big = spans.iter().find(|span| span["name"] == "too_big").unwrap();
    let input = &big["meta"]["input"];
    let content = input["messages"][0]["content"].as_str().unwrap();
    let (head, rest) = content.split_once("…[").unwrap();
    let (missing, tail) = rest.split_once(" bytes cut]…").unwrap();
    assert!(head.len() > 2_400_000 && head.bytes().all(|byte| byte == b'a'));
    assert!(tail.len() > 2_400_000 && tail.bytes().all(|byte| byte == b'a'));
    let missing: usize = missing.parse().unwrap();
    assert_eq!(head.len() + missing + tail.len(), long.len());
    assert_eq!(input["prompt"]["template"], "t");
    let exemptions = Exemptions::none()
        .expect("too_big", "/meta/input", input.clone())
        .expect(
            "too_big",
            "/meta/output",
            json!({"messages": [{"content": "ok", "role": ""}]}),
        );
    let sent = twin.assert_equal(&exemptions);
    assert!(
        sent.requests
            .iter()
            .all(|one| one.body.len() <= LARGEST_BODY)
    );
}
