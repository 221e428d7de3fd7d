//! Headers, whose names are values: `("authorization", "…")` and
//! `Header { name: "authorization", value: "…" }`. A name may be in wrappers, `Some("authorization")`, and the
//! variant of an enum.

use super::super::redact::{self, Sensitivity};
use super::bounds::{literal_end, name_length};
use super::{Lost, Scan};

/// The longest name of a header that is looked at.
const LONGEST: usize = 128;

/// The field of a header that holds its value.
pub(super) const VALUE: &str = "value";

impl Scan<'_> {
    /// Behind a value that begins at `value` and says the text of `literal`, in wrappers or not: hides what
    /// follows, if that text is the name of a secret.
    pub(super) fn header(&mut self, literal: (usize, usize), value: usize) -> Result<(), Lost> {
        let (entry, (start, end)) = (self.entry, literal);
        if entry == 0 || end - start > LONGEST || self.skip_blanks(entry) != value {
            return Ok(());
        }
        let before = self.bytes[entry - 1];
        if before == b'(' {
            self.only = Some((literal, self.at));
        }
        let is_pair = before == b'(' || before == b'[' && value == start;
        let is_name = before == b':' && is_name(&self.bytes[..entry - 1]);
        if self.byte(self.at) != b',' || !is_pair && !is_name {
            return Ok(());
        }
        let sensitivity = self.judge(start + 1, end - 1);
        if matches!(sensitivity, Sensitivity::Open) || redact::is_sentence(&self.text[start..end]) {
            return Ok(());
        }
        if is_pair {
            return self.pair(self.skip_blanks(self.at + 1), sensitivity);
        }
        self.header = sensitivity.min(Sensitivity::Text);
        Ok(())
    }

    /// At the comma behind a word that is the first in its brackets: `(Authorization, "…")`.
    pub(super) fn word_of_pair(&mut self) -> Result<(), Lost> {
        let (entry, at) = (self.entry, self.at);
        let start = self.skip_blanks(entry);
        let name = name_length(&self.bytes[start..]);
        self.start_entry(at + 1);
        if name == 0 || start + name != at {
            return Ok(());
        }
        match self.judge(start, at) {
            Sensitivity::Open => Ok(()),
            sensitivity => self.pair(self.skip_blanks(at + 1), sensitivity),
        }
    }

    /// Hides the second value of a pair, which starts at `value`. A literal is hidden if it is the last
    /// of its list; any other value that holds text is hidden with all that follows it.
    fn pair(&mut self, value: usize, sensitivity: Sensitivity) -> Result<(), Lost> {
        if self.byte(value) != b'"' {
            if self.hides(sensitivity.min(Sensitivity::Text), value) {
                self.start_entry(value);
                self.hide_value(value, false)?;
            }
            return Ok(());
        }
        let Some(end) = literal_end(self.bytes, value).or(self.is_cut.then_some(self.bytes.len()))
        else {
            return Ok(());
        };
        let mut behind = self.skip_blanks(end);
        if self.byte(behind) == b',' {
            behind = self.skip_blanks(behind + 1);
        }
        let is_last = behind >= self.bytes.len() || matches!(self.bytes[behind], b')' | b']');
        let is_content = matches!(sensitivity, Sensitivity::Likely)
            && !redact::looks_secret(&self.bytes[value + 1..end]);
        if is_last && !is_content {
            self.first.get_or_insert(value);
            self.hide(value, end);
            self.rare = end;
            self.start_entry(end);
        }
        Ok(())
    }
}

/// Whether the field that ends here is one that holds a name.
fn is_name(before: &[u8]) -> bool {
    ["name", "key", "header"].iter().any(|name| {
        let start = before.len().checked_sub(name.len());
        start.is_some_and(|start| before[start..].eq_ignore_ascii_case(name.as_bytes()))
    })
}
