//! A service that calls whom it is told to call, and passes the trace on: what the test
//! suite of W3C Trace Context drives.
//!
//! ```text
//! cargo run --all-features --example w3c_service                   # on 127.0.0.1:5000
//! cargo run --all-features --example w3c_service -- 127.0.0.1:0    # on any free port
//! ```
//!
//! It runs until ctrl-c. It takes `[{"url": "http://…", "arguments": […]}, …]`, and posts
//! each entry's arguments to its URL, one after another, in a span of its own. At
//! `POST /sdk` the spans are those of the OpenTelemetry SDK, and `W3cPropagator` reads and
//! writes the headers; at `POST /span`, and at `POST /`, they are those of `tracing`.
//!
//! The suite is a program of the W3C, <https://github.com/w3c/trace-context>, in `test`:
//!
//! ```text
//! STRICT_LEVEL=2 SPEC_LEVEL=2 python3 test.py http://127.0.0.1:5000/sdk
//! STRICT_LEVEL=2 SPEC_LEVEL=2 python3 test.py http://127.0.0.1:5000/span
//! ```

#![allow(clippy::print_stdout, reason = "an example shows its output")]

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use opentelemetry::Context;
use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{Instrument as _, info_span};
use tracing_meter::propagation::{self, SpanPropagation as _, W3cPropagator};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let listen = std::env::args().nth(1);
    let listen = listen.as_deref().unwrap_or("127.0.0.1:5000").parse()?;
    let provider = install_telemetry()?;
    let routes = routes(provider.tracer("w3c_service"))?;
    let service = Service::start(listen, routes).await?;
    println!("listening on http://{}, until ctrl-c", service.address);

    tokio::signal::ctrl_c().await?;
    drop(service);
    Ok(provider.shutdown()?)
}

pub(crate) fn routes(tracer: SdkTracer) -> Result<Router> {
    let client = Client::new()?;
    let sdk = post(answer_with_sdk).with_state((client.clone(), tracer));
    let span = post(answer_with_spans).with_state(client);
    Ok(Router::new()
        .route("/", span.clone())
        .route("/span", span)
        .route("/sdk", sdk))
}

// With `tracing`: a span continues the trace that came, and gives the one to be sent.

async fn answer_with_spans(
    State(client): State<Client>,
    headers: HeaderMap,
    Json(calls): Json<Vec<Value>>,
) -> Answer {
    let span = info_span!("answer", otel.kind = "server");
    span.continue_from(&headers).map_err(failed)?;
    call_each_in_a_span(&client, &calls).instrument(span).await
}

async fn call_each_in_a_span(client: &Client, calls: &[Value]) -> Answer {
    for call in calls {
        let span = info_span!("call", otel.kind = "client");
        let mut headers = HeaderMap::new();
        span.inject_into(&mut headers);
        client.call(call, headers).instrument(span).await?;
    }
    Ok(())
}

// With the SDK alone: contexts are handed on.

async fn answer_with_sdk(
    State((client, tracer)): State<(Client, SdkTracer)>,
    headers: HeaderMap,
    Json(calls): Json<Vec<Value>>,
) -> Answer {
    let propagator = W3cPropagator::new();
    let received = propagator.extract_with(&Context::new(), &headers);
    let context = start(&tracer, "answer", SpanKind::Server, &received);
    for call in &calls {
        let context = start(&tracer, "call", SpanKind::Client, &context);
        let mut headers = HeaderMap::new();
        propagator.inject_into(&context, &mut headers);
        client.call(call, headers).await?;
    }
    Ok(())
}

/// A span in its context, with which it ends.
pub(crate) fn start(
    tracer: &SdkTracer,
    name: &'static str,
    kind: SpanKind,
    parent: &Context,
) -> Context {
    let span = tracer.span_builder(name).with_kind(kind);
    parent.with_span(span.start_with_context(tracer, parent))
}

// Both answer what failed, if anything did.

pub(crate) type Answer = std::result::Result<(), (StatusCode, String)>;

fn failed(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// Makes the calls, without any thought of traces.
#[derive(Clone)]
pub(crate) struct Client(reqwest::Client);

impl Client {
    /// No proxy stands between it and whom it calls, whatever the environment says.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(reqwest::Client::builder().no_proxy().build()?))
    }

    pub(crate) async fn call(&self, call: &Value, headers: HeaderMap) -> Answer {
        let no_url = || (StatusCode::BAD_REQUEST, format!("{call} has no url"));
        let url = call["url"].as_str().ok_or_else(no_url)?;
        let request = self.0.post(url).headers(headers).json(&call["arguments"]);
        let response = request.send().await.map_err(failed)?;
        response.error_for_status().map_err(failed)?;
        Ok(())
    }
}

/// Spans are exported nowhere: an OTLP exporter stands here in production.
pub(crate) fn install_telemetry() -> Result<SdkTracerProvider> {
    let provider = SdkTracerProvider::builder().build();
    let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("w3c_service"));
    // What the HTTP client traces at lower levels is not part of anybody's trace.
    let layer = propagation::layer(otel).with_filter(LevelFilter::INFO);
    tracing_subscriber::registry().with(layer).try_init()?;
    Ok(provider)
}

/// Answers at its address, until it is dropped.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Service {
    pub(crate) async fn start(listen: SocketAddr, routes: Router) -> Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            address,
            _tasks: tasks,
        })
    }
}
