//! Exporters of OTLP over gRPC.
//!
//! Those of `opentelemetry-otlp` keep the answers of a collector to themselves, and let
//! nothing be put between them and the connection that could read them.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::context::FutureExt as _;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{self, Channel, Endpoint};
use tonic::{Extensions, Request, Response, Status};

use super::exports::Exports;
use super::rejected::Answer;
use super::retry;
use super::tls::Tls;
use crate::error::Sources;

/// The name that the specification has for it.
const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// A connection to a collector, and what is said with each call.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    pub(super) channel: Channel,
    pub(super) metadata: MetadataMap,
    pub(super) compression: Option<CompressionEncoding>,
    /// Of an export, with all its calls.
    pub(super) timeout: Duration,
    /// Where calls are made: threads that export have no runtime.
    pub(super) runtime: Handle,
    pub(super) exports: Arc<Exports>,
}

#[derive(Debug)]
pub(super) struct GrpcSpans {
    client: TraceServiceClient<Channel>,
    collector: Collector,
    resource: ResourceAttributesWithSchema,
}

#[derive(Debug)]
pub(super) struct GrpcMetrics {
    client: MetricsServiceClient<Channel>,
    collector: Collector,
    temporality: Temporality,
}

impl GrpcSpans {
    pub(super) fn new(collector: Collector) -> Self {
        let mut client = TraceServiceClient::new(collector.channel.clone());
        if let Some(coding) = collector.compression {
            client = client.send_compressed(coding).accept_compressed(coding);
        }
        Self {
            client,
            collector,
            resource: ResourceAttributesWithSchema::default(),
        }
    }
}

impl GrpcMetrics {
    pub(super) fn new(collector: Collector, temporality: Temporality) -> Self {
        let mut client = MetricsServiceClient::new(collector.channel.clone());
        if let Some(coding) = collector.compression {
            client = client.send_compressed(coding).accept_compressed(coding);
        }
        Self {
            client,
            collector,
            temporality,
        }
    }
}

impl SpanExporter for GrpcSpans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let request = ExportTraceServiceRequest { resource_spans };
        let client = self.client.clone();
        let call = move |request| {
            let mut client = client.clone();
            async move { client.export(request).await }
        };
        self.collector.export(request, call).await
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl PushMetricExporter for GrpcMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let request = ExportMetricsServiceRequest::from(metrics);
        let client = self.client.clone();
        let call = move |request| {
            let mut client = client.clone();
            async move { client.export(request).await }
        };
        self.collector.export(request, call).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

impl Collector {
    async fn export<Q, A, F>(
        &self,
        request: Q,
        call: impl Fn(Request<Q>) -> F + Send + Sync + 'static,
    ) -> OTelSdkResult
    where
        Q: Clone + Send + Sync + 'static,
        A: Answer,
        F: Future<Output = Result<Response<A>, Status>> + Send,
    {
        let (metadata, timeout) = (self.metadata.clone(), self.timeout);
        let calls = async move {
            let call = || {
                let request =
                    Request::from_parts(metadata.clone(), Extensions::default(), request.clone());
                call(request)
            };
            retry::within(timeout, call).await
        };
        // With the context that says that no telemetry is to come of it.
        let called = self.runtime.spawn(calls.with_current_context()).await;
        let answer = called.map_err(|why| OTelSdkError::InternalFailure(why.to_string()))?;
        let answer = answer.map_err(|status| OTelSdkError::InternalFailure(described(&status)))?;
        self.exports.answered(answer.into_inner());
        Ok(())
    }
}

/// Connects when it is first used. Without `tls` nothing is encrypted.
pub(super) fn channel(endpoint: &str, tls: Option<&Tls>) -> Result<Channel, transport::Error> {
    let endpoint = Endpoint::from_shared(endpoint.to_owned())?.user_agent(USER_AGENT)?;
    #[cfg(feature = "tls")]
    let endpoint = match tls {
        Some(tls) => endpoint.tls_config(tls.of_grpc())?,
        None => endpoint,
    };
    #[cfg(not(feature = "tls"))]
    let _ = tls;
    Ok(endpoint.connect_lazy())
}

/// Without the collector's words, which may hold what it was sent to be known by. A source
/// has what was found on this side.
fn described(status: &Status) -> String {
    format!("gRPC status {:?}{}", status.code(), Sources(status))
}
