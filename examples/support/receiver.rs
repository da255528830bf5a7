//! An OTLP receiver: the official protocol over gRPC, and over HTTP, on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tower_http::decompression::RequestDecompressionLayer;

/// Keeps what it is sent, until it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    store: Store,
    /// It listens as long as this is not dropped.
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// A span, and the resource that it is from.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) service: String,
    pub(crate) resource: Attributes,
    pub(crate) span: Span,
}

/// One export of a metric, with all its points, and where it is from.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedMetric {
    pub(crate) resource: Attributes,
    pub(crate) scope: String,
    pub(crate) metric: Metric,
}

/// Keys and values, as text.
pub(crate) type Attributes = BTreeMap<String, String>;

impl Receiver {
    /// Listens on a free port.
    pub(crate) async fn start() -> std::io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens where another one has listened before, for example.
    pub(crate) async fn start_at(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let store = Store::default();
        let (stop, stopped) = oneshot::channel();
        let server = Server::builder()
            .add_service(
                TraceServiceServer::new(store.clone()).accept_compressed(CompressionEncoding::Gzip),
            )
            .add_service(
                MetricsServiceServer::new(store.clone())
                    .accept_compressed(CompressionEncoding::Gzip),
            )
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
                let _ = stopped.await;
            });
        Ok(Self {
            address,
            store,
            stop,
            server: tokio::spawn(async { server.await.unwrap_or_default() }),
        })
    }

    /// Listens for OTLP over HTTP, in the binary encoding.
    pub(crate) async fn start_http() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let store = Store::default();
        let app = Router::new()
            .route("/v1/traces", post(traces_over_http))
            .route("/v1/metrics", post(metrics_over_http))
            .layer(RequestDecompressionLayer::new())
            .with_state(store.clone());
        let (stop, stopped) = oneshot::channel();
        let server = axum::serve(listener, app).with_graceful_shutdown(async {
            let _: Result<(), _> = stopped.await;
        });
        Ok(Self {
            address,
            store,
            stop,
            server: tokio::spawn(async { server.await.unwrap_or_default() }),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it says that it rejects so many spans, or points, of each request. It
    /// keeps them all the same.
    pub(crate) fn reject(&self, items: i64, message: &str) {
        self.store.lock().rejected = Some((items, message.to_owned()));
    }

    /// It takes none of so many requests that come next, and says that it is not available.
    pub(crate) fn be_away_for(&self, requests: u32) {
        self.store.lock().away_for = requests;
    }

    /// All spans so far, in the order in which they came.
    pub(crate) fn spans(&self) -> Vec<Received> {
        self.store.lock().spans.clone()
    }

    /// All metrics so far, in the order in which they came.
    pub(crate) fn metrics(&self) -> Vec<ReceivedMetric> {
        self.store.lock().metrics.clone()
    }

    /// The headers of all requests so far.
    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.store.lock().headers.clone()
    }

    /// Closes the port and all connections, and answers with all spans.
    pub(crate) async fn stop(self) -> Vec<Received> {
        drop(self.stop);
        let _ = self.server.await;
        self.store.lock().spans.clone()
    }
}

/// The text of all attributes.
pub(crate) fn attributes(of: &[KeyValue]) -> Attributes {
    let entries = of.iter();
    entries
        .map(|it| (it.key.clone(), text(it.value.as_ref())))
        .collect()
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    headers: Vec<HeaderMap>,
    spans: Vec<Received>,
    metrics: Vec<ReceivedMetric>,
    rejected: Option<(i64, String)>,
    away_for: u32,
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_away(&self) -> bool {
        let mut stored = self.lock();
        let is_away = stored.away_for > 0;
        stored.away_for = stored.away_for.saturating_sub(1);
        is_away
    }

    fn take_traces(
        &self,
        headers: HeaderMap,
        request: ExportTraceServiceRequest,
    ) -> ExportTraceServiceResponse {
        let mut stored = self.lock();
        stored.headers.push(headers);
        for of_resource in request.resource_spans {
            let resource = of_resource_attributes(of_resource.resource);
            let service = resource.get("service.name").cloned().unwrap_or_default();
            let spans = of_resource.scope_spans.into_iter().flat_map(|it| it.spans);
            stored.spans.extend(spans.map(|span| Received {
                service: service.clone(),
                resource: resource.clone(),
                span,
            }));
        }
        let rejected = stored.rejected.clone();
        ExportTraceServiceResponse {
            partial_success: rejected.map(|(rejected_spans, error_message)| {
                ExportTracePartialSuccess {
                    rejected_spans,
                    error_message,
                }
            }),
        }
    }

    fn take_metrics(
        &self,
        headers: HeaderMap,
        request: ExportMetricsServiceRequest,
    ) -> ExportMetricsServiceResponse {
        let mut stored = self.lock();
        stored.headers.push(headers);
        for of_resource in request.resource_metrics {
            let resource = of_resource_attributes(of_resource.resource);
            for of_scope in of_resource.scope_metrics {
                let scope = of_scope.scope.map(|it| it.name).unwrap_or_default();
                let metrics = of_scope.metrics.into_iter();
                stored.metrics.extend(metrics.map(|metric| ReceivedMetric {
                    resource: resource.clone(),
                    scope: scope.clone(),
                    metric,
                }));
            }
        }
        let rejected = stored.rejected.clone();
        ExportMetricsServiceResponse {
            partial_success: rejected.map(|(rejected_data_points, error_message)| {
                ExportMetricsPartialSuccess {
                    rejected_data_points,
                    error_message,
                }
            }),
        }
    }
}

#[tonic::async_trait]
impl TraceService for Store {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if self.is_away() {
            return Err(Status::unavailable("away"));
        }
        let (metadata, _, request) = request.into_parts();
        let answer = self.take_traces(metadata.into_headers(), request);
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl MetricsService for Store {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        if self.is_away() {
            return Err(Status::unavailable("away"));
        }
        let (metadata, _, request) = request.into_parts();
        let answer = self.take_metrics(metadata.into_headers(), request);
        Ok(Response::new(answer))
    }
}

async fn traces_over_http(
    State(store): State<Store>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Vec<u8>, StatusCode> {
    if store.is_away() {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let request = ExportTraceServiceRequest::decode(body);
    let request = request.map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(store.take_traces(headers, request).encode_to_vec())
}

async fn metrics_over_http(
    State(store): State<Store>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Vec<u8>, StatusCode> {
    if store.is_away() {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let request = ExportMetricsServiceRequest::decode(body);
    let request = request.map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(store.take_metrics(headers, request).encode_to_vec())
}

fn of_resource_attributes(resource: Option<Resource>) -> Attributes {
    attributes(&resource.unwrap_or_default().attributes)
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|it| it.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::ArrayValue(values)) => {
            let values = values.values.iter().map(|it| text(Some(it)));
            values.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}
