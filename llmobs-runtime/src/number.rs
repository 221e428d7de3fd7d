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

/// `number` as the shortest decimal that is it says: 0.7 for what is 0.699999988079071 once
/// it is widened.
pub(crate) fn widened(number: f32) -> f64 {
    const FRACTION: u32 = (1 << 23) - 1;
    let wide = f64::from(number);
    // A vector may have thousands of them: most need no text. Between powers of two the
    // nearest decimal of so many digits is the shortest one.
    if number.to_bits() & FRACTION != 0 && (1e-3..1e6).contains(&wide.abs()) {
        for power in [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9] {
            let decimal = (wide * power).round() / power;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::float_cmp,
                reason = "whether it comes back as the very number is the question"
            )]
            if decimal as f32 == number {
                return decimal;
            }
        }
    }
    number.to_string().parse().unwrap_or(wide)
}

/// `value` as JSON. `serde_json` widens an `f32`, so that its decimals are no longer its own:
/// they are taken back where the type says that it holds some.
pub(crate) fn json<V: Into<Value>>(value: V) -> Value {
    let mut value = value.into();
    let may_be_narrow = match &value {
        Value::Number(number) => number.is_f64(),
        Value::Array(_) => true,
        _ => false,
    };
    if may_be_narrow {
        let mut words = std::any::type_name::<V>().split(['<', '>', '[', ';', ' ', ',', '&']);
        if words.any(|word| word == "f32") {
            narrow(&mut value);
        }
    }
    value
}

fn narrow(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let wide = number.as_f64().unwrap_or_default();
            #[allow(
                clippy::cast_possible_truncation,
                clippy::float_cmp,
                reason = "whether it was one is the question"
            )]
            if f64::from(wide as f32) == wide {
                *value = widened(wide as f32).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(narrow),
        _ => {}
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
    Float: f64;
}

/// The shortest decimal that is the number: 0.7 stays 0.7.
impl From<f32> for Number {
    fn from(number: f32) -> Self {
        Self(Repr::Float(widened(number)))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_number_has_the_decimals_of_its_own_type() {
        let mut random = fastrand::Rng::with_seed(5);
        let fixed = [
            0.7,
            0.1,
            -0.3,
            1e-7,
            1.5e10,
            16_777_216.0,
            0.0,
            -0.0,
            f32::MIN_POSITIVE,
            f32::MAX,
            f32::EPSILON,
            1.0 / 3.0,
            123_456.79,
        ];
        let near = (0..200_000)
            .map(|_| random.f32() * 2.0 - 1.0)
            .collect::<Vec<_>>();
        let any = (0..200_000)
            .map(|_| f32::from_bits(random.u32(..)))
            .collect::<Vec<_>>();
        for number in fixed.into_iter().chain(near).chain(any) {
            if number.is_finite() {
                let own: f64 = number.to_string().parse().unwrap();
                assert_eq!(widened(number).to_bits(), own.to_bits(), "{number}");
            }
        }
        assert!(widened(f32::NAN).is_nan());
        assert_eq!(
            widened(f32::NEG_INFINITY).to_bits(),
            f64::NEG_INFINITY.to_bits()
        );
    }

    #[test]
    fn json_of_a_narrow_number_has_its_decimals_and_other_json_stays() {
        let text = |value: Value| value.to_string();
        assert_eq!(text(json(0.7_f32)), "0.7");
        assert_eq!(text(json(Some(0.7_f32))), "0.7");
        assert_eq!(text(json(vec![0.7_f32, 2.0])), "[0.7,2.0]");
        assert_eq!(text(json(0.1_f32 + 0.2)), text(json(0.3_f32)));
        let wide = f64::from(0.7_f32);
        assert_eq!(text(json(wide)), "0.699999988079071");
        assert_eq!(text(json(f32::NAN)), "null");
        assert_eq!(Number::from(0.7_f32).to_string(), "0.7");
    }
}
