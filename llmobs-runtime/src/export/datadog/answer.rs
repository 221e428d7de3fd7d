//! What is read of an answer: its first words, and how long to wait.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, RETRY_AFTER};

use super::http::{Answer, Failure};

/// How much of a server's words is read.
const LONGEST_ANSWER: usize = 64 * 1024;
/// How much of them is shown.
const SHOWN: usize = 300;

/// How long the server asks to wait: `Retry-After`, in seconds or as a date (RFC 9110,
/// §10.2.3), else `x-ratelimit-reset`, in seconds or as a Unix time. Nothing for what is
/// already over.
pub(super) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let reset = HeaderName::from_static("x-ratelimit-reset");
    let from_now = |moment: SystemTime| {
        let wait = moment.duration_since(SystemTime::now());
        wait.unwrap_or_default()
    };
    let date = |text: &str| httpdate::parse_http_date(text).ok().map(from_now);
    let retry_after = text(&RETRY_AFTER).and_then(|text| seconds(text).or_else(|| date(text)));
    retry_after.or_else(|| seconds(text(&reset)?))
}

/// A number of seconds from now, or a Unix time, which is much larger.
fn seconds(text: &str) -> Option<Duration> {
    let asked: u64 = text.parse().ok()?;
    let now = crate::clock::unix_ms() / 1_000;
    let is_a_date = asked > now / 2;
    Some(Duration::from_secs(if is_a_date {
        asked.saturating_sub(now)
    } else {
        asked
    }))
}

/// The beginning of an answer, and the error with which it broke off before its end.
pub(super) async fn bounded(response: &mut Answer) -> (Vec<u8>, Option<Failure>) {
    let mut answer = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if answer.len() < LONGEST_ANSWER => {
                let room = LONGEST_ANSWER - answer.len();
                answer.extend(&chunk[..chunk.len().min(room)]);
            }
            Ok(_) => return (answer, None),
            Err(error) => return (answer, Some(error)),
        }
    }
}

/// A server's words on one line of a log.
pub(super) fn shown(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let words: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match words.trim() {
        "" => "no further words".to_owned(),
        words => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        asked_wait(&headers)
    }

    #[test]
    fn a_server_asks_for_seconds_or_for_a_time() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(asked("retry-after", "7"), seconds(7));
        assert_eq!(asked("x-ratelimit-reset", "9"), seconds(9));
        let in_a_minute = (crate::clock::unix_ms() / 1_000 + 60).to_string();
        let wait = asked("x-ratelimit-reset", &in_a_minute).unwrap();
        assert!((58..=60).contains(&wait.as_secs()));
        for wrong in ["soon", "", "-1", "1.5", "18446744073709551616"] {
            assert_eq!(asked("retry-after", wrong), None, "{wrong}");
        }
        assert!(asked("retry-after", &u64::MAX.to_string()) > seconds(1_000_000));
    }

    #[test]
    fn a_server_asks_for_a_date_in_any_of_the_three_forms() {
        let moment = SystemTime::now() + Duration::from_secs(60);
        let wait = asked("retry-after", &httpdate::fmt_http_date(moment)).unwrap();
        assert!((58..=60).contains(&wait.as_secs()), "{wait:?}");
        for past in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(asked("retry-after", past), Some(Duration::ZERO), "{past}");
        }
        assert_eq!(asked("retry-after", "Sun, 99 Nov 2094 08:49:37 GMT"), None);
    }

    #[test]
    fn a_wait_that_cannot_be_read_leaves_the_other_header() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "soon".parse().unwrap());
        headers.insert("x-ratelimit-reset", "9".parse().unwrap());
        assert_eq!(asked_wait(&headers), Some(Duration::from_secs(9)));
    }
}
