//! The memory of a series through the OpenTelemetry SDK, with the SDK's share.

#[path = "support/allocator.rs"]
mod allocator;
#[path = "support/reader.rs"]
mod reader;
mod support;

use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use support::under;
use tracing::info;
use tracing_meter::{MeterLayer, OtelSink};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

use reader::CustomReader;

const SERIES: usize = 10_000;
/// Each is measured a few times, not so often that it is pending on its thread.
const TIMES: usize = 3;

fn count(id: usize) {
    info!(monotonic_counter.uploads = 1_u64, region = "eu", id);
}

type Stack = Layered<MeterLayer<Registry>, Registry>;

/// Hears whatever there is: where it is, a series is not bound by the thread that measures it.
struct Listener;

impl Layer<Stack> for Listener {}

/// The bytes of a series, when all of them are bound.
fn bytes_of_a_series(other: impl Layer<Stack> + Send + Sync) -> usize {
    let reader = CustomReader::default();
    let has_room = |instrument: &Instrument| {
        let limit = match instrument.name() {
            "uploads" => SERIES,
            "last" => 1,
            _ => return None,
        };
        Stream::builder().with_cardinality_limit(limit).build().ok()
    };
    let provider = SdkMeterProvider::builder().with_reader(reader.clone());
    let provider = provider.with_view(has_room).build();
    let sink = OtelSink::new(provider.clone());
    let meter = tracing_meter::builder().sink(sink).series_limit(SERIES);
    let subscriber = Registry::default().with(meter.build().unwrap()).with(other);
    let mut bytes = 0;
    under(subscriber, || {
        bytes = allocator::kept_bytes_of_all_threads(|| {
            (0..TIMES).for_each(|_| (0..SERIES).for_each(count));
            // What the collection binds is bound, and what it collects is dropped.
            drop(reader.collect_now());
            // A new instrument waits for the sink's thread, which may still have been at it.
            info!(monotonic_counter.last = 1_u64);
        });
    });
    bytes / SERIES
}

#[test]
fn a_counter_series_with_two_labels_keeps_at_most_650_bytes() {
    // The first one of a process makes what all share.
    bytes_of_a_series(LevelFilter::INFO);
    let bytes = bytes_of_a_series(LevelFilter::INFO);
    assert!(bytes <= 650, "{bytes} bytes");
    // The handle through which it waited until it was bound stays.
    let bytes = bytes_of_a_series(Listener);
    assert!(bytes <= 700, "{bytes} bytes beside a listener");
}
