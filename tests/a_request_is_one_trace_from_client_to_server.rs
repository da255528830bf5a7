//! HTTP, over real sockets: axum's server, and the clients of hyper and reqwest.

#![cfg(all(feature = "axum", feature = "tower"))]

#[path = "support/exchange.rs"]
mod exchange;
#[path = "support/services.rs"]
mod services;
#[path = "support/traces.rs"]
mod traces;

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::get as get_route;
use http::{HeaderMap, Request, Response, StatusCode};
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument as _, info_span, instrument};
use tracing_meter::http::{ClientLayer, TraceResponseLayer, UrlTemplate, trace_layer};
use tracing_meter::propagation::{self, SpanPropagation as _, Traceparent};
use tracing_subscriber::prelude::*;

use exchange::{exchange, of_kind, subscribe, the_one, traced};
use services::{Server, get, hyper, text};
use traces::{PARENT_ID, TRACE_ID, TRACEPARENT, Traces, child_of, origin, remote};

/// Answers with the headers of its request, one in a line.
async fn echo_headers(headers: HeaderMap) -> String {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    lines.collect::<Vec<_>>().join("\n")
}

fn header(text: &str, name: &str) -> Option<String> {
    let mut values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(": ")?;
        (key == name).then(|| value.to_owned())
    });
    let value = values.next();
    assert_eq!(values.next(), None, "{name} is there twice");
    value
}

/// Hyper emits events of its own.
fn has_events_of_ours(span: &SpanData) -> bool {
    let mut attributes = span.events.iter().flat_map(|event| &event.attributes);
    attributes
        .any(|it| it.key.as_str() == "target" && it.value.as_str().starts_with("tracing_meter"))
}

#[tokio::test]
async fn each_hop_is_a_child_of_the_one_before() {
    #[instrument(skip_all)]
    async fn look_up(State(kv): State<String>, Path(key): Path<String>) -> String {
        let mut request = get(format!("{kv}/{key}"));
        request
            .extensions_mut()
            .insert(UrlTemplate::new("/kv/{key}".to_owned()));
        text(
            traced(hyper())
                .oneshot(request)
                .await
                .unwrap()
                .map(Body::new),
        )
        .await
    }
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let kv = Router::new().route("/{key}", get_route(async |Path(key): Path<String>| key));
    let kv = Router::new().nest("/kv", kv).layer(trace_layer());
    let kv = Server::start(kv).await;
    let front = Router::new()
        .route("/front/{key}", get_route(look_up))
        .with_state(kv.url("/kv"))
        .layer(trace_layer());
    let front = Server::start(front).await;

    let request = traced(hyper()).oneshot(get(front.url("/front/a")));
    let response = request.instrument(info_span!("job")).await.unwrap();
    assert_eq!(text(response.map(Body::new)).await, "a");
    front.stop().await;
    kv.stop().await;

    let spans = traces.spans();
    let find = |kind: SpanKind, name: &str| {
        let mut found = spans
            .iter()
            .filter(|span| span.span_kind == kind && span.name == name);
        let span = found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {spans:?}"));
        assert!(found.next().is_none(), "more than one {name}");
        span
    };
    let job = find(SpanKind::Internal, "job");
    let sent = find(SpanKind::Client, "GET");
    let front = find(SpanKind::Server, "GET /front/{key}");
    let look_up = find(SpanKind::Internal, "look_up");
    let forwarded = find(SpanKind::Client, "GET /kv/{key}");
    let kv = find(SpanKind::Server, "GET /kv/{key}");
    assert_eq!(spans.len(), 6);
    assert_eq!(job.parent_span_id, SpanId::INVALID);
    for (parent, child) in [
        (job, sent),
        (sent, front),
        (front, look_up),
        (look_up, forwarded),
        (forwarded, kv),
    ] {
        assert_eq!(
            origin(child),
            child_of(parent),
            "{} in {}",
            child.name,
            parent.name
        );
    }
    for span in &spans {
        assert!(!has_events_of_ours(span), "{}", span.name);
        assert_eq!(span.links.len(), 0, "{}", span.name);
    }
}

#[tokio::test]
async fn a_traceparent_that_is_not_valid_starts_a_new_trace() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let app = Router::new().route("/", get_route(async || ""));
    let server = Server::start(app.layer(trace_layer())).await;

    let uppercase = TRACEPARENT.to_uppercase();
    for values in [
        &["00-0af7"][..],
        &[""],
        &[&uppercase],
        &[TRACEPARENT, TRACEPARENT],
    ] {
        let mut request = get(server.url("/"));
        for value in values {
            request
                .headers_mut()
                .append("traceparent", value.parse().unwrap());
        }
        request
            .headers_mut()
            .insert("tracestate", "rojo=1".parse().unwrap());
        hyper().request(request).await.unwrap();
    }
    server.stop().await;

    let spans = traces.spans();
    assert_eq!(spans.len(), 4);
    for span in spans {
        assert_eq!(span.parent_span_id, SpanId::INVALID);
        assert_ne!(span.span_context.trace_id().to_string(), TRACE_ID);
        assert_eq!(span.span_context.trace_state().header(), "");
        assert!(!has_events_of_ours(&span));
        assert_eq!(span.status, Status::Unset);
    }
}

#[tokio::test]
async fn calls_at_the_same_time_have_parents_of_their_own() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    // Both requests are there before either is answered.
    let both = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let handler = async |State(both): State<std::sync::Arc<tokio::sync::Barrier>>,
                         headers: HeaderMap| {
        both.wait().await;
        echo_headers(headers).await
    };
    let server = Server::start(
        Router::new()
            .route("/", get_route(handler))
            .with_state(both),
    )
    .await;

    let client = traced(hyper());
    let call = || {
        let mut request = get(server.url("/"));
        request
            .headers_mut()
            .append("traceparent", TRACEPARENT.parse().unwrap());
        request
            .headers_mut()
            .append("traceparent", TRACEPARENT.parse().unwrap());
        request
            .headers_mut()
            .append("tracestate", "stale=1".parse().unwrap());
        client.clone().oneshot(request)
    };
    let job = info_span!("job");
    let (first, second) = async { tokio::join!(call(), call()) }.instrument(job).await;
    let mut sent = Vec::new();
    for response in [first, second] {
        let headers = text(response.unwrap().map(Body::new)).await;
        assert_eq!(header(&headers, "tracestate"), None);
        let traceparent: Traceparent = header(&headers, "traceparent").unwrap().parse().unwrap();
        sent.push((
            format!("{:032x}", traceparent.trace_id()),
            format!("{:016x}", traceparent.parent_id()),
        ));
    }
    server.stop().await;

    let job = traces.span("job");
    let mut spans: Vec<_> = of_kind(&traces, &SpanKind::Client)
        .iter()
        .map(child_of)
        .collect();
    assert_eq!(spans.len(), 2);
    assert_ne!(spans[0], spans[1]);
    assert!(
        spans
            .iter()
            .all(|(trace_id, _)| *trace_id == child_of(&job).0)
    );
    spans.sort();
    sent.sort();
    assert_eq!(sent, spans);
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_is_passed_on_as_such() {
    for flags in ["00", "02"] {
        let traces = Traces::new();
        let _default = subscribe(&traces);
        let kv = Server::start(Router::new().route("/", get_route(echo_headers))).await;
        let forward = async |State(kv): State<String>| {
            text(
                traced(hyper())
                    .oneshot(get(kv))
                    .await
                    .unwrap()
                    .map(Body::new),
            )
            .await
        };
        let front = Router::new()
            .route("/", get_route(forward))
            .with_state(kv.url("/"))
            .layer(TraceResponseLayer::traceresponse())
            .layer(trace_layer());
        let front = Server::start(front).await;

        let mut request = get(front.url("/"));
        let traceparent = format!("00-{TRACE_ID}-{PARENT_ID}-{flags}");
        request
            .headers_mut()
            .insert("traceparent", traceparent.parse().unwrap());
        let response = hyper().request(request).await.unwrap();
        let answered = response.headers()["traceresponse"]
            .to_str()
            .unwrap()
            .to_owned();
        let sent = header(&text(response.map(Body::new)).await, "traceparent").unwrap();

        for header in [&sent, &answered] {
            let (ids, its_flags) = header.rsplit_once('-').unwrap();
            assert_eq!(its_flags, flags);
            assert!(ids.starts_with(&format!("00-{TRACE_ID}-")), "{header}");
            assert!(!ids.ends_with(PARENT_ID), "{header}");
        }
        assert_ne!(sent, answered);
        front.stop().await;
        kv.stop().await;
        assert_eq!(traces.spans().len(), 0);
    }
}

#[tokio::test]
async fn without_a_tracer_requests_carry_on_what_came() {
    let none = || tracing_subscriber::registry().set_default();
    let pass_through = || {
        tracing_subscriber::registry()
            .with(propagation::pass_through())
            .set_default()
    };
    let subscribers: [&dyn Fn() -> DefaultGuard; 2] = [&none, &pass_through];
    for subscribe in subscribers {
        let _default = subscribe();
        let kv = Server::start(Router::new().route("/", get_route(echo_headers))).await;
        let forward = async |State(kv): State<String>| {
            text(
                traced(hyper())
                    .oneshot(get(kv))
                    .await
                    .unwrap()
                    .map(Body::new),
            )
            .await
        };
        let front = Router::new()
            .route("/", get_route(forward))
            .with_state(kv.url("/"))
            .layer(TraceResponseLayer::traceresponse())
            .layer(trace_layer());
        let front = Server::start(front).await;

        let headers = [
            ("traceparent", TRACEPARENT),
            ("tracestate", "rojo@@eu=1,congo=t61rcWkgMzE"),
            ("baggage", "tenant=a%20b;p=1"),
        ];
        let mut request = get(front.url("/"));
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let response = hyper().request(request).await.unwrap();
        // There is no span here whose id could be told.
        assert_eq!(response.headers().get("traceresponse"), None);
        let sent = text(response.map(Body::new)).await;
        for (name, value) in headers {
            assert_eq!(header(&sent, name).as_deref(), Some(value));
        }
        front.stop().await;
        kv.stop().await;
    }
}

#[tokio::test]
async fn a_response_tells_its_trace_where_it_is_asked_for() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let handler = async || [("traceresponse", "the handler's")];
    let app = |layer: TraceResponseLayer| Router::new().route("/", get_route(handler)).layer(layer);
    let layers = [
        (TraceResponseLayer::traceresponse(), "traceresponse"),
        (TraceResponseLayer::traceparent(), "traceparent"),
    ];
    for (layer, name) in layers {
        let traces = Traces::new();
        let _default = subscribe(&traces);
        let (_, server, response) = exchange(&traces, app(layer), |server| {
            let mut request = get(server.url("/"));
            request.headers_mut().insert("origin", "x".parse().unwrap());
            request
        })
        .await;
        let (trace_id, span_id) = child_of(&server);
        let values: Vec<_> = response.headers().get_all(name).iter().collect();
        assert_eq!(values, [&format!("00-{trace_id}-{span_id}-03")]);
    }

    // Without its layer, and without a span around it.
    let (_, _, response) = exchange(
        &traces,
        Router::new().route("/", get_route(async || "")),
        |server| get(server.url("/")),
    )
    .await;
    assert_eq!(response.headers().get("traceresponse"), None);
    assert_eq!(response.headers().get("traceparent"), None);
    let response = app(TraceResponseLayer::traceresponse())
        .oneshot(get("/"))
        .await
        .unwrap();
    assert_eq!(response.headers()["traceresponse"], "the handler's");
}

#[tokio::test]
async fn a_plain_opentelemetry_layer_will_do() {
    let traces = Traces::new();
    let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer());
    let _default = tracing_subscriber::registry().with(otel).set_default();

    let app = Router::new().route("/", get_route(async || ""));
    exchange(&traces, app, |server| get(server.url("/"))).await;
}

#[tokio::test]
async fn requests_of_reqwest_carry_the_trace() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let app = Router::new().route("/", get_route(echo_headers));
    let server = Server::start(app.layer(trace_layer())).await;
    let inner = reqwest::Client::new();

    // By hand, in the request or in headers for it.
    async {
        let mut request = inner.get(server.url("/")).build().unwrap();
        tracing::Span::current().inject_into(request.headers_mut());
        inner.execute(request).await.unwrap().text().await.unwrap();
        let mut headers = HeaderMap::new();
        tracing::Span::current().inject_into(&mut headers);
        let request = inner.get(server.url("/")).headers(headers);
        request.send().await.unwrap().text().await.unwrap();
    }
    .instrument(info_span!("by hand"))
    .await;

    // By a span for each request.
    let client = ServiceBuilder::new().layer(ClientLayer::new()).service_fn(
        |request: Request<reqwest::Body>| {
            let sent = request.try_into().map(|request| inner.execute(request));
            async move { Ok::<_, reqwest::Error>(Response::from(sent?.await?)) }
        },
    );
    let request = Request::get(server.url("/"))
        .body(reqwest::Body::default())
        .unwrap();
    let response = client.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    drop(response);
    server.stop().await;

    let by_hand = traces.span("by hand");
    let client = the_one(&traces, &SpanKind::Client);
    let parents: Vec<_> = of_kind(&traces, &SpanKind::Server)
        .iter()
        .map(origin)
        .collect();
    assert_eq!(
        parents,
        [child_of(&by_hand), child_of(&by_hand), child_of(&client)]
    );
}

#[tokio::test]
async fn a_server_continues_a_clients_trace_below_spans_of_its_own() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let server = trace_layer().layer(service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));

    let mut request = get("/");
    request
        .headers_mut()
        .insert("traceparent", TRACEPARENT.parse().unwrap());
    server
        .oneshot(request)
        .instrument(info_span!("connection"))
        .await
        .unwrap();

    assert_eq!(origin(&the_one(&traces, &SpanKind::Server)), remote());
}

/// A client that may only be called after it was ready, as those with a limit may.
struct Limited {
    is_ready: bool,
    waits: u32,
}

impl Clone for Limited {
    fn clone(&self) -> Self {
        Self {
            is_ready: false,
            ..*self
        }
    }
}

impl Service<Request<Body>> for Limited {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.waits > 0 {
            self.waits -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.is_ready),
            "called before it was ready"
        );
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test]
async fn a_client_is_called_when_it_is_ready() {
    let limited = Limited {
        is_ready: false,
        waits: 2,
    };
    let mut layered = TraceResponseLayer::traceresponse().layer(traced(limited));
    for _ in 0..2 {
        layered.ready().await.unwrap().call(get("/")).await.unwrap();
    }
}
