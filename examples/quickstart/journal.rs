//! Reads the journal that this process wrote and prints it as trees.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Prints each trace with kinds, durations, tokens and evaluations, and where it lies.
pub(crate) fn print(dir: &Path) -> Result<(), Box<dyn Error>> {
    let folder = dir.join("journal");
    let ours = format!("{}-", std::process::id());
    let mut spans: Vec<Value> = Vec::new();
    let mut evaluations: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(&ours) {
            continue;
        }
        for line in fs::read_to_string(entry.path())?.lines() {
            let mut line: Value = serde_json::from_str(line)?;
            let event = line["event"].take();
            if line["kind"] == "span" {
                spans.push(event);
            } else {
                let span = event["join_on"]["span"]["span_id"]
                    .as_str()
                    .unwrap_or_default();
                evaluations.entry(span.to_owned()).or_default().push(event);
            }
        }
    }
    spans.sort_by_key(|span| span["start_ns"].as_u64());
    let roots = spans.iter().filter(|span| span["parent_id"] == "undefined");
    for root in roots {
        print_span(root, 0, &spans, &evaluations);
        println!();
    }
    println!("journal: {}", fs::canonicalize(folder)?.display());
    Ok(())
}

fn print_span(
    span: &Value,
    depth: usize,
    spans: &[Value],
    evaluations: &BTreeMap<String, Vec<Value>>,
) {
    let indent = "  ".repeat(depth);
    let kind = text(&span["meta"]["span"]["kind"]);
    let status = if span["status"] == "error" {
        " [error]"
    } else {
        ""
    };
    let micros = span["duration"].as_u64().unwrap_or_default() / 1_000;
    let tokens = match span["metrics"]["total_tokens"].as_u64() {
        Some(total) => format!("  {total} tokens"),
        None => String::new(),
    };
    println!(
        "{indent}{kind} {}{status}  {}.{:03} ms{tokens}",
        text(&span["name"]),
        micros / 1_000,
        micros % 1_000,
    );
    for evaluation in evaluations
        .get(text(&span["span_id"]))
        .into_iter()
        .flatten()
    {
        let metric = text(&evaluation["metric_type"]);
        let value = &evaluation[format!("{metric}_value")];
        let assessment = match evaluation["assessment"].as_str() {
            Some(assessment) => format!(" ({assessment})"),
            None => String::new(),
        };
        println!(
            "{indent}  * {} = {value}{assessment}",
            text(&evaluation["label"])
        );
    }
    let children = spans
        .iter()
        .filter(|child| child["parent_id"] == span["span_id"]);
    for child in children {
        print_span(child, depth + 1, spans, evaluations);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
