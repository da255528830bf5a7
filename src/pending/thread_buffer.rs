//! Where a series' measurements wait on each thread.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::kind::Kind;
use crate::sync::segmented::Blocks;
use crate::value::Amount;

/// Which of each thread's places are a series'.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Counter {
        added: SumIndex,
    },
    /// Two sums that only grow, so that they can be read one after the other.
    UpDownCounter {
        added: SumIndex,
        taken_back: SumIndex,
    },
    Histogram(SamplesIndex),
}

/// The places that a thread has for what it measures itself: 8 MB of sums, and 320 kB of
/// samples, if it measures all of them.
const MOST_SUMS: u32 = 1024 * 1024;
const MOST_SAMPLES: u32 = 1024;

/// Hands out places. Those of series that are gone are not used again.
#[derive(Default)]
pub(super) struct Places {
    sums: u32,
    samples: u32,
}

impl Places {
    pub(super) fn take(&mut self, kind: Kind) -> Option<Place> {
        let next = |len: &mut u32, most| {
            let at = *len;
            *len += u32::from(at < most);
            (at < most).then_some(at)
        };
        match kind {
            Kind::Counter => {
                let added = SumIndex(next(&mut self.sums, MOST_SUMS)?);
                Some(Place::Counter { added })
            }
            Kind::UpDownCounter => {
                let added = SumIndex(next(&mut self.sums, MOST_SUMS)?);
                let taken_back = SumIndex(next(&mut self.sums, MOST_SUMS)?);
                Some(Place::UpDownCounter { added, taken_back })
            }
            Kind::Histogram => {
                let at = next(&mut self.samples, MOST_SAMPLES)?;
                Some(Place::Histogram(SamplesIndex(at)))
            }
            // Its last value counts, and there is no last one among threads.
            Kind::Gauge => None,
        }
    }
}

/// What waits on one thread.
#[derive(Default)]
pub(super) struct ThreadBuffer {
    sums: Blocks<Line, LINES>,
    samples: Blocks<Samples, 1>,
}

impl ThreadBuffer {
    /// Only called by the thread that it belongs to. Whether the value could be taken.
    #[inline(always)]
    pub(super) fn add(&self, place: Place, amount: Amount) -> bool {
        match place {
            Place::Counter { added } => match amount.as_whole() {
                // A zero is passed on: it makes the series visible.
                None | Some(0) => false,
                Some(value) => self.grow(added, value),
            },
            Place::UpDownCounter { added, .. } if amount == Amount::ONE => self.grow(added, 1),
            Place::UpDownCounter { taken_back, .. } if amount == Amount::MINUS_ONE => {
                self.grow(taken_back, 1)
            }
            Place::UpDownCounter { .. } => false,
            Place::Histogram(SamplesIndex(at)) => {
                let samples = self.samples.get(at);
                samples
                    .unwrap_or_else(|| self.samples.get_or_grow(at))
                    .push(amount.to_f64())
            }
        }
    }

    pub(super) fn sum(&self, at: SumIndex) -> f64 {
        let (line, place) = at.place();
        self.sums.get(line).map_or(0.0, |line| line.0[place].get())
    }

    /// Only called by one thread at a time.
    pub(super) fn drain(&self, at: SamplesIndex, take: &mut impl FnMut(f64)) {
        if let Some(samples) = self.samples.get(at.0) {
            samples.drain(take);
        }
    }

    pub(super) fn holds(&self, at: SamplesIndex) -> bool {
        self.samples.get(at.0).is_some_and(Samples::holds_any)
    }

    #[inline(always)]
    fn grow(&self, at: SumIndex, value: u32) -> bool {
        let (line, place) = at.place();
        let line = self
            .sums
            .get(line)
            .unwrap_or_else(|| self.sums.get_or_grow(line));
        line.0[place].add(value)
    }
}

/// The sums of a few series, on a cache line that only one thread writes.
#[derive(Default)]
#[repr(align(64))]
struct Line([Total; SUMS as usize]);

const SUMS: u32 = 8;
/// Four kilobytes are allocated at once.
const LINES: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(crate) struct SumIndex(u32);

impl SumIndex {
    #[inline(always)]
    const fn place(self) -> (u32, usize) {
        (self.0 / SUMS, (self.0 % SUMS) as usize)
    }
}

/// What only grows.
#[derive(Default)]
struct Total(AtomicU64);

/// A total up to this, and one more value, is exact as a float.
const MOST_TOTAL: u64 = 1 << 52;

impl Total {
    /// Whether there was room.
    #[inline(always)]
    fn add(&self, value: u32) -> bool {
        let total = self.0.load(Ordering::Relaxed);
        let has_room = total < MOST_TOTAL;
        if has_room {
            // A thread that sees this sees what happened before it on any thread.
            self.0.store(total + u64::from(value), Ordering::Release);
        }
        has_room
    }

    #[allow(clippy::cast_precision_loss, reason = "it is exact")]
    fn get(&self) -> f64 {
        self.0.load(Ordering::Acquire) as f64
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SamplesIndex(u32);

/// What a thread has observed of one series: a ring that this thread fills, and
/// that one thread at a time empties.
#[derive(Default)]
#[repr(align(64))]
struct Samples {
    values: [AtomicU64; CAPACITY],
    /// How many were ever written and read, but for what is lost when it wraps.
    written: AtomicU32,
    read: AtomicU32,
}

/// A power of two, so that the counters wrap around at its multiple.
const CAPACITY: usize = 32;

impl Samples {
    /// Whether there was room.
    #[inline(always)]
    fn push(&self, value: f64) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        let waiting = written.wrapping_sub(self.read.load(Ordering::Acquire));
        let is_full = waiting as usize >= CAPACITY;
        if !is_full {
            let place = &self.values[written as usize % CAPACITY];
            place.store(value.to_bits(), Ordering::Relaxed);
            let written = written.wrapping_add(1);
            self.written.store(written, Ordering::Release);
        }
        !is_full
    }

    fn holds_any(&self) -> bool {
        self.written.load(Ordering::Relaxed) != self.read.load(Ordering::Relaxed)
    }

    fn drain(&self, take: &mut impl FnMut(f64)) {
        let written = self.written.load(Ordering::Acquire);
        let mut read = self.read.load(Ordering::Relaxed);
        while read != written {
            let value = self.values[read as usize % CAPACITY].load(Ordering::Relaxed);
            take(f64::from_bits(value));
            read = read.wrapping_add(1);
        }
        self.read.store(read, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_out_once_and_in_order_however_often_the_ring_wraps() {
        let samples = Samples::default();
        // The counters are about to wrap around, too.
        samples.written.store(u32::MAX - 5, Ordering::Relaxed);
        samples.read.store(u32::MAX - 5, Ordering::Relaxed);
        let (mut next, mut drained) = (0.0, Vec::new());
        for _ in 0..10 {
            while samples.push(next) {
                next += 1.0;
            }
            samples.drain(&mut |value| drained.push(value));
        }
        assert!(drained.iter().copied().eq((0..320).map(f64::from)));
    }

    #[test]
    fn what_a_reader_empties_while_a_thread_writes_is_everything() {
        const TIMES: u32 = 100_000;
        let samples = Samples::default();
        let mut drained = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..TIMES {
                    while !samples.push(f64::from(n)) {
                        std::hint::spin_loop();
                    }
                }
            });
            while drained.len() < TIMES as usize {
                samples.drain(&mut |value| drained.push(value));
            }
        });
        assert!(drained.into_iter().eq((0..TIMES).map(f64::from)));
    }

    #[test]
    fn places_come_to_an_end() {
        let mut places = Places::default();
        let taken = |places: &mut Places, kind| {
            (0..=2 * MOST_SUMS).map_while(|_| places.take(kind)).count()
        };
        assert_eq!(taken(&mut places, Kind::Counter), MOST_SUMS as usize);
        assert!(places.take(Kind::UpDownCounter).is_none());
        assert_eq!(taken(&mut places, Kind::Histogram), MOST_SAMPLES as usize);
        assert!(places.take(Kind::Gauge).is_none());
    }
}
