//! A sink may say when it is about to be read. Until then hot series wait on the
//! threads that measure them; all of it arrives, once, and in flight never below zero.
#![cfg(all(feature = "otel", feature = "prometheus"))]
#![allow(clippy::float_cmp, reason = "sums of small integers are exact")]

#[path = "support/exporters.rs"]
mod exporters;
mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::ScopedJoinHandle;

use exporters::Exporters;
use support::under;
use tracing::field::Empty;
use tracing::{Dispatch, Span, dispatcher, info, info_span};
use tracing_meter::{Flusher, Handle, Instrument, Labels, MemorySink, Sink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// Sums everything up, and counts how often it was called.
#[derive(Clone, Default)]
struct Pulled {
    flusher: Arc<Mutex<Option<Flusher>>>,
    series: Arc<PulledSeries>,
    is_unguarded: bool,
}

#[derive(Default)]
struct PulledSeries {
    sum: Mutex<f64>,
    calls: AtomicU64,
    is_unguarded: AtomicBool,
}

impl Pulled {
    fn unguarded() -> Self {
        Self {
            is_unguarded: true,
            ..Self::default()
        }
    }

    fn read(&self) -> f64 {
        let flusher = self.flusher.lock().unwrap().clone();
        flusher.expect("the layer was built").flush();
        self.sum()
    }

    fn sum(&self) -> f64 {
        *self.series.sum.lock().unwrap()
    }

    fn calls(&self) -> u64 {
        self.series.calls.load(Ordering::Relaxed)
    }
}

impl Sink for Pulled {
    fn series(&self, instrument: &Instrument, _: &Labels) -> Arc<dyn Handle> {
        let is_own = instrument.name().starts_with("tracing_meter");
        let series: Arc<PulledSeries> = if is_own {
            Arc::default()
        } else {
            Arc::clone(&self.series)
        };
        series
            .is_unguarded
            .store(self.is_unguarded, Ordering::Relaxed);
        series
    }

    fn flush_with(&self, flusher: Flusher) {
        *self.flusher.lock().unwrap() = Some(flusher);
    }
}

impl Handle for PulledSeries {
    fn record(&self, value: f64) {
        *self.sum.lock().unwrap() += value;
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn needs_guard(&self) -> bool {
        !self.is_unguarded.load(Ordering::Relaxed)
    }
}

fn count(times: u32) {
    (0..times).for_each(|_| info!(monotonic_counter.n = 2));
}

fn observe(times: u32) {
    (0..times).for_each(|_| info!(histogram.size = 3));
}

#[test]
fn a_sink_that_asks_is_hardly_called_in_between_and_gets_everything() {
    for measure in [count, observe] {
        let pulled = Pulled::unguarded();
        let builder = tracing_meter::builder().sink(pulled.clone());
        let subscriber = Registry::default().with(builder.build().unwrap());
        under(subscriber, || {
            measure(1);
            let one = pulled.sum();
            // Nothing waits before the sink has asked for the first time.
            measure(4_999);
            assert_eq!(pulled.calls(), 5_000);
            assert_eq!(pulled.read(), 5_000.0 * one);
            measure(2);
            let before = pulled.calls();
            measure(20);
            assert_eq!(pulled.calls(), before);
            measure(4_978);
            assert_eq!(pulled.read(), 10_000.0 * one);
            assert_eq!(pulled.read(), 10_000.0 * one);
        });
    }
}

#[test]
fn a_sink_that_never_asks_gets_each_measurement_at_once_beside_one_that_does() {
    for (measure, metric) in [(count as fn(u32), "n"), (observe, "size")] {
        let (pulled, memory) = (Pulled::unguarded(), MemorySink::new());
        let builder = tracing_meter::builder().sink(memory.clone());
        let layer = builder.sink(pulled.clone()).build().unwrap();
        under(Registry::default().with(layer), || {
            pulled.read();
            for times in 1..=3 {
                measure(2_000);
                let snapshot = memory.snapshot();
                assert_eq!(snapshot.samples(metric, &[]).len(), 2_000 * times);
                assert_eq!(Some(pulled.read()), snapshot.value(metric, &[]));
            }
        });
    }
}

#[test]
fn a_handle_that_needs_a_guard_is_called_each_time() {
    let pulled = Pulled::default();
    let builder = tracing_meter::builder().sink(pulled.clone());
    under(Registry::default().with(builder.build().unwrap()), || {
        pulled.read();
        count(3_000);
        assert_eq!(pulled.calls(), 3_000);
    });
}

#[test]
fn what_is_pending_is_flushed_when_the_layer_goes() {
    for measure in [count, observe] {
        let pulled = Pulled::unguarded();
        let builder = tracing_meter::builder().sink(pulled.clone());
        let subscriber = Registry::default().with(builder.build().unwrap());
        let mut one = 0.0;
        under(subscriber, || {
            measure(1);
            one = pulled.read();
            measure(3_002);
            assert!(pulled.calls() < 3_003);
        });
        assert_eq!(pulled.sum(), 3_003.0 * one);
    }
}

#[test]
fn what_a_sum_could_not_keep_exactly_does_not_wait() {
    let pulled = Pulled::unguarded();
    let builder = tracing_meter::builder().sink(pulled.clone());
    let add = |value: f64| info!(monotonic_counter.n = value);
    under(Registry::default().with(builder.build().unwrap()), || {
        pulled.read();
        (0..100).for_each(|_| add(1.0));
        for rough in [f64::MAX, f64::MAX, 1e17, 1e15, 0.1] {
            let calls = pulled.calls();
            add(rough);
            assert_eq!(pulled.calls(), calls + 1, "{rough}");
        }
        pulled.read();
        *pulled.series.sum.lock().unwrap() = 0.0;
        (0..1_000).for_each(|_| add(1.0));
        assert_eq!(pulled.read(), 1_000.0);
        // Whole numbers wait as long as all of them together are exact.
        *pulled.series.sum.lock().unwrap() = 0.0;
        let large = f64::from(u32::MAX);
        (0..2_000_000).for_each(|_| add(large));
        add(1.0);
        assert_eq!(pulled.read(), 2_000_000.0 * large + 1.0);
    });
}

#[test]
fn observations_on_many_threads_are_all_there_at_each_collection_and_after_the_layer() {
    const TIMES: u32 = 20_000;
    let (exporters, builder) = Exporters::new();
    let dispatch = Dispatch::new(Registry::default().with(builder.build().unwrap()));
    // A histogram's sum: each observation is a 3.
    let observed = || exporters.collected("size", &[]).unwrap_or(0.0) / 3.0;
    std::thread::scope(|scope| {
        let worker = || dispatcher::with_default(&dispatch, || observe(TIMES));
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        let mut before = 0.0;
        while !workers.iter().all(ScopedJoinHandle::is_finished) {
            let now = observed();
            assert!(now >= before, "{before} {now}");
            before = now;
        }
    });
    assert_eq!(observed(), 4.0 * f64::from(TIMES));
    dispatcher::with_default(&dispatch, || observe(5));
    drop(dispatch);
    assert_eq!(observed(), 4.0 * f64::from(TIMES) + 5.0);
    assert_eq!(exporters.scraped("size_count", &[]), Some(observed()));
}

#[test]
fn what_opens_on_one_thread_and_closes_on_another_is_never_seen_below_zero() {
    const TIMES: u32 = 30_000;
    let (exporters, builder) = Exporters::new();
    let dispatch = Dispatch::new(Registry::default().with(builder.build().unwrap()));
    let in_flight = || exporters.collected("jobs", &[]).unwrap_or(0.0);
    std::thread::scope(|scope| {
        let (send, open) = mpsc::channel::<Span>();
        let closer = scope.spawn(move || open.into_iter().for_each(drop));
        let dispatch = &dispatch;
        scope.spawn(move || {
            dispatcher::with_default(dispatch, || {
                for _ in 0..TIMES {
                    send.send(info_span!("job", in_flight.jobs = Empty))
                        .unwrap();
                }
            });
        });
        while !closer.is_finished() {
            let now = in_flight();
            assert!((0.0..=f64::from(TIMES)).contains(&now), "{now}");
        }
    });
    assert_eq!(in_flight(), 0.0);
}

/// A reader that loses the processor between two sums must not take what has begun and
/// ended meanwhile for something that is still there.
#[test]
fn one_at_a_time_is_never_seen_as_more_than_one() {
    const READINGS: u32 = 200_000;
    let sink = Pulled::unguarded();
    let layer = tracing_meter::builder().sink(sink.clone()).build().unwrap();
    let dispatch = Dispatch::new(Registry::default().with(layer));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            dispatcher::with_default(&dispatch, || {
                while !done.load(Ordering::Relaxed) {
                    drop(info_span!("job", in_flight.jobs = Empty));
                }
            });
        });
        // So that there are not enough processors.
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let worst = (0..READINGS).map(|_| sink.read()).fold(0.0, f64::max);
        done.store(true, Ordering::Relaxed);
        assert!(worst <= 1.0, "{worst} at once");
    });
}
