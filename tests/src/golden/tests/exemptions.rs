use serde_json::{Value, json};

use super::{after, span};
use crate::Exemptions;

#[test]
fn exemptions_say_what_ours_does_instead() {
    let exemptions = Exemptions::none()
        .without_span("explodes")
        .without_span("wrong")
        .with_span("extra")
        .expect("redact", "/meta/output/messages", json!([]))
        .expect("redact_docs", "/meta/added/deep", json!({}))
        .expect_absent("cleared", "/meta/model_name")
        .expect_tags("redact", &["new:1"], &["span.kind:llm"])
        .expect("*", "/status", json!("odd"));
    let lines = after("27-span-processor", &exemptions, |spans, _| {
        spans.retain(|span| span["name"] != "explodes" && span["name"] != "wrong");
        let mut extra = spans[0].clone();
        extra["name"] = json!("extra");
        spans.push(extra);
        span(spans, "redact")["meta"]["output"]["messages"] = json!([]);
        span(spans, "redact_docs")["meta"]["added"] = json!({"deep": {}});
        span(spans, "cleared")["meta"]
            .as_object_mut()
            .unwrap()
            .remove("model_name");
        let tags = span(spans, "redact")["tags"].as_array_mut().unwrap();
        tags.retain(|tag| tag != "span.kind:llm");
        tags.push(json!("new:1"));
        spans
            .iter_mut()
            .for_each(|span| span["status"] = json!("odd"));
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn an_exemption_may_choose_one_of_a_name_and_bring_new_ids() {
    let exemptions = Exemptions::none()
        .expect_tags("g#2", &["cancelled:true"], &[])
        .expect("while_suspended", "/parent_id", json!("undefined"))
        .expect("while_suspended", "/trace_id", json!("$trace.new"));
    let lines = after("14-generators", &exemptions, |spans, _| {
        let mut of_name: Vec<&mut Value> = spans
            .iter_mut()
            .filter(|span| span["name"] == "g")
            .collect();
        of_name.sort_by_key(|span| span["start_ns"].as_u64());
        of_name[1]["tags"]
            .as_array_mut()
            .unwrap()
            .push(json!("cancelled:true"));
        let free = span(spans, "while_suspended");
        free["parent_id"] = json!("undefined");
        free["trace_id"] = json!(format!("{:032x}", 6));
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn an_exemption_may_name_the_error_type() {
    let exemptions = Exemptions::none()
        .expect("kbd", "/meta/error/type", json!("panic"))
        .expect_tags(
            "kbd",
            &["error_type:panic"],
            &["error_type:builtins.KeyboardInterrupt"],
        );
    let lines = after("12-errors", &exemptions, |_, _| {});
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let lines = after("12-errors", &exemptions, |spans, _| {
        let error = span(spans, "kbd");
        error["meta"]["error"]["type"] = json!("panic");
        let tags = error["tags"].as_array_mut().unwrap();
        *tags
            .iter_mut()
            .find(|tag| **tag == "error_type:my::Error")
            .unwrap() = json!("error_type:panic");
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn exemptions_of_evaluations_go_by_label() {
    let exemptions = Exemptions::none()
        .without_evaluation("minimal")
        .expect_evaluation("q2", "/assessment", json!("pass"))
        .expect_evaluation_absent("quality", "/metadata/o/0")
        .expect_evaluation_tags("quality", &["last:1"], &["t:v:w"]);
    let lines = after("19-eval-all-arguments", &exemptions, |_, evaluations| {
        evaluations.pop();
        evaluations[1]["assessment"] = json!("pass");
        evaluations[0]["metadata"]["o"] = json!([]);
        evaluations[0]["tags"][3] = json!("last:1");
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn an_exemption_without_effect_is_a_difference() {
    let cases = [
        Exemptions::none().without_span("nobody"),
        Exemptions::none().without_span("g#9"),
        Exemptions::none().with_span("nobody"),
        Exemptions::none().expect("nobody", "/status", json!("error")),
        Exemptions::none().expect("g", "/status", json!("ok")),
        Exemptions::none().expect("g", "/name/below", json!(1)),
        Exemptions::none().expect_absent("g", "/nothing"),
        Exemptions::none().expect_tags("g", &[], &["no:tag"]),
        Exemptions::none().expect_tags("g", &[], &[]),
        Exemptions::none().without_evaluation("nobody"),
        Exemptions::none().expect_evaluation("*", "/x", json!(1)),
    ];
    for exemptions in cases {
        let lines = after("14-generators", &exemptions, |_, _| {});
        assert!(
            lines.len() == 1 && lines[0].starts_with("exemption without effect"),
            "{exemptions:?}: {lines:#?}"
        );
    }
}

#[test]
fn an_exemption_that_ours_does_not_follow_is_a_difference() {
    for exemptions in [
        Exemptions::none().without_span("after"),
        Exemptions::none().expect("after", "/status", json!("error")),
        Exemptions::none().expect_absent("after", "/status"),
        Exemptions::none().expect_tags("after", &["a:b"], &[]),
        Exemptions::none().expect_tags("after", &[], &["env:"]),
    ] {
        let lines = after("14-generators", &exemptions, |_, _| {});
        assert_eq!(lines.len(), 1, "{exemptions:?}: {lines:#?}");
    }
}
