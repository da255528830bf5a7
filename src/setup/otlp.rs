//! Exporters of OTLP.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{
    Compression, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::metrics::Temporality;
use tokio::runtime::Handle;
use tonic::codec::CompressionEncoding;

use super::environment::Environment;
use super::error::{Cause, SetupError};
use super::exports::Exports;
use super::grpc::{Collector, GrpcMetrics, GrpcSpans, channel};
use super::http_client::Reading;
use super::rejected::Answer;
use super::tls::Tls;
use super::variables::{OTLP_COMPRESSION, OTLP_HEADERS, OTLP_PROTOCOL, OTLP_TIMEOUT, Signal};
use crate::error::Source;

mod endpoint;
mod headers;

use headers::Headers;

/// How one signal is sent.
///
/// The exporters read the environment, too, but with other rules: a blank value is one,
/// and blanks around a value make it another. So they are told everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Otlp {
    pub(super) protocol: Protocol,
    pub(super) endpoint: String,
    headers: Headers,
    compression: Option<Compression>,
    timeout: Duration,
    /// `None` where nothing is encrypted.
    tls: Option<Tls>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// By the protocol that it speaks.
pub(super) enum Exporter<H, G> {
    Http(H),
    Grpc(G),
}

impl Otlp {
    /// What the environment says of a signal: by its variable, or else by that of all.
    pub(super) fn read(env: &Environment<'_>, signal: Signal) -> Result<Self, SetupError> {
        let protocols = [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::Http)];
        let compressions = [("gzip", Some(Compression::Gzip)), ("none", None)];
        let protocol =
            env.of_signal(signal, &OTLP_PROTOCOL, |env, of| env.choice(of, &protocols))?;
        let protocol = protocol.map_or(Protocol::Http, |(_, it)| it);
        let compression = env.of_signal(signal, &OTLP_COMPRESSION, |env, of| {
            env.choice(of, &compressions)
        })?;
        let headers = env.of_signal(signal, &OTLP_HEADERS, Headers::read)?;
        let timeout = env.of_signal(signal, &OTLP_TIMEOUT, Environment::milliseconds)?;
        let tls = Tls::read(env, signal)?;
        let endpoint = endpoint::read(env, signal, protocol)?;
        let is_encrypted = endpoint.starts_with("https:");
        Ok(Self {
            protocol,
            endpoint,
            headers: headers.map(|(_, it)| it).unwrap_or_default(),
            compression: compression.and_then(|(_, it)| it),
            timeout: timeout.map_or(Duration::from_secs(10), |(_, it)| it),
            tls: is_encrypted.then_some(tls),
        })
    }

    /// Inside a runtime, if it is gRPC.
    pub(super) fn span_exporter(
        &self,
        exports: &Arc<Exports>,
    ) -> Result<Exporter<SpanExporter, GrpcSpans>, SetupError> {
        let refused = |source: Source| refused(Signal::Traces, source);
        Ok(match self.protocol {
            Protocol::Grpc => {
                let collector = self.collector(exports).map_err(refused)?;
                Exporter::Grpc(GrpcSpans::new(collector))
            }
            Protocol::Http => {
                let builder = SpanExporter::builder().with_http();
                let builder = self.over_http::<_, ExportTraceServiceResponse>(builder, exports);
                let built = builder.map_err(refused)?.build();
                Exporter::Http(built.map_err(|why| refused(why.into()))?)
            }
        })
    }

    /// Inside a runtime, if it is gRPC.
    pub(super) fn metric_exporter(
        &self,
        of: Temporality,
        exports: &Arc<Exports>,
    ) -> Result<Exporter<MetricExporter, GrpcMetrics>, SetupError> {
        let refused = |source: Source| refused(Signal::Metrics, source);
        Ok(match self.protocol {
            Protocol::Grpc => {
                let collector = self.collector(exports).map_err(refused)?;
                Exporter::Grpc(GrpcMetrics::new(collector, of))
            }
            Protocol::Http => {
                let builder = MetricExporter::builder().with_temporality(of).with_http();
                let builder = self.over_http::<_, ExportMetricsServiceResponse>(builder, exports);
                let built = builder.map_err(refused)?.build();
                Exporter::Http(built.map_err(|why| refused(why.into()))?)
            }
        })
    }

    fn collector(&self, exports: &Arc<Exports>) -> Result<Collector, Source> {
        let gzip = |_| CompressionEncoding::Gzip;
        Ok(Collector {
            channel: channel(&self.endpoint, self.tls.as_ref())?,
            metadata: self.headers.to_metadata(),
            compression: self.compression.map(gzip),
            timeout: self.timeout,
            runtime: Handle::current(),
            exports: Arc::clone(exports),
        })
    }

    fn over_http<B: WithExportConfig + WithHttpConfig, A: Answer>(
        &self,
        builder: B,
        exports: &Arc<Exports>,
    ) -> Result<B, Source> {
        let (endpoint, tls) = (&self.endpoint, self.tls.as_ref());
        let client = Reading::<A>::new(endpoint, self.timeout, tls, exports)?;
        let builder = builder
            // What it would choose depends on what else is built into the program.
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(&self.endpoint)
            .with_timeout(self.timeout)
            .with_headers(self.headers.to_map())
            .with_http_client(client);
        Ok(match self.compression {
            Some(compression) => builder.with_compression(compression),
            None => builder,
        })
    }
}

fn refused(of: Signal, source: Source) -> SetupError {
    Cause::Exporter { of, source }.into()
}
