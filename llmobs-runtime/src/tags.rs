//! The tags of a span: ours and the user's.

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
const ERROR: &str = "error";
const ERROR_TYPE: &str = "error_type";

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
    for pair in given {
        match pairs.iter_mut().find(|(key, _)| *key == pair.0) {
            Some((_, value)) => *value = pair.1,
            None => pairs.push(pair),
        }
    }
}

/// Tags by their keys; of two with the same key the later one counts.
pub(crate) struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    pub(crate) fn insert(&mut self, key: &'a str, value: &'a str) {
        self.0.push((key, value));
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        let mut latest_first = self.0.iter().rev();
        latest_first
            .find(|(other, _)| *other == key)
            .map(|(_, value)| *value)
    }
}

impl<'a> Extend<(&'a str, &'a str)> for Tags<'a> {
    fn extend<T: IntoIterator<Item = (&'a str, &'a str)>>(&mut self, tags: T) {
        self.0.extend(tags);
    }
}

/// Those of the configuration, and llmobs' own.
pub(crate) fn configured<'a>(settings: &'a Settings, ml_app: &'a str) -> Tags<'a> {
    let ours = [
        ("agent_service", ml_app),
        ("ddtrace.version", VERSION),
        ("env", &*settings.env),
        ("language", "rust"),
        ("ml_app", ml_app),
        ("service", &*settings.service),
        ("source", "integration"),
        ("version", &*settings.version),
    ];
    // Room for what most spans have besides.
    let mut tags = Vec::with_capacity(settings.global_tags.len() + ours.len() + 8);
    tags.extend(settings.global_tags.iter().map(|(k, v)| (&**k, &**v)));
    tags.extend(ours);
    Tags(tags)
}

/// The list that is sent, sorted, with what the end says.
pub(crate) fn list(tags: Tags<'_>, error: Option<&SpanError>) -> Vec<String> {
    let mut list = Vec::new();
    fill(&mut list, tags, error);
    list
}

/// The same in place of another list, in the room that its texts have.
pub(crate) fn fill(list: &mut Vec<String>, tags: Tags<'_>, error: Option<&SpanError>) {
    let Tags(mut tags) = tags;
    tags.push((ERROR, if error.is_some() { "1" } else { "0" }));
    match error {
        Some(error) => tags.push((ERROR_TYPE, &error.kind)),
        None => tags.retain(|(key, _)| *key != ERROR_TYPE),
    }
    // Stable, so that the latest of a key is the last.
    tags.sort_by_key(|(key, _)| *key);
    let mut count = 0;
    for (index, (key, value)) in tags.iter().enumerate() {
        if tags.get(index + 1).is_some_and(|(next, _)| next == key) {
            continue;
        }
        if count == list.len() {
            list.push(String::new());
        }
        let tag = &mut list[count];
        tag.clear();
        tag.reserve(key.len() + ":".len() + value.len());
        tag.push_str(key);
        tag.push(':');
        tag.push_str(value);
        count += 1;
    }
    list.truncate(count);
    // A key that is the beginning of another sorts otherwise with its colon than without.
    list.sort_unstable();
}

/// The tags of a span by their keys, save those that its end decides. The user's replace
/// ours (golden 10).
pub(crate) fn of<'a>(span: &'a SpanInner, data: &'a SpanData) -> Tags<'a> {
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
        wanted.into_iter().partition(|key| tags.get(key).is_some())
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
