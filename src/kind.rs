//! The four kinds of instruments.

use std::fmt;

/// What an instrument does with a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A sum that rises and falls, for example how many jobs are in flight.
    UpDownCounter,
    /// The last value that was set.
    Gauge,
    /// A distribution over buckets.
    Histogram,
}

impl Kind {
    /// The kind in one lower-case word, as the log sink writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::UpDownCounter => "up_down_counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
