//! The subscribers under which an operation is measured: ours, and what is below.

use tracing::{Dispatch, Subscriber, dispatcher};
use tracing_meter::{FacadeSink, MeterLayerBuilder, SemanticConventions, SpanMetrics};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::run::exporters::{DEFAULT_LIMIT, Otel, Prometheus};
use crate::run::harness::Stopwatch;
use crate::run::layers::{NoOp, fmt};
use crate::run::operations::Operation;

/// Builds a subscriber, measures an operation under it, and asserts that what was to
/// arrive did.
pub(crate) type Stack = fn(&Operation, &mut Stopwatch);

pub(crate) fn no_subscriber(operation: &Operation, watch: &mut Stopwatch) {
    // What the subscriber before was interested in is remembered until somebody asks.
    tracing::callsite::rebuild_interest_cache();
    watch.repeat(operation.warm_up, operation.run);
}

/// For events only: it would keep spans for ever.
pub(crate) fn registry(operation: &Operation, watch: &mut Stopwatch) {
    under(Registry::default(), operation, watch);
}

pub(crate) fn no_op(operation: &Operation, watch: &mut Stopwatch) {
    under(Registry::default().with(NoOp), operation, watch);
}

pub(crate) fn fmt_alone(operation: &Operation, watch: &mut Stopwatch) {
    under(Registry::default().with(fmt()), operation, watch);
}

/// Through the OpenTelemetry sink.
pub(crate) fn ours(operation: &Operation, watch: &mut Stopwatch) {
    with_ours(Registry::default(), builder(operation), operation, watch);
}

pub(crate) fn no_op_and_ours(operation: &Operation, watch: &mut Stopwatch) {
    let registry = Registry::default().with(NoOp);
    with_ours(registry, builder(operation), operation, watch);
}

pub(crate) fn fmt_and_ours(operation: &Operation, watch: &mut Stopwatch) {
    let registry = Registry::default().with(fmt());
    with_ours(registry, builder(operation), operation, watch);
}

/// With the labels of the span around.
/// With requests measured by the semantic conventions.
pub(crate) fn ours_semantic(operation: &Operation, watch: &mut Stopwatch) {
    let builder = builder(operation).convention(SemanticConventions::new());
    with_ours(Registry::default(), builder, operation, watch);
}

/// With all spans of this program measured.
pub(crate) fn ours_by_directive(operation: &Operation, watch: &mut Stopwatch) {
    let spans = SpanMetrics::new("ladder=trace").expect("it is a directive");
    let builder = builder(operation).convention(spans);
    with_ours(Registry::default(), builder, operation, watch);
}

pub(crate) fn ours_inheriting(operation: &Operation, watch: &mut Stopwatch) {
    with_ours(Registry::default(), inheriting(operation), operation, watch);
}

pub(crate) fn no_op_and_ours_inheriting(operation: &Operation, watch: &mut Stopwatch) {
    let registry = Registry::default().with(NoOp);
    with_ours(registry, inheriting(operation), operation, watch);
}

/// Where the series of an operation are more than one is allowed.
pub(crate) fn ours_limited_to_one(operation: &Operation, watch: &mut Stopwatch) {
    let builder = builder(operation).series_limit(1);
    with_ours(Registry::default(), builder, operation, watch);
}

/// As a program has it that wants nothing below `info`.
pub(crate) fn ours_at_info(operation: &Operation, watch: &mut Stopwatch) {
    let builder = builder(operation).directives("info");
    with_ours(Registry::default(), builder, operation, watch);
}

/// The same beside a layer that wants more.
pub(crate) fn debug_and_ours_at_info(operation: &Operation, watch: &mut Stopwatch) {
    let registry = Registry::default().with(NoOp.with_filter(LevelFilter::DEBUG));
    let builder = builder(operation).directives("info");
    with_ours(registry, builder, operation, watch);
}

fn with_ours<S>(
    subscriber: S,
    builder: MeterLayerBuilder,
    operation: &Operation,
    watch: &mut Stopwatch,
) where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
{
    let otel = Otel::with_room_for(operation.series);
    let layer = builder.sink(otel.sink()).build().expect("it is valid");
    otel.collect();
    under(subscriber.with(layer), operation, watch);
    otel.check(operation.arrives, watch);
}

/// Through the facade to the Prometheus exporter.
pub(crate) fn ours_facade(operation: &Operation, watch: &mut Stopwatch) {
    with_our_facade(builder(operation), operation, watch);
}

pub(crate) fn ours_facade_inheriting(operation: &Operation, watch: &mut Stopwatch) {
    with_our_facade(inheriting(operation), operation, watch);
}

fn with_our_facade(builder: MeterLayerBuilder, operation: &Operation, watch: &mut Stopwatch) {
    let (prometheus, recorder) = Prometheus::new();
    let layer = builder.sink(FacadeSink::new(recorder)).build();
    let layer = layer.expect("it is valid");
    under(Registry::default().with(layer), operation, watch);
    prometheus.check(operation.arrives, watch);
}

/// With room for all series of the operation.
pub(crate) fn builder(operation: &Operation) -> MeterLayerBuilder {
    let limit = usize::try_from(operation.series.max(DEFAULT_LIMIT));
    tracing_meter::builder().series_limit(limit.expect("it fits in memory"))
}

fn inheriting(operation: &Operation) -> MeterLayerBuilder {
    builder(operation).inherited_labels(["queue", "kind"])
}

/// Measures an operation while the subscriber is the only one alive.
pub(crate) fn under(
    subscriber: impl Subscriber + Send + Sync + 'static,
    operation: &Operation,
    watch: &mut Stopwatch,
) {
    let dispatch = Dispatch::new(subscriber);
    if operation.threads == 2 {
        return watch.repeat_together(operation.warm_up, |times| {
            dispatcher::with_default(&dispatch, || (0..times).for_each(operation.run));
        });
    }
    dispatcher::with_default(&dispatch, || {
        let _inside = (operation.inside)().entered();
        operation.repeat(watch);
    });
}
