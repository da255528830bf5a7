//! How a field's number is written.

use super::{Value, measurement};
use crate::cut::format_cut;
use crate::kind::Kind;
use crate::problem::Reason;

/// How a field's number is written, and what it is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ValueForm {
    pub(crate) text: Option<TextValue>,
    pub(crate) scale: f64,
}

/// What a text says, where it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TextValue {
    /// A number, as Rust writes it: `17`, `-0.5`, `1e3`.
    Number,
    /// A duration in one part or several, as its `Debug` writes it, `1.5ms`, or as people
    /// do, `1 min 30 s`. The measurement is in seconds.
    Duration,
}

/// The longest text that is read, in bytes.
const MAX_TEXT: usize = 64;

impl ValueForm {
    pub(crate) const PLAIN: Self = Self {
        text: None,
        scale: 1.0,
    };

    /// What the value is worth as a measurement of an instrument.
    pub(crate) fn measurement(self, kind: Kind, value: &Value<'_>) -> Result<f64, Reason> {
        let number = match (self.text, value) {
            (Some(form), Value::Str(_) | Value::Text(_)) => {
                // One byte more shows that it is longer.
                let text = format_cut(value, MAX_TEXT + 1);
                let text = Some(text).filter(|text| text.len() <= MAX_TEXT);
                let parsed = text.and_then(|text| form.parse(&text));
                parsed.ok_or(Reason::NotANumber)?
            }
            // Of either sign: the scale may turn it.
            _ => measurement(Kind::Gauge, value)?,
        };
        measurement(kind, &Value::F64(number * self.scale))
    }
}

impl TextValue {
    fn parse(self, text: &str) -> Option<f64> {
        match self {
            Self::Number => text.trim().parse().ok(),
            Self::Duration => seconds(text),
        }
    }
}

fn seconds(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    while !rest.is_empty() {
        let number_ends = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at(number_ends);
        let after = after.trim_start();
        let is_unit = |c: char| c.is_alphabetic();
        let unit_ends = after.find(|c| !is_unit(c)).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_ends);
        sum += number.parse::<f64>().ok()? * in_seconds(unit)?;
        rest = after.trim_start();
    }
    (!text.trim().is_empty()).then_some(sum)
}

fn in_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        // Both letters that are written for micro.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ms" => 1e-3,
        "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_duration_is_read_as_its_debug_writes_it() {
        for nanos in [0, 1, 999, 1_500, 2_000_000, 350_000_000, 90_000_000_000] {
            let duration = Duration::from_nanos(nanos);
            let read = seconds(&format!("{duration:?}")).unwrap();
            let expected = duration.as_secs_f64();
            assert!((read - expected).abs() <= 1e-12, "{duration:?}: {read}");
        }
    }

    #[test]
    fn a_duration_may_have_parts_and_blanks() {
        assert_eq!(seconds("1m 30s"), Some(90.0));
        assert_eq!(seconds(" 3 ms "), Some(0.003));
        assert_eq!(seconds("2h30min"), Some(9000.0));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", " ", "5", "ms", "-1s", "1 fortnight", "1..5s", "1s x"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_no_number() {
        let form = ValueForm {
            text: Some(TextValue::Duration),
            scale: 1.0,
        };
        let measured = |blanks: usize| {
            let text = format!("{}1500ms", " ".repeat(blanks));
            form.measurement(Kind::Histogram, &Value::Str(&text))
        };
        assert_eq!(measured(MAX_TEXT - 6), Ok(1.5));
        // Cut, it would be 1500 minutes.
        assert_eq!(measured(MAX_TEXT - 5), Err(Reason::NotANumber));
    }

    #[test]
    fn a_scale_counts_before_the_sign_is_judged() {
        let form = ValueForm {
            text: Some(TextValue::Number),
            scale: -0.5,
        };
        assert_eq!(form.measurement(Kind::Counter, &Value::Str("-3")), Ok(1.5));
        assert_eq!(
            form.measurement(Kind::Counter, &Value::I64(3)),
            Err(Reason::Negative)
        );
        assert_eq!(
            form.measurement(Kind::Gauge, &Value::Str("NaN")),
            Err(Reason::NotFinite)
        );
        assert_eq!(
            form.measurement(Kind::Gauge, &Value::Bool(true)),
            Err(Reason::NotANumber)
        );
    }
}
