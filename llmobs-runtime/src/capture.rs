//! Values of unknown types: the bounded serializer.
use crate::annotation::Io;
pub(crate) fn as_given<T: serde::Serialize + ?Sized>(value: &T) -> Io {
    serde_json::to_value(value).unwrap_or_default().into()
}
