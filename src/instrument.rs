//! What an instrument is: its name, kind, unit, help and boundaries, parsed once.

use std::sync::Arc;

use crate::kind::Kind;
use crate::prometheus_name;

/// The longest name that OpenTelemetry accepts.
const MAX_NAME: usize = 255;
/// The longest unit that OpenTelemetry accepts.
const MAX_UNIT: usize = 63;

/// An instrument as a [`Sink`](crate::Sink) sees it. It does not change any more.
#[derive(Clone, Debug)]
pub struct Instrument {
    name: MetricName,
    kind: Kind,
    unit: Option<Unit>,
    description: Option<Arc<str>>,
    boundaries: Arc<[f64]>,
    prometheus_name: Box<str>,
}

impl Instrument {
    pub(crate) fn new(name: MetricName, kind: Kind, unit: Option<Unit>) -> Self {
        let written = unit.as_ref().map(Unit::as_str);
        let prometheus_name = prometheus_name::of_metric(name.as_str(), kind, written).into();
        Self {
            name,
            kind,
            unit,
            description: None,
            boundaries: Arc::new([]),
            prometheus_name,
        }
    }

    pub(crate) fn with_description(mut self, description: Option<Arc<str>>) -> Self {
        self.description = description;
        self
    }

    pub(crate) fn with_boundaries(mut self, boundaries: Arc<[f64]>) -> Self {
        self.boundaries = boundaries;
        self
    }

    /// The name as it was written, for example `http.server.request.duration`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// What the instrument does with a measurement.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The unit in [UCUM](https://ucum.org) notation: `s`, `By`, `{request}`.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_ref().map(Unit::as_str)
    }

    /// The help text, if the program or the builder gave one.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The upper bounds of a histogram's buckets, ascending, without infinity.
    /// Empty for the other kinds.
    #[must_use]
    pub fn boundaries(&self) -> &[f64] {
        &self.boundaries
    }

    /// The name on a Prometheus scrape, the same that an OpenTelemetry
    /// collector makes of this instrument.
    #[must_use]
    pub fn prometheus_name(&self) -> &str {
        &self.prometheus_name
    }
}

/// A valid instrument name: an ASCII letter, then up to 254 letters, digits,
/// `_`, `.`, `-` and `/` (OpenTelemetry metrics API, "instrument name syntax").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MetricName(Arc<str>);

impl MetricName {
    pub(crate) fn parse(name: &str) -> Result<Self, InvalidName> {
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.len() > MAX_NAME {
            "it is longer than 255 characters"
        } else if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            "it does not start with an ASCII letter"
        } else if !name.chars().all(is_name_char) {
            "it holds something else than ASCII letters, digits, `_`, `.`, `-` and `/`"
        } else {
            return Ok(Self(name.into()));
        };
        Err(InvalidName(reason))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no instrument name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidName(pub(crate) &'static str);

/// A valid unit: at most 63 ASCII characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit(Arc<str>);

impl Unit {
    pub(crate) fn parse(unit: &str) -> Result<Self, InvalidUnit> {
        let reason = if unit.is_empty() {
            "it is empty"
        } else if unit.len() > MAX_UNIT {
            "it is longer than 63 characters"
        } else if !unit.chars().all(|c| c.is_ascii_graphic()) {
            "it holds something else than printable ASCII characters without blanks"
        } else {
            return Ok(Self(unit.into()));
        };
        Err(InvalidUnit(reason))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidUnit(pub(crate) &'static str);

pub(crate) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_opentelemetry_syntax() {
        for good in [
            "a",
            "http.server.request.duration",
            "a/b-c_d.e9",
            &"a".repeat(255),
        ] {
            assert!(MetricName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "9a",
            "_a",
            ".a",
            "a b",
            "a:b",
            "größe",
            &"a".repeat(256),
        ] {
            assert!(MetricName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn units_are_short_printable_ascii() {
        for good in ["s", "By", "{request}", "By/s", "%", "1"] {
            assert!(Unit::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "two words", "µs", "\n", &"s".repeat(64)] {
            assert!(Unit::parse(bad).is_err(), "{bad:?}");
        }
    }
}
