//! All that exports: built, measured into, and started.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry::global;
use opentelemetry_sdk::Resource;

use super::background::Background;
use super::config::{Config, MetricsExporter};
use super::error::SetupError;
use super::guard::Guard;
use super::metrics::Metrics;
use super::prometheus::Endpoint;
use super::traces::SpanExporters;
use crate::boundaries::Boundaries;
use crate::handle::MeterHandle;
use crate::layer::{MeterLayer, MeterLayerBuilder};
use crate::sink::OtelSink;

/// What the environment asks for.
pub(super) struct Exporters {
    endpoint: Option<Endpoint>,
    metrics: Option<Metrics>,
    spans: SpanExporters,
    background: Background,
}

/// The same, with a layer that measures into them.
pub(super) struct Measured {
    handle: MeterHandle,
    prometheus: Option<PrometheusHandle>,
    metrics: Option<Metrics>,
    spans: SpanExporters,
    background: Background,
}

impl Exporters {
    /// What fails here, or is dropped, has changed nothing of the process.
    pub(super) fn build(
        config: &Config,
        boundaries: &Boundaries,
        resource: &Resource,
    ) -> Result<Self, SetupError> {
        let background = Background::start()?;
        let endpoint = endpoint(config, boundaries, resource, &background)?;
        let entered = background.enter();
        let metrics = Metrics::start(config, resource)?;
        let spans = SpanExporters::build(config)?;
        drop(entered);
        Ok(Self {
            endpoint,
            metrics,
            spans,
            background,
        })
    }

    /// A layer that measures into all of them.
    pub(super) fn measure<S>(
        self,
        mut meter: MeterLayerBuilder,
    ) -> Result<(MeterLayer<S>, Measured), SetupError> {
        let mut prometheus = None;
        if let Some(endpoint) = self.endpoint {
            meter = meter.sink(endpoint.sink);
            prometheus = Some(endpoint.handle);
        }
        if let Some(metrics) = &self.metrics {
            meter = meter.sink(OtelSink::new(metrics.provider.clone()));
        }
        let meter = meter.build()?;
        let measured = Measured {
            handle: meter.handle(),
            prometheus,
            metrics: self.metrics,
            spans: self.spans,
            background: self.background,
        };
        Ok((meter, measured))
    }
}

impl Measured {
    /// What ends them. From here on they are those of the process.
    pub(super) fn start(
        self,
        config: &Config,
        resource: &Resource,
        shutdown_limit: Duration,
    ) -> Guard {
        // Before the processors of spans, which measure themselves.
        if let Some(metrics) = &self.metrics {
            global::set_meter_provider(metrics.provider.clone());
        }
        let entered = self.background.enter();
        let traces = self.spans.start(config, resource);
        drop(entered);
        Guard {
            handle: self.handle,
            prometheus: self.prometheus,
            traces,
            metrics: self.metrics,
            limit: shutdown_limit,
            background: self.background,
        }
    }
}

fn endpoint(
    config: &Config,
    boundaries: &Boundaries,
    resource: &Resource,
    background: &Background,
) -> Result<Option<Endpoint>, SetupError> {
    let address = config.metrics.iter().find_map(|it| match it {
        MetricsExporter::Prometheus(address) => Some(*address),
        MetricsExporter::Otlp(..) | MetricsExporter::Console(_) => None,
    });
    let listen = |address| Endpoint::listen(address, boundaries, resource, background);
    address.map(listen).transpose()
}
