//! A service like the example's, around any OpenTelemetry propagator.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::SpanKind;
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::trace::SdkTracer;
use serde_json::Value;

use super::Result;
use crate::w3c_service::{Answer, Client, Service, start};

#[derive(Clone)]
struct Relay {
    propagator: Arc<dyn TextMapPropagator + Send + Sync>,
    tracer: SdkTracer,
    client: Client,
}

/// Listens at `/`.
pub(crate) async fn start_relay(
    listen: SocketAddr,
    tracer: SdkTracer,
    propagator: impl TextMapPropagator + Send + Sync + 'static,
) -> Result<Service> {
    let relay = Relay {
        propagator: Arc::new(propagator),
        tracer,
        client: Client::new()?,
    };
    let routes = Router::new().route("/", post(answer).with_state(relay));
    Service::start(listen, routes).await
}

async fn answer(
    State(relay): State<Relay>,
    headers: HeaderMap,
    Json(calls): Json<Vec<Value>>,
) -> Answer {
    let received = HeaderExtractor(&headers);
    let received = relay
        .propagator
        .extract_with_context(&Context::new(), &received);
    let context = start(&relay.tracer, "answer", SpanKind::Server, &received);
    for call in &calls {
        let context = start(&relay.tracer, "call", SpanKind::Client, &context);
        let mut headers = HeaderMap::new();
        let mut injector = HeaderInjector(&mut headers);
        relay.propagator.inject_context(&context, &mut injector);
        relay.client.call(call, headers).await?;
    }
    Ok(())
}
