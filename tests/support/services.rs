//! Services on sockets of this machine, and clients that call them.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_sdk::trace::SpanData;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub mod int_attributes;

/// An HTTP server.
pub struct Server {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stopped = async { _ = stopped.await };
            let serving = axum::serve(listener, app).with_graceful_shutdown(stopped);
            serving.await.unwrap();
        });
        Self {
            address,
            stop,
            task,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits for all responses. Their spans have ended then.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// A client of hyper.
pub fn hyper() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// An address where nobody listens.
pub async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// A request without a body.
pub fn get(url: impl AsRef<str>) -> http::Request<Body> {
    http::Request::get(url.as_ref())
        .body(Body::empty())
        .unwrap()
}

/// The body as text.
pub async fn text(response: http::Response<impl Into<Body>>) -> String {
    let body = axum::body::to_bytes(response.into_body().into(), usize::MAX);
    String::from_utf8(body.await.unwrap().into()).unwrap()
}

/// What a span says by the semantic conventions, as text. What is to be an integer is one.
#[track_caller]
pub fn fields(span: &SpanData) -> BTreeMap<&str, String> {
    let groups = [
        "http",
        "url",
        "server",
        "client",
        "network",
        "user_agent",
        "error",
        "rpc",
        "otel",
        "traceparent",
    ];
    int_attributes::ints(&span.attributes);
    let mut fields = BTreeMap::new();
    for attribute in &span.attributes {
        let (key, value) = (attribute.key.as_str(), attribute.value.to_string());
        let (group, _) = key.split_once('.').unwrap_or((key, ""));
        if groups.contains(&group) {
            assert_eq!(fields.insert(key, value), None, "{key} is there twice");
        }
    }
    fields
}
