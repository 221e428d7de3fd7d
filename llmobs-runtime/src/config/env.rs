//! The environment variables: each is read once, checked, and kept apart from what the code says.
//!
//! A variable that decides where data goes or what leaves is an error when it is wrong: a default
//! in its place would send data where nobody wanted it. A wrong number is a warning.

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use super::check::{self, Rule};
use super::rules;
use super::{AgentAddress, ApiKey, Capture, ConfigError, ConfigWarning, Header, Origin};
use crate::sampling::SamplingRule;

/// What the environment says; `None` where it says nothing, or nothing that can be used.
#[derive(Clone, Debug, Default)]
pub(super) struct Vars {
    pub(super) enabled: Option<bool>,
    pub(super) ml_app: Option<String>,
    pub(super) service: Option<String>,
    pub(super) env: Option<String>,
    pub(super) version: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) git: Vec<(String, String)>,
    pub(super) api_key: Option<ApiKey>,
    pub(super) site: Option<String>,
    pub(super) agentless: Option<bool>,
    pub(super) agent: Option<AgentAddress>,
    pub(super) override_origin: Option<Origin>,
    pub(super) sample_rate: Option<f64>,
    pub(super) sampling_rules: Vec<SamplingRule>,
    pub(super) capture: Option<Capture>,
    pub(super) dir: Option<PathBuf>,
    pub(super) spool: Option<bool>,
    pub(super) payload_size_bytes: Option<usize>,
    pub(super) event_size_bytes: Option<usize>,
    pub(super) headers: Vec<Header>,
    pub(super) timeout: Option<Duration>,
    pub(super) flush_interval: Option<Duration>,
    pub(super) warnings: Vec<ConfigWarning>,
    /// Why nothing of the above was read, in an environment that turns llmobs off: whoever turns it
    /// on in code is told.
    pub(super) error: Option<ConfigError>,
}

impl Vars {
    pub(super) fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Vars, ConfigError> {
        let reader = Reader {
            lookup,
            warnings: Vec::new(),
        };
        let enabled = reader.boolean("DD_LLMOBS_ENABLED")?;
        match Self::read_rest(reader) {
            Ok(vars) => Ok(Vars { enabled, ..vars }),
            Err(error) if enabled == Some(false) => Ok(Vars {
                enabled,
                error: Some(error),
                ..Vars::default()
            }),
            Err(error) => Err(error),
        }
    }

    fn read_rest<F: Fn(&str) -> Option<OsString>>(
        mut reader: Reader<F>,
    ) -> Result<Vars, ConfigError> {
        Ok(Vars {
            enabled: None,
            error: None,
            ml_app: reader.free_text("DD_LLMOBS_ML_APP")?,
            service: reader.free_text("DD_SERVICE")?,
            env: reader.free_text("DD_ENV")?,
            version: reader.free_text("DD_VERSION")?,
            tags: reader.tags()?,
            git: reader.git()?,
            api_key: reader.api_key()?,
            site: reader.parsed("DD_SITE", check::site, check::SITE)?,
            agentless: reader.boolean("DD_LLMOBS_AGENTLESS_ENABLED")?,
            agent: reader.agent()?,
            override_origin: reader.origin("DD_LLMOBS_OVERRIDE_ORIGIN")?,
            sample_rate: reader.number("DD_LLMOBS_SAMPLE_RATE", &check::SAMPLE_RATE, |text| {
                text.parse().ok()
            })?,
            sampling_rules: reader.sampling_rules()?,
            capture: reader.parsed("LLMOBS_CAPTURE", check::capture, check::CAPTURE)?,
            dir: reader.dir()?,
            spool: reader.boolean("LLMOBS_SPOOL")?,
            payload_size_bytes: reader.number(
                "DD_LLMOBS_PAYLOAD_SIZE_BYTES",
                &check::PAYLOAD_SIZE,
                bytes,
            )?,
            event_size_bytes: reader.number(
                "DD_LLMOBS_EVENT_SIZE_BYTES",
                &check::EVENT_SIZE,
                bytes,
            )?,
            headers: reader.headers()?,
            timeout: reader.seconds("_DD_LLMOBS_WRITER_TIMEOUT", &check::TIMEOUT)?,
            flush_interval: reader.seconds("_DD_LLMOBS_WRITER_INTERVAL", &check::FLUSH_INTERVAL)?,
            warnings: reader.warnings,
        })
    }
}

fn bytes(text: &str) -> Option<usize> {
    text.parse().ok()
}

struct Reader<F> {
    lookup: F,
    warnings: Vec<ConfigWarning>,
}

impl<F: Fn(&str) -> Option<OsString>> Reader<F> {
    /// The text of a variable without the white space around it, which files and secret stores put
    /// there; an empty one counts as unset.
    fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let text = self.raw(name)?;
        let text = text.map(|text| text.trim().to_owned());
        Ok(text.filter(|text| !text.is_empty()))
    }

    fn raw(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let value = (self.lookup)(name).map(OsString::into_string).transpose();
        value.map_err(|raw| {
            if HOLDS_SECRETS.contains(&name) {
                ConfigError::not_utf8(name, check::HIDDEN)
            } else {
                ConfigError::not_utf8(name, &shown(&raw))
            }
        })
    }

    /// A text that may be anything but endless: one that is too long counts as unset, with a
    /// warning.
    fn free_text(&mut self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let text = self.text(name)?;
        if let Some(long) = text
            .as_ref()
            .filter(|text| text.len() > check::LONGEST_TEXT)
        {
            let shown = check::without_secrets(long);
            self.warnings
                .push(ConfigWarning::new(name, &shown, check::TEXT, "nothing"));
            return Ok(None);
        }
        Ok(text)
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        parse: fn(&str) -> Option<T>,
        allowed: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        parse(&text)
            .map(Some)
            .ok_or_else(|| ConfigError::invalid(name, &check::without_secrets(&text), allowed))
    }

    fn boolean(&self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        self.parsed(name, check::boolean, check::BOOLEAN)
    }

    fn origin(&self, name: &'static str) -> Result<Option<Origin>, ConfigError> {
        self.text(name)?
            .map(|text| check::origin(name, &text))
            .transpose()
    }

    fn number<T: Copy + Debug + PartialOrd>(
        &mut self,
        name: &'static str,
        rule: &Rule<T>,
        parse: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let used = format!("{:?}", rule.default);
        self.number_or(name, rule, parse, rule.allowed, used)
    }

    fn seconds(
        &mut self,
        name: &'static str,
        rule: &Rule<Duration>,
    ) -> Result<Option<Duration>, ConfigError> {
        let used = rule.default.as_secs_f64().to_string();
        self.number_or(name, rule, check::seconds, check::SECONDS, used)
    }

    fn number_or<T: Copy + Debug + PartialOrd>(
        &mut self,
        name: &'static str,
        rule: &Rule<T>,
        parse: fn(&str) -> Option<T>,
        allowed: &'static str,
        used: String,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let number = parse(&text).filter(|&number| rule.accepts(number));
        if number.is_none() {
            let shown = check::without_secrets(&text);
            self.warnings
                .push(ConfigWarning::new(name, &shown, allowed, used));
        }
        Ok(number)
    }

    fn api_key(&self) -> Result<Option<ApiKey>, ConfigError> {
        let Some(key) = self.text("DD_API_KEY")? else {
            return Ok(None);
        };
        ApiKey::new(key).checked("DD_API_KEY").map(Some)
    }

    fn sampling_rules(&mut self) -> Result<Vec<SamplingRule>, ConfigError> {
        let text = self.free_text(rules::VARIABLE)?.unwrap_or_default();
        let (rules, warnings) = rules::parse(&text);
        self.warnings.extend(warnings);
        Ok(rules)
    }

    /// `DD_TAGS`: pairs `k:v`, separated by commas if there is one, else by white space.
    fn tags(&mut self) -> Result<Vec<(String, String)>, ConfigError> {
        let Some(text) = self.free_text("DD_TAGS")? else {
            return Ok(Vec::new());
        };
        let entries: Vec<&str> = if text.contains(',') {
            text.split(',').collect()
        } else {
            text.split_whitespace().collect()
        };
        let mut tags = Vec::new();
        for entry in entries
            .into_iter()
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            match entry
                .split_once(':')
                .map(|(key, value)| (key.trim(), value.trim()))
            {
                Some((key, value)) if !key.is_empty() => {
                    tags.push((key.to_owned(), value.to_owned()));
                }
                // A tag without a value (as in ddtrace).
                None => tags.push((entry.to_owned(), String::new())),
                Some(_) => self.warnings.push(ConfigWarning::new(
                    "DD_TAGS",
                    &check::without_secrets(entry),
                    "pairs key:value, separated by commas or by spaces",
                    "the other tags",
                )),
            }
        }
        Ok(tags)
    }

    fn git(&mut self) -> Result<Vec<(String, String)>, ConfigError> {
        let repository = self
            .free_text("DD_GIT_REPOSITORY_URL")?
            .map(|url| check::without_credentials(&url));
        let commit = self.free_text("DD_GIT_COMMIT_SHA")?;
        if self.boolean("DD_TRACE_GIT_METADATA_ENABLED")? == Some(false) {
            return Ok(Vec::new());
        }
        let tags = [
            ("git.repository_url", repository),
            ("git.commit.sha", commit),
        ];
        Ok(tags
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect())
    }

    /// The folder. A space may be part of a path, a line end comes from the file it was read from.
    fn dir(&self) -> Result<Option<PathBuf>, ConfigError> {
        let name = "LLMOBS_DIR";
        let text = self.raw(name)?.unwrap_or_default();
        let text = text.trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            return Ok(None);
        }
        let dir = check::dir(text);
        dir.map(Some)
            .ok_or_else(|| ConfigError::invalid(name, &check::without_secrets(text), check::DIR))
    }

    /// The Agent's port. Where a service of Kubernetes is called `dd-trace-agent`, this variable is a
    /// link to it (`tcp://10.0.0.1:8126`): the port counts, and the host is still that of
    /// `DD_AGENT_HOST`, or this one.
    fn agent_port(&mut self) -> Result<Option<u16>, ConfigError> {
        let name = "DD_TRACE_AGENT_PORT";
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let Some(port) = check::port_of_link(&text) else {
            let port = check::port(&text).map(Some);
            return port.ok_or_else(|| {
                ConfigError::invalid(name, &check::without_secrets(&text), check::PORT)
            });
        };
        let used = port.to_string();
        let shown = check::without_secrets(&text);
        self.warnings
            .push(ConfigWarning::new(name, &shown, check::PORT, used));
        Ok(Some(port))
    }

    fn agent(&mut self) -> Result<Option<AgentAddress>, ConfigError> {
        // Host and port say nothing beside a URL, so that a wrong one sends nothing elsewhere.
        if let Some(url) = self.origin("DD_TRACE_AGENT_URL")? {
            return Ok(Some(AgentAddress { url, named: true }));
        }
        let host = self.parsed("DD_AGENT_HOST", check::agent_host, check::AGENT_HOST)?;
        let port = self.agent_port()?;
        if host.is_none() && port.is_none() {
            return Ok(None);
        }
        // A port alone moves the default place; only a URL or a host says that an Agent is there.
        let named = host.is_some();
        let host = host.as_deref().unwrap_or(AgentAddress::DEFAULT_HOST);
        let port = port.unwrap_or(AgentAddress::DEFAULT_PORT);
        Ok(Some(AgentAddress {
            url: Origin::Http(format!("http://{host}:{port}")),
            named,
        }))
    }

    fn headers(&self) -> Result<Vec<Header>, ConfigError> {
        let name = "_DD_TRACE_WRITER_ADDITIONAL_HEADERS";
        let text = self.text(name)?.unwrap_or_default();
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let headers = entries.map(|entry| match entry.split_once(':') {
            Some((key, value)) => Header::new(key.trim(), value.trim()).checked(name),
            None => Err(ConfigError::invalid(name, check::HIDDEN, check::HEADER)),
        });
        headers.collect()
    }
}

/// Variables whose text is not shown, whatever is wrong with it.
const HOLDS_SECRETS: [&str; 2] = ["DD_API_KEY", "_DD_TRACE_WRITER_ADDITIONAL_HEADERS"];

fn shown(raw: &OsStr) -> String {
    check::without_secrets(&raw.to_string_lossy())
}
