//! Sums that are gathered on each thread and handed over at collection.
//!
//! A bound counter of the SDK takes four indirect calls and an atomic
//! read-modify-write, which threads that count the same thing do in turn. A cell
//! that only its own thread writes takes neither, but some memory: only series
//! that are counted often get cells. The SDK runs the callbacks of observable
//! instruments before it collects: that is when cells are handed over.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use opentelemetry::metrics::{BoundCounter, BoundUpDownCounter, Meter};
use thread_local::ThreadLocal;

use crate::no_poison::NoPoison;
use crate::segmented::Segmented;
use crate::sink::Handle;

/// From this measurement on a series counts as hot.
const HOT: u32 = 1_000;

/// The sums of one meter.
#[derive(Default)]
pub(super) struct Gatherer {
    /// Whether the SDK has ever asked. A view may drop the instrument that it
    /// asks by; then sums are passed on at once.
    is_asked: AtomicBool,
    cells: ThreadLocal<Cells>,
    hot: NoPoison<Hot>,
}

/// The series that have cells.
#[derive(Default)]
struct Hot {
    all: Vec<Weak<Gathered>>,
    /// How many series ever had cells: those are not used again.
    ever: u32,
    /// At this number those that are gone are swept out: seldom enough that a
    /// new one costs the same however many there are.
    sweep_at: usize,
}

impl Hot {
    fn add(&mut self, gathered: &Weak<Gathered>) -> CellPair {
        if self.all.len() >= self.sweep_at {
            self.all.retain(|gathered| gathered.strong_count() > 0);
            self.sweep_at = 2 * self.all.len() + 16;
        }
        self.all.push(Weak::clone(gathered));
        let pair = CellPair(self.ever);
        self.ever += 1;
        pair
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

    /// The handle of a series that is bound.
    pub(super) fn handle(self: &Arc<Self>, bound: BoundSum) -> Arc<dyn Handle> {
        Arc::<Gathered>::new_cyclic(|this| Gathered {
            this: Weak::clone(this),
            gatherer: Arc::clone(self),
            uses: AtomicU32::new(0),
            cells: OnceLock::new(),
            handed_over: NoPoison::default(),
            bound,
        })
    }

    fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    fn hand_over(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
        let hot = self.hot.lock().all.clone();
        for gathered in hot.iter().filter_map(Weak::upgrade) {
            gathered.hand_over();
        }
    }

    fn sum(&self, pair: CellPair) -> f64 {
        let sum = |of: fn(&Cells, CellPair) -> f64| -> f64 {
            self.cells.iter().map(|cells| of(cells, pair)).sum()
        };
        // What was taken back had been added before, maybe on another thread: in
        // this order nothing is seen to be taken back before it is seen added.
        let taken_back = sum(Cells::taken_back);
        sum(Cells::added) - taken_back
    }
}

/// A bound series whose value is a sum.
pub(super) enum BoundSum {
    Counter(BoundCounter<f64>),
    UpDownCounter(BoundUpDownCounter<f64>),
}

impl BoundSum {
    fn add(&self, value: f64) {
        match self {
            Self::Counter(counter) => counter.add(value),
            Self::UpDownCounter(counter) => counter.add(value),
        }
    }

    /// Whether cells keep this value exactly. Those of an up/down counter only ever
    /// grow: anything but ones would lose its last digits to their sum in time.
    #[inline]
    fn may_gather(&self, value: f64) -> bool {
        match self {
            // A zero is passed on: it makes the series visible.
            Self::Counter(_) => value > 0.0,
            Self::UpDownCounter(_) => matches!(value, 1.0 | -1.0),
        }
    }
}

/// One series, with sums for each thread once it is hot.
struct Gathered {
    this: Weak<Self>,
    gatherer: Arc<Gatherer>,
    /// How often it was measured, more or less, until it is hot.
    uses: AtomicU32,
    cells: OnceLock<CellPair>,
    handed_over: NoPoison<f64>,
    bound: BoundSum,
}

impl Gathered {
    /// Adds to the bound series what came since the last time.
    fn hand_over(&self) {
        let Some(pair) = self.cells.get() else {
            return;
        };
        // Held until it is added: of two collections the later one may have to
        // take back what the earlier one adds.
        let mut handed_over = self.handed_over.lock();
        let sum = self.gatherer.sum(*pair);
        let due = sum - *handed_over;
        *handed_over = sum;
        if due != 0.0 {
            self.bound.add(due);
        }
    }

    fn record_directly(&self, value: f64) {
        self.bound.add(value);
        let uses = self.uses.load(Ordering::Relaxed);
        if uses < HOT {
            self.uses.store(uses + 1, Ordering::Relaxed);
        } else if self.gatherer.is_asked() {
            self.cells
                .get_or_init(|| self.gatherer.hot.lock().add(&self.this));
        }
    }
}

impl Handle for Gathered {
    fn record(&self, value: f64) {
        match self.cells.get() {
            Some(pair) if self.bound.may_gather(value) => {
                self.gatherer.cells.get_or_default().add(*pair, value);
            }
            _ => self.record_directly(value),
        }
    }

    fn is_quiet(&self) -> bool {
        true
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// Which cells of each thread are a series'.
#[derive(Clone, Copy)]
struct CellPair(u32);

/// One thread's sums.
#[derive(Default)]
struct Cells(Segmented<Line, 16>);

/// The pairs of a few series, on a cache line that only one thread writes.
#[derive(Default)]
#[repr(align(64))]
struct Line([Cell; 2 * PAIRS as usize]);

const PAIRS: u32 = 4;

/// A sum, as the bits of a float.
#[derive(Default)]
struct Cell(AtomicU64);

impl Cells {
    /// Only called by the thread that the cells belong to.
    #[inline]
    fn add(&self, pair: CellPair, value: f64) {
        let (line, added) = pair.place();
        let line = self.0.get(line).unwrap_or_else(|| self.0.get_or_grow(line));
        let cell = added + usize::from(value < 0.0);
        line.0[cell].add(value.abs());
    }

    fn added(&self, pair: CellPair) -> f64 {
        let (line, added) = pair.place();
        self.0.get(line).map_or(0.0, |line| line.0[added].get())
    }

    fn taken_back(&self, pair: CellPair) -> f64 {
        let (line, added) = pair.place();
        self.0.get(line).map_or(0.0, |line| line.0[added + 1].get())
    }
}

impl CellPair {
    /// Its line, and where in it the cell of what is added stands; the one of what
    /// is taken back follows.
    #[inline]
    fn place(self) -> (u32, usize) {
        (self.0 / PAIRS, (self.0 % PAIRS) as usize * 2)
    }
}

impl Cell {
    #[inline]
    fn add(&self, value: f64) {
        let sum = f64::from_bits(self.0.load(Ordering::Relaxed)) + value;
        // Whoever sees this sees what happened before it on any thread.
        self.0.store(sum.to_bits(), Ordering::Release);
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Acquire))
    }
}
