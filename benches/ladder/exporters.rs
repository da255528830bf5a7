//! Where measurements end, and whether all of them did.

use std::collections::BTreeMap;

use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use tracing_meter::{Boundaries, OtelSink};

use crate::run::harness::Stopwatch;
use crate::run::operations::Arrives;

#[path = "../../tests/support/reader.rs"]
mod reader;

use reader::CustomReader;

/// OpenTelemetry's limit, and ours, as long as nobody raises it.
pub(crate) const DEFAULT_LIMIT: u64 = 2_000;

type Totals = BTreeMap<String, Total>;

/// All series of a metric.
#[derive(Debug, Default)]
pub(crate) struct Total {
    pub(crate) series: u64,
    /// What was added, how often something was observed, or the gauges' values.
    pub(crate) sum: f64,
    /// How many labels each series has, if it is the same number for all.
    labels: Option<usize>,
}

impl Total {
    fn add(&mut self, labels: usize, value: f64) {
        let is_same = self.series == 0 || self.labels == Some(labels);
        self.labels = is_same.then_some(labels);
        self.series += 1;
        self.sum += value;
    }
}

/// An OpenTelemetry meter provider that collects when it is asked.
pub(crate) struct Otel {
    pub(crate) provider: SdkMeterProvider,
    reader: CustomReader,
}

impl Otel {
    pub(crate) fn new() -> Self {
        Self::with_room_for(DEFAULT_LIMIT)
    }

    /// So many series of `uploads` are none too many.
    pub(crate) fn with_room_for(series: u64) -> Self {
        let reader = CustomReader::default();
        let mut builder = SdkMeterProvider::builder().with_reader(reader.clone());
        if let Ok(limit) = usize::try_from(series)
            && series > DEFAULT_LIMIT
        {
            builder = builder.with_view(move |instrument: &Instrument| {
                let stream = || Stream::builder().with_cardinality_limit(limit).build();
                (instrument.name() == "uploads").then(stream)?.ok()
            });
        }
        let provider = builder.build();
        Self { provider, reader }
    }

    pub(crate) fn meter(&self) -> Meter {
        self.provider.meter("bench")
    }

    pub(crate) fn sink(&self) -> OtelSink {
        OtelSink::new(self.provider.clone())
    }

    /// What a reader does now and then, on its own thread: only after the first time counts
    /// are gathered.
    pub(crate) fn collect(&self) {
        self.collect_now();
    }

    fn collect_now(&self) -> ResourceMetrics {
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| self.reader.collect_now());
            reader.join().expect("it collects")
        })
    }

    /// Asserts that everything has arrived.
    pub(crate) fn check(&self, arrives: &[(&str, Arrives)], watch: &Stopwatch) {
        check(arrives, watch, || self.totals());
    }

    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub(crate) fn totals(&self) -> Totals {
        let metrics = self.collect_now();
        let metrics = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
        metrics
            .map(|metric| {
                let total = match metric.data() {
                    AggregatedMetrics::F64(data) => total(data, |value| value),
                    AggregatedMetrics::U64(data) => total(data, |value| value as f64),
                    AggregatedMetrics::I64(data) => total(data, |value| value as f64),
                };
                (metric.name().to_owned(), total)
            })
            .collect()
    }
}

fn total<T: Copy>(data: &MetricData<T>, to_f64: impl Fn(T) -> f64) -> Total {
    let mut total = Total::default();
    match data {
        MetricData::Sum(sum) => sum
            .data_points()
            .for_each(|p| total.add(p.attributes().count(), to_f64(p.value()))),
        MetricData::Gauge(gauge) => gauge
            .data_points()
            .for_each(|p| total.add(p.attributes().count(), to_f64(p.value()))),
        MetricData::Histogram(histogram) => histogram
            .data_points()
            .for_each(|p| total.add(p.attributes().count(), self::to_f64(p.count()))),
        MetricData::ExponentialHistogram(_) => unreachable!("nobody asks for one"),
    }
    total
}

/// A Prometheus recorder and its scrapes.
pub(crate) struct Prometheus(PrometheusHandle);

impl Prometheus {
    pub(crate) fn new() -> (Self, PrometheusRecorder) {
        let builder = Boundaries::new().prometheus_builder();
        let recorder = builder.expect("the defaults are valid").build_recorder();
        (Self(recorder.handle()), recorder)
    }

    /// Asserts that everything has arrived.
    pub(crate) fn check(&self, arrives: &[(&str, Arrives)], watch: &Stopwatch) {
        check(arrives, watch, || self.totals());
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::new();
        for line in self
            .0
            .render()
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let Some((sample, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let name = sample.split('{').next().unwrap_or_default();
            if name.ends_with("_bucket") || name.ends_with("_sum") {
                continue;
            }
            // As it was written, before it was given a Prometheus name.
            let name = ["_total", "_count", "_seconds"]
                .iter()
                .fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
            let value = value.parse().expect("a sample has a value");
            let total = totals.entry(name.to_owned()).or_default();
            total.add(sample.matches("=\"").count(), value);
        }
        totals
    }
}

fn check(arrives: &[(&str, Arrives)], watch: &Stopwatch, totals: impl FnOnce() -> Totals) {
    let Some(times) = watch.counted() else {
        return;
    };
    let (all, totals) = (to_f64(times), totals());
    for (metric, arrives) in arrives {
        let total = totals.get(*metric);
        let (sum, series) = (total.map(|it| it.sum), total.map(|it| it.series));
        let labels = total.and_then(|it| it.labels);
        let is_right = match *arrives {
            Arrives::EachTime => sum == Some(all),
            Arrives::EachTimeWith(expected) => sum == Some(all) && labels == Some(expected),
            Arrives::EachTimeAnew => sum == Some(all) && series == Some(times),
            Arrives::AllButFirst => sum == Some(all - 1.0),
            Arrives::Last => sum.is_some_and(|value| value > 0.0),
            Arrives::Back => sum == Some(0.0),
        };
        assert!(is_right, "{metric}: {total:?} after {times} times");
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
