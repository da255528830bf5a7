//! Calls without `tracing`: of the SDK, with attributes and bound, and of the facade,
//! by macro and by handle.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Recorder;
use opentelemetry::KeyValue;

use super::{Who, rung};
use crate::run::exporters::{Otel, Prometheus};
use crate::run::harness::{Case, Stopwatch};
use crate::run::operations::{Arrives, MACRO_COUNTER_2, MACRO_HISTOGRAM_2, MACRO_ROTATING_64};
use crate::run::peers::metrics_macro;

const WARM_UP: u64 = 2_000;
const COUNTS: &[(&str, Arrives)] = &[("uploads", Arrives::EachTime)];
const OBSERVES: &[(&str, Arrives)] = &[("sizes", Arrives::EachTime)];
const SETS: &[(&str, Arrives)] = &[("free", Arrives::Last)];

/// The loop itself, and the least that counting can be.
pub(super) fn floor() -> Vec<Case> {
    vec![
        Case::new("call/nothing", |watch| {
            watch.repeat(WARM_UP, |n| {
                black_box(n);
            });
        }),
        Case::new("call/atomic_add", |watch| {
            let count = AtomicU64::new(0);
            watch.repeat(WARM_UP, |_| {
                black_box(&count).fetch_add(1, Ordering::Relaxed);
            });
        }),
    ]
}

pub(super) fn counters() -> Vec<Case> {
    let mut cases = vec![
        Case::new("call/two_threads/sdk", |watch| sdk_counter(watch, 2)),
        Case::new("call/two_threads/sdk_bound", |watch| {
            bound_counter(watch, 2);
        }),
        Case::new("call/counter_2/sdk_bound", |watch| bound_counter(watch, 1)),
        Case::new("call/counter_2/metrics_handle", counter_handle),
    ];
    let by_macro: [Who; 1] = [("metrics_macro", metrics_macro)];
    cases.extend(rung("call/rotating_64", MACRO_ROTATING_64, by_macro));
    cases.extend(rung("call/counter_2", MACRO_COUNTER_2, by_macro));
    cases.push(Case::new("call/counter_2/sdk", |watch| {
        sdk_counter(watch, 1);
    }));
    cases
}

pub(super) fn others() -> Vec<Case> {
    let by_macro: [Who; 1] = [("metrics_macro", metrics_macro)];
    let mut cases = vec![
        Case::new("call/updown_2/sdk", |watch| {
            let otel = Otel::new();
            let counter = otel.meter().i64_up_down_counter("uploads").build();
            watch.repeat(WARM_UP, |_| counter.add(1, &attributes()));
            otel.check(COUNTS, watch);
        }),
        Case::new("call/updown_2/sdk_bound", |watch| {
            let otel = Otel::new();
            let counter = otel.meter().i64_up_down_counter("uploads").build();
            let bound = counter.bind(&attributes());
            watch.repeat(WARM_UP, |_| black_box(&bound).add(1));
            otel.check(COUNTS, watch);
        }),
        Case::new("call/gauge_2/sdk", |watch| {
            let otel = Otel::new();
            let gauge = otel.meter().f64_gauge("free").build();
            watch.repeat(WARM_UP, |_| gauge.record(12.5, &attributes()));
            otel.check(SETS, watch);
        }),
        Case::new("call/gauge_2/sdk_bound", |watch| {
            let otel = Otel::new();
            let gauge = otel.meter().f64_gauge("free").build();
            let bound = gauge.bind(&attributes());
            watch.repeat(WARM_UP, |_| black_box(&bound).record(12.5));
            otel.check(SETS, watch);
        }),
        Case::new("call/histogram_2/sdk", |watch| {
            let otel = Otel::new();
            let histogram = otel.meter().u64_histogram("sizes").build();
            watch.repeat(WARM_UP, |_| histogram.record(17, &attributes()));
            otel.check(OBSERVES, watch);
        }),
        Case::new("call/histogram_2/sdk_bound", |watch| {
            let otel = Otel::new();
            let histogram = otel.meter().u64_histogram("sizes").build();
            let bound = histogram.bind(&attributes());
            watch.repeat(WARM_UP, |_| black_box(&bound).record(17));
            otel.check(OBSERVES, watch);
        }),
        Case::new("call/histogram_2/metrics_handle", histogram_handle),
    ];
    cases.extend(rung("call/histogram_2", MACRO_HISTOGRAM_2, by_macro));
    cases
}

fn attributes() -> [KeyValue; 2] {
    [
        KeyValue::new("region", "eu"),
        KeyValue::new("kind", "image"),
    ]
}

fn sdk_counter(watch: &mut Stopwatch, threads: u64) {
    let otel = Otel::new();
    let counter = otel.meter().u64_counter("uploads").build();
    on(threads, watch, |_| counter.add(1, &attributes()));
    otel.check(COUNTS, watch);
}

fn bound_counter(watch: &mut Stopwatch, threads: u64) {
    let otel = Otel::new();
    let counter = otel.meter().u64_counter("uploads").build();
    let bound = counter.bind(&attributes());
    on(threads, watch, |_| black_box(&bound).add(1));
    otel.check(COUNTS, watch);
}

fn on(threads: u64, watch: &mut Stopwatch, operation: impl Fn(u64) + Sync) {
    if threads == 2 {
        watch.repeat_together(WARM_UP, |times| (0..times).for_each(&operation));
    } else {
        watch.repeat(WARM_UP, operation);
    }
}

fn counter_handle(watch: &mut Stopwatch) {
    let (prometheus, recorder) = Prometheus::new();
    let counter = recorder.register_counter(&key("uploads"), &METADATA);
    watch.repeat(WARM_UP, |_| black_box(&counter).increment(1));
    prometheus.check(COUNTS, watch);
}

fn histogram_handle(watch: &mut Stopwatch) {
    let (prometheus, recorder) = Prometheus::new();
    let histogram = recorder.register_histogram(&key("sizes"), &METADATA);
    watch.repeat(WARM_UP, |_| black_box(&histogram).record(17));
    prometheus.check(OBSERVES, watch);
}

const METADATA: metrics::Metadata<'static> =
    metrics::Metadata::new("bench", metrics::Level::INFO, None);

fn key(name: &'static str) -> metrics::Key {
    let labels = [("region", "eu"), ("kind", "image")];
    metrics::Key::from_parts(name, labels.as_slice())
}
