//! The JSON tree that a `Serialize` is read into, within limits.
//!
//! What is read is written where it belongs at once, so that a value that stops half-way,
//! at a limit or by an error of its own, leaves what it gave so far. Three things end a
//! `Serialize`: it is done; it fails by itself, and the value that failed is replaced by a
//! mark with its words; or [`Error::Cut`], by which we stop it. The value around it goes on
//! in all three cases, until it asks for room that is not there.

use std::fmt;

use serde::ser::{self, Serialize};
use serde_json::{Map, Number, Value};

use super::limits::{self, Budget, Clipped, REST};
use super::prose;
use super::redact::{self, REDACTED, Sensitivity};

/// `Some` and newtypes around one another, which add no level to the tree but do to the
/// stack.
const WRAPPERS: usize = 128;

/// Bytes of a message by which a type refuses to be serialized.
const LONGEST_REASON: usize = 1_000;

/// What a whole reading shares.
pub(super) struct Reading {
    pub(super) budget: Budget,
    /// Whether values are hidden by their name.
    redact: bool,
    /// An [`Error::Cut`] is on its way: the place that it comes from is in order. Said here
    /// because a `Serialize` may replace our error by one of its own.
    cutting: bool,
    /// The value that was read last is a byte, inside so many wrappers.
    pub(super) byte: Option<usize>,
    /// The first error that a type gave by itself.
    pub(super) failure: Option<String>,
}

impl Reading {
    pub(super) fn new(budget: Budget, redact: bool) -> Self {
        Self {
            budget,
            redact,
            cutting: false,
            byte: None,
            failure: None,
        }
    }

    /// Reads `value` into `slot`. `sensitivity` is what its name says about it; a secret is
    /// not to be read at all.
    pub(super) fn read<T: Serialize + ?Sized>(
        &mut self,
        slot: &mut Value,
        sensitivity: Sensitivity,
        value: &T,
    ) {
        self.budget.take_node();
        let place = Place {
            depth: 0,
            wrappers: 0,
        };
        Node {
            slot,
            reading: self,
            place,
            sensitivity,
        }
        .fill(value);
    }

    fn cut(&mut self) -> Error {
        self.cutting = true;
        Error::Cut
    }

    fn hides(&self, name: &str) -> Sensitivity {
        if self.redact {
            redact::of_key(name)
        } else {
            Sensitivity::Open
        }
    }

    #[cold]
    fn settle(&mut self, slot: &mut Value, error: &Error) {
        if std::mem::take(&mut self.cutting) {
            return;
        }
        let reason = error.to_string();
        *slot = Value::String(format!("<not captured: {reason}>"));
        self.failure.get_or_insert(reason);
    }
}

/// Where in the tree, and how deep in the stack, a value stands.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    wrappers: usize,
}

impl Place {
    fn below(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

/// One value that is to be read: its serializer.
pub(super) struct Node<'a> {
    slot: &'a mut Value,
    pub(super) reading: &'a mut Reading,
    place: Place,
    pub(super) sensitivity: Sensitivity,
}

impl<'a> Node<'a> {
    /// Reads `value`, whatever becomes of it.
    pub(super) fn fill<T: Serialize + ?Sized>(self, value: &T) {
        let Node {
            slot,
            reading,
            place,
            sensitivity,
        } = self;
        let outcome = value.serialize(Node {
            slot: &mut *slot,
            reading: &mut *reading,
            place,
            sensitivity,
        });
        match outcome {
            Ok(()) => reading.cutting = false,
            Err(error) => reading.settle(slot, &error),
        }
    }

    pub(super) fn wrappers(&self) -> usize {
        self.place.wrappers
    }

    pub(super) fn set(self, value: impl Into<Value>) {
        *self.slot = value.into();
    }

    pub(super) fn text(self, text: &str) {
        let text = if self.hides_text(text) {
            REDACTED.to_owned()
        } else if self.reading.redact
            && self.reading.budget.cuts(text)
            && let Some(text) = prose::scrub_urls(text, false)
        {
            // A URL of which the cut leaves a half would not be seen later.
            self.reading.budget.copy(&text)
        } else {
            self.reading.budget.copy(text)
        };
        *self.slot = Value::String(text);
    }

    /// A text of which the rest had no room. The `@` behind a password may be in the rest.
    pub(super) fn cut_text(self, text: String) {
        let scrubbed = self.reading.redact.then(|| prose::scrub_urls(&text, true));
        let text = scrubbed.flatten().unwrap_or(text);
        *self.slot = Value::String(text + REST);
    }

    pub(super) fn hides_text(&self, text: &str) -> bool {
        self.sensitivity.hides_text(text)
    }

    /// The same value one `Some` or newtype further in.
    pub(super) fn wrapped(mut self) -> Result<Self, Error> {
        if self.place.wrappers == WRAPPERS {
            return Err(self.too_deep());
        }
        self.place.wrappers += 1;
        Ok(self)
    }

    fn too_deep(self) -> Error {
        let depth = self.reading.budget.depth();
        *self.slot = Value::String(limits::too_deep(depth));
        self.reading.cut()
    }

    /// Whether a container has its place here; `Err` where it is hidden or too deep.
    fn contain(self) -> Result<Self, Error> {
        if self.sensitivity > Sensitivity::Text {
            *self.slot = REDACTED.into();
            return Err(self.reading.cut());
        }
        if !self.reading.budget.takes_container(self.place.depth) {
            return Err(self.too_deep());
        }
        Ok(self)
    }

    pub(super) fn list(self, hint: Option<usize>) -> Result<List<'a>, Error> {
        let this = self.contain()?;
        let capacity = this.reading.budget.capacity(hint);
        *this.slot = Value::Array(Vec::with_capacity(capacity));
        Ok(List {
            slot: this.slot,
            reading: this.reading,
            place: this.place.below(),
            within: this.sensitivity,
            hint,
            bytes: 0,
            is_cut: false,
        })
    }

    pub(super) fn object(self) -> Result<Object<'a>, Error> {
        let this = self.contain()?;
        *this.slot = Value::Object(Map::new());
        match this.slot {
            Value::Object(map) => Ok(Object {
                map,
                reading: this.reading,
                place: this.place.below(),
                within: this.sensitivity,
                key: None,
                is_cut: false,
            }),
            _ => Err(this.reading.cut()),
        }
    }

    /// The value of a variant that holds data: `{"Variant": …}`.
    pub(super) fn variant(self, variant: &'static str) -> Result<Node<'a>, Error> {
        let mut object = self.object()?;
        object.make_room(variant.len())?;
        let Object {
            map,
            reading,
            place,
            within,
            ..
        } = object;
        match entry(map, reading, place, within, variant.to_owned()) {
            Ok(node) => Ok(node),
            Err(reading) => Err(reading.cut()),
        }
    }
}

/// Makes room for the value of `key` in `map`; `Err` where the name alone hides it. The value inherits
/// `within`, the sensitivity of the map's own name.
fn entry<'a>(
    map: &'a mut Map<String, Value>,
    reading: &'a mut Reading,
    place: Place,
    within: Sensitivity,
    key: String,
) -> Result<Node<'a>, &'a mut Reading> {
    let mut sensitivity = reading.hides(&key).max(within);
    if key.len() == VALUE.len() && key.eq_ignore_ascii_case(VALUE) {
        sensitivity = sensitivity.max(of_header(map, reading));
    }
    let slot = map.entry(key).or_insert(Value::Null);
    if sensitivity == Sensitivity::Secret {
        *slot = REDACTED.into();
        return Err(reading);
    }
    *slot = Value::Null;
    Ok(Node {
        slot,
        reading,
        place,
        sensitivity,
    })
}

/// The field of a header that holds its value.
const VALUE: &str = "value";

/// The name of a header that is a field beside its value judges that value:
/// `{"name": "authorization", "value": "…"}`.
fn of_header(map: &Map<String, Value>, reading: &Reading) -> Sensitivity {
    for field in ["name", "key", "header", "Name", "Key", "Header"] {
        if let Some(Value::String(name)) = map.get(field) {
            return reading.hides(name).min(Sensitivity::Text);
        }
    }
    Sensitivity::Open
}

/// Bytes in a list that are shown as numbers: an address, a colour, a version. More of them
/// are data, of which their number says as much as automatic capture may.
const SHOWN_BYTES: usize = 16;

/// Bytes that a list begins with before the rest of it is taken for bytes too, and is not
/// read: a hundred megabytes cost what these do.
const SURELY_BYTES: usize = 64;

/// A list that is being read. A list of bytes is a list of numbers to serde; it is known by
/// its elements, which no other type gives as bytes.
pub(super) struct List<'a> {
    slot: &'a mut Value,
    reading: &'a mut Reading,
    place: Place,
    /// The sensitivity of the list's own name, which its elements inherit.
    within: Sensitivity,
    /// How many elements there are, if the value says so.
    hint: Option<usize>,
    /// How many there were so far, while all of them are bytes.
    bytes: usize,
    is_cut: bool,
}

impl List<'_> {
    pub(super) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.reading.byte = None;
        self.next()?.fill(value);
        if self.reading.byte == Some(self.place.wrappers) {
            self.bytes += 1;
            if self.bytes >= SURELY_BYTES && self.is_all_bytes() {
                return self.count_bytes();
            }
        }
        Ok(())
    }

    fn is_all_bytes(&self) -> bool {
        matches!(&*self.slot, Value::Array(items) if items.len() == self.bytes)
    }

    /// A value that is surely a list of bytes ends here if it says how many there are; else its bytes
    /// are counted, up to the limit of values.
    fn count_bytes(&mut self) -> Result<(), Error> {
        let Some(all) = self.hint.filter(|all| *all >= self.bytes) else {
            return Ok(());
        };
        *self.slot = Value::String(format!("<{all} bytes>"));
        Err(self.reading.cut())
    }

    /// A list that turns out to have been bytes becomes their number.
    pub(super) fn finish(self) {
        if self.bytes > SHOWN_BYTES && self.is_all_bytes() {
            *self.slot = Value::String(format!("<{} bytes>", self.bytes));
        }
    }

    fn next(&mut self) -> Result<Node<'_>, Error> {
        if !self.reading.budget.take_node() {
            let is_first = !std::mem::replace(&mut self.is_cut, true);
            if is_first && self.bytes >= SURELY_BYTES && self.is_all_bytes() {
                *self.slot = Value::String(format!("<more than {} bytes>", self.bytes));
            } else if is_first && let Value::Array(items) = &mut *self.slot {
                items.push(REST.into());
            }
            return Err(self.reading.cut());
        }
        let Value::Array(items) = &mut *self.slot else {
            // Bytes that were counted; a type that ignores our errors goes on.
            return Err(self.reading.cut());
        };
        // A header's name and its value, in a list of pairs.
        let mut sensitivity = self.within;
        if self.hint == Some(2)
            && let [Value::String(name)] = &items[..]
        {
            sensitivity = sensitivity.max(self.reading.hides(name));
        }
        if matches!(sensitivity, Sensitivity::Secret | Sensitivity::Counted) {
            sensitivity = Sensitivity::Text;
        }
        items.push(Value::Null);
        match items.last_mut() {
            Some(slot) => Ok(Node {
                slot,
                reading: self.reading,
                place: self.place,
                sensitivity,
            }),
            None => Err(self.reading.cut()),
        }
    }
}

/// A map or a struct that is being read.
pub(super) struct Object<'a> {
    map: &'a mut Map<String, Value>,
    reading: &'a mut Reading,
    place: Place,
    /// The sensitivity of the map's own name, which its values inherit.
    within: Sensitivity,
    /// A key that waits for its value.
    pub(super) key: Option<String>,
    is_cut: bool,
}

impl Object<'_> {
    pub(super) fn insert<T: Serialize + ?Sized>(&mut self, key: String, value: &T) {
        if let Ok(node) = entry(self.map, self.reading, self.place, self.within, key) {
            node.fill(value);
        }
    }

    pub(super) fn field<T: Serialize + ?Sized>(
        &mut self,
        key: &str,
        value: &T,
    ) -> Result<(), Error> {
        self.make_room(key.len())?;
        self.insert(key.to_owned(), value);
        Ok(())
    }

    /// Room for one more entry whose key has so many bytes.
    fn make_room(&mut self, key: usize) -> Result<(), Error> {
        let budget = &mut self.reading.budget;
        if budget.take_node() && budget.take_text(key) {
            return Ok(());
        }
        Err(self.end_here())
    }

    fn end_here(&mut self) -> Error {
        if !std::mem::replace(&mut self.is_cut, true) {
            limits::mark_map(self.map);
        }
        self.reading.cut()
    }

    /// A key as text: what is no string becomes its JSON text, as `serde_json` does with
    /// numbers and bools.
    pub(super) fn read_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<String, Error> {
        self.make_room(0)?;
        let mut value = Value::Null;
        Node {
            slot: &mut value,
            reading: self.reading,
            place: self.place,
            sensitivity: Sensitivity::Open,
        }
        .fill(key);
        let key = match value {
            Value::String(key) => key,
            other => {
                let key = other.to_string();
                self.reading.budget.take_text(key.len());
                key
            }
        };
        if self.reading.budget.is_full() {
            return Err(self.end_here());
        }
        Ok(key)
    }
}

/// A struct, or what only looks like one: a number or raw JSON of `serde_json`.
pub(super) enum Fields<'a> {
    Object(Object<'a>),
    Private { node: Node<'a>, is_raw: bool },
}

impl Fields<'_> {
    pub(super) fn field<T: Serialize + ?Sized>(
        &mut self,
        key: &str,
        value: &T,
    ) -> Result<(), Error> {
        match self {
            Self::Object(object) => object.field(key, value),
            Self::Private { node, .. } => {
                Node {
                    slot: node.slot,
                    reading: node.reading,
                    place: node.place,
                    sensitivity: Sensitivity::Open,
                }
                .fill(value);
                Ok(())
            }
        }
    }

    pub(super) fn end(self) {
        let Self::Private { node, is_raw } = self else {
            return;
        };
        let Value::String(text) = &*node.slot else {
            return;
        };
        if node.reading.budget.is_full() {
            if is_raw && node.reading.redact {
                // Cut, it cannot be read, and nobody can say which of it is secret.
                node.set(REST);
            }
            return;
        }
        if !is_raw {
            if let Ok(number) = text.parse::<Number>() {
                node.reading.budget.return_text(text.len());
                node.set(Value::Number(number));
            }
            return;
        }
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            node.reading.budget.return_text(text.len());
            node.fill(&value);
        }
    }
}

/// Why a `Serialize` ended before its end.
#[derive(Debug)]
pub(super) enum Error {
    /// We stop it; what it gave is in its place.
    Cut,
    /// It stopped by itself.
    Own(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("cut at a limit of the capture"),
            Self::Own(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        let mut clipped = Clipped::new(LONGEST_REASON);
        // Where it is cut, and where its Display fails, what it said so far has to do.
        let _ = fmt::write(clipped.writer(), format_args!("{reason}"));
        Self::Own(clipped.finish())
    }
}
