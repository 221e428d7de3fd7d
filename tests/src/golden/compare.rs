//! The comparison of two events.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::ids::{self, Ids};
use super::{members, text};

const MAX_LINES: usize = 40;
const MAX_SHOWN: usize = 160;
/// From this many characters on, a golden holds a string abridged.
const ABRIDGED_ABOVE: usize = 1_000;
const ABRIDGED_FIRST: usize = 20;
pub(super) const ABRIDGED: &str = "__abridged_string__";
/// Stands for an error type, whatever it is.
pub(super) const ANY_TYPE: &str = "$type";
/// Stands in exemptions for a time that was measured, in seconds.
const SECONDS: &str = "$seconds";

/// What differs, a line each.
#[derive(Debug, Default)]
pub(super) struct Differences(Vec<String>);

impl Differences {
    pub(super) fn push(&mut self, line: &str) {
        self.0.push(line.replace(['\n', '\r'], " "));
    }

    /// The text for the reader: a title, then the lines, cut at [`MAX_LINES`] in all.
    pub(super) fn into_result(self, golden: &str) -> Result<(), String> {
        let count = self.0.len();
        if count == 0 {
            return Ok(());
        }
        let mut lines = vec![format!(
            "{count} differences from golden {golden} (golden's value / ours):"
        )];
        let room = MAX_LINES - lines.len();
        let shown = if count > room { room - 1 } else { count };
        lines.extend(self.0.into_iter().take(shown));
        if count > shown {
            lines.push(format!("and {} more", count - shown));
        }
        Err(lines.join("\n"))
    }
}

/// Two spans that are the same one.
pub(super) struct Pair<'a> {
    pub(super) name: String,
    pub(super) golden: &'a Value,
    pub(super) ours: &'a Value,
}

#[derive(Default)]
pub(super) struct Matched<'a> {
    pub(super) pairs: Vec<Pair<'a>>,
    pub(super) missing: Vec<String>,
    pub(super) unexpected: Vec<String>,
}

/// Pairs spans by name and kind in order of start; what is left by name alone, so that a wrong kind is seen as one.
pub(super) fn match_spans<'a>(golden: &'a [Value], ours: &'a [Value]) -> Matched<'a> {
    let kind = |span: &Value| span["meta"]["span"]["kind"].clone();
    let mut left: Vec<&Value> = ours.iter().collect();
    left.sort_by_key(|span| span["start_ns"].as_u64());
    let mut found: Vec<Option<&Value>> = vec![None; golden.len()];
    for by_kind in [true, false] {
        for (span, found) in golden
            .iter()
            .zip(&mut found)
            .filter(|(_, found)| found.is_none())
        {
            let is_same = |other: &&Value| {
                other["name"] == span["name"] && (!by_kind || kind(other) == kind(span))
            };
            *found = left
                .iter()
                .position(is_same)
                .map(|index| left.remove(index));
        }
    }
    let mut matched = Matched::default();
    for (index, (span, found)) in golden.iter().zip(found).enumerate() {
        let name = span_name(span, golden, index);
        match found {
            Some(ours) => matched.pairs.push(Pair {
                name,
                golden: span,
                ours,
            }),
            None => matched.missing.push(name),
        }
    }
    matched.unexpected = left.iter().map(|span| span_name(span, &[], 0)).collect();
    matched
}

/// `span "name" (kind)`, with a number if it is not the first of its name.
fn span_name(span: &Value, all: &[Value], index: usize) -> String {
    let before = all
        .iter()
        .take(index)
        .filter(|other| other["name"] == span["name"])
        .count();
    let number = if before > 0 {
        format!(" #{}", before + 1)
    } else {
        String::new()
    };
    format!(
        "span {} ({}){number}",
        show(&span["name"]),
        text(&span["meta"]["span"]["kind"])
    )
}

/// Compares evaluations in order; if their labels are not the same, says so and goes by label.
pub(super) fn evaluations(
    golden: &[Value],
    ours: &[Value],
    ids: &mut Ids,
    differences: &mut Differences,
) {
    let labels = |all: &[Value]| {
        all.iter()
            .map(|one| one["label"].clone())
            .collect::<Vec<_>>()
    };
    if labels(golden) != labels(ours) {
        let (golden, ours) = (Value::from(labels(golden)), Value::from(labels(ours)));
        differences.push(&format!(
            "evaluations' labels: {} / {}",
            show(&golden),
            show(&ours)
        ));
    }
    let mut left: Vec<&Value> = ours.iter().collect();
    for evaluation in golden {
        let Some(index) = left
            .iter()
            .position(|other| other["label"] == evaluation["label"])
        else {
            continue;
        };
        let name = format!("evaluation {}", show(&evaluation["label"]));
        Values::new(&name, ids, differences).compare(
            &Place::evaluation(),
            evaluation,
            left.remove(index),
        );
    }
}

/// Where a value is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: String,
    /// A span's tags have no order; an evaluation's have.
    tags_are_a_set: bool,
}

impl Place {
    pub(super) fn span() -> Self {
        Place {
            path: String::new(),
            tags_are_a_set: true,
        }
    }

    pub(super) fn evaluation() -> Self {
        Place {
            path: String::new(),
            tags_are_a_set: false,
        }
    }

    pub(super) fn named(path: &str) -> Self {
        Place {
            path: path.to_owned(),
            tags_are_a_set: false,
        }
    }

    fn member(&self, key: &str) -> Self {
        Place {
            path: format!("{}/{key}", self.path),
            tags_are_a_set: self.tags_are_a_set,
        }
    }
}

/// Compares the values of one event.
pub(super) struct Values<'a> {
    name: &'a str,
    ids: &'a mut Ids,
    differences: &'a mut Differences,
}

impl<'a> Values<'a> {
    pub(super) fn new(name: &'a str, ids: &'a mut Ids, differences: &'a mut Differences) -> Self {
        Values {
            name,
            ids,
            differences,
        }
    }

    pub(super) fn compare(&mut self, place: &Place, golden: &Value, ours: &Value) {
        let is_same = match (golden, ours) {
            (Value::Object(wanted), Value::String(long)) if wanted.contains_key(ABRIDGED) => {
                abridge(long).as_ref() == Some(golden)
            }
            (Value::Object(_), Value::Object(_)) => return self.objects(place, golden, ours),
            (Value::Array(golden), Value::Array(ours)) if place.path == "/tags" => {
                return self.tags(place, golden, ours);
            }
            (Value::Array(golden), Value::Array(ours)) => return self.arrays(place, golden, ours),
            (Value::String(symbol), _) if symbol.starts_with('$') => {
                self.symbol(place, symbol, ours)
            }
            (Value::String(golden), Value::String(ours)) => {
                if golden != ours
                    && place.path.starts_with("/meta/")
                    && let (Some(golden), Some(ours)) = (embedded(golden), embedded(ours))
                {
                    let inside = Place {
                        path: format!("{} as JSON: ", place.path),
                        ..place.clone()
                    };
                    return self.compare(&inside, &golden, &ours);
                }
                golden == ours
            }
            (Value::Number(golden), Value::Number(ours)) => is_same_number(golden, ours),
            _ => golden == ours,
        };
        if !is_same {
            let ours = ours
                .as_str()
                .and_then(|id| self.ids.symbol(id))
                .map_or_else(|| show(ours), str::to_owned);
            self.differ(place, &show(golden), &ours);
        }
    }

    fn differ(&mut self, place: &Place, golden: &str, ours: &str) {
        self.differences
            .push(&format!("{} {}: {golden} / {ours}", self.name, place.path));
    }

    fn objects(&mut self, place: &Place, golden: &Value, ours: &Value) {
        let keys: BTreeSet<&String> = members(golden).keys().chain(members(ours).keys()).collect();
        for key in keys {
            self.optional(&place.member(key), golden.get(key), ours.get(key));
        }
    }

    fn arrays(&mut self, place: &Place, golden: &[Value], ours: &[Value]) {
        for index in 0..golden.len().max(ours.len()) {
            self.optional(
                &place.member(&index.to_string()),
                golden.get(index),
                ours.get(index),
            );
        }
    }

    fn optional(&mut self, place: &Place, golden: Option<&Value>, ours: Option<&Value>) {
        match (golden, ours) {
            (Some(golden), Some(ours)) => self.compare(place, golden, ours),
            (Some(golden), None) => self.differ(place, &show(golden), "absent"),
            (None, Some(ours)) => self.differ(place, "absent", &show(ours)),
            (None, None) => {}
        }
    }

    fn tags(&mut self, place: &Place, golden: &[Value], ours: &[Value]) {
        if !place.tags_are_a_set {
            let symbolic = |(index, ours): (usize, &Value)| {
                let is_same = golden.get(index) == Some(ours);
                if is_same {
                    ours.clone()
                } else {
                    symbolic_tag(ours)
                }
            };
            let ours: Vec<Value> = ours.iter().enumerate().map(symbolic).collect();
            return self.arrays(place, golden, &ours);
        }
        let (mut wanted, mut left) = (golden.to_vec(), ours.to_vec());
        // Exact ones first: a user may set a tag that is also ours, as golden 10 does with `ddtrace.version`.
        for symbols in [false, true] {
            wanted.retain(|tag| {
                let is_it = |ours: &Value| ours == tag || symbols && symbolic_tag(ours) == *tag;
                left.iter()
                    .position(is_it)
                    .map(|index| left.remove(index))
                    .is_none()
            });
        }
        for tag in wanted {
            self.differ(place, &show(&tag), "absent");
        }
        for tag in left {
            self.differ(place, "absent", &show(&tag));
        }
    }

    /// Whether a value of ours may stand where the golden has a symbol.
    fn symbol(&mut self, place: &Place, symbol: &str, ours: &Value) -> bool {
        let is_text = ours.as_str().is_some_and(|ours| !ours.is_empty());
        match symbol {
            "$time" if place.path.ends_with("_ms") => is_time(ours, 1_000),
            "$time" => is_time(ours, 1_000_000_000),
            "$duration" => ours.is_u64(),
            SECONDS => ours.is_f64() && ours.as_f64() > Some(0.0),
            "$version" | "$stack" | ANY_TYPE => is_text,
            _ if ids::is_symbol(symbol) => {
                ours.as_str().is_some_and(|id| self.ids.is_same(symbol, id))
            }
            _ => ours == symbol,
        }
    }
}

/// An integer that is a wall-clock time between 2001 and 2286 in units of which a second has `a_second`.
fn is_time(value: &Value, a_second: u64) -> bool {
    value
        .as_u64()
        .is_some_and(|time| (1_000_000_000..10_000_000_000).contains(&(time / a_second)))
}

/// By value: 10 is 10.0. Integers are compared as such, since a float does not tell large ones apart.
fn is_same_number(golden: &serde_json::Number, ours: &serde_json::Number) -> bool {
    match (golden.as_i128(), ours.as_i128()) {
        (Some(golden), Some(ours)) => golden == ours,
        _ => golden.as_f64() == ours.as_f64(),
    }
}

/// A tag of ours with the golden's symbols for what is ours alone.
fn symbolic_tag(tag: &Value) -> Value {
    match text(tag).split_once(':') {
        Some(("ddtrace.version", version)) if !version.is_empty() => {
            json!("ddtrace.version:$version")
        }
        Some(("language", "rust")) => json!("language:$language"),
        Some(("error_type", name)) if !name.is_empty() => json!(format!("error_type:{ANY_TYPE}")),
        _ => tag.clone(),
    }
}

/// The object or array that a string is the JSON text of.
fn embedded(text: &str) -> Option<Value> {
    serde_json::from_str(text)
        .ok()
        .filter(|value: &Value| value.is_object() || value.is_array())
}

/// A long string as a golden holds it.
pub(super) fn abridge(long: &str) -> Option<Value> {
    let length = long.chars().count();
    let first = long.chars().next()?;
    (length > ABRIDGED_ABOVE).then(|| {
        json!({ABRIDGED: {
            "all_same_char": long.chars().all(|char| char == first),
            "first": long.chars().take(ABRIDGED_FIRST).collect::<String>(),
            "length": length,
        }})
    })
}

/// A value for the reader, cut if it is long.
fn show(value: &Value) -> String {
    let long = value.as_str().and_then(abridge);
    let text = long.as_ref().unwrap_or(value).to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}
