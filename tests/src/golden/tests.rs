use serde_json::json;

use super::*;

mod envelopes;
mod exemptions;

/// A golden's value as ours could be: ids for symbols, other numbers, other white space, other order of tags.
fn denormalise(value: &Value, key: &str, clock: &mut u64) -> Value {
    match value {
        Value::Object(members) => match members.get(compare::ABRIDGED) {
            Some(long) => {
                let first = &long["first"].as_str().unwrap()[..1];
                first
                    .repeat(usize::try_from(long["length"].as_u64().unwrap()).unwrap())
                    .into()
            }
            None => members
                .iter()
                .map(|(key, value)| (key.clone(), denormalise(value, key, clock)))
                .collect(),
        },
        Value::Array(items) => items
            .iter()
            .map(|item| denormalise(item, key, clock))
            .collect(),
        Value::String(text) => denormalise_text(text, key, clock),
        Value::Number(number) if number.is_u64() && key != "timestamp_ms" => json!(number.as_f64()),
        _ => value.clone(),
    }
}

fn denormalise_text(text: &str, key: &str, clock: &mut u64) -> Value {
    let number = |text: &str| text.parse::<u64>().unwrap_or(4_711);
    if let Some(span) = text.strip_prefix("$span.") {
        return (number(span) + 1_000).to_string().into();
    }
    if let Some(trace) = text.strip_prefix("$trace.") {
        return format!("{:032x}", number(trace) + 0xabc_0000).into();
    }
    if let Some(apm) = text.strip_prefix("$apm.") {
        return format!("{:032x}", number(apm) + 0xdef_0000).into();
    }
    *clock += 1;
    match text {
        "$time" if key == "timestamp_ms" => json!(1_753_000_000_000_u64 + *clock),
        "$time" => json!(1_753_000_000_000_000_000_u64 + *clock),
        "$duration" => json!(*clock),
        "$version" => "9.9.9".into(),
        "$stack" => "at a\nat b".into(),
        "ddtrace.version:$version" => "ddtrace.version:9.9.9".into(),
        "language:$language" => "language:rust".into(),
        _ if text.starts_with("error_type:") => "error_type:my::Error".into(),
        _ if key == "type" && text.starts_with("builtins.") => "my::Error".into(),
        _ => match serde_json::from_str::<Value>(text) {
            Ok(value) if value.is_object() || value.is_array() => value.to_string().into(),
            _ => text.into(),
        },
    }
}

/// The spans and evaluations of a golden as ours, the spans and their tags in another order of arrival.
fn ours(golden: &Golden) -> (Vec<Value>, Vec<Value>) {
    let mut clock = 0;
    let mut all = |events: Vec<Value>| -> Vec<Value> {
        events
            .iter()
            .map(|event| denormalise(event, "", &mut clock))
            .collect()
    };
    let (mut spans, evaluations) = (all(golden.spans()), all(golden.evaluations()));
    spans.reverse();
    for span in &mut spans {
        span["tags"].as_array_mut().unwrap().reverse();
    }
    (spans, evaluations)
}

fn span<'a>(spans: &'a mut [Value], name: &str) -> &'a mut Value {
    spans.iter_mut().find(|span| span["name"] == name).unwrap()
}

/// Compares after a change to ours, and returns the lines of differences.
fn after(
    name: &str,
    exemptions: &Exemptions,
    change: impl FnOnce(&mut Vec<Value>, &mut Vec<Value>),
) -> Vec<String> {
    let golden = Golden::load(name);
    let (mut spans, mut evaluations) = ours(&golden);
    change(&mut spans, &mut evaluations);
    let result = golden.compare(&spans, &evaluations, exemptions);
    result.err().map_or_else(Vec::new, |text| {
        text.lines().skip(1).map(str::to_owned).collect()
    })
}

fn after_span(name: &str, span_name: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
    after(name, &Exemptions::none(), |spans, _| {
        change(span(spans, span_name))
    })
}

fn after_evaluations(name: &str, change: impl FnOnce(&mut Vec<Value>)) -> Vec<String> {
    after(name, &Exemptions::none(), |_, evaluations| {
        change(evaluations)
    })
}

#[test]
fn every_golden_equals_its_own_events() {
    let names = Golden::names();
    assert_eq!(names.len(), 32);
    for name in names {
        let golden = Golden::load(&name);
        let (spans, evaluations) = ours(&golden);
        golden.assert_equal(&spans, &evaluations, &Exemptions::none());
    }
}

#[test]
fn a_golden_tells_its_environment_and_events() {
    let golden = Golden::load("01-llm-export-eval");
    assert_eq!(golden.env()["DD_LLMOBS_ML_APP"], "golden-app");
    assert_eq!(
        (
            golden.spans().len(),
            golden.evaluations().len(),
            golden.requests().len()
        ),
        (1, 1, 2)
    );
    assert_eq!(golden.observed()["export_span"]["span_id"], "$span.1");
    assert!(golden.scenario().starts_with("llm span"));
}

#[test]
fn each_difference_of_a_span_is_one_line() {
    let nested = "04-nested-all-kinds";
    let cases = [
        (
            after_span(nested, "t", |t| t["meta"]["output"]["value"] = json!("x")),
            "/meta/output/value: \"tool out\" / \"x\"",
        ),
        (
            after_span(nested, "t", |t| {
                t["meta"]["input"]["value"] = json!("{\"x\":2}")
            }),
            "/meta/input/value as JSON: /x: 1 / 2",
        ),
        (
            after_span(nested, "t", |t| t["extra"] = json!(1)),
            "/extra: absent / 1",
        ),
        (
            after_span(nested, "t", |t| {
                drop(t.as_object_mut().unwrap().remove("metrics"))
            }),
            "/metrics: {} / absent",
        ),
        (
            after_span(nested, "t", |t| {
                drop(t["tags"].as_array_mut().unwrap().remove(0))
            }),
            "/tags: \"version:\" / absent",
        ),
        (
            after_span(nested, "t", |t| {
                t["tags"].as_array_mut().unwrap().push(json!("env:"))
            }),
            "/tags: absent / \"env:\"",
        ),
        (
            after_span(nested, "t", |t| t["parent_id"] = json!("1001")),
            "/parent_id: \"$span.2\" / $span.1",
        ),
        (
            after_span(nested, "t", |t| t["parent_id"] = json!("77")),
            "/parent_id: \"$span.2\" / \"77\"",
        ),
        (
            after_span(nested, "t", |t| t["meta"]["span"]["kind"] = json!("task")),
            "/meta/span/kind: \"tool\" / \"task\"",
        ),
        (
            after_span(nested, "t", |t| {
                t["start_ns"] = json!(1_753_000_000_000_u64)
            }),
            "/start_ns: \"$time\" / 1753000000000",
        ),
        (
            after_span(nested, "t", |t| t["duration"] = json!(-1)),
            "/duration: \"$duration\" / -1",
        ),
        (
            after_span(nested, "r", |r| {
                r["meta"]["output"]["documents"][0]["score"] = json!(0.8)
            }),
            "/meta/output/documents/0/score: 0.9 / 0.8",
        ),
        (
            after_span("12-errors", "kbd", |e| {
                e["meta"]["error"]["stack"] = json!("")
            }),
            "/meta/error/stack: \"$stack\" / \"\"",
        ),
        (
            after_span("12-errors", "kbd", |e| {
                drop(e["meta"]["error"].as_object_mut().unwrap().remove("type"))
            }),
            "/meta/error/type: \"$type\" / absent",
        ),
        (
            after_span("24-event-1_2MB", "big", |b| {
                b["meta"]["input"]["messages"][0]["content"] = json!("a".repeat(1_199_999))
            }),
            "\"length\":1199999",
        ),
        (
            after_span("10-metadata-metrics-tags", "merge", |m| {
                m["metrics"]["x"] = json!(true)
            }),
            "/metrics/x: absent / true",
        ),
    ];
    for (lines, expected) in cases {
        assert!(
            lines.len() == 1 && lines[0].contains(expected),
            "{expected}: {lines:#?}"
        );
        assert!(lines[0].starts_with("span \""), "{lines:?}");
    }
}

#[test]
fn another_name_is_a_missing_and_an_unexpected_span() {
    let lines = after_span("04-nested-all-kinds", "t", |span| span["name"] = json!("u"));
    assert_eq!(lines[0], "span \"t\" (tool) is missing");
    assert_eq!(lines[1], "span \"u\" (tool) is not in the golden");
}

#[test]
fn a_span_too_few_or_too_many_is_told() {
    let none = Exemptions::none();
    let lines = after("34-sampling-rules", &none, |spans, _| drop(spans.remove(0)));
    assert!(
        lines.contains(&"span \"c\" (task) #3 is missing".to_owned()),
        "{lines:#?}"
    );
    let lines = after("34-sampling-rules", &none, |spans, _| {
        spans.push(spans[0].clone())
    });
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with("is not in the golden")),
        "{lines:#?}"
    );
}

#[test]
fn two_ids_for_one_symbol_or_one_for_two_are_told() {
    let other = format!("{:032x}", 5);
    let lines = after_span("04-nested-all-kinds", "t", |span| {
        span["trace_id"] = json!(other)
    });
    assert_eq!(
        lines,
        [format!(
            "span \"t\" (tool) /trace_id: \"$trace.1\" / \"{other}\""
        )]
    );
    let lines = after("36-threads", &Exemptions::none(), |spans, _| {
        let first = span(spans, "pool1")["trace_id"].clone();
        span(spans, "pool2")["trace_id"] = first;
    });
    assert_eq!(
        lines,
        ["span \"pool2\" (task) /trace_id: \"$trace.2\" / $trace.1"]
    );
    let lines = after("36-threads", &Exemptions::none(), |spans, _| {
        let pool = span(spans, "pool1");
        pool["trace_id"] = pool["_dd"]["trace_id"].clone();
    });
    assert!(
        !lines.is_empty(),
        "an LLMObs trace id is not the APM trace id"
    );
}

#[test]
fn a_users_tag_is_not_taken_for_ours() {
    let is_version = |tag: &Value| text(tag).starts_with("ddtrace.version:");
    let lines = after_span("10-metadata-metrics-tags", "reserved", |span| {
        let tags = span["tags"].as_array_mut().unwrap();
        *tags.iter_mut().find(|tag| is_version(tag)).unwrap() = json!("ddtrace.version:1");
    });
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let lines = after_span("36-threads", "w", |span| {
        let tags = span["tags"].as_array_mut().unwrap();
        *tags
            .iter_mut()
            .find(|tag| **tag == "language:rust")
            .unwrap() = json!("language:go");
    });
    assert_eq!(lines.len(), 2, "{lines:#?}");
}

#[test]
fn an_id_must_have_its_form() {
    let lines = after_span("36-threads", "w", |span| {
        span["span_id"] = json!("00ab");
        span["_dd"]["span_id"] = json!("00ab");
    });
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let lines = after_span("36-threads", "w", |span| {
        span["trace_id"] = json!("A".repeat(32))
    });
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

#[test]
fn numbers_compare_by_value_and_no_further() {
    let same = |golden: Value, ours: Value| {
        let (mut ids, mut differences) = (Ids::default(), Differences::default());
        Values::new("", &mut ids, &mut differences).compare(&Place::named("/x"), &golden, &ours);
        differences.into_result("").is_ok()
    };
    assert!(
        same(json!(10), json!(10.0))
            && same(json!(-1), json!(-1.0))
            && same(json!(0.5), json!(0.5))
    );
    assert!(
        !same(json!(1), json!(true)) && !same(json!(1), json!("1")) && !same(json!(1), json!(1.5))
    );
    assert!(!same(
        json!(9_007_199_254_740_993_u64),
        json!(9_007_199_254_740_992_u64)
    ));
    assert!(!same(json!(null), json!(0)) && !same(json!("{\"a\":1}"), json!("{\"a\": 1}")));
}

#[test]
fn each_difference_of_an_evaluation_is_told() {
    let all = "19-eval-all-arguments";
    let lines = after_evaluations(all, |ours| ours[0]["timestamp_ms"] = json!(1));
    assert_eq!(
        lines,
        ["evaluation \"quality\" /timestamp_ms: 1700000000000 / 1"]
    );
    let lines = after_evaluations(all, |ours| ours[1]["timestamp_ms"] = json!(1));
    assert_eq!(lines, ["evaluation \"q2\" /timestamp_ms: \"$time\" / 1"]);
    let lines = after_evaluations(all, |ours| {
        ours[0]["tags"].as_array_mut().unwrap().swap(2, 3)
    });
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let lines = after_evaluations(all, |ours| ours.swap(0, 1));
    assert_eq!(
        lines,
        [
            "evaluations' labels: [\"quality\",\"q2\",\"minimal\"] / [\"q2\",\"quality\",\"minimal\"]"
        ]
    );
    let lines = after_evaluations(all, |ours| drop(ours.pop()));
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let lines = after_evaluations("01-llm-export-eval", |ours| {
        ours[0]["join_on"]["span"]["span_id"] = json!("5")
    });
    assert_eq!(
        lines,
        ["evaluation \"sentiment\" /join_on/span/span_id: \"$span.1\" / \"5\""]
    );
}

#[test]
fn the_differences_fit_on_a_screen() {
    let golden = Golden::load("05-decorator-auto-io");
    let (mut spans, _) = ours(&golden);
    for span in &mut spans {
        for key in ["a", "b", "c", "d"] {
            span[key] = json!("x\n".repeat(900));
        }
    }
    let text = golden
        .compare(&spans, &[], &Exemptions::none())
        .unwrap_err();
    assert_eq!(text.lines().count(), 40);
    assert!(
        text.starts_with("60 differences from golden 05") && text.ends_with("and 22 more"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.len() < 300), "{text}");
}
