//! Which names hold a secret (DESIGN §3.13).
//!
//! A name is read as words: a word is a run of letters, cut where camel case starts a new
//! one (`clientSecret`, `APIKey`); everything that is no letter, digits too, parts words
//! (`x-api-key`, `openai_api_key2`). A run that camel case cuts also counts as one word
//! (`passWord`). Letter case does not matter.
//!
//! A name holds a secret if, anywhere in it,
//!
//! * one word is `apikey`, `authorization`, `bearer`, `credential`, `credentials`, `passwd`,
//!   `password` or `secret`;
//! * two words in a row are `api key`, `auth token` or `access token`;
//! * one word is `token` and the value is text: `token_count: 7` is no secret, and neither
//!   are `tokens` and `max_tokens`, whatever they hold.
//!
//! So `secretary` and `passwords` are none, while `secret_name` and `password_hash` are:
//! one too many is only a value that nobody sees.

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// What a name says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sensitivity {
    Open,
    /// A secret if it is text.
    Text,
    Secret,
}

/// Whether automatic capture hides a value of this name.
pub(crate) fn redacted_name(name: &str, is_string: bool) -> bool {
    match sensitivity(name) {
        Sensitivity::Open => false,
        Sensitivity::Text => is_string,
        Sensitivity::Secret => true,
    }
}

/// Runs for each argument, field and key that is captured: most names are let go after
/// one pass over their bytes (7 ns; the words take 20 more).
pub(super) fn sensitivity(name: &str) -> Sensitivity {
    let letters = letters(name.as_bytes());
    if name.len() < "token".len() || !LETTERS.iter().any(|word| letters & word == *word) {
        return Sensitivity::Open;
    }
    by_words(name)
}

/// The letters that each of the words has; `api key` has those of `apikey`, and what ends
/// in `token` those of `token`.
const LETTERS: [u32; 7] = [
    letters(b"token"),
    letters(b"apikey"),
    letters(b"secret"),
    letters(b"passwd"),
    letters(b"authorization"),
    letters(b"credential"),
    letters(b"bearer"),
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
            match judge(previous, word) {
                Sensitivity::Open => {}
                Sensitivity::Text => found = Sensitivity::Text,
                Sensitivity::Secret => return Sensitivity::Secret,
            }
            previous = word;
            rest = after;
        }
        if previous.len() < run.len() && judge(b"", run) == Sensitivity::Secret {
            return Sensitivity::Secret;
        }
    }
    found
}

fn judge(previous: &[u8], word: &[u8]) -> Sensitivity {
    let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
    let follows = |known: &str| previous.eq_ignore_ascii_case(known.as_bytes());
    let secret = match word.len() {
        3 => is("key") && follows("api"),
        5 if is("token") => {
            if !follows("auth") && !follows("access") {
                return Sensitivity::Text;
            }
            true
        }
        6 => is("secret") || is("apikey") || is("bearer") || is("passwd"),
        8 => is("password"),
        10 => is("credential"),
        11 => is("credentials"),
        13 => is("authorization"),
        _ => false,
    };
    if secret {
        Sensitivity::Secret
    } else {
        Sensitivity::Open
    }
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
    fn names_that_only_contain_the_letters_are_no_secrets() {
        for name in [
            "",
            "a",
            "key",
            "api",
            "keys",
            "key_api",
            "api_keys",
            "api_base_key",
            "apikeys",
            "secretary",
            "secretly",
            "secrets",
            "passwords",
            "compass_word",
            "pass",
            "word",
            "tokens",
            "max_tokens",
            "input_tokens",
            "maxTokens",
            "tokenizer",
            "authorize",
            "authorizations",
            "author",
            "credentialed",
            "forbearer",
            "bearers",
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
