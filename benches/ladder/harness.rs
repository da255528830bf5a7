//! Time and allocations of one operation, fairly.
//!
//! Each visit to a case builds its own subscriber, the only one alive, warms it up
//! and runs for two milliseconds. A case and its reference stand side by side in the
//! order of visits, forwards and backwards in turn, so that a processor which slows
//! down, or a neighbour who wakes up, is seen by both.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::run::allocator::allocations;
use crate::run::results::{Results, median};

const ROUNDS: usize = 65;
/// Their median is the visit's time: it knows nothing of an interruption.
const SLICES: usize = 9;
const SLICE_TIME: Duration = Duration::from_micros(200);
/// Long enough that two threads meet, whenever each of them woke up.
const TIMES_TOGETHER: u64 = 20_000;

/// Something to measure: it sets itself up and hands an operation to the stopwatch.
pub(crate) struct Case {
    pub(crate) name: String,
    every: usize,
    run: Box<dyn Fn(&mut Stopwatch)>,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, run: impl Fn(&mut Stopwatch) + 'static) -> Self {
        Self {
            name: name.into(),
            every: 1,
            run: Box::new(run),
        }
    }

    /// It takes long to set up: it is visited in every so many rounds only. An odd
    /// number, so that forwards and backwards take turns here too.
    pub(crate) fn every(self, every: usize) -> Self {
        assert!(every % 2 == 1, "{every} is even");
        Self { every, ..self }
    }
}

/// What one operation costs.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) nanos: f64,
    pub(crate) allocations: f64,
}

/// Measures the operation of one case in one visit.
#[derive(Default)]
pub(crate) struct Stopwatch {
    cost: Option<Cost>,
    counted: u64,
    /// How many operations make a slice, once that is known.
    slice: Option<u64>,
    /// Repeat it so often instead, and measure nothing.
    only_repeat: Option<u64>,
}

impl Stopwatch {
    /// Repeats an operation. It gets the number of the repetition.
    ///
    /// Never inlined: what differs by a nanosecond shall not differ by the loop
    /// that the compiler made for it.
    #[inline(never)]
    pub(crate) fn repeat(&mut self, warm_up: u64, operation: impl FnMut(u64)) {
        let mut operation = black_box(operation);
        if let Some(times) = self.only_repeat {
            return only_repeat(times, operation);
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
        run(warm_up);
        let times = *self
            .slice
            .get_or_insert_with(|| operations_in_a_slice(&mut run));
        let before = allocations();
        let slices = [(); SLICES].map(|()| run(times).as_secs_f64() * 1e9);
        let allocated = allocations() - before;
        self.counted = next;
        self.set(slices.into(), times, per(allocated, times * SLICES as u64));
    }

    /// Repeats an operation so often as a batch is long, each time after a gap, which
    /// is not measured. The processor is busy meanwhile: what it would lose by sleeping
    /// is of no interest here.
    #[inline(never)]
    pub(crate) fn repeat_after(
        &mut self,
        gap: Duration,
        batch: u64,
        warm_up: u64,
        operation: impl FnMut(u64),
    ) {
        let mut operation = black_box(operation);
        if let Some(times) = self.only_repeat {
            return only_repeat(times, operation);
        }
        (0..warm_up).for_each(&mut operation);
        let (mut next, mut allocated) = (warm_up, 0);
        let batches = [(); SLICES].map(|()| {
            let idle = Instant::now();
            while idle.elapsed() < gap {
                spin_loop();
            }
            let (start, before) = (Instant::now(), allocations());
            (next..next + batch).for_each(&mut operation);
            let time = start.elapsed();
            allocated += allocations() - before;
            next += batch;
            time.as_secs_f64() * 1e9
        });
        self.counted = next;
        self.set(batches.into(), batch, per(allocated, batch * SLICES as u64));
    }

    /// Runs on two threads what does something so often as it is told. The time is
    /// that of one operation on each of them.
    pub(crate) fn repeat_together(&mut self, warm_up: u64, run: impl Fn(u64) + Sync) {
        if let Some(times) = self.only_repeat {
            return run(times);
        }
        let arrived = AtomicU64::new(0);
        let timed = || {
            run(warm_up);
            arrived.fetch_add(1, Ordering::Relaxed);
            // Whoever sleeps here may come when the other one is done.
            while arrived.load(Ordering::Relaxed) < 2 {
                spin_loop();
            }
            let (start, before) = (Instant::now(), allocations());
            run(TIMES_TOGETHER);
            (start, Instant::now(), allocations() - before)
        };
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(timed);
            (timed(), other.join().expect("it only counts"))
        });
        self.counted = 2 * (warm_up + TIMES_TOGETHER);
        // From the first one's start to the last one's end: two that never met,
        // because one was interrupted before its start, are not fast.
        let time = one.1.max(other.1) - one.0.min(other.0);
        let allocated = per(one.2 + other.2, 2 * TIMES_TOGETHER);
        self.set(vec![time.as_secs_f64() * 1e9], TIMES_TOGETHER, allocated);
    }

    fn set(&mut self, slices: Vec<f64>, times: u64, allocations: f64) {
        let slice = median(slices).expect("there are some");
        let nanos = slice / per(times, 1);
        self.cost = Some(Cost { nanos, allocations });
    }

    /// How often the operation was run in all, if it was measured.
    pub(crate) fn counted(&self) -> Option<u64> {
        self.only_repeat.is_none().then_some(self.counted)
    }
}

/// A function of its own, which `benches/count` finds by its name.
#[inline(never)]
fn only_repeat(times: u64, operation: impl FnMut(u64)) {
    (0..times).for_each(operation);
}

/// The fastest of a few tries counts: an interruption would make slices too short
/// for the clock.
fn operations_in_a_slice(run: &mut impl FnMut(u64) -> Duration) -> u64 {
    let mut times = 64;
    loop {
        let fastest = (0..3).map(|_| run(times)).min().unwrap_or_default();
        if fastest >= SLICE_TIME / 2 {
            return times;
        }
        times *= 2;
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn per(some: u64, times: u64) -> f64 {
    some as f64 / times as f64
}

/// Runs one case so often, for whoever counts instructions from outside.
pub(crate) fn repeat(case: &Case, times: u64) {
    (case.run)(&mut Stopwatch {
        only_repeat: Some(times),
        ..Stopwatch::default()
    });
}

/// Visits all cases in turn, many times over.
pub(crate) fn take_turns(cases: &[Case]) -> Results {
    let mut results = Results::default();
    let mut slices = vec![None; cases.len()];
    for round in 0..ROUNDS {
        let mut order: Vec<_> = cases.iter().zip(&mut slices).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for (case, slice) in order {
            if round % case.every > 0 {
                continue;
            }
            let mut watch = Stopwatch {
                slice: *slice,
                ..Stopwatch::default()
            };
            (case.run)(&mut watch);
            *slice = watch.slice;
            results.add(&case.name, round, watch.cost.expect("it is measured"));
        }
    }
    results
}
