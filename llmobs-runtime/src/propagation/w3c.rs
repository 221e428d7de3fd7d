//! `traceparent` and `tracestate` of W3C Trace Context, with Datadog's member of the latter.

/// The most characters of Datadog's member, its key included (as in ddtrace).
pub(super) const LONGEST_MEMBER: usize = 256;
/// The most characters of the members of others that are handed on. W3C wants 512 of the
/// whole header at least.
const LONGEST_OTHERS: usize = 512;
/// The most members of a header; ours is one.
const MOST_MEMBERS: usize = 32;
/// The most characters of a key, and of a value.
const LONGEST_VALUE: usize = 256;
/// A longer header says nothing.
const LONGEST_HEADER: usize = 8_192;

/// `traceparent`, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceParent {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) sampled: bool,
}

/// Reads `00-<32 hex>-<16 hex>-<2 hex>`. A later version may have more behind it.
pub(super) fn traceparent(header: &str) -> Option<TraceParent> {
    let header = header.trim();
    let bytes = header.as_bytes();
    if bytes.len() < 55 || !header.is_ascii() {
        return None;
    }
    let (version, rest) = (&header[..2], &header[55..]);
    let alone = version == "00" && rest.is_empty();
    let later = version != "00" && (rest.is_empty() || rest.starts_with('-'));
    let dashes = [2, 35, 52].iter().all(|&at| bytes[at] == b'-');
    if !dashes || !(alone || later) || version == "ff" {
        return None;
    }
    let hex = |range: std::ops::Range<usize>| {
        let text = &header[range];
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        plain.then(|| u128::from_str_radix(text, 16).ok()).flatten()
    };
    hex(0..2)?;
    let parent = TraceParent {
        trace: hex(3..35)?,
        span: u64::try_from(hex(36..52)?).ok()?,
        sampled: hex(53..55)? & 1 == 1,
    };
    (parent.trace != 0 && parent.span != 0).then_some(parent)
}

impl std::fmt::Display for TraceParent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            trace,
            span,
            sampled,
        } = self;
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(*sampled))
    }
}

/// `tracestate`, read: Datadog's member, and those of others.
#[derive(Debug, Default)]
pub(super) struct TraceState<'a> {
    /// Fields of `dd=`, `key:value`.
    pub(super) datadog: Vec<(&'a str, String)>,
    pub(super) others: Vec<&'a str>,
}

/// Reads all values of the header. A key that comes twice counts once, the first time.
pub(super) fn tracestate<'a>(headers: &[&'a str]) -> TraceState<'a> {
    let length: usize = headers.iter().map(|header| header.len()).sum();
    if length > LONGEST_HEADER {
        return TraceState::default();
    }
    let members = headers.iter().flat_map(|header| header.split(','));
    let members = members.map(str::trim).filter(|member| legal(member));
    let mut state = TraceState::default();
    let mut seen: Vec<&str> = Vec::new();
    let mut room = LONGEST_OTHERS;
    for member in members.take(MOST_MEMBERS) {
        let (name, value) = member.split_once('=').unwrap_or_default();
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        if name == "dd" {
            let fields = value.split(';').filter_map(|field| field.split_once(':'));
            let fields = fields.map(|(key, value)| (key.trim(), value.replace('~', "=")));
            state.datadog = fields.collect();
        } else if let Some(left) = room.checked_sub(member.len() + 1) {
            room = left;
            state.others.push(member);
        }
    }
    state
}

/// Whether text is a member `key=value` as W3C has it: who finds another throws away the
/// whole header. Of Datadog's, which is not handed on as it came, less is asked.
fn legal(member: &str) -> bool {
    let plain = member.bytes().all(|b| matches!(b, b' '..=b'~'));
    let Some((key, value)) = member.split_once('=') else {
        return false;
    };
    let of_others = || is_key(key) && value.len() <= LONGEST_VALUE && !value.contains('=');
    plain && !value.is_empty() && (key == "dd" || of_others())
}

fn is_key(key: &str) -> bool {
    let first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let plain = |b: u8| first(&b) || b"_-*/@".contains(&b);
    key.len() <= LONGEST_VALUE
        && key.as_bytes().first().is_some_and(first)
        && key.bytes().all(plain)
}

/// Datadog's member in the making.
pub(super) struct Member(String);

impl Member {
    pub(super) fn new() -> Self {
        Self("dd=".to_owned())
    }

    /// Adds a field if the member can hold it as it is and has room.
    pub(super) fn add(&mut self, prefix: &str, key: &str, value: &str) -> bool {
        let separator = usize::from(!self.0.ends_with('='));
        let length = separator + prefix.len() + key.len() + 1 + value.len();
        let room = fits(value) && self.0.len() + length <= LONGEST_MEMBER;
        if room {
            if separator == 1 {
                self.0.push(';');
            }
            // In a member `=` is written as `~` (as in ddtrace).
            self.0.extend([prefix, key, ":", &value.replace('=', "~")]);
        }
        room
    }

    /// The header: ours first, then those of others, each key once.
    pub(super) fn before<'a>(self, others: impl IntoIterator<Item = &'a str>) -> String {
        let mut header = self.0;
        let mut seen = vec!["dd"];
        let mut room = LONGEST_OTHERS;
        for member in others {
            let name = member.split('=').next().unwrap_or_default();
            let left = room.checked_sub(member.len() + 1);
            if seen.contains(&name) || seen.len() >= MOST_MEMBERS || !legal(member) {
                continue;
            }
            if let Some(left) = left {
                room = left;
                seen.push(name);
                header.extend([",", member]);
            }
        }
        header
    }
}

/// Whether a member can hold a value so that it comes back as it is.
fn fits(value: &str) -> bool {
    let plain = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b',' | b';' | b'~');
    !value.is_empty() && value.trim() == value && value.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_up_to_the_longest() {
        let begin = "dd=s:1;x:";
        for (length, is_read) in [(LONGEST_HEADER, true), (LONGEST_HEADER + 1, false)] {
            let header = begin.to_owned() + &"x".repeat(length - begin.len());
            let state = tracestate(&[&header]);
            assert_eq!(!state.datadog.is_empty(), is_read, "{length}");
        }
    }

    /// Members of others that have so many bytes together, a comma with each.
    fn others(bytes: usize) -> Vec<String> {
        let mut members = Vec::new();
        let mut left = bytes;
        while left > 0 {
            let next = if left > 100 { left.min(200) / 2 } else { left };
            let name = format!("k{}=", members.len());
            members.push(format!("{name}{}", "v".repeat(next - 1 - name.len())));
            left -= next;
        }
        members
    }

    #[test]
    fn members_of_others_have_their_room_and_no_more() {
        for (bytes, fit) in [(LONGEST_OTHERS, true), (LONGEST_OTHERS + 1, false)] {
            let members = others(bytes);
            let header = members.join(",");
            let read = tracestate(&[&header]).others;
            let written = Member::new().before(members.iter().map(String::as_str));
            let expected = &members[..members.len() - usize::from(!fit)];
            assert_eq!(read, expected, "{bytes}");
            assert_eq!(written, format!("dd=,{}", expected.join(",")), "{bytes}");
        }
    }

    #[test]
    fn a_member_is_written_once_and_only_where_it_is_legal() {
        let written = |members: &[&str]| Member::new().before(members.iter().copied());
        let members = ["a=1", "a=2", "dd=s:1", "no member", "b=1"];
        assert_eq!(written(&members), "dd=,a=1,b=1");
        let many: Vec<String> = (0..MOST_MEMBERS * 2).map(|n| format!("k{n}=1")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let written = written(&many);
        assert_eq!(written.split(',').count(), MOST_MEMBERS, "{written}");
    }

    #[test]
    fn a_value_fits_where_it_comes_back_as_it_is() {
        for (value, is_so) in [
            ("a b", true),
            ("", false),
            (" a", false),
            ("a ", false),
            ("a;b", false),
            ("a,b", false),
            ("é", false),
        ] {
            assert_eq!(fits(value), is_so, "{value:?}");
        }
    }
}
