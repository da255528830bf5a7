//! The memory of a series, in all and whose share it is; and what spans leave.

use std::sync::Arc;

use opentelemetry::KeyValue;
use tracing::{Dispatch, Span, Subscriber, dispatcher};
use tracing_meter::{FacadeSink, Handle, Instrument, Labels, MeterLayerBuilder, Sink};
use tracing_opentelemetry::MetricsLayer;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use crate::run::allocator::grown;
use crate::run::exporters::{Otel, Prometheus};
use crate::run::layers::NoOp;
use crate::run::operations::{count_by_id, late_span, short_span};

/// Each series is measured a few times, not so often that it is a hot one.
const TIMES: u64 = 3;

/// A name, how many spans are open at once, and how one of them is opened.
type Burst = (&'static str, u64, fn() -> Span);

/// Makes so many series, and gives the bytes that this took.
type Keeper = fn(u64) -> i64;

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

fn per(bytes: i64, series: u64) -> f64 {
    to_f64(bytes) / to_f64(series.cast_signed())
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn to_f64(value: i64) -> f64 {
    value as f64
}

/// The sink's share included.
fn ours(series: u64) -> i64 {
    let otel = Otel::with_room_for(series);
    keep(&otel);
    let layer = builder(series).sink(otel.sink()).build();
    let layer = layer.expect("it is valid");
    otel.collect();
    let bytes = by_events(Registry::default().with(layer), series);
    assert_eq!(otel.totals()["uploads"].series, series, "one is missing");
    bytes
}

fn sdk(series: u64) -> i64 {
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
    assert_eq!(otel.totals()["uploads"].series, series, "one is missing");
    bytes
}

fn metrics_layer(series: u64) -> i64 {
    let otel = Otel::with_room_for(series);
    let layer = MetricsLayer::new(otel.provider.clone());
    let bytes = by_events(Registry::default().with(layer), series);
    assert_eq!(otel.totals()["uploads"].series, series, "one is missing");
    bytes
}

/// The exporter's share included.
fn ours_facade(series: u64) -> i64 {
    let (prometheus, recorder) = Prometheus::new();
    let layer = builder(series).sink(FacadeSink::new(recorder)).build();
    let layer = layer.expect("it is valid");
    let bytes = by_events(Registry::default().with(layer), series);
    assert_eq!(
        prometheus.totals()["uploads"].series,
        series,
        "one is missing"
    );
    bytes
}

fn prometheus(series: u64) -> i64 {
    let (prometheus, recorder) = Prometheus::new();
    let bytes = metrics::with_local_recorder(&recorder, || {
        grown(|| {
            for id in (0..TIMES).flat_map(|_| 0..series) {
                metrics::counter!("uploads", "region" => "eu", "id" => id.to_string()).increment(1);
            }
        })
    });
    assert_eq!(
        prometheus.totals()["uploads"].series,
        series,
        "one is missing"
    );
    bytes
}

/// Our own share: a sink that keeps nothing.
fn ours_without_sink(series: u64) -> i64 {
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

/// The bytes that are kept when spans have closed that were all open at once, beyond
/// what the registry keeps without us.
pub(crate) fn after_spans(filter: &str) -> Vec<(String, f64)> {
    let bursts: [Burst; 3] = [
        ("after_1m_spans", 1_000_000, short_span),
        ("after_10k_late_spans", 10_000, late_span),
        ("after_10_late_spans", 10, late_span),
    ];
    let bursts = bursts
        .into_iter()
        .filter(|(name, ..)| name.contains(filter));
    bursts
        .map(|(name, spans, open)| {
            let registry = burst(Registry::default().with(NoOp), spans, open);
            let all = with_our_burst(spans, open);
            (name.to_owned(), to_f64(all - registry))
        })
        .collect()
}

fn with_our_burst(spans: u64, open: fn() -> Span) -> i64 {
    let otel = Otel::new();
    keep(&otel);
    let builder = tracing_meter::builder().inherited_labels(["queue"]);
    let layer = builder.sink(otel.sink()).build().expect("it is valid");
    otel.collect();
    let bytes = burst(Registry::default().with(layer), spans, open);
    let totals = otel.totals();
    let closed = Some(to_f64(spans.cast_signed() + 1));
    assert_eq!(Some(totals["job_calls"].sum), closed, "one is missing");
    assert_eq!(Some(totals["jobs"].sum), Some(0.0), "one is in flight");
    bytes
}

fn burst(
    subscriber: impl Subscriber + Send + Sync + 'static,
    spans: u64,
    open: fn() -> Span,
) -> i64 {
    let dispatch = Dispatch::new(subscriber);
    dispatcher::with_default(&dispatch, || {
        // What only the first of all needs is not kept for the others.
        drop(open());
        grown(|| {
            let open: Vec<Span> = (0..spans).map(|_| open()).collect();
            drop(open);
        })
    })
}

/// A sink lets go of its provider on another thread, late: what that would free must
/// not count for the next one.
fn keep(otel: &Otel) {
    std::mem::forget(otel.provider.clone());
}

fn builder(series: u64) -> MeterLayerBuilder {
    let limit = usize::try_from(series).expect("it fits in memory");
    tracing_meter::builder().series_limit(limit)
}

fn by_events(subscriber: impl Subscriber + Send + Sync + 'static, series: u64) -> i64 {
    let dispatch = Dispatch::new(subscriber);
    dispatcher::with_default(&dispatch, || {
        grown(|| (0..TIMES).flat_map(|_| 0..series).for_each(count_by_id))
    })
}
