//! Several tenants in one process: each has a client with its own key and application, and
//! an intake of its own stands for its Datadog account.

mod apart;
mod both;
#[path = "../scenarios/log.rs"]
mod log;
mod trouble;

use std::time::Duration;

use llmobs::{Config, LlmObs};
use llmobs_tests::Intake;
use serde_json::Value;

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(60);

struct Tenant {
    name: &'static str,
    key: String,
    client: LlmObs,
    intake: Intake,
}

impl Tenant {
    fn new(name: &'static str) -> Self {
        log::keep();
        let intake = Intake::start();
        let key = format!("key-of-{name}");
        let client = config(name, &key, &intake).build().unwrap();
        Self {
            name,
            key,
            client,
            intake,
        }
    }

    fn run<R>(&self, calls: impl FnOnce() -> R) -> R {
        self.client.scope(calls)
    }

    fn flush(&self) {
        self.client.flush(SOON).unwrap();
    }

    /// The spans that came, as a tree.
    fn tree(&self) -> String {
        self.flush();
        llmobs_tests::tree(&self.intake.spans())
    }

    fn span(&self, name: &str) -> Value {
        let spans = self.intake.spans();
        let mut named = spans.iter().filter(|span| span["name"] == name);
        named.next().expect("the span came").clone()
    }

    /// The labels of the evaluations that came.
    fn labels(&self) -> Vec<String> {
        self.flush();
        let label = |event: &Value| event["label"].as_str().unwrap().to_owned();
        self.intake.evaluations().iter().map(label).collect()
    }

    /// Whatever came has this tenant's key and application, and nothing of another's.
    #[track_caller]
    fn assert_own(&self, others: &[&Self]) {
        let requests = self.intake.requests();
        assert!(!requests.is_empty(), "{}", self.name);
        for request in requests {
            assert_eq!(request.header("dd-api-key"), Some(&*self.key));
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let text = format!("{} {:?} {body}", request.path, request.headers);
            for other in others.iter().filter(|other| other.name != self.name) {
                assert!(!text.contains(&other.key), "{text}");
                assert!(!text.contains(other.name), "{text}");
            }
            for span in request.spans() {
                let tag = Value::from(format!("ml_app:{}", self.name));
                assert!(span["tags"].as_array().unwrap().contains(&tag), "{span}");
            }
            for evaluation in request.evaluations() {
                assert_eq!(evaluation["ml_app"], self.name);
            }
        }
    }
}

fn config(name: &str, key: &str, intake: &Intake) -> Config {
    Config::new()
        .ml_app(name)
        .api_key(key)
        .agentless(true)
        .override_origin(intake.url())
}
