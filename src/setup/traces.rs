//! The tracer provider.

use std::sync::Arc;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfig, BatchSpanProcessor, SdkTracerProvider, SimpleSpanProcessor, SpanExporter,
    TracerProviderBuilder,
};

use super::config::{Config, TracesExporter};
use super::error::SetupError;
use super::exports::{Counting, Exports};

/// Where spans go to.
pub(super) struct Traces {
    pub(super) provider: SdkTracerProvider,
    pub(super) exports: Vec<Arc<Exports>>,
}

impl Traces {
    /// `None` without an exporter: traces are passed on as they came then, because a
    /// span that nobody exports would be a hole in them.
    pub(super) fn start(config: &Config, resource: &Resource) -> Result<Option<Self>, SetupError> {
        if config.traces.is_empty() {
            return Ok(None);
        }
        let mut builder = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(config.sampler.clone())
            .with_span_limits(config.limits.of_a_span);
        let mut all = Vec::new();
        for exporter in &config.traces {
            let exports = Exports::new("traces");
            builder = match exporter {
                TracesExporter::Otlp(otlp) => {
                    let batches = config.limits.of_batches();
                    in_batches(builder, otlp.span_exporter()?, batches, &exports)
                }
                TracesExporter::Console => at_once(builder, &exports),
            };
            all.push(exports);
        }
        let provider = builder.build();
        Ok(Some(Self {
            provider,
            exports: all,
        }))
    }
}

fn in_batches(
    builder: TracerProviderBuilder,
    exporter: impl SpanExporter + 'static,
    batches: BatchConfig,
    exports: &Arc<Exports>,
) -> TracerProviderBuilder {
    builder.with_span_processor(Counting {
        inner: BatchSpanProcessor::new(exports.of(exporter), batches),
        exports: Arc::clone(exports),
    })
}

fn at_once(builder: TracerProviderBuilder, exports: &Arc<Exports>) -> TracerProviderBuilder {
    let exporter = opentelemetry_stdout::SpanExporter::default();
    builder.with_span_processor(Counting {
        inner: SimpleSpanProcessor::new(exports.of(exporter)),
        exports: Arc::clone(exports),
    })
}
