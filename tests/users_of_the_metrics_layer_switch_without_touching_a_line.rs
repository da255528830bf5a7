//! The same events under `tracing_opentelemetry::MetricsLayer` and under ours.
#![cfg(feature = "otel")]

#[path = "support/reader.rs"]
mod reader;
mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
use reader::CustomReader;
use support::under;
use tracing::info;
use tracing_meter::OtelSink;
use tracing_opentelemetry::MetricsLayer;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// What a provider has collected: kind and value by name and attributes.
type Collected = BTreeMap<String, String>;

fn under_both(emit: impl Fn() + Copy) -> (Collected, Collected) {
    let (provider, reader) = new_provider();
    let theirs = MetricsLayer::new(provider.clone());
    under(Registry::default().with(theirs), emit);
    let their_metrics = collected(&reader);

    let (provider, reader) = new_provider();
    let sink = OtelSink::new(provider.clone());
    let ours = tracing_meter::builder()
        .own_metrics(false)
        .sink(sink)
        .build()
        .unwrap();
    under(Registry::default().with(ours), emit);
    (their_metrics, collected(&reader))
}

#[test]
fn everything_that_the_metrics_layer_measures_is_measured_the_same() {
    let (theirs, ours) = under_both(|| {
        for _ in 0..2 {
            info!(monotonic_counter.hello_world = 1_u64);
            info!(monotonic_counter.float_hello_world = 1.5);
            info!(monotonic_counter.signed = 3_i64);
            info!(counter.pebcak = -5_i64);
            info!(counter.pebcak_unsigned = 5_u64);
            info!(counter.pebcak_blah = 99.125);
            info!(gauge.temperature = 2_u64);
            info!(gauge.temperature_signed = -2_i64);
            info!(gauge.temperature_float = 2.5);
            info!(histogram.abcdefg = 9_u64);
            info!(histogram.abcdefg_auenatsou = 777.012_f64);
            info!(
                monotonic_counter.hello_attributes = 1_u64,
                u64_key = 1_u64,
                i64_key = -2_i64,
                f64_key = 3.5,
                str_key = "foo",
                bool_key = true,
                debug_key = ?Some(4),
                display_key = %"five",
            );
            info!(
                monotonic_counter.first = 1,
                counter.second = -2,
                histogram.third = 3_u64,
                gauge.fourth = 4,
                shared = "by all"
            );
        }
    });
    assert_eq!(theirs.len(), 16);
    assert_eq!(ours, theirs);
}

#[test]
fn its_defects_are_gone() {
    let (theirs, ours) = under_both(|| {
        info!(histogram.signed = 1);
        info!(monotonic_counter.negative = 1_u64);
        info!(monotonic_counter.negative = -1);
        info!(monotonic_counter.message = 1_u64, "text");
        info!(monotonic_counter.mixed = 1);
        info!(monotonic_counter.mixed = 0.5);
    });
    assert!(!theirs.contains_key("signed{}"));
    assert_eq!(ours["signed{}"], "histogram 1 of 1");
    assert_eq!(theirs["negative{}"], "counter 0");
    assert_eq!(ours["negative{}"], "counter 1");
    assert!(theirs.contains_key("message{message=text}"));
    assert_eq!(ours["message{}"], "counter 1");
    assert_eq!(theirs["mixed{}"], "counter 1 and counter 0.5");
    assert_eq!(ours["mixed{}"], "counter 1.5");
}

#[test]
fn our_scope_names_the_crate_and_its_version() {
    let (provider, reader) = new_provider();
    let sink = OtelSink::new(provider.clone());
    let layer = tracing_meter::builder().sink(sink).build().unwrap();
    under(Registry::default().with(layer), || {
        info!(monotonic_counter.n = 1);
    });
    let metrics = reader.collect_now();
    let scopes: Vec<_> = metrics
        .scope_metrics()
        .map(|metrics| (metrics.scope().name(), metrics.scope().version()))
        .collect();
    assert_eq!(scopes, [("tracing-meter", Some(env!("CARGO_PKG_VERSION")))]);
}

fn new_provider() -> (SdkMeterProvider, CustomReader) {
    let reader = CustomReader::default();
    let builder = SdkMeterProvider::builder().with_reader(reader.clone());
    (builder.build(), reader)
}

fn collected(reader: &CustomReader) -> Collected {
    let metrics = reader.collect_now();
    let mut collected = Collected::new();
    for metric in metrics.scope_metrics().flat_map(ScopeMetrics::metrics) {
        let points = match metric.data() {
            AggregatedMetrics::F64(data) => points(data),
            AggregatedMetrics::U64(data) => points(data),
            AggregatedMetrics::I64(data) => points(data),
        };
        for (attributes, value) in points {
            let series = format!("{}{{{attributes}}}", metric.name());
            let stream = collected.entry(series).or_default();
            let separator = if stream.is_empty() { "" } else { " and " };
            *stream = format!("{stream}{separator}{value}");
        }
    }
    collected
}

fn points<T: Copy + Into<Number> + Debug>(data: &MetricData<T>) -> Vec<(String, String)> {
    let number = |value: T| value.into().0;
    match data {
        MetricData::Sum(sum) => {
            let kind = if sum.is_monotonic() {
                "counter"
            } else {
                "up_down_counter"
            };
            sum.data_points()
                .map(|p| {
                    (
                        text(p.attributes()),
                        format!("{kind} {}", number(p.value())),
                    )
                })
                .collect()
        }
        MetricData::Gauge(gauge) => gauge
            .data_points()
            .map(|p| (text(p.attributes()), format!("gauge {}", number(p.value()))))
            .collect(),
        MetricData::Histogram(histogram) => histogram
            .data_points()
            .map(|p| {
                let value = format!("histogram {} of {}", number(p.sum()), p.count());
                (text(p.attributes()), value)
            })
            .collect(),
        MetricData::ExponentialHistogram(_) => unreachable!("nobody asks for one"),
    }
}

/// A number of any of the SDK's types; the tests' are small.
struct Number(f64);

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value as f64)
    }
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(value as f64)
    }
}

/// Attributes with their types, sorted; `message` is a string with them.
fn text<'a>(attributes: impl Iterator<Item = &'a opentelemetry::KeyValue>) -> String {
    let mut texts: Vec<_> = attributes
        .map(|kv| match &kv.value {
            opentelemetry::Value::String(value) => format!("{}={}", kv.key, value.as_str()),
            other => format!("{}={other:?}", kv.key),
        })
        .collect();
    texts.sort();
    texts.join(",")
}
