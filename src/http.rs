//! HTTP and gRPC: one trace from client to server, with the fields and names that
//! OpenTelemetry's semantic conventions ask for.
//!
//! | what | with the feature |
//! |---|---|
#![cfg_attr(
    feature = "tower-http",
    doc = "| server spans by `tower_http`'s `TraceLayer`: [`trace_layer`], [`ServerSpan`] | `tower-http` |"
)]
#![cfg_attr(
    feature = "tower-http",
    doc = "| the same for gRPC: [`grpc_trace_layer`], [`GrpcServerSpan`] | `tower-http` |"
)]
#![cfg_attr(
    feature = "axum",
    doc = "| their names by the route that axum matched | `axum` |"
)]
#![cfg_attr(
    feature = "tower",
    doc = "| client spans and headers of outgoing requests: [`ClientLayer`] | `tower` |"
)]
#![cfg_attr(
    feature = "tower",
    doc = "| the trace in the headers of responses: [`TraceResponseLayer`] | `tower` |"
)]
#![cfg_attr(
    feature = "tonic",
    doc = "| interceptors for gRPC: [`InjectTrace`], [`ExtractTrace`] | `tonic` |"
)]
//! | headers of `reqwest`, `hyper` and others: `span.inject_into(headers)` | `http` |
//!
//! Nothing here reads a body ahead or buffers it: what is streamed, server-sent events and
//! upgrades to websockets work as they do without it. `TraceLayer` wraps the body of a
//! response in another type, which sees its end.
//!
//! # Reqwest
//!
//! Headers of a `reqwest::Request` are an `http::HeaderMap`, and so is what
//! `RequestBuilder::headers` takes:
//!
//! ```
//! use tracing::instrument;
//! use tracing_meter::propagation::SpanPropagation as _;
//!
//! #[instrument(skip_all, fields(otel.kind = "client"))]
//! async fn fetch(client: reqwest::Client, url: reqwest::Url) -> reqwest::Result<String> {
//!     let mut request = client.get(url).build()?;
//!     tracing::Span::current().inject_into(request.headers_mut());
//!     client.execute(request).await?.error_for_status()?.text().await
//! }
//! ```
#![cfg_attr(
    feature = "tower",
    doc = "\nWith a client span for each request it goes below a [`ClientLayer`], as shown there."
)]
#![cfg_attr(
    all(feature = "axum", feature = "tower"),
    doc = r#"
# A whole program

```no_run
use axum::{Router, body::Body, routing::get};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::{ServiceBuilder, ServiceExt as _};
use tracing_meter::http::{ClientLayer, trace_layer};
use tracing_meter::propagation;
use tracing_subscriber::prelude::*;

async fn forward() -> String {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let client = ServiceBuilder::new().layer(ClientLayer::new()).service(client);
    let request = http::Request::get("http://kv.example/kv/a").body(Body::empty());
    match client.oneshot(request.unwrap()).await {
        Ok(response) => response.status().to_string(),
        Err(error) => error.to_string(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // With an exporter of yours.
    let provider = SdkTracerProvider::builder().build();
    let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("front"));
    tracing_subscriber::registry().with(propagation::layer(otel)).init();

    let app = Router::new().route("/", get(forward)).layer(trace_layer());
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await?;
    Ok(())
}
```

For what is on this page a plain OpenTelemetry layer will do, too: `.with(otel)`."#
)]

#[cfg(feature = "tower")]
mod client;
#[cfg(feature = "tower-http")]
mod failures;
#[cfg(feature = "tower-http")]
mod forwarded;
#[cfg(feature = "tower-http")]
mod grpc_server;
#[cfg(feature = "tonic")]
mod interceptor;
#[cfg(any(feature = "tower", feature = "tower-http"))]
mod method;
#[cfg(feature = "tower")]
mod response;
#[cfg(feature = "tower-http")]
mod server;
#[cfg(any(feature = "tower", feature = "tower-http"))]
mod url;

#[cfg(feature = "tower")]
pub use client::{ClientFuture, ClientLayer, ClientService, UrlTemplate};
#[cfg(feature = "tower-http")]
pub use failures::{BodyFailures, ServerFailure, ServerFailures};
#[cfg(feature = "tower-http")]
pub use grpc_server::{
    GrpcServerSpan, GrpcTraceLayer, OnGrpcFailure, OnGrpcResponse, grpc_trace_layer,
};
#[cfg(feature = "tonic")]
pub use interceptor::{ExtractTrace, InjectTrace, RemoteTrace};
#[cfg(feature = "tower")]
pub use response::{TraceResponseFuture, TraceResponseLayer, TraceResponseService};
#[cfg(feature = "tower-http")]
pub use server::{OnServerFailure, OnServerResponse, ServerSpan, ServerTraceLayer, trace_layer};

/// An attribute that the semantic conventions type as `int`: of the integers,
/// `tracing-opentelemetry` exports `i64` alone as one, and the others as text.
#[cfg(any(feature = "tower", feature = "tower-http"))]
type Int = i64;

/// The field `http.response.status_code`.
#[cfg(any(feature = "tower", feature = "tower-http"))]
fn record_status(span: &tracing::Span, status: http::StatusCode) {
    span.record("http.response.status_code", Int::from(status.as_u16()));
}

/// Says that what the span stands for has failed.
#[cfg(any(feature = "tower", feature = "tower-http"))]
fn record_error(span: &tracing::Span, error_type: &str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}

/// The field `network.protocol.version`.
#[cfg(any(feature = "tower", feature = "tower-http"))]
fn protocol_version(version: http::Version) -> Option<&'static str> {
    use http::Version;
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}
