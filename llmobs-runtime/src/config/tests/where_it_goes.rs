//! Sites, addresses, keys and headers: what must be right before anything leaves.

use super::*;

#[test]
fn a_site_is_a_host_name_and_nothing_more() {
    let allowed = "a host name such as datadoghq.com, without scheme, port and path";
    let long = format!("{}.com", "a".repeat(64));
    let wrong = [
        "https://datadoghq.com",
        "datadoghq.com:443",
        "data dog",
        ".com",
        "datadoghq.com..",
        "a..b",
        "-a.com",
        "user@host",
        "ünicode.com",
        "a\r\nb",
        &long,
    ];
    refused("DD_SITE", &wrong, allowed);
    for site in wrong {
        assert_eq!(
            code_error(&Config::new().site(site)),
            ("site", site.to_owned())
        );
    }
    assert_eq!(code_error(&Config::new().site("")).0, "site");
    assert_eq!(
        settings(&[("DD_SITE", "US3.datadoghq.com")]).site,
        "us3.datadoghq.com"
    );
}

#[test]
fn a_site_without_the_product_is_an_error_without_an_agent_and_else_a_warning() {
    for site in ["ddog-gov.com", "us2.ddog-gov.com", "DDOG-GOV.com"] {
        let config = read(&[("DD_SITE", site), ("DD_API_KEY", "k")]).unwrap();
        let settings = config.settings().unwrap();
        assert!(!settings.site_has_product());
        assert_eq!(
            (settings.warnings.len(), settings.warnings[0].name),
            (1, "DD_SITE")
        );
        for agentless in [
            config.clone().agentless(true),
            config.clone().destination(Destination::Agentless),
        ] {
            let error = agentless.settings().unwrap_err();
            assert!(
                matches!(
                    error,
                    ConfigError::SiteWithoutProduct {
                        name: "DD_SITE",
                        ..
                    }
                ),
                "{error}"
            );
            assert!(agentless.site("datadoghq.eu").settings().is_ok());
        }
        let named = Config::new().site(site).settings().unwrap();
        assert_eq!(named.warnings[0].name, "site");
    }
    assert!(settings(&[("DD_SITE", "notddog-gov.com")]).site_has_product());
}

#[test]
fn sending_without_an_agent_needs_a_key_whoever_asks_for_it() {
    let asked = [
        (
            read(&[("DD_LLMOBS_AGENTLESS_ENABLED", "1")]).unwrap(),
            "DD_LLMOBS_AGENTLESS_ENABLED",
        ),
        (Config::new().agentless(true), "agentless"),
        (
            Config::new()
                .destination(Destination::Journal)
                .destination(Destination::Agentless),
            "destination",
        ),
        (
            Config::new()
                .agentless(true)
                .override_origin("http://localhost:1"),
            "agentless",
        ),
    ];
    for (config, by) in asked {
        let error = config.settings().unwrap_err();
        assert!(
            matches!(&error, ConfigError::MissingApiKey { name, .. } if *name == by),
            "{error}"
        );
        assert!(error.to_string().contains("DD_API_KEY"));
        assert!(config.clone().api_key("k").settings().is_ok());
        assert!(config.enabled(false).settings().is_ok());
    }
    let variable = read(&[("DD_LLMOBS_AGENTLESS_ENABLED", "1")]).unwrap();
    assert!(variable.clone().agentless(false).settings().is_ok());
    assert!(
        variable
            .destination(Destination::Journal)
            .settings()
            .is_ok()
    );
    assert!(
        settings(&[("DD_LLMOBS_AGENTLESS_ENABLED", "1"), ("DD_API_KEY", "k")])
            .api_key
            .is_some()
    );
}

#[test]
fn an_api_key_is_visible_ascii_and_no_error_shows_it() {
    for key in [
        "sesame open",
        "sesame\nsesame",
        "\"sesame\"",
        "sesame\u{7f}",
        "sesamé",
        &"sesame".repeat(200),
    ] {
        let errors = [
            read(&[("DD_API_KEY", key)]).unwrap_err(),
            Config::new().api_key(key).settings().unwrap_err(),
        ];
        for (error, name) in errors.iter().zip(["DD_API_KEY", "api_key"]) {
            let said = format!("{error} {error:?}");
            assert!(said.starts_with(name) && !said.contains("sesam"), "{said}");
        }
    }
    assert_eq!(code_error(&Config::new().api_key("")).0, "api_key");
}

#[test]
fn debug_shows_that_there_is_a_key_and_no_secret() {
    let config = read(&[
        ("DD_API_KEY", "sesame-variable"),
        (
            "_DD_TRACE_WRITER_ADDITIONAL_HEADERS",
            "x-auth:sesame-header",
        ),
        ("DD_GIT_REPOSITORY_URL", "https://u:sesame-git@h/r"),
    ]);
    let config = config
        .unwrap()
        .api_key("sesame-code")
        .header("x-auth-2", "sesame-header");
    let config = config
        .agent_url("http://u:sesame-url@h")
        .override_origin("http://u:sesame-url@h");
    let debug = format!("{config:?}");
    assert!(!debug.contains("sesame"), "{debug}");
    assert!(
        debug.contains("api_key: Some([set])") && debug.contains("x-auth-2"),
        "{debug}"
    );
    let settings = config
        .agent_url("http://h")
        .override_origin("http://h")
        .settings()
        .unwrap();
    let debug = format!("{settings:?} {settings:#?}");
    assert!(
        !debug.contains("sesame") && debug.contains("api_key: Some([set])"),
        "{debug}"
    );
    assert_eq!(settings.api_key.unwrap().expose(), "sesame-code");
    assert!(format!("{:?}", Config::new()).contains("api_key: None"));
}

#[test]
fn an_agent_is_found_by_url_then_host_and_port_then_the_default() {
    let agent = |vars: &[(&str, &str)]| {
        let AgentAddress { url, named } = settings(vars).agent;
        (url, named)
    };
    let (url, host, port) = (
        ("DD_TRACE_AGENT_URL", "http://u:1"),
        ("DD_AGENT_HOST", "h"),
        ("DD_TRACE_AGENT_PORT", "2"),
    );
    assert_eq!(agent(&[url, host, port]), (http("http://u:1"), true));
    // A variable that does not count may be wrong.
    for wrong in [
        ("DD_TRACE_AGENT_PORT", "x"),
        ("DD_TRACE_AGENT_PORT", "udp://10.0.0.1:1"),
        ("DD_AGENT_HOST", "a b"),
    ] {
        assert_eq!(agent(&[url, wrong]), (http("http://u:1"), true));
        assert!(read(&[wrong]).is_err());
    }
    assert_eq!(agent(&[host, port]), (http("http://h:2"), true));
    assert_eq!(agent(&[host]), (http("http://h:8126"), true));
    assert_eq!(agent(&[port]), (http("http://localhost:2"), false));
    assert_eq!(agent(&[]), (http("http://localhost:8126"), false));
    let code = read(&[url])
        .unwrap()
        .agent_url("unix:///s")
        .settings()
        .unwrap()
        .agent;
    assert_eq!(
        code,
        AgentAddress {
            url: Origin::Unix("/s".into()),
            named: true
        }
    );
}

#[test]
fn an_agent_host_may_be_an_address_and_ipv6_gets_brackets() {
    for (host, url) in [
        ("10.0.0.1", "http://10.0.0.1:8126"),
        ("datadog_agent", "http://datadog_agent:8126"),
        ("::1", "http://[::1]:8126"),
        ("[2001:DB8::1]", "http://[2001:db8::1]:8126"),
    ] {
        assert_eq!(settings(&[("DD_AGENT_HOST", host)]).agent.url, http(url));
    }
    let allowed = "a host name or an IP address, without scheme, port and path";
    refused(
        "DD_AGENT_HOST",
        &[
            "http://h", "h:8126", "h/p", "h h", "[h]", "[::1", ":::", "u@h",
        ],
        allowed,
    );
    refused(
        "DD_TRACE_AGENT_PORT",
        &["0", "65536", "http", "-1", "+1", "8 0"],
        "a port from 1 to 65535",
    );
}

#[test]
fn an_origin_is_http_https_or_a_socket() {
    for (text, origin, has_path) in [
        ("http://h", http("http://h"), false),
        ("HTTPS://h:443/", http("https://h:443"), false),
        ("http://h:1/foo/bar//", http("http://h:1/foo/bar"), true),
        ("http://[::1]:8126", http("http://[::1]:8126"), false),
        ("https://[::1]/p", http("https://[::1]/p"), true),
        (
            "unix:///var/run/datadog/apm.socket",
            Origin::Unix("/var/run/datadog/apm.socket".into()),
            false,
        ),
    ] {
        assert_eq!(origin.has_path(), has_path);
        assert_eq!(settings(&[("DD_TRACE_AGENT_URL", text)]).agent.url, origin);
        assert_eq!(
            settings(&[("DD_LLMOBS_OVERRIDE_ORIGIN", text)]).override_origin,
            Some(origin.clone())
        );
        assert_eq!(
            Config::new()
                .override_origin(text)
                .settings()
                .unwrap()
                .override_origin,
            Some(origin)
        );
    }
    let wrong = [
        "localhost:8126",
        "ftp://h",
        "http://",
        "http:///p",
        "http://h:",
        "http://h:0",
        "http://h:65536",
        "http://h h",
        "http://::1:8126",
        "http://[::1]x",
        "http://h/a b",
        "http://h\r\nx: y",
        "unix://",
        "unix:///",
        "unix://relative",
        "unix:///a\0b",
        "/var/run/apm.socket",
    ];
    for name in ["DD_TRACE_AGENT_URL", "DD_LLMOBS_OVERRIDE_ORIGIN"] {
        refused(name, &wrong, check::ORIGIN);
    }
    for text in wrong.into_iter().chain([""]) {
        assert_eq!(
            code_error(&Config::new().agent_url(text)),
            ("agent_url", text.to_owned())
        );
        assert_eq!(
            code_error(&Config::new().override_origin(text)),
            ("override_origin", text.to_owned())
        );
    }
}

#[test]
fn a_url_with_a_password_is_refused_without_showing_it() {
    let places = [
        "DD_TRACE_AGENT_URL",
        "DD_LLMOBS_OVERRIDE_ORIGIN",
        "DD_AGENT_HOST",
        "DD_SITE",
    ];
    for name in places {
        // A password that should have been escaped is one all the same.
        for password in [
            "sesame", "/sesame", "?sesame", "se#same", "@sesame", "se/s@me",
        ] {
            let url = format!("http://user:{password}@h:1");
            let error = read(&[(name, &url)]).unwrap_err();
            let said = format!("{error} {error:?}");
            let hidden = !said.contains("same") && !said.contains("s@me");
            assert!(said.contains("http://h:1") && hidden, "{said}");
        }
    }
    let error = Config::new().site("http://user:sesame@h:1").settings();
    let said = error.unwrap_err().to_string();
    assert!(
        said.contains("http://h:1") && !said.contains("sesame"),
        "{said}"
    );
}

#[test]
fn a_url_with_a_query_is_refused_without_showing_it() {
    for (given, shown) in [
        ("http://h?q", "http://h?[hidden]"),
        ("http://h/p?key=sesame", "http://h/p?[hidden]"),
        ("http://h/p#sesame", "http://h/p#[hidden]"),
    ] {
        refused_as("DD_TRACE_AGENT_URL", given, shown, check::ORIGIN);
        let code = code_error(&Config::new().override_origin(given));
        assert_eq!(code, ("override_origin", shown.to_owned()));
    }
}

#[test]
fn what_may_be_a_password_is_not_shown_however_malformed_the_url_is() {
    for given in [
        "http://mallory:ses/ame@h",
        "http://mallory:ses?ame@h",
        "http://mallory:ses#ame@h",
        "http://mallory:ses@ame@h",
        "http:/mallory:sesame@h",
        "//mallory:sesame@h",
        "mallory:sesame@h",
        "http://sesame@h/p",
        "http://h/?key=sesame",
        "http://h/?key=ses@ame",
        "a@b://mallory:sesame@h",
        "ftp://mallory:sesame@h",
    ] {
        let errors = [
            "DD_TRACE_AGENT_URL",
            "DD_LLMOBS_OVERRIDE_ORIGIN",
            "DD_SITE",
            "DD_AGENT_HOST",
            "DD_TRACE_AGENT_PORT",
        ]
        .map(|name| read(&[(name, given)]).unwrap_err())
        .into_iter()
        .chain([
            Config::new().agent_url(given).settings().unwrap_err(),
            Config::new().override_origin(given).settings().unwrap_err(),
            Config::new().site(given).settings().unwrap_err(),
        ]);
        for error in errors {
            let said = format!("{error} {error:?}");
            assert!(
                !said.contains("ses") && !said.contains("mallory"),
                "{given}: {said}"
            );
        }
    }
}

#[test]
fn a_warning_of_a_variable_shows_no_password() {
    for (name, given) in [
        ("DD_LLMOBS_SAMPLE_RATE", "http://mallory:sesame@h"),
        ("DD_LLMOBS_EVENT_SIZE_BYTES", "https://h/?key=sesame"),
        ("_DD_LLMOBS_WRITER_TIMEOUT", "mallory:sesame@h"),
        ("DD_TAGS", "a:b,://mallory:sesame@h"),
        ("DD_TAGS", "a:b,:https://h/?key=sesame"),
    ] {
        let config = read(&[(name, given)]).unwrap();
        let settings = config.settings().unwrap();
        let [warning] = &settings.warnings[..] else {
            panic!("{name}: {:?}", settings.warnings);
        };
        let said = format!("{warning} {warning:?}");
        assert!(said.contains(name) && !said.contains("sesame"), "{said}");
    }
}

#[test]
fn a_repositorys_url_goes_out_without_its_password() {
    for (given, sent) in [
        ("https://user:sesame@h/o/r.git", "https://h/o/r.git"),
        ("https://sesame@h/o/r.git", "https://h/o/r.git"),
        ("https://user:ses/ame@h/r", "https://h/r"),
        ("https://user:ses?ame@h/r", "https://h/r"),
        ("user:sesame@h/r", "h/r"),
        ("git@github.com:o/r.git", "git@github.com:o/r.git"),
        ("ssh://h:22/@scope/r", "ssh://h:22/@scope/r"),
        ("https://h/@scope/r", "https://h/@scope/r"),
    ] {
        let tags = settings(&[("DD_GIT_REPOSITORY_URL", given)]).global_tags;
        assert_eq!(tags, pairs(&[("git.repository_url", sent)]), "{given}");
    }
}

#[test]
fn headers_are_tokens_and_printable_text() {
    let name = "_DD_TRACE_WRITER_ADDITIONAL_HEADERS";
    let headers = settings(&[(name, "k:v, k2 : v:2 ,,X-K: a b")]).headers;
    assert_eq!(headers, pairs(&[("k", "v"), ("k2", "v:2"), ("X-K", "a b")]));
    let long = "x".repeat(8193);
    for (key, value) in [
        ("", "sesame"),
        ("a b", "sesame"),
        ("a\n", "sesame"),
        ("naïve", "sesame"),
        ("k", "sesame\r\nx: y"),
        ("k", "sesame\0"),
        ("k", "sésame"),
        ("Content-Length", "3"),
        ("dd-api-key", "sesame"),
        ("k", &long),
        (&long, "sesame"),
    ] {
        let error = Config::new()
            .header(key, value)
            .settings()
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("header is") && !error.contains("same"),
            "{error}"
        );
    }
    for wrong in [
        "sesame",
        "a b:sesame",
        "k:sesame\rx",
        "Host:sesame",
        ":sesame",
    ] {
        let error = read(&[(name, wrong)]).unwrap_err().to_string();
        assert!(
            error.starts_with(name) && !error.contains("sesame"),
            "{error}"
        );
    }
    let many = (0..65).fold(Config::new(), |config, n| {
        config.header(format!("x-{n}"), "v")
    });
    assert_eq!(code_error(&many), ("header", "65 headers".to_owned()));
}

#[test]
fn destinations_are_a_list_that_holds_each_once() {
    let config = Config::new()
        .destination(Destination::Journal)
        .destination(Destination::Agent);
    let settings = config.destination(Destination::Journal).settings().unwrap();
    assert!(matches!(
        settings.destinations[..],
        [Destination::Journal, Destination::Agent]
    ));
}
