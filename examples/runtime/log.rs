//! Surface: log lines that clients ask for, counted by level whatever level is shown.

use std::str::FromStr;

use tracing::{debug, error, info, instrument, trace, warn};

#[derive(Clone, Copy)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl FromStr for Level {
    type Err = ();

    fn from_str(level: &str) -> Result<Self, ()> {
        Ok(match level {
            "trace" => Self::Trace,
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            _ => return Err(()),
        })
    }
}

/// It has a span of its own, because a tracer takes an ERROR line for the failure of the
/// span that it stands in, and a request that logs has not failed.
#[instrument(skip_all, name = "log")]
pub(crate) fn emit(level: Level, text: &str) {
    match level {
        Level::Trace => trace!(
            monotonic_counter.runtime_log_emissions = 1,
            level = "trace",
            "{text}"
        ),
        Level::Debug => debug!(
            monotonic_counter.runtime_log_emissions = 1,
            level = "debug",
            "{text}"
        ),
        Level::Info => info!(
            monotonic_counter.runtime_log_emissions = 1,
            level = "info",
            "{text}"
        ),
        Level::Warn => warn!(
            monotonic_counter.runtime_log_emissions = 1,
            level = "warn",
            "{text}"
        ),
        Level::Error => error!(
            monotonic_counter.runtime_log_emissions = 1,
            level = "error",
            "{text}"
        ),
    }
}

pub(crate) fn describe() {
    debug!(describe.runtime_log_emissions = "Log lines, of every level.");
}
