//! What each value may be: pure functions and ranges, the same for a variable and for a setter.

use std::fmt::Debug;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Capture, ConfigError, Origin};

/// A number with its range, both ends included, and its default.
pub(super) struct Rule<T> {
    pub(super) allowed: &'static str,
    pub(super) default: T,
    low: T,
    high: T,
}

impl<T: Copy + Debug + PartialOrd> Rule<T> {
    /// False for a NaN as well: it compares with nothing.
    pub(super) fn accepts(&self, value: T) -> bool {
        self.low <= value && value <= self.high
    }

    /// What the setter `name` was given, if it was called.
    pub(super) fn checked(
        &self,
        name: &'static str,
        value: Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        match value {
            Some(value) if !self.accepts(value) => Err(ConfigError::invalid(
                name,
                &format!("{value:?}"),
                self.allowed,
            )),
            value => Ok(value),
        }
    }
}

/// The largest body that the intake takes, in bytes.
const BODY: usize = 5_000_000;

pub(super) const SAMPLE_RATE: Rule<f64> = Rule {
    allowed: "a number from 0 to 1",
    default: 1.0,
    low: 0.0,
    high: 1.0,
};

pub(super) const PAYLOAD_SIZE: Rule<usize> = Rule {
    allowed: "a number of bytes from 4096 to 5000000",
    default: BODY,
    // A span with nothing in it has about 1 kB: below that, nothing could be sent.
    low: 4_096,
    high: BODY,
};

pub(super) const EVENT_SIZE: Rule<usize> = Rule {
    allowed: "a number of bytes from 1 to 5000000",
    default: BODY,
    low: 1,
    high: BODY,
};

// An upper bound, because a queue reserves room for its capacity when it is made.
pub(super) const MAX_EVENTS: Rule<usize> = Rule {
    allowed: "a number of events from 1 to 16777216",
    default: 131_072,
    low: 1,
    high: 16_777_216,
};

pub(super) const MAX_BYTES: Rule<usize> = Rule {
    allowed: "a number of bytes, at least 1",
    default: 64 * 1024 * 1024,
    low: 1,
    high: usize::MAX,
};

pub(super) const SPOOL_MAX_BYTES: Rule<u64> = Rule {
    allowed: "a number of bytes, at least 65536",
    default: 1024 * 1024 * 1024,
    low: 65_536,
    high: u64::MAX,
};

// Datadog takes no spans that are older than a day.
pub(super) const SPOOL_MAX_AGE: Rule<Duration> = Rule {
    allowed: "a time from 1 second to 24 hours",
    default: Duration::from_secs(24 * 60 * 60),
    low: Duration::from_secs(1),
    high: Duration::from_secs(24 * 60 * 60),
};

// An upper bound, because adding `Duration::MAX` to an `Instant` panics.
const INTERVAL: &str = "a time from 1 millisecond to 1 hour";
/// The same as a variable has it.
pub(super) const SECONDS: &str = "a number of seconds from 0.001 to 3600";
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(60 * 60);

pub(super) const TIMEOUT: Rule<Duration> = Rule {
    allowed: INTERVAL,
    default: Duration::from_secs(5),
    low: SHORTEST,
    high: LONGEST,
};

pub(super) const FLUSH_INTERVAL: Rule<Duration> = Rule {
    allowed: INTERVAL,
    default: Duration::from_secs(1),
    low: SHORTEST,
    high: LONGEST,
};

/// A variable without a form of its own. The wire has no limit for most of them, but each stands on
/// every span.
pub(super) const TEXT: &str = "at most 32768 bytes of text";
pub(super) const LONGEST_TEXT: usize = 32_768;

pub(super) const BOOLEAN: &str = "true, false, 1 or 0";

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

pub(super) const CAPTURE: &str = "none, metadata or full";

pub(super) fn capture(text: &str) -> Option<Capture> {
    match text.to_ascii_lowercase().as_str() {
        "none" => Some(Capture::None),
        "metadata" => Some(Capture::Metadata),
        "full" => Some(Capture::Full),
        _ => None,
    }
}

/// Seconds, whole or not.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

pub(super) const API_KEY: &str =
    "1 to 1024 visible ASCII characters, without spaces, line ends and quotes around them";

/// What is shown in place of a value that must not be read.
pub(super) const HIDDEN: &str = "[hidden]";

pub(super) fn is_api_key(text: &str) -> bool {
    let is_quoted = text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']);
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    (1..=1024).contains(&text.len()) && is_visible && !is_quoted
}

pub(super) const SITE: &str = "a host name such as datadoghq.com, without scheme, port and path";

pub(super) fn site(text: &str) -> Option<String> {
    let alphanumeric = |byte: u8| byte.is_ascii_alphanumeric();
    // A slash or the root's dot may stand at the host's end, which `api.` before it would not be.
    let text = text.strip_suffix('/').unwrap_or(text);
    let text = text.strip_suffix('.').unwrap_or(text);
    is_host_name(text, alphanumeric).then(|| text.to_ascii_lowercase())
}

/// What the setter was given.
pub(super) fn given_site(text: &str) -> Result<String, ConfigError> {
    site(text).ok_or_else(|| ConfigError::invalid("site", &without_secrets(text), SITE))
}

/// Whether spans can be sent to `site` without an Agent.
pub(super) fn has_product(site: &str) -> bool {
    let government = "ddog-gov.com";
    site.strip_suffix(government)
        .is_none_or(|sub| !sub.is_empty() && !sub.ends_with('.'))
}

pub(super) const AGENT_HOST: &str = "a host name or an IP address, without scheme, port and path";

/// A host as it stands in a URL: an IPv6 address gets its brackets.
pub(super) fn agent_host(text: &str) -> Option<String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return Some(format!("[{address}]"));
    }
    url_host(text)
}

pub(super) const PORT: &str = "a port from 1 to 65535";

pub(super) fn port(text: &str) -> Option<u16> {
    // `u16::from_str` takes a plus sign, a URL does not.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port| digits && port > 0)
}

pub(super) const ORIGIN: &str = "http://host[:port][/path], https://host[:port][/path] or \
     unix:///path/of/socket, without user, password, query and fragment";

/// Where requests go: the URL with its scheme in lower case and without its last slashes.
pub(super) fn origin(name: &'static str, text: &str) -> Result<Origin, ConfigError> {
    parse_origin(text).ok_or_else(|| ConfigError::invalid(name, &without_secrets(text), ORIGIN))
}

fn parse_origin(text: &str) -> Option<Origin> {
    if text.len() > 2048 || text.chars().any(char::is_control) {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "unix" if rest.starts_with('/') && rest.len() > 1 => {
            Some(Origin::Unix(PathBuf::from(rest)))
        }
        scheme @ ("http" | "https") => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority(host)?;
            let legal = |byte: u8| byte.is_ascii_graphic() && !br#"?#\<>"{}|^`"#.contains(&byte);
            let path = path
                .bytes()
                .all(legal)
                .then(|| path.trim_end_matches('/'))?;
            Some(Origin::Http(format!("{scheme}://{host}{path}")))
        }
        _ => None,
    }
}

fn authority(text: &str) -> Option<String> {
    // The last colon, outside of an IPv6 address, comes before the port.
    let (host, after) = match text.find(']') {
        Some(end) => text.split_at(end + 1),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let host = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => format!("[{}]", address.parse::<Ipv6Addr>().ok()?),
        None => url_host(host)?,
    };
    match after.strip_prefix(':') {
        Some(number) => Some(format!("{host}:{}", port(number)?)),
        None => after.is_empty().then_some(host),
    }
}

/// The port of a link to a service as Kubernetes writes it: `tcp://10.0.0.1:8126`.
pub(super) fn port_of_link(text: &str) -> Option<u16> {
    let (host, number) = text.strip_prefix("tcp://")?.rsplit_once(':')?;
    authority(host)?;
    port(number)
}

/// Underscores are no part of host names, but container networks have them (`datadog_agent`). A dot
/// at the end makes a name absolute (`agent.svc.cluster.local.`), and so it stays.
fn url_host(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    is_host_name(name, |byte| byte.is_ascii_alphanumeric() || byte == b'_').then(|| text.to_owned())
}

fn is_host_name(text: &str, alphanumeric: impl Fn(u8) -> bool) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| alphanumeric(byte) || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// What was meant to be a URL, as an error shows it: without what may be a password or a token,
/// however malformed it is. That is all before the last `@`, and all behind a `?` or a `#`.
pub(super) fn without_secrets(text: &str) -> String {
    let scheme = text.find("://").map_or("", |at| &text[..at + 3]);
    let (scheme, rest) = match text.rfind('@') {
        Some(at) if text[..at].contains([':', '/']) => {
            let scheme = if scheme.len() <= at { scheme } else { "" };
            (scheme, &text[at + 1..])
        }
        _ => ("", text),
    };
    match rest.find(['?', '#']) {
        Some(at) => format!("{scheme}{}{HIDDEN}", &rest[..=at]),
        None => format!("{scheme}{rest}"),
    }
}

/// A URL without user and password; `git@host:path` keeps its user, which is no secret.
pub(super) fn without_credentials(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(start);
    let before_path = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match before_path.rfind('@') {
        Some(at) if start > 0 || before_path[..at].contains(':') => {
            format!("{scheme}{}", &rest[at + 1..])
        }
        // No host and port: the start of a password, which should have been escaped.
        None if start > 0 && before_path.contains(':') && authority(before_path).is_none() => {
            let host = rest.rfind('@').map_or(rest, |at| &rest[at + 1..]);
            format!("{scheme}{host}")
        }
        _ => url.to_owned(),
    }
}

pub(super) const HEADER: &str = "at most 64 headers `name:value`, with a name of at most 256 token \
     characters that the exporter does not set itself, and a value of at most 8192 visible ASCII \
     characters, spaces and tabs";

pub(super) const MAX_HEADERS: usize = 64;

/// What the exporter says itself about a body, its way and its sender.
const RESERVED_HEADERS: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "dd-api-key",
    "host",
    "transfer-encoding",
    "x-datadog-evp-subdomain",
];

pub(super) fn is_header(name: &str, value: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=256).contains(&name.len())
        && name.bytes().all(token)
        && !RESERVED_HEADERS
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved))
        && value.len() <= 8192
        && value
            .bytes()
            .all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

pub(super) const DIR: &str = "a path that is not empty";

pub(super) fn is_dir(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    !bytes.is_empty() && !bytes.contains(&0)
}

pub(super) fn dir(text: &str) -> Option<PathBuf> {
    Some(PathBuf::from(text)).filter(|path| is_dir(path))
}
