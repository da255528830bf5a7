//! A small web service under load, measured by its `tracing` alone.
//!
//! ```text
//! cargo run --all-features --example quickstart               # until ctrl-c
//! cargo run --all-features --example quickstart -- --once     # one round
//! ```
//!
//! `--listen ADDR` chooses where it serves, by default 127.0.0.1:9464.
//! `RUST_LOG` chooses what is logged, and changes no number on `/metrics`.

#![allow(clippy::print_stdout, reason = "an example shows its output")]

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::{Method, StatusCode, header::CONTENT_TYPE};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry_sdk::metrics::data::{Metric, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{info, instrument};
use tracing_meter::http::trace_layer;
use tracing_meter::{Boundaries, FacadeSink, MeterHandle, OtelSink, SemanticConventions};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let telemetry = Telemetry::install()?;
    let service = Service::start(options.listen, telemetry.prometheus.clone()).await?;
    println!("serving metrics on http://{}/metrics", service.address);

    service.load().await?;
    println!("\n{}", service.scrape().await?);
    if !options.once {
        println!("serving under a light load until ctrl-c");
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped?,
            failed = service.load_forever() => failed?,
        }
    }
    drop(service);
    telemetry.finish()
}

// The service: nothing in this part knows what its telemetry is for.

fn routes() -> Router {
    Router::new()
        .route("/jobs/{queue}", post(start_job))
        .route("/health", get(async || "ok"))
        .layer(trace_layer())
}

async fn start_job(Path(queue): Path<String>) -> StatusCode {
    match queue.as_str() {
        "low" => run_job("low", Duration::from_millis(8)).await,
        "high" => run_job("high", Duration::from_millis(2)).await,
        _ => return StatusCode::NOT_FOUND,
    }
    StatusCode::CREATED
}

#[instrument(skip_all, fields(observe.job, label.queue = %queue))]
async fn run_job(queue: &str, work: Duration) {
    tokio::time::sleep(work).await;
    info!(monotonic_counter.uploads = 1, region = "eu", "uploaded");
}

fn describe_metrics() {
    info!(
        describe.job.calls = "Jobs that have ended.",
        describe.job.duration = "How long jobs take.",
        describe.job.in_flight = "Jobs that are running.",
        describe.uploads = "Files that jobs have uploaded.",
        unit.job.calls = "{job}",
        unit.job.in_flight = "{job}",
        unit.uploads = "{file}",
        "the service starts"
    );
}

// The set-up: what is measured, and where it goes.

struct Telemetry {
    meter: MeterHandle,
    prometheus: PrometheusHandle,
    provider: SdkMeterProvider,
    exported: InMemoryMetricExporter,
}

impl Telemetry {
    fn install() -> Result<Self> {
        let jobs = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1];
        let boundaries = Boundaries::new().exact("job.duration", &jobs);
        let recorder = boundaries.prometheus_builder()?.build_recorder();
        let prometheus = recorder.handle();
        // An OTLP exporter stands here in production.
        let exported = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder()
            .with_periodic_exporter(exported.clone())
            .build();

        let meter = tracing_meter::builder()
            .boundaries(boundaries)
            // The spans of `trace_layer()` are requests.
            .convention(SemanticConventions::new())
            .sink(OtelSink::new(provider.clone()))
            .sink(FacadeSink::new(recorder))
            .build()?;
        let telemetry = Self {
            meter: meter.handle(),
            prometheus,
            provider,
            exported,
        };

        // On this layer only: on the whole registry it would filter the metrics too.
        let directives = EnvFilter::builder()
            .with_default_directive(LevelFilter::WARN.into())
            .from_env()?;
        let log = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_filter(directives);
        tracing_subscriber::registry().with(log).with(meter).init();
        Ok(telemetry)
    }

    fn finish(self) -> Result<()> {
        self.provider.shutdown()?;
        let exports = self.exported.get_finished_metrics()?;
        if let Some(last) = exports.last() {
            let metrics = last.scope_metrics().flat_map(ScopeMetrics::metrics);
            let names: Vec<_> = metrics.map(Metric::name).collect();
            println!("exported through OpenTelemetry: {}", names.join(", "));
        }
        for problem in self.meter.problems() {
            println!("problem: {problem}");
        }
        Ok(())
    }
}

/// The service and its `/metrics`, until this is dropped.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    client: Client,
    _tasks: JoinSet<()>,
}

impl Service {
    pub(crate) async fn start(listen: SocketAddr, prometheus: PrometheusHandle) -> Result<Self> {
        describe_metrics();
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_up(prometheus.clone()));
        // Added after the layer that measures, so a scrape is no request of ours.
        let routes = routes().route("/metrics", get(async move || metrics_page(&prometheus)));
        tasks.spawn(async {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            address,
            client: Client::new(),
            _tasks: tasks,
        })
    }

    pub(crate) async fn scrape(&self) -> Result<String> {
        self.request(Method::GET, "/metrics").await
    }

    /// A round of load: ten requests for each queue, and some of everything else.
    pub(crate) async fn load(&self) -> Result<()> {
        for _ in 0..10 {
            for queue in ["/jobs/low", "/jobs/high"] {
                self.request(Method::POST, queue).await?;
            }
        }
        self.request(Method::POST, "/jobs/unknown").await?;
        self.request(Method::GET, "/health").await?;
        self.request(Method::GET, "/made/up").await?;
        Ok(())
    }

    async fn load_forever(&self) -> Result<()> {
        let mut pace = tokio::time::interval(Duration::from_secs(1));
        loop {
            pace.tick().await;
            self.load().await?;
        }
    }

    async fn request(&self, method: Method, path: &str) -> Result<String> {
        let url = format!("http://{}{path}", self.address);
        let response = self.client.request(method, url).send().await?;
        Ok(response.text().await?)
    }
}

fn metrics_page(prometheus: &PrometheusHandle) -> impl axum::response::IntoResponse + use<> {
    let version = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, version)], prometheus.render())
}

/// Without it, what histograms have recorded is kept until the next scrape.
async fn keep_up(prometheus: PrometheusHandle) {
    let mut pace = tokio::time::interval(Duration::from_secs(5));
    loop {
        pace.tick().await;
        prometheus.run_upkeep();
    }
}

struct Options {
    listen: SocketAddr,
    once: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            once: false,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--once" => options.once = true,
                "--listen" => {
                    let address = arguments.next().ok_or("--listen needs an address")?;
                    options.listen = address.parse()?;
                }
                _ => return Err(format!("unknown: {argument}; try --once, --listen ADDR").into()),
            }
        }
        Ok(options)
    }
}
