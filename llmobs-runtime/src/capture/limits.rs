//! How much a value may hold, and the marks where something was cut.

use std::fmt;

use serde_json::{Map, Value};

use crate::text::{Text, TextBuffer, head};

/// What a captured or annotated value may hold. A value within the limits stays as it is;
/// the marks in one that is cut come on top: a line for each level at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of all strings and keys together.
    pub(crate) text: usize,
    /// Values in the tree: scalars and containers, not keys.
    pub(crate) nodes: usize,
    /// Containers inside one another.
    pub(crate) depth: usize,
}

impl Limits {
    /// As much text as an event may have bytes.
    pub(crate) const EVENT: Self = Self {
        text: 5_000_000,
        nodes: 100_000,
        depth: 64,
    };
}

/// The last element of a list that was cut, and the value of [`REST_KEY`].
pub(super) const REST: &str = "…[rest cut]";

/// The last key of a map that was cut; it sorts after all ASCII keys.
pub(super) const REST_KEY: &str = "…";

/// What is left of the limits while a value is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    text: usize,
    nodes: usize,
    depth: usize,
    full: bool,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            text: limits.text,
            nodes: limits.nodes,
            depth: limits.depth,
            full: false,
        }
    }

    /// Whether something had no room: from there on nothing more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Room for one more value.
    pub(super) fn take_node(&mut self) -> bool {
        if self.nodes == 0 {
            self.full = true;
        } else if !self.full {
            self.nodes -= 1;
        }
        !self.full
    }

    /// Room for a text of `bytes`, all of it.
    pub(super) fn take_text(&mut self, bytes: usize) -> bool {
        if bytes > self.text {
            self.full = true;
        } else if !self.full {
            self.text -= bytes;
        }
        !self.full
    }

    /// Whether `text` is longer than the room that is left, so that a copy of it would be cut.
    pub(super) fn cuts(&self, text: &str) -> bool {
        text.len() > self.text
    }

    /// Whether one more container fits inside `depth` others.
    pub(super) fn takes_container(&self, depth: usize) -> bool {
        depth < self.depth
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// How many elements to make room for where a value says how many it has. It may lie.
    pub(super) fn capacity(&self, hint: Option<usize>) -> usize {
        hint.unwrap_or(0).min(self.nodes).min(4_096)
    }

    /// Gives back the room of a text that did not stay.
    pub(super) fn return_text(&mut self, bytes: usize) {
        self.text += bytes;
    }

    /// As much of `text` as there is room for; behind a part of it nothing more has room.
    pub(super) fn take_head<'a>(&mut self, text: &'a str) -> &'a str {
        if text.is_empty() || self.take_text(text.len()) {
            return text;
        }
        let head = head(text, self.text);
        self.text = 0;
        head
    }

    /// `text`, or as much of it as there is room for, with a mark: its head and its tail where
    /// that is something to read.
    pub(super) fn copy(&mut self, text: &str) -> String {
        const FOR_TWO_ENDS: usize = 1_024;
        let room = self.text;
        let head = self.take_head(text);
        if head.len() < text.len() && room >= FOR_TWO_ENDS {
            let head = self::head(text, room / 2);
            let tail = tail(text, room - head.len());
            let cut = text.len() - head.len() - tail.len();
            return format!("{head}{}…{tail}", cut_mark(cut));
        }
        if head.len() == text.len() {
            return text.to_owned();
        }
        head.to_owned() + &cut_mark(text.len() - head.len())
    }

    /// The same in place.
    pub(super) fn cut(&mut self, text: &mut String) {
        if !text.is_empty() && !self.take_text(text.len()) {
            *text = self.copy(text);
        }
    }

    /// The items of a list that have room, each within what is left, and a mark for the rest.
    pub(super) fn cut_list<T>(
        &mut self,
        items: &mut Vec<T>,
        rest: impl FnOnce() -> T,
        cut: impl Fn(&mut T, &mut Self),
    ) {
        let first_without_room = items.iter_mut().position(|item| {
            let has_room = self.take_node();
            if has_room {
                cut(item, self);
            }
            !has_room
        });
        if let Some(at) = first_without_room {
            items.truncate(at);
            items.push(rest());
        }
    }

    /// What `text` displays, or as much of it as there is room for. `Err` where its own
    /// `Display` fails. What is cut is still to be [marked](REST).
    pub(super) fn display(
        &mut self,
        text: &dyn fmt::Display,
    ) -> Result<(String, bool), fmt::Error> {
        let room = if self.full { 0 } else { self.text };
        let mut clipped = Clipped::new(room);
        let written = fmt::write(clipped.writer(), format_args!("{text}"));
        let is_cut = clipped.is_cut();
        if is_cut {
            self.full = true;
            self.text = 0;
        } else {
            written?;
            self.text -= clipped.writer().len();
        }
        Ok((clipped.0.into(), is_cut))
    }

    /// Whether all of `value`, inside `depth` containers, has room; takes it.
    pub(super) fn take(&mut self, value: &Value, depth: usize) -> bool {
        if !self.take_node() {
            return false;
        }
        match value {
            Value::String(text) => self.take_text(text.len()),
            Value::Array(items) => {
                self.takes_container(depth) && items.iter().all(|item| self.take(item, depth + 1))
            }
            Value::Object(map) => {
                let mut entries = map.iter();
                self.takes_container(depth)
                    && entries.all(|(key, value)| {
                        self.take_text(key.len()) && self.take(value, depth + 1)
                    })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        }
    }
}

/// What stands behind a text that was cut.
pub(super) fn cut_mark(bytes: usize) -> String {
    format!("…[{bytes} bytes cut]")
}

/// The longest end of `text` that has at most `bytes` and begins between characters.
fn tail(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// What stands where containers nest deeper than `depth`.
pub(super) fn too_deep(depth: usize) -> String {
    format!("…[deeper than {depth} levels]")
}

/// A text that was printed up to a limit, with a mark where it was cut.
pub(super) struct Clipped(TextBuffer);

impl Clipped {
    pub(super) fn new(limit: usize) -> Self {
        Self(TextBuffer::new(limit))
    }

    /// A writer that takes so many bytes and then refuses.
    pub(super) fn writer(&mut self) -> &mut TextBuffer {
        &mut self.0
    }

    pub(super) fn is_cut(&self) -> bool {
        self.0.is_cut()
    }

    /// The text, marked where it was cut. How much is missing is not known: what had more
    /// to say was stopped.
    pub(super) fn finish(self) -> String {
        let is_cut = self.is_cut();
        let mut text = String::from(self.0);
        if is_cut {
            text.push_str(REST);
        }
        text
    }

    /// The same, put into `place`.
    pub(super) fn finish_in(&mut self, place: &mut Text) {
        let mark = if self.is_cut() { REST } else { "" };
        self.0.move_to(place, mark);
    }
}

/// Drops `value` in a loop: the drop of a tree recurses as deep as it is, and could
/// overflow the stack.
pub(super) fn dismantle(value: Value) {
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(items) => rest.extend(items),
            Value::Object(map) => rest.extend(map.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
}

/// Marks a map that was cut.
pub(super) fn mark_map(map: &mut Map<String, Value>) {
    map.insert(REST_KEY.to_owned(), REST.into());
}
