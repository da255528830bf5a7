//! Counters that are gathered on each thread and handed over at collection.
//!
//! A bound counter of the SDK takes four indirect calls and an atomic
//! read-modify-write, which threads that count the same thing do in turn. A cell
//! that only its own thread writes takes neither, but some memory: only series
//! that are counted often get cells. The SDK runs the callbacks of observable
//! instruments before it collects: that is when cells are handed over.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use opentelemetry::metrics::{BoundCounter, Meter};
use thread_local::ThreadLocal;

use crate::no_poison::NoPoison;
use crate::sink::Handle;

/// From this measurement on a series counts as hot.
const HOT: u32 = 1_000;

/// The counters of one meter.
#[derive(Default)]
pub(super) struct Gatherer {
    /// Whether the SDK has ever asked. A view may drop the instrument that it
    /// asks by; then counters are passed on at once.
    is_asked: AtomicBool,
    counters: NoPoison<Counters>,
}

#[derive(Default)]
struct Counters {
    all: Vec<Weak<GatheredCounter>>,
    /// At this number those that are gone are swept out: seldom enough that a
    /// new one costs the same however many there are.
    sweep_at: usize,
}

impl Counters {
    fn add(&mut self, counter: &Arc<GatheredCounter>) {
        if self.all.len() >= self.sweep_at {
            self.all.retain(|counter| counter.strong_count() > 0);
            self.sweep_at = 2 * self.all.len() + 16;
        }
        self.all.push(Arc::downgrade(counter));
    }
}

impl Gatherer {
    pub(super) fn new(meter: &Meter) -> Arc<Self> {
        let gatherer = Arc::new(Self::default());
        let asked = Arc::clone(&gatherer);
        // Nothing is ever observed, so nothing of this name is exported.
        let _ = meter
            .f64_observable_counter("tracing_meter.gathered")
            .with_callback(move |_| asked.hand_over())
            .build();
        gatherer
    }

    pub(super) fn counter(self: &Arc<Self>, bound: BoundCounter<f64>) -> Box<dyn Handle> {
        Box::new(Arc::new(GatheredCounter {
            gatherer: Arc::clone(self),
            uses: AtomicU32::new(0),
            cells: OnceLock::new(),
            handed_over: NoPoison::default(),
            bound,
        }))
    }

    fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    fn hand_over(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
        let counters = self.counters.lock().all.clone();
        for counter in counters.iter().filter_map(Weak::upgrade) {
            counter.hand_over();
        }
    }
}

/// One series, with a sum for each thread once it is hot.
struct GatheredCounter {
    gatherer: Arc<Gatherer>,
    /// How often it was measured, more or less, until it is hot.
    uses: AtomicU32,
    cells: OnceLock<Box<ThreadLocal<Cell>>>,
    handed_over: NoPoison<f64>,
    bound: BoundCounter<f64>,
}

impl GatheredCounter {
    /// Adds to the bound counter what came since the last time.
    fn hand_over(&self) {
        let Some(cells) = self.cells.get() else {
            return;
        };
        let sum: f64 = cells.iter().map(Cell::get).sum();
        let mut handed_over = self.handed_over.lock();
        // Another collection may have handed over more in the meantime.
        let due = (sum - *handed_over).max(0.0);
        *handed_over += due;
        drop(handed_over);
        if due > 0.0 {
            self.bound.add(due);
        }
    }
}

impl Handle for Arc<GatheredCounter> {
    #[inline]
    fn record(&self, value: f64) {
        match self.cells.get() {
            Some(cells) => cells.get_or_default().add(value),
            None => self.record_directly(value),
        }
    }

    fn is_quiet(&self) -> bool {
        true
    }
}

impl GatheredCounter {
    fn record_directly(self: &Arc<Self>, value: f64) {
        self.bound.add(value);
        let uses = self.uses.load(Ordering::Relaxed);
        if uses < HOT {
            self.uses.store(uses + 1, Ordering::Relaxed);
        } else if self.gatherer.is_asked() && self.cells.set(Box::default()).is_ok() {
            self.gatherer.counters.lock().add(self);
        }
    }
}

impl Drop for GatheredCounter {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// A sum, as the bits of a float, on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Cell(AtomicU64);

impl Cell {
    /// Only called by the thread that the cell belongs to.
    #[inline]
    fn add(&self, value: f64) {
        let sum = self.get() + value;
        self.0.store(sum.to_bits(), Ordering::Relaxed);
    }

    #[inline]
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}
