//! What comes in pieces, within the limits that hold for one value: what has no room is
//! counted and let go at once.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde_json::Value;

use super::annotated::cut_message;
use super::bound_within;
use super::limits::{Budget, Limits, REST, REST_KEY, cut_mark};
use super::prose;
use crate::message::Message;
use crate::text::Text;

/// What is left of the limits while pieces come.
#[derive(Debug)]
pub(crate) struct Room(Budget);

/// A text that grows.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    text: String,
    cut: usize,
}

impl Room {
    /// The last element of a list that was cut.
    pub(crate) const REST: &str = REST;
    /// The key of a mark in a map that was cut.
    pub(crate) const REST_KEY: &str = REST_KEY;

    pub(crate) fn new() -> Self {
        Self(Budget::new(&Limits::EVENT))
    }

    /// Room for one more value.
    pub(crate) fn take_node(&mut self) -> bool {
        self.0.take_node()
    }

    /// Adds `text` to what grows, or as much of it as has room.
    pub(crate) fn grow(&mut self, growing: &mut Growing, text: &str) {
        let head = self.0.take_head(text);
        growing.text.push_str(head);
        growing.cut += text.len() - head.len();
    }

    /// A short text, such as a name.
    pub(crate) fn copy(&mut self, text: &str) -> String {
        self.0.copy(text)
    }

    /// Whether all of so much text in so many values has room in an empty one.
    pub(crate) fn holds(text: usize, values: usize) -> bool {
        text <= Limits::EVENT.text && values <= Limits::EVENT.nodes
    }

    /// Cuts a text to what has room.
    pub(crate) fn cut<T: Deref<Target = str> + From<String>>(&mut self, text: &mut T) {
        if !text.is_empty() && !self.0.take_text(text.len()) {
            *text = self.0.copy(text).into();
        }
    }

    /// Cuts a text of one's own.
    pub(crate) fn cut_string(&mut self, text: &mut String) {
        self.0.cut(text);
    }

    /// Cuts a list: `cut` does so with each item, and `rest` is the last where some had no
    /// room.
    pub(crate) fn cut_list<T>(
        &mut self,
        items: &mut Vec<T>,
        rest: impl FnOnce() -> T,
        cut: impl Fn(&mut T, &mut Self),
    ) {
        self.0.cut_list(items, rest, |item, budget| {
            let mut room = Self(*budget);
            cut(item, &mut room);
            *budget = room.0;
        });
    }

    /// The same for pairs.
    pub(crate) fn cut_pairs(&mut self, pairs: &mut BTreeMap<Text, String>) {
        for (mut key, mut value) in std::mem::take(pairs) {
            if !self.take_node() {
                pairs.insert(Text::literal(REST_KEY), REST.to_owned());
                break;
            }
            self.cut(&mut key);
            self.cut_string(&mut value);
            pairs.insert(key, value);
        }
    }

    /// JSON, cut where it has no room.
    pub(crate) fn cut_json(&mut self, value: &mut Value) {
        *value = bound_within(&mut self.0, value.take());
    }

    /// `value`, cut where it has no room; `None` if nothing of it has.
    pub(crate) fn take(&mut self, value: Value) -> Option<Value> {
        let mut before = self.0;
        if before.take_node() {
            Some(bound_within(&mut self.0, value))
        } else {
            self.0 = before;
            None
        }
    }

    /// The same for a message.
    pub(crate) fn take_message(&mut self, mut message: Message) -> Option<Message> {
        self.take_node().then(|| {
            cut_message(&mut message, &mut self.0);
            message
        })
    }
}

impl Growing {
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.cut == 0
    }

    /// The text, marked where it was cut, without the secrets of URLs that were in several pieces.
    pub(crate) fn finish_captured(mut self) -> String {
        if let Some(scrubbed) = prose::scrub_urls(&self.text, self.cut > 0) {
            self.text = scrubbed;
        }
        self.finish()
    }

    /// The text, marked where it was cut.
    pub(crate) fn finish(mut self) -> String {
        if self.cut > 0 {
            self.text.push_str(&cut_mark(self.cut));
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn room(text: usize, nodes: usize) -> Room {
        let depth = 3;
        Room(Budget::new(&Limits { text, nodes, depth }))
    }

    #[test]
    fn text_grows_up_to_the_limit_and_counts_what_is_left_out() {
        let mut room = room(5, 1);
        let mut growing = Growing::default();
        for piece in ["ab", "", "äö", "cd"] {
            room.grow(&mut growing, piece);
        }
        // The second umlaut does not fit, and nothing behind it is taken.
        assert_eq!(growing.finish(), "abä…[4 bytes cut]");
        let mut late = Growing::default();
        room.grow(&mut late, "x");
        assert!(!late.is_empty());
        assert_eq!(late.finish(), "…[1 bytes cut]");
    }

    #[test]
    fn a_url_that_comes_in_pieces_has_no_secrets() {
        for (room, expected) in [
            (99, "at a://ada:[redacted]@db"),
            (16, "at a://ada:[redacted]…[4 bytes cut]"),
        ] {
            let mut room = self::room(room, 1);
            let mut growing = Growing::default();
            for piece in ["at a://ada:hun", "ter@db"] {
                room.grow(&mut growing, piece);
            }
            assert_eq!(growing.finish_captured(), expected);
        }
        // A port is none.
        let mut growing = Growing::default();
        room(99, 1).grow(&mut growing, "at a://db:80");
        assert_eq!(growing.finish_captured(), "at a://db:80");
    }

    #[test]
    fn values_are_whole_until_one_has_no_room() {
        let mut room = room(4, 4);
        assert_eq!(room.take(json!(["ab"])), Some(json!(["ab"])));
        assert_eq!(
            room.take(json!(["cdef"])),
            Some(json!(["cd…[2 bytes cut]"]))
        );
        assert_eq!(room.take(json!(1)), None);
        let mut room = self::room(4, 1);
        assert_eq!(room.take(json!(1)), Some(json!(1)));
        assert_eq!(room.take(json!(2)), None);
    }
}
