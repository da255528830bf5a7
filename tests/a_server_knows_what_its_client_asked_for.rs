//! Which request it was, however many proxies and routers it came through.

#![cfg(all(feature = "axum", feature = "tower"))]

#[path = "support/exchange.rs"]
mod exchange;
#[path = "support/services.rs"]
mod services;
#[path = "support/traces.rs"]
mod traces;

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::get as get_route;
use http::{HeaderName, HeaderValue, Request, Response, Version};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SpanData;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing_meter::http::{ServerSpan, trace_layer};

use exchange::{exchange, subscribe, the_one};
use services::{fields, get};
use traces::Traces;

/// The server's span of a request, as it came.
async fn server_span(request: Request<Body>) -> SpanData {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let service =
        service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let response = trace_layer().layer(service).oneshot(request).await;
    drop(response.unwrap());
    the_one(&traces, &SpanKind::Server)
}

fn with_headers(url: &str, headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = get(url);
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn the_scheme_is_the_one_that_the_first_proxy_saw() {
    let cases = [
        (&[][..], "http"),
        (&[("x-forwarded-proto", "https")][..], "https"),
        (&[("x-forwarded-proto", "gopher")][..], "http"),
        (
            &[("forwarded", "for=1.2.3.4; Proto=\"https\", proto=http")][..],
            "https",
        ),
        (
            &[
                ("forwarded", "for=_a;host=b"),
                ("x-forwarded-proto", "https"),
            ][..],
            "https",
        ),
        (
            &[("forwarded", "proto=http"), ("x-forwarded-proto", "https")][..],
            "http",
        ),
    ];
    for (headers, scheme) in cases {
        let traces = Traces::new();
        let _default = subscribe(&traces);
        let app = Router::new().route("/", get_route(async || ""));
        let (_, server, _) = exchange(&traces, app, |server| {
            let mut request = get(server.url("/"));
            for (name, value) in headers {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
            request
        })
        .await;
        assert_eq!(fields(&server)["url.scheme"], scheme, "{headers:?}");
    }
}

#[tokio::test]
async fn the_scheme_of_a_target_is_behind_that_of_a_proxy() {
    let target = server_span(get("https://h/")).await;
    assert_eq!(fields(&target)["url.scheme"], "https");
    for header in [("forwarded", "proto=http"), ("x-forwarded-proto", "http")] {
        let proxied = server_span(with_headers("https://h/", &[header])).await;
        assert_eq!(fields(&proxied)["url.scheme"], "http", "{header:?}");
    }
}

#[tokio::test]
async fn the_server_is_the_one_that_the_client_called() {
    let headers = [
        ("host", "by-host:1"),
        ("x-forwarded-host", "by-x:3, b"),
        ("forwarded", "for=a;host=\"by-forwarded:4\", host=b"),
    ];
    for (url, headers, address, port) in [
        ("/", &headers[..1], "by-host", "1"),
        ("http://by-target:2/", &headers[..1], "by-target", "2"),
        ("http://by-target:2/", &headers[..2], "by-x", "3"),
        ("http://by-target:2/", &headers[..], "by-forwarded", "4"),
    ] {
        let span = server_span(with_headers(url, headers)).await;
        assert_eq!(fields(&span)["server.address"], address);
        assert_eq!(fields(&span)["server.port"], port);
    }
}

#[tokio::test]
async fn the_client_is_the_one_that_the_first_proxy_saw() {
    let headers = [
        ("x-forwarded-for", "192.0.2.1:5, 192.0.2.2"),
        ("x-forwarded-for", "192.0.2.3"),
        ("forwarded", "for=\"[2001:db8::17]:4711\""),
        ("forwarded", "for=b"),
    ];
    for (headers, address) in [
        (&headers[..0], None),
        (&headers[..2], Some("192.0.2.1")),
        (&headers[..], Some("2001:db8::17")),
        (&[("forwarded", "for=_hidden")], Some("_hidden")),
    ] {
        let span = server_span(with_headers("/", headers)).await;
        let fields = fields(&span);
        assert_eq!(fields.get("client.address").map(String::as_str), address);
    }
}

#[tokio::test]
async fn headers_that_are_no_text_are_as_if_they_were_not_there() {
    let names = [
        "user-agent",
        "host",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "traceparent",
        "tracestate",
        "baggage",
    ];
    for bytes in [&b"\xff"[..], b"for=\xff;host=\xff;proto=\xff", b"\xc3\xa4"] {
        let mut request = get("/kv");
        for name in names {
            let value = HeaderValue::from_bytes(bytes).unwrap();
            request.headers_mut().insert(name, value);
        }
        let span = server_span(request).await;
        let expected = [
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("network.protocol.version", "1.1"),
            ("url.path", "/kv"),
            ("url.scheme", "http"),
        ];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(fields(&span), expected.into());
    }
}

#[tokio::test]
async fn a_nested_router_was_asked_for_the_whole_path() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let kv = Router::new()
        .route("/{key}", get_route(async || "value"))
        .layer(trace_layer());

    let app = Router::new().nest("/kv", kv);
    app.oneshot(get("/kv/a?q=1")).await.unwrap();

    let span = the_one(&traces, &SpanKind::Server);
    assert_eq!(span.name, "GET /kv/{key}");
    assert_eq!(fields(&span)["url.path"], "/kv/a");
    assert_eq!(fields(&span)["url.query"], "q=1");
}

#[tokio::test]
async fn a_route_that_is_told_wins_over_the_one_that_matched() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let span = ServerSpan::new().route(|_| Some("/told".into()));
    let app = Router::new()
        .route("/{key}", get_route(async || "value"))
        .layer(trace_layer().make_span_with(span));

    app.oneshot(get("/a")).await.unwrap();

    let span = the_one(&traces, &SpanKind::Server);
    assert_eq!(fields(&span)["http.route"], "/told");
}

#[tokio::test]
async fn the_protocols_version_is_the_requests() {
    for (version, name) in [(Version::HTTP_10, "1.0"), (Version::HTTP_2, "2")] {
        let mut request = get("/");
        *request.version_mut() = version;
        let span = server_span(request).await;
        assert_eq!(fields(&span)["network.protocol.version"], name);
    }
}
