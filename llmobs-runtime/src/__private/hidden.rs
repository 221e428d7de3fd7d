//! Secrets in what `Debug` prints: a derived one names its fields, and so do maps. What
//! stands behind such a name (`api_key: …`, `"password": …`, `Bearer(…)`) is hidden as the
//! same field of a `Serialize` type would be.

use crate::capture::{REDACTED, redacted_name};

/// `text` without the values of names that hold a secret.
pub(super) fn hide(text: String) -> String {
    let mut shown = String::new();
    // Up to where `text` has been taken over, and up to where it has been read.
    let (mut taken, mut at) = (0, 0);
    while let Some(found) = next_name(&text, at) {
        at = found.value;
        if redacted_name(found.name, is_text(&text[found.value..])) {
            shown.push_str(&text[taken..found.value]);
            shown.push_str(REDACTED);
            at = end_of_value(&text, found.value);
            taken = at;
        }
    }
    if taken == 0 {
        return text;
    }
    shown.push_str(&text[taken..]);
    shown
}

/// A name, and where its value begins.
struct Named<'a> {
    name: &'a str,
    value: usize,
}

/// The next `name: `, `"name": ` or `Name(` from `from` on.
fn next_name(text: &str, from: usize) -> Option<Named<'_>> {
    let bytes = text.as_bytes();
    let mut at = from;
    let mut name = from..from;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let end = end_of_string(bytes, at);
                name = at + 1..end.saturating_sub(1).max(at + 1);
                at = end;
                continue;
            }
            b'\'' => {
                at = end_of_char(bytes, at);
                name = at..at;
                continue;
            }
            b':' if bytes.get(at + 1) == Some(&b' ') && !name.is_empty() => {
                let name = text.get(name)?;
                return Some(Named {
                    name,
                    value: at + 2,
                });
            }
            b'(' if !name.is_empty() && bytes[name.start] != b'"' => {
                let name = text.get(name)?;
                return Some(Named {
                    name,
                    value: at + 1,
                });
            }
            byte if is_of_name(byte) => {
                let length = bytes[at..].iter().take_while(|byte| is_of_name(**byte));
                name = at..at + length.count();
                at = name.end;
                continue;
            }
            _ => name = at..at,
        }
        at += 1;
    }
    None
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'_' | b'-' | b'#')
}

/// Whether the value is text, also within `Some(…)` or a type of one field.
fn is_text(value: &str) -> bool {
    let inner =
        value.trim_start_matches(|char: char| char.is_alphanumeric() || "_(".contains(char));
    inner.starts_with('"')
}

/// Behind the value, at the `,` or bracket that ends it; the end of a text that was cut.
fn end_of_value(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (from, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = end_of_string(bytes, at);
                continue;
            }
            b'\'' => {
                at = end_of_char(bytes, at);
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' | b',' if depth == 0 => {
                return from + text[from..at].trim_end().len();
            }
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Behind the closing quote.
fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Behind `'x'` or `'\n'`; behind the quote alone where it is none of these.
fn end_of_char(bytes: &[u8], from: usize) -> usize {
    let escaped = bytes.get(from + 1) == Some(&b'\\');
    let closing = bytes
        .iter()
        .skip(from + if escaped { 3 } else { 2 })
        .take(10)
        .position(|byte| *byte == b'\'');
    match (closing, escaped) {
        (Some(more), true) => from + 4 + more,
        // One character is four bytes at most.
        (Some(more), false) if more < 4 => from + 3 + more,
        _ => from + 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::hide;

    #[derive(Debug)]
    #[allow(dead_code, reason = "read by `Debug`")]
    struct Login {
        user: &'static str,
        api_key: Option<String>,
        r#secret: char,
        retries: u8,
    }

    #[derive(Debug)]
    #[allow(dead_code, reason = "read by `Debug`")]
    enum Auth {
        Bearer(String),
        Token { token: u32, token_text: Box<str> },
        Nothing,
    }

    fn shown(value: impl std::fmt::Debug) -> String {
        hide(format!("{value:?}"))
    }

    #[test]
    fn fields_keys_and_variants_of_a_secret_name_are_hidden() {
        let login = Login {
            user: "password: \"no\", {",
            api_key: Some("k, \"}1".to_owned()),
            r#secret: ',',
            retries: 3,
        };
        assert_eq!(
            shown(&login),
            r#"Login { user: "password: \"no\", {", api_key: [redacted], secret: [redacted], retries: 3 }"#
        );
        assert_eq!(
            shown([
                Auth::Bearer("b".to_owned()),
                Auth::Token {
                    token: 1,
                    token_text: "t".into()
                },
                Auth::Nothing,
            ]),
            "[Bearer([redacted]), Token { token: 1, token_text: [redacted] }, Nothing]"
        );
        let map = BTreeMap::from([("Proxy-Authorization", Some(vec!["x"])), ("q", None)]);
        assert_eq!(
            shown((map, 'ä', '\'', 'x')),
            r#"({"Proxy-Authorization": [redacted], "q": None}, 'ä', '\'', 'x')"#
        );
    }

    #[test]
    fn pretty_and_cut_texts_show_no_secret_either() {
        let login = || Login {
            user: "u",
            api_key: Some("abc".to_owned()),
            r#secret: 'x',
            retries: 3,
        };
        let pretty = hide(format!("{:#?}", login()));
        assert!(
            !pretty.contains("abc") && pretty.contains("retries: 3"),
            "{pretty}"
        );
        let text = format!("{:?}", login());
        for end in 0..=text.len() {
            let cut = hide(text[..end].to_owned());
            assert!(!cut.contains("\"a"), "{cut}");
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in [
            "",
            "it's a secret, is it: yes",
            "(1, 2)",
            "max_tokens: 3",
            "Err(\"x\")",
            "\"unterminated: ",
            "'",
            "'\\",
            "a: 'b",
            "\"password\"",
        ] {
            assert_eq!(hide(text.to_owned()), text);
        }
    }
}
