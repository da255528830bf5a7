//! Server spans of gRPC for `tower_http::trace::TraceLayer`.

use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tower_http::classify::{GrpcErrorsAsFailures, GrpcFailureClass, SharedClassifier};
use tower_http::trace::{MakeSpan, OnEos, OnFailure, OnResponse, TraceLayer};
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::record_error;
use super::url::Server;
use crate::propagation::SpanPropagation as _;
use crate::semconv::{KnownMethods, OTHER, is_error_of_the_server};

/// What [`grpc_trace_layer`] makes.
pub type GrpcTraceLayer = TraceLayer<
    SharedClassifier<GrpcErrorsAsFailures>,
    GrpcServerSpan,
    (),
    OnGrpcResponse,
    (),
    OnGrpcResponse,
    OnGrpcFailure,
>;

/// A span for each call of a gRPC server, in the trace that its client sent: for
/// `tonic::transport::Server::builder().layer(grpc_trace_layer())`.
///
/// A span lasts until the last message of the response was sent, or the call was given up.
/// Settings are those of a [`GrpcServerSpan`].
#[must_use]
pub fn grpc_trace_layer() -> GrpcTraceLayer {
    TraceLayer::new_for_grpc()
        .make_span_with(GrpcServerSpan::new())
        .on_request(())
        .on_response(OnGrpcResponse)
        .on_body_chunk(())
        .on_eos(OnGrpcResponse)
        .on_failure(OnGrpcFailure)
}

/// Makes the span of a call of a gRPC server, by the [semantic conventions][spec].
///
/// It is of the level INFO and has the target `tracing_meter::http::grpc_server`. Its
/// name for OpenTelemetry is the method, `package.Service/Method`, or `grpc` for methods
/// that are not known. It continues the trace of the request's metadata; metadata that is
/// not valid is ignored. Its fields:
///
/// | field | source |
/// |---|---|
/// | `rpc.system.name` | `grpc` |
/// | `rpc.method` | the path, or `_OTHER` |
/// | `rpc.method_original` | a method that is not known |
/// | `server.address`, `server.port` | the `:authority` |
/// | `rpc.status_code` | [`OnGrpcResponse`]: `OK`, `NOT_FOUND`, ... |
/// | `error.type`, `otel.status_code` | [`OnGrpcResponse`], [`OnGrpcFailure`] |
///
/// [spec]: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
#[derive(Clone, Debug, Default)]
pub struct GrpcServerSpan {
    methods: Option<KnownMethods>,
}

impl GrpcServerSpan {
    /// Takes all methods for known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The methods that are not `_OTHER`, as `package.Service/Method`. A layer cannot see
    /// which methods the server has. Without this list anybody who may call it decides
    /// what names there are of spans.
    #[must_use]
    pub fn known_methods(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.methods = Some(KnownMethods::new(methods));
        self
    }

    fn name_and_original<'m>(&self, method: &'m str) -> (&'m str, Option<&'m str>) {
        match &self.methods {
            Some(known) => known.name_and_original(method),
            None => (method, None),
        }
    }
}

impl<B> MakeSpan<B> for GrpcServerSpan {
    fn make_span(&mut self, request: &Request<B>) -> Span {
        let path = request.uri().path();
        let path = path.strip_prefix('/').unwrap_or(path);
        let (method, original) = self.name_and_original(path);
        let name = if original.is_some() { "grpc" } else { path };
        let server = Server::of(request.uri(), request.headers());
        let span = info_span!(
            "grpc.server",
            otel.name = name,
            otel.kind = "server",
            otel.status_code = Empty,
            otel.status_description = Empty,
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.method_original = original,
            rpc.status_code = Empty,
            error.type = Empty,
            server.address = server.map(|it| it.address),
            server.port = server.and_then(|it| it.port),
            // It has no value. `propagation::pass_through` enables spans by its name.
            traceparent = Empty,
        );
        // A span that is disabled, or without a subscriber, continues nothing.
        let _ = span.continue_from(request.headers());
        span
    }
}

/// Records the status of a call, wherever it comes: in the headers of a response that has
/// no messages, or in the trailers after the last of them.
///
/// `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE` and
/// `DATA_LOSS` say that the span has failed, with the status as `error.type`. The others are
/// the client's errors, and leave a server's span as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnGrpcResponse;

impl<B> OnResponse<B> for OnGrpcResponse {
    fn on_response(self, response: &Response<B>, _latency: Duration, span: &Span) {
        record_status(response.headers(), span);
    }
}

impl OnEos for OnGrpcResponse {
    fn on_eos(self, trailers: Option<&HeaderMap>, _stream_duration: Duration, span: &Span) {
        if let Some(trailers) = trailers {
            record_status(trailers, span);
        }
    }
}

/// Records that a call ended without a status: `error.type` is `_OTHER`, because all that
/// is known of the error is its text, which describes the status.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnGrpcFailure;

impl OnFailure<GrpcFailureClass> for OnGrpcFailure {
    fn on_failure(&mut self, class: GrpcFailureClass, _latency: Duration, span: &Span) {
        // A status was seen by `OnGrpcResponse`.
        if let GrpcFailureClass::Error(error) = class {
            record_error(span, OTHER);
            span.record("otel.status_description", error);
        }
    }
}

fn record_status(headers: &HeaderMap, span: &Span) {
    let Some(status) = headers.get("grpc-status") else {
        return;
    };
    let name = name_of_status(status.as_bytes());
    span.record("rpc.status_code", name);
    if is_error_of_the_server(name) {
        record_error(span, name);
    }
}

fn name_of_status(code: &[u8]) -> &'static str {
    match code {
        b"0" => "OK",
        b"1" => "CANCELLED",
        b"3" => "INVALID_ARGUMENT",
        b"4" => "DEADLINE_EXCEEDED",
        b"5" => "NOT_FOUND",
        b"6" => "ALREADY_EXISTS",
        b"7" => "PERMISSION_DENIED",
        b"8" => "RESOURCE_EXHAUSTED",
        b"9" => "FAILED_PRECONDITION",
        b"10" => "ABORTED",
        b"11" => "OUT_OF_RANGE",
        b"12" => "UNIMPLEMENTED",
        b"13" => "INTERNAL",
        b"14" => "UNAVAILABLE",
        b"15" => "DATA_LOSS",
        b"16" => "UNAUTHENTICATED",
        // 2, and what a peer must take for it.
        _ => "UNKNOWN",
    }
}
