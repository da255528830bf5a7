//! The OpenTelemetry SDK drops what is measured after its provider was shut down, without
//! a word. That is a problem; a provider that was shut down last is none.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/reader.rs"]
mod reader;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread::scope;

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{
    Aggregation, InMemoryMetricExporter, Instrument, SdkMeterProvider, Stream,
};
use reader::CustomReader;
use support::under;
use tracing::field::Empty;
use tracing::{Dispatch, dispatcher, info, info_span};
use tracing_meter::{Handle, Labels, MemorySink, MeterHandle, OtelSink, Reason, Sink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

type Measure = fn(u32);

/// Each measures one series of its metric, so many times.
const MEASURES: [(&str, Measure); 6] = [
    ("counts", |times| {
        (0..times).for_each(|_| info!(monotonic_counter.counts = 1));
    }),
    ("fractions", |times| {
        (0..times).for_each(|_| info!(monotonic_counter.fractions = 0.5));
    }),
    ("levels", |times| {
        (0..times).for_each(|_| info!(counter.levels = 1));
    }),
    ("gauges", |times| {
        (0..times).for_each(|_| info!(gauge.gauges = 1));
    }),
    ("samples", |times| {
        (0..times).for_each(|_| info!(histogram.samples = 1));
    }),
    ("spans", |times| {
        (0..times).for_each(|_| drop(info_span!("span", duration.spans = Empty)));
    }),
];

fn pushing() -> SdkMeterProvider {
    let exporter = InMemoryMetricExporter::default();
    SdkMeterProvider::builder()
        .with_periodic_exporter(exporter)
        .build()
}

fn pulled() -> (SdkMeterProvider, CustomReader) {
    let reader = CustomReader::default();
    let provider = SdkMeterProvider::builder().with_reader(reader.clone());
    (provider.build(), reader)
}

fn measuring(providers: &[&SdkMeterProvider]) -> (Dispatch, MeterHandle) {
    let mut builder = tracing_meter::builder();
    for provider in providers {
        builder = builder.sink(OtelSink::new((*provider).clone()));
    }
    let layer = builder.build().unwrap();
    let handle = layer.handle();
    (Dispatch::new(Registry::default().with(layer)), handle)
}

/// The details of what is listed, which is one reason only.
fn listed(handle: &MeterHandle) -> Vec<String> {
    let problems = handle.problems();
    assert!(problems.iter().all(|p| p.reason() == Reason::ShutDown));
    problems.iter().map(|p| p.detail().to_owned()).collect()
}

#[test]
fn a_single_measurement_after_the_shutdown_is_listed_and_none_before_it() {
    for (metric, measure) in MEASURES {
        // New, warm, hot, and with rings that have just been emptied.
        for (before, after) in [(0, 1), (1, 1), (40, 1), (2_000, 1), (2_000, 33)] {
            let provider = pushing();
            let (subscriber, handle) = measuring(&[&provider]);
            dispatcher::with_default(&subscriber, || {
                measure(before);
                provider.force_flush().unwrap();
                measure(before);
                assert_eq!(listed(&handle), [""; 0]);
                provider.shutdown().unwrap();
                assert_eq!(listed(&handle), [""; 0], "{before} {metric}");
                measure(after);
                let listed = listed(&handle);
                assert_eq!(listed.len(), 1, "{before} {metric}, {after} after");
                assert!(listed[0].contains(&format!("`{metric}`")), "{listed:?}");
            });
        }
    }
}

#[test]
fn the_problem_names_the_cure() {
    let provider = pushing();
    let (subscriber, handle) = measuring(&[&provider]);
    provider.shutdown().unwrap();
    dispatcher::with_default(&subscriber, || info!(monotonic_counter.n = 1));
    assert_eq!(
        handle.problems()[0].to_string(),
        "tracing_meter: *: shut_down: a sink was shut down, and `n` was measured after its \
         last collection, which is lost there: shut the meter provider down last, when nothing is measured any more, and keep \
         the guard of `setup` in a variable of `main`"
    );
}

#[test]
fn what_ends_after_the_shutdown_is_listed() {
    let provider = pushing();
    let (subscriber, handle) = measuring(&[&provider]);
    dispatcher::with_default(&subscriber, || {
        let main = info_span!("main", in_flight.programs = Empty);
        provider.shutdown().unwrap();
        assert_eq!(listed(&handle), [""; 0]);
        drop(main);
        assert_eq!(listed(&handle).len(), 1);
    });
}

#[test]
fn what_other_threads_measure_after_the_shutdown_is_listed() {
    for (metric, measure) in MEASURES {
        let provider = pushing();
        let (subscriber, handle) = measuring(&[&provider]);
        let (is_hot, hot) = channel();
        let (is_shut_down, wait) = channel();
        scope(|scope| {
            let (subscriber, provider) = (&subscriber, &provider);
            scope.spawn(move || {
                dispatcher::with_default(subscriber, || {
                    measure(2_000);
                    provider.force_flush().unwrap();
                    measure(2_000);
                    is_hot.send(()).unwrap();
                    wait.recv().unwrap();
                    measure(1);
                });
            });
            hot.recv().unwrap();
            provider.shutdown().unwrap();
            let listed = listed(&handle);
            is_shut_down.send(()).unwrap();
            assert_eq!(listed, [""; 0], "{metric}");
        });
        assert_eq!(listed(&handle).len(), 1, "{metric}");
    }
}

#[test]
fn what_a_reader_that_is_pulled_has_not_collected_is_listed() {
    for (metric, measure) in MEASURES {
        for times in [1, 40, 2_000] {
            let (provider, reader) = pulled();
            let (subscriber, handle) = measuring(&[&provider]);
            dispatcher::with_default(&subscriber, || {
                measure(times);
                reader.collect_now();
                measure(times);
            });
            provider.shutdown().unwrap();
            assert_eq!(listed(&handle).len(), 1, "{times} {metric}");

            let (provider, reader) = pulled();
            let (subscriber, handle) = measuring(&[&provider]);
            dispatcher::with_default(&subscriber, || measure(times));
            reader.collect_now();
            provider.shutdown().unwrap();
            assert_eq!(listed(&handle), [""; 0], "{times} {metric}");
        }
    }
}

#[test]
fn another_provider_that_still_collects_hides_nothing() {
    for (metric, measure) in MEASURES {
        for times in [1, 40, 2_000] {
            let (stays, reader) = pulled();
            let ends = pushing();
            let (subscriber, handle) = measuring(&[&stays, &ends]);
            dispatcher::with_default(&subscriber, || {
                measure(times);
                ends.force_flush().unwrap();
                reader.collect_now();
                measure(times);
                reader.collect_now();
                ends.shutdown().unwrap();
                reader.collect_now();
                assert_eq!(listed(&handle), [""; 0], "{times} {metric}");
                measure(1);
                reader.collect_now();
            });
            assert_eq!(listed(&handle).len(), 1, "{times} {metric}");
        }
    }
}

#[test]
fn a_provider_that_was_shut_down_before_there_was_a_layer_is_listed() {
    let provider = pushing();
    provider.shutdown().unwrap();
    let (subscriber, handle) = measuring(&[&provider]);
    dispatcher::with_default(&subscriber, || {
        assert_eq!(listed(&handle), [""; 0]);
        info!(monotonic_counter.n = 1);
        assert_eq!(listed(&handle).len(), 1);
    });
}

#[test]
fn a_layer_that_has_measured_nothing_is_not_listed() {
    let provider = pushing();
    let (subscriber, handle) = measuring(&[&provider]);
    provider.shutdown().unwrap();
    dispatcher::with_default(&subscriber, || info!("not measured"));
    assert_eq!(listed(&handle), [""; 0]);
}

/// A view that drops what the sink would be told by, as it drops everything else.
fn only_n() -> SdkMeterProvider {
    let view = |instrument: &Instrument| {
        let drop = Stream::builder().with_aggregation(Aggregation::Drop);
        (instrument.name() != "n").then(|| drop.build().unwrap())
    };
    let exporter = InMemoryMetricExporter::default();
    let builder = SdkMeterProvider::builder().with_periodic_exporter(exporter);
    builder.with_view(view).build()
}

#[test]
fn where_collections_are_not_seen_whatever_was_measured_may_be_lost() {
    for measured in [false, true] {
        let provider = only_n();
        let (subscriber, handle) = measuring(&[&provider]);
        dispatcher::with_default(&subscriber, || {
            if measured {
                info!(monotonic_counter.n = 1);
            }
        });
        provider.shutdown().unwrap();
        assert_eq!(listed(&handle).len(), usize::from(measured));
    }
}

/// A sink of a program.
struct Ended(bool);

impl Sink for Ended {
    fn series(&self, instrument: &tracing_meter::Instrument, labels: &Labels) -> Arc<dyn Handle> {
        MemorySink::new().series(instrument, labels)
    }

    fn is_shut_down(&self) -> bool {
        assert!(self.0, "a bad sink");
        true
    }
}

#[test]
fn a_sink_of_a_program_may_say_that_it_is_shut_down() {
    for says_so in [true, false] {
        let builder = tracing_meter::builder().sink(MemorySink::new());
        let layer = builder.sink(Ended(says_so)).build().unwrap();
        let handle = layer.handle();
        under(Registry::default().with(layer), || {
            info!(monotonic_counter.n = 1);
        });
        assert_eq!(listed(&handle).len(), usize::from(says_so));
    }
}

#[test]
fn a_collection_under_way_is_not_waited_for() {
    let (provider, reader) = pulled();
    let (subscriber, handle) = measuring(&[&provider]);
    let (seen, asked) = (Arc::new(AtomicU32::new(0)), handle.clone());
    let counted = Arc::clone(&seen);
    provider
        .meter("the.program")
        .f64_observable_gauge("problems")
        .with_callback(move |_| {
            // Its lock is held by this very thread.
            assert_eq!(listed(&asked), [""; 0]);
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .build();
    dispatcher::with_default(&subscriber, || info!(monotonic_counter.n = 1));
    reader.collect_now();
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}
