//! The environment, from whoever set it: an error names the variable, and nothing that is shown
//! depends on a secret.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use libfuzzer_sys::fuzz_target;
use llmobs_runtime::{Config, ConfigError, fuzzing};

mod records;

const VARIABLES: [&str; 25] = [
    "DD_AGENT_HOST",
    "DD_API_KEY",
    "DD_ENV",
    "DD_GIT_COMMIT_SHA",
    "DD_GIT_REPOSITORY_URL",
    "DD_LLMOBS_AGENTLESS_ENABLED",
    "DD_LLMOBS_ENABLED",
    "DD_LLMOBS_EVENT_SIZE_BYTES",
    "DD_LLMOBS_ML_APP",
    "DD_LLMOBS_OVERRIDE_ORIGIN",
    "DD_LLMOBS_PAYLOAD_SIZE_BYTES",
    "DD_LLMOBS_SAMPLE_RATE",
    "DD_LLMOBS_SAMPLING_RULES",
    "DD_SERVICE",
    "DD_SITE",
    "DD_TAGS",
    "DD_TRACE_AGENT_PORT",
    "DD_TRACE_AGENT_URL",
    "DD_TRACE_GIT_METADATA_ENABLED",
    "DD_VERSION",
    "LLMOBS_CAPTURE",
    "LLMOBS_DIR",
    "LLMOBS_SPOOL",
    "_DD_LLMOBS_WRITER_INTERVAL",
    "_DD_LLMOBS_WRITER_TIMEOUT",
];
const HEADERS: &str = "_DD_TRACE_WRITER_ADDITIONAL_HEADERS";
/// Where a URL may be put, whether one is asked for or not.
const PLACES: [&str; 5] = [
    "DD_AGENT_HOST",
    "DD_GIT_REPOSITORY_URL",
    "DD_LLMOBS_OVERRIDE_ORIGIN",
    "DD_SITE",
    "DD_TRACE_AGENT_URL",
];

type Variables = Vec<(&'static str, Vec<u8>)>;

/// The variables of an input, each once, the first counts; others are left out.
fn variables(input: &[u8]) -> Variables {
    let mut variables = Variables::new();
    for (name, value) in records::records(input) {
        let mut known = VARIABLES.iter().copied().chain([HEADERS]);
        let Some(name) = known.find(|known| *known == name) else {
            continue;
        };
        if !variables.iter().any(|(given, _)| *given == name) {
            variables.push((name, value.to_vec()));
        }
    }
    variables
}

/// Everything that is shown of a configuration.
#[derive(Debug, PartialEq)]
enum Shown {
    Config(Vec<String>),
    Error(String),
}

fn shown(variables: &Variables) -> Shown {
    let lookup = |name: &str| {
        let value = variables.iter().find(|(given, _)| *given == name);
        value.map(|(_, value)| OsString::from_vec(value.clone()))
    };
    let config = match Config::from_vars(lookup) {
        Ok(config) => config,
        Err(error) => return error_shown(&error, variables),
    };
    let settings = match fuzzing::settings(&config) {
        Ok(settings) => settings,
        Err(error) => return error_shown(&error, variables),
    };
    let mut texts = vec![format!("{config:?}"), settings];
    for warning in config.warnings() {
        assert!(is_given(warning.name, variables), "{warning:?}");
        assert!(warning.value.chars().count() <= 129, "{warning:?}");
        texts.extend([warning.to_string(), format!("{warning:?}")]);
    }
    Shown::Config(texts)
}

fn error_shown(error: &ConfigError, variables: &Variables) -> Shown {
    let (ConfigError::Invalid {
        name,
        value,
        allowed,
    }
    | ConfigError::NotUtf8 {
        name,
        value,
        allowed,
    }
    | ConfigError::MissingApiKey {
        name,
        value,
        allowed,
    }
    | ConfigError::SiteWithoutProduct {
        name,
        value,
        allowed,
    }) = error
    else {
        panic!("nothing is started here: {error}");
    };
    assert!(is_given(name, variables), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(name) && text.contains(allowed), "{text}");
    assert!(
        value.chars().count() <= 129,
        "{} characters",
        value.chars().count()
    );
    assert_eq!(format!("{error:?}"), text);
    Shown::Error(text)
}

fn is_given(name: &str, variables: &Variables) -> bool {
    variables.iter().any(|(given, _)| *given == name)
}

/// The same with other secrets, as long and as right or wrong as those that they replace.
fn with_other_secrets(variables: &Variables) -> Variables {
    let mut variables = variables.clone();
    for (name, value) in &mut variables {
        match *name {
            "DD_API_KEY" => replace(value),
            HEADERS => {
                for entry in value.split_mut(|byte| *byte == b',') {
                    if let Some(at) = entry.iter().position(|byte| *byte == b':') {
                        replace(&mut entry[at + 1..]);
                    }
                }
            }
            place if PLACES.contains(&place) => replace_password(value),
            _ => {}
        }
    }
    variables
}

/// Quotes stay, for a key that stands in some is refused.
fn replace(secret: &mut [u8]) {
    for byte in secret {
        if byte.is_ascii_graphic() && !matches!(byte, b'\'' | b'"') {
            *byte = b'k';
        }
    }
}

/// The password of `scheme://user:password@host`.
fn replace_password(url: &mut [u8]) {
    let Some(start) = url.windows(3).position(|three| three == b"://") else {
        return;
    };
    let rest = &mut url[start + 3..];
    let end = rest
        .iter()
        .position(|byte| b"/?#".contains(byte))
        .unwrap_or(rest.len());
    let authority = &mut rest[..end];
    let Some(at) = authority.iter().rposition(|byte| *byte == b'@') else {
        return;
    };
    if let Some(colon) = authority[..at].iter().position(|byte| *byte == b':') {
        replace(&mut authority[colon + 1..at]);
    }
}

fuzz_target!(|input: &[u8]| {
    let variables = variables(input);
    let told = shown(&variables);
    assert_eq!(told, shown(&with_other_secrets(&variables)));
});
