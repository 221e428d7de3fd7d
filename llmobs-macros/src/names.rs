//! The names that arguments have, who may use them, and which one was meant.

use std::fmt;

use proc_macro2::Ident;
use syn::ext::IdentExt as _;

use crate::kind::Kind;

/// An argument of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Name,
    ModelName,
    ModelProvider,
    Version,
    SessionId,
    MlApp,
    AgentService,
    Tags,
    Metadata,
    Input,
    Output,
    CaptureInput,
    CaptureOutput,
    Skip,
    Stream,
    Future,
    Crate,
}

/// What stands behind the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `= expr`
    Value,
    /// `(…)`
    List,
    /// Nothing.
    Word,
}

impl Key {
    pub(crate) const ALL: [Self; 17] = [
        Self::Name,
        Self::ModelName,
        Self::ModelProvider,
        Self::Version,
        Self::SessionId,
        Self::MlApp,
        Self::AgentService,
        Self::Tags,
        Self::Metadata,
        Self::Input,
        Self::Output,
        Self::CaptureInput,
        Self::CaptureOutput,
        Self::Skip,
        Self::Stream,
        Self::Future,
        Self::Crate,
    ];

    pub(crate) fn of(ident: &Ident) -> Option<Self> {
        let name = ident.unraw();
        Self::ALL.into_iter().find(|key| name == key.name())
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::ModelName => "model_name",
            Self::ModelProvider => "model_provider",
            Self::Version => "version",
            Self::SessionId => "session_id",
            Self::MlApp => "ml_app",
            Self::AgentService => "agent_service",
            Self::Tags => "tags",
            Self::Metadata => "metadata",
            Self::Input => "input",
            Self::Output => "output",
            Self::CaptureInput => "capture_input",
            Self::CaptureOutput => "capture_output",
            Self::Skip => "skip",
            Self::Stream => "stream",
            Self::Future => "future",
            Self::Crate => "crate",
        }
    }

    pub(crate) fn form(self) -> Form {
        match self {
            Self::Tags | Self::Metadata | Self::Skip => Form::List,
            Self::Stream | Self::Future => Form::Word,
            _ => Form::Value,
        }
    }

    /// How it is written.
    pub(crate) fn usage(self) -> String {
        match self {
            Self::Tags | Self::Metadata => format!("`{self}(key = value)`"),
            Self::Skip => "`skip(argument)`".to_owned(),
            Self::Stream | Self::Future => format!("`{self}` alone"),
            Self::CaptureInput | Self::CaptureOutput => format!("`{self} = true` or `false`"),
            Self::Output => "`output = |returned| …`".to_owned(),
            Self::Crate => "`crate = path`".to_owned(),
            _ => format!("`{self} = …`"),
        }
    }

    pub(crate) fn allowed(self, kind: Kind) -> bool {
        match self {
            Self::ModelName | Self::ModelProvider => kind.has_model(),
            Self::Version => kind.has_version(),
            _ => true,
        }
    }

    pub(crate) fn not_allowed(self, kind: Kind) -> String {
        let whose = match self {
            Self::Version => "`#[agent]` has one",
            _ => "`#[llm]` and `#[embedding]` call a model",
        };
        format!("`#[{}]` takes no `{self}`: only {whose}", kind.name())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The nearest of `names`, if it is near enough to have been meant.
pub(crate) fn suggestion<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let aliases = [
        ("model", "model_name"),
        ("provider", "model_provider"),
        ("session", "session_id"),
        ("tag", "tags"),
        ("ignore", "skip"),
        ("app", "ml_app"),
        ("skip_all", "capture_input"),
        ("ret", "capture_output"),
        ("fields", "metadata"),
    ];
    let alias = aliases.iter().find(|(alias, _)| *alias == name);
    if let Some((_, meant)) = alias {
        return names.iter().copied().find(|name| name == meant);
    }
    let nearest = names
        .iter()
        .map(|&other| (distance(&name, other), other))
        .min()?;
    // Half of the letters may be wrong (two that changed places are two); more is another word.
    (nearest.0 * 2 <= name.len()).then_some(nearest.1)
}

/// The number of letters to add, drop or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant_and_another_word_finds_none() {
        let names: Vec<&str> = Key::ALL.into_iter().map(Key::name).collect();
        for (wrong, meant) in [
            ("modle_name", Some("model_name")),
            ("model", Some("model_name")),
            ("Name", Some("name")),
            ("nmae", Some("name")),
            ("sesion_id", Some("session_id")),
            ("capture_inputs", Some("capture_input")),
            ("temperature", None),
            ("x", None),
        ] {
            assert_eq!(suggestion(wrong, &names), meant, "{wrong}");
        }
    }

    #[test]
    fn the_distance_counts_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("name", "name"), 0);
    }
}
