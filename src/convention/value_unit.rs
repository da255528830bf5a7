//! The units in which fields hold what is measured.

use super::Measure;

/// The unit in which a field holds a duration or a size.
///
/// Durations are measured in seconds (`s`), sizes in bytes (`By`).
///
/// ```
/// use tracing_meter::{Kind, Measure, ValueUnit};
///
/// let wait = Measure::field(Kind::Histogram, "job.wait", "wait_ms");
/// assert_eq!(
///     wait.clone().written_in(ValueUnit::Milliseconds),
///     wait.scale(0.001).unit("s"),
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueUnit {
    /// `s`
    Seconds,
    /// `ms`
    Milliseconds,
    /// `us`
    Microseconds,
    /// `ns`
    Nanoseconds,
    /// `B`
    Bytes,
    /// `KiB`, 1024 bytes
    Kibibytes,
    /// `MiB`, 1024 * 1024 bytes
    Mebibytes,
}

impl ValueUnit {
    /// All of them, with the words that rules in TOML have for them.
    #[cfg(feature = "toml")]
    pub(crate) const WORDS: [(&'static str, Self); 7] = [
        ("s", Self::Seconds),
        ("ms", Self::Milliseconds),
        ("us", Self::Microseconds),
        ("ns", Self::Nanoseconds),
        ("B", Self::Bytes),
        ("KiB", Self::Kibibytes),
        ("MiB", Self::Mebibytes),
    ];

    /// How many of the measured unit it is.
    const fn factor(self) -> f64 {
        match self {
            Self::Seconds | Self::Bytes => 1.0,
            Self::Milliseconds => 1e-3,
            Self::Microseconds => 1e-6,
            Self::Nanoseconds => 1e-9,
            Self::Kibibytes => 1024.0,
            Self::Mebibytes => 1024.0 * 1024.0,
        }
    }

    const fn measured(self) -> &'static str {
        match self {
            Self::Seconds | Self::Milliseconds | Self::Microseconds | Self::Nanoseconds => "s",
            Self::Bytes | Self::Kibibytes | Self::Mebibytes => "By",
        }
    }
}

impl Measure {
    /// Takes the field's value to be written in this unit, and measures it in seconds or
    /// bytes.
    pub fn written_in(self, unit: ValueUnit) -> Self {
        self.scale(unit.factor()).unit(unit.measured())
    }
}
