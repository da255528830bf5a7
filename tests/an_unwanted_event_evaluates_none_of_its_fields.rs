//! A process of its own: interest is decided among all subscribers of a process.

mod support;

use std::cell::Cell;

use support::under;
use tracing::{debug, error, info, trace, trace_span};
use tracing_meter::{MemorySink, MeterLayer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry};

thread_local!(static EVALUATED: Cell<u32> = const { Cell::new(0) });

fn evaluate() -> u32 {
    EVALUATED.set(EVALUATED.get() + 1);
    1
}

fn emit_unwanted() {
    for _ in 0..3 {
        trace!(costly = evaluate());
        debug!(costly = evaluate(), "with a message");
        drop(trace_span!("quiet", costly = evaluate()));
        let _ = tracing::enabled!(tracing::Level::TRACE);
        trace!(costly = evaluate());
    }
}

fn ours<S>() -> MeterLayer<S> {
    let builder = tracing_meter::builder().sink(MemorySink::new());
    builder.build().unwrap()
}

#[test]
fn an_unwanted_event_evaluates_none_of_its_fields() {
    let by_env = EnvFilter::new("info");
    let fmt = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    under(
        Registry::default()
            .with(ours())
            .with(fmt.with_filter(by_env)),
        emit_unwanted,
    );
    let fmt = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let by_level = fmt.with_filter(LevelFilter::INFO);
    under(
        Registry::default().with(by_level).with(ours()),
        emit_unwanted,
    );
    under(Registry::default().with(ours()).with(ours()), || {
        emit_unwanted();
        info!(costly = evaluate());
        error!(costly = evaluate());
    });
    let without_sinks = tracing_meter::builder().build().unwrap();
    under(Registry::default().with(without_sinks), || {
        info!(monotonic_counter.n = evaluate());
        assert_eq!(LevelFilter::current(), LevelFilter::OFF);
    });
    assert_eq!(EVALUATED.get(), 0);

    let hidden = tracing_opentelemetry::MetricsLayer::new(
        opentelemetry_sdk::metrics::SdkMeterProvider::default(),
    );
    under(Registry::default().with(hidden), emit_unwanted);
    assert_ne!(
        EVALUATED.get(),
        0,
        "the peer evaluates them: the test can fail"
    );
}
