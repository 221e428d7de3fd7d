//! Tags, numbers, times and words.

use super::*;

#[test]
fn booleans_are_true_false_1_and_0_in_any_case() {
    for (text, value) in [
        ("true", true),
        ("1", true),
        ("TRUE", true),
        ("false", false),
        ("0", false),
        ("False", false),
    ] {
        assert_eq!(settings(&[("DD_LLMOBS_ENABLED", text)]).enabled, value);
        assert_eq!(settings(&[("LLMOBS_SPOOL", text)]).spool, value);
        let agentless = settings(&[("DD_LLMOBS_AGENTLESS_ENABLED", text), ("DD_API_KEY", "k")]);
        assert_eq!(agentless.agentless, Some(value));
    }
    let booleans = [
        "DD_LLMOBS_ENABLED",
        "LLMOBS_SPOOL",
        "DD_LLMOBS_AGENTLESS_ENABLED",
        "DD_TRACE_GIT_METADATA_ENABLED",
    ];
    for name in booleans {
        refused(
            name,
            &["yes", "on", "2", "\"true\"", "tru"],
            "true, false, 1 or 0",
        );
    }
}

#[test]
fn tags_are_split_at_commas_if_there_is_one_and_else_at_spaces() {
    for text in [
        "team:ml,region:eu",
        "team:ml region:eu",
        " team:ml , region:eu ,",
        "team:ml\t  region:eu",
    ] {
        assert_eq!(
            settings(&[("DD_TAGS", text)]).global_tags,
            pairs(&[("team", "ml"), ("region", "eu")])
        );
    }
    let first_colon = settings(&[("DD_TAGS", "url:http://h:1/,note:two words")]);
    assert_eq!(
        first_colon.global_tags,
        pairs(&[("url", "http://h:1/"), ("note", "two words")])
    );
}

#[test]
fn a_malformed_tag_is_a_warning_and_the_others_stay() {
    let settings = settings(&[("DD_TAGS", "team:ml,alone,:nameless")]);
    let tags = pairs(&[("team", "ml"), ("alone", "")]);
    assert_eq!(settings.global_tags, tags);
    let wrong: Vec<_> = settings
        .warnings
        .iter()
        .map(|warning| warning.value.as_str())
        .collect();
    assert_eq!(wrong, [":nameless"]);
    assert_eq!(
        settings.warnings[0].to_string(),
        "DD_TAGS is \":nameless\"; it should be pairs key:value, separated by commas or by spaces; \
         using the other tags"
    );
}

#[test]
fn the_tags_of_the_code_follow_and_replace_those_of_the_environment() {
    let config = read(&[
        ("DD_TAGS", "team:ml,region:eu"),
        ("DD_GIT_COMMIT_SHA", "0123"),
    ])
    .unwrap();
    let config = config
        .tag("team", "search")
        .tag("tier", "1")
        .tag("tier", "2");
    let tags = pairs(&[
        ("team", "search"),
        ("region", "eu"),
        ("tier", "2"),
        ("git.commit.sha", "0123"),
    ]);
    assert_eq!(config.clone().settings().unwrap().global_tags, tags);
    let tags = config
        .tag("git.commit.sha", "mine")
        .settings()
        .unwrap()
        .global_tags;
    assert_eq!(tags.last().unwrap().1, "mine");
    assert_eq!(
        code_error(&Config::new().tag("", "v")),
        ("tag", ":v".to_owned())
    );
}

#[test]
fn tags_named_service_env_and_version_fill_in_for_what_is_unset() {
    let tagged = [
        ("DD_TAGS", "env:prod,service:svc,version:1,team:ml"),
        ("DD_VERSION", "2"),
    ];
    let settings = settings(&tagged);
    assert_eq!(
        (&*settings.service, &*settings.env, &*settings.version),
        ("svc", "prod", "2")
    );
    assert_eq!(&*settings.ml_app, "svc");
    assert_eq!(settings.global_tags, pairs(&[("team", "ml")]));
}

#[test]
fn git_tags_come_from_their_variables_without_credentials() {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let vars = [
        ("DD_GIT_REPOSITORY_URL", "https://example.test/r.git"),
        ("DD_GIT_COMMIT_SHA", sha),
    ];
    let tags = pairs(&[
        ("git.repository_url", "https://example.test/r.git"),
        ("git.commit.sha", sha),
    ]);
    assert_eq!(settings(&vars).global_tags, tags); // golden 29

    for (off, expected) in [("0", 0), ("False", 0), ("1", 2)] {
        let vars = [vars[0], vars[1], ("DD_TRACE_GIT_METADATA_ENABLED", off)];
        assert_eq!(settings(&vars).global_tags.len(), expected);
    }
    for (url, clean) in [
        (
            "https://user:token@example.test/r.git",
            "https://example.test/r.git",
        ),
        (
            "https://token@example.test:8443/r.git",
            "https://example.test:8443/r.git",
        ),
        (
            "https://user:p@ss@example.test/r.git",
            "https://example.test/r.git",
        ),
        ("ssh://git@example.test/r.git", "ssh://example.test/r.git"),
        ("user:token@example.test/r.git", "example.test/r.git"),
        ("git@example.test:org/r.git", "git@example.test:org/r.git"),
        ("https://example.test/a@b", "https://example.test/a@b"),
    ] {
        assert_eq!(
            settings(&[("DD_GIT_REPOSITORY_URL", url)]).global_tags[0].1,
            clean
        );
    }
}

#[test]
fn the_sample_rate_is_a_number_from_0_to_1_and_is_written_shortly() {
    for (text, written) in [
        ("0", "0"),
        ("-0.0", "0"),
        ("1", "1"),
        ("1.0", "1"),
        ("0.2", "0.2"),
        (" 0.10 ", "0.1"),
        ("0.1234567", "0.123457"),
        ("1e-3", "0.001"),
    ] {
        let settings = settings(&[("DD_LLMOBS_SAMPLE_RATE", text)]);
        assert_eq!(&*settings.sample_rate_text, written);
        assert!(settings.warnings.is_empty());
    }
    let same = |settings: &Settings| &*settings.sample_rate_text == "1";
    ignored(
        "DD_LLMOBS_SAMPLE_RATE",
        &["1.01", "-0.1", "NaN", "inf", "half", "50%"],
        "1.0",
        same,
    );
    for rate in [1.01, -0.1, f64::NAN, f64::INFINITY] {
        assert_eq!(
            code_error(&Config::new().sample_rate(rate)).0,
            "sample_rate"
        );
    }
    let error = Config::new().sample_rate(2.0).settings().unwrap_err();
    assert_eq!(
        error.to_string(),
        "sample_rate is \"2.0\"; it must be a number from 0 to 1"
    );
}

#[test]
fn a_body_has_room_for_an_event_and_no_size_is_above_a_body() {
    let same = |settings: &Settings| {
        (settings.payload_size_bytes, settings.event_size_bytes) == (5_000_000, 5_000_000)
    };
    let wrong = [
        "0",
        "5000001",
        "5242880",
        "-1",
        "1.5",
        "5MB",
        "99999999999999999999999",
    ];
    ignored("DD_LLMOBS_PAYLOAD_SIZE_BYTES", &wrong, "5000000", same);
    ignored("DD_LLMOBS_PAYLOAD_SIZE_BYTES", &["4095"], "5000000", same);
    ignored("DD_LLMOBS_EVENT_SIZE_BYTES", &wrong, "5000000", same);
    for size in [0, 5_000_001] {
        let config = Config::new().payload_size_bytes(size);
        assert_eq!(
            code_error(&config),
            ("payload_size_bytes", size.to_string())
        );
        assert_eq!(
            code_error(&Config::new().event_size_bytes(size)),
            ("event_size_bytes", size.to_string())
        );
    }
    assert_eq!(code_error(&Config::new().max_events(0)).0, "max_events");
    assert_eq!(
        code_error(&Config::new().max_events(usize::MAX)).0,
        "max_events"
    );
    assert_eq!(code_error(&Config::new().max_bytes(0)).0, "max_bytes");
}

#[test]
fn times_are_positive_and_at_most_an_hour() {
    let halves = [
        ("_DD_LLMOBS_WRITER_TIMEOUT", "2.5"),
        ("_DD_LLMOBS_WRITER_INTERVAL", "0.25"),
    ];
    let halves = settings(&halves);
    assert_eq!(
        (halves.timeout, halves.flush_interval),
        (Duration::from_millis(2500), Duration::from_millis(250))
    );

    let wrong = ["0", "-1", "NaN", "inf", "1e300", "3601", "1e-9", "5s"];
    ignored("_DD_LLMOBS_WRITER_TIMEOUT", &wrong, "5", |settings| {
        settings.timeout == Duration::from_secs(5)
    });
    ignored("_DD_LLMOBS_WRITER_INTERVAL", &wrong, "1", |settings| {
        settings.flush_interval == Duration::from_secs(1)
    });
    let config = read(&[("_DD_LLMOBS_WRITER_TIMEOUT", "10s")]).unwrap();
    let told = "_DD_LLMOBS_WRITER_TIMEOUT is \"10s\"; it should be a number of seconds from 0.001 to 3600; using 5";
    assert_eq!(config.warnings()[0].to_string(), told);
    for wrong in [Duration::ZERO, Duration::MAX] {
        assert_eq!(code_error(&Config::new().timeout(wrong)).0, "timeout");
        assert_eq!(
            code_error(&Config::new().flush_interval(wrong)).0,
            "flush_interval"
        );
    }
}

#[test]
fn the_capture_mode_is_one_of_three_words() {
    for (text, mode) in [
        ("none", Capture::None),
        ("Metadata", Capture::Metadata),
        ("FULL", Capture::Full),
    ] {
        assert_eq!(settings(&[("LLMOBS_CAPTURE", text)]).capture, mode);
    }
    refused(
        "LLMOBS_CAPTURE",
        &["off", "0", "ful", "\"none\""],
        "none, metadata or full",
    );
}

#[test]
fn a_folder_has_a_name() {
    assert_eq!(
        settings(&[("LLMOBS_DIR", "/var/lib/llmobs")]).dir,
        PathBuf::from("/var/lib/llmobs")
    );
    assert_eq!(code_error(&Config::new().dir("")).0, "dir");
    assert_eq!(code_error(&Config::new().dir("a\0b")).0, "dir");
}

#[test]
fn a_long_value_is_shortened_in_what_is_said_about_it() {
    let error = read(&[("LLMOBS_CAPTURE", &"é".repeat(1000))]).unwrap_err();
    let ConfigError::Invalid { value, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(value, format!("{}…", "é".repeat(128)));
}

/// As files, secret stores, orchestrators and shells write them.
#[test]
fn white_space_around_a_value_is_not_part_of_it() {
    let around = |text: &str| {
        [
            format!("{text}\n"),
            format!("  {text} \r\n"),
            format!("\t{text}"),
        ]
    };
    let plain = [
        ("DD_LLMOBS_ENABLED", "false"),
        ("DD_LLMOBS_ML_APP", "app"),
        ("DD_SERVICE", "svc"),
        ("DD_ENV", "prod"),
        ("DD_VERSION", "1"),
        ("DD_TAGS", "a:b,c,d"),
        ("DD_GIT_COMMIT_SHA", "0123"),
        ("DD_API_KEY", "key"),
        ("DD_SITE", "datadoghq.eu"),
        ("DD_TRACE_AGENT_URL", "http://agent:1"),
        ("DD_AGENT_HOST", "agent"),
        ("DD_TRACE_AGENT_PORT", "9126"),
        ("DD_LLMOBS_OVERRIDE_ORIGIN", "http://origin:1"),
        ("DD_LLMOBS_SAMPLE_RATE", "0.5"),
        ("LLMOBS_CAPTURE", "metadata"),
        ("LLMOBS_SPOOL", "1"),
        ("_DD_LLMOBS_WRITER_TIMEOUT", "2"),
        ("DD_LLMOBS_PAYLOAD_SIZE_BYTES", "4096"),
    ];
    let shown = |settings: &Settings| {
        let key = settings.api_key.is_some();
        let tags = settings.global_tags.clone();
        format!(
            "{settings:?} {key} {tags:?} {:?} {:?}",
            settings.timeout, settings.warnings
        )
    };
    for (name, text) in plain {
        let expected = shown(&settings(&[(name, text)]));
        for written in around(text) {
            assert_eq!(
                shown(&settings(&[(name, &written)])),
                expected,
                "{name}={written:?}"
            );
        }
        let unset = shown(&settings(&[]));
        for nothing in ["", " ", "\n"] {
            assert_eq!(
                shown(&settings(&[(name, nothing)])),
                unset,
                "{name}={nothing:?}"
            );
        }
    }
    assert_eq!(
        settings(&[("LLMOBS_DIR", "/a b \n")]).dir,
        PathBuf::from("/a b ")
    );
}

#[test]
fn hosts_and_ports_are_taken_as_platforms_write_them() {
    for (vars, url) in [
        (
            &[("DD_AGENT_HOST", "agent.svc.cluster.local.")] as &[_],
            "http://agent.svc.cluster.local.:8126",
        ),
        (&[("DD_AGENT_HOST", "::1")], "http://[::1]:8126"),
        (&[("DD_AGENT_HOST", "[::1]")], "http://[::1]:8126"),
        (
            &[("DD_TRACE_AGENT_PORT", "tcp://10.0.0.1:9126")],
            "http://localhost:9126",
        ),
        (
            &[
                ("DD_AGENT_HOST", "10.0.0.7"),
                ("DD_TRACE_AGENT_PORT", "tcp://10.0.0.1:9126"),
            ],
            "http://10.0.0.7:9126",
        ),
        (
            &[("DD_TRACE_AGENT_URL", "http://agent.:9126/")],
            "http://agent.:9126",
        ),
    ] {
        assert_eq!(settings(vars).agent.url, http(url), "{vars:?}");
    }
    for site in ["datadoghq.eu.", "datadoghq.eu/", "DATADOGHQ.EU"] {
        assert_eq!(settings(&[("DD_SITE", site)]).site, "datadoghq.eu");
    }
    for (name, text) in [
        ("DD_AGENT_HOST", "."),
        ("DD_AGENT_HOST", "agent.."),
        ("DD_AGENT_HOST", "tcp://10.0.0.1:8126"),
        ("DD_TRACE_AGENT_PORT", "udp://10.0.0.1:8126"),
        ("DD_TRACE_AGENT_PORT", "tcp://10.0.0.1"),
        ("DD_TRACE_AGENT_PORT", "tcp://10.0.0.1:0"),
        ("DD_SITE", "https://datadoghq.eu"),
        ("DD_API_KEY", "\"key\""),
        ("DD_API_KEY", "a key"),
    ] {
        assert!(read(&[(name, text)]).is_err(), "{name}={text}");
    }
}

#[test]
fn nothing_is_an_error_while_the_environment_turns_llmobs_off() {
    for (name, wrong) in [
        ("DD_API_KEY", "a key"),
        ("DD_SITE", "https://x"),
        ("DD_TRACE_AGENT_URL", "nonsense"),
        ("DD_AGENT_HOST", "a b"),
        ("DD_TRACE_AGENT_PORT", "x"),
        ("DD_LLMOBS_AGENTLESS_ENABLED", "perhaps"),
        ("LLMOBS_CAPTURE", "some"),
        ("LLMOBS_SPOOL", "x"),
        ("_DD_TRACE_WRITER_ADDITIONAL_HEADERS", "x"),
    ] {
        let config = read(&[("DD_LLMOBS_ENABLED", "0"), (name, wrong)]).unwrap();
        assert!(!config.settings().unwrap().enabled, "{name}");
        let error = config.enabled(true).settings().unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}
