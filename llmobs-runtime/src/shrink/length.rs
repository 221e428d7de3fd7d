//! Lengths as JSON, and cuts that come to no more than a given one.
//!
//! The wire counts: a quote is two bytes there, a control character six.

use std::io;
use std::ops::Range;

use serde::Serialize;

/// The bytes that `value` has as JSON; nothing is kept of it.
pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Nothing here fails to be JSON: what is counted is of our own types.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// The bytes that `text` has inside a JSON string, without the quotes.
pub(super) fn inside(text: &str) -> usize {
    let mut bytes = 0;
    // A loop, since programs are run without optimization too and texts have megabytes.
    for byte in text.as_bytes() {
        bytes += of_byte(*byte);
    }
    bytes
}

/// What a byte is inside a JSON string, in bytes, as `serde_json` writes it.
const WRITTEN: [u8; 256] = {
    let mut written = [1; 256];
    let mut control = 0;
    while control < 0x20 {
        written[control] = 6;
        control += 1;
    }
    let short = *b"\x08\t\n\x0c\r\"\\";
    let mut index = 0;
    while index < short.len() {
        written[short[index] as usize] = 2;
        index += 1;
    }
    written
};

fn of_byte(byte: u8) -> usize {
    usize::from(WRITTEN[usize::from(byte)])
}

/// How a text may be divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Between any two characters.
    Plain,
    /// As what stands between the quotes of a JSON string: not inside an escape either.
    Literal,
}

/// What the longest mark with its two ellipses has, save its digits.
const MARK: usize = "…[".len() + " bytes cut]…".len();

/// What stands between the head and the tail of a text.
fn mark(bytes: usize) -> String {
    format!("…[{bytes} bytes cut]…")
}

/// Adds `text` with so much of its middle replaced by a mark that it has at most `most` bytes
/// inside a JSON string; it has more before.
pub(super) fn push_cut(out: &mut String, text: &str, form: Form, most: usize) {
    let claimed: usize = earlier_marks(text).map(|(_, missing)| missing).sum();
    let digits = (text.len() + claimed).to_string().len();
    let (head, tail) = ends(text, form, most.saturating_sub(MARK + digits));
    out.push_str(&text[..head]);
    out.push_str(&mark(missing_bytes(&text[head..tail])));
    out.push_str(&text[tail..]);
}

/// How many bytes are missing once `text` is, those of earlier cuts included.
pub(super) fn missing_bytes(text: &str) -> usize {
    let mut bytes = text.len();
    for (mark, missing) in earlier_marks(text) {
        bytes = (bytes + missing).saturating_sub(mark);
    }
    bytes
}

fn earlier_marks(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let starts = text.match_indices("…[").map(|(at, _)| at);
    starts.filter_map(|at| earlier_mark(&text[at..]))
}

/// The length of a mark of ours that `text` begins with, and what it says is missing.
pub(super) fn earlier_mark(text: &str) -> Option<(usize, usize)> {
    let rest = text.strip_prefix("…[")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    // A text can claim what it wants.
    let missing: u32 = rest[..digits].parse().ok()?;
    let after = rest[digits..].strip_prefix(" bytes cut]")?;
    // The ellipsis may be that of the next mark.
    let closed = after
        .strip_prefix('…')
        .filter(|rest| !rest.starts_with('['));
    let after = closed.unwrap_or(after);
    Some((text.len() - after.len(), missing as usize))
}

/// Where the head ends and the tail begins, which have at most `room` bytes together inside
/// a JSON string.
fn ends(text: &str, form: Form, room: usize) -> (usize, usize) {
    let (mut head, mut left) = (0, room.div_ceil(2));
    while head < text.len() {
        let end = match form {
            Form::Plain => head + 1,
            Form::Literal => head + unit(text, head),
        };
        let mut cost = 0;
        for byte in &text.as_bytes()[head..end] {
            cost += of_byte(*byte);
        }
        if cost > left {
            break;
        }
        left -= cost;
        head = end;
    }
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    if form == Form::Plain {
        let before = |at: usize| text[..at].chars().next_back().map(|c| at - c.len_utf8());
        head = between_signs(text, head, before);
    }
    let room = room.saturating_sub(inside(&text[..head]));
    (head, tail_start(text, head, form, room))
}

/// Where a tail of at most `room` bytes begins, not before `head`.
fn tail_start(text: &str, head: usize, form: Form, mut room: usize) -> usize {
    if form == Form::Literal {
        // From the front, since an escape cannot be told from its end.
        let (mut tail, mut rest) = (head, inside(&text[head..]));
        while rest > room {
            let end = tail + unit(text, tail);
            rest -= inside(&text[tail..end]);
            tail = end;
        }
        return tail;
    }
    let mut tail = text.len();
    while tail > head {
        let cost = of_byte(text.as_bytes()[tail - 1]);
        if cost > room {
            break;
        }
        room -= cost;
        tail -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    let after = |at: usize| text[at..].chars().next().map(|c| at + c.len_utf8());
    between_signs(text, tail, after)
}

/// The bytes of what may not be divided at `at` of a literal: a character or an escape, both
/// halves of a surrogate pair together.
fn unit(text: &str, at: usize) -> usize {
    let rest = &text.as_bytes()[at..];
    let is_high = |digits: &[u8]| {
        matches!(
            digits,
            [b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..]
        )
    };
    let bytes = match rest {
        [b'\\', b'u', digits @ ..] => {
            let low = digits.get(4..).is_some_and(|low| low.starts_with(b"\\u"));
            if is_high(digits) && low { 12 } else { 6 }
        }
        [b'\\', ..] => 2,
        _ => text[at..].chars().next().map_or(1, char::len_utf8),
    };
    bytes.min(rest.len())
}

/// How far a cut moves so that it does not divide what is seen as one sign.
const LONGEST_SIGN: usize = 16;

/// `at`, or a place near it in the direction of `step` that divides no emoji of several
/// characters and no letter from its accents, where there is one.
fn between_signs(text: &str, at: usize, step: impl Fn(usize) -> Option<usize>) -> usize {
    let divides = |at: usize| {
        let after = text[at..].chars().next();
        let before = text[..at].chars().next_back();
        before == Some('\u{200d}') || after.is_some_and(belongs_to_the_one_before)
    };
    let moved = std::iter::successors(Some(at), |&at| step(at));
    let mut moved = moved
        .take(LONGEST_SIGN)
        .take_while(|&at| at > 0 && at < text.len());
    moved.find(|&at| !divides(at)).unwrap_or(at)
}

/// Joiners, variation selectors, skin tones, combining marks.
fn belongs_to_the_one_before(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}')
}

/// Where the strings of a JSON text stand, without their quotes; keys are left out. `None`
/// where it is no JSON object or array.
pub(super) fn literals(text: &str) -> Option<Vec<Range<usize>>> {
    let bytes = text.as_bytes();
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if !matches!(first, b'{' | b'[') || !is_json() {
        return None;
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = text[at..].find('"') {
        let start = at + offset + 1;
        let end = start + end_of_literal(&bytes[start..])?;
        at = end + 1;
        let next = bytes[at..].iter().find(|byte| !byte.is_ascii_whitespace());
        if next != Some(&b':') {
            found.push(start..end);
        }
    }
    Some(found)
}

fn end_of_literal(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_what_serde_json_writes() {
        for code in 0..0x3000 {
            let Some(c) = char::from_u32(code) else {
                continue;
            };
            let text = c.to_string();
            let written = serde_json::to_string(&text).unwrap().len() - 2;
            assert_eq!(inside(&text), written, "{code:#x}");
            assert_eq!(of(&text), written + 2);
        }
    }

    fn cut(text: &str, form: Form, most: usize) -> String {
        let mut out = String::new();
        push_cut(&mut out, text, form, most);
        assert!(inside(&out) <= most, "{out:?} has more than {most}");
        out
    }

    #[test]
    fn a_mark_stands_between_head_and_tail_and_tells_what_is_missing() {
        let text = format!("{}{}", "a".repeat(500), "b".repeat(500));
        assert_eq!(
            cut(&text, Form::Plain, 62),
            "aaaaaaaaaaaaaaaaaaaa…[960 bytes cut]…bbbbbbbbbbbbbbbbbbbb"
        );
        let twice = cut(&cut(&text, Form::Plain, 165), Form::Plain, 65);
        assert!(twice.contains(" bytes cut]…bbbb"), "{twice}");
        let (_, missing) = earlier_mark(&twice[twice.find('…').unwrap()..]).unwrap();
        let kept = twice.matches(['a', 'b']).count();
        // One of them is that of "bytes".
        assert_eq!(missing + kept - 1, 1_000, "{twice}");
    }

    #[test]
    fn marks_that_stand_side_by_side_are_counted_each_for_itself() {
        let text = "…[1 bytes cut]…[2 bytes cut]…[0 bytes cut]";
        assert_eq!(missing_bytes(text), 3);
        assert_eq!(missing_bytes(&format!("ab{text}…c")), 6);
        assert_eq!(
            missing_bytes("…[4294967296 bytes cut]"),
            25,
            "no mark of ours"
        );
    }

    #[test]
    fn what_is_seen_as_one_sign_stays_whole() {
        let family = "👩‍👩‍👧‍👦";
        let text = family.repeat(50);
        // One for each place in the sign that the cut may fall on; a few of them for miri.
        let step = if cfg!(miri) { 27 } else { 1 };
        for most in (100..180).step_by(step) {
            let cut = cut(&text, Form::Plain, most);
            let (head, rest) = cut.split_once("…[").unwrap();
            let tail = rest.rsplit_once("]…").unwrap().1;
            assert_eq!(head, family.repeat(head.len() / family.len()), "{most}");
            assert_eq!(tail, family.repeat(tail.len() / family.len()), "{most}");
        }
        // A sign without end has no such place.
        let endless = format!("e{}", "\u{301}".repeat(1_000));
        assert!(cut(&endless, Form::Plain, 100).starts_with("e\u{301}"));
        // Nor has one that goes on to the beginning, or the end, of the text.
        let short = cut(&endless, Form::Plain, MARK + 4 + 16);
        assert!(
            short.starts_with("e\u{301}") && short.ends_with('\u{301}'),
            "{short}"
        );
    }

    #[test]
    fn a_cut_takes_all_the_room_that_there_is() {
        let text = "a".repeat(2_000);
        for form in [Form::Plain, Form::Literal] {
            for most in 100..110 {
                assert_eq!(cut(&text, form, most).len(), most, "{form:?}");
            }
        }
        let halves = |text: &str, form, room| {
            let cut = cut(text, form, MARK + 4 + room);
            let (head, rest) = cut.split_once('…').unwrap();
            let (_, tail) = rest.rsplit_once('…').unwrap();
            (head.to_owned(), tail.to_owned())
        };
        // Half of six bytes is one letter and a half: the head has no more than its half.
        let (head, tail) = halves(&"é".repeat(500), Form::Plain, 6);
        assert_eq!((&*head, &*tail), ("é", "éé"));
        // An escape has one byte more inside a JSON string; these are no pairs of surrogates.
        for escape in ["\\u00e9", "\\ud83d", "\\ude00"] {
            let (head, tail) = halves(&format!("{escape}x").repeat(300), Form::Literal, 16);
            assert_eq!(head, format!("{escape}x"));
            assert_eq!(tail, format!("{escape}x"));
        }
        let (head, tail) = halves(&"\\u00e9".repeat(300), Form::Literal, 14);
        assert_eq!((&*head, &*tail), ("\\u00e9", "\\u00e9"));
    }

    #[test]
    fn an_escape_in_a_literal_is_never_divided() {
        for piece in [
            "\\n",
            "\\u00e9",
            "\\ud83d\\ude00",
            "\\\"",
            "\\\\",
            "é",
            "😀",
        ] {
            let inner = piece.repeat(100);
            for most in 128..160 {
                let cut = cut(&inner, Form::Literal, most);
                let parsed: String = serde_json::from_str(&format!("\"{cut}\"")).unwrap();
                let unit: String = serde_json::from_str(&format!("\"{piece}\"")).unwrap();
                assert!(
                    parsed.starts_with(&unit) && parsed.ends_with(&unit),
                    "{parsed}"
                );
            }
        }
    }

    #[test]
    fn the_strings_of_a_json_text_are_found_and_its_keys_are_not() {
        let text = r#" {"k\"": ["a", {"b" : "c\\\"d"}], "e": 1} "#;
        let found = literals(text).unwrap();
        let found: Vec<&str> = found.into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["a", r#"c\\\"d"#]);
        for text in ["", "a", "\"a\"", "{\"a\": }", "[1", "{]"] {
            assert_eq!(literals(text), None, "{text}");
        }
    }

    #[test]
    fn a_mark_that_counts_an_earlier_one_has_room_for_its_digits() {
        let text = format!("{0}…[4000000000 bytes cut]…{0}", "a".repeat(200));
        for most in 60..200 {
            let cut = cut(&text, Form::Plain, most);
            assert!(cut.contains("…[4000000"), "{cut}");
        }
    }
}
