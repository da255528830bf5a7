//! The memory of a series: in all, and whose share it is.

use std::sync::Arc;

use opentelemetry::KeyValue;
use tracing::{Dispatch, Subscriber, dispatcher};
use tracing_meter::{FacadeSink, Handle, Instrument, Labels, MeterLayerBuilder, Sink};
use tracing_opentelemetry::MetricsLayer;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use crate::run::allocator::live_bytes;
use crate::run::exporters::{Otel, Prometheus};
use crate::run::operations::count_by_id;

/// Each series is measured a few times, not so often that it is a hot one.
const TIMES: u64 = 3;

/// Makes so many series, and gives the bytes that this took.
type Keeper = fn(u64) -> u64;

/// The bytes of one series, for those whose name holds the filter.
pub(crate) fn by_series(filter: &str) -> Vec<(String, f64)> {
    let keepers: [(&str, Keeper); 6] = [
        ("ours", ours),
        ("sdk", sdk),
        ("metrics_layer", metrics_layer),
        ("ours_facade", ours_facade),
        ("prometheus", prometheus),
        ("ours_without_sink", ours_without_sink),
    ];
    let sizes = [
        ("series_1", 1),
        ("series_100", 100),
        ("series_10k", 10_000),
        ("series_100k", 100_000),
    ];
    let mut bytes = Vec::new();
    for (size, series) in sizes {
        for (who, keeper) in keepers {
            let name = format!("{size}/{who}");
            if name.contains(filter) {
                // What only the first of a process needs is no series'.
                keeper(1);
                bytes.push((name, per(keeper(series), series)));
            }
        }
    }
    bytes
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn per(bytes: u64, series: u64) -> f64 {
    bytes as f64 / series as f64
}

/// The sink's share included.
fn ours(series: u64) -> u64 {
    let otel = Otel::with_room_for(series);
    let layer = builder(series).sink(otel.sink()).build();
    let layer = layer.expect("it is valid");
    otel.collect();
    let bytes = by_events(Registry::default().with(layer), series);
    assert_eq!(otel.totals()["uploads"].0, series, "one is missing");
    bytes
}

fn sdk(series: u64) -> u64 {
    let otel = Otel::with_room_for(series);
    let meter = otel.meter();
    let bytes = grown(|| {
        let counter = meter.u64_counter("uploads").build();
        for id in (0..TIMES).flat_map(|_| 0..series) {
            let id = i64::try_from(id).expect("it is small");
            let attributes = [KeyValue::new("region", "eu"), KeyValue::new("id", id)];
            counter.add(1, &attributes);
        }
    });
    assert_eq!(otel.totals()["uploads"].0, series, "one is missing");
    bytes
}

fn metrics_layer(series: u64) -> u64 {
    let otel = Otel::with_room_for(series);
    let layer = MetricsLayer::new(otel.provider.clone());
    let bytes = by_events(Registry::default().with(layer), series);
    assert_eq!(otel.totals()["uploads"].0, series, "one is missing");
    bytes
}

/// The exporter's share included.
fn ours_facade(series: u64) -> u64 {
    let (prometheus, recorder) = Prometheus::new();
    let layer = builder(series).sink(FacadeSink::new(recorder)).build();
    let layer = layer.expect("it is valid");
    let bytes = by_events(Registry::default().with(layer), series);
    assert_eq!(prometheus.totals()["uploads"].0, series, "one is missing");
    bytes
}

fn prometheus(series: u64) -> u64 {
    let (prometheus, recorder) = Prometheus::new();
    let bytes = metrics::with_local_recorder(&recorder, || {
        grown(|| {
            for id in (0..TIMES).flat_map(|_| 0..series) {
                metrics::counter!("uploads", "region" => "eu", "id" => id.to_string()).increment(1);
            }
        })
    });
    assert_eq!(prometheus.totals()["uploads"].0, series, "one is missing");
    bytes
}

/// Our own share: a sink that keeps nothing.
fn ours_without_sink(series: u64) -> u64 {
    struct Nothing;
    impl Sink for Nothing {
        fn series(&self, _: &Instrument, _: &Labels) -> Arc<dyn Handle> {
            Arc::new(Self)
        }
    }
    impl Handle for Nothing {
        fn record(&self, _: f64) {}
    }
    let layer = builder(series).sink(Nothing).build();
    by_events(
        Registry::default().with(layer.expect("it is valid")),
        series,
    )
}

fn builder(series: u64) -> MeterLayerBuilder {
    let limit = usize::try_from(series).expect("it fits in memory");
    tracing_meter::builder().series_limit(limit)
}

fn by_events(subscriber: impl Subscriber + Send + Sync + 'static, series: u64) -> u64 {
    let dispatch = Dispatch::new(subscriber);
    dispatcher::with_default(&dispatch, || {
        grown(|| (0..TIMES).flat_map(|_| 0..series).for_each(count_by_id))
    })
}

fn grown(by: impl FnOnce()) -> u64 {
    let before = live_bytes();
    by();
    live_bytes().wrapping_sub(before)
}
