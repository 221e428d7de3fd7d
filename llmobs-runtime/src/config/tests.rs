mod limits;
mod values;
mod where_it_goes;

use super::*;

/// The configuration that these variables make, and nothing else of the environment.
fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let value = |name: &str| {
        vars.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    };
    Config::from_vars(|name| value(name).map(OsString::from))
}

/// A path in the working directory.
fn here(path: &str) -> PathBuf {
    std::env::current_dir().unwrap().join(path)
}

fn settings(vars: &[(&str, &str)]) -> Settings {
    read(vars).unwrap().settings().unwrap()
}

/// Asserts that each value is refused, with the name, the value and what is allowed.
fn refused(name: &str, values: &[&str], allowed: &str) {
    for value in values {
        refused_as(name, value, value, allowed);
    }
}

fn refused_as(name: &str, value: &str, shown: &str, allowed: &str) {
    let error = read(&[(name, value)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{name} is {shown:?}; it must be {allowed}")
    );
}

/// Asserts that each value gives one warning, and the settings that there would be without it.
fn ignored(name: &str, values: &[&str], used: &str, same: impl Fn(&Settings) -> bool) {
    for value in values {
        let config = read(&[(name, value)]).unwrap();
        let [warning] = config.warnings() else {
            panic!("{name}={value}: {:?}", config.warnings())
        };
        assert_eq!(
            (warning.name, warning.value.as_str(), warning.used.as_str()),
            (name, *value, used)
        );
        let settings = config.settings().unwrap();
        assert_eq!(settings.warnings, config.warnings());
        assert!(same(&settings), "{name}={value}");
    }
}

fn code_error(config: &Config) -> (&'static str, String) {
    match config.settings().unwrap_err() {
        ConfigError::Invalid { name, value, .. } => (name, value),
        other => panic!("{other}"),
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn http(base: &str) -> Origin {
    Origin::Http(base.to_owned())
}

const VARIABLES: [&str; 26] = [
    "DD_LLMOBS_ENABLED",
    "DD_LLMOBS_ML_APP",
    "DD_SERVICE",
    "DD_ENV",
    "DD_VERSION",
    "DD_TAGS",
    "DD_GIT_REPOSITORY_URL",
    "DD_GIT_COMMIT_SHA",
    "DD_TRACE_GIT_METADATA_ENABLED",
    "DD_API_KEY",
    "DD_SITE",
    "DD_LLMOBS_AGENTLESS_ENABLED",
    "DD_TRACE_AGENT_URL",
    "DD_AGENT_HOST",
    "DD_TRACE_AGENT_PORT",
    "DD_LLMOBS_OVERRIDE_ORIGIN",
    "DD_LLMOBS_SAMPLE_RATE",
    "DD_LLMOBS_SAMPLING_RULES",
    "LLMOBS_CAPTURE",
    "LLMOBS_DIR",
    "LLMOBS_SPOOL",
    "DD_LLMOBS_PAYLOAD_SIZE_BYTES",
    "DD_LLMOBS_EVENT_SIZE_BYTES",
    "_DD_TRACE_WRITER_ADDITIONAL_HEADERS",
    "_DD_LLMOBS_WRITER_TIMEOUT",
    "_DD_LLMOBS_WRITER_INTERVAL",
];

fn assert_defaults(settings: &Settings) {
    assert!(settings.enabled);
    assert_eq!(&*settings.ml_app, "unnamed-ml-app");
    assert_eq!(
        (&*settings.service, &*settings.env, &*settings.version),
        ("", "", "")
    );
    assert!(settings.global_tags.is_empty() && settings.headers.is_empty());
    assert_eq!(settings.sample_rate_text.as_ref(), "1");
    assert_eq!(settings.capture, Capture::Full);
    assert!(settings.tracing_spans && !settings.spool);
    assert!(settings.destinations.is_empty() && settings.agentless.is_none());
    assert_eq!(
        settings.agent,
        AgentAddress {
            url: http("http://localhost:8126"),
            named: false
        }
    );
    assert_eq!(settings.site, "datadoghq.com");
    assert!(settings.api_key.is_none() && settings.override_origin.is_none());
    assert_eq!(settings.dir, here(".llmobs"));
    assert_eq!(
        (settings.payload_size_bytes, settings.event_size_bytes),
        (5_000_000, 5_000_000)
    );
    assert_eq!(
        (settings.timeout, settings.flush_interval),
        (Duration::from_secs(5), Duration::from_secs(1))
    );
    assert_eq!(
        (settings.max_events, settings.max_bytes),
        (131_072, 67_108_864)
    );
    assert!(settings.warnings.is_empty());
}

#[test]
fn an_empty_configuration_has_the_defaults() {
    assert_defaults(&Config::new().settings().unwrap());
    assert_defaults(&settings(&[]));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    assert_defaults(&settings(&VARIABLES.map(|name| (name, ""))));
}

#[test]
fn each_variable_is_looked_up_once_and_no_other_is() {
    let asked = std::cell::RefCell::new(Vec::new());
    let nothing = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        None
    };
    assert!(Config::from_vars(nothing).unwrap().warnings().is_empty());
    asked.borrow_mut().sort();
    let mut known = VARIABLES.map(str::to_owned);
    known.sort();
    assert_eq!(asked.into_inner(), known);
}

#[cfg(unix)]
#[test]
fn every_variable_must_be_utf_8() {
    use std::os::unix::ffi::OsStringExt as _;
    for wrong in VARIABLES {
        let raw = OsString::from_vec(b"se\xFFcret".to_vec());
        let error = Config::from_vars(|name| (name == wrong).then(|| raw.clone())).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(wrong) && text.contains("not UTF-8"),
            "{text}"
        );
        let hidden = wrong == "DD_API_KEY" || wrong == "_DD_TRACE_WRITER_ADDITIONAL_HEADERS";
        assert_eq!(text.contains("cret"), !hidden, "{text}");
        let long = OsString::from_vec([b"\xFF".repeat(1_000), b"secret".to_vec()].concat());
        let error = Config::from_vars(|name| (name == wrong).then(|| long.clone())).unwrap_err();
        let text = error.to_string();
        assert!(text.chars().count() < 300, "as short as any other: {text}");
    }
}

const ALL_SET: [(&str, &str); 19] = [
    ("DD_LLMOBS_ENABLED", "0"),
    ("DD_LLMOBS_ML_APP", "v"),
    ("DD_SERVICE", "v"),
    ("DD_ENV", "v"),
    ("DD_VERSION", "v"),
    ("DD_API_KEY", "v"),
    ("DD_SITE", "v.com"),
    ("DD_LLMOBS_AGENTLESS_ENABLED", "1"),
    ("DD_TRACE_AGENT_URL", "http://v"),
    ("DD_LLMOBS_OVERRIDE_ORIGIN", "http://v"),
    ("DD_LLMOBS_SAMPLE_RATE", "0.5"),
    ("LLMOBS_CAPTURE", "none"),
    ("LLMOBS_DIR", "v"),
    ("LLMOBS_SPOOL", "1"),
    ("DD_LLMOBS_PAYLOAD_SIZE_BYTES", "7000"),
    ("DD_LLMOBS_EVENT_SIZE_BYTES", "7"),
    ("_DD_LLMOBS_WRITER_TIMEOUT", "7"),
    ("_DD_LLMOBS_WRITER_INTERVAL", "7"),
    ("_DD_TRACE_WRITER_ADDITIONAL_HEADERS", "X-A:v,x-b:v"),
];

#[test]
fn every_variable_sets_what_its_setter_sets() {
    let alone = settings(&ALL_SET);
    assert!(!alone.enabled && alone.spool);
    assert_eq!(
        [&alone.ml_app, &alone.service, &alone.env, &alone.version].map(|text| &**text),
        ["v"; 4]
    );
    assert_eq!(
        (alone.site.as_str(), alone.api_key.unwrap().expose()),
        ("v.com", "v")
    );
    assert_eq!(alone.agentless, Some(true));
    assert_eq!(
        alone.agent,
        AgentAddress {
            url: http("http://v"),
            named: true
        }
    );
    assert_eq!(alone.override_origin, Some(http("http://v")));
    assert_eq!(
        (&*alone.sample_rate_text, alone.capture),
        ("0.5", Capture::None)
    );
    assert_eq!(alone.dir, here("v"));
    assert_eq!(
        (alone.payload_size_bytes, alone.event_size_bytes),
        (7_000, 7)
    );
    assert_eq!(
        (alone.timeout, alone.flush_interval),
        (Duration::from_secs(7), Duration::from_secs(7))
    );
    assert_eq!(alone.headers, pairs(&[("X-A", "v"), ("x-b", "v")]));
}

#[test]
fn the_code_wins_over_every_variable() {
    let config = read(&ALL_SET).unwrap();
    let config = config
        .enabled(true)
        .ml_app("c")
        .service("c")
        .env("c")
        .version("c")
        .api_key("c")
        .site("c.com");
    let config = config
        .agentless(false)
        .agent_url("http://c")
        .override_origin("http://c")
        .sample_rate(0.25);
    let config = config
        .capture(Capture::Metadata)
        .dir("c")
        .spool(false)
        .payload_size_bytes(9_000)
        .event_size_bytes(9);
    let config = config
        .timeout(Duration::from_secs(9))
        .flush_interval(Duration::from_secs(9))
        .header("x-a", "c");
    let config = config.tracing_spans(false).max_events(9).max_bytes(9);
    let code = config.settings().unwrap();
    assert!(code.enabled && !code.spool && !code.tracing_spans);
    assert_eq!(
        [&code.ml_app, &code.service, &code.env, &code.version].map(|text| &**text),
        ["c"; 4]
    );
    assert_eq!(
        (code.site.as_str(), code.api_key.unwrap().expose()),
        ("c.com", "c")
    );
    assert_eq!(code.agentless, Some(false));
    assert_eq!(
        code.agent,
        AgentAddress {
            url: http("http://c"),
            named: true
        }
    );
    assert_eq!(code.override_origin, Some(http("http://c")));
    assert_eq!(
        (&*code.sample_rate_text, code.capture),
        ("0.25", Capture::Metadata)
    );
    assert_eq!(code.dir, here("c"));
    assert_eq!((code.payload_size_bytes, code.event_size_bytes), (9_000, 9));
    assert_eq!(
        (code.timeout, code.flush_interval),
        (Duration::from_secs(9), Duration::from_secs(9))
    );
    assert_eq!((code.max_events, code.max_bytes), (9, 9));
    assert_eq!(code.headers, pairs(&[("x-b", "v"), ("x-a", "c")]));
}

#[test]
fn the_application_is_named_by_agent_service_then_ml_app_then_its_variable_then_the_service() {
    let service = read(&[("DD_SERVICE", "svc-only")]).unwrap();
    assert_eq!(&*service.clone().settings().unwrap().ml_app, "svc-only"); // golden 31
    assert_eq!(
        &*service.service("svc-code").settings().unwrap().ml_app,
        "svc-code"
    );

    let variable = read(&[("DD_SERVICE", "svc"), ("DD_LLMOBS_ML_APP", "app")]).unwrap();
    assert_eq!(&*variable.clone().settings().unwrap().ml_app, "app"); // golden 29
    assert_eq!(
        &*variable
            .clone()
            .ml_app("")
            .agent_service("")
            .settings()
            .unwrap()
            .ml_app,
        "app"
    );
    assert_eq!(
        &*variable
            .clone()
            .ml_app("prog-app")
            .settings()
            .unwrap()
            .ml_app,
        "prog-app"
    ); // golden 39
    let newer = variable.agent_service("newer").ml_app("older");
    assert_eq!(&*newer.settings().unwrap().ml_app, "newer");
}

#[test]
fn the_code_of_a_disabled_configuration_is_validated_all_the_same() {
    let disabled = read(&[("DD_LLMOBS_ENABLED", "0")]).unwrap();
    assert!(!disabled.settings().unwrap().enabled);
    assert_eq!(
        code_error(&disabled.clone().sample_rate(2.0)).0,
        "sample_rate"
    );
    assert!(disabled.enabled(true).settings().unwrap().enabled);
}
