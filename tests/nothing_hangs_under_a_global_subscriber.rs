//! Only a global subscriber is reached from inside a callback. The SDK logs
//! through `tracing` while it holds its locks, and so may any sink.
#![cfg(feature = "otel")]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use tracing::field::Empty;
use tracing::{Span, info, info_span};
use tracing_meter::{Handle, Instrument, Labels, MemorySink, OtelSink, Problem, Reason, Sink};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// A sink that measures while it is measured.
struct Chatty;

impl Sink for Chatty {
    fn series(&self, _: &Instrument, _: &Labels) -> Arc<dyn Handle> {
        info!(monotonic_counter.nested = 1);
        Arc::new(Self)
    }
}

impl Handle for Chatty {
    fn record(&self, _: f64) {
        info!(monotonic_counter.nested = 1);
        drop(info_span!("nested", in_flight.nested_jobs = Empty));
        Span::current().record("monotonic_counter.late", 1);
        drop(KEPT.take());
    }
}

thread_local! {
    /// The last handle of a measured span, which the sink lets go of.
    static KEPT: Cell<Option<Span>> = const { Cell::new(None) };
}

fn use_every_kind_for_the_first_time(worker: u64) {
    info!(
        monotonic_counter.counter = 1,
        counter.up_down = -1,
        gauge.gauge = 1.5,
        histogram.histogram = 1,
        increase.rise = 1,
        worker,
    );
    let span = info_span!(
        "job",
        started.begun = Empty,
        calls.done = Empty,
        in_flight.jobs = Empty,
        duration.job = Empty,
        label.worker = worker,
    );
    drop(span.entered());
    info_span!("late", monotonic_counter.late = Empty).in_scope(|| {
        Span::current().record("monotonic_counter.late", 1);
    });
    KEPT.set(Some(info_span!("kept", in_flight.kept = Empty)));
    // Lets the sink drop it, and then what it owes is given back.
    info!(monotonic_counter.counter = 0, worker);
    drop(info_span!("next", calls.next = Empty));
}

#[test]
fn nothing_hangs_and_what_a_sink_emits_itself_is_counted_but_not_measured() {
    let global = SdkMeterProvider::builder()
        .with_reader(ManualReader::builder().build())
        .build();
    opentelemetry::global::set_meter_provider(global);
    let provider = SdkMeterProvider::builder()
        .with_reader(ManualReader::builder().build())
        .build();
    let memory = MemorySink::new();
    let layer = tracing_meter::builder()
        .sink(OtelSink::new(provider))
        .sink(OtelSink::new(Global))
        .sink(Chatty)
        .sink(memory.clone())
        .build()
        .unwrap();
    let handle = layer.handle();
    let fmt = tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(EnvFilter::new("trace"));
    tracing::subscriber::set_global_default(Registry::default().with(fmt).with(layer)).unwrap();

    let (done, all_done) = mpsc::channel();
    for worker in 0..4 {
        let done = done.clone();
        std::thread::spawn(move || {
            for _ in 0..50 {
                use_every_kind_for_the_first_time(worker);
            }
            done.send(()).unwrap();
        });
    }
    for _ in 0..4 {
        let finished = all_done.recv_timeout(Duration::from_secs(60));
        assert!(finished.is_ok(), "a worker hangs");
    }

    let snapshot = memory.snapshot();
    for worker in ["0", "1", "2", "3"] {
        assert_eq!(snapshot.value("counter", &[("worker", worker)]), Some(50.0));
        assert_eq!(snapshot.value("jobs", &[("worker", worker)]), Some(0.0));
    }
    assert_eq!(snapshot.value("late", &[]), Some(200.0));
    assert_eq!(snapshot.value("kept", &[]), Some(0.0));
    assert_eq!(snapshot.samples("kept", &[]).len(), 400);
    assert_eq!(snapshot.label_sets("nested").count(), 0);
    assert_eq!(snapshot.label_sets("nested_jobs").count(), 0);
    let problems = handle.problems();
    let reentrant = problems.iter().filter(|p| p.reason() == Reason::Reentrant);
    assert!(reentrant.map(Problem::count).sum::<u64>() > 0);
}

/// The global meter provider, which logs when it is asked for a meter.
struct Global;

impl opentelemetry::metrics::MeterProvider for Global {
    fn meter_with_scope(
        &self,
        scope: opentelemetry::InstrumentationScope,
    ) -> opentelemetry::metrics::Meter {
        opentelemetry::global::meter_with_scope(scope)
    }
}
