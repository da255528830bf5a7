//! However many series are hot, each has its place on a thread, and a thread takes memory
//! for those only that it measures itself.

#[path = "support/allocator.rs"]
mod allocator;
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use support::under;
use tracing::{Dispatch, dispatcher, info};
use tracing_meter::{Flusher, Handle, Instrument, Labels, Sink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// A sink that is read, and counts how often one of its handles was called.
#[derive(Clone, Default)]
struct Pulled {
    calls: Arc<AtomicU64>,
    flusher: Arc<Mutex<Option<Flusher>>>,
}

struct Called(Arc<AtomicU64>);

impl Sink for Pulled {
    fn series(&self, instrument: &Instrument, _: &Labels) -> Arc<dyn Handle> {
        let is_own = instrument.name().starts_with("tracing_meter");
        let calls = if is_own {
            Arc::default()
        } else {
            Arc::clone(&self.calls)
        };
        Arc::new(Called(calls))
    }

    fn flush_with(&self, flusher: Flusher) {
        *self.flusher.lock().unwrap() = Some(flusher);
    }
}

impl Handle for Called {
    fn record(&self, _value: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn needs_guard(&self) -> bool {
        false
    }
}

impl Pulled {
    fn read(&self) {
        let flusher = self.flusher.lock().unwrap().clone();
        flusher.expect("the layer was built").flush();
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Runs code under a layer with this sink, which has been read once.
    fn measure(&self, code: impl FnOnce()) {
        let builder = tracing_meter::builder()
            .sink(self.clone())
            .own_metrics(false);
        let meter = builder.series_limit(100_000).build().unwrap();
        self.read();
        under(Registry::default().with(meter), code);
    }
}

fn count(series: u64) {
    info!(monotonic_counter.n = 1, series);
}

fn observe(series: u64) {
    info!(histogram.h = 1, series);
}

/// On another thread, of which it gives the bytes that were allocated.
fn elsewhere(code: impl FnOnce() + Send) -> usize {
    let dispatch = dispatcher::get_default(Dispatch::clone);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| dispatcher::with_default(&dispatch, || allocator::bytes(code)));
        thread.join().unwrap()
    })
}

#[test]
fn twenty_thousand_counters_wait_as_well_as_one() {
    const SERIES: u64 = 20_000;
    let pulled = Pulled::default();
    pulled.measure(|| {
        for series in 0..SERIES {
            (0..20).for_each(|_| count(series));
        }
        pulled.read();
        let before = pulled.calls();
        (0..SERIES).for_each(count);
        assert_eq!(
            pulled.calls() - before,
            0,
            "called although they could wait"
        );
        pulled.read();
        assert_eq!(pulled.calls() - before, SERIES);
        let allocated = elsewhere(|| (0..100).for_each(|_| count(SERIES - 1)));
        assert!(allocated < 10_000, "{allocated} bytes");
    });
}

#[test]
fn a_thread_takes_no_room_for_histograms_that_it_does_not_observe() {
    const SERIES: u64 = 1_000;
    let pulled = Pulled::default();
    pulled.measure(|| {
        for series in 0..SERIES {
            (0..1_010).for_each(|_| observe(series));
        }
        let before = pulled.calls();
        let allocated = elsewhere(|| observe(SERIES - 1));
        assert_eq!(pulled.calls() - before, 0, "called although it could wait");
        assert!(allocated < 20_000, "{allocated} bytes");
    });
}

#[test]
fn threads_that_make_a_series_hot_together_take_one_place() {
    /// As many as there are places.
    const SERIES: u64 = 1_024;
    let pulled = Pulled::default();
    pulled.measure(|| {
        let together = Barrier::new(2);
        let heat = || {
            for series in 0..SERIES {
                (0..495).for_each(|_| observe(series));
                together.wait();
                (0..20).for_each(|_| observe(series));
            }
        };
        let dispatch = dispatcher::get_default(Dispatch::clone);
        std::thread::scope(|scope| {
            scope.spawn(|| dispatcher::with_default(&dispatch, heat));
            heat();
        });
        // Two threads that count at once may count one for two.
        (0..SERIES).for_each(|series| (0..600).for_each(|_| observe(series)));
        pulled.read();
        let before = pulled.calls();
        (0..SERIES).for_each(observe);
        assert_eq!(
            pulled.calls() - before,
            0,
            "called although they could wait"
        );
    });
}
