//! What Datadog's Python SDK sends for a scenario, and the comparison of our events with it.
//!
//! The recordings are in `goldens/data/`; their README says what the symbols stand for. Our events come as they were
//! sent. Spans are matched by name and kind, then by the order of their starts; ids are compared by what they link:
//! each symbol of the golden stands for one id of ours, and the other way round.

mod compare;
mod exemptions;
mod ids;

pub use exemptions::Exemptions;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::intake::Request;
use compare::{Differences, Place, Values};
use ids::Ids;

/// One recording.
#[derive(Clone, Debug)]
pub struct Golden {
    name: String,
    recording: Value,
}

impl Golden {
    /// Reads `goldens/data/<name>.json`.
    ///
    /// # Panics
    ///
    /// If there is no such file.
    #[track_caller]
    pub fn load(name: &str) -> Self {
        let path = data().join(format!("{name}.json"));
        let bytes =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let recording = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Golden {
            name: name.to_owned(),
            recording,
        }
    }

    /// The names of all recordings, sorted.
    pub fn names() -> Vec<String> {
        let files = std::fs::read_dir(data())
            .expect("goldens/data")
            .map(|file| file.expect("a file").path());
        let json = files.filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        });
        let mut names: Vec<String> = json
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names
    }

    /// The calls that were made, in words.
    pub fn scenario(&self) -> &str {
        self.recording["scenario"].as_str().unwrap_or_default()
    }

    /// The `DD_*` variables that were set.
    pub fn env(&self) -> BTreeMap<String, String> {
        let env = self.recording["env"].as_object().into_iter().flatten();
        env.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    /// What the program itself saw: returned contexts, exceptions, injected headers.
    pub fn observed(&self) -> &Value {
        &self.recording["observed"]
    }

    /// The POSTs in order of arrival: `method`, `path`, `headers`, `body`.
    pub fn requests(&self) -> &[Value] {
        self.recording["requests"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// The span events in order of arrival, with their symbols.
    pub fn spans(&self) -> Vec<Value> {
        self.requests()
            .iter()
            .flat_map(|request| events(&request["body"]).0)
            .cloned()
            .collect()
    }

    /// The evaluation events in order of arrival, with their symbols.
    pub fn evaluations(&self) -> Vec<Value> {
        self.requests()
            .iter()
            .flat_map(|request| events(&request["body"]).1)
            .cloned()
            .collect()
    }

    /// Compares our events, as sent and in order of arrival, with the golden's after `exemptions`.
    ///
    /// # Errors
    ///
    /// The differences, a line each (at most 40 lines), and the exemptions that matched nothing.
    pub fn compare(
        &self,
        our_spans: &[Value],
        our_evaluations: &[Value],
        exemptions: &Exemptions,
    ) -> Result<(), String> {
        let mut differences = Differences::default();
        let expected = exemptions.apply(
            &self.spans(),
            &self.evaluations(),
            our_spans,
            &mut differences,
        );

        let matched = compare::match_spans(&expected.spans, &expected.our_spans);
        for span in &matched.missing {
            differences.push(&format!("{span} is missing"));
        }
        for span in &matched.unexpected {
            differences.push(&format!("{span} is not in the golden"));
        }
        let mut ids = Ids::of_spans(matched.pairs.iter().map(|pair| (pair.golden, pair.ours)));
        for pair in &matched.pairs {
            let mut values = Values::new(&pair.name, &mut ids, &mut differences);
            values.compare(&Place::span(), pair.golden, pair.ours);
        }
        compare::evaluations(
            &expected.evaluations,
            our_evaluations,
            &mut ids,
            &mut differences,
        );
        differences.into_result(&self.name)
    }

    /// [`Golden::compare`] for a test.
    ///
    /// # Panics
    ///
    /// With the differences.
    #[track_caller]
    pub fn assert_equal(
        &self,
        our_spans: &[Value],
        our_evaluations: &[Value],
        exemptions: &Exemptions,
    ) {
        if let Err(differences) = self.compare(our_spans, our_evaluations, exemptions) {
            panic!("{differences}");
        }
    }

    /// Compares how the events were sent: method, path, the golden's headers, and what stands around the events in
    /// the body. How events are split over requests does not matter.
    ///
    /// # Errors
    ///
    /// The differences, as [`Golden::compare`].
    pub fn compare_envelopes(&self, our_requests: &[Request]) -> Result<(), String> {
        let mut differences = Differences::default();
        let mut left: Vec<&Request> = our_requests.iter().collect();
        let mut compared: Vec<(&Value, &Value)> = Vec::new();
        for golden in self.requests() {
            let key = (&golden["method"], &golden["path"]);
            if compared.contains(&key) {
                continue;
            }
            compared.push(key);
            let is_same =
                |ours: &&Request| *key.0 == ours.method.as_str() && *key.1 == ours.path.as_str();
            let (same, others): (Vec<&Request>, Vec<&Request>) =
                left.into_iter().partition(is_same);
            left = others;
            let name = format!("{} {}", text(key.0), text(key.1));
            if same.is_empty() {
                differences.push(&format!("no {name}"));
            }
            for ours in same {
                compare_envelope(&name, golden, ours, &mut differences);
            }
        }
        for ours in left {
            differences.push(&format!(
                "{} {} is not in the golden",
                ours.method, ours.path
            ));
        }
        differences.into_result(&self.name)
    }

    /// [`Golden::compare_envelopes`] for a test.
    ///
    /// # Panics
    ///
    /// With the differences.
    #[track_caller]
    pub fn assert_envelopes(&self, our_requests: &[Request]) {
        if let Err(differences) = self.compare_envelopes(our_requests) {
            panic!("{differences}");
        }
    }
}

fn data() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "goldens", "data"]
        .iter()
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The span events and the evaluation events in a body.
fn events(body: &Value) -> (Vec<&Value>, Vec<&Value>) {
    let envelopes = body
        .as_array()
        .map_or(std::slice::from_ref(body), Vec::as_slice);
    let spans = envelopes
        .iter()
        .filter_map(|envelope| envelope["spans"].as_array())
        .flatten()
        .collect();
    let evaluations = body["data"]["attributes"]["metrics"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    (spans, evaluations)
}

fn compare_envelope(name: &str, golden: &Value, ours: &Request, differences: &mut Differences) {
    let mut ids = Ids::default();
    let mut values = Values::new(name, &mut ids, differences);
    for (header, value) in golden["headers"].as_object().into_iter().flatten() {
        let our_value = ours.header(header).map_or(Value::Null, Value::from);
        values.compare(
            &Place::named(&format!("/headers/{header}")),
            value,
            &our_value,
        );
    }
    // All the golden's envelopes in a body are alike, and so must be all of ours.
    let golden_envelope = envelopes(&golden["body"])
        .into_iter()
        .next()
        .unwrap_or_default();
    let our_envelopes = envelopes(ours.json());
    if our_envelopes.is_empty() {
        values.compare(&Place::named("/body"), &golden_envelope, &Value::Null);
    }
    for envelope in our_envelopes {
        values.compare(&Place::named("/body"), &golden_envelope, &envelope);
    }
}

/// The envelopes in a body without their events: `"events"` stands where a list of at least one was.
fn envelopes(body: &Value) -> Vec<Value> {
    let stripped = |list: Option<&mut Value>| {
        if let Some(list) = list.filter(|list| list.as_array().is_some_and(|list| !list.is_empty()))
        {
            *list = Value::from("events");
        }
    };
    match body {
        Value::Array(all) => {
            let mut all = all.clone();
            for envelope in &mut all {
                stripped(envelope.get_mut("spans"));
            }
            all
        }
        Value::Object(_) => {
            let mut envelope = body.clone();
            stripped(envelope.pointer_mut("/data/attributes/metrics"));
            vec![envelope]
        }
        _ => Vec::new(),
    }
}

/// The members of an object, none for anything else.
fn members(value: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

#[cfg(test)]
mod tests;
