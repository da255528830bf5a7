//! All that exports, started in order.

use std::time::Duration;

use opentelemetry::global;
use opentelemetry_sdk::Resource;

use super::background::Background;
use super::config::{Config, MetricsExporter};
use super::error::SetupError;
use super::guard::Guard;
use super::metrics::Metrics;
use super::prometheus::Endpoint;
use super::traces::Traces;
use crate::boundaries::Boundaries;
use crate::layer::{MeterLayer, MeterLayerBuilder};
use crate::sink::OtelSink;

/// What the environment asks for.
pub(super) struct Exporters {
    endpoint: Option<Endpoint>,
    metrics: Option<Metrics>,
    traces: Option<Traces>,
    background: Background,
}

impl Exporters {
    pub(super) fn start(
        config: &Config,
        boundaries: &Boundaries,
        resource: &Resource,
    ) -> Result<Self, SetupError> {
        let background = Background::start()?;
        let endpoint = endpoint(config, boundaries, resource, &background)?;
        let entered = background.enter();
        let metrics = Metrics::start(config, resource)?;
        // Before the processors of spans, which measure themselves.
        if let Some(metrics) = &metrics {
            global::set_meter_provider(metrics.provider.clone());
        }
        let traces = Traces::start(config, resource)?;
        drop(entered);
        Ok(Self {
            endpoint,
            metrics,
            traces,
            background,
        })
    }

    /// A layer that measures into all of them, and what ends them.
    pub(super) fn measure<S>(
        self,
        mut meter: MeterLayerBuilder,
        shutdown_limit: Duration,
    ) -> Result<(MeterLayer<S>, Guard), SetupError> {
        let mut prometheus = None;
        if let Some(endpoint) = self.endpoint {
            meter = meter.sink(endpoint.sink);
            prometheus = Some(endpoint.handle);
        }
        if let Some(metrics) = &self.metrics {
            meter = meter.sink(OtelSink::new(metrics.provider.clone()));
        }
        let meter = meter.build()?;
        let guard = Guard {
            handle: meter.handle(),
            prometheus,
            traces: self.traces,
            metrics: self.metrics,
            limit: shutdown_limit,
            _background: self.background,
        };
        Ok((meter, guard))
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
        _ => None,
    });
    let listen = |address| Endpoint::listen(address, boundaries, resource, background);
    address.map(listen).transpose()
}
