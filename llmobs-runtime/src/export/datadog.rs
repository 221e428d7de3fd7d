//! Datadog's two doors: an Agent's EVP proxy, and the intake (as in ddtrace).

mod answer;
mod http;
mod sending;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use ::http::{StatusCode, Uri};
use ring::digest;
use serde_json::Value;

use answer::{asked_wait, bounded, shown};
use http::{Answer, Http, Way, proxies};
use sending::Sending;
pub(crate) use sending::Sent;

use super::envelope::{Envelope, Holds};
use super::secrets::Secrets;
use super::tls;
use super::{Exporter, Line, Outcome};
use crate::config::{Origin, Settings};
use crate::container;
use crate::stats::EventKind;

const SPANS_PATH: &str = "/api/v2/llmobs";
const EVALUATIONS_PATH: &str = "/api/intake/llm-obs/v2/eval-metric";
/// The documented Spans API.
const PUBLIC_SPANS_PATH: &str = "/api/intake/llm-obs/v1/trace/spans";
/// The version that ddtrace uses even where an Agent offers a newer one; the others lack
/// the route for evaluations in Datadog's test agent.
const PROXY: &str = "/evp_proxy/v2";
const SUBDOMAIN: &str = "x-datadog-evp-subdomain";

/// How long an Agent may take to say what it offers.
const INFO_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection to an Agent is kept without use. Agents before 7.78 close theirs
/// after five seconds; a request that crosses that close has no answer.
const AGENT_IDLE: Duration = Duration::from_secs(4);
/// The same for the intake, which closes after sixty.
const INTAKE_IDLE: Duration = Duration::from_secs(45);

/// An Agent or the intake.
#[derive(Clone)]
pub(crate) struct Datadog {
    http: Http,
    headers: HeaderMap,
    door: Door,
    /// Hidden in what is told of an answer.
    secrets: Arc<Secrets>,
    /// What is used in its place, once that is decided.
    pub(super) substitute: Arc<OnceLock<Exporter>>,
}

#[derive(Clone)]
enum Door {
    Agent {
        /// As the user writes it.
        shown: String,
        base: String,
        prefix: &'static str,
        /// It has said that it has the proxy, or need not be asked.
        known: bool,
        /// It has not known the path since it last took something.
        doubted: bool,
        /// An origin that takes the Agent's place, which need not have an `/info`.
        is_override: bool,
        /// Without the proxy it counts as no Agent at all, and another destination is taken.
        may_be_replaced: bool,
        /// Nobody has named it, and it has not answered: without an answer it is none either.
        /// The same for all lanes.
        presumed: Arc<AtomicBool>,
    },
    Intake {
        site: String,
        /// The origin that takes the site's place.
        origin: Option<String>,
        spans: String,
        evaluations: String,
        public_spans: String,
    },
}

impl Datadog {
    pub(super) fn agent(url: &Origin, settings: &Settings) -> Result<Self, String> {
        let overridden = settings.override_origin.as_ref();
        let url = overridden.unwrap_or(url);
        let (base, socket) = match url {
            Origin::Http(base) => (base.clone(), None),
            Origin::Unix(path) => ("http://localhost".to_owned(), Some(path)),
        };
        let way = Way {
            socket: reachable(socket)?,
            // Proxies are for the way out; an Agent is on this side of them.
            proxies: None,
            tls: None,
        };
        Ok(Self {
            http: http(settings, way, &base, AGENT_IDLE)?,
            headers: headers(settings)?,
            secrets: Arc::new(Secrets::of(settings)),
            substitute: Arc::default(),
            door: Door::Agent {
                shown: url.display(),
                base,
                prefix: if overridden.is_some_and(Origin::has_path) {
                    ""
                } else {
                    PROXY
                },
                known: overridden.is_some(),
                doubted: false,
                is_override: overridden.is_some(),
                may_be_replaced: true,
                presumed: Arc::default(),
            },
        })
    }

    /// Where one listens that takes long to answer.
    pub(super) fn presumed(self) -> Self {
        if let Door::Agent { presumed, .. } = &self.door {
            presumed.store(true, Ordering::Relaxed);
        }
        self
    }

    /// Events wait for this Agent, whether it has the proxy by now or not.
    pub(super) fn without_substitute(mut self) -> Self {
        if let Door::Agent {
            may_be_replaced, ..
        } = &mut self.door
        {
            *may_be_replaced = false;
        }
        self
    }

    pub(super) fn agentless(settings: &Settings) -> Result<Self, String> {
        let Some(key) = &settings.api_key else {
            return Err("DD_API_KEY is not set, which the intake needs".to_owned());
        };
        let mut headers = headers(settings)?;
        let mut key = HeaderValue::from_str(key.expose())
            .map_err(|_| "DD_API_KEY is no header value".to_owned())?;
        key.set_sensitive(true);
        headers.insert(HeaderName::from_static("dd-api-key"), key);

        let site = &settings.site;
        let mut socket = None;
        let (spans, evaluations) = match &settings.override_origin {
            None => (
                format!("https://llmobs-intake.{site}"),
                format!("https://api.{site}"),
            ),
            Some(Origin::Http(base)) => (base.clone(), base.clone()),
            Some(Origin::Unix(path)) => {
                socket = Some(path);
                ("http://localhost".to_owned(), "http://localhost".to_owned())
            }
        };
        let way = Way {
            socket: reachable(socket)?,
            proxies: socket.is_none().then(proxies),
            tls: None,
        };
        Ok(Self {
            http: http(settings, way, &spans, INTAKE_IDLE)?,
            headers,
            secrets: Arc::new(Secrets::of(settings)),
            substitute: Arc::default(),
            door: Door::Intake {
                site: site.clone(),
                origin: settings.override_origin.as_ref().map(Origin::display),
                spans: spans + SPANS_PATH,
                public_spans: format!("{evaluations}{PUBLIC_SPANS_PATH}"),
                evaluations: evaluations + EVALUATIONS_PATH,
            },
        })
    }

    pub(super) fn name(&self) -> String {
        match &self.door {
            Door::Agent { shown, .. } => format!("agent {shown}"),
            Door::Intake { site, origin, .. } => intake_name(site, origin.as_deref()),
        }
    }

    pub(super) fn spool_folder(&self, settings: &Settings) -> String {
        match &self.door {
            Door::Agent { shown, .. } => spool_folder(AGENT, shown, ""),
            Door::Intake { .. } => intake_folder(settings),
        }
    }

    /// Whether the Agent has the proxy; an error where nobody answers.
    pub(super) async fn offers_proxy(&mut self) -> Result<bool, String> {
        let Door::Agent { base, known, .. } = &mut self.door else {
            return Ok(true);
        };
        let url = format!("{base}/info");
        let answer = self.http.get(&url, &plain_headers(), INFO_TIMEOUT).await;
        let mut response =
            answer.map_err(|error| self.secrets.hidden_in_text(&error.describe()))?;
        let status = response.status();
        if status.is_server_error() || may_pass(status) {
            return Err(format!("its /info answers {status}"));
        }
        if !status.is_success() {
            // Something answers there that is no Agent.
            return Ok(false);
        }
        let (answer, broken) = bounded(&mut response).await;
        if let Some(error) = broken {
            // Half an answer says nothing of what is offered.
            return Err(error.describe());
        }
        let info: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let endpoints = info["endpoints"].as_array();
        let offers = endpoints.is_some_and(|endpoints| {
            let mut names = endpoints.iter().filter_map(Value::as_str);
            names.any(|name| name.contains(PROXY))
        });
        *known = offers;
        Ok(offers)
    }

    /// Posts the events once.
    pub(super) async fn export(
        &mut self,
        kind: EventKind,
        events: &[Line<'_>],
        sent: &Sent,
    ) -> Outcome {
        if let Door::Agent {
            known: false,
            may_be_replaced,
            ref presumed,
            ..
        } = self.door
        {
            let presumed = Arc::clone(presumed);
            let reason = match self.offers_proxy().await {
                Ok(true) => {
                    presumed.store(false, Ordering::Relaxed);
                    None
                }
                Ok(false) if may_be_replaced => return Outcome::Elsewhere,
                Ok(false) => Some(format!("its /info does not list {PROXY}")),
                Err(_) if presumed.load(Ordering::Relaxed) => return Outcome::Elsewhere,
                Err(reason) => Some(reason),
            };
            if let Some(reason) = reason {
                let after = None;
                return Outcome::Retry { after, reason };
            }
        }
        let envelope = self.envelope(kind, events);
        let (url, subdomain) = self.endpoint(&envelope);
        let body = Sending::new(envelope.body(events), sent);
        let mut headers = self.headers.clone();
        if let Some(subdomain) = subdomain {
            let name = HeaderName::from_static(SUBDOMAIN);
            headers.insert(name, HeaderValue::from_static(subdomain));
        }
        match self.http.post(&url, &headers, body).await {
            Ok(response) => self.judge(response).await,
            Err(error) => {
                let reason = self.secrets.hidden_in_text(&error.describe());
                if sent.whole() {
                    Outcome::Unanswered { reason }
                } else {
                    // Nobody was reached, or nobody has read all of it.
                    let after = None;
                    Outcome::Retry { after, reason }
                }
            }
        }
    }

    /// The form of a body. Spans of the past have one that is documented, which the intake
    /// gets; an Agent gets what Datadog's SDKs send through it: it knows the route, and the
    /// form says more.
    fn envelope(&self, kind: EventKind, events: &[Line<'_>]) -> Envelope {
        match (&self.door, events.first().and_then(|event| event.public)) {
            (Door::Intake { .. }, Some(public)) => Envelope::of_public_spans(public.ml_app),
            _ => Envelope::of(kind),
        }
    }

    fn endpoint(&self, envelope: &Envelope) -> (String, Option<&'static str>) {
        match (&self.door, envelope.holds()) {
            (Door::Intake { spans, .. }, Holds::Spans) => (spans.clone(), None),
            (Door::Intake { public_spans, .. }, Holds::PublicSpans) => (public_spans.clone(), None),
            (Door::Intake { evaluations, .. }, Holds::Evaluations) => (evaluations.clone(), None),
            (Door::Agent { base, prefix, .. }, Holds::Evaluations) => {
                (format!("{base}{prefix}{EVALUATIONS_PATH}"), Some("api"))
            }
            (Door::Agent { base, prefix, .. }, _) => {
                (format!("{base}{prefix}{SPANS_PATH}"), Some("llmobs-intake"))
            }
        }
    }

    /// What an answer means.
    async fn judge(&mut self, mut response: Answer) -> Outcome {
        let status = response.status();
        let after = asked_wait(response.headers());
        // The status says it all: what goes wrong while the rest is read does not matter.
        let (answer, _) = bounded(&mut response).await;
        if status.is_success() {
            if let Door::Agent { doubted, .. } = &mut self.door {
                *doubted = false;
            }
            return Outcome::Delivered;
        }
        let reason = format!("{status}: {}", shown(&self.secrets.hidden_in(&answer)));
        match status {
            status if status.is_server_error() || may_pass(status) => {
                Outcome::Retry { after, reason }
            }
            // One event may be what is wrong with all of them.
            StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::BAD_REQUEST
            | StatusCode::UNPROCESSABLE_ENTITY => Outcome::Divide { reason },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let reason = match &self.door {
                    Door::Intake { site, .. } => {
                        format!("{reason}; is DD_API_KEY a key of the site {site:?} (DD_SITE)?")
                    }
                    Door::Agent { .. } => format!("{reason}; does the Agent have a valid API key?"),
                };
                Outcome::Barred { after, reason }
            }
            // A redirect leads the key to another place: it is not followed, and somebody
            // has to mend the address, or what a proxy is told.
            status
                if status.is_redirection()
                    || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED =>
            {
                Outcome::Barred { after, reason }
            }
            // An Agent may have lost the proxy, or another server its port. One that has it
            // all the same passes on what the intake said.
            StatusCode::NOT_FOUND => match &mut self.door {
                Door::Agent {
                    known,
                    doubted: doubted @ false,
                    is_override: false,
                    ..
                } => {
                    (*known, *doubted) = (false, true);
                    Outcome::Retry { after, reason }
                }
                door => {
                    if let Door::Agent { doubted, .. } = door {
                        *doubted = false;
                    }
                    Outcome::Refused { reason }
                }
            },
            _ => Outcome::Refused { reason },
        }
    }
}

/// What the names of Agents' folders begin with.
pub(super) const AGENT: &str = "agent";

fn intake_name(site: &str, origin: Option<&str>) -> String {
    format!("intake {}", origin.unwrap_or(site))
}

/// The name of the folder of what waits for the intake, with these settings' key.
pub(super) fn intake_folder(settings: &Settings) -> String {
    let site = &settings.site;
    let origin = settings.override_origin.as_ref().map(Origin::display);
    let key = settings.api_key.as_ref().map_or("", |key| key.expose());
    let name = intake_name(site, origin.as_deref());
    spool_folder(&format!("intake-{site}"), &name, key)
}

/// `prefix` and half of a SHA-256 over where events go and with which key.
pub(super) fn spool_folder(prefix: &str, place: &str, key: &str) -> String {
    let hash = digest::digest(&digest::SHA256, format!("{place}\n{key}").as_bytes());
    let hash = hash.as_ref().iter().take(16);
    hash.fold(format!("{prefix}-"), |name, byte| {
        name + &format!("{byte:02x}")
    })
}

/// A status that asks to try again, beside those of servers in trouble.
fn may_pass(status: StatusCode) -> bool {
    status.is_informational()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

impl Origin {
    /// As the user writes it.
    pub(super) fn display(&self) -> String {
        match self {
            Self::Http(base) => base.clone(),
            Self::Unix(path) => format!("unix://{}", path.display()),
        }
    }
}

fn http(settings: &Settings, mut way: Way, url: &str, idle: Duration) -> Result<Http, String> {
    let url: Uri = url
        .parse()
        .map_err(|error| format!("{url} cannot be used as an address ({error})"))?;
    if way.has_tls(&url) {
        way.tls = Some(Arc::new(tls::config(
            &settings.ca_certificates,
            settings.trust.as_ref(),
        )?));
    }
    Ok(Http::new(way, idle, settings.timeout))
}

fn reachable(socket: Option<&PathBuf>) -> Result<Option<PathBuf>, String> {
    match socket {
        Some(path) if cfg!(not(unix)) => Err(format!(
            "{} cannot be used: there are no Unix sockets here",
            path.display()
        )),
        socket => Ok(socket.cloned()),
    }
}

/// Those of every request.
fn plain_headers() -> HeaderMap {
    let agent = concat!("llmobs-rust/", env!("CARGO_PKG_VERSION"));
    [(USER_AGENT, agent), (ACCEPT, "*/*")]
        .into_iter()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect()
}

fn headers(settings: &Settings) -> Result<HeaderMap, String> {
    let mut headers = plain_headers();
    let extra = settings.headers.iter().map(|(k, v)| (&**k, &**v));
    let container = container::headers();
    let container = container.iter().map(|(k, v)| (*k, &**v));
    for (name, value) in container.chain(extra) {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} is no header name"))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of header {name} is no header value"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(headers)
}
