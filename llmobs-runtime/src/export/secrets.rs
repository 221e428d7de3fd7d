//! Secrets of the configuration, hidden in what a server says: one that echoes a request would
//! write the key into the log.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::config::Settings;

/// So many bytes in a row of a secret are hidden wherever they stand, so that a part of it, or one
/// that a limit has cut, is hidden as well.
const WINDOW: usize = 8;
/// What is shorter is no secret, and would be found everywhere.
const SHORTEST: usize = 4;

const HIDDEN: &str = "[hidden]";

/// What must not be shown, in the forms in which it may come back: as it is, percent-encoded and
/// in base64, in any letter case.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    windows: HashSet<[u8; WINDOW]>,
    /// Those that are shorter than a window, as a whole.
    short: Vec<Box<[u8]>>,
}

impl Secrets {
    /// The API key, the values of the headers, and the passwords of the proxies that the
    /// environment names.
    pub(super) fn of(settings: &Settings) -> Self {
        let mut secrets = Self::default();
        if let Some(key) = &settings.api_key {
            secrets.add(key.expose().as_bytes());
        }
        for (_, value) in &settings.headers {
            secrets.add(value.as_bytes());
        }
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            for name in [name, &name.to_ascii_lowercase()] {
                if let Some(url) = std::env::var_os(name) {
                    secrets.add_proxy(&url.to_string_lossy());
                }
            }
        }
        secrets
    }

    /// User and password of a proxy's URL; they go out as `Basic`, decoded.
    fn add_proxy(&mut self, url: &str) {
        let Some((user, _)) = url.rsplit_once('@') else {
            return;
        };
        let user = user.split_once("://").map_or(user, |(_, user)| user);
        for user in [user.as_bytes(), &percent_decoded(user)] {
            self.add(user);
            if let Some(colon) = user.iter().position(|&byte| byte == b':') {
                self.add(&user[colon + 1..]);
            }
        }
    }

    fn add(&mut self, secret: &[u8]) {
        self.add_form(secret);
        self.add_form(percent_encoded(secret).as_bytes());
        // Base64 of a text around the secret depends on where in it the secret begins.
        for before in 0..3 {
            let text = [&[0; 2][..before], secret].concat();
            for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                // The first four letters hold what comes before it as well.
                let own = if before == 0 { 0 } else { 4 };
                self.add_form(encoded.as_bytes().get(own..).unwrap_or_default());
            }
        }
    }

    fn add_form(&mut self, form: &[u8]) {
        let form = form.to_ascii_lowercase();
        if form.len() >= WINDOW {
            let windows = form.windows(WINDOW);
            self.windows
                .extend(windows.filter_map(|window| <[u8; WINDOW]>::try_from(window).ok()));
        } else if form.len() >= SHORTEST {
            self.short.push(form.into());
        }
    }

    /// The text with what is secret replaced.
    pub(super) fn hidden_in(&self, text: &[u8]) -> Vec<u8> {
        let lower = text.to_ascii_lowercase();
        let mut is_secret = vec![false; text.len()];
        for (start, window) in lower.windows(WINDOW).enumerate() {
            if <&[u8; WINDOW]>::try_from(window).is_ok_and(|window| self.windows.contains(window)) {
                is_secret[start..start + WINDOW].fill(true);
            }
        }
        for short in &self.short {
            for (start, window) in lower.windows(short.len()).enumerate() {
                if *window == **short {
                    is_secret[start..start + short.len()].fill(true);
                }
            }
        }
        let mut shown = Vec::with_capacity(text.len());
        for (at, &byte) in text.iter().enumerate() {
            if !is_secret[at] {
                shown.push(byte);
            } else if at == 0 || !is_secret[at - 1] {
                shown.extend(HIDDEN.as_bytes());
            }
        }
        shown
    }

    pub(super) fn hidden_in_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.hidden_in(text.as_bytes())).into_owned()
    }
}

/// With all but letters and digits encoded.
fn percent_encoded(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(byte) if *first == b'%' => {
                decoded.push(byte);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

    fn hiding(secret: &str) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add(secret.as_bytes());
        secrets
    }

    #[test]
    fn a_secret_is_hidden_and_the_words_around_it_stay() {
        let told = hiding(KEY).hidden_in_text(&format!("the key {KEY} is wrong, {KEY}."));
        assert_eq!(told, "the key [hidden] is wrong, [hidden].");
        let told = hiding(KEY).hidden_in_text(&KEY.to_uppercase());
        assert_eq!(told, "[hidden]");
        assert_eq!(hiding(KEY).hidden_in_text("nothing here"), "nothing here");
    }

    #[test]
    fn a_part_of_a_secret_is_hidden_too() {
        for part in [&KEY[..8], &KEY[5..20], &KEY[20..]] {
            let told = hiding(KEY).hidden_in_text(&format!("it begins {part}"));
            assert_eq!(told, "it begins [hidden]");
        }
    }

    #[test]
    fn a_secret_in_base64_is_hidden_wherever_in_the_text_it_stands() {
        for before in ["", "k", "ke", "key", "user:", "dd-api-key: "] {
            for after in ["", "x", "xy", "\r\nhost: h"] {
                let text = STANDARD_NO_PAD.encode(format!("{before}{KEY}{after}"));
                let told = hiding(KEY).hidden_in_text(&text);
                // Three bytes of the secret at either end may share their letters with its
                // neighbours; no eight letters of it are left.
                assert!(told.contains(HIDDEN), "{told}");
                let left: usize = told.split(HIDDEN).map(str::len).sum();
                let around = (before.len() + after.len()).div_ceil(3) * 4;
                assert!(left <= around + 8, "{before:?} {after:?}: {told}");
            }
        }
    }

    #[test]
    fn a_secret_with_other_characters_is_hidden_percent_encoded_and_in_either_base64() {
        let secret = "a+b/c=d?e&f>>>???~~~";
        for form in [
            percent_encoded(secret.as_bytes()),
            percent_encoded(secret.as_bytes()).to_lowercase(),
            STANDARD_NO_PAD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
        ] {
            assert_eq!(hiding(secret).hidden_in_text(&form), HIDDEN, "{form}");
        }
    }

    #[test]
    fn a_short_secret_is_hidden_as_a_whole_and_the_shortest_is_none() {
        assert_eq!(
            hiding("sesam").hidden_in_text("sesam sesa"),
            "[hidden] sesa"
        );
        assert_eq!(hiding("key").hidden_in_text("a key"), "a key");
    }

    #[test]
    fn a_proxys_password_is_hidden_as_it_is_written_and_as_it_is_sent() {
        let mut secrets = Secrets::default();
        secrets.add_proxy("http://user:pa%24sw%40rd@proxy:3128");
        let sent = STANDARD_NO_PAD.encode("user:pa$sw@rd");
        for form in ["pa%24sw%40rd", "pa$sw@rd", &sent] {
            assert_eq!(secrets.hidden_in_text(form), HIDDEN, "{form}");
        }
        let mut none = Secrets::default();
        none.add_proxy("http://proxy:3128");
        assert_eq!(
            none.hidden_in_text("http://proxy:3128"),
            "http://proxy:3128"
        );
    }

    #[test]
    fn what_is_no_text_is_left_as_it_is() {
        let bytes = [0xff, 0x00, b'a', 0xc3];
        assert_eq!(hiding(KEY).hidden_in(&bytes), bytes);
        assert_eq!(percent_decoded("%zz%4%41%"), b"%zz%4A%");
    }
}
