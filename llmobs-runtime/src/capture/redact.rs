//! Which names hold a secret.
//!
//! A name is read as words: a word is a run of letters, cut where camel case starts a new
//! one (`clientSecret`, `APIKey`); everything that is no letter, digits too, parts words
//! (`x-api-key`, `openai_api_key2`). A run that camel case cuts also counts as one word
//! (`passWord`). Letter case does not matter.
//!
//! A name holds a secret if, anywhere in it,
//!
//! * one word is `apikey`, `authorization`, `bearer`, `cookie`, `credential`, `jwt`,
//!   `passcode`, `passphrase`, `passwd`, `password`, `privatekey`, `pwd`, `secret` or
//!   `sessionkey`, or one of these with an `s`;
//! * one word ends with `password` or `passwords` (`PGPASSWORD`);
//! * two words in a row are `key` behind `access`, `account`, `admin`, `api`, `app`,
//!   `application`, `auth`, `consumer`, `encryption`, `hmac`, `license`, `master`, `private`,
//!   `service`, `session`, `shared`, `signing`, `ssh` or `subscription`, or `token` behind `access` or `auth`, or one of
//!   these with an `s`.
//!
//! It holds one if its value is text, or has text in it at any depth, and its last word is
//!
//! * `auth`;
//! * `key` behind the name of a provider (`openai_key`), and `pass` behind what one logs in to or as
//!   (`db_pass`, `smtpPass`): [`PROVIDERS`], [`LOGINS`]. A `write_key` and a `first_pass` are seen;
//! * `token` behind a word that says whose or what for: `refresh_token`, `idToken`,
//!   `x-token`. What a model reads and writes is content: `next_token`, `eos_token`,
//!   `stop_token`, `completion_token` and the like are seen ([`OF_TEXT`]), and so is what only
//!   begins with the word: `token_count`, `token_ids`;
//! * `token` alone, and the text looks like a credential: 16 letters and digits in a row, of
//!   both, or the word `Bearer` ([`looks_secret`]). The tokens of `logprobs` are pieces of words.
//!
//! If the last word is `count`, `length` or `tokens`, a number, a bool and nothing are
//! shown all the same, and everything else is hidden: `cookie_count: 3` and
//! `access_tokens: 3` are seen, `access_tokens: ["…"]` is not.
//!
//! So `secretary`, `author` and `passwordless` are none, while `secret_name`, `password_hash`
//! and `cookie_consent` are: one too many is only a value that nobody sees.

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// What a name says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sensitivity {
    Open,
    /// A secret if it is text that looks like one.
    Likely,
    /// A secret if it is text.
    Text,
    /// A secret unless it is a number: how many there are, or how long it is.
    Counted,
    Secret,
}

impl Sensitivity {
    /// Whether `text` is hidden.
    pub(super) fn hides_text(self, text: &str) -> bool {
        match self {
            Self::Open => false,
            Self::Likely => looks_secret(text.as_bytes()),
            Self::Text | Self::Counted | Self::Secret => true,
        }
    }
}

/// Letters and digits in a row that are no word of a language.
const LONG: usize = 16;

/// Whether a text looks like a credential rather than a piece of what a model reads.
pub(super) fn looks_secret(text: &[u8]) -> bool {
    let (mut run, mut letters, mut digits) = (0, false, false);
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'a'..=b'z' | b'A'..=b'Z' => letters = true,
            b'0'..=b'9' => digits = true,
            b'-' | b'_' | b'.' | b'+' | b'/' | b'=' | b'~' => {}
            _ => (run, letters, digits) = (0, false, false),
        }
        if letters || digits {
            run += 1;
        }
        if run >= LONG && letters && digits {
            return true;
        }
        at += 1;
    }
    text.get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"bearer "))
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

/// What the key of a map or the name of a header says, which may be any text. A sentence names nothing: `What is a
/// password?` is asked of a model.
pub(super) fn of_key(name: &str) -> Sensitivity {
    match sensitivity(name) {
        Sensitivity::Open => Sensitivity::Open,
        _ if is_sentence(name) => Sensitivity::Open,
        sensitivity => sensitivity,
    }
}

/// Words that no name has so many of.
const SENTENCE: usize = 4;

/// Whether a name that may be any text is a sentence: a question, or words.
pub(super) fn is_sentence(name: &str) -> bool {
    name.contains(['?', '!']) || name.split_ascii_whitespace().count() >= SENTENCE
}

/// Every name of a secret has one of these in it, in some letter case; the number tells where in it its rarest
/// three letters are.
static STEMS: [(&[u8], usize); 10] = [
    (b"token", 1),
    (b"key", 0),
    (b"secret", 1),
    (b"pass", 0),
    (b"pwd", 0),
    (b"auth", 0),
    (b"jwt", 0),
    (b"credential", 0),
    (b"bearer", 0),
    (b"cookie", 2),
];

/// Letters of which every name of a secret has one.
pub(super) const RARE: &[u8] = b"bckpuw";

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

/// Words before `token` that make it one of a model's text, or of the pages of a list.
const OF_TEXT: &[&str] = &[
    "audio",
    "begin",
    "bos",
    "cached",
    "cls",
    "completion",
    "continuation",
    "end",
    "eos",
    "first",
    "generated",
    "image",
    "input",
    "last",
    "mask",
    "max",
    "min",
    "new",
    "next",
    "output",
    "pad",
    "padding",
    "page",
    "per",
    "predicted",
    "previous",
    "prompt",
    "reasoning",
    "sampled",
    "sep",
    "special",
    "start",
    "stop",
    "text",
    "top",
    "unk",
    "unknown",
    "video",
];

/// Words before `key` at the end of a name: whose it is.
const PROVIDERS: &[&str] = &[
    "ai",
    "anthropic",
    "aws",
    "azure",
    "cohere",
    "datadog",
    "deepgram",
    "deepseek",
    "elevenlabs",
    "fireworks",
    "gemini",
    "google",
    "groq",
    "hf",
    "huggingface",
    "langfuse",
    "langsmith",
    "mistral",
    "nvidia",
    "openai",
    "openrouter",
    "perplexity",
    "pinecone",
    "replicate",
    "sendgrid",
    "stripe",
    "tavily",
    "together",
    "twilio",
    "voyage",
    "xai",
];

/// Words before `pass` at the end of a name: what one logs in to, or as.
const LOGINS: &[&str] = &[
    "admin",
    "amqp",
    "bind",
    "database",
    "db",
    "default",
    "email",
    "ftp",
    "http",
    "imap",
    "ldap",
    "login",
    "mail",
    "mongo",
    "mongodb",
    "mqtt",
    "mysql",
    "pg",
    "postgres",
    "postgresql",
    "proxy",
    "rabbitmq",
    "redis",
    "root",
    "sftp",
    "smtp",
    "sql",
    "ssh",
    "sudo",
    "user",
    "wifi",
];

/// Judges a name by its words.
pub(super) fn by_words(name: &[u8]) -> Sensitivity {
    let mut found = Sensitivity::Open;
    // The verdict on this word, should it be the last.
    let mut last = Sensitivity::Open;
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
                last = judge_last(previous, this);
                previous = this;
                word = at;
            }
        }
        if previous.len() < at - run && matches!(judge(b"", &name[run..at]), Sensitivity::Secret) {
            found = Sensitivity::Secret;
        }
    }
    if found == Sensitivity::Secret && is_any(previous, &["count", "length", "tokens"]) {
        return Sensitivity::Counted;
    }
    found.max(last)
}

/// Judges a word that may stand anywhere in a name.
fn judge(previous: &[u8], word: &[u8]) -> Sensitivity {
    const KEYS: &[&str] = &[
        "access",
        "account",
        "admin",
        "api",
        "app",
        "application",
        "auth",
        "consumer",
        "encryption",
        "hmac",
        "license",
        "master",
        "private",
        "service",
        "session",
        "shared",
        "signing",
        "ssh",
        "subscription",
    ];
    let one = match word {
        [one @ .., b's' | b'S'] => one,
        _ => word,
    };
    let secret = match one.len() {
        3 if is_any(one, &["key"]) => is_any(previous, KEYS),
        3 => is_any(one, &["jwt", "pwd"]),
        5 => is_any(one, &["token"]) && is_any(previous, &["access", "auth"]),
        6 => is_any(one, &["apikey", "bearer", "cookie", "passwd", "secret"]),
        8 => is_any(one, &["passcode", "password"]),
        10 => is_any(
            one,
            &["credential", "passphrase", "privatekey", "sessionkey"],
        ),
        13 => is_any(one, &["authorization"]),
        _ => false,
    };
    // `PGPASSWORD`: no other word ends so.
    if secret || one.len() > 8 && is_any(&one[one.len() - 8..], &["password"]) {
        Sensitivity::Secret
    } else {
        Sensitivity::Open
    }
}

/// Judges a word at the end of a name.
fn judge_last(previous: &[u8], word: &[u8]) -> Sensitivity {
    if is_any(word, &["auth"])
        || is_any(word, &["key"]) && is_any(previous, PROVIDERS)
        || is_any(word, &["pass"]) && is_any(previous, LOGINS)
    {
        Sensitivity::Text
    } else if !is_any(word, &["token"]) || is_any(previous, OF_TEXT) {
        Sensitivity::Open
    } else if previous.is_empty() {
        Sensitivity::Likely
    } else {
        Sensitivity::Text
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
#[allow(
    clippy::manual_is_ascii_check,
    reason = "it is a call in a debug build"
)]
fn starts_word(run: &[u8], word: usize, at: usize) -> bool {
    let is_upper = matches!(run[at], b'A'..=b'Z');
    let after_lower = at > word && matches!(run[at - 1], b'a'..=b'z');
    let before_lower = at + 1 < run.len() && matches!(run[at + 1], b'a'..=b'z');
    is_upper && at > word && (after_lower || before_lower)
}

#[cfg(test)]
mod tests;
