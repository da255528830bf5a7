//! Sums that are gathered on each thread, and handed over when a sink is read.
//!
//! To add to a number that all threads share is an atomic read-modify-write, which
//! threads that count the same thing do in turn. A cell that only its own thread
//! writes takes none, but some memory: only series that are counted often get
//! cells, and only for sinks that say when they are about to be read.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use thread_local::ThreadLocal;

use crate::kind::Kind;
use crate::no_poison::NoPoison;
use crate::segmented::Segmented;
use crate::series::Series;

/// So that each thread's cells take a quarter of a megabyte at most.
const MOST_HOT: u32 = 16 * 1024;

/// The sums of a layer that sinks have not seen yet.
#[derive(Default)]
pub(crate) struct Gatherer {
    cells: ThreadLocal<Cells>,
    /// The sinks that have ever said that they are about to be read, by bit.
    readers: AtomicU32,
    hot: NoPoison<Hot>,
}

/// The series that have cells.
#[derive(Default)]
struct Hot {
    all: Vec<Weak<Series>>,
    /// How many series ever had cells: those are not used again.
    ever: u32,
    /// At this number those that are gone are swept out: seldom enough that a
    /// new one costs the same however many there are.
    sweep_at: usize,
}

/// Brings a sink everything that was measured until now.
///
/// A sink gets it from the layer, in [`Sink::before_it_is_read`](crate::Sink::before_it_is_read).
#[derive(Clone, Debug)]
pub struct HandOver {
    gatherer: Weak<Gatherer>,
    sink: usize,
}

impl HandOver {
    /// Records in the sink's handles what was counted on all threads.
    ///
    /// To be called whenever the sink is about to be read, on any thread, while the
    /// sink holds no lock that its handles take. Counts may wait from the first
    /// call on; before it, or if it is never called, none do.
    pub fn hand_over(&self) {
        if let Some(gatherer) = self.gatherer.upgrade() {
            gatherer.hand_over(self.sink);
        }
    }
}

impl Gatherer {
    /// What a sink calls when it is about to be read. Of many sinks not all can.
    pub(crate) fn reader(self: &Arc<Self>, sink: usize) -> Option<HandOver> {
        let gatherer = Arc::downgrade(self);
        (sink < Readers::MOST).then_some(HandOver { gatherer, sink })
    }

    fn hand_over(&self, sink: usize) {
        self.readers.fetch_or(1 << sink, Ordering::Relaxed);
        let hot = self.hot.lock().all.clone();
        for series in hot.iter().filter_map(Weak::upgrade) {
            series.hand_over();
        }
    }

    pub(crate) fn readers(&self) -> Readers {
        Readers(self.readers.load(Ordering::Relaxed))
    }

    /// Cells for a series that is hot, while there are some left.
    pub(crate) fn add_series(&self, series: &Weak<Series>) -> Option<CellPair> {
        let mut hot = self.hot.lock();
        if hot.ever == MOST_HOT {
            return None;
        }
        if hot.all.len() >= hot.sweep_at {
            hot.all.retain(|series| series.strong_count() > 0);
            hot.sweep_at = 2 * hot.all.len() + 16;
        }
        hot.all.push(Weak::clone(series));
        let pair = CellPair(hot.ever);
        hot.ever += 1;
        Some(pair)
    }

    #[inline(always)]
    pub(crate) fn add(&self, pair: CellPair, value: f64) {
        let cells = self
            .cells
            .get()
            .unwrap_or_else(|| self.cells.get_or_default());
        cells.add(pair, value);
    }

    pub(crate) fn sum(&self, pair: CellPair) -> f64 {
        let sum = |of: fn(&Cells, CellPair) -> f64| -> f64 {
            self.cells.iter().map(|cells| of(cells, pair)).sum()
        };
        // What was taken back had been added before, maybe on another thread: in
        // this order nothing is seen to be taken back before it is seen added.
        let taken_back = sum(Cells::taken_back);
        sum(Cells::added) - taken_back
    }
}

impl std::fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gatherer").finish_non_exhaustive()
    }
}

/// A set of sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readers(u32);

impl Readers {
    const MOST: usize = 32;

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn remove(&mut self, sink: usize) {
        if sink < Self::MOST {
            self.0 &= !(1 << sink);
        }
    }

    #[inline]
    pub(crate) const fn contain(self, sink: usize) -> bool {
        sink < Self::MOST && self.0 & (1 << sink) != 0
    }
}

/// Whether cells keep this value exactly, and nothing but a sum matters.
#[inline(always)]
pub(crate) fn may_gather(kind: Kind, value: f64) -> bool {
    match kind {
        // A zero is passed on: it makes the series visible.
        Kind::Counter => value > 0.0,
        // These cells only ever grow: anything but ones would lose its last digits
        // to their sum in time.
        Kind::UpDownCounter => matches!(value, 1.0 | -1.0),
        Kind::Gauge | Kind::Histogram => false,
    }
}

/// Which cells of each thread are a series'.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellPair(u32);

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
    #[inline(always)]
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
    const fn place(self) -> (u32, usize) {
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
