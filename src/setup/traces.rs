//! The tracer provider.

use std::sync::Arc;

use opentelemetry_otlp::SpanExporter as HttpSpans;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfig, BatchSpanProcessor, SdkTracerProvider, SimpleSpanProcessor, SpanExporter,
    TracerProviderBuilder,
};

use super::config::{Config, TracesExporter};
use super::counting::Counting;
use super::error::SetupError;
use super::exports::Exports;
use super::grpc::GrpcSpans;
use super::otlp;
use super::variables::Signal;

/// Where spans go to.
pub(super) struct Traces {
    pub(super) provider: SdkTracerProvider,
    pub(super) exports: Vec<Arc<Exports>>,
}

/// What they go to it by.
pub(super) struct SpanExporters(Vec<(Exporter, Arc<Exports>)>);

enum Exporter {
    Otlp(Box<otlp::Exporter<HttpSpans, GrpcSpans>>),
    Console,
}

impl SpanExporters {
    pub(super) fn build(config: &Config) -> Result<Self, SetupError> {
        let build = |exporter: &TracesExporter| {
            let exports = Exports::new(Signal::Traces);
            let exporter = match exporter {
                TracesExporter::Otlp(otlp) => {
                    Exporter::Otlp(Box::new(otlp.span_exporter(&exports)?))
                }
                TracesExporter::Console => Exporter::Console,
            };
            Ok((exporter, exports))
        };
        let all = config.traces.iter().map(build);
        Ok(Self(all.collect::<Result<_, SetupError>>()?))
    }

    /// `None` without an exporter: traces are passed on as they came then, because a
    /// span that is not exported would be a hole in them.
    pub(super) fn start(self, config: &Config, resource: &Resource) -> Option<Traces> {
        if self.0.is_empty() {
            return None;
        }
        let mut builder = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(config.sampler.clone())
            .with_span_limits(config.limits.of_a_span);
        let batches = || config.limits.of_batches();
        let mut all = Vec::new();
        for (exporter, exports) in self.0 {
            builder = match exporter {
                Exporter::Otlp(exporter) => match *exporter {
                    otlp::Exporter::Http(it) => in_batches(builder, it, batches(), &exports),
                    otlp::Exporter::Grpc(it) => in_batches(builder, it, batches(), &exports),
                },
                Exporter::Console => at_once(builder, &exports),
            };
            all.push(exports);
        }
        Some(Traces {
            provider: builder.build(),
            exports: all,
        })
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
