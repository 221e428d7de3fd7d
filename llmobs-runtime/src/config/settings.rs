//! What the runtime reads: every setting validated, its precedence resolved, its default filled in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Capture, Certificate, Config, ConfigError, ConfigWarning, Destination, check, paths};
use crate::processor::Processors;
use crate::sampling::{SamplingRule, rate_text};

/// A key that cannot be printed by accident: no `Display`, and a `Debug` that says only that there
/// is one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey(Arc<str>);

impl ApiKey {
    pub(super) fn new(key: impl Into<String>) -> ApiKey {
        ApiKey(key.into().into())
    }

    pub(super) fn checked(self, name: &'static str) -> Result<ApiKey, ConfigError> {
        if check::is_api_key(&self.0) {
            return Ok(self);
        }
        Err(ConfigError::invalid(name, check::HIDDEN, check::API_KEY))
    }

    /// The key itself, for the header of a request and nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[set]")
    }
}

/// A request header; its value may be a secret, so `Debug` shows the name only.
#[derive(Clone)]
pub(super) struct Header {
    name: String,
    value: String,
}

impl Header {
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Header {
        Header {
            name: name.into(),
            value: value.into(),
        }
    }

    pub(super) fn checked(self, source: &'static str) -> Result<Header, ConfigError> {
        if check::is_header(&self.name, &self.value) {
            return Ok(self);
        }
        Err(ConfigError::invalid(
            source,
            &format!("{}: {}", self.name, check::HIDDEN),
            check::HEADER,
        ))
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, check::HIDDEN)
    }
}

/// Where requests go, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `http` or `https`, a host, maybe a port and a path, no slash at the end.
    Http(String),
    /// The absolute path of a socket.
    Unix(PathBuf),
}

impl Origin {
    /// Whether a path follows the host; such an origin takes the place of an Agent's proxy path too
    /// (as in ddtrace).
    pub(crate) fn has_path(&self) -> bool {
        match self {
            Origin::Http(base) => base
                .split_once("://")
                .is_some_and(|(_, rest)| rest.contains('/')),
            Origin::Unix(_) => false,
        }
    }
}

/// Where an Agent is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentAddress {
    pub(crate) url: Origin,
    /// Somebody said that there is one, so that events wait for it.
    pub(crate) named: bool,
}

impl AgentAddress {
    pub(super) const DEFAULT_HOST: &'static str = "localhost";
    pub(super) const DEFAULT_PORT: u16 = 8126;
}

impl Default for AgentAddress {
    fn default() -> AgentAddress {
        let url = format!(
            "http://{}:{}",
            AgentAddress::DEFAULT_HOST,
            AgentAddress::DEFAULT_PORT
        );
        AgentAddress {
            url: Origin::Http(url),
            named: false,
        }
    }
}

/// The configuration as the rest of the runtime sees it.
#[derive(Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, under its own name"
)]
pub(crate) struct Settings {
    pub(crate) enabled: bool,
    /// One client of several, perhaps: what is told of it says whose it is.
    pub(crate) scoped: bool,
    pub(crate) ml_app: Arc<str>,
    /// Empty when unset, as `env` and `version`.
    pub(crate) service: Arc<str>,
    pub(crate) env: Arc<str>,
    pub(crate) version: Arc<str>,
    /// Each key once; `service`, `env` and `version` are the fields above.
    pub(crate) global_tags: Vec<(String, String)>,
    pub(crate) sample_rate: f64,
    /// The rate as it goes on the wire: at most six decimals, no zeros at the end.
    pub(crate) sample_rate_text: Arc<str>,
    /// The first that fits the root's tags decides instead of `sample_rate`.
    pub(crate) sampling_rules: Arc<[SamplingRule]>,
    pub(crate) capture: Capture,
    pub(crate) tracing_spans: bool,
    /// What the code says, each once; empty: chosen by the worker.
    pub(crate) destinations: Vec<Destination>,
    /// Only read when `destinations` is empty.
    pub(crate) agentless: Option<bool>,
    pub(crate) agent: AgentAddress,
    pub(crate) site: String,
    pub(crate) api_key: Option<ApiKey>,
    pub(crate) override_origin: Option<Origin>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) ca_certificates: Vec<Certificate>,
    /// The path of the system's certificates, if a variable says so by a relative path.
    pub(crate) trust: Option<paths::Trust>,
    pub(crate) dir: PathBuf,
    pub(crate) spool: bool,
    pub(crate) spool_max_bytes: u64,
    pub(crate) spool_max_age: Duration,
    pub(crate) payload_size_bytes: usize,
    pub(crate) event_size_bytes: usize,
    pub(crate) timeout: Duration,
    pub(crate) flush_interval: Duration,
    /// How long the shutdown at a signal may take; `None`: signals are not handled.
    pub(crate) shutdown_on_signals: Option<Duration>,
    pub(crate) max_events: usize,
    pub(crate) max_bytes: usize,
    pub(crate) processors: Processors,
    pub(crate) warnings: Vec<ConfigWarning>,
}

impl Settings {
    /// How many bytes of events may wait for one destination. The bodies in flight, one of
    /// spans and one of evaluations, are copies of some of them and have their share.
    pub(crate) fn max_event_bytes(&self) -> usize {
        let bodies = self.payload_size_bytes.saturating_mul(2);
        self.max_bytes
            .saturating_sub(bodies)
            .max(self.max_bytes / 2)
    }

    /// The application in a log line, where there may be other clients that send to the same place.
    pub(crate) fn whose(&self) -> String {
        if self.scoped {
            format!(" for ml_app {:?}", self.ml_app)
        } else {
            String::new()
        }
    }

    /// Whether `site` can be sent to without an Agent.
    pub(crate) fn site_has_product(&self) -> bool {
        check::has_product(&self.site)
    }
}

// Without the headers, whose values may be secrets.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("enabled", &self.enabled)
            .field("ml_app", &self.ml_app)
            .field("destinations", &self.destinations)
            .field("agentless", &self.agentless)
            .field("agent", &self.agent)
            .field("site", &self.site)
            .field("api_key", &self.api_key)
            .field("capture", &self.capture)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Everything validated, resolved and filled in. A disabled configuration is validated as well,
    /// but needs neither an API key nor a site that it could send to.
    pub(crate) fn settings(&self) -> Result<Settings, ConfigError> {
        let vars = &self.vars;
        let enabled = self.enabled.or(vars.enabled).unwrap_or(true);
        if let Some(error) = vars.error.as_ref().filter(|_| enabled) {
            return Err(error.clone());
        }
        let mut tags = self.resolved_tags()?;
        let mut unified = |code: Option<&String>, variable: Option<&String>, key: &str| {
            let tag = take(&mut tags, key);
            [code, variable, tag.as_ref()].into_iter().find_map(given)
        };
        let service = unified(self.service.as_ref(), vars.service.as_ref(), "service");
        let env = unified(self.env.as_ref(), vars.env.as_ref(), "env").unwrap_or_default();
        let version =
            unified(self.version.as_ref(), vars.version.as_ref(), "version").unwrap_or_default();
        let names = [
            self.agent_service.as_ref(),
            self.ml_app.as_ref(),
            vars.ml_app.as_ref(),
            service.as_ref(),
        ];
        let ml_app = names
            .into_iter()
            .find_map(given)
            .unwrap_or_else(|| "unnamed-ml-app".to_owned());

        let rate = check::SAMPLE_RATE.checked("sample_rate", self.sample_rate)?;
        let rate = rate
            .or(vars.sample_rate)
            .unwrap_or(check::SAMPLE_RATE.default);

        let (site, site_name) = self.resolved_site()?;
        let api_key = match &self.api_key {
            Some(key) => Some(key.clone().checked("api_key")?),
            None => vars.api_key.clone(),
        };
        let mut warnings = vars.warnings.clone();
        if enabled {
            warnings.extend(self.reachable(&site, site_name, api_key.is_some())?);
        }

        let payload = check::PAYLOAD_SIZE.checked("payload_size_bytes", self.payload_size_bytes)?;
        let event = check::EVENT_SIZE.checked("event_size_bytes", self.event_size_bytes)?;
        let timeout = check::TIMEOUT.checked("timeout", self.timeout)?;
        let flush_interval =
            check::FLUSH_INTERVAL.checked("flush_interval", self.flush_interval)?;
        let shutdown_on_signals =
            check::TIMEOUT.checked("shutdown_on_signals", self.shutdown_on_signals)?;
        let max_events = check::MAX_EVENTS.checked("max_events", self.max_events)?;
        let max_bytes = check::MAX_BYTES.checked("max_bytes", self.max_bytes)?;
        let spool_max_bytes =
            check::SPOOL_MAX_BYTES.checked("spool_max_bytes", self.spool_max_bytes)?;
        let spool_max_age = check::SPOOL_MAX_AGE.checked("spool_max_age", self.spool_max_age)?;

        Ok(Settings {
            enabled,
            scoped: false,
            ml_app: ml_app.into(),
            service: service.unwrap_or_default().into(),
            env: env.into(),
            version: version.into(),
            global_tags: tags,
            sample_rate: rate,
            sample_rate_text: rate_text(rate).into(),
            sampling_rules: self.resolved_rules()?.into(),
            capture: self.capture.or(vars.capture).unwrap_or_default(),
            tracing_spans: self.tracing_spans.unwrap_or(true),
            destinations: self.destinations.clone(),
            agentless: self.agentless.or(vars.agentless),
            agent: match self.agent_url.clone().transpose()? {
                Some(url) => AgentAddress { url, named: true },
                None => vars.agent.clone().unwrap_or_default(),
            },
            site,
            api_key,
            override_origin: self
                .override_origin
                .clone()
                .transpose()?
                .or_else(|| vars.override_origin.clone()),
            headers: self.resolved_headers()?,
            ca_certificates: self.resolved_certificates()?,
            trust: paths::Trust::from_env(),
            dir: self.resolved_dir()?,
            spool: self.spool.or(vars.spool).unwrap_or(false),
            spool_max_bytes: spool_max_bytes.unwrap_or(check::SPOOL_MAX_BYTES.default),
            spool_max_age: spool_max_age.unwrap_or(check::SPOOL_MAX_AGE.default),
            payload_size_bytes: payload
                .or(vars.payload_size_bytes)
                .unwrap_or(check::PAYLOAD_SIZE.default),
            event_size_bytes: event
                .or(vars.event_size_bytes)
                .unwrap_or(check::EVENT_SIZE.default),
            timeout: timeout.or(vars.timeout).unwrap_or(check::TIMEOUT.default),
            flush_interval: flush_interval
                .or(vars.flush_interval)
                .unwrap_or(check::FLUSH_INTERVAL.default),
            shutdown_on_signals,
            max_events: max_events.unwrap_or(check::MAX_EVENTS.default),
            max_bytes: max_bytes.unwrap_or(check::MAX_BYTES.default),
            processors: self.processors.clone(),
            warnings,
        })
    }

    /// The code's rules, else those of the environment.
    fn resolved_rules(&self) -> Result<Vec<SamplingRule>, ConfigError> {
        if self.sampling_rules.is_empty() {
            return Ok(self.vars.sampling_rules.clone());
        }
        for rule in &self.sampling_rules {
            check::SAMPLE_RATE.checked("sampling_rule", Some(rule.rate))?;
            if rule.tags.iter().any(|(key, _)| key.is_empty()) {
                return Err(ConfigError::invalid(
                    "sampling_rule",
                    &format!("{:?}", rule.tags),
                    "tags with keys that are not empty",
                ));
            }
        }
        Ok(self.sampling_rules.clone())
    }

    /// `DD_TAGS`, then the code's, then git's: of one key the code's value counts, else git's, else
    /// `DD_TAGS`'s.
    fn resolved_tags(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let mut tags = Vec::new();
        for (key, value) in self.vars.tags.iter().chain(&self.tags) {
            if key.is_empty() {
                return Err(ConfigError::invalid(
                    "tag",
                    &format!(":{value}"),
                    "a key that is not empty, and a value",
                ));
            }
            put(&mut tags, key, value);
        }
        for (key, value) in &self.vars.git {
            if !self.tags.iter().any(|(given, _)| given == key) {
                put(&mut tags, key, value);
            }
        }
        Ok(tags)
    }

    fn resolved_site(&self) -> Result<(String, &'static str), ConfigError> {
        let site = match &self.site {
            Some(site) => site.clone()?,
            None => self
                .vars
                .site
                .clone()
                .unwrap_or_else(|| "datadoghq.com".to_owned()),
        };
        Ok((
            site,
            if self.site.is_some() {
                "site"
            } else {
                "DD_SITE"
            },
        ))
    }

    /// Whether what was chosen can be sent to: an error when delivery without an Agent was asked
    /// for and cannot be, a warning when it is merely not there to fall back to.
    fn reachable(
        &self,
        site: &str,
        site_name: &'static str,
        has_key: bool,
    ) -> Result<Option<ConfigWarning>, ConfigError> {
        let offering = "a site that offers LLM Observability";
        let chosen = self.agentless_chosen_by();
        if let Some((name, value)) = chosen.filter(|_| !has_key) {
            let allowed = "an API key, in DD_API_KEY or from the setter `api_key`";
            return Err(ConfigError::MissingApiKey {
                name,
                value: value.to_owned(),
                allowed,
            });
        }
        if check::has_product(site) {
            return Ok(None);
        }
        if chosen.is_some() {
            return Err(ConfigError::SiteWithoutProduct {
                name: site_name,
                value: site.to_owned(),
                allowed: offering,
            });
        }
        Ok(Some(ConfigWarning::new(
            site_name,
            site,
            offering,
            "an Agent or the journal only",
        )))
    }

    /// What chose delivery without an Agent, and its value. A list of destinations decides alone.
    fn agentless_chosen_by(&self) -> Option<(&'static str, &'static str)> {
        if !self.destinations.is_empty() {
            let agentless = self
                .destinations
                .iter()
                .any(|one| matches!(one, Destination::Agentless));
            return agentless.then_some(("destination", "Agentless"));
        }
        match (self.agentless, self.vars.agentless) {
            (Some(true), _) => Some(("agentless", "true")),
            (None, Some(true)) => Some(("DD_LLMOBS_AGENTLESS_ENABLED", "true")),
            _ => None,
        }
    }

    /// The variable's headers, then the code's; of one name, in any case, the last.
    fn resolved_headers(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let mut headers: Vec<(String, String)> = Vec::new();
        for Header { name, value } in &self.vars.headers {
            put_header(&mut headers, name, value);
        }
        for header in &self.headers {
            let Header { name, value } = header.clone().checked("header")?;
            put_header(&mut headers, &name, &value);
        }
        if headers.len() > check::MAX_HEADERS {
            let source = if self.headers.is_empty() {
                "_DD_TRACE_WRITER_ADDITIONAL_HEADERS"
            } else {
                "header"
            };
            return Err(ConfigError::invalid(
                source,
                &format!("{} headers", headers.len()),
                check::HEADER,
            ));
        }
        Ok(headers)
    }

    fn resolved_certificates(&self) -> Result<Vec<Certificate>, ConfigError> {
        let mut certificates = Vec::new();
        for text in &self.ca_certificates {
            certificates.extend(text.clone()?);
        }
        Ok(certificates)
    }

    fn resolved_dir(&self) -> Result<PathBuf, ConfigError> {
        let Some(dir) = &self.dir else {
            let named = self.vars.dir.as_deref();
            return Ok(paths::fixed(named.unwrap_or(Path::new(".llmobs"))));
        };
        if check::is_dir(dir) {
            return Ok(paths::fixed(dir));
        }
        Err(ConfigError::invalid(
            "dir",
            &dir.to_string_lossy(),
            check::DIR,
        ))
    }
}

/// A text that was given: an empty one counts as unset.
fn given(text: Option<&String>) -> Option<String> {
    text.cloned().filter(|text| !text.is_empty())
}

fn put(tags: &mut Vec<(String, String)>, key: &str, value: &str) {
    match tags.iter_mut().find(|(present, _)| present == key) {
        Some((_, present)) => value.clone_into(present),
        None => tags.push((key.to_owned(), value.to_owned())),
    }
}

fn put_header(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    headers.retain(|(present, _)| !present.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value.to_owned()));
}

fn take(tags: &mut Vec<(String, String)>, key: &str) -> Option<String> {
    let at = tags.iter().position(|(present, _)| present == key)?;
    Some(tags.remove(at).1)
}
