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
/// one pass over their bytes. Debug builds compile all of this without optimisation, where
/// each call of a closure or an iterator costs as much as ten bytes; hence the indices.
pub(super) fn sensitivity(name: &str) -> Sensitivity {
    let name = name.as_bytes();
    if has_stem(name, 0, name.len()) {
        by_words(name)
    } else {
        Sensitivity::Open
    }
}

/// What every name of a secret has in it, in some letter case; and where in it its rarest
/// three letters are.
static STEMS: [(&[u8], usize); 10] = [
    (b"token", 1),
    (b"key", 0),
    (b"secret", 1),
    (b"passw", 2),
    (b"passphrase", 3),
    (b"pwd", 0),
    (b"authorization", 7),
    (b"credential", 0),
    (b"bearer", 0),
    (b"cookie", 2),
];

/// Letters of which every name of a secret has one.
pub(super) const RARE: &[u8] = b"bckpwz";

/// For two letters in a row: a bit for each stem whose rarest three they begin; and,
/// [`SECOND`] bits higher, for each whose rarest three they end. One of the two is found where
/// every second pair of a text is looked at. A static, since a debug build copies a constant
/// for each look into it.
static PAIRS: [u32; 1 << 10] = {
    let mut pairs = [0; 1 << 10];
    let mut at = 0;
    while at < STEMS.len() {
        let (stem, rare) = STEMS[at];
        pairs[pair(stem[rare], stem[rare + 1])] |= 1 << at;
        pairs[pair(stem[rare + 1], stem[rare + 2])] |= 1 << (at + SECOND);
        at += 1;
    }
    pairs
};

const SECOND: usize = 16;

/// Two letters of either case as a number. Other bytes stand for letters as well: a pair may
/// be looked at in vain, but none is missed.
const fn pair(first: u8, second: u8) -> usize {
    ((first & 31) as usize) << 5 | (second & 31) as usize
}

/// Whether one of the stems is anywhere in `text` from `start` to `end`.
pub(super) fn has_stem(text: &[u8], start: usize, end: usize) -> bool {
    let mut at = start;
    while at + 1 < end {
        // As `pair` does it, which is a call in a debug build.
        let stems = PAIRS[((text[at] & 31) as usize) << 5 | (text[at + 1] & 31) as usize];
        if stems != 0 && is_stem(text, start, at, end, stems) {
            return true;
        }
        at += 2;
    }
    false
}

/// Whether one of the `stems` is in `text` whose pair is at `at`.
fn is_stem(text: &[u8], start: usize, at: usize, end: usize, stems: u32) -> bool {
    let mut left = stems;
    let mut which = 0;
    while left != 0 {
        if left & 1 != 0 {
            let (stem, rare) = STEMS[which % SECOND];
            let before = rare + which / SECOND;
            if at >= start + before && at - before + stem.len() <= end {
                let from = at - before;
                let mut same = 0;
                while same < stem.len() && text[from + same] | 32 == stem[same] {
                    same += 1;
                }
                if same == stem.len() {
                    return true;
                }
            }
        }
        left >>= 1;
        which += 1;
    }
    false
}

pub(super) fn by_words(name: &[u8]) -> Sensitivity {
    let mut found = Sensitivity::Open;
    let mut previous: &[u8] = b"";
    let mut at = 0;
    while at < name.len() {
        if !is_letter(name[at]) {
            at += 1;
            continue;
        }
        let run = at;
        let mut word = at;
        while at < name.len() && is_letter(name[at]) {
            at += 1;
            if at == name.len() || !is_letter(name[at]) || starts_word(name, word, at) {
                let this = &name[word..at];
                found = found.max(judge(previous, this));
                previous = this;
                word = at;
            }
        }
        if previous.len() < at - run && judge(b"", &name[run..at]) == Sensitivity::Secret {
            found = Sensitivity::Secret;
        }
    }
    if found == Sensitivity::Secret && is_any(previous, &["count", "length", "tokens"]) {
        return Sensitivity::Counted;
    }
    found
}

fn judge(previous: &[u8], word: &[u8]) -> Sensitivity {
    let one = match word {
        [one @ .., b's' | b'S'] => one,
        _ => word,
    };
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

/// Whether `word` is one of the `known`, in any letter case.
fn is_any(word: &[u8], known: &[&str]) -> bool {
    let mut which = 0;
    while which < known.len() {
        let known = known[which].as_bytes();
        if known.len() == word.len() {
            let mut at = 0;
            while at < word.len() && word[at] | 32 == known[at] {
                at += 1;
            }
            if at == word.len() {
                return true;
            }
        }
        which += 1;
    }
    false
}

#[inline]
fn is_letter(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | 0x80..)
}

/// Whether camel case begins a word at `at`, in a run of letters: `client|Secret`, `API|Key`.
#[inline]
fn starts_word(run: &[u8], word: usize, at: usize) -> bool {
    let is_upper = matches!(run[at], b'A'..=b'Z');
    let after_lower = at > word && matches!(run[at - 1], b'a'..=b'z');
    let before_lower = at + 1 < run.len() && matches!(run[at + 1], b'a'..=b'z');
    is_upper && at > word && (after_lower || before_lower)
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
        for word in WORDS {
            assert_ne!(sensitivity(word), Sensitivity::Open, "{word}");
            let before = ["", "x", "é"];
            for name in before.map(|before| format!("{before}{}", word.to_uppercase())) {
                assert!(has_stem(name.as_bytes(), 0, name.len()), "{name}");
            }
        }
    }

    #[test]
    fn every_stem_has_a_rare_letter() {
        for (stem, _) in &STEMS {
            assert!(stem.iter().any(|letter| RARE.contains(letter)));
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
