//! Alone in its process: `tracing` remembers what the subscribers of a process want.

#![cfg(all(feature = "tonic", feature = "tower-http"))]

#[path = "support/services.rs"]
mod services;
#[path = "support/traces.rs"]
mod traces;

use std::convert::Infallible;

use axum::body::Body;
use http::{HeaderMap, Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing_meter::http::{InjectTrace, grpc_trace_layer};
use tracing_meter::propagation;
use tracing_subscriber::prelude::*;

use services::get;
use traces::TRACEPARENT;

#[tokio::test]
async fn a_grpc_service_that_only_passes_on_carries_its_calls_trace() {
    use tonic::service::Interceptor as _;
    let subscriber = tracing_subscriber::registry().with(propagation::pass_through());
    let _default = subscriber.set_default();
    // Answers with the metadata of a call that it would make.
    let service = service_fn(async |_: Request<Body>| {
        let call = InjectTrace.call(tonic::Request::new(())).unwrap();
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = call.into_parts().0.into_headers();
        Ok::<_, Infallible>(response)
    });

    let mut call = get("/kv.Kv/Get");
    let traceparent = TRACEPARENT.parse().unwrap();
    call.headers_mut().insert("traceparent", traceparent);
    let came: HeaderMap = call.headers().clone();

    let response = grpc_trace_layer().layer(service).oneshot(call).await;
    assert_eq!(*response.unwrap().headers(), came);
}
