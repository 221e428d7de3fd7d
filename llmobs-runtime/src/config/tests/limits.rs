//! What is read from the environment has an end.

use super::*;

const FREE_TEXTS: [&str; 8] = [
    "DD_LLMOBS_ML_APP",
    "DD_SERVICE",
    "DD_ENV",
    "DD_VERSION",
    "DD_TAGS",
    "DD_GIT_REPOSITORY_URL",
    "DD_GIT_COMMIT_SHA",
    "DD_LLMOBS_SAMPLING_RULES",
];

/// A value of exactly so many bytes that the variable takes.
fn of_length(name: &str, length: usize) -> String {
    let (before, after) = match name {
        "DD_TAGS" => ("k:", ""),
        "DD_LLMOBS_SAMPLING_RULES" => (r#"[{"tags":{"k":""#, r#""},"sample_rate":1}]"#),
        _ => ("", ""),
    };
    let filling = "v".repeat(length - before.len() - after.len());
    format!("{before}{filling}{after}")
}

#[test]
fn a_text_over_the_limit_counts_as_unset_with_a_warning_and_one_at_it_does_not() {
    for name in FREE_TEXTS {
        let at = read(&[(name, &of_length(name, 32_768))]).unwrap();
        assert!(at.warnings().is_empty(), "{name}: {:?}", at.warnings());
        let over = read(&[(name, &of_length(name, 32_769))]).unwrap();
        let [warning] = over.warnings() else {
            panic!("{name}: {:?}", over.warnings())
        };
        assert_eq!((warning.name, &*warning.used), (name, "nothing"));
        assert!(warning.to_string().len() < 512, "{warning}");
        let (over, none) = (over.settings().unwrap(), settings(&[]));
        assert_eq!(over.ml_app, none.ml_app, "{name}");
        assert_eq!(over.global_tags, none.global_tags, "{name}");
        assert_eq!(over.sampling_rules, none.sampling_rules, "{name}");
        assert_eq!(
            [over.service, over.env, over.version].concat(),
            "",
            "{name}"
        );
    }
}

#[test]
fn every_other_variable_refuses_what_is_long_and_shows_its_beginning() {
    let long = "9".repeat(1_000_000);
    for name in VARIABLES {
        // A folder's name is the system's business.
        if FREE_TEXTS.contains(&name) || name == "LLMOBS_DIR" {
            continue;
        }
        let told = match read(&[(name, &long)]) {
            Err(error) => error.to_string(),
            Ok(config) => {
                let [warning] = config.warnings() else {
                    panic!("{name} is taken")
                };
                warning.to_string()
            }
        };
        assert!(told.starts_with(name) && told.len() < 1_024, "{told}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_utf_8_is_shown_up_to_a_bound() {
    use std::os::unix::ffi::OsStringExt as _;
    let raw = OsString::from_vec(vec![0xff; 1_000_000]);
    for name in VARIABLES {
        let error = Config::from_vars(|asked| (asked == name).then(|| raw.clone())).unwrap_err();
        assert!(error.to_string().len() < 1_024, "{name}");
    }
}

#[test]
fn addresses_and_keys_are_taken_up_to_their_limits() {
    let url = |length: usize| format!("http://h/{}", "p".repeat(length - 9));
    let host = |length: usize| "a.".repeat(length / 2 - 1) + &"b".repeat(2 + length % 2);
    for (name, limit, text) in [
        (
            "DD_TRACE_AGENT_URL",
            2_048,
            &url as &dyn Fn(usize) -> String,
        ),
        ("DD_LLMOBS_OVERRIDE_ORIGIN", 2_048, &url),
        ("DD_AGENT_HOST", 253, &host),
        ("DD_SITE", 253, &host),
        ("DD_API_KEY", 1_024, &|length| "k".repeat(length)),
    ] {
        assert_eq!(text(limit).len(), limit);
        assert!(read(&[(name, &text(limit))]).is_ok(), "{name} at {limit}");
        assert!(
            read(&[(name, &text(limit + 1))]).is_err(),
            "{name} over {limit}"
        );
    }
}

#[test]
fn headers_of_the_variable_are_taken_up_to_their_limits() {
    let name = "_DD_TRACE_WRITER_ADDITIONAL_HEADERS";
    let config = |text: String| read(&[(name, &text)])?.settings();
    let many = |count: usize| {
        let headers: Vec<String> = (0..count).map(|n| format!("x-{n}:v")).collect();
        headers.join(",")
    };
    assert_eq!(config(many(64)).unwrap().headers.len(), 64);
    let error = config(many(65)).unwrap_err().to_string();
    assert!(error.contains("65 headers"), "{error}");
    let one = |key: usize, value: usize| format!("{}:{}", "x".repeat(key), "v".repeat(value));
    assert!(config(one(256, 8_192)).is_ok());
    assert!(config(one(257, 1)).is_err());
    assert!(config(one(1, 8_193)).is_err());
}

/// A number at an end of its range is taken; one beyond it is an error that names the setter, the number and the range.
#[track_caller]
fn assert_range<T: Copy + PartialEq + std::fmt::Debug>(
    name: &str,
    allowed: &str,
    set: impl Fn(T) -> Config,
    get: impl Fn(&Settings) -> T,
    (taken, refused): (&[T], &[T]),
) {
    for &value in taken {
        assert_eq!(get(&set(value).settings().unwrap()), value, "{name}");
    }
    for &value in refused {
        let error = set(value).settings().unwrap_err().to_string();
        let expected = format!("{name} is \"{value:?}\"; it must be {allowed}");
        assert_eq!(error, expected);
        assert_eq!(set(value).build().unwrap_err().to_string(), expected);
    }
}

#[test]
fn sizes_are_taken_up_to_the_ends_of_their_ranges() {
    assert_range(
        "spool_max_bytes",
        "a number of bytes, at least 65536",
        |bytes| Config::new().spool_max_bytes(bytes),
        |settings| settings.spool_max_bytes,
        (&[65_536, 65_537, u64::MAX], &[65_535, 0]),
    );
    assert_range(
        "payload_size_bytes",
        "a number of bytes from 4096 to 5000000",
        |bytes| Config::new().payload_size_bytes(bytes),
        |settings| settings.payload_size_bytes,
        (&[4_096, 4_097, 4_999_999, 5_000_000], &[4_095, 5_000_001]),
    );
    let name = "DD_LLMOBS_PAYLOAD_SIZE_BYTES";
    assert_eq!(settings(&[(name, "4096")]).payload_size_bytes, 4_096);
}

#[test]
fn an_age_is_taken_from_a_second_to_a_day() {
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    let a_day_nearly = Duration::new(86_399, 999_999_999);
    let step = Duration::from_nanos(1);
    assert_range(
        "spool_max_age",
        "a time from 1 second to 24 hours",
        |age| Config::new().spool_max_age(age),
        |settings| settings.spool_max_age,
        (
            &[second, second + step, a_day_nearly, day],
            &[
                Duration::from_nanos(999_999_999),
                day + step,
                Duration::ZERO,
                Duration::MAX,
            ],
        ),
    );
}
