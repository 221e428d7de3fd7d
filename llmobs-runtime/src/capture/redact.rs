//! Which names hold a secret.
//!
//! A name is read as words: a word is a run of letters, cut where camel case starts a new
//! one (`clientSecret`, `APIKey`); everything that is no letter, digits too, parts words
//! (`x-api-key`, `openai_api_key2`). A run that camel case cuts also counts as one word
//! (`passWord`). Letter case does not matter.
//!
//! A name holds a secret if, anywhere in it,
//!
//! * one word is `apikey`, `authorization`, `bearer`, `cookie`, `credential`, `passphrase`,
//!   `passwd`, `password`, `privatekey`, `pwd`, `secret` or `sessionkey`, or one of these
//!   with an `s`;
//! * two words in a row are `api key`, `private key`, `session key`, `access token` or
//!   `auth token`, or one of these with an `s`;
//! * one word is `token` and the value is text: `token: 7` is no secret, and neither are
//!   `tokens` and `max_tokens`, whatever they hold.
//!
//! If the last word is `count`, `length` or `tokens`, a number, a bool and nothing are
//! shown all the same, and everything else is hidden: `cookie_count: 3` and
//! `access_tokens: 3` are seen, `access_tokens: ["…"]` is not.
//!
//! So `secretary` and `passwordless` are none, while `secret_name`, `password_hash` and
//! `cookie_consent` are: one too many is only a value that nobody sees.

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// What a name says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sensitivity {
    Open,
    /// A secret if it is text.
    Text,
    /// A secret unless it is a number: how many there are, or how long it is.
    Counted,
    Secret,
}

/// Whether automatic capture hides a value of this name.
pub(crate) fn redacted_name(name: &str, is_string: bool) -> bool {
    match sensitivity(name) {
        Sensitivity::Open => false,
        Sensitivity::Text | Sensitivity::Counted => is_string,
        Sensitivity::Secret => true,
    }
}

/// Runs for each argument, field and key that is captured: most names are let go after
/// one pass over their bytes (7 ns; the words take 20 more).
pub(super) fn sensitivity(name: &str) -> Sensitivity {
    let letters = letters(name.as_bytes());
    if name.len() < "pwd".len() || !LETTERS.iter().any(|word| letters & word == *word) {
        return Sensitivity::Open;
    }
    by_words(name)
}

/// What every name of a secret has in it, in some letter case.
pub(super) const STEMS: [&str; 10] = [
    "token",
    "key",
    "secret",
    "passw",
    "passphrase",
    "pwd",
    "authorization",
    "credential",
    "bearer",
    "cookie",
];

/// The letters that each of the words has; `api key` has those of `apikey`, and what ends
/// in `token` those of `token`.
const LETTERS: [u32; 11] = [
    letters(b"token"),
    letters(b"apikey"),
    letters(b"privatekey"),
    letters(b"sessionkey"),
    letters(b"secret"),
    letters(b"passphrase"),
    letters(b"pwd"),
    letters(b"authorization"),
    letters(b"credential"),
    letters(b"bearer"),
    letters(b"cookie"),
];

/// A bit for each letter, of either case. Other bytes set bits as well: a word may be
/// looked for in vain, but none is missed.
const fn letters(name: &[u8]) -> u32 {
    let mut letters = 0;
    let mut at = 0;
    while at < name.len() {
        letters |= 1 << (name[at] & 31);
        at += 1;
    }
    letters
}

fn by_words(name: &str) -> Sensitivity {
    let mut found = Sensitivity::Open;
    let mut previous: &[u8] = b"";
    for run in name.as_bytes().split(|byte| !is_letter(*byte)) {
        let mut rest = run;
        while !rest.is_empty() {
            let (word, after) = rest.split_at(word_length(rest));
            found = found.max(judge(previous, word));
            previous = word;
            rest = after;
        }
        if previous.len() < run.len() && judge(b"", run) == Sensitivity::Secret {
            found = Sensitivity::Secret;
        }
    }
    if found == Sensitivity::Secret && is_any(previous, &["count", "length", "tokens"]) {
        return Sensitivity::Counted;
    }
    found
}

fn judge(previous: &[u8], word: &[u8]) -> Sensitivity {
    let one = word.strip_suffix(b"s").or(word.strip_suffix(b"S"));
    let one = one.unwrap_or(word);
    let secret = match one.len() {
        3 if is_any(one, &["key"]) => is_any(previous, &["api", "private", "session"]),
        3 => is_any(one, &["pwd"]),
        5 if is_any(one, &["token"]) => {
            let is_access = is_any(previous, &["access", "auth"]);
            if !is_access && one.len() == word.len() {
                return Sensitivity::Text;
            }
            is_access
        }
        6 => is_any(one, &["apikey", "bearer", "cookie", "passwd", "secret"]),
        8 => is_any(one, &["password"]),
        10 => is_any(
            one,
            &["credential", "passphrase", "privatekey", "sessionkey"],
        ),
        13 => is_any(one, &["authorization"]),
        _ => false,
    };
    if secret {
        Sensitivity::Secret
    } else {
        Sensitivity::Open
    }
}

fn is_any(word: &[u8], known: &[&str]) -> bool {
    known
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || !byte.is_ascii()
}

/// The bytes of the first word of a run: `client|Secret`, `API|Key`.
fn word_length(run: &[u8]) -> usize {
    let starts_word = |at: usize| {
        run[at].is_ascii_uppercase()
            && (run[at - 1].is_ascii_lowercase()
                || run.get(at + 1).is_some_and(u8::is_ascii_lowercase))
    };
    (1..run.len())
        .find(|&at| starts_word(at))
        .unwrap_or(run.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_in_every_spelling() {
        for name in [
            "api_key",
            "apikey",
            "apiKey",
            "ApiKey",
            "APIKey",
            "APIkey",
            "APIKEY",
            "api-key",
            "api.key",
            "api key",
            "x-api-key",
            "X-Api-Key",
            "openai_api_key",
            "OPENAI_API_KEY",
            "openai_api_key2",
            "openaiApiKey",
            "secret",
            "clientSecret",
            "client_secret_id",
            "secret1",
            "_secret_",
            "password",
            "Password",
            "passWord",
            "PassWord",
            "password_hash",
            "db-password",
            "passwd",
            "authorization",
            "Authorization",
            "Proxy-Authorization",
            "credential",
            "credentials",
            "awsCredentials",
            "auth_token",
            "authToken",
            "_authToken",
            "access_token",
            "accessToken",
            "access_token_expiry",
            "bearer",
            "bearer_token",
            "geheimnis_für_api_key",
            "secrets",
            "clientSecrets",
            "passwords",
            "passwds",
            "api_keys",
            "apikeys",
            "apiKeys",
            "APIkeys",
            "authorizations",
            "bearers",
            "private_key",
            "privateKeys",
            "PRIVATEKEY",
            "ssh-private-key",
            "session_key",
            "sessionKeys",
            "pwd",
            "PWD",
            "db_pwd",
            "passphrase",
            "passPhrases",
            "cookie",
            "Cookies",
            "Set-Cookie",
            "set_cookie2",
            "cookie_consent",
            "access_tokens_by_user",
            "tokens_of_bearer",
            "count_of_secrets",
        ] {
            assert!(redacted_name(name, false), "{name}");
            assert!(redacted_name(name, true), "{name}");
        }
    }

    #[test]
    fn a_token_is_a_secret_only_if_it_is_text() {
        for name in [
            "token",
            "Token",
            "TOKEN",
            "session_token",
            "refreshToken",
            "token_count",
            "x-token",
        ] {
            assert!(redacted_name(name, true), "{name}");
            assert!(!redacted_name(name, false), "{name}");
        }
    }

    #[test]
    fn a_number_of_secrets_and_their_length_are_shown_if_they_are_numbers() {
        for name in [
            "cookie_count",
            "cookieCount",
            "SECRET_COUNT",
            "password_length",
            "access_token_count",
            "access_tokens",
            "authTokens",
            "bearer_tokens",
            "api_keys_count2",
        ] {
            assert_eq!(sensitivity(name), Sensitivity::Counted, "{name}");
            assert!(redacted_name(name, true), "{name}");
            assert!(!redacted_name(name, false), "{name}");
        }
    }

    #[test]
    fn every_name_of_a_secret_has_one_of_the_stems() {
        let stems = STEMS.map(str::to_owned);
        for word in WORDS {
            let name = word.to_lowercase();
            assert_ne!(sensitivity(word), Sensitivity::Open, "{word}");
            assert!(stems.iter().any(|stem| name.contains(stem)), "{word}");
        }
    }

    const WORDS: [&str; 18] = [
        "apikey",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "passphrase",
        "passwd",
        "password",
        "privatekey",
        "pwd",
        "secret",
        "sessionkey",
        "api key",
        "private key",
        "session key",
        "access token",
        "auth token",
        "token",
    ];

    #[test]
    fn names_that_only_contain_the_letters_are_no_secrets() {
        for name in [
            "",
            "a",
            "key",
            "api",
            "keys",
            "key_api",
            "api_base_key",
            "secretary",
            "secretly",
            "compass_word",
            "pass",
            "word",
            "tokens",
            "max_tokens",
            "input_tokens",
            "maxTokens",
            "tokenizer",
            "passwordless",
            "passes",
            "public_key",
            "private",
            "session",
            "session_keyboard",
            "cook",
            "cookieless",
            "count",
            "length",
            "authorize",
            "author",
            "credentialed",
            "forbearer",
            "prompt",
            "messages",
            "question",
            "monkey",
            "sécret",
            "secretö",
            "пароль",
        ] {
            assert!(!redacted_name(name, true), "{name}");
            assert!(!redacted_name(name, false), "{name}");
        }
    }
}
