//! Metrics, and one trace across processes, from the `tracing` that you already write.
//!
//! `tracing-meter` is a [`tracing_subscriber::Layer`]. It recognises spans and
//! events by the names of their fields and turns them into counters, gauges,
//! in-flight counts and duration histograms, which leave through OpenTelemetry,
//! through the `metrics` facade to Prometheus, as log lines, or all at once. The
//! code that is measured depends on `tracing` alone.
//!
//! ```
//! use tracing::{info, instrument};
//! use tracing_subscriber::prelude::*;
//!
//! #[instrument(skip_all, fields(observe.job, label.queue = %queue))]
//! fn run_job(queue: &str) {
//!     info!(monotonic_counter.uploads = 1, region = "eu", "uploaded");
//! }
//!
//! let memory = tracing_meter::MemorySink::new();
//! let meter = tracing_meter::builder().sink(memory.clone()).build()?;
//! let subscriber = tracing_subscriber::registry()
//!     .with(tracing_subscriber::fmt::layer().with_filter(tracing_subscriber::filter::LevelFilter::WARN))
//!     .with(meter);
//! tracing::subscriber::with_default(subscriber, || run_job("low"));
//!
//! let measured = memory.snapshot();
//! assert_eq!(measured.value("uploads", &[("region", "eu")]), Some(1.0));
//! let ended = [("queue", "low"), ("outcome", "ok")];
//! assert_eq!(measured.value("job.calls", &ended), Some(1.0));
//! assert_eq!(measured.samples("job.duration", &ended).len(), 1);
//! assert_eq!(measured.value("job.in_flight", &[("queue", "low")]), Some(0.0));
//! # Ok::<(), tracing_meter::BuildError>(())
//! ```
//!
//! # What to write
//!
#![doc = include_str!("../docs/fields.md")]
//!
//! `#[instrument(fields(in_flight.jobs))]` takes a field without a value; in
//! `info_span!` its value is `tracing::field::Empty`. On an event the four that are
//! for spans are ordinary fields.
//!
//! An event's other fields are its labels, but for `message` and `log.*`. A
//! span's are not, since `#[instrument]` records every argument: name them in
//! [`span_labels`](MeterLayerBuilder::span_labels), or in
//! [`inherited_labels`](MeterLayerBuilder::inherited_labels) if they are to label
//! everything that is measured inside. What is measured when a span closes also has the
//! label `outcome`: `ok`, `error` or `panic`.
//!
//! # Words
//!
//! - A **callsite** is one `span!` or `event!` in the source.
//! - A [`Convention`] reads a callsite's metadata and says what it feeds.
//! - An [`Instrument`] has a name, a [`Kind`], a unit and a help text.
//! - A **series** is an instrument with one set of [`Labels`].
//! - A [`Sink`] is where measurements go, and a [`Handle`] a series in a sink.
//!
//! # Where to look
//!
//! - [`builder`] makes a [`MeterLayer`]; invalid configuration is a [`BuildError`].
#![cfg_attr(
    feature = "otel",
    doc = "- [`OtelSink`] records through OpenTelemetry."
)]
#![cfg_attr(
    feature = "metrics",
    doc = "- [`FacadeSink`] records through the `metrics` facade, to Prometheus."
)]
//! - [`SemanticConventions`] and [`SpanMetrics`] measure spans that have no field of ours.
//! - [`Rules`] measure other people's crates, [`LogEmissions`] the log.
//! - [`LogSink`] writes lines, [`MemorySink`] is for tests.
//! - [`Boundaries`] are the buckets of histograms, the same for every exporter.
//! - [`MeterHandle`] lists what is measured, and each [`Problem`]. A [`Reconfiguration`]
//!   changes directives and conventions while the program runs.
#![cfg_attr(
    feature = "propagation",
    doc = "- [`propagation`] continues W3C traces on spans, and passes them on."
)]
#![cfg_attr(
    feature = "http",
    doc = "- [`http`] has server and client spans for HTTP and gRPC."
)]
#![cfg_attr(
    feature = "setup",
    doc = "- [`setup`] sets up all of this, for an application, as the environment says."
)]
//!
//! # What may be relied upon
//!
//! - `RUST_LOG` on another layer changes no number, and this layer enables no
//!   callsite for others that it does not measure itself.
//! - A value that cannot be measured is rejected, counted and listed with its
//!   file and line: never wrapped, and never turned into another number.
//! - One name has one kind and one unit. The first wins.
//! - What is in flight comes back to 0 on every way out: a return, `?`, a panic,
//!   a cancelled future.
//! - An instrument has a bounded number of series. What is over the bound is
//!   counted in one series, `otel.metric.overflow=true`.

mod boundaries;
mod callsites;
mod catalog;
mod clock;
mod convention;
mod cut;
mod directives;
mod error;
mod handle;
#[cfg(feature = "http")]
pub mod http;
mod instrument;
mod kind;
mod labels;
mod layer;
mod pending;
mod plan;
mod problem;
mod prometheus_name;
#[cfg(feature = "propagation")]
pub mod propagation;
mod reconfiguration;
mod reentrancy;
mod semconv;
mod series;
#[cfg(feature = "setup")]
pub mod setup;
mod silence;
mod sink;
mod sync;
mod value;

pub use boundaries::Boundaries;
pub use catalog::CatalogEntry;
pub use convention::{
    Condition, Convention, Feed, FieldConvention, LabelRule, LogEmissions, Measure, OptIn,
    OutcomeRule, Recipe, Rule, RuleLabel, Rules, SemanticConventions, SpanMetrics, TextValue,
    ValueUnit,
};
pub use error::BuildError;
pub use handle::MeterHandle;
pub use instrument::Instrument;
pub use kind::Kind;
pub use labels::{Label, LabelValue, Labels};
pub use layer::{MeterLayer, MeterLayerBuilder};
pub use pending::Flusher;
pub use problem::{Location, Problem, Reason};
pub use reconfiguration::Reconfiguration;
#[cfg(feature = "metrics")]
pub use sink::FacadeSink;
#[cfg(feature = "otel")]
pub use sink::OtelSink;
pub use sink::{Handle, LogSink, MemorySink, Sink, SinkProblems, Snapshot};

/// The README's programs compile.
#[cfg(all(
    doctest,
    feature = "otel",
    feature = "prometheus",
    feature = "axum",
    feature = "tower",
    feature = "setup"
))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guides' programs compile, and say what they assert.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../docs/conventions.md")]
    struct Conventions;
    #[cfg(feature = "toml")]
    #[doc = include_str!("../docs/rules.md")]
    struct Rules;
}

/// A builder of a [`MeterLayer`] that measures by the names of fields.
pub fn builder() -> MeterLayerBuilder {
    MeterLayerBuilder::new()
}
