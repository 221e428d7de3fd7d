//! The API key, the values of headers and the passwords in URLs: whatever llmobs says of itself, they are not in it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use llmobs::{
    Config, Destination, Evaluation, EvaluationTarget, EvaluationsClient, Memory, PastSpan, Span,
    SpanKind, SpansClient, Verdict,
};
use llmobs_tests::Intake;
use llmobs_tests::intake::{Reply, Request};

use crate::witness::{self, note};
use crate::{Folder, SOON, client, make_span};

const KEY: &str = "Zk9+/=sesame&0123456789abcdef%key";
const HEADER: &str = "Bearer open:sesame/fedcba9876543210";
const PASSWORD: &str = "pass-sesame-word";

/// With all but letters and digits encoded.
pub fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// The forms in which a secret may stand somewhere, and its halves.
fn forms(secret: &str) -> Vec<String> {
    let (first, second) = secret.split_at(secret.len() / 2);
    let mut forms = vec![
        first.to_owned(),
        second.to_owned(),
        percent_encoded(first),
        percent_encoded(second),
    ];
    for before in ["", "x", "xx"] {
        for encoded in [
            STANDARD_NO_PAD.encode(format!("{before}{secret}")),
            URL_SAFE_NO_PAD.encode(format!("{before}{secret}")),
        ] {
            // Without the letters that depend on what stands around it.
            forms.push(encoded[4..encoded.len() - 4].to_owned());
        }
    }
    forms.iter().map(|form| form.to_lowercase()).collect()
}

/// The line that shows the secret in one of its forms.
fn shows(text: &str, secret: &str) -> Option<String> {
    let text = text.to_lowercase();
    let forms = forms(secret);
    let mut lines = text.lines();
    let line = lines.find(|line| forms.iter().any(|form| line.contains(form)))?;
    Some(line.to_owned())
}

#[track_caller]
pub fn assert_hidden(text: &str, secret: &str) {
    let line = shows(text, secret);
    assert!(line.is_none(), "{secret} shows: {line:?}");
}

/// All files below a folder, as text, each after its path.
fn everything_below(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let _ = writeln!(text, "{}", path.display());
        if path.is_dir() {
            text += &everything_below(&path);
        } else {
            text += &String::from_utf8_lossy(&std::fs::read(&path).unwrap());
        }
    }
    text
}

/// All that came, as it came, percent-encoded and in base64.
fn echo(request: &Request) -> String {
    let mut echo = String::new();
    for name in ["dd-api-key", "x-relay"] {
        let value = request.header(name).unwrap_or("nothing");
        let _ = write!(echo, "{value} {} ", percent_encoded(value));
        for before in ["", "k=", "key: "] {
            let _ = write!(
                echo,
                "{} ",
                STANDARD_NO_PAD.encode(format!("{before}{value}"))
            );
        }
    }
    echo
}

fn wrong_configurations() {
    let vars = [
        ("DD_API_KEY", format!("\"{KEY}\"")),
        ("DD_API_KEY", KEY.repeat(100)),
        (
            "_DD_TRACE_WRITER_ADDITIONAL_HEADERS",
            HEADER.replace(':', ";"),
        ),
        (
            "_DD_TRACE_WRITER_ADDITIONAL_HEADERS",
            format!("x-relay:{HEADER}\u{7f}"),
        ),
        ("DD_TRACE_AGENT_URL", format!("http://mallory:{PASSWORD}@h")),
        (
            "DD_LLMOBS_OVERRIDE_ORIGIN",
            format!("https://h/?token={PASSWORD}"),
        ),
        ("DD_SITE", format!("https://mallory:{PASSWORD}@h")),
        ("DD_AGENT_HOST", format!("mallory:{PASSWORD}@h")),
    ];
    for (name, value) in vars {
        let lookup = |asked: &str| (asked == name).then(|| OsString::from(&value));
        let error = Config::from_vars(lookup).unwrap_err();
        note((&error, error.to_string()));
    }
    #[cfg(unix)]
    for (name, secret) in [
        ("DD_API_KEY", KEY),
        ("_DD_TRACE_WRITER_ADDITIONAL_HEADERS", HEADER),
    ] {
        use std::os::unix::ffi::OsStringExt as _;
        let raw = [secret.as_bytes(), b"\xff"].concat();
        let lookup = |asked: &str| (asked == name).then(|| OsString::from_vec(raw.clone()));
        let error = Config::from_vars(lookup).unwrap_err();
        note((&error, error.to_string()));
    }
    for config in [
        Config::new().api_key(format!("{KEY}\n")),
        Config::new().header("x relay", HEADER),
        Config::new().header("x-relay", format!("{HEADER}\r\n")),
        Config::new().agent_url(format!("http://mallory:{PASSWORD}@h")),
        Config::new().override_origin(format!("http:/mallory:{PASSWORD}@h")),
        Config::new().site(format!("mallory:{PASSWORD}@h")),
        Config::new().ca_certificate_pem(KEY),
    ] {
        note(&config);
        let error = config.clone().build().unwrap_err();
        note((&error, error.to_string()));
        note(config.enable().unwrap_err());
    }
}

fn secrets() -> Config {
    let repository = format!("https://mallory:{PASSWORD}@git.example/o/r");
    let lookup = |name: &str| match name {
        "DD_API_KEY" => Some(KEY.into()),
        "_DD_TRACE_WRITER_ADDITIONAL_HEADERS" => Some(format!("X-Relay:{HEADER}").into()),
        "DD_GIT_REPOSITORY_URL" => Some((&repository).into()),
        _ => None,
    };
    let config = Config::from_vars(lookup).unwrap();
    note((&config, config.warnings()));
    config
}

/// A client lives its whole life, and all that it says is noted.
fn life(config: Config, patience: Duration) {
    let client = client(config.processor(|_| Verdict::Keep));
    note(&client);
    make_span(&client);
    client.scope(|| {
        let span = Span::llm("call").start();
        note((
            &span,
            llmobs::Context::current(),
            llmobs::export_span(&span),
        ));
        let target = EvaluationTarget::span("1", "2");
        note((
            &target,
            llmobs::submit_evaluation(target.clone(), Evaluation::new("good", true)),
        ));
        let failed = llmobs::submit_evaluation(target.clone(), Evaluation::new("not good", true));
        note((&failed, failed.as_ref().map_err(ToString::to_string)));
    });
    let flushed = client.flush(patience);
    note((&flushed, flushed.as_ref().map_err(ToString::to_string)));
    note(client.stats());
    let ended = client.shutdown(Duration::from_millis(50));
    note((
        &ended,
        ended.as_ref().map_err(ToString::to_string),
        client.stats(),
        &client,
    ));
}

fn past(config: &Config) {
    let evaluations = EvaluationsClient::new(config.clone().ml_app("past")).unwrap();
    let target = EvaluationTarget::span("1", "2");
    note((
        &evaluations,
        evaluations.submit([(target, Evaluation::new("good", true))]),
    ));
    let spans = SpansClient::new(config.clone().ml_app("past")).unwrap();
    let start = std::time::SystemTime::now();
    let span = PastSpan::new(SpanKind::Task, "past", start, Duration::from_secs(1));
    note((&spans, spans.submit([span])));
}

#[test]
fn no_secret_of_the_configuration_is_in_anything_that_is_said_or_kept() {
    witness::listen();
    wrong_configurations();

    let folder = Folder::new();
    let config = secrets()
        .dir(&folder.0)
        .spool(true)
        .timeout(Duration::from_millis(300));
    let soon = Duration::from_millis(400);
    for status in [400, 401, 403, 404, 407, 413, 422, 429, 500, 301] {
        let intake = Intake::start();
        intake.script(move |request| Reply::status(status).body(echo(request)));
        let agentless = config
            .clone()
            .override_origin(intake.url())
            .destination(Destination::Agentless);
        life(agentless.clone(), soon);
        assert_eq!(intake.requests()[0].header("dd-api-key"), Some(KEY));
        past(&agentless);
        life(
            config
                .clone()
                .agent_url(intake.url())
                .destination(Destination::Agent),
            soon,
        );
    }
    for reply in [Reply::hang(), Reply::reset(), Reply::drop_connection()] {
        let intake = Intake::start();
        intake.script(move |_| reply.clone());
        life(
            config
                .clone()
                .override_origin(intake.url())
                .destination(Destination::Agentless),
            soon,
        );
    }
    // Nobody there; no TLS there; no such name.
    for origin in [
        "http://127.0.0.1:9",
        "https://127.0.0.1:9",
        "https://intake.invalid",
    ] {
        let nowhere = config
            .clone()
            .override_origin(origin)
            .destination(Destination::Agentless);
        life(nowhere.clone(), soon);
        past(&nowhere);
    }
    let intake = Intake::start();
    let memory = Memory::new();
    let everywhere = config
        .clone()
        .override_origin(intake.url())
        .destination(Destination::Agentless)
        .destination(Destination::Journal)
        .destination(Destination::Memory(memory.clone()));
    life(everywhere.clone(), SOON);
    life(
        everywhere
            .clone()
            .processor(|_| panic!("a processor fails")),
        SOON,
    );
    note((&memory, memory.spans(), memory.evaluations()));
    let guard = everywhere.clone().enable().unwrap();
    note((&guard, everywhere.enable(), llmobs::stats(), guard.client()));
    let panicked = std::panic::catch_unwind(|| panics(KEY.len()));
    assert!(panicked.is_err());
    drop(guard);

    let said = witness::said();
    let kept = everything_below(&folder.0);
    for heard in [
        "[hidden]",
        "401",
        "403",
        "a processor fails",
        "panics here",
        "DD_API_KEY",
    ] {
        assert!(said.contains(heard), "{heard} was not heard");
    }
    assert!(
        kept.contains("\"kind\":\"span\"") && kept.contains("git.repository_url"),
        "{kept}"
    );
    let in_the_spool = folder.0.join("spool");
    let is_segment =
        |line: &str| Path::new(line).starts_with(&in_the_spool) && line.ends_with(".jsonl");
    assert!(kept.lines().any(is_segment), "nothing is in the spool");
    for secret in [KEY, HEADER, PASSWORD] {
        assert_hidden(&said, secret);
        assert_hidden(&kept, secret);
    }
}

#[llmobs::task]
fn panics(length: usize) -> usize {
    assert!(length == 0, "panics here");
    length
}

#[test]
fn what_is_looked_for_would_be_found() {
    for form in [
        KEY.to_owned(),
        KEY[..20].to_owned(),
        KEY.to_uppercase(),
        percent_encoded(KEY),
        STANDARD_NO_PAD.encode(KEY),
        URL_SAFE_NO_PAD.encode(format!("user:{KEY}")),
        STANDARD_NO_PAD.encode(format!("a{KEY}, b")),
    ] {
        let text = format!("so {form} is it");
        assert_eq!(shows(&text, KEY), Some(text.to_lowercase()));
    }
}
