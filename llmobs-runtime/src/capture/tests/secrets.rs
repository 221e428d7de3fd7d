//! What automatic capture hides by name, and what it does not.

use std::collections::BTreeMap;

use super::*;

#[derive(Serialize)]
struct Login {
    user: &'static str,
    password: Option<&'static str>,
    #[serde(rename = "X-Api-Key")]
    key: [u8; 2],
    token: &'static str,
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
    token: "t",
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
            "token": "[redacted]",
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
    assert_eq!(serialize(Some("api_key"), "x"), "[redacted]");
    assert_eq!(serialize(Some("credentials"), &["a", "b"]), "[redacted]");
    assert_eq!(serialize(Some("token"), "x"), "[redacted]");
    assert_eq!(serialize(Some("token"), &Some("x")), "[redacted]");
    assert_eq!(serialize(Some("token"), &None::<&str>), Value::Null);
    assert_eq!(serialize(Some("token"), &7), 7);
    assert_eq!(serialize(Some("token"), &["a"]), json!(["a"]));
    assert_eq!(serialize(Some("secretary"), "x"), "x");
    assert_eq!(serialize(Some("prompt"), "x"), "x");
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
    assert_eq!(serialize(Some("password_length"), exactly), "[redacted]");
    assert_eq!(serialize(Some("password_length"), zero), "Zero");
    assert_eq!(serialize(Some("access_tokens"), &["a"]), "[redacted]");
    assert_eq!(serialize(Some("access_tokens"), &2), 2);
}

/// As the documentation says: nobody knows that these are names.
#[test]
fn pairs_in_a_list_and_json_in_a_text_are_not_looked_into() {
    let pairs = json!([["password", "p"], {"name": "password", "value": "p"}]);
    assert_eq!(captured(&pairs), pairs);
    let text = r#"{"password": "p"}"#;
    assert_eq!(captured(text), text);
}

#[test]
fn variants_that_hold_a_secret_hide_it_and_names_of_variants_stay() {
    #[derive(Serialize)]
    enum Auth {
        Bearer(&'static str),
        ApiKey(u8, u8),
        Password { text: &'static str },
        Token(&'static str),
        Secret,
    }
    assert_eq!(
        captured(&[
            Auth::Bearer("b"),
            Auth::ApiKey(1, 2),
            Auth::Password { text: "p" },
            Auth::Token("t"),
            Auth::Secret,
        ]),
        json!([
            {"Bearer": "[redacted]"},
            {"ApiKey": "[redacted]"},
            {"Password": "[redacted]"},
            {"Token": "[redacted]"},
            "Secret",
        ])
    );
    // Which sort of token it is stands in the program; it is no secret.
    assert_eq!(serialize(Some("token"), &Auth::Secret), "Secret");
}

#[test]
fn a_secret_is_not_even_read() {
    struct Bomb;
    impl Serialize for Bomb {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            unreachable!("a secret was read")
        }
    }
    assert_eq!(serialize(Some("password"), &Bomb), "[redacted]");
    assert_eq!(
        captured(&BTreeMap::from([("secret", Some(Bomb))])),
        json!({"secret": "[redacted]"})
    );
}

#[test]
fn displayed_text_is_hidden_as_text_is() {
    let address = std::net::Ipv4Addr::LOCALHOST;
    assert_eq!(serialize(Some("token"), &address), "[redacted]");
    assert_eq!(
        serialize(Some("token"), &format_args!("{}", 7)),
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
