//! Proxies that the environment names: for the way out, never for an Agent.

use std::process::Command;

use llmobs_tests::Intake;

/// What the example printed with these variables set.
fn run_mission(vars: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--package",
            "llmobs",
            "--example",
            "mission",
        ])
        .envs(vars.iter().copied())
        .output()
        .expect("cargo runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}");
    told
}

#[test]
fn the_intake_is_reached_by_the_proxy_of_the_environment() {
    let proxy = Intake::start();
    let told = run_mission(&[
        ("HTTP_PROXY", proxy.url()),
        ("http_proxy", proxy.url()),
        // A name that nobody has: only the proxy could look it up.
        ("DD_LLMOBS_OVERRIDE_ORIGIN", "http://intake.invalid"),
        ("DD_LLMOBS_AGENTLESS_ENABLED", "1"),
        ("DD_API_KEY", "key"),
    ]);
    assert!(told.contains("1 of 1 spans"), "{told}");
    let requests = proxy.requests();
    let paths: Vec<&str> = requests.iter().map(|request| &*request.path).collect();
    assert!(
        paths.contains(&"http://intake.invalid/api/v2/llmobs"),
        "{paths:?}"
    );
}

#[test]
fn an_agent_is_reached_past_the_proxy_of_the_environment() {
    let (agent, proxy) = (Intake::start(), Intake::start());
    let told = run_mission(&[
        ("HTTP_PROXY", proxy.url()),
        ("http_proxy", proxy.url()),
        ("DD_TRACE_AGENT_URL", agent.url()),
    ]);
    assert!(told.contains("1 of 1 spans"), "{told}");
    assert_eq!(agent.spans().len(), 1);
    assert!(proxy.requests().is_empty());
}
