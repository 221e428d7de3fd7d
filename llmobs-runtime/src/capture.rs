//! Values of unknown types: the bounded serializer.
use crate::annotation::Io;
pub(crate) fn as_given<T: serde::Serialize + ?Sized>(value: &T) -> Io {
    serde_json::to_value(value).unwrap_or_default().into()
}

/// What stands in place of a value that must not leave.
pub(crate) const REDACTED: &str = "[redacted]";

/// A captured value as JSON.
pub(crate) fn serialize<T: serde::Serialize + ?Sized>(
    name: Option<&str>,
    value: &T,
) -> serde_json::Value {
    if name.is_some_and(|name| redacted_name(name, true)) {
        return REDACTED.into();
    }
    let to_value = std::panic::AssertUnwindSafe(|| serde_json::to_value(value).ok());
    std::panic::catch_unwind(to_value)
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// A captured value as the text of its `Debug`.
pub(crate) fn debug<T: std::fmt::Debug + ?Sized>(value: &T) -> String {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| format!("{value:?}")))
        .unwrap_or_default()
}

/// Whether a value of this name must not leave.
pub(crate) fn redacted_name(name: &str, is_string: bool) -> bool {
    matches!(name, "api_key" | "password" | "secret") || (is_string && name == "token")
}
