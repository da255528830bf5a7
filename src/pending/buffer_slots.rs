//! How much may be pending on a thread: which slots are left in its buffer.

use super::buffer_slot::BufferSlot;
use super::thread_buffer::{SAMPLES_BYTES, SUM_BYTES};
use crate::kind::Kind;

/// The bytes of a thread's sums, and of its samples, if the thread measures all that have a
/// slot: 1 048 576 sums, and 1024 histograms.
const MOST_BYTES_OF_SUMS: usize = 8 * 1024 * 1024;
const MOST_BYTES_OF_SAMPLES: usize = 320 * 1024;

/// The slots that are taken, in bytes. Those of series that are gone are not used again.
#[derive(Default)]
pub(super) struct BufferSlots {
    sums: Taken<SUM_BYTES, MOST_BYTES_OF_SUMS>,
    samples: Taken<SAMPLES_BYTES, MOST_BYTES_OF_SAMPLES>,
}

impl BufferSlots {
    pub(super) fn take(&mut self, kind: Kind) -> Option<BufferSlot> {
        match kind {
            Kind::Counter => self.sums.take(1).map(BufferSlot::counter),
            Kind::UpDownCounter => self.sums.take(2).map(BufferSlot::up_down_counter),
            Kind::Histogram => self.samples.take(1).map(BufferSlot::histogram),
            // Its last value counts, and there is no last one among threads.
            Kind::Gauge => None,
        }
    }
}

/// How many buffers of so many bytes were taken, of at most `MOST` bytes in all.
#[derive(Default)]
struct Taken<const BYTES: usize, const MOST: usize>(u32);

impl<const BYTES: usize, const MOST: usize> Taken<BYTES, MOST> {
    /// The index of the first of some more, if there is room for them.
    fn take(&mut self, more: u32) -> Option<u32> {
        const { assert!(MOST / BYTES < BufferSlot::MOST) };
        let first = self.0;
        let has_room = (first + more) as usize * BYTES <= MOST;
        self.0 += if has_room { more } else { 0 };
        has_room.then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pending::buffer_slot::{Buffer, SamplesIndex, SumIndex};

    #[test]
    fn what_is_in_a_slot_is_read_from_it() {
        let mut slots = BufferSlots::default();
        let kinds = [Kind::UpDownCounter, Kind::Counter, Kind::Histogram];
        let taken = kinds.map(|kind| slots.take(kind).map(BufferSlot::buffer));
        assert!(matches!(
            taken,
            [
                Some(Buffer::UpDownCounter {
                    added: SumIndex(0),
                    taken_back: SumIndex(1)
                }),
                Some(Buffer::Counter { added: SumIndex(2) }),
                Some(Buffer::Histogram(SamplesIndex(0))),
            ]
        ));
    }

    #[test]
    fn slots_come_to_an_end() {
        let mut slots = BufferSlots::default();
        let taken = |slots: &mut BufferSlots, kind| {
            (0..=2 * MOST_BYTES_OF_SUMS)
                .map_while(|_| slots.take(kind))
                .count()
        };
        assert_eq!(taken(&mut slots, Kind::Counter), 1024 * 1024);
        assert!(slots.take(Kind::UpDownCounter).is_none());
        assert_eq!(taken(&mut slots, Kind::Histogram), 1024);
        assert!(slots.take(Kind::Gauge).is_none());
    }
}
