//! A recorded request and a scripted reply.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::public;

/// The largest body and the most events in one that the intake takes.
const MAX_BODY_BYTES: usize = 5_000_000;
const MAX_EVENTS: usize = 1_000;

/// A request as it came; cheap to clone.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST`, as written.
    pub method: String,
    /// The request's target, with its query if it has one.
    pub path: String,
    /// By lower-cased name; the values of a repeated header are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The body, chunks already joined.
    pub body: Arc<[u8]>,
    /// When its last byte was read.
    pub arrived: Instant,
    /// The status that it was answered with; none if it was left hanging or cut off, or while the script is asked.
    pub answer: Option<u16>,
    parsed: Arc<OnceLock<Result<Value, String>>>,
}

impl Request {
    pub(super) fn new(
        method: String,
        path: String,
        headers: BTreeMap<String, String>,
        body: Vec<u8>,
    ) -> Self {
        Request {
            method,
            path,
            headers,
            body: body.into(),
            arrived: Instant::now(),
            answer: None,
            parsed: Arc::default(),
        }
    }

    /// A header's value, by lower-cased name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as JSON, parsed once; null if it is none.
    pub fn json(&self) -> &Value {
        self.parse().as_ref().unwrap_or(&Value::Null)
    }

    fn parse(&self) -> &Result<Value, String> {
        self.parsed
            .get_or_init(|| match std::str::from_utf8(&self.body) {
                Ok(text) => {
                    serde_json::from_str(text).map_err(|error| format!("body is not JSON: {error}"))
                }
                Err(error) => Err(format!("body is not UTF-8: {error}")),
            })
    }

    /// The span events in the body, if the path is the spans'.
    pub fn spans(&self) -> std::vec::IntoIter<&Value> {
        let mut spans = Vec::new();
        if self.is_to("/api/v2/llmobs") {
            let body = self.json();
            let envelopes = body
                .as_array()
                .map_or(std::slice::from_ref(body), Vec::as_slice);
            spans.extend(
                envelopes
                    .iter()
                    .filter_map(|envelope| envelope["spans"].as_array())
                    .flatten(),
            );
        }
        spans.into_iter()
    }

    /// The spans in the body, if the path is that of the documented Spans API.
    pub fn public_spans(&self) -> std::vec::IntoIter<&Value> {
        let mut spans = Vec::new();
        if self.is_to(public::PATH) {
            spans.extend(public::spans(self.json()));
        }
        spans.into_iter()
    }

    /// How many events there are in the body, of whichever sort.
    fn events(&self) -> usize {
        self.spans().len() + self.public_spans().len() + self.evaluations().len()
    }

    /// The evaluation events in the body, if the path is the evaluations'.
    pub fn evaluations(&self) -> std::vec::IntoIter<&Value> {
        let mut evaluations = Vec::new();
        if self.is_to("/eval-metric") {
            evaluations.extend(
                self.json()["data"]["attributes"]["metrics"]
                    .as_array()
                    .into_iter()
                    .flatten(),
            );
        }
        evaluations.into_iter()
    }

    fn is_to(&self, suffix: &str) -> bool {
        self.path
            .split('?')
            .next()
            .is_some_and(|path| path.ends_with(suffix))
    }

    /// Whether it was answered with a status of 200 to 299.
    pub fn was_accepted(&self) -> bool {
        self.answer
            .is_some_and(|status| (200..300).contains(&status))
    }

    /// What a real server would refuse: no `host`, no `content-length` or chunks instead, a `content-type` other than
    /// `application/json`, a compressed body, one that is no UTF-8 JSON, more than 5,000,000 bytes or 1,000 events; on the
    /// path of the documented Spans API also a body that its documentation does not allow.
    pub fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.header("host").is_none() {
            found.push("no host".to_owned());
        }
        if self.method == "GET" {
            return found;
        }
        if self.header("content-length").is_none() {
            found.push("no content-length".to_owned());
        }
        for name in ["transfer-encoding", "content-encoding"] {
            if let Some(value) = self.header(name) {
                found.push(format!("{name}: {value}"));
            }
        }
        if self.header("content-type") != Some("application/json") {
            found.push(format!("content-type: {:?}", self.header("content-type")));
        }
        if self.body.len() > MAX_BODY_BYTES {
            found.push(format!("body of {} bytes", self.body.len()));
        }
        if let Err(error) = self.parse() {
            found.push(error.clone());
        }
        let events = self.events();
        if events > MAX_EVENTS {
            found.push(format!("{events} events"));
        }
        if self.is_to(public::PATH) {
            if self.header("dd-api-key").is_none() {
                found.push("no dd-api-key".to_owned());
            }
            found.extend(public::violations(self.json()));
        }
        found
    }

    pub(super) fn summary(&self) -> String {
        let events = self.events();
        format!(
            "{} {} ({} bytes, {events} events)",
            self.method,
            self.path,
            self.body.len()
        )
    }
}

/// What to answer; the default is 202 `{}` at once.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Written besides `content-length`; one that is given here replaces the true length, and the connection is
    /// closed after the body.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long to wait before answering, hanging up or resetting.
    pub delay: Duration,
    pub(super) ending: Ending,
    /// Written as it is in the place of status, headers and body.
    raw: Option<Vec<u8>>,
    /// Written before the answer.
    interim: Vec<u8>,
    /// How much of the answer is written.
    length: Option<usize>,
    /// From which byte on there is a pause after each.
    pub(super) drips: Option<(usize, Duration)>,
    pub(super) then: Then,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    HangUp,
    Reset,
}

/// How the body of a request is read, where it is not read to its end.
#[derive(Clone, Copy, Debug)]
pub enum Reading {
    /// Resets the connection after so many bytes.
    ResetAfter(usize),
    /// Closes the connection after so many bytes.
    HangUpAfter(usize),
    /// Reads one byte, waits so long, and so on, until the client goes.
    Slowly(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Answer,
    HangUp,
    Reset,
    Hang,
}

impl Default for Reply {
    fn default() -> Self {
        Reply::status(202)
    }
}

impl Reply {
    /// This status with the body `{}`.
    pub fn status(status: u16) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Reply {
            status,
            headers,
            body: b"{}".to_vec(),
            delay: Duration::ZERO,
            ending: Ending::Answer,
            raw: None,
            interim: Vec::new(),
            length: None,
            drips: None,
            then: Then::GoOn,
        }
    }

    /// Writes these bytes, whatever they are, and closes the connection; they count as no acceptance.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Reply {
            raw: Some(bytes.into()),
            then: Then::HangUp,
            ..Reply::status(0)
        }
    }

    /// 200 with this body.
    pub fn json(body: Value) -> Self {
        Reply::status(200).body(body.to_string())
    }

    /// Closes the connection without an answer.
    pub fn drop_connection() -> Self {
        Reply {
            ending: Ending::HangUp,
            ..Reply::default()
        }
    }

    /// Resets the connection (a TCP RST; on a Unix socket, closes it) without an answer.
    pub fn reset() -> Self {
        Reply {
            ending: Ending::Reset,
            ..Reply::default()
        }
    }

    /// Never answers and keeps the connection open, until the client or the intake goes.
    pub fn hang() -> Self {
        Reply {
            ending: Ending::Hang,
            ..Reply::default()
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits so long before it answers.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Answers these statuses first, which are from 100 to 199.
    pub fn after_interim(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            let interim = format!("HTTP/1.1 {status} Interim\r\nx-interim: {status}\r\n\r\n");
            self.interim.extend(interim.into_bytes());
        }
        self
    }

    /// Writes so many bytes at once, then one at a time, with this pause after each.
    pub fn dripping_after(mut self, bytes: usize, pause: Duration) -> Self {
        self.drips = Some((bytes, pause));
        self
    }

    /// Resets the connection after so many bytes of the answer, and counts as no acceptance.
    pub fn reset_after(mut self, bytes: usize) -> Self {
        (self.length, self.then) = (Some(bytes), Then::Reset);
        self
    }

    /// Closes the connection after the answer, without having said so.
    pub fn then_closes(mut self) -> Self {
        self.then = Then::HangUp;
        self
    }

    pub(super) fn promised_status(&self) -> Option<u16> {
        let answers = self.ending == Ending::Answer && self.raw.is_none() && self.length.is_none();
        answers.then_some(self.status)
    }

    /// Whether the headers say another length than the body has.
    pub(super) fn lies_about_length(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-length"))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = self.interim.clone();
        match &self.raw {
            Some(raw) => out.extend(raw),
            None => self.encode_parts(&mut out),
        }
        out.truncate(self.length.unwrap_or(usize::MAX));
        out
    }

    fn encode_parts(&self, out: &mut Vec<u8>) {
        out.extend(format!("HTTP/1.1 {} Scripted\r\n", self.status).into_bytes());
        for (name, value) in &self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !self.lies_about_length() {
            out.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
    }
}
