//! Headers, whose names are values: `("authorization", "…")` and
//! `Header { name: "authorization", value: "…" }`.

use super::super::redact::{self, Sensitivity};
use super::bounds::literal_end;
use super::{Lost, Scan};

/// The longest name of a header that is looked at.
const LONGEST: usize = 128;

/// The field of a header that holds its value.
const VALUE: &[u8] = b"value:";

impl Scan<'_> {
    /// Behind the literal that began at `start`: hides the value that follows, if the literal
    /// is the name of a secret.
    pub(super) fn header(&mut self, start: usize) -> Result<(), Lost> {
        let (entry, end) = (self.entry, self.at);
        if self.byte(end) != b',' || entry == 0 || end - start > LONGEST {
            return Ok(());
        }
        let before = self.bytes[entry - 1];
        let is_pair = before == b'(' || before == b'[';
        if !is_pair && before != b':' || self.skip_blanks(entry) != start {
            return Ok(());
        }
        if !is_pair && !is_name(&self.bytes[..entry - 1]) {
            return Ok(());
        }
        let sensitivity = self.judge(start + 1, end - 1);
        if matches!(sensitivity, Sensitivity::Open) {
            return Ok(());
        }
        let second = self.skip_blanks(end + 1);
        if is_pair {
            return self.pair(second, sensitivity);
        }
        if self.bytes[second..].starts_with(VALUE) {
            let value = self.skip_blanks(second + VALUE.len());
            let sensitivity = sensitivity.min(Sensitivity::Text);
            if self.hides(sensitivity, value) {
                self.start_entry(value);
                self.hide_value(value, true)?;
                self.start_entry(self.at);
            }
        }
        Ok(())
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
    [&b"name"[..], b"key", b"header"]
        .iter()
        .any(|name| before.ends_with(name))
}
