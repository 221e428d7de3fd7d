//! Cost tags and agent manifests in every combination, by rules that are written here once more: those of ddtrace 4.16
//! for the same calls.

use std::collections::HashMap;

use llmobs::{AgentManifest, AnnotateError, Annotation, Span};
use serde_json::{Map, Value, json};

use crate::client::{Client, Sent};

/// The fields of a manifest: a bit each, and the version is the last.
const FIELDS: u32 = 6;
const VERSION: u32 = 1 << (FIELDS - 1);

/// A manifest that has the fields of `subset`; `call` marks their values.
fn manifest(subset: u32, call: u32) -> AgentManifest {
    let has = |field: u32| subset & (1 << field) != 0;
    let mut manifest = AgentManifest::new();
    if has(0) {
        manifest = manifest.name(format!("name {call}"));
    }
    if has(1) {
        manifest = manifest.instructions(format!("instructions {call}"));
    }
    if has(2) {
        manifest = manifest.model(format!("model {call}"));
    }
    if has(3) {
        let key = ["temperature", "top_p"][call as usize];
        manifest = manifest.model_setting(key, call);
    }
    if has(4) {
        manifest = manifest.tool(format!("tool {call}"), "d").tool("bare", "");
    }
    if has(5) {
        manifest = manifest.version(format!("version {call}"));
    }
    manifest
}

/// What is sent of it: the fields of the later call, then those of the earlier one.
fn expected(span: &str, calls: &[u32]) -> (Option<Value>, Option<String>) {
    let last_with = |field: u32| {
        let mut calls = calls.iter().enumerate();
        let at = calls.rposition(|(_, subset)| subset & (1 << field) != 0);
        at.map(|call| call as u32)
    };
    let mut sent = Map::new();
    for (field, key) in ["name", "instructions", "model"].into_iter().enumerate() {
        if let Some(call) = last_with(field as u32) {
            sent.insert(key.to_owned(), json!(format!("{key} {call}")));
        }
    }
    if let Some(call) = last_with(3) {
        let settings = [json!({"temperature": 0}), json!({"top_p": 1})];
        sent.insert("model_settings".to_owned(), settings[call as usize].clone());
    }
    if let Some(call) = last_with(4) {
        let tool = json!({"name": format!("tool {call}"), "description": "d"});
        sent.insert("tools".to_owned(), json!([tool, {"name": "bare"}]));
    }
    let version = last_with(FIELDS - 1).map(|call| format!("version {call}"));
    if sent.is_empty() {
        return (None, version);
    }
    sent.insert("framework".to_owned(), json!("manual"));
    sent.entry("name").or_insert_with(|| json!(span));
    (Some(sent.into()), version)
}

/// The spans by their names, which are looked up often here.
fn by_name(sent: &Sent) -> HashMap<&str, &Value> {
    let named = sent.spans.iter();
    named
        .map(|span| (span["name"].as_str().unwrap(), span))
        .collect()
}

#[test]
fn an_agent_has_every_subset_of_a_manifest_by_one_annotation_or_by_two() {
    let subsets = 0..(1 << FIELDS);
    let ones = subsets.clone().map(|only| vec![only]);
    let twos = subsets
        .clone()
        .flat_map(|first| subsets.clone().map(move |then| vec![first, then]));
    let cases: Vec<(String, Vec<u32>)> = ones
        .chain(twos)
        .map(|calls| (format!("agent {calls:?}"), calls))
        .collect();
    assert_eq!(cases.len(), 64 + 64 * 64);
    let sent = Client::start().sent_by(|| {
        for (name, calls) in &cases {
            let span = Span::agent(name.as_str()).start();
            for (call, subset) in calls.iter().enumerate() {
                let manifest = manifest(*subset, call as u32);
                span.annotate(Annotation::new().agent(manifest)).unwrap();
            }
        }
    });
    let spans = by_name(&sent);
    let mut without = 0;
    for (name, calls) in &cases {
        let span = spans[name.as_str()];
        let (manifest, version) = expected(name, calls);
        let metadata = match &manifest {
            Some(manifest) => json!({"_dd": {"agent_manifest": manifest}}),
            None => json!({}),
        };
        assert_eq!(span["meta"]["metadata"], metadata, "{name}");
        let tags = span["tags"].as_array().unwrap().iter();
        let mut versions = tags.filter_map(|tag| tag.as_str()?.strip_prefix("agent_version:"));
        assert_eq!(
            (versions.next(), versions.next()),
            (version.as_deref(), None),
            "{name}"
        );
        without += usize::from(manifest.is_none());
        assert_eq!(
            manifest.is_none(),
            calls.iter().all(|subset| subset & !VERSION == 0)
        );
    }
    assert_eq!(without, 2 + 2 * 2, "a version alone, or nothing");
}

/// Where the tag is that a cost tag names.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    AtTheStart,
    Before,
    SameCall,
    /// One that llmobs sets.
    Default,
    Absent,
    After,
}

const PLACES: [Place; 6] = [
    Place::AtTheStart,
    Place::Before,
    Place::SameCall,
    Place::Default,
    Place::Absent,
    Place::After,
];

impl Place {
    fn is_there(self) -> bool {
        !matches!(self, Self::Absent | Self::After)
    }
}

/// How a span of a kind is started, with tags.
type StartOf = fn(&str, &[&str]) -> Span;

macro_rules! kinds {
    ($($kind:ident)*) => {
        [$((stringify!($kind), |name: &str, tags: &[&str]| {
            let builder = Span::$kind(name);
            tags.iter().fold(builder, |builder, key| builder.tag(*key, 1)).start()
        })),*]
    };
}

const KINDS: [(&str, StartOf); 7] = kinds!(llm workflow agent tool task embedding retrieval);

#[test]
fn a_span_of_any_kind_has_the_cost_tags_that_it_has_the_tags_for() {
    let mut cases = Vec::new();
    for (kind, start) in KINDS {
        for first in PLACES {
            for second in PLACES {
                cases.push((
                    format!("{kind} {first:?} {second:?}"),
                    start,
                    [first, second],
                ));
            }
        }
    }
    // The keys of a case; a default tag is there under its own.
    let keys = |places: [Place; 2]| {
        let key = |at: usize, own, default| match places[at] {
            Place::Default => default,
            _ => own,
        };
        [key(0, "a", "env"), key(1, "b", "service")]
    };
    let sent = Client::start().sent_by(|| {
        for (name, start, places) in &cases {
            let keys = keys(*places);
            let at = |place| {
                let mut all = keys.iter().zip(places);
                std::iter::from_fn(move || Some(*all.find(|(_, at)| **at == place)?.0))
            };
            let tagged = |place| Annotation::new().tags(at(place).map(|key| (key, 1)));
            let span = start(name, &at(Place::AtTheStart).collect::<Vec<_>>());
            span.annotate(tagged(Place::Before)).unwrap();
            let told = span.annotate(tagged(Place::SameCall).cost_tags(keys).tag("kept", 1));
            span.annotate(tagged(Place::After)).unwrap();
            match places.iter().position(|place| !place.is_there()) {
                None => told.unwrap(),
                Some(missing) => {
                    let error = told.unwrap_err();
                    assert!(
                        matches!(error, AnnotateError::InvalidValue { .. }),
                        "{name}"
                    );
                    let shown = format!("cost tag {:?}", keys[missing]);
                    assert!(error.to_string().contains(&shown), "{name}: {error}");
                }
            }
            // Once more: each is there once.
            let there = keys
                .into_iter()
                .zip(places)
                .filter(|(_, place)| place.is_there());
            let again = Annotation::new().cost_tags(there.map(|(key, _)| key));
            span.annotate(again).unwrap();
        }
    });
    let spans = by_name(&sent);
    assert_eq!(spans.len(), 7 * 36);
    for (name, _, places) in &cases {
        let span = spans[name.as_str()];
        let there = keys(*places)
            .into_iter()
            .zip(places)
            .filter(|(_, place)| place.is_there());
        let there: Vec<&str> = there.map(|(key, _)| key).collect();
        let metadata = match there.is_empty() {
            true => json!({}),
            false => json!({"_dd": {"cost_tags": there}}),
        };
        assert_eq!(span["meta"]["metadata"], metadata, "{name}");
        let tags = span["tags"].as_array().unwrap();
        assert!(
            tags.contains(&json!("kept:1")),
            "{name}: the rest was applied"
        );
    }
}
