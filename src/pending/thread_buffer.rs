//! The measurements of one thread that are pending.

use super::buffer_slot::{Buffer, BufferSlot, SamplesIndex, SumIndex};
use crate::sync::blocks::Blocks;
use crate::sync::ring::Ring;
use crate::sync::total::Total;
use crate::value::Amount;

/// How many samples of one series wait at most.
const CAPACITY: usize = 32;

/// What a sum takes of a thread, and the samples of a histogram.
pub(super) const SUM_BYTES: usize = size_of::<Total>();
pub(super) const SAMPLES_BYTES: usize = size_of::<Ring<CAPACITY>>();

/// What is pending of one thread.
#[derive(Default)]
pub(crate) struct ThreadBuffer {
    sums: Blocks<Line, LINES>,
    samples: Blocks<Ring<CAPACITY>, 1>,
}

impl ThreadBuffer {
    /// Only called by the thread that it belongs to. Whether the value could be taken.
    #[inline(always)]
    pub(super) fn add(&self, slot: BufferSlot, amount: Amount) -> bool {
        match slot.buffer() {
            Buffer::Counter { added } => match amount.as_whole() {
                // A zero is passed on: it makes the series visible.
                None | Some(0) => false,
                Some(value) => self.grow(added, value),
            },
            Buffer::UpDownCounter { added, .. } if amount == Amount::ONE => self.grow(added, 1),
            Buffer::UpDownCounter { taken_back, .. } if amount == Amount::MINUS_ONE => {
                self.grow(taken_back, 1)
            }
            Buffer::UpDownCounter { .. } => false,
            Buffer::Histogram(at) => {
                let samples = self.samples.get(at.0);
                samples
                    .unwrap_or_else(|| self.samples.get_or_grow(at.0))
                    .push(amount.to_f64())
            }
        }
    }

    pub(super) fn sum(&self, at: SumIndex) -> f64 {
        let (line, at) = Line::locate(at);
        self.sums.get(line).map_or(0.0, |line| line.0[at].get())
    }

    /// Only called by one thread at a time.
    pub(super) fn drain(&self, at: SamplesIndex, take: &mut impl FnMut(f64)) {
        if let Some(samples) = self.samples.get(at.0) {
            samples.drain(take);
        }
    }

    pub(super) fn holds(&self, at: SamplesIndex) -> bool {
        let samples = self.samples.get(at.0);
        samples.is_some_and(|samples| !samples.is_empty())
    }

    #[inline(always)]
    fn grow(&self, at: SumIndex, value: u32) -> bool {
        let (line, at) = Line::locate(at);
        let line = self
            .sums
            .get(line)
            .unwrap_or_else(|| self.sums.get_or_grow(line));
        line.0[at].add(value)
    }
}

/// The sums of a few series, on a cache line that only one thread writes.
#[derive(Default)]
#[repr(align(64))]
struct Line([Total; SUMS as usize]);

const SUMS: u32 = 8;
/// Four kilobytes are allocated at once.
const LINES: usize = 64;

impl Line {
    #[inline]
    const fn locate(sum: SumIndex) -> (u32, usize) {
        (sum.0 / SUMS, (sum.0 % SUMS) as usize)
    }
}
