//! What the SDK logs while the global subscriber is inside of an event or a span.
#![cfg(feature = "otel")]

#[path = "support/lines.rs"]
mod lines;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lines::Lines;
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use tracing::field::Empty;
use tracing::{Event, Subscriber, debug, info, info_span, warn};
use tracing_meter::OtelSink;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

/// A layer without a filter, beside which callsites are asked about each time.
#[derive(Clone, Default)]
struct Events(Arc<AtomicU32>);

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == module_path!() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn layers_with_filters_get_what_they_want_and_nothing_else() {
    let provider = SdkMeterProvider::builder()
        .with_reader(ManualReader::default())
        .build();
    let meter = tracing_meter::builder()
        .sink(OtelSink::new(provider))
        // More than the SDK has room for, which it says each time.
        .series_limit(3000)
        .build()
        .unwrap();
    let (events, lines) = (Events::default(), Lines::default());
    tracing_subscriber::registry()
        .with(meter)
        .with(events.clone())
        .with(
            tracing_subscriber::fmt::layer()
                .with_writer(lines.clone())
                .with_ansi(false)
                .without_time()
                .with_filter(LevelFilter::WARN),
        )
        .init();

    for round in 0..3 {
        let job = info_span!("job", in_flight.jobs = Empty, histogram.size = Empty, round);
        job.in_scope(|| info!(monotonic_counter.uploads = 1, round));
        job.record("histogram.size", 2);
        warn!(monotonic_counter.retries = 1, round, "retried");
        debug!(gauge.level = 3, round);
    }
    for series in 0..3000 {
        let job = info_span!("job", in_flight.many = Empty, label.series = series);
        job.in_scope(|| debug!("working"));
    }

    let retried = (0..3).map(|round| {
        format!(
            " WARN {}: retried monotonic_counter.retries=1 round={round}",
            module_path!()
        )
    });
    assert_eq!(lines.all(), retried.collect::<Vec<_>>());
    assert_eq!(events.0.load(Ordering::Relaxed), 9 + 3000);
}
