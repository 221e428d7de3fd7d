//! Datadog's APM test agent with lapdog, which reads span events as the product's back end does.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

/// A running lapdog; it ends with this value.
pub(crate) struct Lapdog {
    process: Child,
    url: String,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
}

/// What lapdog stored of a request.
pub(crate) struct Stored {
    pub(crate) path: String,
    pub(crate) headers: Value,
    pub(crate) body: Value,
}

pub(crate) const SPANS: &str = "/evp_proxy/v2/api/v2/llmobs";

/// The span events in the requests, as they were sent.
pub(crate) fn spans(stored: &[Stored]) -> Vec<Value> {
    let to_spans = |request: &&Stored| request.path.ends_with("/api/v2/llmobs");
    let bodies = stored.iter().filter(to_spans);
    let elements = bodies.flat_map(|request| request.body.as_array().expect("a list"));
    elements
        .flat_map(|element| element["spans"].as_array().expect("spans"))
        .cloned()
        .collect()
}

impl Lapdog {
    pub(crate) fn start() -> Self {
        let python = std::env::var("LLMOBS_PEERS_PYTHON")
            .expect("LLMOBS_PEERS_PYTHON must name a Python with ddapm-test-agent");
        let ports: Vec<String> = free_ports(4).iter().map(ToString::to_string).collect();
        let folder = std::env::temp_dir().join(format!("llmobs-lapdog-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for lapdog");
        // A clean environment: with a key in it lapdog would call Datadog.
        let process = Command::new(&python)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &folder)
            .current_dir(&folder)
            .args(["-m", "lapdog.server", "--host", "127.0.0.1"])
            .args(["--port", &ports[0], "--otlp-http-port", &ports[1]])
            .args(["--otlp-grpc-port", &ports[2], "--web-ui-port", &ports[3]])
            .arg("--disable-llmobs-data-forwarding")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{python} could not be started: {error}"));
        let lapdog = Self {
            process,
            url: format!("http://127.0.0.1:{}", ports[0]),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            http: client(),
        };
        let started = Instant::now();
        while lapdog.try_get("/info").is_none() {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "lapdog does not answer"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        lapdog
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The requests that were posted to its proxy, oldest first. What a tracer sent to
    /// `/v0.4/traces` is among them as lapdog has rewritten it.
    pub(crate) fn stored(&self) -> Vec<Stored> {
        let requests = self.get("/test/session/requests");
        let requests = requests.as_array().expect("a list of requests");
        let stored = |request: &Value| {
            let url = request["url"].as_str().expect("a url");
            let (_, rest) = url.split_once("/evp")?;
            let body = request["body"].as_str().expect("a body");
            let body = BASE64_STANDARD.decode(body).expect("base64");
            Some(Stored {
                path: format!("/evp{rest}"),
                headers: request["headers"].clone(),
                body: serde_json::from_slice(&body).expect("a body of JSON"),
            })
        };
        requests.iter().filter_map(stored).collect()
    }

    /// The spans of a trace by id, from lapdog's trace query.
    pub(crate) fn trace(&self, trace_id: &str) -> Value {
        self.get(&format!("/api/ui/llm-obs/v1/trace/{trace_id}"))["data"]["attributes"].clone()
    }

    /// The events that a search finds, from lapdog's list query.
    pub(crate) fn list(&self, query: &str) -> Vec<Value> {
        let body = json!({"list": {
            "limit": 100,
            "search": {"query": query},
            "sorts": [{"time": {"order": "asc"}}],
        }});
        let url = format!(
            "{}/api/unstable/llm-obs-query-rewriter/list?type=llmobs",
            self.url
        );
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json");
        let found = self
            .send(request.body(body.to_string()))
            .expect("an answer");
        found["result"]["events"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    fn get(&self, path: &str) -> Value {
        self.try_get(path)
            .unwrap_or_else(|| panic!("no answer to GET {path}"))
    }

    fn try_get(&self, path: &str) -> Option<Value> {
        self.send(self.http.get(format!("{}{path}", self.url)))
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Option<Value> {
        self.runtime.block_on(async {
            let response = request.send().await.ok()?.error_for_status().ok()?;
            serde_json::from_str(&response.text().await.ok()?).ok()
        })
    }
}

impl Drop for Lapdog {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .expect("an HTTP client")
}

/// Ports that were free a moment ago, all of them different.
fn free_ports(count: usize) -> Vec<u16> {
    let bound: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
    bound.iter().map(port).collect()
}
