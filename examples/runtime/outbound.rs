//! Surface: requests to another service. The layer of the client makes their spans, and
//! sends the trace along.

use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tower::{ServiceBuilder, ServiceExt as _};
use tracing_meter::http::{ClientLayer, ClientService, UrlTemplate};

use super::Result;

#[derive(Clone)]
pub(crate) struct Outbound {
    to: SocketAddr,
    client: ClientService<legacy::Client<HttpConnector, Body>>,
}

impl Outbound {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        let client = ServiceBuilder::new().layer(ClientLayer::new());
        Self {
            to: address,
            client: client.service(http),
        }
    }

    /// What a resource is.
    pub(crate) async fn get(&self, resource: &str) -> Result<(StatusCode, String)> {
        let template = "/resources/{resource}";
        let path = format!("/resources/{resource}");
        self.send(Method::GET, template, &path, String::new()).await
    }

    /// Takes a message to where it has to go.
    pub(crate) async fn deliver(&self, queue: &str, body: &str) -> Result<()> {
        let (template, path) = ("/deliveries/{queue}", format!("/deliveries/{queue}"));
        let body = body.to_owned();
        let (status, _) = self.send(Method::POST, template, &path, body).await?;
        if !status.is_success() {
            return Err(format!("the delivery was answered with {status}").into());
        }
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        template: &'static str,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, String)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.to))
            .extension(UrlTemplate::new(template))
            .body(Body::from(body))?;
        let response = self.client.clone().oneshot(request).await?;
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), usize::MAX).await?;
        Ok((status, String::from_utf8(body.to_vec())?))
    }
}
