//! What an application says about llmobs: in code, in the environment, or not at all.
//!
//! [`Config`] collects it, [`settings`](Config::settings) validates it and fills in the defaults.
//! What the code says wins over the environment. Nothing here does I/O: an address is read, not
//! tried.

mod certificate;
mod check;
mod disk;
mod env;
mod error;
mod limits;
mod paths;
mod rules;
mod settings;
mod signals;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::export::memory::Memory;
use crate::processor::{ProcessedSpan, Processors, Verdict};
use crate::sampling::SamplingRule;
#[cfg_attr(not(feature = "enabled"), allow(unused_imports))]
pub(crate) use certificate::Certificate;
use env::Vars;
pub use error::{ConfigError, ConfigWarning};
#[cfg_attr(not(feature = "enabled"), allow(unused_imports))]
pub(crate) use paths::Trust;
pub(crate) use settings::{AgentAddress, Origin, Settings};
use settings::{ApiKey, Header};

/// How llmobs is to run: who reports, what is captured, where it goes, and the bounds of all that.
///
/// Everything has a default, so that an empty `Config` works. A setter wins over the variable of
/// the same meaning; calling it again replaces its value, except for [`tag`](Config::tag),
/// [`header`](Config::header), [`ca_certificate_pem`](Config::ca_certificate_pem),
/// [`destination`](Config::destination) and [`processor`](Config::processor), which collect. Setters
/// cannot fail: a value that is not allowed is an error when llmobs is enabled. When llmobs is
/// disabled ([`enabled`](Config::enabled)) the values are checked all the same and nothing comes of
/// them.
///
/// An environment variable that is empty counts as unset.
///
/// # Examples
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use std::time::Duration;
///
/// use llmobs::{Capture, Config};
///
/// let config = Config::from_env()?
///     .ml_app("support-chat")
///     .env("staging")
///     .tag("team", "ml")
///     .capture(Capture::Metadata)
///     .timeout(Duration::from_secs(2));
/// for warning in config.warnings() {
///     eprintln!("{warning}");
/// }
/// # Ok::<(), llmobs_runtime::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a configuration does nothing until it is enabled"]
pub struct Config {
    vars: Vars,
    enabled: Option<bool>,
    agent_service: Option<String>,
    ml_app: Option<String>,
    service: Option<String>,
    env: Option<String>,
    version: Option<String>,
    tags: Vec<(String, String)>,
    api_key: Option<ApiKey>,
    agentless: Option<bool>,
    // Parsed at once, because a URL that is kept as it came may show a password in `Debug`, and a
    // site may be one by mistake.
    site: Option<Result<String, ConfigError>>,
    agent_url: Option<Result<Origin, ConfigError>>,
    override_origin: Option<Result<Origin, ConfigError>>,
    sample_rate: Option<f64>,
    sampling_rules: Vec<SamplingRule>,
    capture: Option<Capture>,
    dir: Option<PathBuf>,
    spool: Option<bool>,
    spool_max_bytes: Option<u64>,
    spool_max_age: Option<Duration>,
    destinations: Vec<Destination>,
    payload_size_bytes: Option<usize>,
    event_size_bytes: Option<usize>,
    tracing_spans: Option<bool>,
    headers: Vec<Header>,
    ca_certificates: Vec<Result<Vec<Certificate>, ConfigError>>,
    timeout: Option<Duration>,
    flush_interval: Option<Duration>,
    shutdown_on_signals: Option<Duration>,
    max_events: Option<usize>,
    max_bytes: Option<usize>,
    processors: Processors,
}

/// How much of what a span sees leaves the process.
///
/// Set by [`Config::capture`] or `LLMOBS_CAPTURE`; the default is [`Full`](Capture::Full). When
/// llmobs is disabled nothing is captured, whatever this says.
///
/// # Secrets
///
/// Whatever this says, automatic capture hides what is named like a secret: it becomes
/// `[redacted]`. Names are those of arguments, of fields, of keys of maps and of variants that hold
/// data, at any depth. A name is read as words, in any letter case and spelling (`api_key`,
/// `x-api-key`, `openaiApiKey`), and is that of a secret if anywhere in it
///
/// * one word is `apikey`, `authorization`, `bearer`, `cookie`, `credential`, `jwt`, `passcode`,
///   `passphrase`, `passwd`, `password`, `privatekey`, `pwd`, `secret` or `sessionkey`, or the
///   plural of one;
/// * two words in a row are `api key`, `access key`, `private key`, `account key` and the like,
///   `access token` or `auth token`, or the plural of one;
/// * the last word is `auth`, or `token` behind a word that says whose (`refresh_token`), and
///   the value is text. `tokens`, `max_tokens`, `token_ids` and `eos_token` are no secrets;
/// * the only word is `token` and the value is text that looks like a credential: 16 letters
///   and digits in a row, of both. The token `Hi` of a probability is content.
///
/// docs/capture.md has the whole list, and how it does on the fields of providers' APIs.
///
/// Numbers, bools and `None` are shown all the same if the last word is `count`, `length` or
/// `tokens`, as in `cookie_count: 3` and `access_tokens: 3`.
///
/// The text of a type that has `Debug` and is not `Serialize` is read as `{:?}` and `{:#?}` print
/// it: hidden are the values in `password: …`, `password=…`, `"password": …`, `Password(…)` and
/// `Password { … }`, up to where the next name comes or the brackets around them close; of a struct
/// by such a name, all fields. For `token` and for counts, what is neither a number, a bool,
/// `None` nor (for `token`) a list, map or struct counts as text. If the text is not of that form,
/// as that of a `Debug` written by hand may not be, everything behind the first such name is
/// hidden; and where the text is cut, at 16 kB, so is a value that was cut.
///
/// The second of two values in a JSON list is hidden if the first names a secret, as headers are
/// held (`[["authorization", "…"]]`). In messages of errors and panics, values of URLs by such
/// names and `key` are hidden (`?key=…`), passwords (`scheme://user:…@host`), and what follows
/// `Bearer`.
///
/// Not hidden are: what is inside another text (JSON, a URL, prose), pairs in the text of a
/// `Debug`, and what is annotated by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capture {
    /// No input, no output and no metadata (`none`): of an `llm` no tool definitions, of an
    /// `agent` no manifest, beside what the next one leaves out. The messages of errors and your
    /// tags go in any case; a [`Config::processor`] may redact them.
    None,
    /// Metadata, but no input and no output (`metadata`): no prompt, no intent, and no
    /// instructions of an agent either. The messages of errors and your tags go, as above.
    Metadata,
    /// Everything, input and output included (`full`).
    #[default]
    Full,
}

/// A place that spans and evaluations are delivered to.
///
/// Given by [`Config::destination`]; without one it is found: delivery without an Agent when that
/// was asked for, else an Agent that is named or answers, else the intake when there is an API key,
/// else the journal. When llmobs is disabled nothing is delivered anywhere.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Destination {
    /// The Datadog Agent at [`Config::agent_url`], through its proxy.
    Agent,
    /// Datadog's intake at [`Config::site`], which needs an API key.
    Agentless,
    /// Files in [`Config::dir`], one JSON event a line, for `jq` and the like. This version
    /// has no viewer, and nothing sends the files later.
    ///
    /// A line is `{"v":1,"kind":"span"|"evaluation","made_ms":…,"event":{…}}`, the event as
    /// it would be sent: with full prompts and answers, unless [`Capture`] says less. The
    /// files are `journal/<process id>-<milliseconds of the start>-<n>.jsonl`, readable by
    /// their owner alone. A file is closed past 16 MiB. Whenever one is opened, the oldest
    /// go that are over 7 days old or past 256 MiB in total; one that a process is writing
    /// stays.
    Journal,
    /// Memory of this process, to be looked at by a test.
    Memory(Memory),
}

impl Config {
    /// The defaults; no environment variable is read.
    ///
    /// This is what a test takes, and a program that gets its configuration elsewhere.
    pub fn new() -> Config {
        Config::default()
    }

    /// What the environment of the process says, and the defaults for the rest.
    ///
    /// The variables are those that the setters name, and `DD_GIT_REPOSITORY_URL` and
    /// `DD_GIT_COMMIT_SHA`, which become the tags `git.repository_url` (without user and password)
    /// and `git.commit.sha` unless `DD_TRACE_GIT_METADATA_ENABLED` is false. A number that is not
    /// allowed is replaced by its default, as is a malformed entry of `DD_TAGS` by nothing:
    /// [`warnings`](Config::warnings) tells.
    ///
    /// # Errors
    ///
    /// Any other value that is not allowed: a boolean, a capture mode, a site, a URL, a host, a
    /// port, a header or an API key, and any variable that is not UTF-8, because a default in its
    /// place could send data where it must not go. While `DD_LLMOBS_ENABLED=0` stands none is: the error
    /// comes where the code [enables](Config::enabled) llmobs all the same.
    ///
    /// # As platforms write them
    ///
    /// White space around a value is not part of it, and a value of nothing else counts as unset. An entry of
    /// `DD_TAGS` without a colon is a tag without a value. A host, and the host of a URL, may end in a dot.
    /// `DD_TRACE_AGENT_PORT` may be the link to a service that Kubernetes writes
    /// (`tcp://10.0.0.1:8126`): the port is taken from it, the host is not, and a warning tells.
    pub fn from_env() -> Result<Config, ConfigError> {
        Config::from_vars(|name| std::env::var_os(name))
    }

    /// As [`from_env`](Config::from_env), with the variables looked up by a closure instead of in
    /// the process.
    ///
    /// Tests can run in parallel with it: the environment of a process is shared by its threads.
    ///
    /// # Errors
    ///
    /// The same as those of [`from_env`](Config::from_env).
    ///
    /// # Examples
    ///
    /// ```
    /// # use llmobs_runtime as llmobs;
    /// use llmobs::Config;
    ///
    /// let rate = |name: &str| (name == "DD_LLMOBS_SAMPLE_RATE").then(|| "7".into());
    /// assert_eq!(Config::from_vars(rate)?.warnings()[0].name, "DD_LLMOBS_SAMPLE_RATE");
    /// # Ok::<(), llmobs_runtime::ConfigError>(())
    /// ```
    pub fn from_vars(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Config, ConfigError> {
        Ok(Config {
            vars: Vars::read(lookup)?,
            ..Config::default()
        })
    }

    /// Whether llmobs runs at all: `DD_LLMOBS_ENABLED`, default true.
    ///
    /// When it is false, enabling succeeds and does nothing: no span is made, nothing is captured
    /// or sent, and neither an API key nor a site that offers the product is needed. A `true` from
    /// code wins over a `false` from the environment.
    pub fn enabled(mut self, enabled: bool) -> Config {
        self.enabled = Some(enabled);
        self
    }

    /// The name of the LLM application, on every span and evaluation: `DD_LLMOBS_ML_APP`, default
    /// the [`service`](Config::service), else `unnamed-ml-app`.
    ///
    /// Any text; an empty one counts as unset. [`agent_service`](Config::agent_service) wins over
    /// it.
    pub fn ml_app(mut self, name: impl Into<String>) -> Config {
        self.ml_app = Some(name.into());
        self
    }

    /// The newer name of [`ml_app`](Config::ml_app), which it wins over; there is no variable for
    /// it.
    ///
    /// Any text; an empty one counts as unset.
    pub fn agent_service(mut self, name: impl Into<String>) -> Config {
        self.agent_service = Some(name.into());
        self
    }

    /// The service that reports, on every span: `DD_SERVICE`, else the tag `service`, default
    /// empty.
    ///
    /// Any text; an empty one counts as unset.
    pub fn service(mut self, name: impl Into<String>) -> Config {
        self.service = Some(name.into());
        self
    }

    /// The environment that the service runs in, such as `prod`: `DD_ENV`, else the tag `env`,
    /// default empty.
    ///
    /// Any text; an empty one counts as unset.
    pub fn env(mut self, name: impl Into<String>) -> Config {
        self.env = Some(name.into());
        self
    }

    /// The version of the service: `DD_VERSION`, else the tag `version`, default empty.
    ///
    /// Any text; an empty one counts as unset.
    pub fn version(mut self, version: impl Into<String>) -> Config {
        self.version = Some(version.into());
        self
    }

    /// Adds a tag to every span: `DD_TAGS` as `key:value` pairs, separated by commas, or by spaces
    /// if it has no comma.
    ///
    /// A key that is there already gets the new value; the code's wins over that of `DD_TAGS` and
    /// of `DD_GIT_*`. The keys `service`, `env` and `version` say the same as the setters of these
    /// names, which win over them. An empty key is an error when llmobs is enabled. Default: no
    /// tags.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Config {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// The Datadog API key that [`Destination::Agentless`] sends with: `DD_API_KEY`, default none.
    ///
    /// 1 to 1024 visible ASCII characters; any other, a line end included, is an error when llmobs
    /// is enabled, which does not show the key. Nothing else shows it either. Asking for delivery
    /// without an Agent and having no key is an error, unless llmobs is disabled.
    pub fn api_key(mut self, key: impl Into<String>) -> Config {
        self.api_key = Some(ApiKey::new(key));
        self
    }

    /// The Datadog site that [`Destination::Agentless`] sends to: `DD_SITE`, default
    /// `datadoghq.com`.
    ///
    /// A host name; a scheme, a port or a path is an error when llmobs is enabled. So is a site
    /// without LLM Observability (`ddog-gov.com` and below) if delivery without an Agent was asked
    /// for; otherwise that is a warning.
    pub fn site(mut self, site: impl Into<String>) -> Config {
        self.site = Some(check::given_site(&site.into()));
        self
    }

    /// Whether to send to the intake without an Agent: `DD_LLMOBS_AGENTLESS_ENABLED`, default what
    /// is found.
    ///
    /// True needs an API key: without one, enabling is an error, unless llmobs is disabled. False
    /// chooses an Agent, which events wait for, and never the intake or the journal. A
    /// [`destination`](Config::destination) makes it meaningless.
    pub fn agentless(mut self, agentless: bool) -> Config {
        self.agentless = Some(agentless);
        self
    }

    /// Where the Datadog Agent listens: `DD_TRACE_AGENT_URL`, else `DD_AGENT_HOST` and
    /// `DD_TRACE_AGENT_PORT`, default `http://localhost:8126`.
    ///
    /// `http://host[:port][/path]`, the same with `https`, or `unix:///path/of/socket`; anything
    /// else, an empty text and a URL with a password included, is an error when llmobs is enabled.
    /// Events wait for an Agent that is named in this way, or by one of the first two variables,
    /// even when it does not answer yet.
    pub fn agent_url(mut self, url: impl Into<String>) -> Config {
        self.agent_url = Some(check::origin("agent_url", &url.into()));
        self
    }

    /// The origin that takes the place of the intake's or the Agent's, such as a relay's:
    /// `DD_LLMOBS_OVERRIDE_ORIGIN`, default none.
    ///
    /// The same forms as for [`agent_url`](Config::agent_url), and the same errors. Delivery
    /// without an Agent needs an API key here too.
    pub fn override_origin(mut self, url: impl Into<String>) -> Config {
        self.override_origin = Some(check::origin("override_origin", &url.into()));
        self
    }

    /// The share of traces that are marked as sampled, from 0 to 1: `DD_LLMOBS_SAMPLE_RATE`,
    /// default 1.
    ///
    /// Spans are sent whatever the mark says: the backend decides what it keeps. A number out of
    /// range, or none at all, is an error when llmobs is enabled; in the variable it is a warning,
    /// and 1 is used.
    pub fn sample_rate(mut self, rate: f64) -> Config {
        self.sample_rate = Some(rate);
        self
    }

    /// Adds a rate for the traces whose root carries some tags: `DD_LLMOBS_SAMPLING_RULES` as
    /// `[{"tags": {"env": "prod*"}, "sample_rate": 0.5}]`, default none.
    ///
    /// The first rule that fits decides, else [`sample_rate`](Config::sample_rate). Rules from
    /// code take the place of those of the variable. A rate out of range, or an empty key, is an
    /// error when llmobs is enabled; in the variable it is a warning, and that rule is left out.
    pub fn sampling_rule(mut self, rule: SamplingRule) -> Config {
        self.sampling_rules.push(rule);
        self
    }

    /// How much of what a span sees leaves the process: `LLMOBS_CAPTURE` as `none`, `metadata` or
    /// `full`, default [`Capture::Full`].
    ///
    /// Any other text in the variable is an error.
    pub fn capture(mut self, capture: Capture) -> Config {
        self.capture = Some(capture);
        self
    }

    /// Adds a destination; events go to each one of the list, and no other is looked for.
    ///
    /// There is no variable for it; default: one destination, found as [`Destination`] says. One
    /// that is in the list already is not added again. [`Destination::Agentless`] without an API
    /// key is an error when llmobs is enabled.
    pub fn destination(mut self, destination: Destination) -> Config {
        use Destination::{Agent, Agentless, Journal};
        let same = |one: &Destination| {
            matches!(
                (one, &destination),
                (Agent, Agent) | (Agentless, Agentless) | (Journal, Journal)
            )
        };
        if !self.destinations.iter().any(same) {
            self.destinations.push(destination);
        }
        self
    }

    /// The destination in place of all others.
    #[cfg(feature = "testing")]
    pub(crate) fn only_to(mut self, destination: Destination) -> Config {
        self.destinations = vec![destination];
        self
    }

    /// Whether a `tracing` span is opened beside each span, so that logs and OpenTelemetry can be
    /// joined to it; default true, and there is no variable for it.
    ///
    /// It never carries input or output, and is not opened when llmobs is disabled.
    pub fn tracing_spans(mut self, tracing_spans: bool) -> Config {
        self.tracing_spans = Some(tracing_spans);
        self
    }

    /// Adds a header to every request, such as a relay wants: `_DD_TRACE_WRITER_ADDITIONAL_HEADERS`
    /// as `name:value` pairs, separated by commas; default none.
    ///
    /// A name that is there already, in upper or lower case, gets the new value. It is an error
    /// when llmobs is enabled (and at once in the variable) if there are more than 64, if the name
    /// is not a token of at most 256 characters, if the value is longer than 8,192 characters or
    /// has others than visible ASCII, space and tab, or if the exporter sets that header itself
    /// (`Content-Length`, `Content-Type`, `Host`, `DD-API-KEY` and the like). A value is never
    /// shown.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Config {
        self.headers.push(Header::new(name, value));
        self
    }

    /// Adds certificates of authorities that are trusted beside the system's, for a relay, a proxy or
    /// an Agent with a certificate of a company's own: PEM text, of one or of several.
    ///
    /// They count for every `https` destination, and for the clients of past evaluations and spans.
    /// A server is always verified, by the system's certificates and these: its chain, its name and
    /// its dates; there is no way to turn that off. TLS is 1.2 or 1.3. Android takes no further
    /// certificates: there, delivery by `https` with this set goes to the journal.
    ///
    /// There is no variable for it (Datadog has none). On Linux `SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// name what takes the place of the system's certificates, as for OpenSSL and so for Python.
    ///
    /// It is an error when llmobs is enabled if the text is longer than 1,048,576 bytes, has no
    /// certificate, or has one that cannot be read; the error says which one, and shows nothing of
    /// the text. Other sections, such as keys, are passed over. Without the feature `enabled` the text
    /// is not looked at. Default: none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use llmobs_runtime as llmobs;
    /// use llmobs::Config;
    ///
    /// let config = Config::from_env()?.ca_certificate_pem(std::fs::read("company-ca.pem")?);
    /// # drop(config);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ca_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Config {
        self.ca_certificates.push(certificate::parse(pem.as_ref()));
        self
    }

    /// Adds a processor: a function that sees every finished span, may change it, and says whether
    /// it is sent. There is no variable for it; default: none.
    ///
    /// Processors run in the order in which they were added, each on what the one before left, and
    /// none after one that says [`Verdict::Drop`]. They see what [`Capture`] has left; what they
    /// leave is bounded like everything else. Evaluations and feedback do not come by here, as in
    /// ddtrace. While llmobs is not enabled none is called.
    ///
    /// A span that is dropped is counted ([`DropReason::Processor`](crate::DropReason::Processor));
    /// its children are sent all the same, with its id as their parent (golden 27).
    ///
    /// # Failure
    ///
    /// A processor that leaves what the wire does not allow costs nothing but that: as by `annotate`, a
    /// tool call is mended, and a score that is no number, a tag or a property without a name is left
    /// out. The first time a log line tells.
    ///
    /// A processor that panics lets nothing out: no further one runs, and the span goes
    /// without its content. Gone are input, output, metadata, the tags that are not of the
    /// configuration, the session, the message and the stack of its error, its name (its kind's
    /// stands there) and that of the agent above it. What stays are ids, times, kind, model, metrics,
    /// the type of its error, the name of the application, and `processor_failed` among its
    /// `collection_errors`. It counts in [`Stats::stripped`](crate::Stats::stripped); the first time
    /// a log line tells, without a word of what the panic said. (The panic hook of the program is
    /// asked before, as ever; with `panic = "abort"` the program ends.)
    ///
    /// # Where it runs
    ///
    /// On the worker's thread, never on that of a caller: a slow one delays deliveries, until as much
    /// waits as may wait. One that takes seconds lets requests in flight time out, which are then
    /// sent again. It is called for one span at a time; state of its own needs a `Mutex` or an
    /// atomic, since it is an `Fn`.
    ///
    /// What it uses of llmobs is idle there: spans that it starts and functions with attributes that
    /// it calls are not recorded, so that it does not feed itself, unless it brings in a client by
    /// [`LlmObs::scope`](crate::LlmObs::scope) or a span of elsewhere. The thread has no `tracing`
    /// subscriber, and it is in a `tokio` runtime, so that `block_on` of another one panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # use llmobs_runtime as llmobs;
    /// use llmobs::{Config, SpanKind, Verdict};
    ///
    /// let config = Config::new()
    ///     .processor(|span| match span.tag("internal") {
    ///         Some("true") => Verdict::Drop,
    ///         _ => Verdict::Keep,
    ///     })
    ///     .processor(|span| {
    ///         if span.kind() == SpanKind::Llm {
    ///             span.redact(|text| *text = text.replace("4111 1111 1111 1111", "[card]"));
    ///         }
    ///         Verdict::Keep
    ///     });
    /// # drop(config);
    /// ```
    pub fn processor(
        mut self,
        processor: impl Fn(&mut ProcessedSpan) -> Verdict + Send + Sync + 'static,
    ) -> Config {
        self.processors.add(processor);
        self
    }

    /// What [`from_env`](Config::from_env) found wrong and does not use; empty for
    /// [`new`](Config::new).
    ///
    /// They are logged when llmobs is enabled.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.vars.warnings
    }
}
