//! The strings of an event, and the line that they are cut at: the longest first, so many
//! and so far that the event fits, and no further.
//!
//! Strings inside a JSON text count each for itself, so that the text stays JSON.

use std::ops::Range;

use super::Walk;
use super::length::{self, Form};
use super::walk::Site;

/// No string is cut to less, in bytes on the wire: there would be nothing left to read.
pub(super) const SHORTEST: usize = 128;

/// Part of a string that can be cut by itself.
pub(super) struct Piece {
    /// Which string of the walk it is in.
    text: usize,
    range: Range<usize>,
    form: Form,
    /// Its bytes on the wire.
    cost: usize,
}

/// Those that have more than [`SHORTEST`].
pub(super) struct Pieces(Vec<Piece>);

/// Whether a JSON text is cut inside, or as any other text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Inside,
    Whole,
}

impl Pieces {
    pub(super) fn of(walk: Walk<'_>, json: Json) -> Self {
        let mut pieces = Vec::new();
        let mut number = 0;
        walk(&mut |text, site| {
            if let Some(cost) = worth_cutting(text) {
                let inside = match (json, site) {
                    (Json::Inside, Site::Content | Site::MaybeMedia(_)) => {
                        inside(number, text, cost)
                    }
                    _ => None,
                };
                match inside {
                    Some(literals) => pieces.extend(literals),
                    None => pieces.extend(whole(number, text, site, cost)),
                }
            }
            number += 1;
        });
        Self(pieces)
    }

    /// What can be cut off, all together.
    pub(super) fn spare(&self) -> usize {
        self.0.iter().map(|piece| piece.cost - SHORTEST).sum()
    }

    /// How long the longest may be where `excess` bytes have to go; `None` where that is less
    /// than is worth anything.
    pub(super) fn line(&self, excess: usize) -> Option<usize> {
        if self.spare() < excess {
            return None;
        }
        let mut costs: Vec<usize> = self.0.iter().map(|piece| piece.cost).collect();
        costs.sort_unstable_by(|one, other| other.cmp(one));
        let mut sum = 0;
        for (index, cost) in costs.iter().enumerate() {
            sum += cost;
            let next = costs.get(index + 1).copied().unwrap_or(SHORTEST);
            // All that are longer come down to the line together.
            let line = sum.checked_sub(excess).map(|left| left / (index + 1));
            if let Some(line) = line.filter(|line| *line >= next) {
                return Some(line);
            }
        }
        None
    }

    /// Cuts what is longer than `line`, on the same walk.
    pub(super) fn cut(self, walk: Walk<'_>, line: usize) {
        let longer = self.0.into_iter().filter(|piece| piece.cost > line);
        let mut longer = longer.peekable();
        let mut number = 0;
        walk(&mut |text, _| {
            let mut changed = String::new();
            let mut copied = 0;
            while let Some(piece) = longer.next_if(|piece| piece.text == number) {
                changed.push_str(&text[copied..piece.range.start]);
                length::push_cut(&mut changed, &text[piece.range.clone()], piece.form, line);
                copied = piece.range.end;
            }
            if copied > 0 {
                changed.push_str(&text[copied..]);
                *text = changed;
            }
            number += 1;
        });
    }
}

/// The bytes on the wire of a text that is long enough to be cut.
fn worth_cutting(text: &str) -> Option<usize> {
    // A character has six bytes there at most: a short text needs no look.
    let may_be = text.len() * 6 > SHORTEST;
    let cost = || length::inside(text);
    may_be.then(cost).filter(|cost| *cost > SHORTEST)
}

fn whole(number: usize, text: &str, site: Site<'_>, cost: usize) -> Option<Piece> {
    const LONGEST_KEY: usize = 200;
    let start = match site {
        Site::Tag => match text.find(':') {
            Some(colon) if colon <= LONGEST_KEY => colon + 1,
            _ => 0,
        },
        _ => 0,
    };
    Some(Piece {
        text: number,
        range: start..text.len(),
        form: Form::Plain,
        cost: match start {
            0 => cost,
            _ => worth_cutting(&text[start..])?,
        },
    })
}

/// The strings of a JSON text of `cost` bytes, if what can be cut off them is the greater part
/// of it: numbers are no reason to cut all else to nothing.
pub(super) fn inside(number: usize, text: &str, cost: usize) -> Option<Vec<Piece>> {
    let literals = length::literals(text)?;
    let pieces = literals.into_iter().filter_map(|range| {
        Some(Piece {
            text: number,
            form: Form::Literal,
            cost: worth_cutting(&text[range.clone()])?,
            range,
        })
    });
    let pieces = Pieces(pieces.collect());
    (pieces.spare() * 2 >= cost).then_some(pieces.0)
}
