//! Series under recorders that a test sees into.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use metrics::{
    Counter, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use super::FacadeSink;
use crate::instrument::{Instrument, MetricName};
use crate::kind::Kind;
use crate::labels::Labels;
use crate::sink::{Handle, Sink};

/// What a recorder gives when a series is registered: by default what records nothing.
trait Give: Clone + Send + Sync + 'static {
    fn counter(&self) -> Counter {
        Counter::noop()
    }
    fn gauge(&self) -> Gauge {
        Gauge::noop()
    }
    fn histogram(&self) -> Histogram {
        Histogram::noop()
    }
}

struct TestRecorder<G>(G);

impl<G: Give> Recorder for TestRecorder<G> {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        self.0.counter()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.gauge()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.histogram()
    }
}

fn sink(gives: &impl Give) -> FacadeSink {
    FacadeSink::new(TestRecorder(gives.clone()))
}

fn series(sink: &FacadeSink, kind: Kind) -> Arc<dyn Handle> {
    let name = MetricName::parse("jobs").unwrap();
    let instrument = Instrument::new(name, kind, None);
    sink.series(&instrument, &Labels::new(Vec::new()))
}

/// A gauge that can only be set.
#[derive(Clone, Default)]
struct SetOnly(Arc<AtomicU64>);

impl GaugeFn for SetOnly {
    fn increment(&self, _value: f64) {}
    fn decrement(&self, _value: f64) {}
    fn set(&self, value: f64) {
        // A faster thread is overtaken now, if that is possible.
        std::thread::yield_now();
        self.0.store(value.to_bits(), Ordering::SeqCst);
    }
}

impl Give for SetOnly {
    fn gauge(&self) -> Gauge {
        Gauge::from_arc(Arc::new(self.clone()))
    }
}

#[test]
fn the_last_level_that_is_set_is_the_sum_of_all_threads() {
    let gauge = SetOnly::default();
    let sink = sink(&gauge).set_levels();
    let handle = series(&sink, Kind::UpDownCounter);
    for round in 1..=100 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for by in [1.0, 1.0, -1.0] {
                        handle.record(by);
                    }
                });
            }
        });
        let level = f64::from_bits(gauge.0.load(Ordering::SeqCst));
        assert!(
            (level - f64::from(round * 4)).abs() < f64::EPSILON,
            "{level}"
        );
    }
}

/// Counts how often a counter is registered.
#[derive(Clone, Default)]
struct Registrations(Arc<AtomicU64>);

impl Give for Registrations {
    fn counter(&self) -> Counter {
        self.0.fetch_add(1, Ordering::SeqCst);
        Counter::noop()
    }
}

/// How often a counter is registered that is measured five times more after pauses.
fn registered_again(configure: impl FnOnce(FacadeSink) -> FacadeSink) -> u64 {
    let registrations = Registrations::default();
    let sink = configure(sink(&registrations));
    let handle = series(&sink, Kind::Counter);
    handle.record(1.0);
    let first = registrations.0.load(Ordering::SeqCst);
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(11));
        handle.record(1.0);
    }
    registrations.0.load(Ordering::SeqCst) - first
}

#[test]
fn a_series_that_idles_is_taken_anew_only_if_asked() {
    assert_eq!(registered_again(|sink| sink), 0);
    assert_eq!(registered_again(|sink| sink.renew_after(Duration::MAX)), 0);
    let often = Duration::from_millis(11);
    assert_eq!(registered_again(|sink| sink.renew_after(often)), 5);
    assert_eq!(registered_again(|sink| sink.renew_after(Duration::ZERO)), 5);
}

/// A histogram that is slow to be registered for the second time, which is when what was
/// early is delivered.
#[derive(Clone)]
struct RegisteredSlowly(Arc<Slow>);

struct Slow {
    registered: AtomicU64,
    observed: AtomicU64,
    /// Before and after what happens meanwhile.
    meanwhile: [Barrier; 2],
}

impl HistogramFn for RegisteredSlowly {
    fn record(&self, _value: f64) {
        self.0.observed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Give for RegisteredSlowly {
    fn histogram(&self) -> Histogram {
        if self.0.registered.fetch_add(1, Ordering::SeqCst) == 1 {
            self.0.meanwhile.iter().for_each(|it| _ = it.wait());
        }
        Histogram::from_arc(Arc::new(self.clone()))
    }
}

#[test]
fn what_is_observed_while_a_series_is_taken_is_all_there() {
    let histogram = RegisteredSlowly(Arc::new(Slow {
        registered: AtomicU64::new(0),
        observed: AtomicU64::new(0),
        meanwhile: [Barrier::new(2), Barrier::new(2)],
    }));
    let sink = sink(&histogram);
    let handle = series(&sink, Kind::Histogram);
    std::thread::scope(|scope| {
        scope.spawn(|| handle.record(1.0));
        histogram.0.meanwhile[0].wait();
        (0..5000).for_each(|_| handle.record(1.0));
        histogram.0.meanwhile[1].wait();
    });
    assert_eq!(histogram.0.observed.load(Ordering::SeqCst), 5001);
}
