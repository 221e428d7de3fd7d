//! Reads the journal that this process wrote and prints it as trees.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// Prints each trace with kinds, durations, tokens and evaluations; the files that hold them.
pub(crate) fn print(dir: &Path, started: SystemTime) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let files = files(&dir.join("journal"), started)?;
    let mut spans: Vec<Value> = Vec::new();
    let mut evaluations: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for file in &files {
        let in_file = |error: &dyn Error| format!("{}: {error}", file.display());
        let text = fs::read_to_string(file).map_err(|error| in_file(&error))?;
        for line in text.lines() {
            let mut line: Value = serde_json::from_str(line).map_err(|error| in_file(&error))?;
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
    Ok(files)
}

/// The segments of this process: `<pid>-<milliseconds of its start>-<n>.jsonl`.
fn files(folder: &Path, started: SystemTime) -> Result<Vec<PathBuf>, String> {
    let in_folder = |error| format!("{}: {error}", folder.display());
    let started = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut files = Vec::new();
    let absolute = fs::canonicalize(folder).map_err(in_folder)?;
    for entry in fs::read_dir(absolute).map_err(in_folder)? {
        let entry = entry.map_err(in_folder)?;
        let name = entry.file_name();
        let mut parts = name.to_str().unwrap_or_default().split('-');
        let mut number = || parts.next()?.parse::<u128>().ok();
        // An earlier process may have had the same id.
        if number() == Some(std::process::id().into()) && number() >= Some(started.as_millis()) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
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
