//! The layers of the process, in their order.

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_core::{LevelFilter, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::Identity;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::environment::Environment;
use super::error::SetupError;
use super::exports::COUNTED;
use super::variables::RUST_LOG;
use crate::propagation;

pub(super) type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// `RUST_LOG`, which is for log lines alone: it must not change a number.
pub(super) fn log_filter(env: &Environment<'_>) -> Result<EnvFilter, SetupError> {
    let directives = env.text(&RUST_LOG)?;
    let directives = directives.as_deref().unwrap_or("info");
    let parsed = EnvFilter::builder().parse(directives);
    parsed.map_err(|why| SetupError::value(&RUST_LOG, directives, why))
}

/// Layers of the application's.
pub(super) fn layers(mut layers: Vec<BoxedLayer<Registry>>) -> Vec<BoxedLayer<Registry>> {
    if layers.is_empty() {
        layers.push(nothing());
    }
    layers
}

/// A layer that says nothing of levels has no filter, or one that could as well say
/// nothing. Beneath layers with filters it would be taken to want what they want.
pub(super) fn filtered(layer: impl Layer<Registry> + Send + Sync) -> BoxedLayer<Registry> {
    if layer.max_level_hint().is_some() {
        return Box::new(layer);
    }
    Box::new(layer.with_filter(LevelFilter::TRACE))
}

/// Spans of the level INFO and above: the exporters themselves open spans below.
pub(super) fn trace_layer<S>(provider: Option<&SdkTracerProvider>) -> BoxedLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let Some(provider) = provider else {
        return Box::new(propagation::pass_through());
    };
    let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("tracing"));
    Box::new(propagation::layer(otel).with_filter(LevelFilter::INFO))
}

/// Log lines, if there is a filter for them.
pub(super) fn log_layer<S>(filter: Option<EnvFilter>) -> BoxedLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let Some(filter) = filter else {
        return nothing();
    };
    // A hint that lets everything through: without one there would be none.
    let is_line = filter_fn(|it| it.target() != COUNTED).with_max_level_hint(LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    Box::new(propagation::with_trace_ids(lines).with_filter(filter.and(is_line)))
}

/// An absent layer is one without a filter, which wants everything.
fn nothing<S>() -> BoxedLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    Box::new(Identity::new().with_filter(LevelFilter::OFF))
}
