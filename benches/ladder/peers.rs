//! The peers, each as a good user would set it up.

use std::time::Instant;

use metrics::{counter, gauge, histogram};
use metrics_tracing_context::TracingContextLayer;
use metrics_util::layers::Layer as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_meter::propagation;
use tracing_opentelemetry::{MetricsLayer, OpenTelemetryLayer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::run::exporters::{Otel, Prometheus};
use crate::run::harness::Stopwatch;
use crate::run::layers::{CountedSpans, HandWritten, NoOp};
use crate::run::operations::{Arrives, Operation, plain_span};
use crate::run::stacks::under;

/// What is over OpenTelemetry's default limit ends in one series.
pub(crate) fn metrics_layer(operation: &Operation, watch: &mut Stopwatch) {
    with_metrics_layer(Registry::default(), &Otel::new(), operation, watch);
}

pub(crate) fn metrics_layer_with_room(operation: &Operation, watch: &mut Stopwatch) {
    let otel = Otel::with_room_for(operation.series);
    with_metrics_layer(Registry::default(), &otel, operation, watch);
}

pub(crate) fn no_op_and_metrics_layer(operation: &Operation, watch: &mut Stopwatch) {
    let registry = Registry::default().with(NoOp);
    with_metrics_layer(registry, &Otel::new(), operation, watch);
}

fn with_metrics_layer<S>(subscriber: S, otel: &Otel, operation: &Operation, watch: &mut Stopwatch)
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
{
    let layer = MetricsLayer::new(otel.provider.clone());
    under(subscriber.with(layer), operation, watch);
    otel.check(operation.arrives, watch);
}

/// Exports each span at once, to a counter.
pub(crate) fn opentelemetry_layer(operation: &Operation, watch: &mut Stopwatch) {
    with_opentelemetry_layer(|layer| layer, operation, watch);
}

/// The same, around which ours looks for messages.
pub(crate) fn opentelemetry_layer_and_ours(operation: &Operation, watch: &mut Stopwatch) {
    with_opentelemetry_layer(propagation::layer, operation, watch);
}

fn with_opentelemetry_layer<L>(
    wrap: fn(OpenTelemetryLayer<Registry, SdkTracer>) -> L,
    operation: &Operation,
    watch: &mut Stopwatch,
) where
    L: Layer<Registry> + Send + Sync + 'static,
{
    let spans = CountedSpans::default();
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_simple_exporter(spans.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    under(Registry::default().with(wrap(layer)), operation, watch);
    if let Some(times) = watch.counted() {
        assert_eq!(spans.count() as u64, times, "spans are missing");
    }
}

pub(crate) fn hand_written(operation: &Operation, watch: &mut Stopwatch) {
    let (prometheus, recorder) = Prometheus::new();
    let layer = HandWritten::new(&recorder);
    under(Registry::default().with(layer), operation, watch);
    prometheus.check(&[("job", Arrives::EachTime)], watch);
}

/// A span that nobody measures, and the calls of the SDK around it.
pub(crate) fn manual_sdk(operation: &Operation, watch: &mut Stopwatch) {
    let otel = Otel::new();
    let meter = otel.meter();
    let calls = meter.u64_counter("job_calls").build();
    let in_flight = meter.i64_up_down_counter("jobs").build();
    let duration = meter.f64_histogram("job").with_unit("s").build();
    let job = |_| {
        let labels = [
            KeyValue::new("queue", "low"),
            KeyValue::new("kind", "image"),
        ];
        let opened = Instant::now();
        in_flight.add(1, &labels);
        drop(plain_span().entered());
        in_flight.add(-1, &labels);
        duration.record(opened.elapsed().as_secs_f64(), &labels);
        calls.add(1, &labels);
    };
    tracing::subscriber::with_default(Registry::default().with(NoOp), || {
        watch.repeat(operation.warm_up, job);
    });
    otel.check(operation.arrives, watch);
}

/// The same with the facade's macros.
pub(crate) fn manual_macros(operation: &Operation, watch: &mut Stopwatch) {
    let (prometheus, recorder) = Prometheus::new();
    let job = |_| {
        let opened = Instant::now();
        gauge!("jobs", "queue" => "low", "kind" => "image").increment(1);
        drop(plain_span().entered());
        gauge!("jobs", "queue" => "low", "kind" => "image").decrement(1);
        let seconds = opened.elapsed().as_secs_f64();
        histogram!("job_seconds", "queue" => "low", "kind" => "image").record(seconds);
        counter!("job_calls", "queue" => "low", "kind" => "image").increment(1);
    };
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(Registry::default().with(NoOp), || {
            watch.repeat(operation.warm_up, job);
        });
    });
    prometheus.check(operation.arrives, watch);
}

/// Macros of the facade, which look their series up each time, without a subscriber.
pub(crate) fn metrics_macro(operation: &Operation, watch: &mut Stopwatch) {
    let (prometheus, recorder) = Prometheus::new();
    metrics::with_local_recorder(&recorder, || operation.repeat(watch));
    prometheus.check(operation.arrives, watch);
}

/// Macros of the facade that take the labels of the span around.
pub(crate) fn metrics_tracing_context(operation: &Operation, watch: &mut Stopwatch) {
    let (prometheus, recorder) = Prometheus::new();
    let recorder = TracingContextLayer::all().layer(recorder);
    let layer = metrics_tracing_context::MetricsLayer::new();
    metrics::with_local_recorder(&recorder, || {
        under(Registry::default().with(layer), operation, watch);
    });
    prometheus.check(operation.arrives, watch);
}
