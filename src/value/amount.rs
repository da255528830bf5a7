//! A measurement, as it was read.

use super::Value;

/// A measurement of an instrument: a small whole number, or any other.
///
/// Whole numbers are the most frequent ones, and add up exactly. Two scalars, not an
/// `enum`: that would be copied in one piece while its parts are on their way to memory,
/// which stalls the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount {
    /// The number, or the bits of an `f64`.
    bits: u64,
    is_whole: bool,
}

impl Amount {
    pub(crate) const ONE: Self = Self::whole(1);
    pub(crate) const MINUS_ONE: Self = Self::other(-1.0);

    /// The value's worth, if it is a number that every instrument takes: most are, and no
    /// kind has to be asked about them.
    #[inline(always)]
    pub(crate) fn of_any_kind(value: &Value<'_>) -> Option<Self> {
        match *value {
            Value::U64(v) => u32::try_from(v).ok().map(Self::whole),
            Value::I64(v) => u32::try_from(v).ok().map(Self::whole),
            Value::F64(v) if (0.0..f64::INFINITY).contains(&v) => Some(v.into()),
            _ => None,
        }
    }

    /// The number, if it is whole and has 32 bits at most: a fraction or a large number
    /// would be rounded in a sum, or would have others rounded, for good.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "it came from 32 bits")]
    pub(crate) const fn as_whole(self) -> Option<u32> {
        if self.is_whole {
            Some(self.bits as u32)
        } else {
            None
        }
    }

    #[inline(always)]
    pub(crate) fn to_f64(self) -> f64 {
        match self.as_whole() {
            Some(whole) => f64::from(whole),
            None => f64::from_bits(self.bits),
        }
    }

    /// Its parts, to be kept one by one.
    #[inline(always)]
    pub(crate) const fn to_parts(self) -> (u64, bool) {
        (self.bits, self.is_whole)
    }

    #[inline(always)]
    pub(crate) const fn from_parts((bits, is_whole): (u64, bool)) -> Self {
        Self { bits, is_whole }
    }

    const fn whole(value: u32) -> Self {
        Self {
            bits: value as u64,
            is_whole: true,
        }
    }

    const fn other(value: f64) -> Self {
        Self {
            bits: value.to_bits(),
            is_whole: false,
        }
    }
}

impl From<f64> for Amount {
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whether anything is lost is what is asked"
    )]
    fn from(value: f64) -> Self {
        // Not by `fract`, which is a call where the processor may be an old one.
        let whole = value as u32;
        // By their bits: a negative zero stays one.
        if f64::from(whole).to_bits() == value.to_bits() {
            Self::whole(whole)
        } else {
            Self::other(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back_as_it_was() {
        let most = f64::from(u32::MAX);
        for value in [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            most,
            most + 1.0,
            f64::MAX,
            f64::MIN_POSITIVE,
        ] {
            let amount = Amount::from(value);
            assert_eq!(amount.to_f64().to_bits(), value.to_bits(), "{value}");
            assert_eq!(Amount::from_parts(amount.to_parts()), amount);
        }
        assert!(Amount::from(f64::NAN).to_f64().is_nan());
    }

    #[test]
    fn only_what_adds_up_exactly_is_whole() {
        let most = f64::from(u32::MAX);
        for (value, whole) in [
            (0.0, Some(0)),
            (7.0, Some(7)),
            (most, Some(u32::MAX)),
            (most + 1.0, None),
            (0.5, None),
            (-1.0, None),
        ] {
            assert_eq!(Amount::from(value).as_whole(), whole, "{value}");
        }
        assert_eq!(Amount::ONE.as_whole(), Some(1));
        assert_eq!(Amount::MINUS_ONE, Amount::from(-1.0));
    }

    #[test]
    fn what_a_kind_may_refuse_is_not_of_any_kind() {
        let large = u64::from(u32::MAX) + 1;
        for value in [
            Value::I64(-1),
            Value::F64(-0.5),
            Value::F64(f64::NAN),
            Value::F64(f64::INFINITY),
            Value::U64(large),
            Value::Bool(true),
            Value::Str("1"),
        ] {
            assert_eq!(Amount::of_any_kind(&value), None, "{value}");
        }
        for value in [Value::I64(7), Value::U64(7), Value::F64(7.0)] {
            assert_eq!(Amount::of_any_kind(&value), Some(7.0.into()), "{value}");
        }
    }
}
