//! What the names, the fields and the status of HTTP spans are.

#![cfg(all(feature = "axum", feature = "tower"))]

#[path = "support/exchange.rs"]
mod exchange;
#[path = "support/services.rs"]
mod services;
#[path = "support/traces.rs"]
mod traces;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get as get_route};
use http::{Method, Request, Response, StatusCode};
use opentelemetry::trace::{SpanKind, Status};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing_meter::http::{ClientLayer, ServerSpan, UrlTemplate, trace_layer};

use exchange::{exchange, of_kind, subscribe, the_one, traced};
use services::int_attributes::ints;
use services::{fields, get, hyper, nobody};
use traces::Traces;

#[tokio::test]
async fn spans_have_the_fields_of_the_convention() {
    let traces = Traces::new();
    let _default = subscribe(&traces);

    let app = Router::new().route("/kv/{key}", get_route(async || "value"));
    let mut port = String::new();
    let (client, server, _) = exchange(&traces, app, |server| {
        port = server.address.port().to_string();
        let url = format!("http://me:secret@127.0.0.1:{port}/kv/a?q=1&sig=2");
        let mut request = get(url);
        let headers = request.headers_mut();
        headers.insert("user-agent", "a test".parse().unwrap());
        headers.insert("x-forwarded-proto", "HTTPS, http".parse().unwrap());
        request
    })
    .await;

    let url = format!("http://REDACTED:REDACTED@127.0.0.1:{port}/kv/a?q=1&sig=REDACTED");
    let expected = BTreeMap::from([
        ("http.request.method", "GET".to_owned()),
        ("http.response.status_code", "200".to_owned()),
        ("network.protocol.version", "1.1".to_owned()),
        ("server.address", "127.0.0.1".to_owned()),
        ("server.port", port.clone()),
        ("url.full", url),
    ]);
    assert_eq!(fields(&client), expected);
    let expected = BTreeMap::from([
        ("http.request.method", "GET".to_owned()),
        ("http.response.status_code", "200".to_owned()),
        ("http.route", "/kv/{key}".to_owned()),
        ("network.protocol.version", "1.1".to_owned()),
        ("server.address", "127.0.0.1".to_owned()),
        ("server.port", port),
        ("url.path", "/kv/a".to_owned()),
        ("url.query", "q=1&sig=REDACTED".to_owned()),
        ("url.scheme", "https".to_owned()),
        ("user_agent.original", "a test".to_owned()),
    ]);
    assert_eq!(fields(&server), expected);
}

#[tokio::test]
async fn what_is_an_integer_by_the_convention_is_exported_as_one() {
    let traces = Traces::new();
    let _default = subscribe(&traces);

    let app = Router::new().route("/", get_route(async || "value"));
    let (client, server, _) = exchange(&traces, app, |server| get(server.url("/"))).await;

    for span in [&client, &server] {
        let ints = ints(&span.attributes);
        for key in ["server.port", "http.response.status_code"] {
            assert!(ints.contains(&key), "{key} is not among {ints:?}");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_route_is_named_by_its_method() {
    let traces = Traces::new();
    let _default = subscribe(&traces);

    let kv = Router::new().route("/{key}", get_route(async || "value"));
    let app = Router::new().nest("/kv", kv);
    let (_, server, response) = exchange(&traces, app, |server| get(server.url("/kv/a/b/c"))).await;

    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(server.name, "GET");
    assert_eq!(fields(&server).get("http.route"), None);
}

#[tokio::test]
async fn a_method_that_nobody_knows_is_another() {
    let traces = Traces::new();
    let _default = subscribe(&traces);

    let app = Router::new().route("/kv/{key}", any(async || "value"));
    let (client, server, _) = exchange(&traces, app, |server| {
        let mut request = get(server.url("/kv/a"));
        *request.method_mut() = Method::from_bytes(b"FETCH").unwrap();
        request.extensions_mut().insert(UrlTemplate::new("/kv/{k}"));
        request
    })
    .await;

    assert_eq!(client.name, "HTTP /kv/{k}");
    assert_eq!(fields(&client)["url.template"], "/kv/{k}");
    assert_eq!(server.name, "HTTP /kv/{key}");
    for span in [&client, &server] {
        assert_eq!(fields(span)["http.request.method"], "_OTHER");
        assert_eq!(fields(span)["http.request.method_original"], "FETCH");
    }
}

#[tokio::test]
async fn methods_routes_and_schemes_may_be_the_services_own() {
    #[derive(Clone)]
    struct Template(&'static str);
    let traces = Traces::new();
    let _default = subscribe(&traces);

    let span = ServerSpan::new()
        .route(|extensions| Some(extensions.get::<Template>()?.0.into()))
        .scheme("https")
        .known_methods(["FETCH"]);
    let handler =
        service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let server = trace_layer().make_span_with(span).layer(handler);
    let client = ClientLayer::new().known_methods(["FETCH"]).layer(server);
    let request = Request::builder().method("FETCH").uri("/kv/a");
    let request = request
        .extension(Template("/kv/:key"))
        .body(Body::empty())
        .unwrap();
    client.oneshot(request).await.unwrap();

    assert_eq!(the_one(&traces, &SpanKind::Client).name, "FETCH");
    let server = the_one(&traces, &SpanKind::Server);
    assert_eq!(server.name, "FETCH /kv/:key");
    assert_eq!(fields(&server)["http.route"], "/kv/:key");
    assert_eq!(fields(&server)["url.scheme"], "https");
    assert_eq!(fields(&server).get("server.address"), None);
}

#[tokio::test]
async fn the_clients_errors_are_not_the_servers() {
    for (code, on_client, on_server) in [
        (200, None, None),
        (302, None, None),
        (404, Some("404"), None),
        (500, Some("500"), Some("500")),
        (503, Some("503"), Some("503")),
    ] {
        let traces = Traces::new();
        let _default = subscribe(&traces);
        let status = StatusCode::from_u16(code).unwrap();
        let app = Router::new().route("/", get_route(async move || status));
        let (client, server, _) = exchange(&traces, app, |server| get(server.url("/"))).await;
        for (span, error) in [(&client, on_client), (&server, on_server)] {
            let fields = fields(span);
            assert_eq!(fields["http.response.status_code"], code.to_string());
            assert_eq!(
                fields.get("error.type").map(String::as_str),
                error,
                "{code}"
            );
            let status = if error.is_some() {
                Status::error("")
            } else {
                Status::Unset
            };
            assert_eq!(span.status, status, "{code}");
        }
    }
}

#[tokio::test]
async fn a_request_that_gets_no_response_fails_with_the_type_of_the_error() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let url = format!("http://{}/", nobody().await);

    traced(hyper()).oneshot(get(&url)).await.unwrap_err();
    let boxed = hyper().map_err(Box::<dyn Error + Send + Sync>::from);
    traced(boxed).oneshot(get(&url)).await.unwrap_err();

    let spans = of_kind(&traces, &SpanKind::Client);
    let types = ["hyper_util::client::legacy::client::Error", "_OTHER"];
    assert_eq!(spans.len(), types.len());
    for (span, error_type) in spans.iter().zip(types) {
        assert_eq!(fields(span)["error.type"], error_type);
        assert_eq!(fields(span).get("http.response.status_code"), None);
        assert_eq!(span.status, Status::error(""));
    }
}
