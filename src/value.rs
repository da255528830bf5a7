//! The values of fields, and the one match that decides what a value is worth as a
//! measurement.

use std::error::Error;
use std::fmt;

use crate::kind::Kind;
use crate::problem::Reason;

mod amount;
mod form;

pub(crate) use amount::Amount;
pub use form::TextValue;
pub(crate) use form::ValueForm;

/// A field's value, before anybody has decided what it is for.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Bool(bool),
    Str(&'a str),
    /// What `%value` and `?value` record.
    Text(&'a dyn fmt::Debug),
    Error(&'a (dyn Error + 'static)),
}

/// What the value is worth as a measurement of an instrument.
///
/// Every pair of kind and type is decided here, and nowhere else. Measurements
/// are `f64`, exact for integers up to 2^53, so that an integer and a float of
/// one name feed one instrument.
#[allow(
    clippy::cast_precision_loss,
    reason = "beyond 2^53 the nearest f64 is the measurement"
)]
#[inline]
pub(crate) fn measurement(kind: Kind, value: &Value<'_>) -> Result<f64, Reason> {
    let number = match *value {
        Value::I64(v) => v as f64,
        Value::U64(v) => v as f64,
        Value::I128(v) => i128_to_f64(v),
        Value::U128(v) => u128_to_f64(v),
        Value::F64(v) if v.is_finite() => v,
        Value::F64(_) => return Err(Reason::NotFinite),
        Value::Bool(_) | Value::Str(_) | Value::Text(_) | Value::Error(_) => {
            return Err(Reason::NotANumber);
        }
    };
    match kind {
        Kind::Counter if number < 0.0 => Err(Reason::Negative),
        Kind::Counter | Kind::UpDownCounter | Kind::Gauge | Kind::Histogram => Ok(number),
    }
}

// Not within its caller: together with the other types the compiler would convert all of them
// as 128 bits.
#[cold]
#[allow(clippy::cast_precision_loss, reason = "the nearest f64")]
fn i128_to_f64(value: i128) -> f64 {
    value as f64
}

#[cold]
#[allow(clippy::cast_precision_loss, reason = "the nearest f64")]
fn u128_to_f64(value: u128) -> f64 {
    value as f64
}

impl Value<'_> {
    /// What kind of value this is, where it does not show.
    pub(crate) const fn how_recorded(&self) -> &'static str {
        match self {
            Self::Text(_) => ", recorded as text with `?` or `%`",
            Self::Str(_) => ", a text",
            Self::Bool(_) => ", a boolean",
            Self::Error(_) => ", an error",
            Self::I64(_) | Self::U64(_) | Self::I128(_) | Self::U128(_) | Self::F64(_) => "",
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I64(v) => v.fmt(f),
            Self::U64(v) => v.fmt(f),
            Self::I128(v) => v.fmt(f),
            Self::U128(v) => v.fmt(f),
            Self::F64(v) => v.fmt(f),
            Self::Bool(v) => v.fmt(f),
            Self::Str(v) => v.fmt(f),
            Self::Text(v) => v.fmt(f),
            Self::Error(v) => v.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 4] = [
        Kind::Counter,
        Kind::UpDownCounter,
        Kind::Gauge,
        Kind::Histogram,
    ];

    #[test]
    fn every_width_of_integer_measures_on_every_kind() {
        for kind in KINDS {
            for value in [
                Value::I64(7),
                Value::U64(7),
                Value::I128(7),
                Value::U128(7),
                Value::F64(7.0),
            ] {
                assert_eq!(measurement(kind, &value), Ok(7.0), "{kind} {value}");
            }
        }
    }

    #[test]
    fn only_a_counter_refuses_what_is_negative() {
        for value in [Value::I64(-1), Value::I128(-1), Value::F64(-0.5)] {
            assert_eq!(measurement(Kind::Counter, &value), Err(Reason::Negative));
            for kind in &KINDS[1..] {
                assert!(measurement(*kind, &value).is_ok(), "{kind} {value}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_never_turned_into_one() {
        let error = std::io::Error::other("1");
        for kind in KINDS {
            for value in [
                Value::Bool(true),
                Value::Str("1"),
                Value::Text(&1),
                Value::Error(&error),
            ] {
                assert_eq!(measurement(kind, &value), Err(Reason::NotANumber));
            }
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let value = Value::F64(value);
                assert_eq!(measurement(kind, &value), Err(Reason::NotFinite));
            }
        }
    }

    #[test]
    fn the_widest_integers_do_not_wrap() {
        assert_eq!(
            measurement(Kind::Counter, &Value::U64(u64::MAX)),
            Ok(18_446_744_073_709_551_615.0)
        );
        assert_eq!(
            measurement(Kind::Gauge, &Value::I64(i64::MIN)),
            Ok(-9_223_372_036_854_775_808.0)
        );
        assert!(measurement(Kind::Counter, &Value::U128(u128::MAX)).is_ok_and(|v| v > 3.4e38));
    }
}
