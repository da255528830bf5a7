//! Time and allocations of one operation, fairly.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
const BATCH_TIME: Duration = Duration::from_millis(8);
const WARM_UP: u64 = 2_000;

/// Something to measure: it sets itself up and hands an operation to the meter.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut Stopwatch),
}

/// What one operation costs.
pub(crate) struct Cost {
    pub(crate) nanos: f64,
    pub(crate) allocations: f64,
}

/// Measures the operation of one case in one round.
#[derive(Default)]
pub(crate) struct Stopwatch {
    cost: Option<Cost>,
    /// Repeat it so often instead, and measure nothing.
    times: Option<u64>,
}

impl Stopwatch {
    /// Repeats an operation. It gets the number of the repetition.
    pub(crate) fn repeat(&mut self, mut operation: impl FnMut(u64)) {
        if let Some(times) = self.times {
            return (0..times).for_each(operation);
        }
        let mut next = 0;
        let mut run = |times: u64| {
            let start = Instant::now();
            for _ in 0..times {
                operation(next);
                next += 1;
            }
            start.elapsed()
        };
        run(WARM_UP);
        let mut times = 1_000;
        let mut time = run(times);
        while time < BATCH_TIME / 4 {
            times *= 2;
            time = run(times);
        }
        let before = ALLOCATIONS.get();
        let time = run(times * 4);
        let allocations = ALLOCATIONS.get() - before;
        self.set(time, times * 4, allocations);
    }

    /// Takes a time that was measured elsewhere.
    #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub(crate) fn set(&mut self, time: Duration, times: u64, allocations: u64) {
        self.cost = Some(Cost {
            nanos: time.as_nanos() as f64 / times as f64,
            allocations: allocations as f64 / times as f64,
        });
    }
}

/// Runs one case so often, for whoever counts instructions from outside.
pub(crate) fn repeat(case: &Case, times: u64) {
    let times = Some(times);
    (case.run)(&mut Stopwatch { cost: None, times });
}

/// Runs all cases in turn, several times, and takes each one's median.
pub(crate) fn take_turns(cases: &[Case]) -> BTreeMap<&'static str, Cost> {
    let mut costs: BTreeMap<_, Vec<Cost>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for case in cases {
            let mut stopwatch = Stopwatch::default();
            (case.run)(&mut stopwatch);
            let cost = stopwatch.cost.expect("each case measures something");
            costs.entry(case.name).or_default().push(cost);
        }
    }
    costs
        .into_iter()
        .map(|(name, mut costs)| {
            costs.sort_by(|a, b| a.nanos.total_cmp(&b.nanos));
            (name, costs.swap_remove(ROUNDS / 2))
        })
        .collect()
}

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator, counting the calls of each thread.
struct Counting;

#[allow(unsafe_code, reason = "the trait's contract; all calls are passed on")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}
