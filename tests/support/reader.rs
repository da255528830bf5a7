//! A metric reader that collects when a test asks.

#![allow(unreachable_pub, reason = "each test uses its part of this")]

use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};

/// Clones read the same provider.
#[derive(Clone, Debug, Default)]
pub struct CustomReader(Arc<ManualReader>);

impl CustomReader {
    pub fn collect_now(&self) -> ResourceMetrics {
        let mut metrics = ResourceMetrics::default();
        self.0.collect(&mut metrics).unwrap();
        metrics
    }
}

impl MetricReader for CustomReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
