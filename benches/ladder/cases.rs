//! The cases: ours, the peers, and what lies below both.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use tracing::field::Empty;
use tracing::span::{Attributes, Id};
use tracing::{Subscriber, debug, debug_span, info, info_span};
use tracing_meter::{Boundaries, FacadeSink, MeterLayer, OtelSink};
use tracing_opentelemetry::MetricsLayer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry};

use crate::harness::{Case, Stopwatch};

/// Every case of the ladder.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    add_headlines(&mut cases);
    add_breadth(&mut cases);
    add_bystanders_and_spans(&mut cases);
    cases
}

/// One event, by what it costs elsewhere.
fn add_headlines(cases: &mut Vec<Case>) {
    let mut case = |name, run| cases.push(Case { name, run });
    case("call/atomic_add", atomic_add);
    case("call/sdk_counter_2", sdk_counter);
    case("call/sdk_counter_2_bound", sdk_counter_bound);
    case("event/no_subscriber", |watch| watch.repeat(|_| counter_2()));
    case("event/counter_2/metrics_layer", |watch| {
        under_metrics_layer(watch, |_| counter_2());
    });
    case("event/counter_2/ours", |watch| {
        under_ours(watch, |_| counter_2());
    });
    case("event/counter_2/ours_facade", |watch| {
        under_facade(watch, |_| counter_2());
    });
    case("event/histogram_2/metrics_layer", |watch| {
        under_metrics_layer(watch, |_| histogram_2());
    });
    case("event/histogram_2/ours", |watch| {
        under_ours(watch, |_| histogram_2());
    });
    case("event/three/metrics_layer", |watch| {
        under_metrics_layer(watch, |_| three());
    });
    case("event/three/ours", |watch| under_ours(watch, |_| three()));
}

/// More and fewer labels, series and threads.
fn add_breadth(cases: &mut Vec<Case>) {
    let mut case = |name, run| cases.push(Case { name, run });
    case("event/counter_0/metrics_layer", |watch| {
        under_metrics_layer(watch, |_| counter_0());
    });
    case("event/counter_0/ours", |watch| {
        under_ours(watch, |_| counter_0());
    });
    case("event/counter_5/metrics_layer", |watch| {
        under_metrics_layer(watch, |_| counter_5());
    });
    case("event/counter_5/ours", |watch| {
        under_ours(watch, |_| counter_5());
    });
    case("event/gauge_2/metrics_layer", |watch| {
        under_metrics_layer(watch, |_| gauge_2());
    });
    case("event/gauge_2/ours", |watch| {
        under_ours(watch, |_| gauge_2());
    });
    case("event/rotating_64/metrics_layer", |watch| {
        under_metrics_layer(watch, |n| rotating(n % 64));
    });
    case("event/rotating_64/ours", |watch| {
        under_ours(watch, |n| rotating(n % 64));
    });
    case("event/series_10k/metrics_layer", |watch| {
        let layer = MetricsLayer::new(provider());
        among_10k_series(Registry::default().with(layer), watch);
    });
    case("event/series_10k/ours", |watch| {
        let builder = tracing_meter::builder().series_limit(20_000);
        let layer = builder.sink(collected_sink()).build().unwrap();
        among_10k_series(Registry::default().with(layer), watch);
    });
    case("event/two_threads/metrics_layer", |watch| {
        let layer = MetricsLayer::new(provider());
        on_two_threads(Registry::default().with(layer), watch);
    });
    case("event/two_threads/ours", |watch| {
        on_two_threads(Registry::default().with(ours()), watch);
    });
}

/// What others pay, and spans.
fn add_bystanders_and_spans(cases: &mut Vec<Case>) {
    let mut case = |name, run| cases.push(Case { name, run });
    case("event/ordinary/no_op", |watch| {
        under(Registry::default().with(NoOp), watch, |_| ordinary());
    });
    case("event/ordinary/metrics_layer", |watch| {
        let layer = MetricsLayer::new(provider());
        under(Registry::default().with(NoOp).with(layer), watch, |_| {
            ordinary();
        });
    });
    case("event/ordinary/ours", |watch| {
        under(Registry::default().with(NoOp).with(ours()), watch, |_| {
            ordinary();
        });
    });
    case("event/disabled/fmt", |watch| {
        under(Registry::default().with(fmt()), watch, |_| disabled());
    });
    case("event/disabled/fmt_and_ours", |watch| {
        under(Registry::default().with(fmt()).with(ours()), watch, |_| {
            disabled();
        });
    });
    case("span/disabled/fmt", |watch| {
        under(Registry::default().with(fmt()), watch, |_| disabled_span());
    });
    case("span/disabled/fmt_and_ours", |watch| {
        under(Registry::default().with(fmt()).with(ours()), watch, |_| {
            disabled_span();
        });
    });
    case("span/ordinary/no_op", |watch| {
        under(Registry::default().with(NoOp), watch, |_| ordinary_span());
    });
    case("span/ordinary/ours", |watch| {
        under(Registry::default().with(NoOp).with(ours()), watch, |_| {
            ordinary_span();
        });
    });
    case("span/measured/no_op", |watch| {
        under(Registry::default().with(NoOp), watch, |_| measured_span());
    });
    case("span/measured/ours", |watch| {
        under_ours(watch, |_| measured_span());
    });
    case("span/measured/ours_facade", |watch| {
        under_facade(watch, |_| measured_span());
    });
    case("span/measured/hand_written", |watch| {
        let recorder = Boundaries::new()
            .prometheus_builder()
            .unwrap()
            .build_recorder();
        let layer = HandWritten::new(&recorder);
        under(Registry::default().with(layer), watch, |_| {
            hand_measured_span();
        });
    });
}

fn counter_2() {
    info!(
        monotonic_counter.uploads = 1_u64,
        region = "eu",
        kind = "image"
    );
}

fn counter_0() {
    info!(monotonic_counter.uploads = 1_u64);
}

fn counter_5() {
    info!(
        monotonic_counter.uploads = 1_u64,
        region = "eu",
        kind = "image",
        cached = true,
        attempt = 3,
        owner = %"me",
    );
}

fn gauge_2() {
    info!(gauge.free = 12.5, region = "eu", kind = "image");
}

fn rotating(id: u64) {
    info!(monotonic_counter.uploads = 1_u64, region = "eu", id);
}

/// Each of them is known before the watch starts.
fn among_10k_series(subscriber: impl Subscriber + Send + Sync + 'static, watch: &mut Stopwatch) {
    tracing::subscriber::with_default(subscriber, || {
        (0..10_000).for_each(rotating);
        watch.repeat(|n| rotating(scattered(n) % 10_000));
    });
}

/// Numbers in an order that no cache foresees.
fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

fn histogram_2() {
    info!(histogram.sizes = 17_u64, region = "eu", kind = "image");
}

fn three() {
    info!(
        monotonic_counter.uploads = 1_u64,
        histogram.sizes = 17_u64,
        gauge.free = 12_u64,
        region = "eu",
        kind = "image"
    );
}

fn ordinary() {
    info!(user = "me", "something happened");
}

fn disabled() {
    debug!(user = "me", "nobody wants to know");
}

fn disabled_span() {
    drop(debug_span!("quiet", user = "me").entered());
}

fn ordinary_span() {
    drop(info_span!("work", user = "me").entered());
}

fn measured_span() {
    let span = info_span!(
        "job",
        calls.job_calls = Empty,
        in_flight.jobs = Empty,
        duration.job = Empty,
        label.queue = "low",
        label.kind = "image",
    );
    drop(span.entered());
}

fn hand_measured_span() {
    drop(info_span!("job", queue = "low", kind = "image").entered());
}

fn atomic_add(watch: &mut Stopwatch) {
    let count = std::sync::atomic::AtomicU64::new(0);
    watch.repeat(|_| {
        black_box(&count).fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
}

fn sdk_counter(watch: &mut Stopwatch) {
    let provider = provider();
    let counter = provider.meter("bench").u64_counter("uploads").build();
    watch.repeat(|_| {
        counter.add(
            1,
            &[
                KeyValue::new("region", "eu"),
                KeyValue::new("kind", "image"),
            ],
        );
    });
}

fn sdk_counter_bound(watch: &mut Stopwatch) {
    let provider = provider();
    let counter = provider.meter("bench").u64_counter("uploads").build();
    let bound = counter.bind(&[
        KeyValue::new("region", "eu"),
        KeyValue::new("kind", "image"),
    ]);
    watch.repeat(|_| black_box(&bound).add(1));
}

fn provider() -> SdkMeterProvider {
    SdkMeterProvider::builder()
        .with_periodic_exporter(InMemoryMetricExporter::default())
        .build()
}

fn ours<S>() -> MeterLayer<S> {
    let builder = tracing_meter::builder().sink(collected_sink());
    builder.build().unwrap()
}

/// As it is once a reader has collected for the first time.
fn collected_sink() -> OtelSink {
    let provider = provider();
    let sink = OtelSink::new(provider.clone());
    provider.force_flush().unwrap();
    sink
}

/// One hot series: the time of an event while both threads count.
fn on_two_threads(subscriber: impl Subscriber + Send + Sync + 'static, watch: &mut Stopwatch) {
    const TIMES: u64 = 100_000;
    let dispatch = tracing::Dispatch::new(subscriber);
    let together = Barrier::new(2);
    let count = || {
        tracing::dispatcher::with_default(&dispatch, || {
            (0..1_000).for_each(|_| counter_2());
            together.wait();
            let start = Instant::now();
            (0..TIMES).for_each(|_| counter_2());
            start.elapsed()
        })
    };
    let time = std::thread::scope(|scope| {
        let other = scope.spawn(count);
        count().max(other.join().unwrap())
    });
    watch.set(time, TIMES, 0);
}

fn under_ours(watch: &mut Stopwatch, operation: impl FnMut(u64)) {
    under(Registry::default().with(ours()), watch, operation);
}

fn under_facade(watch: &mut Stopwatch, operation: impl FnMut(u64)) {
    let recorder = Boundaries::new()
        .prometheus_builder()
        .unwrap()
        .build_recorder();
    let builder = tracing_meter::builder().sink(FacadeSink::new(recorder));
    under(
        Registry::default().with(builder.build().unwrap()),
        watch,
        operation,
    );
}

fn under_metrics_layer(watch: &mut Stopwatch, operation: impl FnMut(u64)) {
    let layer = MetricsLayer::new(provider());
    under(Registry::default().with(layer), watch, operation);
}

fn under(
    subscriber: impl Subscriber + Send + Sync + 'static,
    watch: &mut Stopwatch,
    operation: impl FnMut(u64),
) {
    tracing::subscriber::with_default(subscriber, || watch.repeat(operation));
}

fn fmt<S>() -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let _ = LevelFilter::INFO;
    tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(EnvFilter::new("info"))
}

/// Wants everything and does nothing.
struct NoOp;

impl<S: Subscriber> Layer<S> for NoOp {}

/// What somebody would write without this crate: the time of every span into one
/// Prometheus histogram.
struct HandWritten(metrics::Histogram);

impl HandWritten {
    fn new(recorder: &impl metrics::Recorder) -> Self {
        let labels = vec![
            metrics::Label::new("queue", "low"),
            metrics::Label::new("kind", "image"),
        ];
        let key = metrics::Key::from_parts("job_seconds", labels);
        let metadata = metrics::Metadata::new("bench", metrics::Level::INFO, None);
        Self(recorder.register_histogram(&key, &metadata))
    }
}

struct Opened(Instant);

impl<S> Layer<S> for HandWritten
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(Opened(Instant::now()));
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(&id)
            && let Some(Opened(at)) = span.extensions().get()
        {
            self.0.record(at.elapsed().as_secs_f64());
        }
    }
}
