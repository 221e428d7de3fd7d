//! What the name of a value says of what the value holds: `auth: ("user", "…")`,
//! `id_token: Some(["…"])`, `db_pass: Inner { text: "…" }`.

use super::super::redact::{self, Sensitivity};
use super::bounds::{literal_end, name_length};
use super::{Scan, is_number};

impl Scan<'_> {
    /// Where the brackets open of a value that has some.
    pub(super) fn brackets(&self, value: usize) -> Option<usize> {
        let name = name_length(&self.bytes[value..]);
        let after = value + name;
        match &self.bytes[after..] {
            [b'(' | b'[' | b'{', ..] => Some(after),
            [b' ', b'{', ..] if name > 0 => Some(after + 1),
            _ => None,
        }
    }

    /// Whether anything in the brackets that open at `from` is hidden by a name that hides text. Names of fields
    /// and keys of maps are seen.
    pub(super) fn hides_within(&self, sensitivity: Sensitivity, from: usize) -> bool {
        let bytes = self.bytes;
        let (mut at, mut start, mut depth) = (from, from, 0);
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    let Some(end) = literal_end(bytes, at) else {
                        return hides_text(sensitivity, &bytes[at..]);
                    };
                    let behind = self.skip_blanks(end);
                    if self.byte(behind) == b':' {
                        start = behind + 1;
                    } else if hides_text(sensitivity, &bytes[at + 1..end - 1]) {
                        return true;
                    } else {
                        start = end;
                    }
                    at = start;
                    continue;
                }
                b'(' | b'[' | b'{' => {
                    depth += 1;
                    start = at + 1;
                }
                b':' | b'=' => start = at + 1,
                sign @ (b',' | b')' | b']' | b'}') => {
                    if hides_word(sensitivity, self.text[start..at].trim()) {
                        return true;
                    }
                    start = at + 1;
                    if sign != b',' {
                        depth -= 1;
                        if depth == 0 {
                            return false;
                        }
                    }
                }
                _ => {}
            }
            at += 1;
        }
        // It was cut, or nobody can say where it ends.
        hides_text(sensitivity, &bytes[start..])
    }
}

fn hides_text(sensitivity: Sensitivity, text: &[u8]) -> bool {
    match sensitivity {
        Sensitivity::Likely => redact::looks_secret(text),
        sensitivity => sensitivity > Sensitivity::Likely,
    }
}

/// What stands in no quotes: a number, a bool and nothing are seen.
fn hides_word(sensitivity: Sensitivity, word: &str) -> bool {
    !matches!(word, "" | "None" | "true" | "false" | "..")
        && !is_number(word)
        && hides_text(sensitivity, word.as_bytes())
}
