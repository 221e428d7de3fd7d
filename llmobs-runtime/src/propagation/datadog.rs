//! `x-datadog-tags`: pairs `key=value`, separated by commas.

use super::{LLMOBS, PROPAGATED, key};

/// The most characters of the header (as in ddtrace).
pub(super) const LONGEST: usize = 512;

/// The pairs of a header, without the prefix `_dd.p.`; others are left out. A header that
/// is too long says nothing. Of a key that comes twice the last counts (as in ddtrace).
pub(super) fn parse(header: &str) -> Vec<(&str, &str)> {
    if header.len() > LONGEST {
        return Vec::new();
    }
    let pairs = header.split(',').filter_map(|pair| pair.split_once('='));
    let pairs = pairs
        .filter_map(|(key, value)| Some((key.trim().strip_prefix(PROPAGATED)?, value)))
        .filter(|(key, value)| is_name(key) && !value.is_empty());
    let mut last: Vec<(&str, &str)> = Vec::new();
    for (key, value) in pairs {
        match last.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => last.push((key, value)),
        }
    }
    last
}

/// Whether a key may be written into a header again.
pub(super) fn is_name(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    !key.is_empty() && key.bytes().all(plain)
}

/// Whether a pair is LLM Observability's, or says something of the very trace that is
/// written: no other may stand beside ours.
pub(super) fn is_ours(key: &str) -> bool {
    key.starts_with(LLMOBS) || key == key::UPPER || key == key::MECHANISM
}

/// Whether the header can hold a value as it is. Spaces at the end of a header are lost on
/// the way.
pub(super) fn fits(value: &str) -> bool {
    let plain = |b: u8| matches!(b, b' '..=b'~') && b != b',';
    !value.is_empty() && !value.ends_with(' ') && value.bytes().all(plain)
}

/// A header in the making.
#[derive(Default)]
pub(super) struct Tags(String);

impl Tags {
    /// Adds a pair if the header can hold it and has room.
    pub(super) fn add(&mut self, key: &str, value: &str) -> bool {
        let separator = usize::from(!self.0.is_empty());
        let length = separator + PROPAGATED.len() + key.len() + 1 + value.len();
        let room = fits(value) && self.0.len() + length <= LONGEST;
        if room {
            if separator == 1 {
                self.0.push(',');
            }
            self.0.extend([PROPAGATED, key, "=", value]);
        }
        room
    }

    /// Adds a name, cut to the room that there is.
    pub(super) fn add_name(&mut self, key: &str, name: &str) {
        let around = 1 + PROPAGATED.len() + key.len() + 1;
        let room = LONGEST.saturating_sub(self.0.len() + around);
        // What is beyond ASCII has no place in the header anyway.
        self.add(key, name.get(..room).unwrap_or(name).trim_end());
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}
