//! What automatic capture hides by name, and what it does not.

use std::collections::BTreeMap;

use super::*;

#[derive(Serialize)]
struct Login {
    user: &'static str,
    password: Option<&'static str>,
    #[serde(rename = "X-Api-Key")]
    key: [u8; 2],
    id_token: &'static str,
    token_count: u32,
    max_tokens: &'static str,
    session: Session,
}

#[derive(Serialize)]
struct Session {
    refresh_token: Option<&'static str>,
    #[serde(rename = "csrfToken")]
    csrf: Wrapped,
    headers: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct Wrapped(char);

const LOGIN: fn() -> Login = || Login {
    user: "ada",
    password: None,
    key: [1, 2],
    id_token: "t",
    token_count: 7,
    max_tokens: "many",
    session: Session {
        refresh_token: Some("r"),
        csrf: Wrapped('c'),
        headers: BTreeMap::from([("Authorization", "Bearer b"), ("Accept", "*")]),
    },
};

#[test]
fn fields_and_keys_that_name_a_secret_are_hidden_at_any_depth() {
    assert_eq!(
        captured(&[LOGIN()]),
        json!([{
            "user": "ada",
            "password": "[redacted]",
            "X-Api-Key": "[redacted]",
            "id_token": "[redacted]",
            "token_count": 7,
            "max_tokens": "many",
            "session": {
                "refresh_token": "[redacted]",
                "csrfToken": "[redacted]",
                "headers": {"Authorization": "[redacted]", "Accept": "*"},
            },
        }])
    );
}

#[test]
fn an_argument_is_hidden_by_its_own_name() {
    assert_eq!(named(Some("api_key"), "x"), "[redacted]");
    assert_eq!(named(Some("credentials"), &["a", "b"]), "[redacted]");
    assert_eq!(named(Some("id_token"), "x"), "[redacted]");
    assert_eq!(named(Some("id_token"), &Some("x")), "[redacted]");
    assert_eq!(named(Some("id_token"), &None::<&str>), Value::Null);
    assert_eq!(named(Some("id_token"), &7), 7);
    assert_eq!(named(Some("id_token"), &["a"]), json!(["[redacted]"]));
    assert_eq!(named(Some("secretary"), "x"), "x");
    assert_eq!(named(Some("prompt"), "x"), "x");
}

#[test]
fn how_many_secrets_there_are_is_shown_and_which_is_not() {
    #[derive(Serialize)]
    enum Length {
        Exactly { bytes: u8 },
        Zero,
    }
    assert_eq!(
        captured(&json!({
            "cookie_count": 3,
            "access_tokens": 7,
            "password_length": 8.5,
            "secret_count": null,
            "api_key_count": true,
            "max_tokens": ["many"],
        })),
        json!({
            "cookie_count": 3,
            "access_tokens": 7,
            "password_length": 8.5,
            "secret_count": null,
            "api_key_count": true,
            "max_tokens": ["many"],
        })
    );
    assert_eq!(
        captured(&json!([
            {"access_tokens": ["a"], "cookie_count": {"a": 1}, "password_length": "x"},
            {"auth_tokens": [], "secret_count": [[1]], "after": 1},
        ])),
        json!([
            {"access_tokens": "[redacted]", "cookie_count": "[redacted]",
                "password_length": "[redacted]"},
            {"auth_tokens": "[redacted]", "secret_count": "[redacted]", "after": 1},
        ])
    );
    let both = [Some(Length::Exactly { bytes: 1 }), Some(Length::Zero)];
    let [exactly, zero] = &both;
    assert_eq!(named(Some("password_length"), exactly), "[redacted]");
    assert_eq!(named(Some("password_length"), zero), "Zero");
    assert_eq!(named(Some("access_tokens"), &["a"]), "[redacted]");
    assert_eq!(named(Some("access_tokens"), &2), 2);
}

#[test]
fn the_value_of_a_header_in_a_list_of_pairs_is_hidden() {
    let headers = [
        ("accept", "*"),
        ("Authorization", "Bearer b"),
        ("x-api-key", "k"),
    ];
    assert_eq!(
        captured(&headers),
        json!([
            ["accept", "*"],
            ["Authorization", "[redacted]"],
            ["x-api-key", "[redacted]"]
        ])
    );
    assert_eq!(
        captured(&json!([["password", "p"]])),
        json!([["password", "[redacted]"]])
    );
    // Three in a row are no pair, and neither is a number a secret.
    let others = json!([
        ["password", "secret", "key"],
        ["api_key", 7],
        ["author", "ada"]
    ]);
    assert_eq!(captured(&others), others);
}

#[test]
fn the_value_beside_the_name_of_a_header_is_hidden() {
    #[derive(Serialize)]
    struct Header {
        name: &'static str,
        value: &'static str,
    }
    let header = |name, value| Header { name, value };
    assert_eq!(
        captured(&[header("Authorization", "Bearer b"), header("accept", "*")]),
        json!([
            {"name": "Authorization", "value": "[redacted]"},
            {"name": "accept", "value": "*"},
        ])
    );
    assert_eq!(
        captured(&json!({"key": "x-api-key", "value": "k"})),
        json!({"key": "x-api-key", "value": "[redacted]"})
    );
    let others = json!([{"name": "token", "value": "Hi"}, {"name": "api_key", "value": 7}]);
    assert_eq!(captured(&others), others);
}

#[test]
fn secrets_in_the_urls_of_captured_values_are_hidden() {
    let url = "postgres://ada:hunter@db/x";
    let hidden = "postgres://ada:[redacted]@db/x";
    assert_eq!(captured(&json!([{"dsn": url}])), json!([{"dsn": hidden}]));
    assert_eq!(
        captured("https://a/?key=k&b=1"),
        "https://a/?key=[redacted]&b=1"
    );
    assert_eq!(debug(&[url]), format!("[{hidden:?}]"));
    let unlooked = serialize(None, &[url]);
    assert_eq!(format!("{unlooked:?}"), format!("{:?}", json!([hidden])));
}

#[test]
fn a_secret_in_a_url_is_hidden_where_the_limit_cuts_the_url() {
    struct Shown<'a>(&'a str);
    impl Serialize for Shown<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self.0)
        }
    }

    let limits = Limits {
        text: 4_000,
        ..Limits::EVENT
    };
    let url = format!("postgres://ada:{}@db/x", "hunter".repeat(1_000));
    let (cut, _) = read(
        Reading::new(Budget::new(&limits), true),
        Sensitivity::Open,
        &url,
    );
    assert_eq!(
        Captured::Value(cut).into_value(),
        "postgres://ada:[redacted]@db/x"
    );

    let (cut, _) = read(
        Reading::new(Budget::new(&limits), true),
        Sensitivity::Open,
        &Shown(&url),
    );
    assert_eq!(
        Captured::Value(cut).into_value(),
        "postgres://ada:[redacted]…[rest cut]"
    );
}

/// As the documentation says: nobody knows that these are names.
#[test]
fn json_in_a_text_is_not_looked_into() {
    let text = r#"{"password": "p"}"#;
    assert_eq!(captured(text), text);
}

#[test]
fn a_token_is_content_unless_it_looks_like_a_credential() {
    #[derive(Serialize)]
    struct LogProb {
        token: &'static str,
        top_logprobs: Vec<(&'static str, f32)>,
    }
    let probability = LogProb {
        token: "Hi",
        top_logprobs: vec![("Hi", -0.1), ("token", -3.0)],
    };
    assert_eq!(
        captured(&probability),
        json!({"token": "Hi", "top_logprobs": [["Hi", -0.1], ["token", -3.0]]})
    );
    let key = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    assert_eq!(
        captured(&json!({"token": key, "n": 1})),
        json!({"token": "[redacted]", "n": 1})
    );
    assert_eq!(named(Some("token"), key), "[redacted]");
    assert_eq!(named(Some("token"), &Some("Hello")), "Hello");
}

#[test]
fn what_a_value_holds_is_what_the_name_of_the_value_says() {
    #[derive(Serialize)]
    enum Login {
        Auth { user: &'static str, tries: u8 },
        Pair(&'static str, &'static str),
        Nobody,
    }
    const CREDENTIAL: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    assert_eq!(
        captured(&json!({
            "id_token": ["QQ", ["QQ", 2, null]],
            "db_pass": {"value": "QQ", "length": 2, "more": {"a": "QQ"}},
            "token": ["Hi", CREDENTIAL, {"text": CREDENTIAL, "other": "you"}],
            "stop": ["a", {"b": "c"}],
        })),
        json!({
            "id_token": ["[redacted]", ["[redacted]", 2, null]],
            "db_pass": {"value": "[redacted]", "length": 2, "more": {"a": "[redacted]"}},
            "token": ["Hi", "[redacted]", {"text": "[redacted]", "other": "you"}],
            "stop": ["a", {"b": "c"}],
        })
    );
    let auth = [
        Login::Auth {
            user: "QQ",
            tries: 2,
        },
        Login::Pair("QQ", "QQ"),
        Login::Nobody,
    ];
    let hidden = "[redacted]";
    assert_eq!(
        captured(&auth[0]),
        json!({"Auth": {"user": hidden, "tries": 2}})
    );
    assert_eq!(
        named(Some("auth"), &auth),
        json!([{"Auth": {"user": hidden, "tries": 2}}, {"Pair": [hidden, hidden]}, "Nobody"])
    );
    assert_eq!(
        named(Some("auth"), &("QQ", Some("QQ"), 3)),
        json!([hidden, hidden, 3])
    );
    assert_eq!(
        captured(&[("auth", json!({"user": "QQ", "n": 1}))]),
        json!([["auth", {"user": hidden, "n": 1}]])
    );
}

/// The two are shown without the same texts, though not in the same form.
#[test]
fn json_and_debug_text_hide_the_same() {
    #[derive(Debug, Serialize)]
    struct Tok(&'static str);
    #[derive(Debug, Serialize)]
    struct Inner {
        text: &'static str,
        length: usize,
    }
    #[derive(Debug, Serialize)]
    struct Settings {
        openai_key: Vec<&'static str>,
        basic_auth: (&'static str, &'static str),
        smtp_pass: Inner,
        csrf_token: Option<Tok>,
        ids: BTreeMap<&'static str, Vec<Tok>>,
        id_token: [u8; 2],
        refresh_token: Vec<Option<u8>>,
        name: Inner,
    }
    let settings = Settings {
        openai_key: vec!["QQ"],
        basic_auth: ("QQ", "QQ"),
        smtp_pass: Inner {
            text: "QQ",
            length: 12,
        },
        csrf_token: Some(Tok("QQ")),
        ids: BTreeMap::from([("id_token", vec![Tok("QQ")]), ("id", vec![Tok("seen")])]),
        id_token: [34, 56],
        refresh_token: vec![Some(78), None],
        name: Inner {
            text: "ada",
            length: 90,
        },
    };
    for shown in [
        captured(&settings).to_string(),
        debug(&settings),
        debug(&[Some(settings)]),
    ] {
        assert!(!shown.contains('Q'), "{shown}");
        for seen in ["seen", "34", "56", "78", "ada", "90"] {
            assert!(shown.contains(seen), "{seen}: {shown}");
        }
    }
}

#[test]
fn variants_that_hold_a_secret_hide_it_and_names_of_variants_stay() {
    #[derive(Serialize)]
    enum Auth {
        Bearer(&'static str),
        ApiKey(u8, u8),
        Password { text: &'static str },
        IdToken(&'static str),
        Secret,
    }
    assert_eq!(
        captured(&[
            Auth::Bearer("b"),
            Auth::ApiKey(1, 2),
            Auth::Password { text: "p" },
            Auth::IdToken("t"),
            Auth::Secret,
        ]),
        json!([
            {"Bearer": "[redacted]"},
            {"ApiKey": "[redacted]"},
            {"Password": "[redacted]"},
            {"IdToken": "[redacted]"},
            "Secret",
        ])
    );
    // Which sort of token it is stands in the program; it is no secret.
    assert_eq!(named(Some("id_token"), &Auth::Secret), "Secret");
}

#[test]
fn a_secret_is_not_even_read() {
    struct Bomb;
    impl Serialize for Bomb {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            unreachable!("a secret was read")
        }
    }
    assert_eq!(named(Some("password"), &Bomb), "[redacted]");
    assert_eq!(
        captured(&BTreeMap::from([("secret", Some(Bomb))])),
        json!({"secret": "[redacted]"})
    );
}

#[test]
fn displayed_text_is_hidden_as_text_is() {
    let address = std::net::Ipv4Addr::LOCALHOST;
    assert_eq!(named(Some("id_token"), &address), "[redacted]");
    assert_eq!(
        named(Some("id_token"), &format_args!("{}", 7)),
        "[redacted]"
    );
}

#[test]
fn what_is_given_by_hand_is_not_hidden() {
    let Io(IoRepr::Read(given)) = as_given(&LOGIN()) else {
        unreachable!("as_given reads")
    };
    assert_eq!(given, serde_json::to_value(LOGIN()).unwrap());
    let value = json!({"password": "p"});
    assert_eq!(bound(value.clone()), value);
}
