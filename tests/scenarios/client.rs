//! A client of the test's own, with an intake that plays its Agent.

use std::time::Duration;

use llmobs::{Config, LlmObs, Stats};
use llmobs_tests::Intake;
use serde_json::Value;

use crate::log;

/// Longer than anything here takes.
pub const SOON: Duration = Duration::from_secs(60);

pub struct Client {
    client: LlmObs,
    intake: Intake,
}

/// What arrived, and the counts at the end.
pub struct Sent {
    pub spans: Vec<Value>,
    pub evaluations: Vec<Value>,
    pub feedback: Vec<Value>,
    pub stats: Stats,
}

impl Client {
    pub fn start() -> Self {
        Self::configured(Config::new().ml_app("app"))
    }

    pub fn configured(config: Config) -> Self {
        Self::at(Intake::start(), config)
    }

    pub fn at(intake: Intake, config: Config) -> Self {
        log::keep();
        let client = config.agent_url(intake.url()).build().unwrap();
        Self { client, intake }
    }

    pub fn handle(&self) -> &LlmObs {
        &self.client
    }

    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    pub fn run<R>(&self, calls: impl FnOnce() -> R) -> R {
        self.client.scope(calls)
    }

    /// Makes the calls, sends the rest and gives what arrived.
    #[track_caller]
    pub fn sent_by(self, calls: impl FnOnce()) -> Sent {
        self.run(calls);
        self.sent()
    }

    /// Sends the rest. Everything that was made has then arrived once.
    #[track_caller]
    pub fn sent(self) -> Sent {
        let stats = self.client.shutdown(SOON).unwrap().stats;
        // They share an endpoint.
        let judged = self.intake.evaluations().into_iter();
        let (feedback, evaluations) = judged.partition(|one| one["event_kind"] == "feedback");
        let sent = Sent {
            spans: self.intake.spans(),
            evaluations,
            feedback,
            stats,
        };
        let arrived = [&sent.spans, &sent.evaluations, &sent.feedback].map(Vec::len);
        let stats = &sent.stats;
        let counts = [stats.spans(), stats.evaluations(), stats.feedback()];
        for (counts, arrived) in counts.iter().zip(arrived) {
            let arrived = arrived as u64;
            assert_eq!(
                (counts.made, counts.delivered),
                (arrived, arrived),
                "{stats:?}"
            );
        }
        sent
    }
}

impl Sent {
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

    /// The name of the parent of the span of this name; none for a root.
    #[track_caller]
    pub fn parent_of(&self, name: &str) -> Option<&str> {
        let parent = &self.span(name)["parent_id"];
        if *parent == "undefined" {
            return None;
        }
        let mut spans = self.spans.iter();
        let parent = spans.find(|span| span["span_id"] == *parent);
        parent.expect("the parent was sent")["name"].as_str()
    }

    /// The value of a tag of the span of this name.
    #[track_caller]
    pub fn tag(&self, name: &str, key: &str) -> Option<&str> {
        let tags = self.span(name)["tags"].as_array().unwrap();
        let mut texts = tags.iter().filter_map(Value::as_str);
        texts.find_map(|tag| tag.strip_prefix(key)?.strip_prefix(':'))
    }

    /// What the span of this name has as its output.
    #[track_caller]
    pub fn output(&self, name: &str) -> &Value {
        &self.span(name)["meta"]["output"]["value"]
    }

    /// The same for a model.
    #[track_caller]
    pub fn messages(&self, name: &str) -> &Value {
        &self.span(name)["meta"]["output"]["messages"]
    }

    #[track_caller]
    pub fn is_cancelled(&self, name: &str) -> bool {
        self.tag(name, "cancelled") == Some("true")
    }
}
