//! The rules for `tower-http`, `h2`, `reqwest-tracing` and `tonic`, and the real crates over
//! sockets of this machine.

#![cfg(feature = "axum")]

#[path = "support/services.rs"]
mod services;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get as get_route};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, Request, Response, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use reqwest_tracing::TracingMiddleware;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tower_http::trace::TraceLayer;
use tracing::subscriber::DefaultGuard;
use tracing_meter::{
    Convention, Kind, LabelValue, MemorySink, MeterHandle, Rules, Snapshot, SpanMetrics,
};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

use services::{Server, get, hyper, nobody, text};

/// What is measured on this thread by some rules.
struct Measuring {
    memory: MemorySink,
    handle: MeterHandle,
    log_lines: Arc<AtomicUsize>,
    _default: DefaultGuard,
}

impl Measuring {
    /// Beside a log with these directives.
    fn start(convention: impl Convention, log: &str) -> Self {
        let memory = MemorySink::new();
        let builder = tracing_meter::builder().sink(memory.clone());
        let layer = builder.convention(convention).build().unwrap();
        let (handle, log_lines) = (layer.handle(), Arc::<AtomicUsize>::default());
        let lines = Arc::clone(&log_lines);
        let writer = move || CountLines(Arc::clone(&lines));
        let log = tracing_subscriber::fmt::layer()
            .with_writer(writer)
            .with_filter(EnvFilter::new(log));
        let default = tracing_subscriber::registry()
            .with(log)
            .with(layer)
            .set_default();
        Self {
            memory,
            handle,
            log_lines,
            _default: default,
        }
    }

    fn snapshot(&self) -> Snapshot {
        self.memory.snapshot()
    }

    /// The names of the metrics that were declared, sorted, and that nothing is wrong with them.
    fn metrics(&self) -> Vec<String> {
        let problems = self.handle.problems();
        assert!(problems.is_empty(), "{problems:?}");
        let catalog = self.handle.catalog();
        let names = catalog.iter().map(|entry| entry.name().to_owned());
        let mut names: Vec<_> = names
            .filter(|name| !name.starts_with("tracing_meter."))
            .collect();
        names.sort();
        names
    }
}

struct CountLines(Arc<AtomicUsize>);

impl io::Write for CountLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn instrument(snapshot: &Snapshot, metric: &str) -> (Kind, String) {
    let instrument = snapshot.instrument(metric).unwrap();
    assert!(instrument.description().is_some(), "{metric}");
    (instrument.kind(), instrument.unit().unwrap().to_owned())
}

/// The type of a label's value, in all series of a metric that have it.
fn label_type(snapshot: &Snapshot, metric: &str, key: &str) -> &'static str {
    let sets = snapshot.label_sets(metric);
    let mut types: Vec<_> = sets
        .filter_map(|labels| labels.get(key))
        .map(|value| match value {
            LabelValue::Str(_) => "text",
            LabelValue::I64(_) => "integer",
            _ => "other",
        })
        .collect();
    types.dedup();
    assert_eq!(types.len(), 1, "{key}: {types:?}");
    types[0]
}

const ACTIVE: &str = "http.server.active_requests";
const SERVED: &str = "http.server.request.duration";
const RESPONSES: &str = "tower_http.responses";
const FAILURES: &str = "tower_http.failures";

const HTTP: (&str, &str) = ("url.scheme", "http");
const V1: (&str, &str) = ("network.protocol.version", "1.1");

fn method(method: &str) -> (&str, &str) {
    ("http.request.method", method)
}

async fn send(server: &Server, method: &str, path: &str) -> StatusCode {
    let request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
    let request = request.uri(server.url(path)).body(Body::empty()).unwrap();
    let response = hyper().request(request).await.unwrap();
    let status = response.status();
    text(response.map(Body::new)).await;
    status
}

#[tokio::test]
async fn requests_of_tower_http_are_measured_by_method_and_responses_by_status() {
    let measuring = Measuring::start(Rules::tower_http("http"), "off");
    let app = Router::new()
        .route("/items/{id}", any(async || "an item"))
        .route("/broken", any(async || StatusCode::INTERNAL_SERVER_ERROR));
    let server = Server::start(app.layer(TraceLayer::new_for_http())).await;
    let started = Instant::now();
    for id in 0..20 {
        assert_eq!(
            send(&server, "GET", &format!("/items/{id}")).await,
            StatusCode::OK
        );
    }
    for made_up in ["BREW", "WHEN", "get"] {
        send(&server, made_up, "/items/1").await;
    }
    send(&server, "POST", "/items/1").await;
    send(&server, "GET", "/nowhere").await;
    send(&server, "GET", "/broken").await;
    server.stop().await;
    let at_most = started.elapsed().as_secs_f64();

    let snapshot = measuring.snapshot();
    assert_eq!(measuring.metrics(), [ACTIVE, SERVED, FAILURES, RESPONSES]);
    for (name, times) in [("GET", 22), ("POST", 1), ("_OTHER", 3)] {
        let durations = snapshot.samples(SERVED, &[method(name), HTTP, V1]);
        assert_eq!(durations.len(), times, "{name}");
        assert!(durations.iter().all(|it| *it > 0.0), "{durations:?}");
        assert!(durations.iter().sum::<f64>() < at_most, "{durations:?}");
        assert_eq!(snapshot.value(ACTIVE, &[method(name), HTTP]), Some(0.0));
    }
    assert_eq!(snapshot.label_sets(SERVED).count(), 3);
    for (status, times) in [("200", 24.0), ("404", 1.0), ("500", 1.0)] {
        let labels = [("http.response.status_code", status)];
        assert_eq!(snapshot.value(RESPONSES, &labels), Some(times), "{status}");
    }
    assert_eq!(
        snapshot.value(FAILURES, &[("error.type", "500")]),
        Some(1.0)
    );

    assert_eq!(
        instrument(&snapshot, SERVED),
        (Kind::Histogram, "s".to_owned())
    );
    assert_eq!(
        instrument(&snapshot, ACTIVE),
        (Kind::UpDownCounter, "{request}".to_owned())
    );
    assert_eq!(
        instrument(&snapshot, RESPONSES),
        (Kind::Counter, "{response}".to_owned())
    );
    assert_eq!(
        instrument(&snapshot, FAILURES),
        (Kind::Counter, "{failure}".to_owned())
    );
    assert_eq!(
        label_type(&snapshot, RESPONSES, "http.response.status_code"),
        "integer"
    );
    for key in [
        "http.request.method",
        "url.scheme",
        "network.protocol.version",
    ] {
        assert_eq!(label_type(&snapshot, SERVED, key), "text");
    }
    assert_eq!(label_type(&snapshot, FAILURES, "error.type"), "text");
}

#[tokio::test]
async fn a_request_of_tower_http_lasts_until_its_body_was_sent() {
    let measuring = Measuring::start(Rules::tower_http("http"), "off");
    let (release, released) = oneshot::channel::<()>();
    let body = async move {
        released.await.unwrap();
        Ok::<_, Infallible>(Bytes::from_static(b"late"))
    };
    let body = Arc::new(Mutex::new(Some(Body::from_stream(body.into_stream()))));
    let answer = move || {
        let body = body.lock().unwrap().take().unwrap();
        async move { body }
    };
    let app = Router::new().route("/", get_route(answer));
    let server = Server::start(app.layer(TraceLayer::new_for_http())).await;
    let response = hyper().request(get(server.url("/"))).await.unwrap();

    let labels = [method("GET"), HTTP];
    assert_eq!(measuring.snapshot().value(ACTIVE, &labels), Some(1.0));
    assert!(measuring.snapshot().instrument(SERVED).is_none());
    let head = Instant::now();
    while head.elapsed().as_micros() < 2000 {
        tokio::task::yield_now().await;
    }
    let at_least = head.elapsed().as_secs_f64();
    release.send(()).unwrap();
    assert_eq!(text(response.map(Body::new)).await, "late");
    server.stop().await;

    let snapshot = measuring.snapshot();
    assert_eq!(snapshot.value(ACTIVE, &labels), Some(0.0));
    let durations = snapshot.samples(SERVED, &[method("GET"), HTTP, V1]);
    assert!(
        matches!(durations, [it] if *it >= at_least),
        "{durations:?}"
    );
}

#[tokio::test]
async fn a_handler_that_panics_is_an_error() {
    let measuring = Measuring::start(Rules::tower_http("http"), "off");
    let app = Router::new().route("/", get_route(async || -> &'static str { panic!("no") }));
    let server = Server::start(app.layer(TraceLayer::new_for_http())).await;
    assert!(hyper().request(get(server.url("/"))).await.is_err());
    server.stop().await;

    let labels = [method("GET"), HTTP, V1, ("error.type", "_OTHER")];
    assert_eq!(measuring.snapshot().samples(SERVED, &labels).len(), 1);
    assert_eq!(
        measuring.snapshot().value(ACTIVE, &[method("GET"), HTTP]),
        Some(0.0)
    );
}

const CONNECTIONS: &str = "h2.connections";
const LASTED: &str = "h2.connection.duration";
const CLIENT: (&str, &str) = ("h2.role", "client");
const SERVER: (&str, &str) = ("h2.role", "server");

/// Answers each request of one connection.
async fn serve_h2(listener: TcpListener) {
    let (socket, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(socket).await.unwrap();
    while let Some(accepted) = connection.accept().await {
        let (request, mut respond) = accepted.unwrap();
        drop(request);
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream
            .send_data(Bytes::from_static(b"hello"), true)
            .unwrap();
    }
}

async fn request_h2(sender: &h2::client::SendRequest<Bytes>, address: SocketAddr, path: usize) {
    let mut sender = sender.clone().ready().await.unwrap();
    let request = Request::get(format!("http://{address}/{path}"))
        .body(())
        .unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    while let Some(data) = body.data().await {
        let len = data.unwrap().len();
        body.flow_control().release_capacity(len).unwrap();
    }
}

#[tokio::test]
async fn connections_of_h2_are_measured_and_nothing_else_under_trace() {
    let measuring = Measuring::start(Rules::shipped(), "h2=trace");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let started = Instant::now();
    let server = tokio::spawn(serve_h2(listener));
    let socket = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(socket).await.unwrap();
    let client = tokio::spawn(connection);
    request_h2(&sender, address, 0).await;

    for role in [CLIENT, SERVER] {
        assert_eq!(measuring.snapshot().value(CONNECTIONS, &[role]), Some(1.0));
    }
    let (open, at_trace) = (Instant::now(), measuring.log_lines.load(Ordering::Relaxed));
    for path in 1..100 {
        request_h2(&sender, address, path).await;
    }
    assert!(measuring.log_lines.load(Ordering::Relaxed) - at_trace > 1000);
    let at_least = open.elapsed().as_secs_f64();
    drop(sender);
    client.await.unwrap().unwrap();
    server.await.unwrap();
    let at_most = started.elapsed().as_secs_f64();

    let snapshot = measuring.snapshot();
    assert_eq!(measuring.metrics(), [LASTED, CONNECTIONS]);
    for role in [CLIENT, SERVER] {
        assert_eq!(snapshot.value(CONNECTIONS, &[role]), Some(0.0));
        let lasted = snapshot.samples(LASTED, &[role]);
        assert!(
            matches!(lasted, [it] if (at_least..at_most).contains(it)),
            "{lasted:?}"
        );
    }
    assert_eq!(snapshot.label_sets(LASTED).count(), 2);
    assert_eq!(
        instrument(&snapshot, LASTED),
        (Kind::Histogram, "s".to_owned())
    );
    assert_eq!(
        instrument(&snapshot, CONNECTIONS),
        (Kind::UpDownCounter, "{connection}".to_owned())
    );
    assert_eq!(label_type(&snapshot, LASTED, "h2.role"), "text");
}

#[tokio::test]
async fn all_spans_of_h2_under_trace_are_a_few_series() {
    const REQUESTS: u16 = 1_000;
    let measuring = Measuring::start(SpanMetrics::new("h2=trace").unwrap(), "off");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve_h2(listener));
    let socket = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(socket).await.unwrap();
    let client = tokio::spawn(connection);

    for path in 0..REQUESTS {
        request_h2(&sender, address, path.into()).await;
    }
    drop(sender);
    client.await.unwrap().unwrap();
    server.await.unwrap();

    let snapshot = measuring.snapshot();
    assert!(measuring.handle.problems().is_empty());
    let names: Vec<_> = snapshot.label_sets("traces.span.metrics.calls").collect();
    // One for each callsite of the crate, whatever was sent.
    assert!((5..50).contains(&names.len()), "{names:?}");
    let mut spans = 0.0;
    for labels in names {
        let labels: Vec<(&str, String)> = labels
            .iter()
            .map(|label| (label.key(), label.value().to_string()))
            .collect();
        let labels: Vec<(&str, &str)> =
            labels.iter().map(|(key, value)| (*key, &**value)).collect();
        let calls = snapshot.value("traces.span.metrics.calls", &labels);
        let durations = snapshot.samples("traces.span.metrics.duration", &labels);
        let durations = u32::try_from(durations.len()).unwrap();
        assert_eq!(calls, Some(f64::from(durations)), "{labels:?}");
        spans += calls.unwrap();
        let open: Vec<_> = labels
            .into_iter()
            .filter(|(key, _)| *key != "status.code")
            .collect();
        assert_eq!(
            snapshot.value("traces.span.metrics.in_flight", &open),
            Some(0.0)
        );
    }
    assert!(spans > 10.0 * f64::from(REQUESTS), "{spans} spans");
}

const SENT: &str = "http.client.request.duration";

#[tokio::test]
async fn requests_of_reqwest_are_measured_with_what_the_conventions_ask_for() {
    let measuring = Measuring::start(Rules::reqwest(), "off");
    let app = Router::new()
        .route("/items/{id}", any(async || "an item"))
        .route("/broken", any(async || StatusCode::BAD_GATEWAY));
    let server = Server::start(app).await;
    let nobody = nobody().await;
    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new());
    let client = client.with(TracingMiddleware::default()).build();
    let started = Instant::now();
    for path in ["/items/1", "/items/2", "/items/3", "/nowhere", "/broken"] {
        let response = client.get(server.url(path)).send().await.unwrap();
        response.bytes().await.unwrap();
    }
    let made_up = Method::from_bytes(b"BREW").unwrap();
    client
        .request(made_up, server.url("/items/1"))
        .send()
        .await
        .unwrap();
    client
        .get(format!("http://{nobody}/"))
        .send()
        .await
        .unwrap_err();
    let at_most = started.elapsed().as_secs_f64();
    let port = server.address.port().to_string();
    drop(client);
    server.stop().await;

    let snapshot = measuring.snapshot();
    assert_eq!(measuring.metrics(), [SENT]);
    let address = ("server.address", "127.0.0.1");
    for (name, status, error, times) in [
        ("GET", "200", None, 3),
        ("GET", "404", Some("404"), 1),
        ("GET", "502", Some("502"), 1),
        ("_OTHER", "200", None, 1),
    ] {
        let mut labels = vec![method(name), HTTP, address, ("server.port", &port)];
        labels.push(("http.response.status_code", status));
        labels.extend(error.map(|error| ("error.type", error)));
        let durations = snapshot.samples(SENT, &labels);
        assert_eq!(durations.len(), times, "{labels:?}");
        assert!(durations.iter().all(|it| *it > 0.0), "{durations:?}");
        assert!(durations.iter().sum::<f64>() < at_most, "{durations:?}");
    }
    let port = nobody.port().to_string();
    let failed = [
        method("GET"),
        HTTP,
        address,
        ("server.port", &port),
        ("error.type", "_OTHER"),
    ];
    assert_eq!(snapshot.samples(SENT, &failed).len(), 1);
    assert_eq!(snapshot.label_sets(SENT).count(), 5);
    assert_eq!(
        instrument(&snapshot, SENT),
        (Kind::Histogram, "s".to_owned())
    );
    for key in ["server.port", "http.response.status_code"] {
        assert_eq!(label_type(&snapshot, SENT, key), "integer", "{key}");
    }
    for key in [
        "http.request.method",
        "url.scheme",
        "server.address",
        "error.type",
    ] {
        assert_eq!(label_type(&snapshot, SENT, key), "text", "{key}");
    }
}

/// Answers a request that has spans, and has not found those that have none.
struct Traces;

#[tonic::async_trait]
impl TraceService for Traces {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        if request.into_inner().resource_spans.is_empty() {
            return Err(tonic::Status::not_found("no spans"));
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test]
async fn calls_of_tonic_are_measured_by_the_layers_and_connections_under_it() {
    let measuring = Measuring::start(Rules::shipped(), "tonic=trace,h2=trace");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tonic::transport::Server::builder()
        .layer(TraceLayer::new_for_grpc())
        .add_service(TraceServiceServer::new(Traces))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped.map(drop));
    let serving = tokio::spawn(serving);
    let url = format!("http://{address}");
    let mut client = TraceServiceClient::connect(url).await.unwrap();
    for spans in [1, 1, 0] {
        let resource_spans = vec![ResourceSpans::default(); spans];
        let request = ExportTraceServiceRequest { resource_spans };
        assert_eq!(client.export(request).await.is_ok(), spans > 0);
    }
    drop(client);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();

    let snapshot = measuring.snapshot();
    assert_eq!(
        measuring.metrics(),
        [LASTED, CONNECTIONS, ACTIVE, SERVED, FAILURES, RESPONSES]
    );
    let labels = [method("POST"), HTTP, ("network.protocol.version", "2")];
    assert_eq!(snapshot.samples(SERVED, &labels).len(), 3);
    for (code, times) in [("OK", 2.0), ("NOT_FOUND", 1.0)] {
        let labels = [("rpc.response.status_code", code)];
        assert_eq!(snapshot.value(RESPONSES, &labels), Some(times), "{code}");
    }
    assert_eq!(snapshot.label_sets(RESPONSES).count(), 2);
    assert_eq!(
        snapshot.value(FAILURES, &[("error.type", "NOT_FOUND")]),
        Some(1.0)
    );
    assert_eq!(snapshot.samples(LASTED, &[SERVER]).len(), 1);
    assert_eq!(snapshot.value(CONNECTIONS, &[SERVER]), Some(0.0));
}
