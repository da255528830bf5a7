//! Where a subscriber might hear the SDK, new series are bound on another thread. Interest
//! in a callsite is that of the whole process, which is this one's.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/exporters.rs"]
mod exporters;

use std::sync::atomic::{AtomicI32, Ordering};

use exporters::{CustomReader, points};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tracing::dispatcher::with_default;
use tracing::{Dispatch, Subscriber, info};
use tracing_meter::OtelSink;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::prelude::*;

/// A layer that wants everything, as `fmt` at DEBUG does.
struct Everything;

impl<S: Subscriber> Layer<S> for Everything {}

/// A provider with its reader, and a subscriber that would hear the SDK.
fn hearing() -> (SdkMeterProvider, CustomReader, Dispatch) {
    let reader = CustomReader::default();
    let provider = SdkMeterProvider::builder().with_reader(reader.clone());
    let provider = provider.build();
    let sink = OtelSink::new(provider.clone());
    let layer = tracing_meter::builder().own_metrics(false).sink(sink);
    let subscriber = tracing_subscriber::registry()
        .with(layer.build().unwrap())
        .with(Everything);
    (provider, reader, Dispatch::new(subscriber))
}

#[test]
fn a_new_series_is_in_the_next_collection_that_follows() {
    let (_provider, reader, subscriber) = hearing();
    with_default(&subscriber, || {
        for n in 0..500_i32 {
            info!(
                monotonic_counter.uploads = 1,
                gauge.level = n,
                histogram.size = n,
                n
            );
            info!(gauge.level = n + 1, n);
            let collecting = reader.clone();
            let collected = std::thread::spawn(move || points(&collecting.collect_now()));
            let collected = collected.join().unwrap();
            let series = |name: &str| collected.get(&format!("{name}{{\"n\": \"{n}\"}}"));
            assert_eq!(series("uploads"), Some(&1.0), "{n}");
            assert_eq!(series("level"), Some(&f64::from(n + 1)), "{n}");
            assert_eq!(series("size"), Some(&f64::from(n)), "{n}");
        }
    });
}

#[test]
fn a_new_series_in_a_callback_is_in_that_collection() {
    let (provider, reader, subscriber) = hearing();
    let upload = |n: i32| info!(monotonic_counter.uploads = 1, n);
    with_default(&subscriber, || upload(-1));
    let next = AtomicI32::new(0);
    let measure = move || upload(next.fetch_add(1, Ordering::SeqCst));
    provider
        .meter("the.program")
        .f64_observable_gauge("the.program.gauge")
        .with_callback(move |_| with_default(&subscriber, &measure))
        .build();
    for n in 0..100 {
        let collected = points(&reader.collect_now());
        let series = format!("uploads{{\"n\": \"{n}\"}}");
        assert_eq!(collected.get(&series), Some(&1.0), "{n}");
    }
}
