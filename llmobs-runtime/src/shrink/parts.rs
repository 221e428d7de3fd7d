//! What goes where strings are not enough: whole parts of an event, the largest first.
//!
//! A list of a million numbers has nothing to cut. Each part has a mark of its own in its
//! place, where the wire takes one.

use serde_json::Value;

use super::length;
use super::strings::{Json, Pieces, SHORTEST};
use super::{Walk, walk};
use crate::event::{IoFields, SpanEvent};
use crate::tool::ToolDefinition;

/// A part of a span event, in the order in which they go where two are of one size.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// One key of the metadata.
    Entry(String),
    /// The keys of the metadata that are no such part.
    Entries,
    Links,
    Tools,
    Output,
    Input,
    Metrics,
    /// Those that nobody but the user has set.
    Tags,
}

/// An entry of the metadata that is larger is a part by itself.
const LARGE_ENTRY: usize = 512;
/// The quotes of its key, a colon and a comma. With thousands of entries these are half of it all: without
/// them other parts would go as well, for which there is room.
const AROUND_ENTRY: usize = r#""":,"#.len();
/// The key of a mark in metadata of which entries are gone; it sorts after all ASCII keys.
pub(super) const REST_KEY: &str = "…";
/// How many bytes of a user's tags stay, at most.
const TAGS: usize = 8_192;
/// Tags by which Datadog finds a span: they stay.
const OWN_TAGS: [&str; 11] = [
    "agent_service",
    "ddtrace.version",
    "env",
    "error",
    "error_type",
    "language",
    "ml_app",
    "service",
    "session_id",
    "source",
    "version",
];

/// Metrics that Datadog reckons with: they stay.
const OWN_METRICS: [&str; 17] = [
    "billable_character_count",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "ephemeral_1h_input_tokens",
    "ephemeral_5m_input_tokens",
    "input_cost",
    "input_tokens",
    "output_cost",
    "output_tokens",
    "reasoning_output_tokens",
    "time_in_model_decode",
    "time_in_model_inference",
    "time_in_model_prefill",
    "time_in_queue",
    "time_to_first_token",
    "total_cost",
    "total_tokens",
];

/// Takes parts out until what is left can be cut to `limit` bytes of the `size` that it has,
/// or until nothing is left that may go; tells their names.
pub(super) fn take_out(event: &mut SpanEvent, size: usize, limit: usize) -> Vec<&'static str> {
    let mut fixed = fixed(size, &mut |visit| walk::span(event, visit));
    let mut parts = sizes(event);
    parts.sort_by(|(one, size), (other, other_size)| other_size.cmp(size).then(one.cmp(other)));
    let mut gone = Vec::new();
    for (part, size) in parts {
        if fixed <= limit {
            // The marks are reckoned roughly on the way.
            fixed = self::fixed(length::of(event), &mut |visit| walk::span(event, visit));
            if fixed <= limit {
                break;
            }
        }
        let name = take(event, &part, limit);
        let left = fixed_of(event, &part);
        fixed = fixed.saturating_sub(size.saturating_sub(left));
        if !gone.contains(&name) {
            gone.push(name);
        }
    }
    // Where that was not enough: marks in the metadata add up, and tags were left some room.
    for part in [Part::Entries, Part::Tags] {
        let before = length::of(event);
        if self::fixed(before, &mut |visit| walk::span(event, visit)) <= limit {
            break;
        }
        if part == Part::Entries && fixed_of(event, &part) <= SHORTEST {
            continue;
        }
        let name = take(event, &part, 0);
        if length::of(event) < before && !gone.contains(&name) {
            gone.push(name);
        }
    }
    gone
}

/// The bytes of each part that no cut of its strings would take away.
fn sizes(event: &mut SpanEvent) -> Vec<(Part, usize)> {
    let metadata = &event.meta.metadata;
    let large = |(key, value): (&String, &Value)| {
        let large = key.len() + length::of(value) > LARGE_ENTRY;
        large.then(|| Part::Entry(key.clone()))
    };
    let mut parts: Vec<Part> = metadata.iter().filter_map(large).collect();
    parts.extend([
        Part::Entries,
        Part::Links,
        Part::Tools,
        Part::Output,
        Part::Input,
        Part::Metrics,
        Part::Tags,
    ]);
    let sized = parts.into_iter().map(|part| {
        let size = fixed_of(event, &part);
        (part, size)
    });
    sized.filter(|(_, size)| *size > SHORTEST).collect()
}

/// The bytes of a part once its strings are as short as they get.
fn fixed_of(event: &mut SpanEvent, part: &Part) -> usize {
    let meta = &mut event.meta;
    match part {
        Part::Entry(key) => meta.metadata.get_mut(key).map_or(0, |value| {
            key.len() + fixed(length::of(value), &mut |visit| walk::value(value, visit))
        }),
        Part::Entries => {
            let entries = meta.metadata.iter();
            let sizes = entries.map(|(key, value)| key.len() + length::of(value));
            let small = sizes.filter(|size| *size <= LARGE_ENTRY);
            small.map(|size| size + AROUND_ENTRY).sum()
        }
        Part::Links => length::of(&event.span_links),
        Part::Tools => {
            let size = length::of(&meta.tool_definitions);
            fixed(size, &mut |visit| {
                walk::tools(&mut meta.tool_definitions, visit);
            })
        }
        Part::Input | Part::Output => {
            let side = match part {
                Part::Input => &mut meta.input,
                _ => &mut meta.output,
            };
            fixed(length::of(side), &mut |visit| walk::io(side, visit))
        }
        Part::Metrics => length::of(&event.metrics),
        Part::Tags => {
            let size = length::of(&event.tags);
            fixed(size, &mut |visit| walk::tags(&mut event.tags, visit))
        }
    }
}

fn fixed(size: usize, walk: Walk<'_>) -> usize {
    size - Pieces::of(walk, Json::Whole).spare()
}

fn take(event: &mut SpanEvent, part: &Part, limit: usize) -> &'static str {
    let meta = &mut event.meta;
    match part {
        Part::Entry(key) => {
            if let Some(value) = meta.metadata.remove(key) {
                // What is below `_dd` has a form that Datadog reads: no mark is of that.
                if key.len() > LARGE_ENTRY || key == "_dd" {
                    rest(event, 1);
                } else {
                    let mark = format!("…[{} bytes cut]", length::of(&value));
                    meta.metadata.insert(key.clone(), mark.into());
                }
            }
            "metadata"
        }
        Part::Entries => {
            let before = meta.metadata.len();
            let stays = |key: &String, value: &mut Value| {
                key == REST_KEY || key.len() + length::of(value) > LARGE_ENTRY
            };
            meta.metadata.retain(stays);
            let gone = before - meta.metadata.len();
            rest(event, gone);
            "metadata"
        }
        Part::Links => {
            event.span_links.clear();
            "span links"
        }
        Part::Tools => {
            let mark = format!("…[{} tools cut]", meta.tool_definitions.len());
            meta.tool_definitions = vec![ToolDefinition::new(mark)];
            "tool definitions"
        }
        Part::Output => {
            meta.output = IoFields::dropped();
            "output"
        }
        Part::Input => {
            meta.input = IoFields::dropped();
            "input"
        }
        Part::Metrics => {
            event.metrics.retain(|key, _| OWN_METRICS.contains(&&**key));
            "metrics"
        }
        Part::Tags => {
            let mut left = TAGS.min(limit / 8);
            event.tags.retain(|tag| {
                let key = tag.split_once(':').map_or(&**tag, |(key, _)| key);
                let size = length::inside(tag).min(SHORTEST + key.len()) + r#""","#.len();
                let stays = OWN_TAGS.contains(&key) || size <= left;
                if stays && !OWN_TAGS.contains(&key) {
                    left -= size;
                }
                stays
            });
            "tags"
        }
    }
}

/// Says in the metadata how many of its entries are gone.
fn rest(event: &mut SpanEvent, more: usize) {
    let metadata = &mut event.meta.metadata;
    let told = metadata.get(REST_KEY).and_then(Value::as_str);
    let told = told.and_then(|mark| {
        mark.strip_prefix("…[")?
            .split(' ')
            .next()?
            .parse::<usize>()
            .ok()
    });
    let gone = told.unwrap_or(0).saturating_add(more);
    metadata.insert(REST_KEY.to_owned(), format!("…[{gone} entries cut]").into());
}
