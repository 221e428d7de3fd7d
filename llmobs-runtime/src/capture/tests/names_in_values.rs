//! Names that are values, or beside one: headers, tokens, keys of maps.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use super::*;
use crate::capture::captured::Captured;
use crate::capture::prose;

const CREDENTIAL: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

/// What becomes of a value that is printed.
fn printed(value: &dyn Debug) -> String {
    text(Captured::printed(None, value))
}

fn text(captured: Captured) -> String {
    match captured.into_value() {
        Value::String(text) => text,
        other => panic!("{other}"),
    }
}

#[derive(Debug, Serialize)]
#[allow(dead_code, reason = "it is printed")]
struct First {
    token: String,
    text: &'static str,
}

#[derive(Debug, Serialize)]
#[allow(dead_code, reason = "it is printed")]
struct Last {
    text: &'static str,
    token: String,
}

#[test]
fn a_token_that_is_a_credential_is_hidden_wherever_it_stands_and_whatever_is_beside_it() {
    for token in [
        CREDENTIAL.to_owned(),
        format!("Bearer {CREDENTIAL}"),
        format!("Bearer (x) {CREDENTIAL}"),
        format!("{CREDENTIAL} (prod)"),
        format!("id=1, {CREDENTIAL}"),
        format!("{CREDENTIAL} \"x\" y"),
        format!("{{\"type\":\"oauth\",\"access_token\":\"{CREDENTIAL}\"}}"),
        "Bearer x".to_owned(),
    ] {
        let text = "Hi";
        let first = First {
            token: token.clone(),
            text,
        };
        let last = Last { text, token };
        assert_eq!(printed(&first), "First { token: [redacted], text: \"Hi\" }");
        assert_eq!(printed(&last), "Last { text: \"Hi\", token: [redacted] }");
        let json = json!({"token": "[redacted]", "text": "Hi"});
        assert_eq!((captured(&first), captured(&last)), (json.clone(), json));
    }
    let content = Last {
        text: "Hi",
        token: " (Hi), {\"there\"}".to_owned(),
    };
    assert_eq!(printed(&content), format!("{content:?}"));
}

#[test]
fn what_was_looked_at_says_nothing_of_what_comes_later_or_is_named_by_more() {
    for (text, expected) in [
        (
            format!("[A {{ token: (\"Hi\") }}, A {{ token: (\"{CREDENTIAL}\") }}]"),
            "[A { token: (\"Hi\") }, A { token: [redacted] }]",
        ),
        (
            "A { token: (B { id_token: (\"x\") }, \"Hi\"), c: 1 }".to_owned(),
            "A { token: (B { id_token: [redacted] }, \"Hi\"), c: 1 }",
        ),
        // A number that has a name of its own is one.
        (
            "A { auth: W(n=5), b: W(n = 5) }".to_owned(),
            "A { auth: W(n=5), b: W(n = 5) }",
        ),
    ] {
        assert_eq!(printed(&format_args!("{text}")), expected);
    }
}

#[test]
fn an_argument_called_token_is_judged_by_what_it_holds() {
    #[derive(Debug)]
    #[allow(dead_code, reason = "it is printed")]
    struct LogProbV2Candidates {
        text: &'static str,
        logprob: f64,
    }
    struct Plain(&'static str);
    impl Debug for Plain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    let of = |value: &dyn Debug| text(Captured::printed(Some("token"), value));
    let piece = LogProbV2Candidates {
        text: "Hi",
        logprob: -1.234_567_890_123_456_7e-5,
    };
    for content in [
        &piece as &dyn Debug,
        &Some("Hi"),
        &"Hi",
        &Plain("Hi"),
        &["a", "b"],
    ] {
        assert_eq!(of(content), format!("{content:?}"));
    }
    for secret in [
        &LogProbV2Candidates {
            text: CREDENTIAL,
            logprob: 0.0,
        } as &dyn Debug,
        &Some(CREDENTIAL),
        &"Bearer x",
        &Plain("id 1, ghp_16C7e42F292c6912E771"),
        &Plain("Key(1) ghp_16C7e42F292c6912E771"),
    ] {
        assert_eq!(of(secret), "[redacted]", "{secret:?}");
    }
}

#[derive(Debug)]
enum Name {
    Authorization,
    Accept,
}

#[derive(Debug, Serialize)]
#[allow(dead_code, reason = "it is printed")]
struct Postman {
    key: &'static str,
    r#type: &'static str,
    value: &'static str,
}

#[derive(Debug)]
#[allow(dead_code, reason = "it is printed")]
struct Variable {
    name: Option<&'static str>,
    value_from: Option<u8>,
    value: Option<&'static str>,
}

#[derive(Debug)]
#[allow(dead_code, reason = "it is printed")]
struct Wrapped<T>(T);

#[test]
fn the_value_of_a_header_is_hidden_behind_other_fields_and_in_wrappers() {
    let postman = |key| Postman {
        key,
        r#type: "text",
        value: "HUNTER",
    };
    assert_eq!(
        printed(&[postman("Authorization"), postman("Accept")]),
        "[Postman { key: \"Authorization\", type: \"text\", value: [redacted] }, \
         Postman { key: \"Accept\", type: \"text\", value: \"HUNTER\" }]"
    );
    let variable = |name| Variable {
        name,
        value_from: None,
        value: Some("HUNTER"),
    };
    let hidden = |name: &str| {
        format!("Variable {{ name: Some(\"{name}\"), value_from: None, value: [redacted] }}")
    };
    for name in ["OPENAI_API_KEY", "authorization"] {
        assert_eq!(printed(&variable(Some(name))), hidden(name));
    }
    for open in [variable(Some("HOME")), variable(None)] {
        assert_eq!(printed(&open), format!("{open:?}"));
    }
    let nested = (
        variable(Some("api_key")),
        "value",
        Variable {
            name: None,
            ..variable(None)
        },
    );
    let after = &format!("{:?}", nested.2);
    assert!(
        printed(&nested).ends_with(&format!("\"value\", {after})")),
        "{}",
        printed(&nested)
    );

    for (pair, expected) in [
        (
            &(Name::Authorization, "HUNTER") as &dyn Debug,
            "(Authorization, [redacted])",
        ),
        (
            &(Some("authorization"), "HUNTER"),
            "(Some(\"authorization\"), [redacted])",
        ),
        (
            &(Wrapped(Wrapped("api-key")), Some("HUNTER")),
            "(Wrapped(Wrapped(\"api-key\")), [redacted])",
        ),
    ] {
        assert_eq!(printed(pair), expected);
        assert_eq!(printed(&[pair]), format!("[{expected}]"));
        let lines = printed(&format_args!("{pair:#?}"));
        assert!(
            !lines.contains("HUNTER") && lines.contains("[redacted]"),
            "{lines}"
        );
    }
    for pair in [
        &(Name::Accept, "HUNTER") as &dyn Debug,
        &(Some("accept"), "HUNTER"),
        &(Some("authorization"), 1),
        &[Some("authorization"), Some("accept")],
        &[Name::Authorization, Name::Accept],
        &(Wrapped(("authorization", 1)), "HUNTER"),
        &format_args!("Field {{ label: \"password\", value: \"HUNTER\" }}"),
        &("a", "password", "HUNTER"),
        &["a", "password", "HUNTER"],
    ] {
        assert_eq!(printed(pair), format!("{pair:?}"));
    }
    // What is longer than 128 bytes with its quotes is no name of a header.
    for (length, is_hidden) in [(117, true), (118, false)] {
        let pair = (format!("{}-password", "x".repeat(length)), "HUNTER");
        assert_eq!(!printed(&pair).contains("HUNTER"), is_hidden, "{length}");
    }
    // Nor is a word with more before it.
    let more = printed(&format_args!("(x \"password\", \"HUNTER\")"));
    assert!(more.contains("HUNTER"), "{more}");
    assert_eq!(
        captured(&json!({"Header": "authorization", "Value": "HUNTER"})),
        json!({"Header": "authorization", "Value": "[redacted]"})
    );
}

#[test]
fn a_character_is_no_beginning_of_a_text() {
    #[derive(Debug)]
    #[allow(dead_code, reason = "it is printed")]
    struct Quote {
        token: (char, &'static str),
        id_token: Wrapped<char>,
        auth: Plain,
        text: &'static str,
    }
    struct Plain;
    impl Debug for Plain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Plain(ada:1)")
        }
    }
    for quote in ['"', '\'', '(', 'x'] {
        let quote = Quote {
            token: (quote, CREDENTIAL),
            id_token: Wrapped(quote),
            auth: Plain,
            text: "Hi",
        };
        assert_eq!(
            printed(&quote),
            "Quote { token: [redacted], id_token: [redacted], auth: [redacted], text: \"Hi\" }"
        );
    }
}

#[test]
fn a_sentence_names_nothing() {
    let faq = [
        ("What is a password?", "A word"),
        ("the bearer of this letter", "is Ada"),
    ];
    let map = BTreeMap::from(faq);
    assert_eq!(
        (printed(&faq), printed(&map)),
        (format!("{faq:?}"), format!("{map:?}"))
    );
    assert_eq!((captured(&faq), captured(&map)), (json!(faq), json!(map)));
    let names = [("API key", "a"), ("my private key", "b"), ("password", "c")];
    let map = BTreeMap::from(names);
    for shown in [
        printed(&names),
        printed(&map),
        captured(&names).to_string(),
        captured(&map).to_string(),
    ] {
        assert_eq!(shown.matches("[redacted]").count(), 3, "{shown}");
    }
    // Outside of quotes it is prose, in which a secret may stand.
    assert_eq!(
        printed(&format_args!("it failed with the password: hunter")),
        "it failed with the password: [redacted]"
    );
}

#[test]
fn keys_of_maps_have_no_secrets_of_urls_and_stay_apart() {
    let map = BTreeMap::from([("postgres://a:x@h", 1), ("postgres://a:y@h", 2), ("z", 3)]);
    let expected = json!({
        "postgres://a:[redacted]@h": 1,
        "postgres://a:[redacted]@h'": 2,
        "z": 3,
    });
    assert_eq!(Captured::from(captured(&map)).into_value(), expected);
}

#[test]
fn a_query_is_looked_at_once_however_it_repeats() {
    // A look from each of them to the end would take hours.
    let many = "?key=x".repeat(800_000);
    for text in [format!("http://a{many}"), many.clone()] {
        let start = text.find("?key=").unwrap() + "?key=".len();
        assert_eq!(
            prose::scrub(text.clone()),
            format!("{}[redacted]", &text[..start])
        );
    }
    let url = format!("http://a{many}");
    assert_eq!(
        prose::scrub_urls(&url, false).unwrap(),
        "http://a?key=[redacted]"
    );
    let field = format!("query: \"{many}\"");
    assert_eq!(
        prose::scrub_query_fields(&field).unwrap(),
        "query: \"?key=[redacted]\""
    );
}
