//! Values of unknown types: the bounded serializer.
mod redact;

pub(crate) use redact::redacted_name;

use crate::annotation::Io;
pub(crate) fn as_given<T: serde::Serialize + ?Sized>(value: &T) -> Io {
    serde_json::to_value(value).unwrap_or_default().into()
}
