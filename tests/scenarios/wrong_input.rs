//! Wrong configuration and wrong calls: a clear error or a warning, and the program goes on.

use std::ffi::OsString;

use llmobs::{
    AnnotateError, Annotation, Config, ConfigError, Destination, DropReason, Evaluation, Feedback,
    Span,
};
use tracing::Level;

use crate::client::{Client, SOON};
use crate::log;

fn from_vars(vars: &'static [(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_vars(|name| {
        let found = vars.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

/// The error of building a client, with its text.
#[track_caller]
fn refused(config: Config) -> (ConfigError, String) {
    let error = config.build().expect_err("a wrong configuration");
    let text = error.to_string();
    (error, text)
}

#[test]
fn sending_without_an_agent_needs_a_key() {
    let by_variable = from_vars(&[("DD_LLMOBS_AGENTLESS_ENABLED", "1")]).unwrap();
    let cases = [
        (by_variable, "DD_LLMOBS_AGENTLESS_ENABLED"),
        (Config::new().agentless(true), "agentless"),
        (
            Config::new().destination(Destination::Agentless),
            "destination",
        ),
    ];
    for (config, name) in cases {
        let (error, text) = refused(config.clone());
        assert!(
            matches!(error, ConfigError::MissingApiKey { .. }),
            "{error:?}"
        );
        assert!(text.contains(name) && text.contains("DD_API_KEY"), "{text}");
        assert!(config.enabled(false).build().is_ok(), "disabled");
    }
}

#[test]
fn a_site_without_the_product_is_an_error_without_an_agent_and_a_warning_with_one() {
    log::keep();
    let config = || from_vars(&[("DD_SITE", "w17.ddog-gov.com"), ("DD_API_KEY", "k")]).unwrap();
    let (error, text) = refused(config().agentless(true));
    assert!(matches!(error, ConfigError::SiteWithoutProduct { .. }));
    assert!(text.contains("DD_SITE is \"w17.ddog-gov.com\""), "{text}");
    let (_, text) = refused(
        Config::new()
            .api_key("k")
            .site("ddog-gov.com")
            .agentless(true),
    );
    assert!(text.contains("site is \"ddog-gov.com\""), "{text}");

    let sent = Client::configured(config()).sent_by(|| drop(Span::task("t").start()));
    assert_eq!(sent.spans.len(), 1, "through the Agent all the same");
    let lines = log::lines_with("w17.ddog-gov.com");
    let [(Level::WARN, line)] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert!(line.contains("DD_SITE"), "{line}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_an_error_that_names_it() {
    use std::os::unix::ffi::OsStringExt as _;
    for name in [
        "DD_LLMOBS_ML_APP",
        "DD_SITE",
        "DD_TAGS",
        "LLMOBS_DIR",
        "DD_API_KEY",
    ] {
        let lookup =
            |other: &str| (other == name).then(|| OsString::from_vec(b"sk-\xff-1".to_vec()));
        let error = Config::from_vars(lookup).unwrap_err();
        assert!(matches!(error, ConfigError::NotUtf8 { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("UTF-8"), "{text}");
        assert_eq!(text.contains("sk-"), name != "DD_API_KEY", "{text}");
    }
}

#[test]
fn a_variable_that_decides_where_data_goes_is_an_error_when_wrong() {
    let cases: [&'static [(&str, &str)]; 7] = [
        &[("DD_LLMOBS_ENABLED", "maybe")],
        &[("DD_LLMOBS_AGENTLESS_ENABLED", "2")],
        &[("DD_SITE", "https://datadoghq.com")],
        &[("DD_TRACE_AGENT_URL", "localhost")],
        &[("DD_LLMOBS_OVERRIDE_ORIGIN", "ftp://x")],
        &[("DD_AGENT_HOST", "a b")],
        &[("LLMOBS_CAPTURE", "some")],
    ];
    for vars in cases {
        let (name, value) = vars[0];
        let text = from_vars(vars).unwrap_err().to_string();
        assert!(text.contains(name) && text.contains(value), "{text}");
    }
}

#[test]
fn a_number_out_of_range_is_a_warning_from_a_variable_and_an_error_from_code() {
    log::keep();
    let vars = &[
        ("DD_LLMOBS_SAMPLE_RATE", "1.000017"),
        ("DD_LLMOBS_EVENT_SIZE_BYTES", "5000017"),
        ("DD_TAGS", "team:ml,:untagged17"),
    ];
    let config = from_vars(vars).unwrap();
    let mut named: Vec<_> = config.warnings().iter().map(|one| one.name).collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "DD_LLMOBS_EVENT_SIZE_BYTES",
            "DD_LLMOBS_SAMPLE_RATE",
            "DD_TAGS"
        ]
    );
    let sent = Client::configured(config).sent_by(|| drop(Span::task("t").start()));
    assert_eq!(sent.span("t")["_dd"]["sample_rate"], "1");
    assert_eq!(sent.tag("t", "team"), Some("ml"));
    for (name, value) in [
        ("DD_LLMOBS_SAMPLE_RATE", "1.000017"),
        ("DD_LLMOBS_EVENT_SIZE_BYTES", "5000017"),
        ("DD_TAGS", "untagged17"),
    ] {
        let lines = log::lines_with(value);
        let [(level, line)] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert_eq!(*level, Level::WARN);
        assert!(line.contains(name), "{line}");
    }
    let (_, text) = refused(Config::new().sample_rate(f64::NAN));
    assert!(
        text.contains("sample_rate") && text.contains("NaN"),
        "{text}"
    );
    let (_, text) = refused(Config::new().event_size_bytes(0));
    assert!(
        text.contains("event_size_bytes") && text.contains('0'),
        "{text}"
    );
}

#[test]
fn an_annotation_outside_any_span_is_an_error() {
    let sent = Client::start().sent_by(|| {
        let result = llmobs::annotate(None, Annotation::new().input("lost"));
        assert_eq!(result, Err(AnnotateError::NoSpan));
    });
    assert_eq!(sent.stats.rejected, 1);
}

#[test]
fn nothing_is_wrong_where_llmobs_is_off_though_another_client_is_open() {
    let open = Client::start();
    let off = Config::new().enabled(false).build().unwrap();
    open.run(|| {
        let _in = Span::task("t").start().enter();
        off.scope(|| {
            assert!(!llmobs::is_enabled());
            let annotation = Annotation::new().metric("m", f64::NAN);
            llmobs::annotate(None, annotation).unwrap();
            let evaluation = Evaluation::new("not a label", f64::NAN);
            llmobs::submit_evaluation(llmobs::export_span(None), evaluation).unwrap();
            let feedback = Feedback::new("not a label", f64::NAN, "");
            llmobs::submit_feedback(llmobs::export_span(None), feedback).unwrap();
        });
    });
    assert_eq!(off.stats().rejected, 0);
    assert_eq!(open.sent().stats.rejected, 0);
}

#[test]
fn refused_annotations_are_counted_whichever_way_they_are_made() {
    let sent = Client::start().sent_by(|| {
        let span = Span::task("t").start();
        span.finish().unwrap();
        assert!(llmobs::annotate(&span, Annotation::new()).is_err());
        assert!(span.annotate(Annotation::new()).is_err());
    });
    assert_eq!(sent.stats.rejected, 2);
}

/// A file where a folder would have to be: a mode does not stop root from writing.
struct NoFolder(std::path::PathBuf);

impl NoFolder {
    fn create() -> Self {
        let name = format!("llmobs-no-folder-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, "a file").unwrap();
        Self(path)
    }
}

impl Drop for NoFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_journal_that_cannot_be_written_is_one_error_line_and_every_event_is_counted() {
    const COUNT: u64 = 5_000;
    log::keep();
    let file = NoFolder::create();
    let dir = file.0.join("below");
    let config = Config::new().destination(Destination::Journal).dir(&dir);
    let client = config.build().unwrap();
    client.scope(|| {
        for _ in 0..COUNT {
            drop(Span::task("lost").start());
        }
    });
    let stats = client.flush(SOON).unwrap().stats;
    assert_eq!(
        (stats.spans().made, stats.spans().dropped),
        (COUNT, vec![(DropReason::Nowhere, COUNT)])
    );
    let lines = log::lines_with(&dir.display().to_string());
    let errors: Vec<_> = lines
        .iter()
        .filter(|(level, _)| *level == Level::ERROR)
        .collect();
    assert_eq!(errors.len(), 1, "{lines:?}");
    assert!(errors[0].1.contains("cannot be written"), "{errors:?}");
}

#[test]
fn a_metric_that_is_no_number_is_an_error_and_an_empty_annotation_is_none() {
    Client::start().sent_by(|| {
        let span = Span::task("t").start();
        span.annotate(Annotation::new()).unwrap();
        let error = span.annotate(Annotation::new().metric("cost", f64::NAN));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("\"cost\"") && text.contains("NaN"), "{text}");
    });
}
