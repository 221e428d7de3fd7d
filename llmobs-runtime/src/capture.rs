//! Values of unknown types: read within limits, whatever they do.
//!
//! This is where code of users runs on our behalf: their `Serialize`, `Debug` and
//! `Display`. It may panic, fail, recurse or have no end; the program goes on as if we
//! had not asked, and the span says what happened: `<my::Type: its Serialize panicked>`,
//! `<not captured: path contains invalid UTF-8 characters>`, `…[1204 bytes cut]`,
//! `…[rest cut]`, `…[deeper than 64 levels]`.
//!
//! Three things are out of our hands. The program's panic hook has printed its message
//! before a panic reaches us, and with `panic = "abort"` none does. A `Serialize` that
//! ignores our errors in an endless loop, and one that calls itself with the very
//! serializer that it was given, cannot be stopped. And one that takes a lock takes it.

mod annotated;
mod captured;
mod growing;
mod limits;
mod printed;
mod printing;
mod prose;
mod redact;
mod serializer;
mod tree;

use std::any::{Any, type_name};
use std::fmt::{self, Debug, Display, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::annotation::{Io, IoRepr};
use crate::passing;
use crate::report;
use crate::text::Text;

pub(crate) use annotated::{bound_io, rest_message};
pub(crate) use captured::{Captured, Printed};
pub(crate) use growing::{Growing, Room};
use limits::{Budget, Clipped, Limits, REST, dismantle};
use printing::Printing;
pub(crate) use prose::scrub;
pub(crate) use redact::REDACTED;
use redact::Sensitivity;
use tree::Reading;

/// Bytes of a value that only has `Debug` or `Display`.
const LONGEST_TEXT: usize = 16_000;

/// `value` as automatic capture shows it: within the limits, and without what is a secret
/// by its name. `name` is the value's own, an argument's for instance.
///
/// As `serde_json::to_value` gives it, save that NaN and the infinities are the strings
/// `NaN`, `inf`, `-inf`; bytes are `<n bytes>`; an integer beyond 64 bits is a string; and
/// a key that is no text becomes its JSON text (`[1,2]`). Hidden by name are fields of
/// structs, keys of maps and variants that hold data, at any depth, by the rule of
/// [`redact`], and the second of two in a list whose first is such a name, as headers have it.
/// Text that holds JSON is text. Secrets in URLs are hidden when the worker takes the value
/// ([`Captured`]).
pub(crate) fn serialize<T: Serialize + ?Sized>(name: Option<&str>, value: &T) -> Captured {
    let sensitivity = name.map_or(Sensitivity::Open, redact::sensitivity);
    if sensitivity == Sensitivity::Secret {
        return Captured::Value(REDACTED.into());
    }
    let reading = Reading::new(Budget::new(&Limits::EVENT), true);
    Captured::Value(read(reading, sensitivity, value).0)
}

/// `value` as it was given by hand: within the limits, nothing hidden.
pub(crate) fn as_given<T: Serialize + ?Sized>(value: &T) -> Io {
    let reading = Reading::new(Budget::new(&Limits::EVENT), false);
    Io(IoRepr::Read(read(reading, Sensitivity::Open, value).0))
}

/// `value` within the limits; as it is if it has been.
pub(crate) fn bound(value: Value) -> Value {
    bound_within(&mut Budget::new(&Limits::EVENT), value)
}

/// The same for an object.
pub(crate) fn bound_map(map: Map<String, Value>) -> Map<String, Value> {
    if map.is_empty() {
        return map;
    }
    match bound(Value::Object(map)) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The same for text.
pub(crate) fn bound_text(mut text: String) -> String {
    Budget::new(&Limits::EVENT).cut(&mut text);
    text
}

fn bound_within(budget: &mut Budget, value: Value) -> Value {
    let mut left = *budget;
    if left.take(&value, 0) {
        *budget = left;
        return value;
    }
    let (cut, reading) = read(Reading::new(*budget, false), Sensitivity::Open, &value);
    *budget = reading.budget;
    dismantle(value);
    cut
}

fn read<T: Serialize + ?Sized>(
    mut reading: Reading,
    sensitivity: Sensitivity,
    value: &T,
) -> (Value, Reading) {
    let mut tree = Value::Null;
    let panicked = panics(|| reading.read(&mut tree, sensitivity, value));
    if panicked {
        tree = Value::String(complain(type_name::<T>(), "Serialize panicked"));
    } else if let Some(reason) = &reading.failure {
        complain(type_name::<T>(), reason);
    }
    (tree, reading)
}

/// What `{value:?}` prints, at most 16 kB of it, and without what is a secret by the name
/// that stands before it ([`printed`]).
pub(crate) fn debug<T: Debug + ?Sized>(value: &T) -> String {
    Printed::of(value).map_or_else(|mark| mark, Printed::into_text)
}

/// Returns the text that `{value}` prints, at most 16 kB of it. It is prose: nothing in it is hidden here.
pub(crate) fn display<T: Display + ?Sized>(value: &T) -> String {
    shown(&value, type_name::<T>(), LONGEST_TEXT)
}

fn shown(value: &dyn Display, type_name: &str, most: usize) -> String {
    let mut text = Printing::new(most);
    let mut written = Ok(());
    let panicked = panics(|| written = write!(text, "{value}"));
    let is_cut = text.is_cut();
    match outcome(is_cut, panicked, written, type_name, "Display") {
        Ok(()) if is_cut => text.into_text() + REST,
        Ok(()) => text.into_text(),
        Err(mark) => mark,
    }
}

/// What `{value}` prints where a user gives it by hand, a tag for instance: as much of it as
/// an event may have.
pub(crate) fn told<T: Display + ?Sized>(value: &T) -> Text {
    let mut text = Text::default();
    tell(value, &mut text);
    text
}

/// The same, put into `place`.
pub(crate) fn tell<T: Display + ?Sized>(value: &T, place: &mut Text) {
    tell_as(type_name::<T>(), value, place);
}

/// The same where the type is erased, and its name is known.
pub(crate) fn tell_as<T: Display + ?Sized>(type_name: &str, value: &T, place: &mut Text) {
    let mut text = Clipped::new(Limits::EVENT.text);
    let mut written = Ok(());
    let panicked = panics(|| written = write!(text.writer(), "{value}"));
    match outcome(text.is_cut(), panicked, written, type_name, "Display") {
        Ok(()) => text.finish_in(place),
        Err(mark) => *place = mark.into(),
    }
}

/// Hides the secrets in the URLs of a text that an attribute tells.
pub(crate) fn scrub_urls(text: &mut Text) {
    if let Some(scrubbed) = prose::scrub_urls(text, false) {
        *text = scrubbed.into();
    }
}

/// What became of a text that was printed; `Err` with a mark where that is not known.
fn outcome(
    is_cut: bool,
    panicked: bool,
    written: fmt::Result,
    type_name: &str,
    by: &str,
) -> Result<(), String> {
    if is_cut {
        // What it did after we refused to take more does not matter.
        Ok(())
    } else if panicked {
        Err(complain(type_name, &format!("{by} panicked")))
    } else if written.is_err() {
        Err(complain(type_name, &format!("{by} failed")))
    } else {
        Ok(())
    }
}

/// Runs code of a user; true if it panics. What it was writing to holds what it wrote.
pub(crate) fn panics(run: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(()) => false,
        Err(payload) => {
            passing::swallowed();
            discard(payload);
            true
        }
    }
}

/// A payload is a user's too: its drop may panic. Apart, so that it is compiled once.
#[cold]
#[inline(never)]
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

/// Tells once that a value could not be captured; the mark to put in its place.
#[cold]
pub(crate) fn complain(type_name: &str, what: &str) -> String {
    report::once(report::Kind::Capture, || {
        format!("a value of type {type_name} was not captured as a whole: {what}")
    });
    format!("<{type_name}: its {what}>")
}

#[cfg(test)]
mod tests;
