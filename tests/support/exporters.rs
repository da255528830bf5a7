//! The real exporters: a Prometheus recorder and an OpenTelemetry meter provider.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]
#![allow(clippy::print_stdout, reason = "a skipped check says so")]

#[path = "reader.rs"]
mod reader;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::process::{Command, Stdio};

use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics,
};
pub use reader::CustomReader;
use tracing_meter::{Boundaries, FacadeSink, MeterLayerBuilder, OtelSink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// Both exporters, each with its own view of the same measurements.
pub struct Exporters {
    pub prometheus: PrometheusHandle,
    pub provider: SdkMeterProvider,
    reader: CustomReader,
}

impl Exporters {
    /// A builder whose layer feeds both exporters.
    pub fn new() -> (Self, MeterLayerBuilder) {
        Self::with_boundaries(Boundaries::new())
    }

    pub fn with_boundaries(boundaries: Boundaries) -> (Self, MeterLayerBuilder) {
        let reader = CustomReader::default();
        let provider = SdkMeterProvider::builder()
            .with_reader(reader.clone())
            .build();
        let recorder = boundaries.prometheus_builder().unwrap().build_recorder();
        let prometheus = recorder.handle();
        let builder = tracing_meter::builder()
            .boundaries(boundaries)
            .sink(OtelSink::new(provider.clone()))
            .sink(FacadeSink::new(recorder));
        let exporters = Self {
            prometheus,
            provider,
            reader,
        };
        (exporters, builder)
    }

    /// A scrape's text.
    pub fn scrape(&self) -> String {
        self.prometheus.render()
    }

    /// A series on a scrape, whatever its kind; of a histogram `NAME_count`,
    /// `NAME_sum` or `NAME_bucket`. Labels are named as they were recorded.
    pub fn scraped(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter();
        let labels: Vec<(String, &str)> = labels
            .map(|(key, value)| (key.replace('.', "_"), *value))
            .collect();
        let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        parse_scrape(&self.scrape())
            .get(&series(name, &labels))
            .copied()
    }

    /// A series in the SDK: a sum, a gauge's value, or a histogram's sum.
    pub fn collected(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        points(&self.reader.collect_now())
            .get(&series(name, labels))
            .copied()
    }

    /// Asserts that a series has this value in both exporters.
    pub fn assert_both(&self, name: &str, scraped: &str, labels: &[(&str, &str)], value: f64) {
        assert_eq!(
            self.collected(name, labels),
            Some(value),
            "{name} {labels:?}"
        );
        assert_eq!(
            self.scraped(scraped, labels),
            Some(value),
            "{scraped} {labels:?}"
        );
    }

    /// A histogram's boundaries in the SDK.
    pub fn collected_bounds(&self, name: &str) -> Vec<f64> {
        let metrics = self.reader.collect_now();
        let mut metrics = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
        let metric = metrics.find(|metric| metric.name() == name).unwrap();
        let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
            panic!("{name} is no histogram");
        };
        histogram.data_points().next().unwrap().bounds().collect()
    }

    /// A histogram's boundaries on a scrape, without infinity.
    pub fn scraped_bounds(&self, name: &str) -> Vec<f64> {
        let start = format!("{name}_bucket{{");
        let scrape = self.scrape();
        let bounds = scrape.lines().filter(|line| line.starts_with(&start));
        bounds
            .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next()?.parse().ok())
            .filter(|bound: &f64| bound.is_finite())
            .collect()
    }

    /// The names of all metrics in the SDK.
    pub fn collected_names(&self) -> Vec<String> {
        let metrics = self.reader.collect_now();
        let metrics = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
        metrics.map(|metric| metric.name().to_owned()).collect()
    }

    pub fn resource_metrics(&self) -> ResourceMetrics {
        self.reader.collect_now()
    }
}

/// Runs a story under both exporters, on one thread, and asserts that the layer
/// had no problem with it.
pub fn measured<T>(
    story: impl AsyncFnOnce(&Exporters) -> Result<T, Box<dyn Error + Send + Sync>>,
) -> (Exporters, T) {
    measured_with(|builder| builder, story)
}

/// The same, with a layer that is configured.
pub fn measured_with<T>(
    configure: impl FnOnce(MeterLayerBuilder) -> MeterLayerBuilder,
    story: impl AsyncFnOnce(&Exporters) -> Result<T, Box<dyn Error + Send + Sync>>,
) -> (Exporters, T) {
    let (exporters, builder) = Exporters::new();
    let layer = configure(builder).build().unwrap();
    let handle = layer.handle();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let told = tracing::subscriber::with_default(Registry::default().with(layer), || {
        runtime.block_on(story(&exporters)).unwrap()
    });
    let problems = handle.problems();
    assert!(problems.is_empty(), "{problems:?}");
    (exporters, told)
}

/// `name{a="1",b="2"}`, with the labels sorted.
fn series(name: &str, labels: &[(&str, &str)]) -> String {
    let sorted: BTreeMap<_, _> = labels.iter().copied().collect();
    format!("{name}{sorted:?}")
}

/// All sample lines of a scrape, by series.
pub fn parse_scrape(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(parse_sample).collect()
}

/// Splits `NAME{LABELS} VALUE`. A label's value may hold braces: a route does.
fn parse_sample(line: &str) -> Option<(String, f64)> {
    let (sample, value) = line.rsplit_once(' ')?;
    let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
    let labels = label_pairs(labels.strip_suffix('}')?);
    let labels: Vec<_> = labels
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    Some((series(name, &labels), value.parse().ok()?))
}

/// Splits `a="1",b="2"`. The tests' label values hold no escapes.
fn label_pairs(labels: &str) -> Vec<(String, String)> {
    labels
        .split("\",")
        .filter_map(|pair| {
            let (key, value) = pair.split_once("=\"")?;
            Some((key.to_owned(), value.trim_end_matches('"').to_owned()))
        })
        .collect()
}

/// Runs `promtool check metrics`, and asserts that it finds nothing.
///
/// Without promtool this prints that it was skipped; in CI it is required.
pub fn assert_promtool_finds_nothing(scrape: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = command.spawn() else {
        assert!(std::env::var_os("CI").is_none(), "CI needs promtool");
        println!("skipped: promtool is not installed (Debian: prometheus)");
        return;
    };
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(scrape.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.is_empty(),
        "{said}\nof\n{scrape}"
    );
}

/// All series in the SDK: a histogram by its sum.
pub fn points(metrics: &ResourceMetrics) -> BTreeMap<String, f64> {
    let metrics = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
    let mut points = BTreeMap::new();
    for metric in metrics {
        for (attributes, value) in data_points(metric) {
            let labels: Vec<_> = attributes
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            let twice = points.insert(series(metric.name(), &labels), value);
            assert_eq!(twice, None, "{} has a series twice", metric.name());
        }
    }
    points
}

fn data_points(metric: &Metric) -> Vec<(Vec<(String, String)>, f64)> {
    let AggregatedMetrics::F64(data) = metric.data() else {
        panic!("{} is not f64", metric.name());
    };
    match data {
        MetricData::Sum(sum) => {
            let points = sum.data_points();
            points.map(|p| (pairs(p.attributes()), p.value())).collect()
        }
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points();
            points.map(|p| (pairs(p.attributes()), p.value())).collect()
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points();
            points.map(|p| (pairs(p.attributes()), p.sum())).collect()
        }
        MetricData::ExponentialHistogram(_) => unreachable!("nobody asks for one"),
    }
}

fn pairs<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Vec<(String, String)> {
    attributes
        .map(|attribute| (attribute.key.to_string(), attribute.value.to_string()))
        .collect()
}
