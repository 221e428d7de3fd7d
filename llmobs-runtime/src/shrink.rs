//! Events that are too large, made small enough: a pure function of the event and a limit.
//!
//! In this order, and no further than it must: media in base64 become marks, the largest
//! first; the longest strings are cut in their middle; whole parts go, the largest first.
//! A span's ids, name, kind, times and error, and the tags by which it is found, always
//! stay. The work grows with the size: an event is written twice and its strings are read
//! a few times, however many there are.

mod length;
mod media;
mod parts;
mod strings;
#[cfg(test)]
mod tests;
mod walk;

use serde_json::Value;

use crate::event::{EvaluationEvent, FeedbackEvent, SpanEvent};
use crate::message::Message;
use strings::{Json, Pieces};

/// Lends each string of an event, always in the same order.
type Walk<'a> = &'a mut dyn FnMut(walk::Visit<'_>);

/// What is said of an event in `collection_errors` when something of it is missing; the only
/// word that ddtrace has for it (golden 25).
const DROPPED_IO: &str = "dropped_io";

/// What was done to a span.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shrunk {
    /// Its bytes as JSON before.
    pub(crate) size: usize,
    /// The parts that are gone as a whole, such as `input`; empty where cuts were enough.
    pub(crate) gone: Vec<&'static str>,
}

/// Makes the JSON of `event` at most `limit` bytes, or as small as it gets where its ids and
/// what else has to stay are more; `size` is what it has. `None` where it fits as it is.
pub(crate) fn span(event: &mut SpanEvent, size: usize, limit: usize) -> Option<Shrunk> {
    if size <= limit {
        return None;
    }
    let mut shrunk = Shrunk {
        size,
        gone: Vec::new(),
    };
    if !event
        .collection_errors
        .iter()
        .any(|known| known == DROPPED_IO)
    {
        event.collection_errors.push(DROPPED_IO.to_owned());
    }
    let all_of = walk::span;
    let mut size = length::of(event);
    size -= media::replace(
        &mut |visit| all_of(event, visit),
        size.saturating_sub(limit),
    );
    if size <= limit || cut(&mut |visit| all_of(event, visit), size - limit) {
        return Some(shrunk);
    }
    shrunk.gone = parts::take_out(event, size, limit);
    let left = length::of(event);
    if left > limit && !cut(&mut |visit| all_of(event, visit), left - limit) {
        // What has to stay is more than the limit.
        let pieces = Pieces::of(&mut |visit| all_of(event, visit), Json::Whole);
        pieces.cut(&mut |visit| all_of(event, visit), strings::SHORTEST);
    }
    Some(shrunk)
}

/// Cuts the longest strings by `excess` bytes together; `false` where that cannot be, and
/// nothing is changed then.
fn cut(walk: Walk<'_>, excess: usize) -> bool {
    for json in [Json::Inside, Json::Whole] {
        let pieces = Pieces::of(&mut *walk, json);
        if let Some(line) = pieces.line(excess) {
            pieces.cut(&mut *walk, line);
            return true;
        }
    }
    false
}

/// Replaces media in messages until their texts have at most `most` bytes together, or none
/// is left.
pub(crate) fn media_in_messages(messages: &mut [Message], most: usize) {
    let mut bytes = 0;
    walk::in_messages(&mut *messages, &mut |text, _| bytes += text.len());
    if bytes > most {
        media::replace(
            &mut |visit| walk::in_messages(&mut *messages, visit),
            bytes - most,
        );
    }
}

/// What became of an evaluation or of feedback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It fits as it is.
    Whole,
    /// Remarks were cut: it had so many bytes.
    Cut(usize),
    /// It does not fit, whatever is cut of its remarks.
    Not(usize),
}

/// Makes the JSON of an evaluation at most `limit` bytes by cutting its reasoning and its
/// metadata; the value is never cut, since it would be another.
pub(crate) fn evaluation(event: &mut EvaluationEvent, limit: usize) -> Fit {
    let size = length::of(event);
    if size <= limit {
        return Fit::Whole;
    }
    if cut(&mut |visit| walk::evaluation(event, visit), size - limit) {
        return Fit::Cut(size);
    }
    let entries = event.metadata.len();
    let mark = Value::from(format!("…[{entries} entries cut]"));
    event.metadata.clear();
    if entries > 0 {
        event.metadata.insert(parts::REST_KEY.to_owned(), mark);
    }
    let left = length::of(event);
    if left <= limit || cut(&mut |visit| walk::evaluation(event, visit), left - limit) {
        return Fit::Cut(size);
    }
    Fit::Not(size)
}

/// The same for feedback, which has a reasoning and no metadata.
pub(crate) fn feedback(event: &mut FeedbackEvent, limit: usize) -> Fit {
    let size = length::of(event);
    if size <= limit {
        Fit::Whole
    } else if cut(&mut |visit| walk::feedback(event, visit), size - limit) {
        Fit::Cut(size)
    } else {
        Fit::Not(size)
    }
}
