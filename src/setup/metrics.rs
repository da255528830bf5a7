//! The meter provider.

use std::sync::Arc;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader, SdkMeterProvider};

use super::config::{Config, MetricsExporter, Push};
use super::error::SetupError;
use super::exports::Exports;
use super::otlp::Exporter;
use super::variables::Signal;

/// Where metrics go to by themselves.
pub(super) struct Metrics {
    pub(super) provider: SdkMeterProvider,
    pub(super) exports: Vec<Arc<Exports>>,
}

impl Metrics {
    /// `None` without an exporter that pushes.
    pub(super) fn start(config: &Config, resource: &Resource) -> Result<Option<Self>, SetupError> {
        let mut builder = SdkMeterProvider::builder().with_resource(resource.clone());
        let mut all = Vec::new();
        for exporter in &config.metrics {
            let exports = Exports::new(Signal::Metrics);
            builder = match exporter {
                MetricsExporter::Otlp(otlp, push) => {
                    match otlp.metric_exporter(push.temporality, &exports)? {
                        Exporter::Http(it) => with_reader(builder, it, *push, &exports),
                        Exporter::Grpc(it) => with_reader(builder, it, *push, &exports),
                    }
                }
                MetricsExporter::Console(push) => {
                    let exporter = opentelemetry_stdout::MetricExporter::builder()
                        .with_temporality(push.temporality)
                        .build();
                    with_reader(builder, exporter, *push, &exports)
                }
                MetricsExporter::Prometheus(_) => continue,
            };
            all.push(exports);
        }
        if all.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            provider: builder.build(),
            exports: all,
        }))
    }
}

fn with_reader(
    builder: MeterProviderBuilder,
    exporter: impl PushMetricExporter,
    push: Push,
    exports: &Arc<Exports>,
) -> MeterProviderBuilder {
    let reader = PeriodicReader::builder(exports.of(exporter)).with_interval(push.interval);
    builder.with_reader(reader.build())
}
