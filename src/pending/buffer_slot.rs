//! Where a series' pending measurements are in the buffer of each thread.

use crate::kind::Kind;

/// A series' slot in the buffer of each thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BufferSlot {
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

/// The slots of a thread's buffer: 8 MB of sums, and 320 kB of samples, if the thread measures
/// all of them.
const MOST_SUMS: u32 = 1024 * 1024;
const MOST_SAMPLES: u32 = 1024;

/// The slots that are left. Those of series that are gone are not used again.
#[derive(Default)]
pub(super) struct BufferSlots {
    sums: u32,
    samples: u32,
}

impl BufferSlots {
    pub(super) fn take(&mut self, kind: Kind) -> Option<BufferSlot> {
        let next = |len: &mut u32, most| {
            let at = *len;
            *len += u32::from(at < most);
            (at < most).then_some(at)
        };
        match kind {
            Kind::Counter => {
                let added = SumIndex(next(&mut self.sums, MOST_SUMS)?);
                Some(BufferSlot::Counter { added })
            }
            Kind::UpDownCounter => {
                let added = SumIndex(next(&mut self.sums, MOST_SUMS)?);
                let taken_back = SumIndex(next(&mut self.sums, MOST_SUMS)?);
                Some(BufferSlot::UpDownCounter { added, taken_back })
            }
            Kind::Histogram => {
                let at = next(&mut self.samples, MOST_SAMPLES)?;
                Some(BufferSlot::Histogram(SamplesIndex(at)))
            }
            // Its last value counts, and there is no last one among threads.
            Kind::Gauge => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_to_an_end() {
        let mut slots = BufferSlots::default();
        let taken = |slots: &mut BufferSlots, kind| {
            (0..=2 * MOST_SUMS).map_while(|_| slots.take(kind)).count()
        };
        assert_eq!(taken(&mut slots, Kind::Counter), MOST_SUMS as usize);
        assert!(slots.take(Kind::UpDownCounter).is_none());
        assert_eq!(taken(&mut slots, Kind::Histogram), MOST_SAMPLES as usize);
        assert!(slots.take(Kind::Gauge).is_none());
    }
}
