//! Services without a response, and responses whose bodies end before their end.

#![cfg(all(feature = "axum", feature = "tower"))]

#[path = "support/exchange.rs"]
mod exchange;
#[path = "support/services.rs"]
mod services;
#[path = "support/traces.rs"]
mod traces;

use std::convert::Infallible;
use std::error::Error;
use std::io;

use axum::body::Body;
use futures_util::stream;
use http::{Request, Response};
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::trace::TraceLayer;
use tracing_meter::http::{OnServerFailure, OnServerResponse, ServerSpan, trace_layer};

use exchange::{subscribe, the_one};
use services::{fields, get};
use traces::Traces;

/// A response whose body fails behind its first piece.
async fn cut_off(status: u16) -> SpanData {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let service = service_fn(async |_: Request<Body>| {
        let pieces = [Ok("first"), Err(io::Error::other("disk on fire"))];
        let body = Body::from_stream(stream::iter(pieces));
        Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
    });

    let response = trace_layer()
        .layer(service)
        .oneshot(get("/"))
        .await
        .unwrap();
    let body = axum::body::to_bytes(Body::new(response.into_body()), usize::MAX);
    body.await.unwrap_err();

    let span = the_one(&traces, &SpanKind::Server);
    assert_eq!(
        fields(&span)["http.response.status_code"],
        status.to_string()
    );
    span
}

#[tokio::test]
async fn a_body_that_fails_midway_fails_the_span() {
    let span = cut_off(200).await;
    assert_eq!(fields(&span)["error.type"], "_OTHER");
    assert_eq!(span.status, Status::error("disk on fire"));
}

#[tokio::test]
async fn a_server_error_stays_what_it_was_when_its_body_fails() {
    let span = cut_off(503).await;
    assert_eq!(fields(&span)["error.type"], "503");
    assert_eq!(span.status, Status::error(""));
}

#[tokio::test]
async fn a_service_that_gives_no_response_has_failed() {
    let of_http = TraceLayer::new_for_http()
        .make_span_with(ServerSpan::new())
        .on_response(OnServerResponse)
        .on_failure(OnServerFailure);
    let service = service_fn(async |_: Request<Body>| {
        Err::<Response<Body>, _>(Box::<dyn Error + Send + Sync>::from("out of space"))
    });
    let traces = Traces::new();
    let _default = subscribe(&traces);

    assert!(
        trace_layer()
            .layer(service)
            .oneshot(get("/"))
            .await
            .is_err()
    );
    assert!(of_http.layer(service).oneshot(get("/")).await.is_err());

    let spans = traces.spans();
    assert_eq!(spans.len(), 2);
    for span in spans {
        assert_eq!(fields(&span)["error.type"], "_OTHER");
        assert_eq!(span.status, Status::error("out of space"));
    }
}

#[tokio::test]
async fn a_panic_that_is_caught_inside_is_a_server_error() {
    async fn panics() {
        panic!("by the test");
    }
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let app = axum::Router::new()
        .route("/", axum::routing::get(panics))
        .layer(tower_http::catch_panic::CatchPanicLayer::new())
        .layer(trace_layer());

    drop(app.oneshot(get("/")).await.unwrap());

    let span = the_one(&traces, &SpanKind::Server);
    assert_eq!(fields(&span)["http.response.status_code"], "500");
    assert_eq!(fields(&span)["error.type"], "500");
}
