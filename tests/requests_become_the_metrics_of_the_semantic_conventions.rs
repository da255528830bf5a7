//! Requests through the library's own layers give the metrics of the semantic conventions.

#![cfg(all(
    feature = "otel",
    feature = "prometheus",
    feature = "axum",
    feature = "tower"
))]

#[path = "support/exporters.rs"]
mod exporters;
#[path = "support/semconv.rs"]
mod semconv;
#[path = "support/services.rs"]
mod services;

use std::convert::Infallible;
use std::error::Error;
use std::future::ready;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use exporters::{Exporters, assert_promtool_finds_nothing};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use semconv::{Model, series};
use services::{Server, get, hyper, nobody};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};
use tracing::subscriber::DefaultGuard;
use tracing_meter::http::{ClientLayer, UrlTemplate, grpc_trace_layer, trace_layer};
use tracing_meter::{MeterHandle, MeterLayerBuilder, SemanticConventions};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A subscriber for this thread, and so for this test.
fn subscribe(
    configure: impl FnOnce(MeterLayerBuilder) -> MeterLayerBuilder,
) -> (Exporters, MeterHandle, DefaultGuard) {
    let (exporters, builder) = Exporters::new();
    let builder = builder.own_metrics(false);
    let builder = configure(builder.convention(SemanticConventions::new()));
    let layer = builder.build().unwrap();
    let handle = layer.handle();
    let default = Registry::default().with(layer).set_default();
    (exporters, handle, default)
}

fn app() -> Router {
    Router::new()
        .route("/kv/{key}", any(async || "value"))
        .route("/broken", any(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route(
            "/panics",
            any(async || -> &'static str { panic!("on purpose") }),
        )
        .layer(trace_layer())
}

async fn send(method: &str, url: String, template: &'static str) -> Option<StatusCode> {
    let client = ServiceBuilder::new()
        .layer(ClientLayer::new())
        .service(hyper());
    let request = Request::builder().method(method).uri(url);
    let request = request.extension(UrlTemplate::new(template));
    let response = client
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .ok()?;
    let status = response.status();
    response.into_body().collect().await.unwrap();
    Some(status)
}

#[tokio::test]
async fn both_sides_have_the_metrics_of_the_model() {
    let (exporters, handle, _default) = subscribe(|builder| builder);
    let server = Server::start(app()).await;
    let port = server.address.port();
    for key in ["a", "b"] {
        let sent = send("GET", server.url(&format!("/kv/{key}")), "/kv/{k}").await;
        assert_eq!(sent.unwrap(), 200);
    }
    let sent = send("BREW", server.url("/kv/a"), "/kv/{k}").await;
    assert_eq!(sent.unwrap(), 200);
    let sent = send("GET", server.url("/nothing/here"), "/nothing").await;
    assert_eq!(sent.unwrap(), 404);
    let sent = send("GET", server.url("/broken"), "/broken").await;
    assert_eq!(sent.unwrap(), 500);
    assert_eq!(send("GET", server.url("/panics"), "/panics").await, None);
    server.stop().await;

    let exported = exporters.resource_metrics();
    let taken = |rest: &str| format!("http.server.request.duration {{{rest}}}");
    let common = r#"network.protocol.version="1.1", url.scheme="http""#;
    let mut expected = vec![
        r#"http.server.active_requests {http.request.method="GET", url.scheme="http"}"#.to_owned(),
        r#"http.server.active_requests {http.request.method="_OTHER", url.scheme="http"}"#
            .to_owned(),
        taken(&format!(
            r#"error.type="500", http.request.method="GET", http.response.status_code=500, http.route="/broken", {common}"#
        )),
        taken(&format!(
            r#"error.type="_OTHER", http.request.method="GET", http.route="/panics", {common}"#
        )),
        taken(&format!(
            r#"http.request.method="GET", http.response.status_code=200, http.route="/kv/{{key}}", {common}"#
        )),
        taken(&format!(
            r#"http.request.method="GET", http.response.status_code=404, {common}"#
        )),
        taken(&format!(
            r#"http.request.method="_OTHER", http.response.status_code=200, http.route="/kv/{{key}}", {common}"#
        )),
    ];
    let to = format!(r#"server.address="127.0.0.1", server.port={port}"#);
    for (method, template) in [
        ("GET", "/broken"),
        ("GET", "/kv/{k}"),
        ("GET", "/nothing"),
        ("GET", "/panics"),
        ("_OTHER", "/kv/{k}"),
    ] {
        expected.push(format!(
            r#"http.client.active_requests {{http.request.method="{method}", {to}, url.template="{template}"}}"#
        ));
    }
    let sent = |error: &str, method: &str, status: &str| {
        format!(
            r#"http.client.request.duration {{{error}http.request.method="{method}", {status}{to}}}"#
        )
    };
    let answered = |status: u16| {
        format!(r#"http.response.status_code={status}, network.protocol.version="1.1", "#)
    };
    expected.extend([
        sent("", "GET", &answered(200)),
        sent("", "_OTHER", &answered(200)),
        sent(r#"error.type="404", "#, "GET", &answered(404)),
        sent(r#"error.type="500", "#, "GET", &answered(500)),
        sent(
            r#"error.type="hyper_util::client::legacy::client::Error", "#,
            "GET",
            "",
        ),
    ]);
    expected.sort();
    assert_eq!(series(&exported), expected);
    assert_eq!(Model::read().disagreements(&exported), Vec::<String>::new());
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());

    assert_promtool_finds_nothing(&exporters.scrape());
    let ok = [
        ("http_request_method", "GET"),
        ("http_response_status_code", "200"),
        ("http_route", "/kv/{key}"),
        ("network_protocol_version", "1.1"),
        ("url_scheme", "http"),
    ];
    let count = exporters.scraped("http_server_request_duration_seconds_count", &ok);
    assert_eq!(count, Some(2.0));
    let active = [("http.request.method", "GET"), ("url.scheme", "http")];
    exporters.assert_both(
        "http.server.active_requests",
        "http_server_active_requests",
        &active,
        0.0,
    );
}

#[tokio::test]
async fn a_request_that_nobody_answers_is_measured_with_its_error() {
    let (exporters, _, _default) = subscribe(|builder| builder);
    let address = nobody().await;

    assert_eq!(send("GET", format!("http://{address}/"), "/").await, None);

    let series = series(&exporters.resource_metrics());
    let error = r#"http.client.request.duration {error.type="hyper_util::client::legacy::client::Error", http.request.method="GET", server.address="127.0.0.1""#;
    assert!(series[1].starts_with(error), "{series:?}");
}

#[tokio::test]
async fn requests_of_another_crate_have_the_metrics_of_the_model() {
    let (exporters, handle, _default) = subscribe(|builder| builder);
    let server = Server::start(app()).await;
    let port = server.address.port();
    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(reqwest_tracing::TracingMiddleware::default())
        .build();
    for path in ["/kv/a", "/nothing"] {
        let response = client.get(server.url(path)).send().await.unwrap();
        response.bytes().await.unwrap();
    }
    drop(client);
    server.stop().await;

    let exported = exporters.resource_metrics();
    let mut sent = series(&exported);
    sent.retain(|it| it.starts_with("http.client."));
    let to = format!(r#"server.address="127.0.0.1", server.port={port}"#);
    assert_eq!(
        sent,
        [
            format!(r#"http.client.active_requests {{http.request.method="GET", {to}}}"#),
            format!(
                r#"http.client.request.duration {{error.type="404", http.request.method="GET", http.response.status_code=404, {to}}}"#
            ),
            format!(
                r#"http.client.request.duration {{http.request.method="GET", http.response.status_code=200, {to}}}"#
            ),
        ]
    );
    assert_eq!(Model::read().disagreements(&exported), Vec::<String>::new());
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
}

#[tokio::test]
async fn a_client_of_many_paths_hosts_and_methods_has_bounded_series() {
    const LIMIT: usize = 50;
    let (exporters, handle, _default) = subscribe(|builder| builder.series_limit(LIMIT));
    let client = ClientLayer::new().layer(app());
    for n in 0..5000 {
        let request = Request::builder().method(&*format!("METHOD{n}"));
        let request = request.uri(format!("http://host{n}.example/path/{n}?q={n}"));
        let template = UrlTemplate::new(format!("/path/{n}"));
        let request = request.extension(template).body(Body::empty()).unwrap();
        let response = client.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 404);
    }

    // What a server is asked for is of no bound, and none of it is a label there.
    let all = series(&exporters.resource_metrics());
    let of = |metric: &str| {
        all.iter()
            .filter(|it| it.starts_with(&format!("{metric} ")))
            .count()
    };
    assert_eq!(of("http.server.request.duration"), 1, "{all:?}");
    assert_eq!(of("http.server.active_requests"), 1);
    // A client chooses its hosts itself.
    for metric in [
        "http.client.request.duration",
        "http.client.active_requests",
    ] {
        assert!(of(metric) <= LIMIT + 1, "{metric}: {}", of(metric));
    }
    let overflow = [("otel.metric.overflow", "true")];
    let in_flight = exporters.collected("http.client.active_requests", &overflow);
    assert_eq!(in_flight, Some(0.0));
    let other = [("http.request.method", "_OTHER"), ("url.scheme", "http")];
    let in_flight = exporters.collected("http.server.active_requests", &other);
    assert_eq!(in_flight, Some(0.0));
    let problems = handle.problems();
    assert!(
        problems
            .iter()
            .all(|it| it.metric().starts_with("http.client.")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_call_of_grpc_has_the_metric_of_its_side() {
    let (exporters, handle, _default) = subscribe(|builder| builder);
    for status in ["0", "5", "13"] {
        let service = service_fn(move |_: Request<Body>| {
            let response = Response::builder().header("grpc-status", status);
            ready(Ok::<_, Infallible>(response.body(Body::empty()).unwrap()))
        });
        let called = grpc_trace_layer().layer(service).oneshot(get("/kv.Kv/Get"));
        drop(called.await.unwrap());
    }
    let fails = service_fn(async |_: Request<Body>| {
        Err::<Response<Body>, _>(Box::<dyn Error + Send + Sync>::from("out of space"))
    });
    let called = grpc_trace_layer().layer(fails).oneshot(get("/kv.Kv/Get"));
    assert!(called.await.is_err());

    let exported = exporters.resource_metrics();
    let call = |error: &str, status: &str| {
        format!(
            r#"rpc.server.call.duration {{{error}rpc.method="kv.Kv/Get", {status}rpc.system.name="grpc"}}"#
        )
    };
    assert_eq!(
        series(&exported),
        [
            call(
                r#"error.type="INTERNAL", "#,
                r#"rpc.status_code="INTERNAL", "#
            ),
            call(r#"error.type="_OTHER", "#, ""),
            call("", r#"rpc.status_code="NOT_FOUND", "#),
            call("", r#"rpc.status_code="OK", "#),
        ]
    );
    assert_eq!(Model::read().disagreements(&exported), Vec::<String>::new());
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
}
