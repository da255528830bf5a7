//! From where to where a client's span lasts, and what it says of where the request goes.

#![cfg(all(feature = "axum", feature = "tower"))]

#[path = "support/exchange.rs"]
mod exchange;
#[path = "support/services.rs"]
mod services;
#[path = "support/traces.rs"]
mod traces;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;

use axum::body::Body;
use http::{Request, Response, Version};
use opentelemetry::trace::SpanKind;
use tower::{Service as _, ServiceExt as _, service_fn};
use tracing::info_span;

use exchange::{subscribe, the_one, traced};
use services::{fields, get};
use traces::{Traces, child_of, origin};

fn answer(_: Request<Body>) -> Ready<Result<Response<Body>, Infallible>> {
    ready(Ok(Response::new(Body::empty())))
}

#[tokio::test]
async fn a_span_ends_with_its_response_even_if_the_future_is_kept() {
    let traces = Traces::new();
    let _default = subscribe(&traces);

    let mut kept = pin!(traced(service_fn(answer)).call(get("/")));
    kept.as_mut().await.unwrap();

    the_one(&traces, &SpanKind::Client);
}

#[tokio::test]
async fn what_a_client_does_when_it_is_called_is_in_the_span() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    // Not in its future, but before there is one.
    let client = service_fn(|request| {
        drop(info_span!("connect"));
        answer(request)
    });

    traced(client).oneshot(get("/")).await.unwrap();

    let client = the_one(&traces, &SpanKind::Client);
    assert_eq!(origin(&traces.span("connect")), child_of(&client));
}

#[tokio::test]
async fn a_port_that_is_not_named_is_the_schemes() {
    for (url, port) in [
        ("http://h/", Some("80")),
        ("ws://h/", Some("80")),
        ("https://h/", Some("443")),
        ("wss://h/", Some("443")),
        ("https://h:80/", Some("80")),
        ("gopher://h/", None),
    ] {
        let traces = Traces::new();
        let _default = subscribe(&traces);

        let client = traced(service_fn(answer));
        client.oneshot(get(url)).await.unwrap();

        let client = the_one(&traces, &SpanKind::Client);
        let fields = fields(&client);
        assert_eq!(fields["server.address"], "h");
        assert_eq!(fields.get("server.port").map(String::as_str), port, "{url}");
    }
}

#[tokio::test]
async fn the_protocols_version_is_the_responses() {
    for (version, name) in [
        (Version::HTTP_09, "0.9"),
        (Version::HTTP_10, "1.0"),
        (Version::HTTP_11, "1.1"),
        (Version::HTTP_2, "2"),
        (Version::HTTP_3, "3"),
    ] {
        let traces = Traces::new();
        let _default = subscribe(&traces);
        let client = service_fn(move |request| {
            let mut response = answer(request).into_inner().unwrap();
            *response.version_mut() = version;
            ready(Ok::<_, Infallible>(response))
        });

        traced(client).oneshot(get("/")).await.unwrap();

        let client = the_one(&traces, &SpanKind::Client);
        assert_eq!(fields(&client)["network.protocol.version"], name);
    }
}
