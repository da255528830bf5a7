//! gRPC, over real sockets: tonic's client and server.

#![cfg(all(feature = "tonic", feature = "tower-http"))]

#[path = "support/services.rs"]
mod services;
#[path = "support/traces.rs"]
mod traces;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;

use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_sdk::trace::SpanData;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Interceptor as _;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument as _, Span, info_span, instrument};
use tracing_meter::http::{
    ExtractTrace, GrpcServerSpan, GrpcTraceLayer, InjectTrace, RemoteTrace, grpc_trace_layer,
};
use tracing_meter::propagation::{self, Carrier as _, SpanPropagation as _};
use tracing_subscriber::prelude::*;

use services::fields;
use services::int_attributes::ints;
use traces::{TRACEPARENT, Traces, child_of, origin, remote};

const EXPORT: &str = "opentelemetry.proto.collector.trace.v1.TraceService/Export";

fn subscribe(traces: &Traces) -> DefaultGuard {
    let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer());
    tracing_subscriber::registry()
        .with(propagation::layer(otel))
        .set_default()
}

/// A service that answers with a status.
struct Answers(Code);

#[tonic::async_trait]
impl TraceService for Answers {
    #[instrument(skip_all, fields(
        traceparent = RemoteTrace::of(&request).and_then(RemoteTrace::traceparent),
        tracestate = RemoteTrace::of(&request).and_then(RemoteTrace::tracestate),
        baggage = RemoteTrace::of(&request).and_then(RemoteTrace::baggage),
    ))]
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let _ = request;
        match self.0 {
            Code::Ok => Ok(Response::new(ExportTraceServiceResponse::default())),
            code => Err(Status::new(code, "as was said")),
        }
    }
}

type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Serving {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Serving {
    /// With spans of a layer's.
    async fn start(layer: GrpcTraceLayer, code: Code) -> Self {
        Self::start_with(|incoming, stopped| {
            Server::builder()
                .layer(layer)
                .add_service(TraceServiceServer::new(Answers(code)))
                .serve_with_incoming_shutdown(incoming, stopped)
        })
        .await
    }

    async fn start_with<F>(serve: impl FnOnce(TcpListenerStream, Stopped) -> F) -> Self
    where
        F: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = Box::pin(async { _ = stopped.await });
        let serving = serve(TcpListenerStream::new(listener), stopped);
        let task = tokio::spawn(async { serving.await.unwrap() });
        Self {
            address,
            stop,
            task,
        }
    }

    async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// One call, from a span `job`, and all has ended.
    async fn call(self) -> Result<(), Code> {
        let mut client = TraceServiceClient::with_interceptor(self.channel().await, InjectTrace);
        let job = info_span!("job");
        let called = client
            .export(ExportTraceServiceRequest::default())
            .instrument(job)
            .await;
        drop(client);
        self.end().await;
        called.map(|_| ()).map_err(|status| status.code())
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn server_span(traces: &Traces) -> SpanData {
    let mut spans = traces.spans();
    spans.retain(|span| span.span_kind == SpanKind::Server);
    assert_eq!(spans.len(), 1, "{spans:?}");
    spans.remove(0)
}

#[tokio::test]
async fn a_call_is_a_child_of_the_span_that_calls() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let serving = Serving::start(grpc_trace_layer(), Code::Ok).await;
    let port = serving.address.port().to_string();

    serving.call().await.unwrap();

    let server = server_span(&traces);
    assert_eq!(server.name, EXPORT);
    assert_eq!(origin(&server), child_of(&traces.span("job")));
    assert_eq!(origin(&traces.span("export")), child_of(&server));
    assert_eq!(server.status, SpanStatus::Unset);
    let expected = BTreeMap::from([
        ("rpc.method", EXPORT.to_owned()),
        ("rpc.status_code", "OK".to_owned()),
        ("rpc.system.name", "grpc".to_owned()),
        ("server.address", "127.0.0.1".to_owned()),
        ("server.port", port),
    ]);
    assert_eq!(fields(&server), expected);
}

#[tokio::test]
async fn what_is_an_integer_by_the_convention_is_exported_as_one() {
    let traces = Traces::new();
    let _default = subscribe(&traces);

    let serving = Serving::start(grpc_trace_layer(), Code::Ok).await;
    serving.call().await.unwrap();

    let server = server_span(&traces);
    let ints = ints(&server.attributes);
    assert!(ints.contains(&"server.port"), "{ints:?}");
}

#[tokio::test]
async fn the_clients_errors_are_not_the_servers() {
    for (code, name, is_error) in [
        (Code::Cancelled, "CANCELLED", false),
        (Code::Unknown, "UNKNOWN", true),
        (Code::InvalidArgument, "INVALID_ARGUMENT", false),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", true),
        (Code::NotFound, "NOT_FOUND", false),
        (Code::AlreadyExists, "ALREADY_EXISTS", false),
        (Code::PermissionDenied, "PERMISSION_DENIED", false),
        (Code::ResourceExhausted, "RESOURCE_EXHAUSTED", false),
        (Code::FailedPrecondition, "FAILED_PRECONDITION", false),
        (Code::Aborted, "ABORTED", false),
        (Code::OutOfRange, "OUT_OF_RANGE", false),
        (Code::Unimplemented, "UNIMPLEMENTED", true),
        (Code::Internal, "INTERNAL", true),
        (Code::Unavailable, "UNAVAILABLE", true),
        (Code::DataLoss, "DATA_LOSS", true),
        (Code::Unauthenticated, "UNAUTHENTICATED", false),
    ] {
        let traces = Traces::new();
        let _default = subscribe(&traces);
        let serving = Serving::start(grpc_trace_layer(), code).await;

        assert_eq!(serving.call().await, Err(code));

        let server = server_span(&traces);
        let fields = fields(&server);
        assert_eq!(fields["rpc.status_code"], name);
        let error = fields.get("error.type").map(String::as_str);
        assert_eq!(error, is_error.then_some(name));
        let status = if is_error {
            SpanStatus::error("")
        } else {
            SpanStatus::Unset
        };
        assert_eq!(server.status, status, "{name}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_known_is_another() {
    for (known, name, method, original) in [
        (EXPORT, EXPORT, EXPORT, None),
        ("kv.Kv/Get", "grpc", "_OTHER", Some(EXPORT)),
    ] {
        let traces = Traces::new();
        let _default = subscribe(&traces);
        let span = GrpcServerSpan::new().known_methods([known]);
        let layer = grpc_trace_layer().make_span_with(span);

        Serving::start(layer, Code::Ok).await.call().await.unwrap();

        let server = server_span(&traces);
        assert_eq!(server.name, name);
        let fields = fields(&server);
        assert_eq!(fields["rpc.method"], method);
        let found = fields.get("rpc.method_original").map(String::as_str);
        assert_eq!(found, original);
    }
}

#[tokio::test]
async fn a_method_may_continue_the_trace_by_its_fields() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let serving = Serving::start_with(|incoming, stopped| {
        let service = TraceServiceServer::with_interceptor(Answers(Code::Ok), ExtractTrace);
        Server::builder()
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, stopped)
    })
    .await;

    serving.call().await.unwrap();

    let export = traces.span("export");
    assert_eq!(origin(&export), child_of(&traces.span("job")));
    assert!(export.parent_span_is_remote);
    assert_eq!(export.links.len(), 0);
}

#[test]
fn interceptors_replace_what_is_stale_and_take_what_is_valid() {
    let traces = Traces::new();
    let _default = subscribe(&traces);
    let mut stale = Request::new(());
    stale
        .metadata_mut()
        .append("traceparent", TRACEPARENT.parse().unwrap());
    stale
        .metadata_mut()
        .append("traceparent", TRACEPARENT.parse().unwrap());
    stale
        .metadata_mut()
        .append("tracestate", "rojo=1".parse().unwrap());
    stale
        .metadata_mut()
        .append("authorization", "me".parse().unwrap());

    // Two parents are none.
    let refused = ExtractTrace.call(stale).unwrap();
    assert!(RemoteTrace::of(&refused).is_none());

    let job = info_span!("job");
    let sent = job.in_scope(|| InjectTrace.call(refused)).unwrap();
    assert_eq!(sent.metadata().get_all("traceparent").iter().count(), 1);
    assert!(sent.metadata().get("tracestate").is_none());
    assert_eq!(sent.metadata().get("authorization").unwrap(), "me");
    let received = ExtractTrace.call(sent).unwrap();
    let trace = RemoteTrace::of(&received).unwrap().clone();
    drop(received);
    let consumed = info_span!("consumed");
    assert_eq!(consumed.continue_from(&trace), Ok(true));
    drop((consumed, job));
    assert_eq!(
        origin(&traces.span("consumed")),
        child_of(&traces.span("job"))
    );

    // Without a span there is nothing to send.
    let mut stale = Request::new(());
    for (name, value) in [("traceparent", TRACEPARENT), ("tracestate", "rojo=1")] {
        stale.metadata_mut().insert(name, value.parse().unwrap());
    }
    let nothing = InjectTrace.call(stale).unwrap();
    assert!(nothing.metadata().is_empty());
    assert!(Span::current().is_none());
}

#[test]
fn a_remote_trace_is_what_the_metadata_was() {
    let mut request = Request::new(());
    let headers = [
        ("traceparent", TRACEPARENT),
        ("tracestate", "rojo@@eu=1"),
        ("baggage", "tenant=a%20b"),
    ];
    for (name, value) in headers {
        request.metadata_mut().insert(name, value.parse().unwrap());
    }

    let request = ExtractTrace.call(request).unwrap();

    let trace = RemoteTrace::of(&request).unwrap();
    assert_eq!(trace.traceparent(), Some(TRACEPARENT));
    assert_eq!(trace.tracestate(), Some("rojo@@eu=1"));
    assert_eq!(trace.baggage(), Some("tenant=a%20b"));
    for (name, value) in headers {
        trace.each_header(name, &mut |it| assert_eq!(it, value.as_bytes()));
    }
    let traces = Traces::new();
    let _default = subscribe(&traces);
    drop(info_span!("work", traceparent = trace.traceparent()));
    assert_eq!(origin(&traces.span("work")), remote());
}

#[test]
fn baggage_may_come_without_a_trace() {
    let mut request = Request::new(());
    let baggage = "tenant=a".parse().unwrap();
    request.metadata_mut().insert("baggage", baggage);

    let request = ExtractTrace.call(request).unwrap();

    let trace = RemoteTrace::of(&request).unwrap();
    assert_eq!(trace.traceparent(), None);
    assert_eq!(trace.baggage(), Some("tenant=a"));
}
