//! Bodies that are streamed, server-sent events and websockets, over real sockets.

#![cfg(all(feature = "axum", feature = "tower"))]

#[path = "support/exchange.rs"]
mod exchange;
#[path = "support/services.rs"]
mod services;
#[path = "support/traces.rs"]
mod traces;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::response::sse::{Event, Sse};
use axum::routing::{get as get_route, post};
use bytes::Bytes;
use futures_util::{SinkExt as _, Stream, StreamExt as _, stream};
use http::{Response, StatusCode};
use opentelemetry::trace::SpanKind;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower::{ServiceBuilder, ServiceExt as _};
use tracing_meter::http::{ClientLayer, TraceResponseLayer, trace_layer};

use exchange::subscribe;
use services::{Server, get, hyper};
use traces::{Traces, child_of, origin};

/// A server with all that a server can have.
async fn serve(app: Router) -> Server {
    let layers = ServiceBuilder::new()
        .layer(trace_layer())
        .layer(TraceResponseLayer::traceresponse());
    Server::start(app.layer(layers)).await
}

/// Sends a request with all that a client can have.
async fn send(request: http::Request<Body>) -> Response<Body> {
    let client = ServiceBuilder::new()
        .layer(ClientLayer::new())
        .service(hyper());
    client.oneshot(request).await.unwrap().map(Body::new)
}

/// The names of server spans that have ended, and of client spans.
fn ended(traces: &Traces) -> (Vec<String>, Vec<String>) {
    let spans = traces.spans();
    let names = |kind: SpanKind| {
        let spans = spans.iter().filter(|span| span.span_kind == kind);
        spans.map(|span| span.name.to_string()).collect()
    };
    (names(SpanKind::Server), names(SpanKind::Client))
}

/// A stream of frames, each of which is sent by the test.
fn channel() -> (mpsc::Sender<Result<Bytes, Infallible>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Body::from_stream(ReceiverStream::new(receiver)))
}

async fn next_chunk(body: &mut (impl Stream<Item = Result<Bytes, axum::Error>> + Unpin)) -> Bytes {
    body.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn server_sent_events_come_one_by_one() {
    type Events = Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>;
    async fn events(State(confirmed): State<Arc<Notify>>) -> Sse<Events> {
        let first = stream::once(async { Ok(Event::default().data("first")) });
        let second = stream::once(async move {
            confirmed.notified().await;
            Ok(Event::default().data("second"))
        });
        Sse::new(Box::pin(first.chain(second)))
    }
    async fn confirm(State(confirmed): State<Arc<Notify>>) {
        confirmed.notify_one();
    }
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let app = Router::new()
        .route("/events", get_route(events))
        .route("/confirm", post(confirm))
        .with_state(Arc::default());
    let server = serve(app).await;

    let response = send(get(server.url("/events"))).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert!(response.headers().contains_key("traceresponse"));
    let mut body = response.into_body().into_data_stream();
    assert_eq!(next_chunk(&mut body).await, "data: first\n\n");
    assert_eq!(ended(&traces).0.len(), 0);
    // The second is only sent behind this: the first was not held back.
    let mut confirm = get(server.url("/confirm"));
    *confirm.method_mut() = http::Method::POST;
    send(confirm).await;
    assert_eq!(next_chunk(&mut body).await, "data: second\n\n");
    assert!(body.next().await.is_none());
    server.stop().await;

    let spans = traces.spans();
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(origin(find("GET /events")), child_of(find("GET")));
}

#[tokio::test]
async fn requests_and_responses_stream_both_ways_at_once() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let echo = async |request: Request| Response::new(request.into_body());
    let server = serve(Router::new().route("/", post(echo))).await;

    let (sender, body) = channel();
    let request = http::Request::post(server.url("/")).body(body).unwrap();
    let mut echoed = send(request).await.into_body().into_data_stream();
    // The client's span has ended. The server's lasts as long as its response.
    assert_eq!(ended(&traces), (vec![], vec!["POST".to_owned()]));
    for chunk in ["one", "two", "three"] {
        sender.send(Ok(chunk.into())).await.unwrap();
        assert_eq!(next_chunk(&mut echoed).await, chunk);
    }
    assert_eq!(ended(&traces).0.len(), 0);
    drop(sender);
    assert!(echoed.next().await.is_none());
    server.stop().await;

    assert_eq!(ended(&traces).0, ["POST /"]);
}

#[tokio::test]
async fn large_bodies_are_the_same_on_the_other_side() {
    const LENGTH: u32 = 2 << 20;
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let numbers = || (0..LENGTH).map(u32::to_le_bytes);
    let content: Bytes = numbers().flatten().collect::<Vec<u8>>().into();
    // With a length that is known, and in chunks of a length that is not.
    let whole = async |request: Request| {
        let length = request.headers()["content-length"].clone();
        let body = axum::body::to_bytes(request.into_body(), usize::MAX)
            .await
            .unwrap();
        Response::builder()
            .header("received", length)
            .body(Body::from(body))
            .unwrap()
    };
    let streamed = async |request: Request| {
        assert!(!request.headers().contains_key("content-length"));
        Response::new(request.into_body())
    };
    let app = Router::new()
        .route("/whole", post(whole))
        .route("/streamed", post(streamed));
    let server = serve(app).await;

    let post = |path: &str, body: Body| http::Request::post(server.url(path)).body(body).unwrap();
    let response = send(post("/whole", content.clone().into())).await;
    let length = content.len().to_string();
    assert_eq!(response.headers()["received"], *length);
    assert_eq!(response.headers()["content-length"], *length);
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    assert!(body == content);

    let pieces: Vec<_> = content.chunks(10_007).map(Bytes::copy_from_slice).collect();
    let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    let response = send(post("/streamed", body)).await;
    assert!(!response.headers().contains_key("content-length"));
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    assert!(body == content);
    server.stop().await;
}

#[tokio::test]
async fn a_websocket_is_opened_and_echoes() {
    async fn echo(mut socket: WebSocket) {
        while let Some(Ok(message)) = socket.recv().await {
            if let Message::Text(_) = &message {
                socket.send(message).await.unwrap();
            }
        }
    }
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let upgrade = async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo);
    let server = serve(Router::new().route("/ws", get_route(upgrade))).await;
    let text = |text: &str| tokio_tungstenite::tungstenite::Message::text(text);

    // A client that knows nothing of us.
    let url = server.url("/ws").replace("http", "ws");
    let (mut socket, response) = tokio_tungstenite::connect_async(url).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert!(response.headers().contains_key("traceresponse"));
    for message in ["one", "two"] {
        socket.send(text(message)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), text(message));
    }
    // The request was answered long ago.
    assert_eq!(ended(&traces), (vec!["GET /ws".to_owned()], vec![]));

    // One below our layer, which leaves the upgrade in the response.
    let inner = reqwest::Client::new();
    let client = ServiceBuilder::new().layer(ClientLayer::new()).service_fn(
        async |request: http::Request<reqwest::Body>| {
            Ok::<_, reqwest::Error>(Response::from(inner.execute(request.try_into()?).await?))
        },
    );
    let request = http::Request::get(server.url("/ws"))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(reqwest::Body::default())
        .unwrap();
    let response = client.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let upgraded = reqwest::Response::from(response).upgrade().await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
    socket.send(text("three")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), text("three"));
    drop(socket);
    server.stop().await;

    let spans = traces.spans();
    let client = spans
        .iter()
        .find(|span| span.span_kind == SpanKind::Client)
        .unwrap();
    let server = spans
        .iter()
        .rfind(|span| span.span_kind == SpanKind::Server)
        .unwrap();
    assert_eq!(origin(server), child_of(client));
    for span in [client, server] {
        assert_eq!(services::fields(span)["http.response.status_code"], "101");
        assert_eq!(span.status, opentelemetry::trace::Status::Unset);
    }
}
