//! The value of an evaluation, whose type says what sort of metric it is.

use serde_json::{Map, Value};

use crate::capture;
use crate::number::Number;

/// The value of an evaluation; made by `From` out of numbers, text, bools and JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationValue(Repr);

#[derive(Clone, Debug, PartialEq)]
enum Repr {
    Score(Number),
    Categorical(String),
    Boolean(bool),
    Json(Map<String, Value>),
    /// JSON that is no metric: an array or null.
    Neither(Value),
}

/// A value that may be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CheckedValue {
    Score(Value),
    Categorical(String),
    Boolean(bool),
    Json(Map<String, Value>),
}

impl EvaluationValue {
    /// The value as it may be sent, or its text where it is no metric.
    pub(crate) fn checked(self) -> Result<CheckedValue, String> {
        Ok(match self.0 {
            Repr::Score(number) => {
                CheckedValue::Score(number.to_json().ok_or_else(|| number.to_string())?)
            }
            Repr::Categorical(text) => CheckedValue::Categorical(text),
            Repr::Boolean(flag) => CheckedValue::Boolean(flag),
            Repr::Json(map) => CheckedValue::Json(capture::bound_map(map)),
            Repr::Neither(value) => return Err(shortened(&capture::bound(value).to_string())),
        })
    }
}

/// The beginning of a value that is shown in an error.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl<T: Into<Number>> From<T> for EvaluationValue {
    fn from(number: T) -> Self {
        Self(Repr::Score(number.into()))
    }
}

macro_rules! from {
    ($($ty:ty: |$value:ident| $repr:expr;)*) => {$(
        impl From<$ty> for EvaluationValue {
            fn from($value: $ty) -> Self {
                Self($repr)
            }
        }
    )*};
}

from! {
    &str: |text| Repr::Categorical(text.to_owned());
    String: |text| Repr::Categorical(text);
    &String: |text| Repr::Categorical(text.clone());
    bool: |flag| Repr::Boolean(flag);
    Value: |value| match value {
        Value::Bool(flag) => Repr::Boolean(flag),
        Value::String(text) => Repr::Categorical(text),
        Value::Object(map) => Repr::Json(map),
        Value::Number(number) => Repr::Score(from_json(&number)),
        Value::Null | Value::Array(_) => Repr::Neither(value),
    };
}

fn from_json(number: &serde_json::Number) -> Number {
    if let Some(signed) = number.as_i64() {
        signed.into()
    } else if let Some(unsigned) = number.as_u64() {
        unsigned.into()
    } else {
        number.as_f64().unwrap_or(f64::NAN).into()
    }
}
