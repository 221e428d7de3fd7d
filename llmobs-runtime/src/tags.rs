//! The tags of a span: ours and the user's.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::mem::take;

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

/// From so many on a list is not searched for each new one, or the whole would take the square of
/// their number: the latest of each key is found when the list would have to grow, and at the end.
const MANY: usize = 32;

/// Sets `key`, in place where it is there already. A list of [`MANY`] may hold a key several times:
/// then the last one counts.
pub(crate) fn set<K: Eq + Hash, V>(pairs: &mut Vec<(K, V)>, key: K, value: V) {
    if pairs.len() >= MANY {
        return add_to_many(pairs, key, value);
    }
    match pairs.iter_mut().find(|(other, _)| *other == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
}

#[cold]
fn add_to_many<K: Eq + Hash, V>(pairs: &mut Vec<(K, V)>, key: K, value: V) {
    if pairs.len() == pairs.capacity() {
        keep_latest(pairs);
        // Twice as many at least, so that the next time is as far away as all before together.
        pairs.reserve(pairs.len().max(MANY));
    }
    pairs.push((key, value));
}

/// Leaves each key once, at its first place, with its last value.
fn keep_latest<K: Eq + Hash, V>(pairs: &mut Vec<(K, V)>) {
    let mut first = HashMap::with_capacity(pairs.len());
    let keys = pairs.iter().enumerate();
    let places: Vec<usize> = keys
        .map(|(index, (key, _))| *first.entry(key).or_insert(index))
        .collect();
    let mut latest: Vec<Option<(K, V)>> = Vec::new();
    latest.resize_with(pairs.len(), || None);
    for (pair, place) in pairs.drain(..).zip(places) {
        if let Some(latest) = latest.get_mut(place) {
            *latest = Some(pair);
        }
    }
    pairs.extend(latest.into_iter().flatten());
}

/// Each key once, at its first place, with its last value.
pub(crate) fn latest<K: Eq + Hash, V>(given: Vec<(K, V)>) -> Vec<(K, V)> {
    let mut pairs = Vec::new();
    set_all(&mut pairs, given);
    if pairs.len() > MANY {
        keep_latest(&mut pairs);
    }
    pairs
}

/// Adds pairs in their order; the later value of a key wins.
pub(crate) fn set_all<K: Eq + Hash, V>(pairs: &mut Vec<(K, V)>, given: Vec<(K, V)>) {
    if pairs.is_empty() && given.len() < 2 {
        *pairs = given;
        return;
    }
    for (key, value) in given {
        set(pairs, key, value);
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
        if wanted.len() < MANY {
            let is_tag = |key: &Text| tags.get(key).is_some();
            wanted.into_iter().partition(is_tag)
        } else {
            let keys: HashSet<&str> = tags.0.iter().map(|(key, _)| *key).collect();
            wanted.into_iter().partition(|key| keys.contains(&**key))
        }
    };
    if !known.is_empty() {
        let cost_tags = &mut data.extra().cost_tags;
        let all = take(cost_tags).into_iter().chain(known);
        let once = latest(all.map(|key| (key, ())).collect());
        *cost_tags = once.into_iter().map(|(key, ())| key).collect();
    }
    unknown.into_iter().next()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;
    use std::hash::Hasher;

    use super::*;

    thread_local! {
        static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    fn looked() {
        LOOKS.set(LOOKS.get() + 1);
    }

    /// A key that counts how often it is looked at.
    #[derive(Clone, Debug, PartialOrd, Ord)]
    struct Key(usize);

    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            looked();
            self.0 == other.0
        }
    }

    impl Eq for Key {}

    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            looked();
            self.0.hash(state);
        }
    }

    /// The list after each pair was set, and how often keys were looked at.
    fn set_each(keys: impl Iterator<Item = usize>) -> (Vec<(Key, usize)>, usize) {
        LOOKS.set(0);
        let mut pairs = Vec::new();
        for (value, key) in keys.enumerate() {
            set(&mut pairs, Key(key), value);
        }
        (pairs, LOOKS.get())
    }

    #[test]
    fn the_price_of_many_keys_is_linear() {
        for count in [1_000, 10_000, 100_000] {
            let (pairs, looks) = set_each(0..count);
            assert_eq!(pairs.len(), count);
            assert!(looks < count * 10, "{looks} looks for {count} keys");
        }
    }

    #[test]
    fn keys_that_come_again_and_again_take_no_more_room() {
        for different in [1, 31, 32, 33, 40, 500] {
            let (pairs, looks) = set_each((0..100_000).map(|index| index % different));
            assert!(looks < 100_000 * 40, "{looks} looks for {different} keys");
            let most = different * 4 + 4 * MANY;
            assert!(
                pairs.capacity() <= most,
                "{} for {different}",
                pairs.capacity()
            );
        }
    }

    #[test]
    fn the_latest_of_each_key_stays_at_the_first_place() {
        let mut random = fastrand::Rng::with_seed(7);
        for count in 0..200 {
            let given: Vec<(usize, usize)> = (0..count)
                .map(|value| (random.usize(..60), value))
                .collect();
            let mut order = Vec::new();
            let mut expected = BTreeMap::new();
            for &(key, value) in &given {
                if expected.insert(key, value).is_none() {
                    order.push(key);
                }
            }
            let once = latest(given);
            let values: BTreeMap<usize, usize> = once.iter().copied().collect();
            assert_eq!(values.len(), once.len());
            assert_eq!(values, expected);
            if once.len() <= MANY || count > MANY {
                let keys: Vec<usize> = once.iter().map(|(key, _)| *key).collect();
                assert_eq!(keys, order);
            }
        }
    }
}
