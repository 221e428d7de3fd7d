//! One event as a line of a segment.

use crate::stats::EventKind;

/// The version of the format, the first thing in each line.
const VERSION: u64 = 1;

/// A line that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) kind: EventKind,
    pub(crate) made_ms: u64,
    /// The event's JSON, as it was written.
    pub(crate) json: &'a str,
}

/// Appends an event as a line.
pub(crate) fn write(lines: &mut Vec<u8>, kind: EventKind, made_ms: u64, json: &[u8]) {
    let head = format!(
        r#"{{"v":{VERSION},"kind":"{}","made_ms":{made_ms},"event":"#,
        kind.as_str()
    );
    lines.extend(head.as_bytes());
    lines.extend(json);
    lines.extend(b"}\n");
}

/// Reads a line; `None` for what no version of llmobs that we know has written.
///
/// It is read as [`write`] makes it, to the byte. `RawValue` of `serde_json` would do it as well, but its
/// feature is on for the whole program, whose parser then gives one key of an object a meaning.
pub(crate) fn read(line: &[u8]) -> Option<Record<'_>> {
    let line = str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("{\"v\":")?;
    let (version, rest) = rest.split_once(",\"kind\":\"")?;
    let (kind, rest) = rest.split_once("\",\"made_ms\":")?;
    let (made_ms, rest) = rest.split_once(",\"event\":")?;
    let json = rest.strip_suffix('}')?;
    let kind = EventKind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind)?;
    let is_object = json.starts_with('{')
        && json.ends_with('}')
        && serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok();
    (number(version)? == VERSION && is_object).then_some(Record {
        kind,
        made_ms: number(made_ms)?,
        json,
    })
}

/// A number as JSON has it: `parse` takes a sign and zeros in front as well.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let json = r#"{"name":"\u0000é😀","n":[1.50,{}]}"#;
        let mut line = Vec::new();
        write(&mut line, EventKind::Evaluation, 17, json.as_bytes());
        assert_eq!(line.pop(), Some(b'\n'));
        let record = read(&line).unwrap();
        assert_eq!(record.kind, EventKind::Evaluation);
        assert_eq!((record.made_ms, record.json), (17, json));
    }

    #[test]
    fn what_is_no_line_is_none() {
        for line in [
            "",
            "{}",
            "nonsense",
            r#"{"v":1,"kind":"span","made_ms":1,"event":{"a":1}"#,
            r#"{"v":1,"kind":"span","made_ms":1,"event":[1]}"#,
            r#"{"v":1,"kind":"spam","made_ms":1,"event":{}}"#,
            r#"{"v":2,"kind":"span","made_ms":1,"event":{}}"#,
            r#"{"v":1,"kind":"span","made_ms":-1,"event":{}}"#,
            r#"{"v":1,"kind":"span","made_ms":1,"event":{}}{}"#,
            r#"[1,"span",1,{}]"#,
            r#"{"v":1,"kind":"span","made_ms":1,"x":1,"event":{}}"#,
            r#"{"v":1,"kind":"span","made_ms":+1,"event":{}}"#,
            r#"{"v":1,"kind":"span","made_ms":01,"event":{}}"#,
            r#"{"v":1,"kind":"span","made_ms":1,"event":{} }"#,
            r#"{"v":+1,"kind":"span","made_ms":1,"event":{}}"#,
            r#"{"v":1,"kind":"span","made_ms":1,"event":{},"x":{}}"#,
            r#"{"v":1,"kind":"span","made_ms":1,"event":{"a":}}"#,
        ] {
            assert!(read(line.as_bytes()).is_none(), "{line}");
        }
        for bytes in [
            b"{\"v\":1,\"kind\":\"span\",\"made_ms\":1,\"event\":{\"a\":\"\xff\"}}".as_slice(),
            b"{\"x\":\"\xff\",\"v\":1,\"kind\":\"span\",\"made_ms\":1,\"event\":{}}",
        ] {
            assert!(read(bytes).is_none(), "{}", bytes.escape_ascii());
        }
    }
}
