//! A ring of numbers from one thread to another.
//!
//! Invariant: one thread pushes, and one thread at a time drains. The writer releases
//! `written` after a value is there, and the reader acquires it; the reader releases `read`
//! after a value is taken, and the writer acquires it before it uses the slot again.

use std::array::from_fn;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The latest numbers of one thread. `CAPACITY` is a power of two.
#[repr(align(64))]
pub(crate) struct Ring<const CAPACITY: usize> {
    values: [AtomicU64; CAPACITY],
    /// How many were ever written and read. Both wrap around, at a multiple of the capacity.
    written: AtomicU32,
    read: AtomicU32,
}

impl<const CAPACITY: usize> Ring<CAPACITY> {
    /// Whether there was room.
    #[inline]
    pub(crate) fn push(&self, value: f64) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        let waiting = written.wrapping_sub(self.read.load(Ordering::Acquire));
        let is_full = waiting as usize >= CAPACITY;
        if !is_full {
            let slot = &self.values[written as usize % CAPACITY];
            slot.store(value.to_bits(), Ordering::Relaxed);
            let written = written.wrapping_add(1);
            self.written.store(written, Ordering::Release);
        }
        !is_full
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written.load(Ordering::Relaxed) == self.read.load(Ordering::Relaxed)
    }

    /// Takes what was pushed until now, the oldest first.
    pub(crate) fn drain(&self, take: &mut impl FnMut(f64)) {
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

impl<const CAPACITY: usize> Default for Ring<CAPACITY> {
    fn default() -> Self {
        const { assert!(CAPACITY.is_power_of_two()) };
        Self {
            values: from_fn(|_| AtomicU64::new(0)),
            written: AtomicU32::new(0),
            read: AtomicU32::new(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_out_once_and_in_order_however_often_the_ring_wraps() {
        let samples = Ring::<32>::default();
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
        let samples = Ring::<32>::default();
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
}
