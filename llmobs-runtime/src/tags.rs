//! The tags of a span: ours and the user's.

use std::collections::BTreeMap;

use crate::config::Settings;
use crate::event::VERSION;
use crate::failure::SpanError;
use crate::span::{SpanData, SpanInner};
use crate::text::Text;

/// Set by annotating a prompt (golden 09).
pub(crate) const PROMPT_METHOD: (&str, &str) =
    ("prompt_tracking_instrumentation_method", "annotated");

/// The tag by which a session can be told as well.
pub(crate) const SESSION: &str = "session_id";

/// Sets `key`, in place where it is there already.
pub(crate) fn set<K: PartialEq, V>(pairs: &mut Vec<(K, V)>, key: K, value: V) {
    match pairs.iter_mut().find(|(other, _)| *other == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
}

/// Adds pairs in their order; the later value of a key wins.
pub(crate) fn set_all<K: PartialEq, V>(pairs: &mut Vec<(K, V)>, given: Vec<(K, V)>) {
    if pairs.is_empty() && given.len() < 2 {
        *pairs = given;
        return;
    }
    for (key, value) in given {
        set(pairs, key, value);
    }
}

/// Those of the configuration, and llmobs' own.
pub(crate) fn configured<'a>(
    settings: &'a Settings,
    ml_app: &'a str,
) -> BTreeMap<&'a str, &'a str> {
    let mut tags: BTreeMap<&str, &str> = BTreeMap::new();
    tags.extend(settings.global_tags.iter().map(|(k, v)| (&**k, &**v)));
    tags.extend([
        ("version", &*settings.version),
        ("env", &*settings.env),
        ("service", &*settings.service),
        ("source", "integration"),
        ("ml_app", ml_app),
        ("agent_service", ml_app),
        ("ddtrace.version", VERSION),
        ("language", "rust"),
    ]);
    tags
}

/// The list that is sent, sorted, with what the end says.
pub(crate) fn list<'a>(
    mut tags: BTreeMap<&'a str, &'a str>,
    error: Option<&'a SpanError>,
) -> Vec<String> {
    tags.insert("error", if error.is_some() { "1" } else { "0" });
    match error {
        Some(error) => tags.insert("error_type", &error.kind),
        None => tags.remove("error_type"),
    };
    let pairs = tags.into_iter();
    let mut list: Vec<String> = pairs.map(|(key, value)| format!("{key}:{value}")).collect();
    // A key that is the beginning of another sorts otherwise with its colon than without.
    list.sort_unstable();
    list
}

/// The tags of a span by their keys, save those that its end decides. The user's replace
/// ours (golden 10).
pub(crate) fn of<'a>(span: &'a SpanInner, data: &'a SpanData) -> BTreeMap<&'a str, &'a str> {
    let mut tags = configured(&span.client.settings, span.ml_app());
    if span.decorated {
        tags.insert("decorator", "1");
    }
    if let Some(session) = data.session.as_deref().filter(|text| !text.is_empty()) {
        tags.insert(SESSION, session);
    }
    tags.extend(data.tags.iter().map(|(k, v)| (&**k, &**v)));
    let extra = data.extra.as_ref();
    if let Some(version) = extra.and_then(|extra| extra.agent_version.as_ref()) {
        tags.insert("agent_version", version);
    }
    tags
}

/// Adds the keys of `wanted` that are among the tags to `cost_tags`, each once and in their
/// order (as in ddtrace); gives back the first that is not.
pub(crate) fn add_cost_tags(
    span: &SpanInner,
    data: &mut SpanData,
    wanted: Vec<Text>,
) -> Option<Text> {
    if wanted.is_empty() {
        return None;
    }
    let (known, unknown): (Vec<Text>, Vec<Text>) = {
        let tags = of(span, data);
        wanted
            .into_iter()
            .partition(|key| tags.contains_key(&**key))
    };
    if !known.is_empty() {
        let cost_tags = &mut data.extra().cost_tags;
        for key in known {
            if !cost_tags.contains(&key) {
                cost_tags.push(key);
            }
        }
    }
    unknown.into_iter().next()
}
