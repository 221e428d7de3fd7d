//! Secrets in what a `Debug` printed.
//!
//! The text is read as `{:?}` and `{:#?}` of a derived `Debug` write it: brackets, literals
//! with escapes, `name: value` between commas. By the rule of [names](super::redact) is
//! judged
//!
//! * what stands before `: ` (a field) or before `=`, back to the comma or bracket before
//!   it: also a key of a map, which is text (`"api_key": …`) or anything else
//!   (`(1, "password"): …`). Its value is hidden;
//! * the name before a bracket: `Password("…")`, `Secret { … }`, `bearer[…]`. What is in the
//!   brackets is hidden. Whether `Secret` is a struct or a variant cannot be seen.
//!
//! A hidden value ends before the bracket that closes what it is in, or before a comma after
//! which the next `name: ` or `name=` comes; blanks do not end it. Hand-written implementations
//! are read the same way: `password=a b, c, user=d` is `password=[redacted], user=d`, and
//! `key: Secret(x)` is `key: Secret([redacted])`. What is in a literal is text, as it is in
//! JSON, and a name without one of these signs (`Bearer x`) is none.
//!
//! A name that hides text only (`id_token`) hides all but numbers, bools, `None` and what holds
//! nothing else (`[1, 2]`); one of a count hides all but numbers, bools and `None`, also in
//! wrappers: `Some(2)` is a number.
//!
//! Where the text is not of that form (a bracket that nothing opened, a literal without end
//! or with something glued to it), nobody can say what belongs to what: everything behind
//! the first name of a secret is hidden, be that name in a literal or a bare word. Where it
//! was cut at the limit, a value that was cut is hidden up to the end, and a literal that
//! was cut is hidden behind the first `name: ` of a secret in it.
//!
//! The worker reads a text once, and a name only where one ends; what is in a literal is passed
//! over in words and blocks. Debug builds, in which every program is written, compile this without
//! optimisation: there a call of a closure or of an iterator costs as much as ten bytes of a
//! loop, and a `Debug` with its `format!`, which is the standard library's, 1 to 8 ns a
//! byte. So what runs for each byte or each field goes by indices.

mod bounds;
mod header;
mod within;

use std::cell::Cell;

use super::redact::{self, REDACTED, Sensitivity};
use bounds::{literal_end, name_length};

/// The longest key that is looked at as a whole if there are brackets in it; what has a
/// longer one is hidden, if the name of a secret is anywhere in the text.
const LONGEST_KEY: usize = 256;

/// Names that are kept with what they say, each in a place that its bytes say.
const JUDGED: usize = 32;

/// What parts names from all else.
const SIGNS: &[u8] = b":=,()[]{}";

/// What stands between a name and its value.
const VALUE_SIGNS: &[u8] = b":=([{";

/// What a byte is where a text is followed. A static, since a debug build copies a constant
/// for each look into it.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let structure = b":=,()[]{}\"'";
    let mut at = 0;
    while at < structure.len() {
        classes[structure[at] as usize] = STRUCTURE;
        at += 1;
    }
    at = 0;
    while at < redact::RARE.len() {
        classes[redact::RARE[at] as usize] = RARE;
        classes[redact::RARE[at].to_ascii_uppercase() as usize] = RARE;
        at += 1;
    }
    classes
};

/// [`SIGNS`] and quotes.
const STRUCTURE: u8 = 1;

/// A letter of which the name of each secret has one.
const RARE: u8 = 2;

/// `text` without the secrets in it. `is_cut`: it would go on.
pub(super) fn redact(text: String, is_cut: bool) -> String {
    let mut scan = Scan::new(&text, is_cut);
    let followed = scan.entries();
    let end = match followed {
        Ok(()) => scan.finish(),
        Err(Lost) => scan.give_up(),
    };
    end.unwrap_or(text)
}

/// Whether what was printed, `text`, is hidden by a name of its own that says so much.
pub(super) fn hides(text: &str, is_cut: bool, sensitivity: Sensitivity) -> bool {
    let scan = Scan::new(text, is_cut);
    match scan.brackets(0) {
        Some(open) if text.ends_with([')', ']', '}']) => scan.hides_within(sensitivity, open),
        _ => sensitivity.hides_text(text.trim_matches('"')),
    }
}

/// The structure of the text cannot be followed.
struct Lost;

/// A bracket that is open.
struct Open {
    close: u8,
    /// Where the entry started that the bracket is in.
    entry: usize,
    /// What the name of a header said that stands beside the bracket.
    header: Sensitivity,
}

/// How a literal ends.
enum Literal {
    Whole,
    /// It would go on where the text was cut.
    Cut,
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    is_cut: bool,
    at: usize,
    open: Vec<Open>,
    /// Where the name of a field or the key of a map may start.
    entry: usize,
    /// The same for the name before a bracket.
    word: usize,
    /// The text up to `copied`, redacted.
    out: String,
    copied: usize,
    /// Where the first hidden value starts.
    first: Option<usize>,
    /// Behind the last [`RARE`] letter, or the last literal, so far: a name that begins
    /// behind it is no secret's.
    rare: usize,
    /// Whether the name of a secret may be anywhere in the text, once that was asked.
    has_stem: Option<bool>,
    /// What the name of a header says that is a field of what is open: of its `value`.
    header: Sensitivity,
    /// The literal that is all that the brackets hold so far whose inside began last, in wrappers or not; and
    /// where they end.
    only: Option<((usize, usize), usize)>,
    /// Between the first two nothing is hidden by a name that says the third, or less. In brackets within
    /// brackets it is looked for once.
    clear: Cell<(usize, usize, Sensitivity)>,
    /// Names that were judged: those of a struct come again with each of its kind.
    judged: [(&'t [u8], Sensitivity); JUDGED],
}

impl<'t> Scan<'t> {
    fn new(text: &'t str, is_cut: bool) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            is_cut,
            at: 0,
            open: Vec::new(),
            entry: 0,
            word: 0,
            out: String::new(),
            copied: 0,
            first: None,
            rare: 0,
            has_stem: None,
            header: Sensitivity::Open,
            only: None,
            clear: Cell::new((0, 0, Sensitivity::Open)),
            judged: [(b"", Sensitivity::Open); JUDGED],
        }
    }

    /// What the name from `start` to `end` says.
    fn judge(&mut self, start: usize, end: usize) -> Sensitivity {
        let name = &self.bytes[start..end];
        if name.is_empty() {
            return Sensitivity::Open;
        }
        let place = name.len() * 7 + name[name.len() - 1] as usize + name[name.len() / 2] as usize;
        let place = place % JUDGED;
        let (known, sensitivity) = self.judged[place];
        if known.len() == name.len() && known == name {
            return sensitivity;
        }
        let sensitivity = judge(self.text, start, end);
        self.judged[place] = (name, sensitivity);
        sensitivity
    }

    #[allow(clippy::question_mark, reason = "`?` is a call in a debug build")]
    fn entries(&mut self) -> Result<(), Lost> {
        loop {
            self.skip_to_sign();
            if self.at >= self.bytes.len() {
                return self.ended();
            }
            let byte = self.bytes[self.at];
            let mut followed = Ok(());
            match byte {
                b'"' => {
                    let start = self.at;
                    if let Literal::Cut = self.literal()? {
                        if let Some(secret) = first_secret(self.text, start, VALUE_SIGNS) {
                            self.first.get_or_insert(secret);
                            self.hide(secret, self.text.len());
                        }
                        return Ok(());
                    }
                    followed = self.header((start, self.at), start);
                }
                b',' => followed = self.word_of_pair(),
                b'\'' => self.character(),
                b'(' | b'[' | b'{' => followed = self.bracket(byte),
                b')' | b']' | b'}' => followed = self.close(byte),
                b':' if self.byte(self.at + 1) == b':' => self.at += 2,
                _ => followed = self.named(),
            }
            if let Err(lost) = followed {
                return Err(lost);
            }
        }
    }

    /// Goes to the next sign of the structure. At a comma an entry starts, no more.
    fn skip_to_sign(&mut self) {
        let bytes = self.bytes;
        let mut at = self.at;
        while at < bytes.len() {
            let byte = bytes[at];
            let class = CLASSES[byte as usize];
            if class == 0 {
                at += 1;
            } else if class == RARE {
                at += 1;
                self.rare = at;
            } else if byte == b',' {
                // A word may be the name of a header, in front of its value.
                let entry = self.entry;
                if self.rare > entry && entry > 0 && bytes[entry - 1] == b'(' {
                    break;
                }
                at += 1;
                self.entry = at;
                self.word = at;
            } else {
                break;
            }
        }
        self.at = at;
    }

    /// The byte at `at`, or a blank behind the text.
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        if at < self.bytes.len() {
            self.bytes[at]
        } else {
            b' '
        }
    }

    /// The end of the text is no surprise.
    fn ended(&self) -> Result<(), Lost> {
        if self.is_cut || self.open.is_empty() {
            Ok(())
        } else {
            Err(Lost)
        }
    }

    fn start_entry(&mut self, at: usize) {
        self.at = at;
        self.entry = at;
        self.word = at;
    }

    /// At the sign between a name and its value.
    fn named(&mut self) -> Result<(), Lost> {
        let (entry, at) = (self.entry, self.at);
        if at == entry || self.is_blank(at - 1) && self.text[entry..at].trim().is_empty() {
            return Err(Lost);
        }
        if self.header != Sensitivity::Open
            && self.text[entry..at]
                .trim()
                .eq_ignore_ascii_case(header::VALUE)
        {
            let value = self.skip_blanks(at + 1);
            self.start_entry(value);
            if self.hides(self.header, value) {
                self.hide_value(value, true)?;
                self.start_entry(self.at);
            }
            return Ok(());
        }
        if self.rare <= entry && (self.word == entry || at - entry <= LONGEST_KEY) {
            self.start_entry(at + 1);
            return Ok(());
        }
        let has_brackets = self.word != entry;
        let sensitivity = if !has_brackets || at - entry <= LONGEST_KEY {
            self.judge(entry, at)
        } else if self.has_stem() {
            Sensitivity::Secret
        } else {
            Sensitivity::Open
        };
        self.start_entry(self.at + 1);
        if matches!(sensitivity, Sensitivity::Open) {
            return Ok(());
        }
        let value = self.skip_blanks(self.at);
        if self.hides(sensitivity, value) {
            self.hide_value(value, true)?;
            self.start_entry(self.at);
        }
        Ok(())
    }

    /// Whether the name of a secret may be anywhere in the text.
    fn has_stem(&mut self) -> bool {
        let bytes = self.bytes;
        *self
            .has_stem
            .get_or_insert_with(|| redact::has_stem(bytes, 0, bytes.len()))
    }

    fn hide_value(&mut self, from: usize, names: bool) -> Result<(), Lost> {
        self.first.get_or_insert(from);
        self.at = from;
        self.skip_value(names)?;
        self.rare = self.at;
        let mut end = self.at;
        if end > from && self.is_blank(end - 1) {
            end = from + self.text[from..end].trim_end().len();
        }
        self.hide(from, end);
        Ok(())
    }

    /// At a bracket that opens.
    fn bracket(&mut self, bracket: u8) -> Result<(), Lost> {
        let sensitivity = if self.rare <= self.word {
            Sensitivity::Open
        } else {
            self.judge(self.word, self.at)
        };
        let is_wrapper = bracket == b'(';
        let open = self.at;
        self.open(bracket);
        if matches!(sensitivity, Sensitivity::Open) {
            return Ok(());
        }
        let value = self.skip_blanks(self.at);
        let hidden = match sensitivity {
            Sensitivity::Text | Sensitivity::Likely => self.hides_within(sensitivity, open),
            Sensitivity::Counted => {
                let is_plain = is_wrapper && self.is_plain_in_wrappers(value);
                !is_plain || self.hides_within(sensitivity, open)
            }
            Sensitivity::Open | Sensitivity::Secret => true,
        };
        if hidden {
            self.hide_value(value, false)?;
        }
        Ok(())
    }

    fn open(&mut self, bracket: u8) {
        self.open.push(Open {
            close: match bracket {
                b'(' => b')',
                b'[' => b']',
                _ => b'}',
            },
            entry: self.entry,
            header: self.header,
        });
        self.header = Sensitivity::Open;
        self.only = None;
        self.start_entry(self.at + 1);
    }

    /// At a bracket that closes.
    fn close(&mut self, bracket: u8) -> Result<(), Lost> {
        let open = self.open.pop().ok_or(Lost)?;
        let only = self.only.take();
        let only = only.filter(|(_, end)| bracket == b')' && self.is_all_up_to(*end, self.at));
        let only = only.map(|(literal, _)| literal);
        self.at += 1;
        self.entry = open.entry;
        self.word = self.at;
        self.header = open.header;
        if open.close != bracket || !self.value_ends(self.at) {
            return Err(Lost);
        }
        match only {
            Some(literal) => self.header(literal, self.skip_blanks(open.entry)),
            None => Ok(()),
        }
    }

    /// Whether nothing but blanks and a comma is between the two.
    fn is_all_up_to(&self, from: usize, to: usize) -> bool {
        let at = self.skip_blanks(from);
        self.skip_blanks(at + usize::from(self.byte(at) == b',')) == to
    }

    /// Goes to where a value ends: at the bracket that closes what it is in, or, in a list
    /// of `names` and values, at a comma.
    fn skip_value(&mut self, names: bool) -> Result<(), Lost> {
        let outside = self.open.len();
        while self.at < self.bytes.len() {
            let byte = self.bytes[self.at];
            if CLASSES[byte as usize] != STRUCTURE {
                self.at += 1;
                continue;
            }
            match byte {
                b'"' => {
                    self.literal()?;
                }
                b'\'' => self.character(),
                b'(' | b'[' | b'{' => self.open(byte),
                b')' | b']' | b'}' => {
                    if self.open.len() == outside {
                        return Ok(());
                    }
                    self.close(byte)?;
                }
                b',' if names && self.open.len() == outside && self.entry_starts(self.at + 1) => {
                    return Ok(());
                }
                _ => self.at += 1,
            }
        }
        self.ended()
    }

    /// At a quote.
    fn literal(&mut self) -> Result<Literal, Lost> {
        if !self.value_starts(self.at) {
            return Err(Lost);
        }
        match literal_end(self.bytes, self.at) {
            Some(end) if self.value_ends(end) => {
                self.at = end;
                self.rare = end;
                Ok(Literal::Whole)
            }
            None if self.is_cut => {
                self.at = self.bytes.len();
                Ok(Literal::Cut)
            }
            _ => Err(Lost),
        }
    }

    /// At an apostrophe: a literal if it is one, else only that.
    fn character(&mut self) {
        if let Some(end) = self.character_end(self.at) {
            self.at = end;
            self.rare = end;
        } else {
            self.at += 1;
        }
    }

    /// Where the character ends whose apostrophe is at `at`; `None` if that is none.
    fn character_end(&self, at: usize) -> Option<usize> {
        let escape = self.byte(at + 1) == b'\\';
        let start = at + 1;
        let quoted = &self.text[start..];
        let length = if escape {
            // `\'` and `\u{1f}`; what is escaped is ASCII.
            quoted.get(2..).and_then(|rest| {
                let end = rest.find('\'')?;
                (end <= "{10ffff}".len()).then_some(2 + end)
            })
        } else {
            quoted.chars().next().map(char::len_utf8)
        };
        let end = start + length?;
        let is_character = self.byte(end) == b'\'' && self.value_starts(at);
        is_character.then_some(end + 1)
    }

    /// Whether a literal may start here.
    fn value_starts(&self, at: usize) -> bool {
        let mut before = at;
        // Bytes are printed as `b"…"`.
        if before > 0 && self.bytes[before - 1] == b'b' {
            before -= 1;
        }
        before == 0
            || matches!(
                self.bytes[before - 1],
                b' ' | b'\n' | b'(' | b'[' | b'{' | b',' | b':' | b'=' | b'.'
            )
    }

    /// Whether a value that ends here is followed by what may follow one.
    fn value_ends(&self, at: usize) -> bool {
        if at >= self.bytes.len() {
            return true;
        }
        let is_last = at + 1 == self.bytes.len();
        match self.bytes[at] {
            b',' | b')' | b']' | b'}' | b':' | b'=' | b'>' => true,
            b' ' | b'.' if is_last => self.is_cut,
            b' ' => matches!(self.bytes[at + 1], b'}' | b'='),
            b'.' => self.bytes[at + 1] == b'.',
            _ => false,
        }
    }

    /// Whether after a comma the next entry comes, or none: not more of the same value.
    fn entry_starts(&self, after: usize) -> bool {
        let at = self.skip_blanks(after);
        match self.bytes.get(at) {
            None | Some(b')' | b']' | b'}') => true,
            Some(b'.') => {
                let end = self.skip_blanks(at + 2);
                let is_closed = matches!(self.bytes.get(end), Some(b')' | b']' | b'}'));
                is_closed && self.bytes[at..].starts_with(b"..")
            }
            Some(b'"') => literal_end(self.bytes, at).is_some_and(|end| self.is_sign(end)),
            Some(&first) => {
                let is_name = first.is_ascii_alphabetic() || first == b'_' || !first.is_ascii();
                let end = at + name_length(&self.bytes[at..]);
                at > after && is_name && self.is_sign(end)
            }
        }
    }

    fn is_sign(&self, at: usize) -> bool {
        match &self.bytes[at..] {
            [b':', next, ..] => next.is_ascii_whitespace() || self.bytes[at - 1] == b'"',
            [b'=', ..] | [b' ', b'=', ..] => true,
            _ => false,
        }
    }

    /// Whether at `at` there is what may be a blank, of Unicode's too.
    fn is_blank(&self, at: usize) -> bool {
        matches!(self.bytes[at], 0..=b' ' | 0x80..)
    }

    fn skip_blanks(&self, from: usize) -> usize {
        let mut at = from;
        while at < self.bytes.len() && matches!(self.bytes[at], b' ' | b'\n' | b'\t' | b'\r' | 12) {
            at += 1;
        }
        at
    }

    fn hide(&mut self, from: usize, to: usize) {
        self.out.push_str(&self.text[self.copied..from]);
        self.out.push_str(REDACTED);
        self.copied = to;
    }

    /// The text as it was followed; `None` if nothing is hidden.
    fn finish(mut self) -> Option<String> {
        self.first?;
        self.out.push_str(&self.text[self.copied..]);
        Some(self.out)
    }

    /// The text up to the first secret.
    fn give_up(self) -> Option<String> {
        let found = first_secret(self.text, 0, SIGNS);
        let end = found.into_iter().chain(self.first).min()?;
        Some(format!("{}{REDACTED}", &self.text[..end]))
    }
}

/// Where the text ends that may be shown, whatever its structure is: behind the first name
/// of a secret that one of `signs` follows.
fn first_secret(text: &str, from: usize, signs: &[u8]) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut start = from;
    let mut at = from;
    while at < bytes.len() {
        let byte = bytes[at];
        if CLASSES[byte as usize] == STRUCTURE && byte != b'"' && byte != b'\'' {
            if signs.contains(&byte) && judge(text, start, at) != Sensitivity::Open {
                return Some(at + 1);
            }
            start = at + 1;
        }
        at += 1;
    }
    None
}

/// What the name from `start` to `end` says, as it is printed: what looks like an escape may
/// be one, which is no letter.
fn judge(text: &str, start: usize, end: usize) -> Sensitivity {
    if !redact::has_stem(text.as_bytes(), start, end) {
        return Sensitivity::Open;
    }
    let name = &text[start..end];
    if name.trim_end().ends_with('"') && redact::is_sentence(name.trim()) {
        return Sensitivity::Open;
    }
    let printed = redact::by_words(name.as_bytes());
    if !name.contains('\\') {
        return printed;
    }
    let mut unescaped = String::with_capacity(name.len());
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        if character == '\\' {
            characters.next();
            unescaped.push(' ');
        } else {
            unescaped.push(character);
        }
    }
    printed.max(redact::by_words(unescaped.as_bytes()))
}
