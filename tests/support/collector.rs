//! A small model of the OpenTelemetry Collector: what a pipeline for metrics does to the
//! numbers, without batches, queues and sockets. The collector's components that it
//! follows are named; what they are to do stands in the guide's configuration files.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, HistogramDataPoint, NumberDataPoint,
};
use serde_json::Value as Yaml;

use crate::receiver::{self, Attributes, ReceivedMetric};

/// A collector with one pipeline for metrics.
pub struct Collector {
    to_cumulative: Option<DeltaToCumulative>,
    prometheus: Option<PrometheusExporter>,
}

impl Collector {
    pub fn new(config: &Yaml) -> Self {
        let pipeline = &config["service"]["pipelines"]["metrics"];
        let has = |kind: &str, name: &str| {
            let used = pipeline[kind].as_array().unwrap();
            used.iter().any(|it| it == name)
        };
        let deltas = &config["processors"]["deltatocumulative"];
        let prometheus = &config["exporters"]["prometheus"];
        Self {
            to_cumulative: has("processors", "deltatocumulative").then(|| DeltaToCumulative {
                max_stale: duration(&deltas["max_stale"]),
                streams: BTreeMap::new(),
            }),
            prometheus: has("exporters", "prometheus").then(|| PrometheusExporter {
                expiration: duration(&prometheus["metric_expiration"]),
                resource_to_labels: prometheus["resource_to_telemetry_conversion"]["enabled"]
                    .as_bool()
                    .unwrap(),
                series: BTreeMap::new(),
            }),
        }
    }

    /// The `otlp` receiver: a push, at a time on the collector's clock. Gives what an
    /// `otlp` exporter hands on.
    pub fn receive(&mut self, pushed: Vec<Point>, now: Duration) -> Vec<Point> {
        let points = match &mut self.to_cumulative {
            Some(deltas) => deltas.process(pushed, now),
            None => pushed,
        };
        if let Some(prometheus) = &mut self.prometheus {
            prometheus.consume(&points, now);
        }
        points
    }

    pub fn scrape(&mut self, now: Duration) -> String {
        self.prometheus.as_mut().unwrap().scrape(now)
    }
}

/// The processor `deltatocumulative`: adds deltas up, stream by stream. What is
/// cumulative already passes.
struct DeltaToCumulative {
    max_stale: Duration,
    streams: BTreeMap<Stream, (Point, Duration)>,
}

impl DeltaToCumulative {
    fn process(&mut self, points: Vec<Point>, now: Duration) -> Vec<Point> {
        let max_stale = self.max_stale;
        self.streams.retain(|_, (_, seen)| now < *seen + max_stale);
        let points = points.into_iter();
        points.filter_map(|point| self.add(point, now)).collect()
    }

    fn add(&mut self, mut point: Point, now: Duration) -> Option<Point> {
        if !point.is_delta {
            return Some(point);
        }
        point.is_delta = false;
        let Some((sum, seen)) = self.streams.get_mut(&point.stream) else {
            let first = (point.clone(), now);
            self.streams.insert(point.stream.clone(), first);
            return Some(point);
        };
        // It dates from before the stream began, or was overtaken: dropped.
        if point.start < sum.start || point.time <= sum.time {
            return None;
        }
        sum.value.add(&point.value);
        sum.time = point.time;
        *seen = now;
        Some(sum.clone())
    }
}

/// The exporter `prometheus`: the newest value of each series, for so long.
struct PrometheusExporter {
    expiration: Duration,
    resource_to_labels: bool,
    series: BTreeMap<(String, Attributes), (Point, Duration)>,
}

impl PrometheusExporter {
    fn consume(&mut self, points: &[Point], now: Duration) {
        // It would add some deltas up itself; here it has none.
        for point in points.iter().filter(|point| !point.is_delta) {
            let stream = &point.stream;
            let name = stream.metric.prometheus_name();
            let series = (name, self.labels(stream));
            match self.series.get_mut(&series) {
                Some((newest, _)) if point.time < newest.time => {}
                Some(it) => *it = (point.clone(), now),
                None => {
                    self.series.insert(series, (point.clone(), now));
                }
            }
        }
    }

    fn labels(&self, stream: &Stream) -> Attributes {
        let mut labels = stream.attributes.clone();
        if self.resource_to_labels {
            labels.extend(stream.resource.clone());
        }
        labels.extend(stream.job());
        translated(labels)
    }

    fn scrape(&mut self, now: Duration) -> String {
        let expiration = self.expiration;
        self.series.retain(|_, (_, seen)| now < *seen + expiration);
        let mut families: BTreeMap<&str, (&str, String)> = BTreeMap::new();
        for ((name, labels), (point, _)) in &self.series {
            let kind = point.stream.metric.kind.on_scrape();
            let (_, lines) = families.entry(name).or_insert((kind, String::new()));
            point.value.write(name, labels, lines);
        }
        let targets: BTreeMap<_, _> = self
            .series
            .values()
            .map(|(point, _)| (point.stream.job(), &point.stream.resource))
            .collect();
        for (job, resource) in targets {
            let mut labels = resource.clone();
            labels.retain(|key, _| !IDENTITY.contains(&key.as_str()));
            labels.extend(job);
            let (_, lines) = families
                .entry("target_info")
                .or_insert(("gauge", String::new()));
            write_sample(lines, "target_info", &translated(labels), 1.0);
        }
        let families = families.into_iter();
        families.fold(String::new(), |mut text, (name, (kind, lines))| {
            let _ = write!(text, "# TYPE {name} {kind}\n{lines}");
            text
        })
    }
}

/// What becomes `job` and `instance`.
const IDENTITY: [&str; 3] = ["service.namespace", "service.name", "service.instance.id"];

/// `job` and `instance` of a resource, as far as it says them.
type Job = BTreeMap<String, String>;

/// One value of one stream.
#[derive(Clone, Debug)]
pub struct Point {
    stream: Stream,
    is_delta: bool,
    start: u64,
    time: u64,
    value: Value,
}

/// What makes a stream of the metrics data model one, and not another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stream {
    resource: Attributes,
    scope: String,
    metric: Metric,
    attributes: Attributes,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Metric {
    name: String,
    unit: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Counter,
    UpDownCounter,
    Gauge,
    Histogram,
}

#[derive(Clone, Debug)]
enum Value {
    Number(f64),
    Histogram {
        bounds: Vec<f64>,
        counts: Vec<u64>,
        sum: f64,
    },
}

/// The points of what an `otlp` receiver was sent.
pub fn points(received: &[ReceivedMetric]) -> Vec<Point> {
    let mut points = Vec::new();
    for export in received {
        let metric = &export.metric;
        let data = metric.data.as_ref().unwrap();
        let (kind, temporality) = match data {
            Data::Gauge(_) => (Kind::Gauge, AggregationTemporality::Unspecified),
            Data::Sum(sum) if sum.is_monotonic => (Kind::Counter, sum.aggregation_temporality()),
            Data::Sum(sum) => (Kind::UpDownCounter, sum.aggregation_temporality()),
            Data::Histogram(it) => (Kind::Histogram, it.aggregation_temporality()),
            other => panic!("nobody asked for {other:?}"),
        };
        let mut push = |attributes: &[KeyValue], start, time, value| {
            points.push(Point {
                stream: Stream {
                    resource: export.resource.clone(),
                    scope: export.scope.clone(),
                    metric: Metric {
                        name: metric.name.clone(),
                        unit: metric.unit.clone(),
                        kind,
                    },
                    attributes: receiver::attributes(attributes),
                },
                is_delta: temporality == AggregationTemporality::Delta,
                start,
                time,
                value,
            });
        };
        let mut number = |it: &NumberDataPoint| {
            let value = number_value(it);
            push(
                &it.attributes,
                it.start_time_unix_nano,
                it.time_unix_nano,
                value,
            );
        };
        match data {
            Data::Gauge(gauge) => gauge.data_points.iter().for_each(number),
            Data::Sum(sum) => sum.data_points.iter().for_each(&mut number),
            Data::Histogram(histogram) => {
                for it in &histogram.data_points {
                    let value = histogram_value(it);
                    push(
                        &it.attributes,
                        it.start_time_unix_nano,
                        it.time_unix_nano,
                        value,
                    );
                }
            }
            _ => {}
        }
    }
    points
}

fn number_value(point: &NumberDataPoint) -> Value {
    match point.value {
        Some(number_data_point::Value::AsDouble(value)) => Value::Number(value),
        ref other => panic!("all instruments are f64, not {other:?}"),
    }
}

fn histogram_value(point: &HistogramDataPoint) -> Value {
    Value::Histogram {
        bounds: point.explicit_bounds.clone(),
        counts: point.bucket_counts.clone(),
        sum: point.sum.unwrap(),
    }
}

impl Stream {
    fn job(&self) -> Job {
        let of = |key: &str| self.resource.get(key).cloned();
        let name = of("service.name").map(|name| match of("service.namespace") {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        });
        let labels = [("job", name), ("instance", of("service.instance.id"))];
        let labels = labels.into_iter();
        labels
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }
}

impl Metric {
    /// The package `translator/prometheus`, for the units of the test.
    fn prometheus_name(&self) -> String {
        let mut name = translate(&self.name);
        match self.unit.as_str() {
            "" => {}
            "s" => name += "_seconds",
            unit => assert!(unit.starts_with('{'), "no word for {unit}"),
        }
        if self.kind == Kind::Counter {
            name += "_total";
        }
        name
    }
}

impl Kind {
    fn on_scrape(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::UpDownCounter | Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Value {
    fn add(&mut self, delta: &Self) {
        match (self, delta) {
            (Self::Number(sum), Self::Number(delta)) => *sum += delta,
            (
                Self::Histogram {
                    bounds,
                    counts,
                    sum,
                },
                Self::Histogram {
                    bounds: same,
                    counts: more,
                    sum: by,
                },
            ) => {
                assert_eq!(bounds, same, "one histogram has one set of boundaries");
                counts
                    .iter_mut()
                    .zip(more)
                    .for_each(|(count, by)| *count += by);
                *sum += by;
            }
            _ => unreachable!("a metric has one kind"),
        }
    }

    fn write(&self, name: &str, labels: &Attributes, lines: &mut String) {
        match self {
            Self::Number(value) => write_sample(lines, name, labels, *value),
            Self::Histogram {
                bounds,
                counts,
                sum,
            } => {
                let bounds = bounds.iter().map(f64::to_string);
                let bounds = bounds.chain(["+Inf".to_owned()]);
                let mut total = 0;
                for (bound, count) in bounds.zip(counts) {
                    total += count;
                    let mut labels = labels.clone();
                    labels.insert("le".to_owned(), bound);
                    write_sample(lines, &format!("{name}_bucket"), &labels, as_f64(total));
                }
                write_sample(lines, &format!("{name}_sum"), labels, *sum);
                write_sample(lines, &format!("{name}_count"), labels, as_f64(total));
            }
        }
    }
}

fn as_f64(count: u64) -> f64 {
    u32::try_from(count).unwrap().into()
}

fn write_sample(lines: &mut String, name: &str, labels: &Attributes, value: f64) {
    let pairs = labels.iter().map(|(key, value)| format!("{key}={value:?}"));
    let pairs = pairs.collect::<Vec<_>>().join(",");
    let _ = writeln!(lines, "{name}{{{pairs}}} {value}");
}

fn translated(labels: Attributes) -> Attributes {
    let labels = labels.into_iter();
    labels
        .map(|(key, value)| (translate(&key), value))
        .collect()
}

fn translate(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

/// `15s`, `1m` and `1h`.
fn duration(text: &Yaml) -> Duration {
    let text = text.as_str().unwrap();
    let (number, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        other => panic!("no unit: {other}"),
    };
    Duration::from_secs(number.parse::<u64>().unwrap() * seconds)
}
