//! What is said about a wrong configuration: an error stops `enable`, a warning lets it go on with
//! a default.

use std::fmt;

/// A configuration that cannot be used; it names the variable or the setter, its value and what is
/// allowed.
///
/// It never holds an API key, the value of a header, or a password that a URL contains.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value is not one of those that are allowed.
    #[error("{name} is {value:?}; it must be {allowed}")]
    Invalid {
        /// The environment variable, or the setter of [`Config`](crate::Config).
        name: &'static str,
        /// What it was set to, shortened when long.
        value: String,
        /// What it may be set to.
        allowed: &'static str,
    },
    /// An environment variable is not UTF-8.
    #[error("{name} is {value:?}, which is not UTF-8; it must be {allowed}")]
    NotUtf8 {
        /// The environment variable.
        name: &'static str,
        /// Its text, shortened when long, with U+FFFD in place of what cannot be read.
        value: String,
        /// What it may be set to.
        allowed: &'static str,
    },
    /// Delivery without an Agent was chosen, but there is no API key for it.
    #[error("{name} is {value:?}, which sends without an Agent; there must be {allowed}")]
    MissingApiKey {
        /// The variable or the setter that chose delivery without an Agent.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// Where the key is looked for.
        allowed: &'static str,
    },
    /// Delivery without an Agent was chosen for a site that does not offer LLM Observability.
    #[error("{name} is {value:?}, which cannot be sent to without an Agent; it must be {allowed}")]
    SiteWithoutProduct {
        /// `DD_SITE`, or the setter `site`.
        name: &'static str,
        /// The site.
        value: String,
        /// Which sites can be sent to.
        allowed: &'static str,
    },
    /// A text of certificates cannot be used.
    #[error("{name} {reason}; it must be {allowed}")]
    Certificate {
        /// The setter `ca_certificate_pem`.
        name: &'static str,
        /// What is wrong with it, such as which certificate of several; never a part of the text.
        reason: String,
        /// What it may be set to.
        allowed: &'static str,
    },
    /// The system gave no thread for the worker.
    #[error("the worker's thread could not be started: {reason}")]
    Worker {
        /// The system's words.
        reason: String,
    },
}

/// As `Display`: a `main` that returns the error shows its `Debug`.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ConfigError {
    pub(super) fn not_utf8(name: &'static str, value: &str) -> ConfigError {
        ConfigError::NotUtf8 {
            name,
            value: shortened(value),
            allowed: "UTF-8 text",
        }
    }

    pub(super) fn invalid(name: &'static str, value: &str, allowed: &'static str) -> ConfigError {
        let value = shortened(value);
        ConfigError::Invalid {
            name,
            value,
            allowed,
        }
    }
}

/// A variable whose value was not used, and what is used in its place.
///
/// [`Config::warnings`](crate::Config::warnings) lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigWarning {
    /// The environment variable, or the setter of [`Config`](crate::Config).
    pub name: &'static str,
    /// What it was set to, shortened when long.
    pub value: String,
    /// What it may be set to.
    pub allowed: &'static str,
    /// What is used in its place.
    pub used: String,
}

impl ConfigWarning {
    pub(super) fn new(
        name: &'static str,
        value: &str,
        allowed: &'static str,
        used: impl Into<String>,
    ) -> Self {
        let value = shortened(value);
        ConfigWarning {
            name,
            value,
            allowed,
            used: used.into(),
        }
    }
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigWarning {
            name,
            value,
            allowed,
            used,
        } = self;
        write!(
            f,
            "{name} is {value:?}; it should be {allowed}; using {used}"
        )
    }
}

/// The first 128 characters: a value that fills a screen hides the sentence around it.
fn shortened(value: &str) -> String {
    const SHOWN: usize = 128;
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
