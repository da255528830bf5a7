//! Interceptors for tonic's clients and servers.

use tonic::service::Interceptor;
use tonic::{Request, Status};
use tracing::Span;

use crate::propagation::{
    BAGGAGE, Carrier, SpanPropagation as _, TRACEPARENT, TRACESTATE, W3cPropagator,
};

/// Sends the current span's trace with each call of a tonic client.
///
/// ```
/// use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
/// use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
/// use tonic::transport::Channel;
/// use tracing::instrument;
/// use tracing_meter::http::InjectTrace;
///
/// #[instrument(skip_all, err, fields(
///     otel.kind = "client",
///     rpc.system.name = "grpc",
///     rpc.method = "opentelemetry.proto.collector.trace.v1.TraceService/Export",
///     rpc.status_code,
///     error.type,
/// ))]
/// async fn export(channel: Channel) -> Result<(), tonic::Status> {
///     let mut client = TraceServiceClient::with_interceptor(channel, InjectTrace);
///     let exported = client.export(ExportTraceServiceRequest::default()).await;
///     let span = tracing::Span::current();
///     match &exported {
///         Ok(_) => span.record("rpc.status_code", "OK"),
///         // `NOT_FOUND` for example. For a client each of them is an error.
///         Err(status) => {
///             let code = status_name(status.code());
///             span.record("rpc.status_code", code).record("error.type", code)
///         }
///     };
///     exported.map(drop)
/// }
///
/// /// As gRPC writes the code.
/// fn status_name(code: tonic::Code) -> &'static str {
///     match code {
///         tonic::Code::NotFound => "NOT_FOUND",
///         tonic::Code::Unavailable => "UNAVAILABLE",
///         // ... and the others
///         _ => "UNKNOWN",
///     }
/// }
/// ```
///
/// Metadata that a request has of another trace is overwritten, and removed where there is
/// no trace. It never refuses a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct InjectTrace;

impl Interceptor for InjectTrace {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        Span::current().inject_into(request.metadata_mut());
        Ok(request)
    }
}

/// Puts the trace of each call of a tonic server into the request's extensions, as a
/// [`RemoteTrace`], if its metadata has one that is valid, or baggage without a trace. It
/// never refuses a call.
///
/// An interceptor ends before the service is called, so it cannot be what makes the
/// server's span.
#[cfg_attr(
    feature = "tower-http",
    doc = "[`grpc_trace_layer`](super::grpc_trace_layer) does. With that, or any other layer that makes one, this is for work that is done for the request but not in its span."
)]
#[cfg_attr(
    not(feature = "tower-http"),
    doc = "A layer can be (feature `tower-http`), and so can the method itself:"
)]
/// Without such a layer the methods continue the trace by naming convention:
///
/// ```
/// use tonic::{Request, Response, Status};
/// use tracing::instrument;
/// use tracing_meter::http::RemoteTrace;
///
/// struct Kv;
///
/// impl Kv {
///     #[instrument(skip_all, err, fields(
///         otel.kind = "server",
///         rpc.system.name = "grpc",
///         rpc.method = "kv.Kv/Get",
///         traceparent = RemoteTrace::of(&request).and_then(RemoteTrace::traceparent),
///         tracestate = RemoteTrace::of(&request).and_then(RemoteTrace::tracestate),
///     ))]
///     async fn get(&self, request: Request<String>) -> Result<Response<String>, Status> {
///         Err(Status::not_found("no such key"))
///     }
/// }
/// ```
///
/// with `KvServer::with_interceptor(Kv, ExtractTrace)`, and
/// [`propagation::layer`](crate::propagation::layer()) around the OpenTelemetry layer.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtractTrace;

impl Interceptor for ExtractTrace {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let trace = RemoteTrace::read(request.metadata());
        if !trace.0.is_empty() {
            request.extensions_mut().insert(trace);
        }
        Ok(request)
    }
}

/// The trace that a call came with, without its request. A [`Carrier`], which spans
/// [continue from](crate::propagation::SpanPropagation::continue_from) and
/// [link to](crate::propagation::SpanPropagation::link_to).
#[derive(Clone, Debug)]
pub struct RemoteTrace(Vec<(&'static str, String)>);

impl RemoteTrace {
    /// What [`ExtractTrace`] has put into a request.
    pub fn of<T>(request: &Request<T>) -> Option<&Self> {
        request.extensions().get()
    }

    fn read(metadata: &(impl Carrier + ?Sized)) -> Self {
        let propagator = W3cPropagator::of_the_process();
        let context = propagator.extract_with(&opentelemetry::Context::new(), metadata);
        let mut headers = Vec::new();
        propagator.inject_into(&context, &mut headers);
        Self(headers)
    }

    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(header, _)| *header == name)?;
        Some(value)
    }

    /// The value of a span's field `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.get(TRACEPARENT)
    }

    /// The value of a span's field `tracestate`.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.get(TRACESTATE)
    }

    /// The value of a span's field `baggage`.
    #[must_use]
    pub fn baggage(&self) -> Option<&str> {
        self.get(BAGGAGE)
    }
}

impl Carrier for RemoteTrace {
    fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8])) {
        self.0.each_header(name, each);
    }
}
