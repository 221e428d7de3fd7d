//! Decides whether a name hides its value. A value in brackets is hidden if anything in it is secret by that name:
//! `auth: ("user", "…")`, `id_token: Some(["…"])`, `db_pass: Inner { text: "…" }`.

use super::super::redact::{self, Sensitivity};
use super::Scan;
use super::bounds::{literal_end, name_length};

/// Wrappers around one another that are looked into for a number or text.
const WRAPPERS: usize = 8;

impl Scan<'_> {
    /// Whether a value that starts here is hidden by a name.
    pub(super) fn hides(&self, sensitivity: Sensitivity, value: usize) -> bool {
        if matches!(sensitivity, Sensitivity::Text | Sensitivity::Likely)
            && let Some(brackets) = self.brackets(value)
        {
            return self.hides_within(sensitivity, brackets);
        }
        match sensitivity {
            Sensitivity::Open => false,
            Sensitivity::Secret => true,
            Sensitivity::Likely => redact::looks_secret(self.text_at(value)),
            Sensitivity::Text => !self.is_plain(value),
            Sensitivity::Counted => {
                let holds_more = |brackets| self.hides_within(sensitivity, brackets);
                !self.is_plain_in_wrappers(value) || self.brackets(value).is_some_and(holds_more)
            }
        }
    }

    /// Whether a value that starts here is a number, a bool or nothing, also in wrappers.
    pub(super) fn is_plain_in_wrappers(&self, value: usize) -> bool {
        let mut at = value;
        for _ in 0..WRAPPERS {
            let name = name_length(&self.bytes[at..]);
            let after = at + name;
            match &self.bytes[after..] {
                [b'(', ..] if name > 0 => at = self.skip_blanks(after + 1),
                _ => return self.is_plain(at),
            }
        }
        false
    }

    /// Whether a value that starts here, in no wrapper, is a number, a bool or nothing.
    fn is_plain(&self, at: usize) -> bool {
        let rest = &self.bytes[at..];
        let is_end = |byte: &u8| matches!(byte, b',' | b')' | b']' | b'}');
        let length = rest.iter().position(is_end).unwrap_or(rest.len());
        let may_go_on = match &rest[length..] {
            [b',', next, ..] => !next.is_ascii_whitespace(),
            [] | [b','] => self.is_cut,
            _ => false,
        };
        let plain = self.text[at..at + length].trim_end();
        let is_known = matches!(plain, "" | "None" | "true" | "false");
        !may_go_on && (is_known || is_number(plain))
    }

    /// The text of a value that starts here, in no brackets: what is in its quotes, or the word.
    fn text_at(&self, value: usize) -> &[u8] {
        let bytes = self.bytes;
        let quote = value + usize::from(self.byte(value) == b'b');
        if self.byte(quote) == b'"' {
            let end = literal_end(bytes, quote).unwrap_or(bytes.len());
            return &bytes[quote + 1..end];
        }
        let is_end = |byte: &u8| matches!(byte, b',' | b')' | b']' | b'}');
        let length = bytes[value..].iter().position(is_end);
        &bytes[value..length.map_or(bytes.len(), |length| value + length)]
    }

    /// Returns where the value's own brackets open; `None` if it has none.
    pub(super) fn brackets(&self, value: usize) -> Option<usize> {
        let after = value + name_length(&self.bytes[value..]);
        match &self.bytes[after..] {
            [b'(' | b'[' | b'{', ..] | [b' ', b'{', ..] => Some(after),
            _ => None,
        }
    }

    /// Whether anything in the brackets that open at `from` is hidden by a name that hides text. Names of fields
    /// and keys of maps are seen.
    pub(super) fn hides_within(&self, sensitivity: Sensitivity, from: usize) -> bool {
        let bytes = self.bytes;
        let (looked_from, looked_to, of) = self.clear.get();
        if from >= looked_from && from < looked_to && sensitivity <= of {
            return false;
        }
        let (mut at, mut start, mut depth) = (from, from, 0);
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    let Some(end) = literal_end(bytes, at) else {
                        return hides_text(sensitivity, &bytes[at..]);
                    };
                    let is_key = self.byte(self.skip_blanks(end)) == b':';
                    if !is_key && hides_text(sensitivity, &bytes[at + 1..end]) {
                        return true;
                    }
                    (at, start) = (end, end);
                    continue;
                }
                b'\'' => {
                    if let Some(end) = self.character_end(at) {
                        at = end;
                        continue;
                    }
                }
                b'(' | b'[' | b'{' => {
                    depth += 1;
                    start = at + 1;
                }
                b':' if self.byte(at + 1).is_ascii_whitespace() => start = at + 1,
                b'=' => start = at + 1,
                sign @ (b',' | b')' | b']' | b'}') => {
                    if hides_word(sensitivity, self.text[start..at].trim()) {
                        return true;
                    }
                    start = at + 1;
                    if sign != b',' {
                        depth -= 1;
                        if depth == 0 {
                            self.clear.set((from, at, sensitivity));
                            return false;
                        }
                    }
                }
                _ => {}
            }
            at += 1;
        }
        // It was cut, or nobody can say where it ends.
        let hides = hides_text(sensitivity, &bytes[start..]);
        if !hides {
            self.clear.set((from, bytes.len(), sensitivity));
        }
        hides
    }
}

/// Whether a name of this sensitivity hides `text`.
fn hides_text(sensitivity: Sensitivity, text: &[u8]) -> bool {
    match sensitivity {
        Sensitivity::Open => false,
        Sensitivity::Likely => redact::looks_secret(text),
        Sensitivity::Text | Sensitivity::Counted | Sensitivity::Secret => true,
    }
}

/// Whether a word without quotes is hidden. Numbers, bools and `None` never are.
fn hides_word(sensitivity: Sensitivity, word: &str) -> bool {
    !matches!(word, "" | "None" | "true" | "false" | "..")
        && !is_number(word)
        && hides_text(sensitivity, word.as_bytes())
}

/// Whether `text` is a number as Rust prints one.
fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}
