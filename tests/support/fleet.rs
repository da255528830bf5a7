//! Processes that export by OTLP, and the collectors that they export to.

#![allow(unreachable_pub, reason = "a test uses this")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{MetricExporter, RetryPolicy, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use tokio::runtime::Runtime;
use tracing::Dispatch;
use tracing_meter::{Boundaries, FacadeSink, OtelSink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use crate::collector::{Collector, Point, points};
use crate::exporters::parse_scrape;
use crate::guide;
use crate::receiver::Receiver;

/// For the sockets of all tests.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// While a process has one subscriber, `tracing-core` asks nobody else what a callsite is
/// to be.
static OTHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));

/// What a process has of its own: a subscriber, a provider with its resource, an exporter.
pub struct Process {
    dispatch: Dispatch,
    pub provider: SdkMeterProvider,
    /// What a direct scrape would show.
    pub prometheus: PrometheusHandle,
}

impl Process {
    fn start(collector: SocketAddr, instance: Option<&str>, temporality: Temporality) -> Self {
        LazyLock::force(&OTHERS);
        let _sockets = RUNTIME.enter();
        let exporter = MetricExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{collector}"))
            .with_retry_policy(RetryPolicy::disabled())
            .with_temporality(temporality)
            .build()
            .unwrap();
        let version = KeyValue::new("service.version", "1.2.3");
        let resource = Resource::builder()
            .with_service_name("worker")
            .with_attribute(version);
        let instance = instance.map(|id| KeyValue::new("service.instance.id", id.to_owned()));
        // It exports when the test asks.
        let reader = PeriodicReader::builder(exporter)
            .with_interval(Duration::from_secs(24 * 60 * 60))
            .build();
        let provider = SdkMeterProvider::builder()
            .with_resource(resource.with_attributes(instance).build())
            .with_reader(reader)
            .build();
        let boundaries = Boundaries::new();
        let recorder = boundaries.prometheus_builder().unwrap().build_recorder();
        let prometheus = recorder.handle();
        let meter = tracing_meter::builder()
            .boundaries(boundaries)
            .sink(OtelSink::new(provider.clone()))
            .sink(FacadeSink::new(recorder))
            .build()
            .unwrap();
        Self {
            dispatch: Dispatch::new(Registry::default().with(meter)),
            provider,
            prometheus,
        }
    }

    pub fn runs<T>(&self, code: impl FnOnce() -> T) -> T {
        tracing::dispatcher::with_default(&self.dispatch, code)
    }
}

/// Processes that push to an agent, which hands on to a gateway.
pub struct Fleet {
    receiver: Option<Receiver>,
    address: SocketAddr,
    /// How much of what the receiver has was taken from it.
    taken: usize,
    agent: Collector,
    pub gateway: Arc<Mutex<Gateway>>,
}

pub struct Gateway {
    collector: Collector,
    /// The clock of both collectors.
    now: Duration,
}

impl Fleet {
    pub fn new() -> Self {
        let receiver = RUNTIME.block_on(Receiver::start()).unwrap();
        Self {
            address: receiver.address(),
            receiver: Some(receiver),
            taken: 0,
            agent: Collector::new(&guide::yaml("collector-agent.yaml")),
            gateway: Arc::new(Mutex::new(Gateway {
                collector: Collector::new(&guide::yaml("collector-gateway.yaml")),
                now: Duration::ZERO,
            })),
        }
    }

    pub fn process(&self, instance: Option<&str>, temporality: Temporality) -> Process {
        Process::start(self.address, instance, temporality)
    }

    /// The process exports what it has.
    pub fn push(&mut self, process: &Process) {
        let points = self.exported(process);
        self.deliver(points);
    }

    /// The process ends, as it should.
    pub fn end(&mut self, process: Process) {
        drop(process.dispatch);
        process.provider.shutdown().unwrap();
        let points = self.received();
        self.deliver(points);
    }

    pub fn exported(&mut self, process: &Process) -> Vec<Point> {
        process.provider.force_flush().unwrap();
        self.received()
    }

    fn received(&mut self) -> Vec<Point> {
        let received = self.receiver.as_ref().unwrap().metrics();
        let points = points(&received[self.taken..]);
        self.taken = received.len();
        points
    }

    pub fn deliver(&mut self, points: Vec<Point>) {
        let handed_on = self.through_the_agent(points);
        self.through_the_gateway(handed_on);
    }

    pub fn through_the_agent(&mut self, points: Vec<Point>) -> Vec<Point> {
        let now = self.gateway.lock().unwrap().now;
        self.agent.receive(points, now)
    }

    pub fn through_the_gateway(&self, points: Vec<Point>) {
        let mut gateway = self.gateway.lock().unwrap();
        let now = gateway.now;
        gateway.collector.receive(points, now);
    }

    pub fn pass(&self, time: Duration) {
        self.gateway.lock().unwrap().now += time;
    }

    pub fn collector_stops(&mut self) {
        RUNTIME.block_on(self.receiver.take().unwrap().stop());
    }

    pub fn collector_starts(&mut self) {
        let started = RUNTIME.block_on(Receiver::start_at(self.address)).unwrap();
        self.receiver = Some(started);
        self.taken = 0;
    }

    pub fn scrape(&self) -> BTreeMap<String, f64> {
        parse_scrape(&self.gateway.lock().unwrap().scrape())
    }

    /// The sum of all series of a metric, if there is one.
    pub fn sum(&self, metric: &str) -> Option<f64> {
        self.sum_of(metric, "")
    }

    /// The sum of all series that one process has of a metric.
    pub fn value(&self, metric: &str, instance: &str) -> Option<f64> {
        self.sum_of(metric, &format!("\"instance\": {instance:?}"))
    }

    fn sum_of(&self, metric: &str, with: &str) -> Option<f64> {
        let start = format!("{metric}{{");
        let scrape = self.scrape();
        let series = scrape.iter();
        series
            .filter(|(series, _)| series.starts_with(&start) && series.contains(with))
            .map(|(_, value)| *value)
            .reduce(|sum, value| sum + value)
    }
}

impl Gateway {
    pub fn scrape(&mut self) -> String {
        self.collector.scrape(self.now)
    }
}
