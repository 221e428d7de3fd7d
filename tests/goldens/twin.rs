//! A recording beside a client of ours with its environment, which sends to an intake of its own.

use std::ffi::OsString;
use std::time::Duration;

use llmobs::{Config, DropReason, FlushReport, LlmObs, Stats};
use llmobs_tests::{Exemptions, Golden, Intake, Request};
use serde_json::Value;

/// Longer than anything here takes.
pub const SOON: Duration = Duration::from_secs(60);

/// The key of the twins that send without an Agent.
const API_KEY: &str = "0123456789abcdef0123456789abcdef";
/// What stands before the intake's paths at an Agent.
const PROXY: &str = "/evp_proxy/v2";

pub struct Twin {
    golden: Golden,
    intake: Intake,
    client: LlmObs,
    agentless: bool,
}

/// What arrived.
pub struct Sent {
    pub spans: Vec<Value>,
    /// Evaluations and feedback, which share an endpoint.
    pub evaluations: Vec<Value>,
    pub requests: Vec<Request>,
}

impl Sent {
    pub fn of(intake: &Intake) -> Self {
        Self {
            spans: intake.spans(),
            evaluations: intake.evaluations(),
            requests: intake.requests(),
        }
    }

    /// The only span of this name.
    #[track_caller]
    pub fn span(&self, name: &str) -> &Value {
        let mut named = self.spans.iter().filter(|span| span["name"] == name);
        let span = named
            .next()
            .unwrap_or_else(|| panic!("no span {name:?} in {:#?}", self.spans));
        assert!(named.next().is_none(), "several spans {name:?}");
        span
    }
}

/// What the recording's environment says to ours.
pub fn config(golden: &Golden) -> Config {
    let env = golden.env();
    Config::from_vars(|name| env.get(name).map(OsString::from)).expect("a legal environment")
}

/// Everything was delivered, and none of it twice.
#[track_caller]
pub fn assert_all_delivered(stats: &Stats, sent: &Sent) {
    let (spans, evaluations, feedback) = (stats.spans(), stats.evaluations(), stats.feedback());
    let made = (spans.made, evaluations.made + feedback.made);
    let delivered = (spans.delivered, evaluations.delivered + feedback.delivered);
    assert_eq!(made, delivered, "{stats:?}");
    assert_eq!((stats.waiting(), stats.dropped()), (0, 0), "{stats:?}");
    let arrived = (sent.spans.len() as u64, sent.evaluations.len() as u64);
    assert_eq!(made, arrived, "{stats:?}");
}

impl Twin {
    /// The recording `name`, with an Agent that answers.
    pub fn start(name: &str) -> Self {
        Self::configured(name, |config| config)
    }

    /// The same with what the recorded program passed to `enable`.
    pub fn configured(name: &str, configure: impl FnOnce(Config) -> Config) -> Self {
        Self::with(name, false, |config, intake| {
            configure(config).agent_url(intake.url())
        })
    }

    /// The recording `name`, with the intake in the Agent's place.
    pub fn agentless(name: &str) -> Self {
        Self::with(name, true, |config, intake| {
            let config = config.agentless(true).api_key(API_KEY);
            config.override_origin(intake.url())
        })
    }

    fn with(name: &str, agentless: bool, to: impl FnOnce(Config, &Intake) -> Config) -> Self {
        let golden = Golden::load(name);
        let intake = Intake::start();
        // Bodies of 5 MB, which a debug build reads on a busy machine.
        let config = to(config(&golden), &intake).timeout(SOON);
        let client = config.build().expect("a legal configuration");
        Self {
            golden,
            intake,
            client,
            agentless,
        }
    }

    pub fn client(&self) -> &LlmObs {
        &self.client
    }

    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Makes the calls of the scenario with the client in force.
    pub fn run<R>(&self, calls: impl FnOnce() -> R) -> R {
        self.client.scope(calls)
    }

    /// Sends the rest and compares all of it with the recording.
    #[track_caller]
    pub fn assert_equal(self, exemptions: &Exemptions) -> Sent {
        self.assert_equal_but_for(0, exemptions)
    }

    /// The same where processors drop so many spans.
    #[track_caller]
    pub fn assert_equal_but_for(self, dropped: u64, exemptions: &Exemptions) -> Sent {
        let FlushReport { stats, .. } = self.client.shutdown(SOON).expect("delivered in time");
        let sent = Sent::of(&self.intake);
        if dropped == 0 {
            assert_all_delivered(&stats, &sent);
        } else {
            let spans = stats.spans();
            assert_eq!(spans.made, spans.delivered + dropped, "{stats:?}");
            assert_eq!(spans.dropped, [(DropReason::Processor, dropped)]);
        }
        self.golden
            .assert_equal(&sent.spans, &sent.evaluations, exemptions);
        if self.agentless {
            let by_an_agent: Vec<Request> = sent.requests.iter().map(as_by_an_agent).collect();
            self.golden.assert_envelopes(&by_an_agent);
        } else {
            self.golden.assert_envelopes(&sent.requests);
        }
        sent
    }
}

/// The recordings went to an Agent. Without one the paths lack the proxy, and a key stands in place of the subdomain.
#[track_caller]
fn as_by_an_agent(request: &Request) -> Request {
    let subdomain = match request.path.as_str() {
        "/api/v2/llmobs" => "llmobs-intake",
        "/api/intake/llm-obs/v2/eval-metric" => "api",
        other => panic!("no path of the intake: {other}"),
    };
    assert_eq!(request.header("dd-api-key"), Some(API_KEY));
    assert_eq!(request.header("x-datadog-evp-subdomain"), None);
    let mut request = request.clone();
    request.path.insert_str(0, PROXY);
    request
        .headers
        .insert("x-datadog-evp-subdomain".to_owned(), subdomain.to_owned());
    request
}
