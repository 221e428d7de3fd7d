//! What automatic capture hides in the text of a `Debug`.

// What is printed is read by nobody else.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::*;
use crate::capture::printed;

fn redacted(text: &str) -> String {
    printed::redact(text.to_owned(), false)
}

/// Each text is printed as it is, by a `Debug` of its own.
macro_rules! assert_redacted {
    ($($text:expr => $redacted:expr,)*) => {$(
        assert_eq!(redacted($text), $redacted, "{}", $text);
    )*};
}

#[derive(Debug, Default)]
struct Login {
    user: &'static str,
    password: &'static str,
    session: Option<Session>,
    attempts: u8,
}

#[derive(Debug, Default)]
struct Session {
    refresh_token: Option<&'static str>,
    token_count: u32,
    max_tokens: u32,
    api_key: [u8; 2],
    headers: BTreeMap<&'static str, Vec<&'static str>>,
    expires: (u8, u8),
}

fn login() -> Login {
    Login {
        user: "ada",
        password: "HUNTER",
        session: Some(Session {
            refresh_token: Some("HUNTER"),
            token_count: 7,
            max_tokens: 8,
            api_key: [1, 2],
            headers: BTreeMap::from([
                ("accept", vec!["*", "password: none"]),
                ("authorization", vec!["HUNTER", "HUNTER"]),
                ("x-api-key", vec![]),
            ]),
            expires: (1, 2),
        }),
        attempts: 1,
    }
}

const LOGIN: &str = "Login { user: \"ada\", password: [redacted], session: Some(Session { \
    refresh_token: [redacted], token_count: 7, max_tokens: 8, api_key: [redacted], headers: \
    {\"accept\": [\"*\", \"password: none\"], \"authorization\": [redacted], \"x-api-key\": \
    [redacted]}, expires: (1, 2) }), attempts: 1 }";

#[test]
fn fields_and_keys_in_debug_text_are_hidden_at_any_depth() {
    assert_eq!(debug(&login()), LOGIN);
    assert_eq!(debug(&Some(login())), format!("Some({LOGIN})"));
    assert_eq!(
        debug(&vec![login(), login()]),
        format!("[{LOGIN}, {LOGIN}]")
    );
    assert_eq!(
        debug(&HashMap::from([("a", Ok::<_, ()>((login(), 'x')))])),
        format!("{{\"a\": Ok(({LOGIN}, 'x'))}}")
    );
    assert_eq!(
        debug(&HashMap::from([(String::from("password"), login())])),
        "{\"password\": [redacted]}"
    );
    assert_eq!(
        debug(&BTreeMap::from([
            ((1, "a"), 1),
            ((2, "password"), 2),
            ((3, "b"), 3)
        ])),
        "{(1, \"a\"): 1, (2, \"password\"): [redacted]}"
    );
}

#[test]
fn the_alternate_form_is_read_as_well() {
    let text = redacted(&format!("{:#?}", login()));
    assert!(!text.contains("HUNTER"), "{text}");
    for part in [
        "Login {\n    user: \"ada\",\n    password: [redacted],\n    session: Some(\n",
        "refresh_token: [redacted],\n",
        "token_count: 7,\n",
        "api_key: [redacted],\n",
        "\"authorization\": [redacted],\n",
        "\"x-api-key\": [redacted],\n            },\n            expires: (\n",
        "    attempts: 1,\n}",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text = format!("{:#?}", Auth::Password { text: "HUNTER" });
    assert_eq!(redacted(&text), "Password {\n    [redacted]\n}");
    let text = format!("{:#?}", [Some(Auth::RefreshToken("HUNTER"))]);
    let hidden =
        "[\n    Some(\n        RefreshToken(\n            [redacted]\n        ),\n    ),\n]";
    assert_eq!(redacted(&text), hidden);
}

#[derive(Debug)]
enum Auth {
    Bearer(&'static str),
    ApiKey(u8, &'static str),
    Password { text: &'static str },
    RefreshToken(&'static str),
    TokenId(u8),
    Secret,
    None,
}

#[test]
fn what_is_wrapped_in_the_name_of_a_secret_is_hidden() {
    assert_eq!(
        debug(&[
            Auth::Bearer("HUNTER"),
            Auth::ApiKey(1, "HUNTER"),
            Auth::Password { text: "HUNTER" },
            Auth::RefreshToken("HUNTER"),
            Auth::TokenId(1),
            Auth::Secret,
            Auth::None,
        ]),
        "[Bearer([redacted]), ApiKey([redacted]), Password { [redacted] }, \
         RefreshToken([redacted]), TokenId(1), Secret, None]"
    );
    assert_redacted! {
        "Secret<alloc::string::String>(hunter)" => "Secret<alloc::string::String>([redacted])",
        "Cookies [\"a\"]" => "Cookies [[redacted]]",
        "Cookies {\"a\", \"b\"}" => "Cookies {[redacted]}",
        "secret::Box(1)" => "secret::Box([redacted])",
        "Some(Secret)" => "Some(Secret)",
        "key: Secret(hunter)" => "key: Secret([redacted])",
    }
}

#[test]
fn values_end_where_they_end() {
    #[derive(Debug)]
    struct Of<T> {
        secret: T,
        then: &'static str,
    }
    fn of<T: Debug>(secret: T) {
        let text = debug(&[Of {
            secret,
            then: "seen",
        }]);
        assert_eq!(text, "[Of { secret: [redacted], then: \"seen\" }]");
    }
    of("plain");
    of("");
    of("a \" quote, then: \"seen\" }");
    of("a \\");
    of("\\\"");
    of("line\nbreak, x: 1");
    of("Ünïcödé “quotes”, 🦀, \u{301} \u{202e}");
    of("}])");
    of("([{");
    of('"');
    of('\'');
    of('{');
    of('\u{1f}');
    of('🦀');
    of(('\\', '}', '"', "'"));
    of(1.5e-7);
    of(());
    of(None::<u8>);
    of(vec![Some(("a", 'b'))]);
    of(BTreeMap::from([("then: ", "seen")]));
    of(BTreeSet::from(["a, b: c"]));
    of("a".."b");
    of(login());
    of(std::net::Ipv6Addr::LOCALHOST);
    of(std::time::Duration::from_millis(1_500));
    of(std::ffi::CString::new("c").unwrap());
    of(std::sync::Mutex::new("x"));
    of(format_args!("b\"bytes, then: \\x00\""));
    of(std::marker::PhantomData::<(u8, [u8; 2])>);
    of(format_args!("bare, with commas,and blanks; and more"));
    of(format_args!("Mon, 12 Jan 2024 10:00:00 GMT, https://a:b@c"));
}

#[test]
fn unicode_and_escapes_around_secrets_stay() {
    assert_redacted! {
        "Ä { größe: \"“ü”\", passwort_password: \"ß\", ż: 'ß' }" =>
            "Ä { größe: \"“ü”\", passwort_password: [redacted], ż: 'ß' }",
        r#"{"a\"password\": \"b": "c\\", "password\"": "c\\"}"# =>
            r#"{"a\"password\": \"b": [redacted], "password\"": [redacted]}"#,
        r#"{"api\tkey": 1, "user\u{200b}": 2, "\npwd": 3, "x": '\'', "pwd": '\''}"# =>
            r#"{"api\tkey": [redacted], "user\u{200b}": 2, "\npwd": [redacted], "x": '\'', "pwd": [redacted]}"#,
        "r#type: 1, r#secret: \"a\"" => "r#type: 1, r#secret: [redacted]",
    }
}

#[test]
fn text_without_the_name_of_a_secret_stays_as_it_is() {
    for text in [
        "",
        "x",
        "Secretary { compass_words: 1, monkey: \"a\", keys: [1] }",
        "Usage { input_tokens: 5, max_tokens: 7, tokens: [\"hel\", \"lo\"] }",
        "Text(\"password: hunter\")",
        "LogProb { token: \"Hi\", logprob: -0.1, top: [Top { token: \" internationalization\" }] }",
        "Token(\"Hi\")",
        "\"{\\\"password\\\": \\\"hunter\\\"}\"",
        "Bearer hunter",
        "unbalanced { key: (1, don't",
        "Token",
        "[Secret, Password]",
        "secret, api key",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn a_token_is_hidden_in_debug_text_if_it_is_text() {
    assert_redacted! {
        "D { refresh_token: 7, x: 1 }" => "D { refresh_token: 7, x: 1 }",
        "D { refresh_token: -7.5 }" => "D { refresh_token: -7.5 }",
        "D { refresh_token: Some(7) }" => "D { refresh_token: Some(7) }",
        "D { refresh_token: None }" => "D { refresh_token: None }",
        "D { refresh_token: () }" => "D { refresh_token: () }",
        "D { refresh_token: true }" => "D { refresh_token: true }",
        "D { refresh_token: [\"a\"] }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: [1, -2.5, None], x: 1 }" => "D { refresh_token: [1, -2.5, None], x: 1 }",
        "D { refresh_token: [1, [\"a\"]], x: 1 }" => "D { refresh_token: [redacted], x: 1 }",
        "D { refresh_token: (7, \"a\"), x: 1 }" => "D { refresh_token: [redacted], x: 1 }",
        "D { refresh_token: Id(7, \"a\"), x: 1 }" => "D { refresh_token: [redacted], x: 1 }",
        "D { refresh_token: Id(7, 'a'), x: 1 }" => "D { refresh_token: [redacted], x: 1 }",
        "D { refresh_token: {\"a\": 1, \"b\": {}}, x: 1 }" => "D { refresh_token: {\"a\": 1, \"b\": {}}, x: 1 }",
        "D { refresh_token: {\"a\": \"b\"}, x: 1 }" => "D { refresh_token: [redacted], x: 1 }",
        "D { refresh_token: Id { a: 1, b: Some(true), .. }, x: 1 }" => "D { refresh_token: Id { a: 1, b: Some(true), .. }, x: 1 }",
        "D { refresh_token: Id { a: 1, b: c }, x: 1 }" => "D { refresh_token: [redacted], x: 1 }",
        "D { refresh_token: Id { a: \"b\", secret: 1 } }" => "D { refresh_token: [redacted] }",
        "D { token: [\"Hi\", \"you\"], x: 1 }" => "D { token: [\"Hi\", \"you\"], x: 1 }",
        "D { token: [\"Hi\", \"ghp_16C7e42F292c6912E7710c83\"], x: 1 }" => "D { token: [redacted], x: 1 }",
        "D { token: [\"Hi])\", \"ghp_16C7e42F292c6912E7710c83\"], x: 1 }" => "D { token: [redacted], x: 1 }",
        "D { token: [\"Hi\", \"Bearer a b\"], x: 1 }" => "D { token: [redacted], x: 1 }",
        "D { refresh_token: {\"a)\": 1, \"b\": 2}, x: \"y\" }" => "D { refresh_token: {\"a)\": 1, \"b\": 2}, x: \"y\" }",
        "D { token: T { text: \"ghp_16C7e42F292c6912E7710c83\" }, x: 1 }" => "D { token: [redacted], x: 1 }",
        "D { token: T { ghp_16C7e42F292c6912E7710c83: 1 }, x: 1 }" => "D { token: T { ghp_16C7e42F292c6912E7710c83: 1 }, x: 1 }",
        "[(\"authorization\", Some(\"a\")), (\"auth\", 7), (\"x\", Some(\"b\"))]" =>
            "[(\"authorization\", [redacted]), (\"auth\", 7), (\"x\", Some(\"b\"))]",
        "D { refresh_token: \"a\" }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: 'a' }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: \"7\" }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: Some(Id(\"a\")) }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: Some(\n    \"a\",\n) }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: b\"a\" }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: bare }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: 7 bare }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: 7,bare }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: 127.0.0.1 }" => "D { refresh_token: [redacted] }",
        "D { refresh_token: a(a(a(a(a(a(a(a(a(7))))))))) }" => "D { refresh_token: a(a(a(a(a(a(a(a(a(7))))))))) }",
        "RefreshToken(7)" => "RefreshToken(7)",
        "RefreshToken { a: 7 }" => "RefreshToken { a: 7 }",
        "RefreshToken { a: \"b\" }" => "RefreshToken { [redacted] }",
        "TokenStream [\"a\"]" => "TokenStream [\"a\"]",
        "RefreshToken(\"a\")" => "RefreshToken([redacted])",
        "RefreshToken(Some(bare))" => "RefreshToken([redacted])",
        "refresh_token=7" => "refresh_token=7",
        "refresh_token=7, bare" => "refresh_token=7, bare",
        "D { token: \"ghp_16C7e42F292c6912E7710c83\", x: 1 }" => "D { token: [redacted], x: 1 }",
        "D { token: Some(\"ghp_16C7e42F292c6912E7710c83\"), x: 1 }" => "D { token: [redacted], x: 1 }",
        "Token(\"ghp_16C7e42F292c6912E7710c83\")" => "Token([redacted])",
        "refresh_token=7a" => "refresh_token=[redacted]",
    }
}

#[test]
fn how_many_secrets_there_are_is_shown_in_debug_text() {
    assert_redacted! {
        "D { cookie_count: 3, access_tokens: Some(2), secret_length: None }" =>
            "D { cookie_count: 3, access_tokens: Some(2), secret_length: None }",
        "D { cookie_count: \"3\", access_tokens: [\"a\"], secret_length: L { a: 1 } }" =>
            "D { cookie_count: [redacted], access_tokens: [redacted], secret_length: [redacted] }",
        "D { cookie_count: (3, \"a\"), access_tokens: Some(2, \"a\"), x: 1 }" =>
            "D { cookie_count: [redacted], access_tokens: [redacted], x: 1 }",
        "D { cookie_count: (3), access_tokens: Some(\n    Id(\n        2,\n    ),\n) }" =>
            "D { cookie_count: [redacted], access_tokens: Some(\n    Id(\n        2,\n    ),\n) }",
        "PasswordLength(8)" => "PasswordLength(8)",
        "PasswordLength(Some(8))" => "PasswordLength(Some(8))",
        "PasswordLength(Some(8), \"a\")" => "PasswordLength([redacted])",
        "AccessTokens(\"a\")" => "AccessTokens([redacted])",
        "AccessTokens [1]" => "AccessTokens [[redacted]]",
        "AccessTokens { a: 1 }" => "AccessTokens { [redacted] }",
    }
}

#[test]
fn text_of_a_custom_debug_is_hidden_up_to_the_next_name() {
    assert_redacted! {
        "password=hunter2" => "password=[redacted]",
        "password: hunter2" => "password: [redacted]",
        "password = hunter2" => "password = [redacted]",
        "password => hunter2" => "password =[redacted]",
        "user=a password=hunter2" => "user=a password=[redacted]",
        "password=hunter2, user=a" => "password=[redacted], user=a",
        "password=hunter2, user = a" => "password=[redacted], user = a",
        "password=hun, ter, user: a" => "password=[redacted], user: a",
        "password=hun,ter,user=a" => "password=[redacted]",
        "password: a b; c\nd" => "password: [redacted]",
        "<password=hunter2>" => "<password=[redacted]",
        "[password=hunter2] user=a" => "[password=[redacted]",
        "Url { https://a.b/c?api_key=hunter, port: None }" =>
            "Url { https://a.b/c?api_key=[redacted], port: None }",
        "{\"password\":\"a\",\"user\":\"b\"}" => "{\"password\":[redacted],\"user\":\"b\"}",
        "D { inner: password=a, .. }" => "D { inner: password=[redacted], .. }",
        "D { inner: password=a, ..b }" => "D { inner: password=[redacted] }",
        "password:" => "password:[redacted]",
        "Password()" => "Password([redacted])",
    }
}

#[test]
fn where_the_structure_is_lost_nothing_is_shown_from_the_first_name_on() {
    assert_redacted! {
        // A bracket that nothing opened, or another opened.
        "a) D { password: \"hunter\", x: 1 }" => "a) D { password:[redacted]",
        "D { password: \"a\", x: (1], y: 2 }" => "D { password:[redacted]",
        "D { password: hun}ter, user: \"a\" }" => "D { password:[redacted]",
        "D { password: hun) ter }" => "D { password:[redacted]",
        "D { x: 1, password: \"a\", y: [1 }" => "D { x: 1, password:[redacted]",
        // One that nothing closes.
        "D { x: 1, password: \"a\", y: [1, 2" => "D { x: 1, password:[redacted]",
        "D { x: 1, password: (\"a\", y: 2" => "D { x: 1, password:[redacted]",
        "Secret(((hunter" => "Secret([redacted]",
        // Quotes that are none.
        "5\", password: hunter, 6\", x" => "5\", password:[redacted]",
        "x \" password: \"hunter\" 6\"" => "x \" password:[redacted]",
        "D { a: \"b, password: \"hunter\", c: \"d\" }" => "D { a: \"b, password:[redacted]",
        "D { password: \"hun\"ter\", c: 1 }" => "D { password:[redacted]",
        "D { password: it\"s, c: 1 }" => "D { password:[redacted]",
        "D { a: \"\\\", password: hunter }" => "D { a: \"\\\", password:[redacted]",
        "Bearer)(\"hunter\")" => "Bearer)[redacted]",
        // A name in a literal counts then, and so does a token whatever it holds.
        "{(1, \"password\"): \"hunter\"} (" => "{(1, \"password\")[redacted]",
        // A value without a name.
        "{\"password\",: \"hunter\"}" => "{\"password\",[redacted]",
        "[\"the token: \", \"7\"] {" => "[\"the token:[redacted]",
    }
    // But without a name, or without anything behind it, there is nothing to hide.
    for text in ["5\" secret", "))) tokens: 1"] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn a_key_of_great_length_with_brackets_hides_its_value() {
    let key = |length: usize| format!("({})", "x".repeat(length - 2));
    for (length, value) in [(255, "1"), (256, "[redacted]")] {
        // The blank before it counts.
        let (key, secret) = (key(length), "pwd: [redacted]");
        let text = format!("{{0: 1, {key}: 1, {secret}}}");
        let hidden = format!("{{0: 1, {key}: {value}, {secret}}}");
        assert_eq!(redacted(&text), hidden);
    }
}

/// Texts whose secrets are made of `Q`, of which nothing else is.
const WITH_SECRETS: [&str; 18] = [
    "[(\"a\", \"b\"), (\"authorization\", \"Q \\\" Q\"), (\"c\", \"d\")]",
    "[H { name: \"x-api-key\", value: \"QQ\" }, H { name: \"a\", value: \"b\" }]",
    "D { user: \"a\", password: \"QQ \\\" QQ\", x: [1, 2], y: Some(\"z\") }",
    "[Some(D { secret: [\"QQ\", 'Q', Q, (QQ, Q)] }), None]",
    "{\"password\": \"QQ\", \"b\": 1, \"x-api-key\": {\"a\": \"QQ\"}, \"c\": \"d\"}",
    "{(1, \"password\"): \"QQ\", (2, \"b\"): 1}",
    "[Bearer(\"QQ\"), ApiKey(1, \"QQ\"), Password { text: \"QQ\" }, RefreshToken(\"QQ\")]",
    "D { basic_auth: (1, \"QQ\"), openai_key: [\"QQ\", 'Q'], auth: {\"a\": Q, \"b\": I { c: \"QQ\" }} }",
    "[(\"authorization\", Some(\"QQ\")), BasicAuth { a: 1, b: \"QQ\" }, (\"cookie\", C(1, \"QQ\"))]",
    "D { refresh_token: Some(Wrapped(\"QQ\")), access_tokens: [\"QQ\"], cookie_count: 7Q, a: 1 }",
    "D { refresh_token: 7Q, b: 1, session_key: Key { a: \"QQ\", b: 2 }, c: (1,) }",
    "D {\n    password: Some(\n        \"QQ\",\n    ),\n    b: \"c\",\n    pwd: 'Q',\n}",
    "user=a, password=QQ Q, QQ,Q; Q, b=c",
    "Authorization: Bearer QQ",
    "key: Secret(QQ(Q))",
    "D { a: 'a', private_key: b\"Q\\\"Q\\\\\", b: '\"', cookies: '\\'', c: \"\\\"pwd: Q\" }",
    "Ä { größe: \"“ü”\", passphrase: \"ßQ🦀Q\", ż: \"ß\" }",
    "D { a: \"x\", password: hunQ}Q, user: \"Q\" }",
];

#[test]
fn no_cut_shows_a_part_of_a_secret() {
    for text in WITH_SECRETS {
        // What stands in a literal is shown, unless the literal is cut within.
        let shown = |hidden: &str| hidden.replace("\\\"pwd: Q\"", "").contains('Q');
        for cut in 0..=text.len() {
            let Some(start) = text.get(..cut) else {
                continue;
            };
            for is_cut in [true, false] {
                let hidden = printed::redact(start.to_owned(), is_cut);
                assert!(!shown(&hidden), "{is_cut}: {start}\n{hidden}");
            }
        }
    }
}

#[test]
fn the_limit_may_fall_anywhere_in_a_secret() {
    let secret = "D { a: \"b\", password: Some(\"QQQ \\\" QQQ\"), refresh_token: \"QQQ\" }";
    for before in (LONGEST_TEXT - secret.len() - 20)..=LONGEST_TEXT {
        let pad = "x".repeat(before);
        let listed = debug(&format_args!("[\"{pad}\", {secret}, 1]"));
        let inside = debug(&format_args!(
            "D {{ pwd: \"Q\", pad: \"{pad}\", d: {secret} }}"
        ));
        let alone = debug(&format_args!("D {{ pad: {pad}, {secret} }}"));
        for text in [listed, inside, alone] {
            assert!(!text.contains('Q'), "{before}: {}", &text[before - 50..]);
        }
    }
    // What comes before the cut and is no secret stays.
    let long = "x".repeat(20_000);
    let start = "D { pwd: \"Q\", long: \"";
    let long_text = debug(&format_args!("{start}{long}\" }}"));
    let kept = &long[..LONGEST_TEXT - start.len()];
    let expected = format!("D {{ pwd: [redacted], long: \"{kept}…[rest cut]");
    assert!(long_text == expected, "{}", &long_text[..100]);
    assert_eq!(
        debug(&format_args!("[\"a\", \"the password: {long}\"]")),
        "[\"a\", \"the password:[redacted]…[rest cut]"
    );
    assert_eq!(
        debug(&format_args!("[Secret({long}), 1]")),
        "[Secret([redacted]…[rest cut]"
    );
}

#[test]
fn the_values_of_headers_are_hidden_in_debug_text() {
    #[derive(Debug)]
    struct Header {
        name: &'static str,
        value: Option<&'static str>,
    }
    let headers = [("accept", "*"), ("authorization", "Bearer Q")];
    assert_eq!(
        debug(&headers),
        "[(\"accept\", \"*\"), (\"authorization\", [redacted])]"
    );
    let text = redacted(&format!("{headers:#?}"));
    assert!(!text.contains('Q') && text.contains("\"*\""), "{text}");
    assert_eq!(
        debug(&[["x-api-key", "Q"], ["token", "Hi"]]),
        "[[\"x-api-key\", [redacted]], [\"token\", \"Hi\"]]"
    );
    let header = |name| Header {
        name,
        value: Some("Q, \" }"),
    };
    assert_eq!(
        debug(&[header("Authorization")]),
        "[Header { name: \"Authorization\", value: [redacted] }]"
    );
    assert!(debug(&[header("accept")]).contains('Q'));
    let text = redacted(&format!("{:#?}", header("cookie")));
    assert!(!text.contains('Q'), "{text}");
    assert_eq!(
        redacted("{\"authorization\": \"Bearer Q\", \"a\": \"b\"}"),
        "{\"authorization\": [redacted], \"a\": \"b\"}"
    );
    // Three in a row are no pair, and neither is a number a secret.
    for text in [
        "(\"password\", \"secret\", \"key\")",
        "(\"api_key\", 7)",
        "(\"author\", \"ada\")",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn a_hostile_debug_with_a_secret_ends_and_hides_it() {
    struct Hostile(fn(&mut fmt::Formatter<'_>) -> fmt::Result);
    impl Debug for Hostile {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0(f)
        }
    }
    let endless = Hostile(|f| {
        loop {
            f.write_str("{ password: (\"Q\", ")?;
        }
    });
    assert_eq!(debug(&endless), "{ password: [redacted]…[rest cut]");
    let deaf = Hostile(|f| {
        for _ in 0..3_000 {
            let _ = f.write_str("D { password: \"Q\" }, ");
        }
        f.write_str("QQQ")
    });
    assert!(!debug(&deaf).contains('Q'));
    let panicking = Hostile(|f| {
        f.write_str("D { password: \"Q")?;
        panic!("on purpose")
    });
    let mark = format!("<{}: its Debug panicked>", type_name::<Hostile>());
    assert_eq!(debug(&panicking), mark);
    assert_eq!(debug(&Some(panicking)).matches('Q').count(), 0);
    let failing = Hostile(|f| {
        f.write_str("D { password: \"Q")?;
        Err(fmt::Error)
    });
    assert!(!debug(&failing).contains('Q'));
    let unbalanced = Hostile(|f| f.write_str("} password: \"Q"));
    assert_eq!(debug(&[unbalanced]), "[} password:[redacted]");
}
