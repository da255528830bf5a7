//! The layers of the process, in their order.

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_core::{LevelFilter, Subscriber};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use super::environment::Environment;
use super::error::{Cause, SetupError};
use crate::propagation;

/// `RUST_LOG`, which is for log lines alone: it must not change a number.
pub(super) fn log_filter(env: &Environment<'_>) -> Result<EnvFilter, SetupError> {
    const NAME: &str = "RUST_LOG";
    let directives = env.text(NAME)?;
    let directives = directives.as_deref().unwrap_or("info");
    let parsed = EnvFilter::builder().parse(directives);
    parsed.map_err(|why| SetupError::variable(NAME, format!("`{directives}`: {why}")))
}

/// Spans of the level INFO and above: the exporters themselves have others.
pub(super) fn trace_layer<S>(
    provider: Option<&SdkTracerProvider>,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let Some(provider) = provider else {
        return Box::new(propagation::pass_through());
    };
    let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("tracing"));
    Box::new(propagation::layer(otel).with_filter(LevelFilter::INFO))
}

/// Makes it the subscriber of the process, with log lines around it if there is a filter
/// for them.
pub(super) fn set_global<S>(subscriber: S, logs: Option<EnvFilter>) -> Result<(), SetupError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let set = match logs {
        None => subscriber.try_init(),
        Some(filter) => {
            let lines = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(std::io::stderr().is_terminal());
            let lines = propagation::with_trace_ids(lines).with_filter(filter);
            subscriber.with(lines).try_init()
        }
    };
    set.map_err(|_| Cause::AlreadySet.into())
}
