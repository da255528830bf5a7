//! The errors of starting and of ending.

use std::error::Error;
use std::fmt;

use super::variables::{Signal, Variable};
use crate::error::BuildError;

/// Why nothing was set up. Its text names the culprit: the environment variable, for
/// what an operator has written.
///
/// ```text
/// invalid OTEL_TRACES_EXPORTER: `zipkin` is none of otlp, console, none
/// ```
pub struct SetupError(Box<Cause>);

pub(super) enum Cause {
    Variable { name: &'static str, why: String },
    Exporter { of: Signal, why: String },
    Listen { address: String, why: String },
    Meter(BuildError),
    Runtime(std::io::Error),
    AlreadySet,
}

impl SetupError {
    pub(super) fn variable(of: &Variable, why: impl Into<String>) -> Self {
        let (name, why) = (of.name(), why.into());
        Cause::Variable { name, why }.into()
    }

    /// The environment variable whose value is not valid, or not known.
    #[must_use]
    pub fn invalid_variable(&self) -> Option<&str> {
        match &*self.0 {
            Cause::Variable { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whether an exporter could not be built.
    #[must_use]
    pub fn is_exporter(&self) -> bool {
        matches!(*self.0, Cause::Exporter { .. })
    }

    /// Whether nothing can listen at the address of the Prometheus endpoint: its port is
    /// taken, mostly.
    #[must_use]
    pub fn is_listen(&self) -> bool {
        matches!(*self.0, Cause::Listen { .. })
    }

    /// Why the measuring layer could not be built, if that is the cause.
    #[must_use]
    pub fn build_error(&self) -> Option<&BuildError> {
        match &*self.0 {
            Cause::Meter(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the process has a global subscriber, logger or propagator already.
    #[must_use]
    pub fn is_already_set(&self) -> bool {
        matches!(*self.0, Cause::AlreadySet)
    }
}

impl From<Cause> for SetupError {
    fn from(cause: Cause) -> Self {
        Self(Box::new(cause))
    }
}

impl From<BuildError> for SetupError {
    fn from(error: BuildError) -> Self {
        Cause::Meter(error).into()
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::Variable { name, why } => write!(f, "invalid {name}: {why}"),
            Cause::Exporter { of, why } => write!(f, "no exporter of {}: {why}", of.name()),
            Cause::Listen { address, why } => {
                write!(
                    f,
                    "the Prometheus endpoint cannot listen on {address}: {why}"
                )
            }
            Cause::Meter(error) => error.fmt(f),
            Cause::Runtime(error) => write!(f, "no thread for the exporters: {error}"),
            Cause::AlreadySet => {
                f.write_str("the process has a global subscriber, logger or propagator already")
            }
        }
    }
}

/// As `Display`: it is what a `main` that returns the error prints.
impl fmt::Debug for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for SetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Cause::Runtime(error) => Some(error),
            _ => None,
        }
    }
}

/// What was not exported when the telemetry of a process ended.
pub struct ShutdownError {
    pub(super) traces: Option<String>,
    pub(super) metrics: Option<String>,
}

impl ShutdownError {
    /// Why spans were lost, if any were.
    #[must_use]
    pub fn traces(&self) -> Option<&str> {
        self.traces.as_deref()
    }

    /// Why the last metrics were not exported, if they were not.
    #[must_use]
    pub fn metrics(&self) -> Option<&str> {
        self.metrics.as_deref()
    }
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let traces = self.traces.as_ref().map(|why| format!("traces: {why}"));
        let metrics = self.metrics.as_ref().map(|why| format!("metrics: {why}"));
        let all = traces.into_iter().chain(metrics).collect::<Vec<_>>();
        write!(f, "telemetry was lost: {}", all.join("; "))
    }
}

/// As `Display`: it is what a `main` that returns the error prints.
impl fmt::Debug for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ShutdownError {}
