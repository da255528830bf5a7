//! Where a series' pending measurements are in the buffer of each thread.

/// A series' slot in the buffer of each thread.
///
/// One for each measure of each label set is kept, so it is half a word: its index, and in the
/// two lowest bits what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BufferSlot(u32);

/// What is in a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Buffer {
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

/// Which sum it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SumIndex(pub(super) u32);

/// Which ring it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SamplesIndex(pub(super) u32);

const COUNTER: u32 = 0;
const UP_DOWN_COUNTER: u32 = 1;
const HISTOGRAM: u32 = 2;
const KIND_BITS: u32 = 2;

impl BufferSlot {
    /// More than there is room for on a thread.
    pub(super) const MOST: usize = 1 << (u32::BITS - KIND_BITS);

    pub(super) const fn counter(sum: u32) -> Self {
        Self(sum << KIND_BITS | COUNTER)
    }

    /// With this sum, and the next one for what is taken back.
    pub(super) const fn up_down_counter(sum: u32) -> Self {
        Self(sum << KIND_BITS | UP_DOWN_COUNTER)
    }

    pub(super) const fn histogram(samples: u32) -> Self {
        Self(samples << KIND_BITS | HISTOGRAM)
    }

    #[inline(always)]
    pub(crate) const fn buffer(self) -> Buffer {
        let index = self.0 >> KIND_BITS;
        match self.0 & ((1 << KIND_BITS) - 1) {
            COUNTER => Buffer::Counter {
                added: SumIndex(index),
            },
            UP_DOWN_COUNTER => Buffer::UpDownCounter {
                added: SumIndex(index),
                taken_back: SumIndex(index + 1),
            },
            _ => Buffer::Histogram(SamplesIndex(index)),
        }
    }
}
