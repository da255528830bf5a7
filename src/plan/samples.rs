//! The measurements that one event or span recorded.

use crate::value::Amount;

/// The first few measurements, which nearly always are all.
pub(super) struct Samples {
    len: usize,
    measures: [u8; FEW],
    // The parts of an `Amount` in arrays of their kind, so that nothing is copied together
    // that was written one by one.
    bits: [u64; FEW],
    is_whole: [bool; FEW],
}

const FEW: usize = 4;

impl Samples {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self {
            len: 0,
            measures: [0; FEW],
            bits: [0; FEW],
            is_whole: [false; FEW],
        }
    }

    /// Whether there was room.
    #[inline(always)]
    pub(super) fn push(&mut self, measure: u8, amount: Amount) -> bool {
        let at = self.len;
        let has_room = at < FEW;
        if has_room {
            self.measures[at] = measure;
            (self.bits[at], self.is_whole[at]) = amount.to_parts();
            self.len = at + 1;
        }
        has_room
    }

    #[inline(always)]
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Each with its measure.
    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, Amount)> {
        (0..self.len.min(FEW)).map(|at| {
            let parts = (self.bits[at], self.is_whole[at]);
            (self.measures[at], Amount::from_parts(parts))
        })
    }
}
