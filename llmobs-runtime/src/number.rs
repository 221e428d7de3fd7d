//! Numbers as they were given: an integer stays an integer on the wire.

use serde_json::Value;

/// A number for a metric or a score. Integers are kept as they are, floats too; a NaN or
/// an infinity is refused where the number is used, with an error that names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub(crate) Repr);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Repr {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

impl Number {
    /// The two together: an integer, the largest at most, where both are.
    #[allow(clippy::cast_precision_loss, reason = "one of them is a float already")]
    pub(crate) fn plus(self, other: Self) -> Self {
        let unsigned = |number: Self| match number.0 {
            Repr::Unsigned(number) => Some(number),
            Repr::Signed(number) => u64::try_from(number).ok(),
            Repr::Float(_) => None,
        };
        let float = |number: Self| match number.0 {
            Repr::Unsigned(number) => number as f64,
            Repr::Signed(number) => number as f64,
            Repr::Float(number) => number,
        };
        Self(match (unsigned(self), unsigned(other), self.0, other.0) {
            (Some(one), Some(other), ..) => Repr::Unsigned(one.saturating_add(other)),
            (.., Repr::Signed(one), Repr::Signed(other)) => Repr::Signed(one.saturating_add(other)),
            _ => Repr::Float(float(self) + float(other)),
        })
    }

    /// The JSON form; `None` for NaN and the infinities, which JSON does not have.
    pub(crate) fn to_json(self) -> Option<Value> {
        match self.0 {
            Repr::Signed(number) => Some(number.into()),
            Repr::Unsigned(number) => Some(number.into()),
            Repr::Float(number) => serde_json::Number::from_f64(number).map(Value::Number),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Repr::Signed(number) => number.fmt(f),
            Repr::Unsigned(number) => number.fmt(f),
            Repr::Float(number) => number.fmt(f),
        }
    }
}

macro_rules! from {
    ($($variant:ident: $($ty:ty)*;)*) => {$($(
        impl From<$ty> for Number {
            fn from(number: $ty) -> Self {
                Self(Repr::$variant(number.into()))
            }
        }
    )*)*};
}

from! {
    Signed: i8 i16 i32 i64;
    Unsigned: u8 u16 u32 u64;
    Float: f32 f64;
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self(Repr::Unsigned(u64::try_from(number).unwrap_or(u64::MAX)))
    }
}

impl From<isize> for Number {
    fn from(number: isize) -> Self {
        Self(Repr::Signed(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}
