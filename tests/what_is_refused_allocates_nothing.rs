//! What cannot be measured is counted each time, and shown and listed only once.

#[path = "support/allocator.rs"]
mod allocator;
mod support;

use std::sync::Arc;

use support::under;
use tracing::field::Empty;
use tracing::{info, info_span};
use tracing_meter::{Handle, Instrument, Labels, MeterHandle, MeterLayerBuilder, Reason, Sink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// A sink that keeps nothing, so that what is allocated is the layer's.
struct Nowhere;

impl Sink for Nowhere {
    fn series(&self, _: &Instrument, _: &Labels) -> Arc<dyn Handle> {
        Arc::new(Self)
    }
}

impl Handle for Nowhere {
    fn record(&self, _value: f64) {}
}

/// Runs code under a layer, with its handle.
fn measure(
    configure: impl FnOnce(MeterLayerBuilder) -> MeterLayerBuilder,
    code: impl FnOnce(&MeterHandle),
) {
    let builder = configure(tracing_meter::builder().sink(Nowhere));
    let meter = builder.build().unwrap();
    let handle = meter.handle();
    under(Registry::default().with(meter), || code(&handle));
}

fn count(handle: &MeterHandle, reason: Reason) -> u64 {
    let problems = handle.problems();
    let counts = problems.iter().filter(|it| it.reason() == reason);
    counts.map(tracing_meter::Problem::count).sum()
}

#[test]
fn values_that_cannot_be_measured() {
    let refused = |n: i64| {
        info!(
            monotonic_counter.negative = -1 - n,
            histogram.not_finite = f64::NAN,
            gauge.text = "a text that is as long as it is",
            counter.shown = ?n,
            region = "eu"
        );
    };
    measure(
        |builder| builder,
        |handle| {
            refused(0);
            let allocated = allocator::bytes(|| (1..100).for_each(refused));
            assert_eq!(allocated, 0);
            assert_eq!(count(handle, Reason::Negative), 100);
            assert_eq!(count(handle, Reason::NotFinite), 100);
            assert_eq!(count(handle, Reason::NotANumber), 200);
        },
    );
}

#[test]
fn what_conflicts_with_another_kind_or_unit() {
    measure(
        |builder| builder.unit("size", "By"),
        |handle| {
            info!(gauge.taken = 1, gauge.size = 1);
            let refused = || {
                info!(monotonic_counter.taken = 1);
                info!(gauge.size = 1, unit.size = "s");
            };
            refused();
            let allocated = allocator::bytes(|| (1..100).for_each(|_| refused()));
            assert_eq!(allocated, 0);
            assert_eq!(count(handle, Reason::KindConflict), 100);
            assert_eq!(count(handle, Reason::UnitConflict), 100);
        },
    );
}

#[test]
fn what_is_over_the_limit_whether_its_labels_were_seen_or_not() {
    let over = |id: u64| info!(monotonic_counter.n = 1, histogram.h = 1, id, kind = "image");
    measure(
        |builder| builder.series_limit(3),
        |handle| {
            (0..5).for_each(over);
            let allocated = allocator::bytes(|| {
                (3..100).for_each(over);
                (0..100).for_each(over);
            });
            assert_eq!(allocated, 0);
            assert_eq!(count(handle, Reason::Overflow), 2 * (2 + 97 + 97));
        },
    );
}

#[test]
fn spans_over_the_limit() {
    let over = |id: u64| {
        drop(
            info_span!(
                "job",
                calls.job = Empty,
                in_flight.jobs = Empty,
                label.id = id
            )
            .entered(),
        );
    };
    measure(
        |builder| builder.series_limit(3),
        |handle| {
            (0..5).for_each(over);
            let allocated = allocator::bytes(|| (100..200).for_each(over));
            assert_eq!(allocated, 0);
            assert_eq!(count(handle, Reason::Overflow), 2 * 102);
        },
    );
}

#[test]
fn levels_over_the_limit() {
    let over = |id: u64| info!(increase.level = id, id);
    measure(
        |builder| builder.series_limit(3),
        |handle| {
            (0..5).for_each(over);
            let allocated = allocator::bytes(|| (100..200).for_each(over));
            assert_eq!(allocated, 0);
            assert_eq!(count(handle, Reason::LevelOverflow), 102);
        },
    );
}
