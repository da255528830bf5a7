//! Alone in its process: `tracing` remembers what the subscribers of a process want.

#![cfg(all(feature = "tower", feature = "tower-http"))]

#[path = "support/services.rs"]
mod services;
#[path = "support/traces.rs"]
mod traces;

use std::convert::Infallible;

use axum::body::Body;
use http::{HeaderMap, Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing_meter::http::{ClientLayer, trace_layer};
use tracing_meter::propagation;
use tracing_subscriber::prelude::*;

use services::get;
use traces::TRACEPARENT;

async fn forwarded(request: Request<Body>) -> HeaderMap {
    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let client = service_fn(move |request: Request<Body>| {
        sent.send(request.headers().clone()).unwrap();
        async { Ok::<_, Infallible>(Response::new(Body::empty())) }
    });
    let client = ClientLayer::new().layer(client);
    let forward = service_fn(move |_: Request<Body>| client.clone().oneshot(get("/")));
    let service = trace_layer().layer(forward);
    assert!(service.oneshot(request).await.is_ok());
    received.recv().await.unwrap()
}

#[tokio::test]
async fn a_service_that_only_passes_on_carries_its_requests_trace() {
    let subscriber = tracing_subscriber::registry().with(propagation::pass_through());
    let _default = subscriber.set_default();

    let mut request = get("/");
    let headers = request.headers_mut();
    headers.insert("traceparent", TRACEPARENT.parse().unwrap());
    headers.insert("tracestate", "rojo@@eu=1".parse().unwrap());
    headers.insert("baggage", "tenant=a%20b".parse().unwrap());
    let came = headers.clone();

    assert_eq!(forwarded(request).await, came);
}
