//! What a test expects otherwise than the golden has it.

use serde_json::{Map, Value, json};

use super::compare::{ANY_TYPE, Differences};
use super::text;

/// What ours does instead, said of the golden's events by the test of that scenario.
///
/// A span is chosen by its name in the golden: `"g"` is every span of that name, `"g#2"` the second of them in the
/// golden's order, `"*"` every span; an evaluation likewise by its label. Values may hold the golden's symbols, and new
/// ones: `"$trace.new"` for ids that it does not have, `"$seconds"` for a measured time. An exemption that matches
/// nothing or changes nothing is a difference itself.
#[derive(Clone, Debug, Default)]
pub struct Exemptions(Vec<Exemption>);

#[derive(Clone, Debug)]
struct Exemption {
    what: What,
    selector: String,
    edit: Edit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Span,
    Evaluation,
}

#[derive(Clone, Debug)]
enum Edit {
    /// The golden has it, ours does not.
    Without,
    /// Ours has it, the golden does not.
    With,
    Set(String, Value),
    Remove(String),
    Tags {
        add: Vec<String>,
        remove: Vec<String>,
    },
}

/// The golden's events after the exemptions, and ours without those that were allowed besides.
pub(super) struct Expected {
    pub(super) spans: Vec<Value>,
    pub(super) evaluations: Vec<Value>,
    pub(super) our_spans: Vec<Value>,
}

impl Exemptions {
    /// Ours does what the golden does.
    pub fn none() -> Self {
        Self::default()
    }

    /// Ours does not send this span.
    pub fn without_span(self, selector: &str) -> Self {
        self.and(What::Span, selector, Edit::Without)
    }

    /// Ours sends at least one span of this name that the golden does not have; none of that name are compared, the
    /// test looks at them itself.
    pub fn with_span(self, name: &str) -> Self {
        self.and(What::Span, name, Edit::With)
    }

    /// Ours has this value at this JSON pointer of the span; what is not there yet is added.
    pub fn expect(self, selector: &str, pointer: &str, value: Value) -> Self {
        self.and(What::Span, selector, Edit::Set(pointer.to_owned(), value))
    }

    /// Ours has nothing at this JSON pointer of the span.
    pub fn expect_absent(self, selector: &str, pointer: &str) -> Self {
        self.and(What::Span, selector, Edit::Remove(pointer.to_owned()))
    }

    /// Ours has the tags `add` besides and lacks the tags `remove`.
    pub fn expect_tags(self, selector: &str, add: &[&str], remove: &[&str]) -> Self {
        self.and(What::Span, selector, Edit::tags(add, remove))
    }

    /// Ours does not send this evaluation.
    pub fn without_evaluation(self, selector: &str) -> Self {
        self.and(What::Evaluation, selector, Edit::Without)
    }

    /// [`Exemptions::expect`] for an evaluation.
    pub fn expect_evaluation(self, selector: &str, pointer: &str, value: Value) -> Self {
        self.and(
            What::Evaluation,
            selector,
            Edit::Set(pointer.to_owned(), value),
        )
    }

    /// [`Exemptions::expect_absent`] for an evaluation.
    pub fn expect_evaluation_absent(self, selector: &str, pointer: &str) -> Self {
        self.and(What::Evaluation, selector, Edit::Remove(pointer.to_owned()))
    }

    /// [`Exemptions::expect_tags`] for an evaluation, whose tags have an order: `add` comes at the end. For another
    /// place, expect a whole list at `/tags`.
    pub fn expect_evaluation_tags(self, selector: &str, add: &[&str], remove: &[&str]) -> Self {
        self.and(What::Evaluation, selector, Edit::tags(add, remove))
    }

    fn and(mut self, what: What, selector: &str, edit: Edit) -> Self {
        self.0.push(Exemption {
            what,
            selector: selector.to_owned(),
            edit,
        });
        self
    }

    /// Applies all in order; what matched nothing or changed nothing is noted.
    pub(super) fn apply(
        &self,
        spans: &[Value],
        evaluations: &[Value],
        our_spans: &[Value],
        differences: &mut Differences,
    ) -> Expected {
        let mut spans = Event::all(spans, "name");
        let mut evaluations = Event::all(evaluations, "label");
        let mut our_spans = our_spans.to_vec();
        spans
            .iter_mut()
            .for_each(|span| any_error_type(&mut span.value));
        for exemption in &self.0 {
            let applied = match (exemption.what, &exemption.edit) {
                (_, Edit::With) => {
                    let before = our_spans.len();
                    our_spans.retain(|span| text(&span["name"]) != exemption.selector);
                    if our_spans.len() < before {
                        Ok(())
                    } else {
                        Err("we sent no such span".to_owned())
                    }
                }
                (What::Span, edit) => edit_events(&mut spans, &exemption.selector, edit),
                (What::Evaluation, edit) => {
                    edit_events(&mut evaluations, &exemption.selector, edit)
                }
            };
            if let Err(why) = applied {
                differences.push(&format!(
                    "exemption without effect, {}: {why}",
                    exemption.describe()
                ));
            }
        }
        let values = |events: Vec<Event>| events.into_iter().map(|event| event.value).collect();
        Expected {
            spans: values(spans),
            evaluations: values(evaluations),
            our_spans,
        }
    }
}

impl Exemption {
    fn describe(&self) -> String {
        let what = if self.what == What::Span {
            "span"
        } else {
            "evaluation"
        };
        let edit = match &self.edit {
            Edit::Without => "without".to_owned(),
            Edit::With => "with".to_owned(),
            Edit::Set(pointer, _) => format!("expect {pointer} of"),
            Edit::Remove(pointer) => format!("expect no {pointer} of"),
            Edit::Tags { .. } => "expect tags of".to_owned(),
        };
        format!("{edit} {what} {:?}", self.selector)
    }
}

/// An event of the golden under the name that selectors mean, whatever an exemption makes of it.
struct Event {
    name: String,
    number: usize,
    value: Value,
}

impl Event {
    fn all(values: &[Value], name_key: &str) -> Vec<Event> {
        let name = |value: &Value| text(&value[name_key]).to_owned();
        let number = |index: usize| {
            values[..=index]
                .iter()
                .filter(|one| one[name_key] == values[index][name_key])
                .count()
        };
        let events = values.iter().enumerate();
        events
            .map(|(index, value)| Event {
                name: name(value),
                number: number(index),
                value: value.clone(),
            })
            .collect()
    }

    fn is(&self, selector: &str) -> bool {
        selector == "*"
            || selector == self.name
            || selector.rsplit_once('#').is_some_and(|(name, number)| {
                name == self.name && number.parse() == Ok(self.number)
            })
    }
}

fn edit_events(events: &mut Vec<Event>, selector: &str, edit: &Edit) -> Result<(), String> {
    if !events.iter().any(|event| event.is(selector)) {
        return Err("the golden has none".to_owned());
    }
    if matches!(edit, Edit::Without) {
        events.retain(|event| !event.is(selector));
        return Ok(());
    }
    events
        .iter_mut()
        .filter(|event| event.is(selector))
        .try_for_each(|event| edit.apply(&mut event.value))
}

impl Edit {
    fn tags(add: &[&str], remove: &[&str]) -> Self {
        let owned = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect();
        Edit::Tags {
            add: owned(add),
            remove: owned(remove),
        }
    }

    fn apply(&self, event: &mut Value) -> Result<(), String> {
        match self {
            Edit::Without | Edit::With => Ok(()),
            Edit::Set(pointer, value) => set(event, pointer, value),
            Edit::Remove(pointer) => {
                let (parent, key) = pointer.rsplit_once('/').ok_or("no JSON pointer")?;
                let removed = match event.pointer_mut(parent) {
                    Some(Value::Object(members)) => members.remove(key),
                    Some(Value::Array(items)) => {
                        let index = key
                            .parse()
                            .ok()
                            .filter(|&index: &usize| index < items.len());
                        index.map(|index| items.remove(index))
                    }
                    _ => None,
                };
                removed
                    .map(drop)
                    .ok_or_else(|| "the golden has nothing there".to_owned())
            }
            Edit::Tags { add, remove } => {
                let tags = event
                    .get_mut("tags")
                    .and_then(Value::as_array_mut)
                    .ok_or("the golden has no tags")?;
                if add.is_empty() && remove.is_empty() {
                    return Err("no tags given".to_owned());
                }
                for tag in remove {
                    let is_it = |known: &Value| {
                        text(known) == tag || is_error_type(text(known)) && is_error_type(tag)
                    };
                    let index = tags
                        .iter()
                        .position(is_it)
                        .ok_or_else(|| format!("the golden has no tag {tag:?}"))?;
                    tags.remove(index);
                }
                tags.extend(add.iter().map(|tag| Value::from(tag.as_str())));
                Ok(())
            }
        }
    }
}

/// Sets what a JSON pointer points at, with the objects on the way.
fn set(event: &mut Value, pointer: &str, value: &Value) -> Result<(), String> {
    let path = pointer.strip_prefix('/').ok_or("no JSON pointer")?;
    if event.pointer(pointer) == Some(value) {
        return Err("the golden has that already".to_owned());
    }
    let mut at = event;
    for key in path.split('/') {
        let key = key.replace("~1", "/").replace("~0", "~");
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        at = match at {
            Value::Array(items) => {
                let index: usize = key.parse().map_err(|_| format!("{key:?} is no index"))?;
                if index == items.len() {
                    items.push(Value::Null);
                }
                items
                    .get_mut(index)
                    .ok_or_else(|| format!("index {index} is beyond the end"))?
            }
            Value::Object(members) => members.entry(key).or_insert(Value::Null),
            _ => return Err(format!("nothing can be below, for {key:?}")),
        };
    }
    *at = value.clone();
    Ok(())
}

fn is_error_type(tag: &str) -> bool {
    tag.starts_with("error_type:")
}

/// Error types are the language's own: any will do, unless an exemption names one.
fn any_error_type(span: &mut Value) {
    if let Some(name) = span.pointer_mut("/meta/error/type") {
        *name = json!(ANY_TYPE);
    }
    for tag in span
        .get_mut("tags")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if is_error_type(text(tag)) {
            *tag = json!(format!("error_type:{ANY_TYPE}"));
        }
    }
}
