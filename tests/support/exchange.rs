//! One request from a traced client to a traced server.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SpanData;
use tower::{Layer as _, ServiceExt as _};
use tracing::subscriber::DefaultGuard;
use tracing_meter::http::{ClientLayer, ClientService, trace_layer};
use tracing_meter::propagation;
use tracing_subscriber::prelude::*;

use crate::services::{Server, hyper};
use crate::traces::{Traces, child_of, origin};

/// A subscriber for everything that happens on this thread, and so in this test.
pub fn subscribe(traces: &Traces) -> DefaultGuard {
    let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer());
    tracing_subscriber::registry()
        .with(propagation::layer(otel))
        .set_default()
}

pub fn traced<S>(client: S) -> ClientService<S> {
    ClientLayer::new().layer(client)
}

pub fn of_kind(traces: &Traces, kind: &SpanKind) -> Vec<SpanData> {
    let mut spans = traces.spans();
    spans.retain(|span| span.span_kind == *kind);
    spans
}

pub fn the_one(traces: &Traces, kind: &SpanKind) -> SpanData {
    let mut spans = of_kind(traces, kind);
    assert_eq!(spans.len(), 1, "{spans:?}");
    spans.remove(0)
}

/// Runs one request through a traced client and a traced server.
pub async fn exchange(
    traces: &Traces,
    app: Router,
    request: impl FnOnce(&Server) -> Request<Body>,
) -> (SpanData, SpanData, Response<Body>) {
    let server = Server::start(app.layer(trace_layer())).await;
    let response = traced(hyper()).oneshot(request(&server)).await.unwrap();
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(Body::new(body), usize::MAX)
        .await
        .unwrap();
    server.stop().await;
    let client = the_one(traces, &SpanKind::Client);
    let server = the_one(traces, &SpanKind::Server);
    assert_eq!(origin(&server), child_of(&client));
    assert!(server.parent_span_is_remote);
    (client, server, Response::from_parts(head, body.into()))
}
