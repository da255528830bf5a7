//! The hash of label values, taken while they are written.
//!
//! Values come from users, so the numbers that they are multiplied with are
//! random, each plan has its own, and two values of one hash are compared in full.

use std::hash::{BuildHasher, RandomState};

/// The random start of a hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed {
    state: u64,
    key: u64,
}

/// A hash of words: each pair is multiplied to 128 bits, and both halves stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct LabelHash {
    state: u64,
    key: u64,
}

impl Seed {
    pub(crate) fn random() -> Self {
        let random = RandomState::new();
        Self {
            state: random.hash_one(0),
            key: random.hash_one(1),
        }
    }
}

impl LabelHash {
    pub(super) const fn new(seed: Seed) -> Self {
        let Seed { state, key } = seed;
        Self { state, key }
    }

    /// An entry's head, and the first word of its value.
    #[inline(always)]
    pub(super) fn write(&mut self, head: u64, word: u64) {
        self.state = folded_multiply(self.state ^ head, self.key ^ word);
    }

    pub(super) const fn finish(self) -> u64 {
        self.state
    }
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the halves of the product")]
fn folded_multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
