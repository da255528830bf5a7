//! Metrics, traces and logs of an application, in one line.
//!
//! ```no_run
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let _telemetry = tracing_meter::setup::init()?;
//!     tracing::info!(monotonic_counter.starts = 1, "started");
//!     Ok(())
//! }
//! ```
//!
//! The operator chooses what is exported, and where to, in
//! [OpenTelemetry's environment variables]. A value that is not known is a
//! [`SetupError`] that names its variable: nothing is silently something else.
//!
//! | variable | values | default | what it says |
//! |---|---|---|---|
//! | `OTEL_SERVICE_NAME` | text |  | the service; without it, and without a name in the code, `unknown_service:EXECUTABLE` |
//! | `OTEL_RESOURCE_ATTRIBUTES` | `key=value,key=value`, percent-encoded |  | what all telemetry of the process is of |
//! | `OTEL_METRICS_EXPORTER` | `otlp`, `prometheus`, `console`, `none` | `otlp` | where metrics go to, or a list of it |
//! | `OTEL_TRACES_EXPORTER` | `otlp`, `console`, `none` | `otlp` | where traces go to, or a list of it |
//! | `OTEL_PROPAGATORS` | `tracecontext`, `baggage`, `none` | `tracecontext,baggage` | which headers continue a trace, in a list |
//! | `OTEL_TRACES_SAMPLER` | `always_on`, `always_off`, `traceidratio`, `parentbased_always_on`, `parentbased_always_off`, `parentbased_traceidratio` | `parentbased_always_on` | which traces are recorded |
//! | `OTEL_TRACES_SAMPLER_ARG` | from 0 to 1 | `1.0` | the ratio of a sampler that has one |
//! | `OTEL_METRIC_EXPORT_INTERVAL` | milliseconds | `60000` | the time from an export to the next |
//! | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative`, `delta`, `lowmemory` | `cumulative` | whether an export has what was measured since the start, or since the last export |
//! | `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION` | `explicit_bucket_histogram` | `explicit_bucket_histogram` | the buckets are those of the code |
//! | `OTEL_EXPORTER_PROMETHEUS_HOST` | a name or an address | `localhost` | where the Prometheus endpoint listens |
//! | `OTEL_EXPORTER_PROMETHEUS_PORT` | a number | `9464` | and its port |
//! | `OTEL_BSP_SCHEDULE_DELAY` | milliseconds | `5000` | how long a span waits for its batch, at most |
//! | `OTEL_BSP_MAX_QUEUE_SIZE` | a number | `2048` | how many spans wait, at most |
//! | `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` | a number | `512` | how many spans are exported at once, at most |
//! | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT` | a number | `128` | how many attributes a span keeps |
//! | `OTEL_SPAN_EVENT_COUNT_LIMIT` | a number | `128` | how many events a span keeps |
//! | `OTEL_SPAN_LINK_COUNT_LIMIT` | a number | `128` | how many links a span keeps |
//! | `OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT` | a number | `128` | how many attributes an event of a span keeps |
//! | `OTEL_LINK_ATTRIBUTE_COUNT_LIMIT` | a number | `128` | how many attributes a link keeps |
//! | `OTEL_SDK_DISABLED` | `true`, `false` | `false` | `true`: no metrics, and traces are passed on as they came |
//! | `RUST_LOG` | `my_app=debug,h2=warn` | `info` | what is logged, to the standard error output |
//! | `TRACING_METER` | in the grammar of `RUST_LOG` |  | what is measured: without it `info`, and what the next two ask for |
//! | `TRACING_METER_SPANS` | `my_app=info,h2=trace` |  | spans that are measured as they are, by [`SpanMetrics`](crate::SpanMetrics) |
//! | `TRACING_METER_RULES` | a file |  | [`Rules`](crate::Rules), with the feature `toml` |
//! | `TRACING_METER_CONVENTIONS` | `http`, `rpc`, `database`, `messaging`, `none` |  | spans that are measured by [`SemanticConventions`], in a list; without it those of the code, which are all four |
//!
//! How OTLP is spoken may be set for one signal, too, by `OTEL_EXPORTER_OTLP_TRACES_…` and
//! `OTEL_EXPORTER_OTLP_METRICS_…`. The endpoint of a signal is taken as it is; that of all
//! signals has `/v1/…` added.
//!
//! | variable | values | default | what it says |
//! |---|---|---|---|
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` | `grpc`, `http/protobuf` | `http/protobuf` | how it is sent |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | a URL |  | where to; without it `http://localhost:4318`, for gRPC `http://localhost:4317` |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | `key=value,key=value`, percent-encoded |  | what is sent with each export |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` | milliseconds | `10000` | how long an export may take |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` | `gzip`, `none` | `none` | how it is packed |
//! | `OTEL_EXPORTER_OTLP_INSECURE` | `true`, `false` | `false` | `true`: gRPC to an endpoint without `http://` or `https://` is not encrypted |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE` | a file |  | whom to trust, instead of the system's certificates |
//! | `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` | a file |  | how this process is known to the collector |
//! | `OTEL_EXPORTER_OTLP_CLIENT_KEY` | a file |  | and its key |
//!
//! `https` and certificates need the feature `tls`. Logs are not exported, whatever `OTEL_LOGS_EXPORTER`
//! says. Other variables of OpenTelemetry's are not read, because its SDK for Rust has
//! nothing to do with them: there are no limits of the length of an attribute, and how
//! long an export may take is said by `OTEL_EXPORTER_OTLP_TIMEOUT` alone.
//!
//! What libraries measure through OpenTelemetry's API leaves with OTLP and on the console;
//! the macros of `metrics` are not listened to.
//!
//! Without an exporter of traces they are passed on as they came: a span that is not
//! exported would be a hole in the trace.
//!
//! [OpenTelemetry's environment variables]: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry::global;
use tracing_core::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry};

mod background;
mod config;
mod conventions;
mod counting;
mod environment;
mod error;
mod exporters;
mod exports;
mod globals;
mod grpc;
mod guard;
mod http_client;
mod limits;
mod metrics;
mod otlp;
mod prometheus;
mod rejected;
mod resource;
mod retry;
mod subscriber;
mod tls;
mod traces;
mod variables;

pub use error::{SetupError, ShutdownError};
pub use guard::Guard;

use crate::{MeterLayerBuilder, SemanticConventions};
use config::{Config, Defaults};
use environment::Environment;
use exporters::Exporters;
use subscriber::BoxedLayer;

/// What is measured if nothing else is said.
const MEASURED: LevelFilter = LevelFilter::INFO;

/// Sets everything up as the environment says.
///
/// # Errors
///
/// As [`Setup::init`] says.
pub fn init() -> Result<Guard, SetupError> {
    builder().init()
}

/// What the environment cannot know: the labels and conventions of an application, its
/// name and version, and what to do where the environment says nothing.
pub fn builder() -> Setup {
    Setup {
        meter: MeterLayerBuilder::new(),
        conventions: SemanticConventions::new(),
        attributes: BTreeMap::new(),
        defaults: Defaults::default(),
        layers: Vec::new(),
        logs: true,
        shutdown_limit: Duration::from_secs(10),
    }
}

/// Builds the telemetry of a process.
///
/// ```no_run
/// # fn main() -> Result<(), tracing_meter::setup::SetupError> {
/// use tracing_meter::{Boundaries, setup};
///
/// let _telemetry = setup::builder()
///     .service_name("mailer")
///     .service_version(env!("CARGO_PKG_VERSION"))
///     .metrics_exporters("prometheus")
///     .meter(
///         tracing_meter::builder()
///             .inherited_labels(["tenant"])
///             .boundaries(Boundaries::new().prefix("mail.", &[0.1, 1.0, 10.0])),
///     )
///     .init()?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Setup {
    meter: MeterLayerBuilder,
    conventions: SemanticConventions,
    attributes: BTreeMap<String, String>,
    defaults: Defaults,
    layers: Vec<BoxedLayer<Registry>>,
    logs: bool,
    shutdown_limit: Duration,
}

impl Setup {
    /// The name of the service, where the environment gives none.
    pub fn service_name(self, name: impl Into<String>) -> Self {
        self.resource_attribute("service.name", name)
    }

    /// The version of the service, where the environment gives none.
    pub fn service_version(self, version: impl Into<String>) -> Self {
        self.resource_attribute("service.version", version)
    }

    /// An attribute of all that is exported, where `OTEL_RESOURCE_ATTRIBUTES` does not
    /// give it another value.
    pub fn resource_attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// The measuring layer, with its labels, conventions, boundaries and sinks.
    /// The sinks of the environment's exporters are added to them.
    ///
    /// From `info` on is measured, and what the conventions name by target, where neither the
    /// builder's [directives](MeterLayerBuilder::directives) nor `TRACING_METER` say anything
    /// else.
    pub fn meter(mut self, builder: MeterLayerBuilder) -> Self {
        self.meter = builder;
        self
    }

    /// Which spans are measured by OpenTelemetry's semantic conventions: by default those of
    /// HTTP, RPC, databases and messaging, without attributes that are opt-in.
    /// `TRACING_METER_CONVENTIONS` turns each of them on or off.
    ///
    /// ```no_run
    /// use tracing_meter::{SemanticConventions, setup};
    ///
    /// let conventions = SemanticConventions::new().messaging(false);
    /// let _telemetry = setup::builder().conventions(conventions).init()?;
    /// # Ok::<(), setup::SetupError>(())
    /// ```
    pub fn conventions(mut self, conventions: SemanticConventions) -> Self {
        self.conventions = conventions;
        self
    }

    /// Where metrics go to if `OTEL_METRICS_EXPORTER` is not set, in its grammar.
    pub fn metrics_exporters(mut self, exporters: impl Into<String>) -> Self {
        self.defaults.metrics = exporters.into();
        self
    }

    /// Where traces go to if `OTEL_TRACES_EXPORTER` is not set, in its grammar.
    pub fn traces_exporters(mut self, exporters: impl Into<String>) -> Self {
        self.defaults.traces = exporters.into();
        self
    }

    /// Where the Prometheus endpoint listens if `OTEL_EXPORTER_PROMETHEUS_HOST` and `_PORT`
    /// do not say. By default it is `localhost:9464`, which no other host can reach.
    pub fn prometheus_address(mut self, address: impl Into<SocketAddr>) -> Self {
        self.defaults.prometheus = Some(address.into());
        self
    }

    /// Another layer, beneath ours. Filter it: a layer without a filter enables everything
    /// for itself.
    pub fn layer(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers.push(subscriber::filtered(layer));
        self
    }

    /// Whether there are log lines on the standard error output. By default there are.
    pub fn logs(mut self, enabled: bool) -> Self {
        self.logs = enabled;
        self
    }

    /// How long the [`Guard`] may take to export what is left: 10 seconds by default.
    pub fn shutdown_limit(mut self, limit: Duration) -> Self {
        self.shutdown_limit = limit;
        self
    }

    /// Sets up what the process needs: its global subscriber, which takes records of the
    /// `log` crate, too, and OpenTelemetry's global providers and propagator.
    ///
    /// # Errors
    ///
    /// If a variable of the environment has a value that is not valid or not known, an
    /// exporter cannot be built, nothing can listen at the address of the Prometheus
    /// endpoint, the measuring layer's configuration is not valid, or the process has a
    /// global subscriber, logger of the `log` crate or propagator already. Nothing of the
    /// process is changed then. It connects to nothing: a collector may be down.
    pub fn init(self) -> Result<Guard, SetupError> {
        let variable = |name: &str| std::env::var_os(name);
        let env = Environment::new(&variable);
        let config = Config::read(&env, &self.defaults)?;
        let log_filter = subscriber::log_filter(&env)?;
        let _asked = globals::ask()?;
        let resource = resource::resource(&self.attributes, &config.resource);
        let meter = conventions::add(&env, self.conventions, &resource, self.meter)?;
        let exporters = Exporters::build(&config, meter.buckets(), &resource)?;
        let (meter, measured) = exporters.measure(meter.default_level(MEASURED))?;
        // The last that can fail: until here nothing of the process was changed.
        globals::set_logger()?;
        let guard = measured.start(&config, &resource, self.shutdown_limit);
        let subscriber = tracing_subscriber::registry()
            .with(subscriber::layers(self.layers))
            .with(subscriber::trace_layer(guard.tracer_provider()))
            .with(subscriber::log_layer(self.logs.then_some(log_filter)))
            // The last to be called: what a sink logs is asked about in the middle of
            // the call, and takes away what filters have said of what is measured.
            .with(meter);
        globals::set(subscriber, config.propagator)?;
        if let Some(provider) = guard.tracer_provider() {
            global::set_tracer_provider(provider.clone());
        }
        Ok(guard)
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").finish_non_exhaustive()
    }
}
