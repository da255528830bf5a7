//! The errors of starting and of ending.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use super::variables::{Signal, Variable};
use crate::error::{BuildError, Source, Sources};

/// Why nothing was set up. Its text names the culprit: the environment variable, for
/// what an operator has written. What something else said of it is its source.
///
/// ```text
/// invalid OTEL_TRACES_EXPORTER: `zipkin` is none of otlp, console, none
/// ```
pub struct SetupError(Box<Cause>);

pub(super) enum Cause {
    Variable {
        name: &'static str,
        why: String,
        source: Option<Source>,
    },
    Exporter {
        of: Signal,
        source: Source,
    },
    Listen {
        address: SocketAddr,
        source: Source,
    },
    Meter(BuildError),
    Runtime(std::io::Error),
    AlreadySet,
}

impl SetupError {
    pub(super) fn variable(of: &Variable, why: impl Into<String>) -> Self {
        let (name, why, source) = (of.name(), why.into(), None);
        Cause::Variable { name, why, source }.into()
    }

    /// Of a value that something else has refused.
    pub(super) fn value(of: &Variable, value: &str, source: impl Into<Source>) -> Self {
        let (name, why) = (of.name(), format!("`{value}`"));
        let source = Some(source.into());
        Cause::Variable { name, why, source }.into()
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
            Cause::Variable { name, why, .. } => write!(f, "invalid {name}: {why}"),
            Cause::Exporter { of, .. } => write!(f, "no exporter of {}", of.name()),
            Cause::Listen { address, .. } => {
                write!(f, "the Prometheus endpoint cannot listen on {address}")
            }
            Cause::Meter(_) => f.write_str("invalid configuration of the measuring layer"),
            Cause::Runtime(_) => f.write_str("no thread for the exporters"),
            Cause::AlreadySet => {
                f.write_str("the process has a global subscriber, logger or propagator already")
            }
        }
    }
}

/// As `Display`, with the sources: it is what a `main` that returns the error prints.
impl fmt::Debug for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}{}", Sources(self))
    }
}

impl Error for SetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Cause::Variable { source, .. } => Some(&**source.as_ref()?),
            Cause::Exporter { source, .. } | Cause::Listen { source, .. } => Some(&**source),
            Cause::Meter(error) => Some(error),
            Cause::Runtime(error) => Some(error),
            Cause::AlreadySet => None,
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

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::io;
    use std::num::ParseIntError;

    use http::uri::InvalidUri;
    use opentelemetry_sdk::Resource;
    use tracing_subscriber::filter::ParseError;

    use super::*;
    use crate::setup::background::Background;
    use crate::setup::config::{Config, Defaults};
    use crate::setup::environment::Environment;
    use crate::setup::prometheus::Endpoint;
    use crate::setup::{conventions, subscriber};
    use crate::{Boundaries, MeterLayerBuilder, SemanticConventions};

    /// What is wrong with a variable.
    fn error_of(name: &str, value: &str) -> SetupError {
        let variable = |it: &str| (it == name).then(|| OsString::from(value));
        let env = Environment::new(&variable);
        let code = Defaults {
            metrics: "otlp,prometheus".to_owned(),
            ..Defaults::default()
        };
        let read = || {
            Config::read(&env, &code)?;
            subscriber::log_filter(&env)?;
            let (conventions, meter) = (SemanticConventions::new(), MeterLayerBuilder::new());
            let _ = conventions::add(&env, conventions, &Resource::builder_empty().build(), meter)?;
            Ok(())
        };
        read().unwrap_err()
    }

    /// All that an error comes from. No text of ours repeats what the next one says, and what
    /// is printed of the error says all of them.
    fn sources(error: &SetupError) -> Vec<&(dyn Error + 'static)> {
        let mut all = Vec::new();
        let mut outer: &dyn Error = error;
        while let Some(source) = outer.source() {
            let is_ours = outer.is::<SetupError>() || outer.is::<BuildError>();
            let repeats = outer.to_string().contains(&source.to_string());
            assert!(!(is_ours && repeats), "{outer}");
            assert!(format!("{error:?}").contains(&source.to_string()));
            all.push(source);
            outer = source;
        }
        all
    }

    #[test]
    fn a_value_that_cannot_be_read_is_refused_with_the_reason_of_its_reader() {
        let number = error_of("OTEL_BSP_MAX_QUEUE_SIZE", "many");
        assert!(sources(&number)[0].is::<ParseIntError>());
        // Which is refused before it is looked for.
        let host = error_of("OTEL_EXPORTER_PROMETHEUS_HOST", "no\0host");
        assert!(sources(&host)[0].is::<io::Error>());
        let endpoint = error_of("OTEL_EXPORTER_OTLP_ENDPOINT", "http://");
        assert!(sources(&endpoint)[0].is::<InvalidUri>());
        let filter = error_of("RUST_LOG", "my_app=loud");
        assert!(sources(&filter)[0].is::<ParseError>());
        let printed = format!("{filter:?}");
        assert_eq!(
            printed.matches("error parsing level filter").count(),
            1,
            "{printed}"
        );
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_certificate_that_cannot_be_read_is_refused_with_what_the_system_says() {
        let file = error_of("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/ca.pem");
        assert!(sources(&file)[0].is::<io::Error>());
    }

    #[cfg(feature = "toml")]
    #[test]
    fn a_file_of_rules_is_refused_with_each_reason_of_the_next() {
        let rules = error_of("TRACING_METER_RULES", "/no/such/rules.toml");
        assert_eq!(rules.invalid_variable(), Some("TRACING_METER_RULES"));
        let sources = sources(&rules);
        assert!(sources[0].is::<BuildError>());
        assert!(sources[1].is::<io::Error>());
    }

    #[test]
    fn what_cannot_be_built_is_refused_with_its_reason() {
        let meter = crate::builder().directives("my_app=loud");
        let meter = meter.build::<tracing_subscriber::Registry>().unwrap_err();
        let meter = SetupError::from(meter);
        assert!(sources(&meter)[0].is::<BuildError>());
        let runtime = SetupError::from(Cause::Runtime(io::Error::other("no more threads")));
        assert!(sources(&runtime)[0].is::<io::Error>());
    }

    #[test]
    fn an_address_that_is_taken_is_refused_with_what_the_system_says() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, background) = (taken.local_addr().unwrap(), Background::start().unwrap());
        let resource = Resource::builder_empty().build();
        let endpoint = Endpoint::listen(address, &Boundaries::new(), &resource, &background);
        let error = endpoint.err().unwrap();
        assert!(error.is_listen());
        assert_eq!(sources(&error).len(), 1);
    }
}
