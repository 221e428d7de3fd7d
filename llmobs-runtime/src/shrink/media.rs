//! Pictures, audio and files in base64: of no use to a reader when cut, and mostly the
//! largest part of an event. They go before any text is cut, the largest first.

use std::ops::Range;

use super::Walk;
use super::length::{self, earlier_mark};
use super::walk::Site;

/// What is shorter, in base64 characters, may stay.
pub(super) const SHORTEST: usize = 1_024;

/// The keys under which base64 stands alone: OpenAI's `input_audio.data`, `b64_json` and
/// `file_data`, Anthropic's `source.data`, Google's `inlineData.data`, Bedrock's `source.bytes`.
pub(super) const KEYS: [&str; 8] = [
    "data",
    "b64_json",
    "base64",
    "bytes",
    "file_data",
    "image",
    "audio",
    "video",
];

/// The keys beside them that tell the type.
pub(super) const TYPE_KEYS: [&str; 5] = [
    "media_type",
    "mime_type",
    "mimeType",
    "content_type",
    "format",
];

/// How far from a literal in a JSON text its type is looked for.
const NEAR: usize = 256;

/// What base64 begins with, and what it is then.
const MAGIC: [(&str, &str); 10] = [
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("JVBERi0", "application/pdf"),
    ("T2dnUw", "audio/ogg"),
    ("SUQz", "audio/mpeg"),
    ("ZkxhQ", "audio/flac"),
    ("GkXfo", "video/webm"),
    ("UklGR", "RIFF"),
    ("UEsDB", "application/zip"),
];

/// A piece of media, and what stands in its place.
struct Media {
    /// Which string of the walk it is in.
    text: usize,
    range: Range<usize>,
    mark: String,
    saves: usize,
}

/// Replaces media by marks, the largest first, until `excess` bytes are saved; tells how many
/// are.
pub(super) fn replace(walk: Walk<'_>, excess: usize) -> usize {
    let mut all: Vec<Media> = Vec::new();
    let mut number = 0;
    walk(&mut |text, site| {
        if text.len() >= SHORTEST {
            find(number, text, site, &mut all);
        }
        number += 1;
    });
    all.sort_by_key(|media| std::cmp::Reverse(media.saves));
    let mut saved = 0;
    let enough = all.iter().position(|media| {
        let before = saved;
        saved += media.saves;
        before >= excess
    });
    if let Some(enough) = enough {
        saved -= all[enough].saves;
        all.truncate(enough);
    }
    // From the back, so that each range is where it was.
    all.sort_by_key(|media| (media.text, std::cmp::Reverse(media.range.start)));
    let mut rest = all.into_iter().peekable();
    let mut number = 0;
    walk(&mut |text, _| {
        while let Some(media) = rest.next_if(|media| media.text == number) {
            text.replace_range(media.range, &media.mark);
        }
        number += 1;
    });
    saved
}

fn find(number: usize, text: &str, site: Site<'_>, all: &mut Vec<Media>) {
    let mut add = |range: Range<usize>, bytes, media_type: Option<&str>| {
        let mark = mark(bytes, media_type);
        let saves = length::inside(&text[range.clone()]).saturating_sub(mark.len());
        if saves > 0 {
            all.push(Media {
                text: number,
                range,
                mark,
                saves,
            });
        }
    };
    if let Site::Media(media_type) = site {
        let (_, bytes) = run(text);
        // A mark is shorter than any media that is looked at.
        return add(0..text.len(), bytes, Some(media_type));
    }
    if let Site::Name | Site::Tag = site {
        return;
    }
    let (end, bytes) = run(text);
    let sniffed = sniffed(text);
    let declared = match site {
        Site::MaybeMedia(declared) => Some(declared),
        _ => None,
    };
    if end == text.len() && (declared.is_some() || sniffed.is_some()) {
        return add(0..end, bytes, declared.flatten().or(sniffed));
    }
    data_urls(text).for_each(|(range, bytes, media_type)| add(range, bytes, Some(media_type)));
    for range in length::literals(text).into_iter().flatten() {
        let literal = &text[range.clone()];
        if literal.len() < SHORTEST {
            continue;
        }
        let (end, bytes) = run(literal);
        let sniffed = self::sniffed(literal);
        let by_key = KEYS.contains(&key_of(text, range.start));
        if end == literal.len() && (by_key || sniffed.is_some()) {
            add(
                range.clone(),
                bytes,
                declared_near(text, &range).or(sniffed),
            );
        }
    }
}

/// What stands for media: of what type and how large they were, decoded.
fn mark(bytes: usize, media_type: Option<&str>) -> String {
    let legal = |c: &char| c.is_ascii_alphanumeric() || "/.+-_".contains(*c);
    let media_type: String = media_type
        .unwrap_or_default()
        .chars()
        .filter(legal)
        .take(64)
        .collect();
    let media_type = if media_type.is_empty() {
        "base64"
    } else {
        &media_type
    };
    format!("…[{bytes} bytes of {media_type} cut]")
}

/// How far `text` is base64, of either alphabet, and how many bytes it stands for. An earlier
/// cut in it is passed over, and so are slashes that are escaped.
fn run(text: &str) -> (usize, usize) {
    let bytes = text.as_bytes();
    let (mut at, mut digits, mut missing) = (0, 0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'-' | b'_' => {
                digits += 1;
                at += 1;
            }
            b'=' | b'\n' | b'\r' => at += 1,
            b'\\' if bytes.get(at + 1) == Some(&b'/') => at += 1,
            b'\\' if matches!(bytes.get(at + 1), Some(b'n' | b'r')) => at += 2,
            0xe2 => match text.get(at..).and_then(earlier_mark) {
                Some((mark, cut)) => {
                    missing += cut;
                    at += mark;
                }
                None => break,
            },
            _ => break,
        }
    }
    (
        at,
        (digits + missing) / 4 * 3 + (digits + missing) % 4 * 3 / 4,
    )
}

fn sniffed(text: &str) -> Option<&'static str> {
    let (_, media_type) = MAGIC.iter().find(|(magic, _)| text.starts_with(magic))?;
    // RIFF, a length and the format, `WEBP` or `WAVE`, of which the last three letters are
    // four characters here.
    Some(match (*media_type, text.get(12..16)) {
        ("RIFF", Some("RUJQ")) => "image/webp",
        ("RIFF", _) => "audio/wav",
        (known, _) => known,
    })
}

/// The `data:` URLs in a text that are long enough: where, how many bytes, of what type.
fn data_urls(text: &str) -> impl Iterator<Item = (Range<usize>, usize, &str)> {
    const ENCODED: &str = ";base64,";
    let mut end_of_last = 0;
    text.match_indices(ENCODED).filter_map(move |(at, _)| {
        let near = boundary(text, at.saturating_sub(NEAR));
        let before = &text[near.max(end_of_last).min(at)..at];
        let scheme = before.rfind("data:")?;
        let media_type = &before[scheme + "data:".len()..];
        let legal = |c: char| c.is_ascii_alphanumeric() || "/.+-_;=\\".contains(c);
        if !media_type.chars().all(legal) {
            return None;
        }
        let data = at + ENCODED.len();
        let (len, bytes) = run(&text[data..]);
        let url = at - before.len() + scheme..data + len;
        if len < SHORTEST {
            return None;
        }
        end_of_last = url.end;
        let media_type = media_type.split(';').next().unwrap_or_default();
        Some((url, bytes, media_type))
    })
}

/// The next place from `at` on that is between characters.
fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// The key of the literal that begins at `start` of a JSON text.
fn key_of(text: &str, start: usize) -> &str {
    let before = text[..start - 1].trim_end();
    let Some(before) = before.strip_suffix(':') else {
        return "";
    };
    let before = before.trim_end().strip_suffix('"').unwrap_or_default();
    before.rsplit('"').next().unwrap_or_default()
}

/// The type that stands in the same object as a literal of a JSON text.
fn declared_near<'a>(text: &'a str, literal: &Range<usize>) -> Option<&'a str> {
    let from = boundary(text, literal.start.saturating_sub(NEAR));
    let to = boundary(text, literal.end.saturating_add(NEAR).min(text.len()));
    let before = text[from..literal.start].rsplit(['{', '}']).next();
    let after = text[literal.end..to].split(['{', '}']).next();
    [before, after].into_iter().flatten().find_map(|near| {
        TYPE_KEYS.iter().find_map(|key| {
            let (_, value) = near.split_once(&format!("\"{key}\""))?;
            let value = value.trim_start().strip_prefix(':')?.trim_start();
            value.strip_prefix('"')?.split('"').next()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// `text` as the content of a message, with its media replaced.
    fn without_media(text: &str) -> String {
        let mut text = text.to_owned();
        let excess = usize::MAX;
        replace(&mut |visit| visit(&mut text, Site::Content), excess);
        text
    }

    fn base64(characters: usize) -> String {
        "abcd".repeat(characters / 4)
    }

    #[test]
    fn a_data_url_in_a_text_becomes_its_type_and_size() {
        let data = base64(4_000);
        let text = format!("look: ![](data:image/png;base64,{data}==) and data:x;base64,short");
        assert_eq!(
            without_media(&text),
            "look: ![](…[3000 bytes of image/png cut]) and data:x;base64,short"
        );
        let with_parameter = format!("data:text/plain;charset=utf-8;base64,{data}");
        assert_eq!(
            without_media(&with_parameter),
            "…[3000 bytes of text/plain cut]"
        );
        let cut = format!("data:image/png;base64,{data}…[4000 bytes cut]…{data}");
        assert_eq!(without_media(&cut), "…[9000 bytes of image/png cut]");
        let cut = format!("data:image/png;base64,{data}…[4003 bytes cut]…{data}");
        assert_eq!(without_media(&cut), "…[9002 bytes of image/png cut]");
        // A short one stays, whatever stands before it.
        let letters = "é".repeat(200);
        for before in ["", "words ", &letters, &format!("{letters}y")] {
            let url = |characters| format!("{before}data:image/png;base64,{}", base64(characters));
            let short = url(SHORTEST - 4);
            assert_eq!(without_media(&short), short);
            let left = without_media(&url(SHORTEST));
            assert_eq!(left, format!("{before}…[768 bytes of image/png cut]"));
        }
    }

    #[test]
    fn the_forms_of_the_providers_are_known_inside_json_texts() {
        let data = base64(2_000);
        let png = format!("iVBORw0KGgo{}", base64(2_000));
        for (part, expected) in [
            (
                json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}),
                "…[1500 bytes of image/png cut]",
            ),
            (
                json!({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}),
                "…[1500 bytes of wav cut]",
            ),
            (
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": data}}),
                "…[1500 bytes of image/webp cut]",
            ),
            (
                json!({"inlineData": {"mimeType": "application/pdf", "data": data}}),
                "…[1500 bytes of application/pdf cut]",
            ),
            (json!({"b64_json": data}), "…[1500 bytes of base64 cut]"),
            (json!({"whatever": png}), "…[1508 bytes of image/png cut]"),
        ] {
            for text in [
                part.to_string(),
                serde_json::to_string_pretty(&part).unwrap(),
            ] {
                let replaced: Value = serde_json::from_str(&without_media(&text)).unwrap();
                assert!(replaced.to_string().contains(expected), "{replaced}");
                assert!(!replaced.to_string().contains("abcdabcd"), "{replaced}");
            }
            let mut value = part.clone();
            replace(
                &mut |visit| super::super::walk::value(&mut value, visit),
                usize::MAX,
            );
            assert!(value.to_string().contains(expected), "{value}");
            assert!(!value.to_string().contains("abcdabcd"), "{value}");
        }
    }

    #[test]
    fn what_is_no_media_stays() {
        let data = base64(2_000);
        for text in [
            data.clone(),
            format!("{{\"text\":\"{data}\"}}"),
            format!("data:;;base64 {data}"),
            format!("\u{1F600}data:image/\u{e9};base64,{data}"),
            json!({"data": "words with spaces ".repeat(100)}).to_string(),
        ] {
            assert_eq!(without_media(&text), text);
        }
    }

    #[test]
    fn escapes_of_json_texts_are_passed_over_where_base64_has_them() {
        let data = base64(1_000);
        let text = |between: &str| format!(r#"{{"b64_json":"{data}{between}{data}"}}"#);
        for between in ["\\/", "\\n", "\\r\\n"] {
            let left = without_media(&text(between));
            assert!(left.contains("…[1500 bytes of base64 cut]"), "{left}");
        }
        for other in ["\\t", "\\\"", "\\u0041"] {
            assert_eq!(without_media(&text(other)), text(other));
        }
    }

    #[test]
    fn what_is_short_stays_in_a_long_text() {
        let text = |characters: usize| {
            let data = base64(characters);
            json!({"b64_json": data, "more": "words and words ".repeat(100)}).to_string()
        };
        let short = text(SHORTEST - 4);
        assert_eq!(without_media(&short), short);
        let left = without_media(&text(SHORTEST));
        assert!(left.contains("…[768 bytes of base64 cut]"), "{left}");
    }

    #[test]
    fn the_largest_go_first_and_no_more_than_must() {
        let url = |characters| format!("data:image/png;base64,{}", base64(characters));
        let text = format!("{} {} {}", url(2_000), url(8_000), url(4_000));
        let mut left = text.clone();
        let saved = replace(&mut |visit| visit(&mut left, Site::Content), 7_000);
        assert_eq!(
            left,
            format!(
                "{} …[6000 bytes of image/png cut] {}",
                url(2_000),
                url(4_000)
            )
        );
        assert_eq!(text.len() - left.len(), saved);
        let saved = replace(&mut |visit| visit(&mut left, Site::Content), 4_001);
        assert_eq!(left.matches("of image/png cut").count(), 3, "{left}");
        assert!(saved > 5_900);
    }
}
