//! Orders go through two processes, a queue and four hops of HTTP, and each is one trace.
//!
//! ```text
//! place -> HTTP client -> server -> publish -> queue -> relay -> HTTP client
//!                                                   second process: server -> store
//! ```
//!
//! The spans of both processes go to an OTLP receiver, which the program runs itself,
//! and are printed as trees. Every second order belongs to a trace that its origin did
//! not sample: it leaves no span, its flag arrives in the second process all the same,
//! and the metrics count it.
//!
//! Run it with `cargo run --all-features --example relay`.
#![allow(clippy::print_stdout, reason = "an example shows its output")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::{ServiceBuilder, ServiceExt as _};
use tracing::dispatcher::{DefaultGuard, Dispatch, set_default};
use tracing::{Span, instrument};
use tracing_meter::http::{ClientLayer, ClientService, UrlTemplate, trace_layer};
use tracing_meter::propagation::{self, SpanPropagation as _};
use tracing_meter::{MemorySink, Snapshot};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

#[allow(dead_code, reason = "other examples read metrics, too")]
#[path = "support/receiver.rs"]
mod receiver;
pub(crate) use receiver::Received;
use receiver::Receiver;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    if let [_, second, endpoint] = std::env::args().collect::<Vec<_>>().as_slice()
        && second == "second"
    {
        return deliver(endpoint).await;
    }
    let report = run(&|endpoint| {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["second", endpoint]);
        Ok(command)
    })
    .await?;
    println!(
        "{} spans of {ORDERS} orders arrived by OTLP:\n",
        report.spans.len()
    );
    for root in report
        .spans
        .iter()
        .filter(|it| it.span.parent_span_id.is_empty())
    {
        print_tree(root, &report.spans, 0);
    }
    println!("\nThe flags that the second process saw, and what was counted:\n");
    for (order, headers) in &report.delivered {
        println!("  order {order}: {}", &headers["traceparent"][53..]);
    }
    for (metric, count) in &report.counted {
        println!("  {metric} {}", count.unwrap_or(f64::NAN));
    }
    Ok(())
}

/// Every second one is not sampled.
pub(crate) const ORDERS: usize = 6;

/// Where the orders come from that nobody samples.
pub(crate) const NOT_SAMPLED: Origin = Origin {
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02",
    tracestate: "shop@@eu=1",
    baggage: "tenant=acme",
};

#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) traceparent: &'static str,
    pub(crate) tracestate: &'static str,
    pub(crate) baggage: &'static str,
}

pub(crate) type Headers = BTreeMap<String, String>;

/// What came of it.
pub(crate) struct Report {
    /// The spans of both processes, as the receiver got them.
    pub(crate) spans: Vec<Received>,
    /// The headers of each order's trace, as the second process got them.
    pub(crate) delivered: BTreeMap<usize, Headers>,
    /// Metrics by their names, of both processes.
    pub(crate) counted: BTreeMap<&'static str, Option<f64>>,
}

/// Sends all orders through. `second` starts the second process with the receiver's
/// endpoint.
pub(crate) async fn run(second: &dyn Fn(&str) -> Result<Command>) -> Result<Report> {
    let receiver = Receiver::start().await?;
    let endpoint = format!("http://{}", receiver.address());
    let telemetry = Telemetry::start("shop", &endpoint)?;
    let second = Second::start(second(&endpoint)?).await?;

    let (queue, messages) = unbounded_channel();
    let shop = Router::new()
        .route("/orders", post(accept))
        .with_state(queue)
        .layer(trace_layer());
    let address = serve(shop).await?;
    let client = client();
    let place_all = async {
        for order in 0..ORDERS {
            let origin = (order % 2 == 1).then_some(NOT_SAMPLED);
            place(&client, address, order, origin).await?;
        }
        Ok(())
    };
    let ((), delivered) =
        tokio::try_join!(place_all, relay_all(&client, second.address, messages))?;

    let delivered_count = second.end().await?;
    let measured = telemetry.end().await?;
    let count = |metric, labels: &[_]| measured.value(metric, labels);
    let counted = BTreeMap::from([
        ("orders.published", count("orders.published", &[])),
        (
            "orders.relayed",
            count("orders.relayed", &[("outcome", "ok")]),
        ),
        ("orders.relaying", count("orders.relaying", &[])),
        ("orders.delivered", Some(delivered_count)),
    ]);
    Ok(Report {
        spans: receiver.spans(),
        delivered,
        counted,
    })
}

/// The root of a trace, or the child of an origin's.
#[instrument(skip_all, fields(
    traceparent = origin.map(|it| it.traceparent),
    tracestate = origin.map(|it| it.tracestate),
    baggage = origin.map(|it| it.baggage),
))]
async fn place(
    client: &Client,
    shop: SocketAddr,
    order: usize,
    origin: Option<Origin>,
) -> Result<()> {
    post_to(client, shop, "/orders", order).await?;
    Ok(())
}

async fn accept(State(queue): State<UnboundedSender<Message>>, order: String) -> StatusCode {
    match publish(&queue, order) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// As a queue carries it: names and bytes.
struct Message {
    headers: Vec<(String, Vec<u8>)>,
    order: String,
}

impl Message {
    fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        str::from_utf8(value).ok()
    }
}

#[instrument(skip_all, err, fields(otel.kind = "producer", started.orders.published))]
fn publish(queue: &UnboundedSender<Message>, order: String) -> Result<()> {
    let mut headers = Vec::new();
    Span::current().inject_into(&mut headers);
    queue.send(Message { headers, order })?;
    Ok(())
}

async fn relay_all(
    client: &Client,
    second: SocketAddr,
    mut messages: UnboundedReceiver<Message>,
) -> Result<BTreeMap<usize, Headers>> {
    let mut delivered = BTreeMap::new();
    while delivered.len() < ORDERS {
        let message = messages.recv().await.ok_or("the shop has closed")?;
        let headers = relay(client, second, &message).await?;
        delivered.insert(message.order.parse()?, headers);
    }
    Ok(delivered)
}

/// Its fields are all that a consumer needs to continue a trace.
#[instrument(skip_all, err, fields(
    otel.kind = "consumer",
    traceparent = message.header("traceparent"),
    tracestate = message.header("tracestate"),
    baggage = message.header("baggage"),
    calls.orders.relayed,
    in_flight.orders.relaying,
))]
async fn relay(client: &Client, second: SocketAddr, message: &Message) -> Result<Headers> {
    let answer = post_to(client, second, "/deliveries", message.order.parse()?).await?;
    Ok(serde_json::from_str(&answer)?)
}

/// The second process, until its input ends: it says where it listens, and what it
/// has counted.
pub(crate) async fn deliver(endpoint: &str) -> Result<()> {
    let telemetry = Telemetry::start("delivery", endpoint)?;
    let app = Router::new()
        .route(
            "/deliveries",
            post(async |headers, order| store(&headers, order)),
        )
        .layer(trace_layer());
    println!("{READY}{}", serve(app).await?);
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    let measured = telemetry.end().await?;
    println!(
        "{COUNTED}{}",
        measured.value("orders.delivered", &[]).unwrap_or_default()
    );
    Ok(())
}

const READY: &str = "second process: listens on ";
const COUNTED: &str = "second process: counted ";

/// Answers with the headers of the trace that came.
#[instrument(skip_all, fields(started.orders.delivered))]
fn store(headers: &HeaderMap, Json(_order): Json<usize>) -> Json<Headers> {
    let header = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name.to_owned(), value.to_owned()))
    };
    let names = ["traceparent", "tracestate", "baggage"];
    Json(names.into_iter().filter_map(header).collect())
}

/// The second process, as the first one sees it.
struct Second {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Second {
    async fn start(mut command: Command) -> Result<Self> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = piped.kill_on_drop(true).spawn()?;
        let stdout = process.stdout.take().ok_or("it has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = said(&mut lines, READY).await?;
        Ok(Self {
            process,
            lines,
            address,
        })
    }

    async fn end(mut self) -> Result<f64> {
        drop(self.process.stdin.take());
        let counted = said(&mut self.lines, COUNTED).await?;
        self.process.wait().await?;
        Ok(counted)
    }
}

/// What stands behind `prefix` on the next line that has it.
async fn said<T>(lines: &mut Lines<BufReader<ChildStdout>>, prefix: &str) -> Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    while let Some(line) = lines.next_line().await? {
        if let Some((_, said)) = line.split_once(prefix) {
            return Ok(said.parse()?);
        }
    }
    Err("the second process has ended".into())
}

/// The layers of a process, for as long as it lives.
struct Telemetry {
    provider: SdkTracerProvider,
    memory: MemorySink,
    default: DefaultGuard,
}

impl Telemetry {
    fn start(service: &'static str, endpoint: &str) -> Result<Self> {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name(service).build())
            .with_batch_exporter(exporter)
            .build();
        let memory = MemorySink::new();
        let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("relay"));
        let subscriber = tracing_subscriber::registry()
            .with(tracing_meter::builder().sink(memory.clone()).build()?)
            // The clients below log at DEBUG and TRACE.
            .with(propagation::layer(otel).with_filter(LevelFilter::INFO));
        let default = set_default(&Dispatch::new(subscriber));
        Ok(Self {
            provider,
            memory,
            default,
        })
    }

    /// Exports what is left.
    async fn end(self) -> Result<Snapshot> {
        drop(self.default);
        // It blocks, while the runtime must go on to export.
        tokio::task::spawn_blocking(move || self.provider.shutdown()).await??;
        Ok(self.memory.snapshot())
    }
}

type Client = ClientService<hyper_util::client::legacy::Client<HttpConnector, Body>>;

fn client() -> Client {
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
    ServiceBuilder::new()
        .layer(ClientLayer::new())
        .service(http)
}

async fn post_to(
    client: &Client,
    to: SocketAddr,
    path: &'static str,
    order: usize,
) -> Result<String> {
    let request = Request::post(format!("http://{to}{path}"))
        .header("content-type", "application/json")
        .extension(UrlTemplate::new(path))
        .body(Body::from(order.to_string()))?;
    let response = client.clone().oneshot(request).await?;
    if !response.status().is_success() {
        return Err(format!("{path} answers {}", response.status()).into());
    }
    let body = axum::body::to_bytes(Body::new(response.into_body()), 1024).await?;
    Ok(String::from_utf8(body.to_vec())?)
}

async fn serve(app: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(address)
}

fn print_tree(parent: &Received, all: &[Received], depth: usize) {
    let (service, name) = (&parent.service, &parent.span.name);
    println!(
        "  {:indent$}{service}: {name} ({:?})",
        "",
        parent.span.kind(),
        indent = 2 * depth
    );
    let is_child = |it: &&Received| it.span.parent_span_id == parent.span.span_id;
    for child in all.iter().filter(is_child) {
        print_tree(child, all, depth + 1);
    }
}
