//! Clients of the server, who write down what it answers. They send no trace, but for the
//! one that is followed.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::Result;
use super::ledger::Ledger;

#[derive(Clone)]
pub(crate) struct Client {
    server: SocketAddr,
    http: legacy::Client<HttpConnector, Body>,
    pub(crate) ledger: Ledger,
}

/// A path of the server, and the route that it is on.
pub(crate) struct Target {
    route: Option<&'static str>,
    path: String,
}

/// On a route with one parameter, or none.
pub(crate) fn on(route: &'static str, parameter: &str) -> Target {
    let path = match (route.find('{'), route.find('}')) {
        (Some(start), Some(end)) => [&route[..start], parameter, &route[end + 1..]].concat(),
        _ => route.to_owned(),
    };
    Target {
        route: Some(route),
        path,
    }
}

/// Where there is no route.
pub(crate) fn nowhere(path: &str) -> Target {
    Target {
        route: None,
        path: path.to_owned(),
    }
}

impl Client {
    pub(crate) fn new(server: SocketAddr, ledger: Ledger) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self {
            server,
            http,
            ledger,
        }
    }

    /// Sends a request and reads the whole answer, which must have this status.
    pub(crate) async fn expect(
        &self,
        status: u16,
        method: &str,
        target: Target,
        body: &str,
    ) -> Result<String> {
        let (answered, text) = self.send(method, target, body, None).await?;
        if answered != status {
            return Err(format!("{status} was expected, and not {answered}: {text}").into());
        }
        Ok(text)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: Target,
        body: &str,
        traceparent: Option<&str>,
    ) -> Result<(u16, String)> {
        let response = self.open(method, target, body, traceparent).await?;
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
        Ok((status, String::from_utf8(body.to_vec())?))
    }

    /// Sends a request and leaves the body of the answer to be read, or not.
    pub(crate) async fn open(
        &self,
        method: &str,
        target: Target,
        body: &str,
        traceparent: Option<&str>,
    ) -> Result<Response<Body>> {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes())?)
            .uri(format!("http://{}{}", self.server, target.path));
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let request = request.body(Body::from(body.to_owned()))?;
        let response = self.http.request(request).await?.map(Body::new);
        let status = response.status().as_u16();
        self.ledger
            .request(known(method), target.route, Some(status));
        Ok(response)
    }

    /// Sends a request, waits for something, and hangs up without an answer.
    pub(crate) async fn give_up(
        &self,
        target: Target,
        when: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let mut connection = TcpStream::connect(self.server).await?;
        let path = target.path;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.server);
        connection.write_all(head.as_bytes()).await?;
        when.await?;
        drop(connection);
        self.ledger.request("GET", target.route, None);
        Ok(())
    }

    /// Opens a websocket, and has each of these texts echoed.
    pub(crate) async fn echo(&self, route: &'static str, texts: &[&str]) -> Result<()> {
        let mut socket = self.connect(route).await?;
        for text in texts {
            let message = Message::text(*text);
            socket.send(message.clone()).await?;
            let echo = socket.next().await.ok_or("it was closed")??;
            if echo != message {
                return Err(format!("{text} came back as {echo}").into());
            }
        }
        socket.close(None).await?;
        until_closed(socket).await
    }

    pub(crate) async fn connect(&self, route: &'static str) -> Result<Socket> {
        let url = format!("ws://{}{route}", self.server);
        let (socket, response) = tokio_tungstenite::connect_async(url).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err("it is no websocket".into());
        }
        self.ledger.request("GET", Some(route), Some(101));
        Ok(socket)
    }
}

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) async fn until_closed(mut socket: Socket) -> Result<()> {
    while socket.next().await.transpose()?.is_some() {}
    Ok(())
}

/// A method that nobody knows is a label as any other that nobody knows.
fn known(method: &str) -> &str {
    if method == "BREW" { "_OTHER" } else { method }
}
