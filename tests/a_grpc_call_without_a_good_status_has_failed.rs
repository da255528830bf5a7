//! What a span says of a gRPC call whose status nobody knows, or that has none.

#![cfg(all(feature = "tonic", feature = "tower-http"))]

#[path = "support/services.rs"]
mod services;
#[path = "support/traces.rs"]
mod traces;

use std::convert::Infallible;
use std::error::Error;
use std::future::ready;
use std::io;

use axum::body::Body;
use futures_util::stream;
use http::{Request, Response};
use opentelemetry::trace::Status;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing::subscriber::DefaultGuard;
use tracing_meter::http::grpc_trace_layer;
use tracing_meter::propagation;
use tracing_subscriber::prelude::*;

use services::{fields, get};
use traces::Traces;

fn subscribe(traces: &Traces) -> DefaultGuard {
    let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer());
    tracing_subscriber::registry()
        .with(propagation::layer(otel))
        .set_default()
}

#[tokio::test]
async fn a_call_that_gives_no_response_has_failed() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let service = service_fn(async |_: Request<Body>| {
        Err::<Response<Body>, _>(Box::<dyn Error + Send + Sync>::from("out of space"))
    });

    let called = grpc_trace_layer().layer(service).oneshot(get("/kv.Kv/Get"));
    assert!(called.await.is_err());

    let span = traces.span("kv.Kv/Get");
    assert_eq!(fields(&span)["error.type"], "_OTHER");
    assert_eq!(span.status, Status::error("out of space"));
}

#[tokio::test]
async fn messages_that_end_before_their_status_have_failed() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let service = service_fn(async |_: Request<Body>| {
        let messages = [Ok("first"), Err(io::Error::other("disk on fire"))];
        let body = Body::from_stream(stream::iter(messages));
        Ok::<_, Infallible>(Response::new(body))
    });

    let called = grpc_trace_layer().layer(service).oneshot(get("/kv.Kv/Get"));
    let body = Body::new(called.await.unwrap().into_body());
    axum::body::to_bytes(body, usize::MAX).await.unwrap_err();

    let span = traces.span("kv.Kv/Get");
    assert_eq!(fields(&span)["error.type"], "_OTHER");
    assert_eq!(span.status, Status::error("disk on fire"));
}

#[tokio::test]
async fn a_status_that_nobody_knows_is_unknown() {
    for status in ["99", "", "00", "OK"] {
        let traces = Traces::new();
        let _default = subscribe(&traces);
        let service = service_fn(move |_: Request<Body>| {
            let response = Response::builder().header("grpc-status", status);
            ready(Ok::<_, Infallible>(response.body(Body::empty()).unwrap()))
        });

        let called = grpc_trace_layer().layer(service).oneshot(get("/kv.Kv/Get"));
        drop(called.await.unwrap());

        let span = traces.span("kv.Kv/Get");
        assert_eq!(fields(&span)["rpc.status_code"], "UNKNOWN");
        assert_eq!(fields(&span)["error.type"], "UNKNOWN");
    }
}
