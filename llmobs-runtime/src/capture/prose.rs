//! Secrets in what an error says: in URLs, and behind `Bearer`; and in the URLs of captured
//! text.
//!
//! Clients put the URL of a request into their errors, and some providers take the key in it
//! (`?key=…`). Hidden are the values of a query whose names are those of secrets, or `key`,
//! `sig`, `signature`; the password of `scheme://user:password@host`; and what follows
//! `Bearer ` or `Basic ` if it is no word. All else is prose and stays.

use serde_json::{Map, Value};

use super::redact::{self, REDACTED, Sensitivity};

/// Bytes from which on what follows `Bearer` is no word of a sentence.
const SHORTEST: usize = 8;

/// `text` without the secrets in it.
pub(crate) fn scrub(text: String) -> String {
    let mut hidden: Vec<(usize, usize)> = Vec::new();
    let bytes = text.as_bytes();
    // Where the value that was found last ends: it may hold all that a query begins with.
    let mut to = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let found = match byte {
            b'=' if at >= to => {
                let value = query(&text, at);
                to = value.map_or(to, |(_, end)| end);
                value
            }
            b':' if text[at..].starts_with("://") => password(&text, at + 3),
            b' ' => scheme(&text, at),
            _ => None,
        };
        hidden.extend(found.filter(|(from, to)| from < to));
    }
    replaced(&text, hidden).unwrap_or(text)
}

/// A captured `text` without the secrets in its URLs; `None` if there are none. Only what is
/// behind a `://` is looked at, so that a text without one costs a search for slashes. Where the
/// text `is_cut`, the `@` behind a password may be missing.
pub(super) fn scrub_urls(text: &str, is_cut: bool) -> Option<String> {
    let bytes = text.as_bytes();
    // Most texts are short and have none, for which the search below is dear to begin.
    if !bytes.contains(&b'/') {
        return None;
    }
    let mut hidden = Vec::new();
    let mut from = 0;
    while let Some(length) = text[from..].find('/') {
        let at = from + length;
        from = at + 1;
        if at == 0 || bytes[at - 1] != b':' || bytes.get(from) != Some(&b'/') {
            continue;
        }
        let start = at + 2;
        // A `\\` in printed text is the start of an escape.
        let end = end(text, start, "\\");
        let authority = &text[start..end];
        hidden.extend(match authority.find([':', '@', '/', '?', '#']) {
            Some(colon) if is_cut && end == bytes.len() && !authority.contains(['@', '/']) => {
                Some((start + colon + 1, end))
            }
            _ => password(text, start),
        });
        queries(text, start, end, text.len(), &mut hidden);
        from = end;
    }
    hidden.retain(|(from, to)| from < to);
    replaced(text, hidden)
}

/// Hides the secrets in the URLs of every text in `value`, as [`scrub_urls`] does.
pub(super) fn scrub_value(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(scrubbed) = scrub_urls(text, false) {
                *text = scrubbed;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(scrub_value),
        Value::Object(map) => {
            scrub_keys(map);
            map.values_mut().for_each(scrub_value);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The same for the keys of a map. Where two are the same without their secrets, none is lost.
fn scrub_keys(map: &mut Map<String, Value>) {
    let scrubbed = |key: &String| scrub_urls(key, false).map(|new| (key.clone(), new));
    let renamed: Vec<_> = map.keys().filter_map(scrubbed).collect();
    for (key, mut new) in renamed {
        while map.contains_key(&new) {
            new.push('\'');
        }
        if let Some(value) = map.remove(&key) {
            map.insert(new, value);
        }
    }
}

/// `text` with each of the `hidden` parts replaced, if there are any.
fn replaced(text: &str, mut hidden: Vec<(usize, usize)>) -> Option<String> {
    if hidden.is_empty() {
        return None;
    }
    hidden.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (from, to) in hidden {
        if from >= copied {
            out.push_str(&text[copied..from]);
            out.push_str(REDACTED);
        }
        copied = copied.max(to);
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// A printed `text` without the secrets in the queries that stand in fields of their own, as `url::Url` prints
/// them: `query: Some("key=…")`. `None` if there are none.
pub(super) fn scrub_query_fields(text: &str) -> Option<String> {
    const FIELD: &str = "query: ";
    let mut hidden = Vec::new();
    let mut from = 0;
    while let Some(length) = text[from..].find(FIELD) {
        from += length + FIELD.len();
        let value = &text[from..];
        let value = value.strip_prefix("Some(").unwrap_or(value);
        let Some(query) = value.strip_prefix('"') else {
            continue;
        };
        let start = text.len() - query.len();
        from = end(text, start, "\\");
        // A query has no blanks, which a question to a search has.
        if matches!(text.as_bytes().get(from), None | Some(b'"' | b'\\')) {
            queries(text, start, from, start, &mut hidden);
        }
    }
    hidden.retain(|(from, to)| from < to);
    replaced(text, hidden)
}

/// Adds to `hidden` the secrets of the queries between `from` and `to`; one may begin at `start`. What a hidden value
/// holds is not looked at again, so that a text of many `?key=` is looked at once.
fn queries(text: &str, from: usize, to: usize, start: usize, hidden: &mut Vec<(usize, usize)>) {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(length) = bytes[at..to].iter().position(|byte| *byte == b'=') {
        at += length;
        let found = query_behind(text, start, at);
        at = found.map_or(at + 1, |(_, end)| end.min(to));
        hidden.extend(found);
    }
}

/// The value behind the `=` at `at`, in the query of a URL.
fn query(text: &str, at: usize) -> Option<(usize, usize)> {
    query_behind(text, text.len(), at)
}

/// The same where the query may also begin at `start`.
fn query_behind(text: &str, start: usize, at: usize) -> Option<(usize, usize)> {
    let before = &text[..at];
    let is_name = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '.');
    let name = &before[before.trim_end_matches(is_name).len()..];
    let name_at = at - name.len();
    let in_query = name_at == start || before[..name_at].ends_with(['?', '&', ';', '#']);
    let is_key = ["key", "sig", "signature"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known));
    let is_secret = is_key || redact::sensitivity(name) != Sensitivity::Open;
    (in_query && is_secret).then(|| (at + 1, end(text, at + 1, "&;#")))
}

/// The password in what stands behind `://`.
fn password(text: &str, from: usize) -> Option<(usize, usize)> {
    let authority = &text[from..end(text, from, "/?#")];
    let user = authority.rfind('@')?;
    let colon = authority[..user].find(':')?;
    Some((from + colon + 1, from + user))
}

/// Returns the text behind the blank at `at`, if that is behind the name of a scheme.
fn scheme(text: &str, at: usize) -> Option<(usize, usize)> {
    let before = &text.as_bytes()[..at];
    let is_scheme = ["bearer", "basic"].iter().any(|name| {
        let start = before.len().checked_sub(name.len());
        start.is_some_and(|start| {
            before[start..].eq_ignore_ascii_case(name.as_bytes())
                && !before[..start]
                    .last()
                    .is_some_and(u8::is_ascii_alphanumeric)
        })
    });
    let to = end(text, at + 1, ",;");
    let value = &text[at + 1..to];
    let is_word = value.len() < SHORTEST || value.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_scheme && !is_word).then_some((at + 1, to))
}

/// Returns the end of a value that begins at `from`: at a blank, a quote, a bracket or one of `signs`.
fn end(text: &str, from: usize, signs: &str) -> usize {
    let is_end = |sign: char| {
        sign.is_whitespace()
            || matches!(sign, '"' | '\'' | '`' | ')' | ']' | '}' | '>' | '<')
            || signs.contains(sign)
    };
    text[from..]
        .find(is_end)
        .map_or(text.len(), |length| from + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_captured_urls_are_hidden_and_all_else_stays() {
        for (text, expected) in [
            (
                "at postgres://ada:pa:ss@db:5432/x?y=1 and redis://:p@r",
                "at postgres://ada:[redacted]@db:5432/x?y=1 and redis://:[redacted]@r",
            ),
            (
                "url: \"https://a.b/v1?key=AIza&alt=sse&api_key=k#top\" }",
                "url: \"https://a.b/v1?key=[redacted]&alt=sse&api_key=[redacted]#top\" }",
            ),
            (
                "//?key=1 https://ä/?key=ü",
                "//?key=1 https://ä/?key=[redacted]",
            ),
        ] {
            assert_eq!(scrub_urls(text, false).as_deref().unwrap_or(text), expected);
        }
        assert_eq!(
            scrub_urls("a://ada:hunt", true).as_deref(),
            Some("a://ada:[redacted]")
        );
        for text in [
            "",
            "/",
            "://",
            "a?key=b",
            "Bearer abcdefgh1",
            "http://h/a?max_tokens=7",
        ] {
            assert_eq!(scrub_urls(text, false), None, "{text}");
        }
    }

    #[test]
    fn secrets_in_queries_that_are_fields_are_hidden_and_all_else_stays() {
        for (text, expected) in [
            (
                "Url { path: \"/x\", query: Some(\"key=AIza&alt=sse&sig=ü\"), fragment: None }",
                "Url { path: \"/x\", query: Some(\"key=[redacted]&alt=sse&sig=[redacted]\"), fragment: None }",
            ),
            (
                "query: \"a=1&access_token=t\", query: Some(\"key=k",
                "query: \"a=1&access_token=[redacted]\", query: Some(\"key=[redacted]",
            ),
        ] {
            assert_eq!(scrub_query_fields(text).as_deref(), Some(expected));
        }
        for text in [
            "",
            "query: ",
            "query: Some(",
            "query: None",
            "query: Some(\"",
            "query: \"max_tokens=7&keys=1&a key=b\"",
            "query: key=1",
            "key=1, query: \"ü=ä\"",
        ] {
            assert_eq!(scrub_query_fields(text), None, "{text}");
        }
    }

    #[test]
    fn secrets_in_the_urls_of_errors_are_hidden_and_the_rest_stays() {
        for (text, expected) in [
            (
                "error sending request for url (https://a.b/v1?key=AIzaSy_x-1&alt=sse)",
                "error sending request for url (https://a.b/v1?key=[redacted]&alt=sse)",
            ),
            (
                "GET /x?alt=sse&api_key=k#top",
                "GET /x?alt=sse&api_key=[redacted]#top",
            ),
            (
                "at https://a.b/?access_token=t 401",
                "at https://a.b/?access_token=[redacted] 401",
            ),
            (
                "no route to postgres://ada:pa:ss@db:5432/x?y=1",
                "no route to postgres://ada:[redacted]@db:5432/x?y=1",
            ),
            (
                "Authorization: Bearer sk-12345678, x",
                "Authorization: Bearer [redacted], x",
            ),
            (
                "sent 'authorization: Basic YWRhOng6MQ=='",
                "sent 'authorization: Basic [redacted]'",
            ),
            (
                "?sig=ä1&sig=2 and ?key=3",
                "?sig=[redacted]&sig=[redacted] and ?key=[redacted]",
            ),
        ] {
            assert_eq!(scrub(text.to_owned()), expected);
        }
        for text in [
            "",
            "=",
            "a=b",
            "invalid key = 7 in line 3",
            "https://a.b/v1?max_tokens=7&author=ada",
            "the bearer of this letter, a basic assumption, Bearer token",
            "https://ada@host/ and http://host:80/a@b:c",
            "://",
            "ünï ?ü=ä",
        ] {
            assert_eq!(scrub(text.to_owned()), text);
        }
    }
}
