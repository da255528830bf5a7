//! The parts of a span's id: where `tracing-subscriber`'s registry keeps the span.
//!
//! The registry keeps spans in a `sharded_slab::Pool`, and a span's id is its key there
//! plus one. From the lowest bit a key holds the index among the spans of the thread that
//! opened it, that thread's number, and a generation that distinguishes the spans that had
//! that index one after the other. Indices are dense: they stay below the most spans that the
//! thread ever had open at once.
//!
//! Ids of another registry are split in the same way. The parts are always those of one id
//! only, but they need not be dense.

/// The index has a bit for each page of a thread, and those of a first page of 32.
const INDEX_BITS: u32 = usize::BITS / 2 + 6;
/// 4096 threads on 64 bits, and 128 on 32 bits, in one bit more than they need.
const THREAD_BITS: u32 = if usize::BITS == 64 { 13 } else { 8 };

/// The parts of a span's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RegistryId {
    /// Among the spans that its thread opened.
    pub(crate) index: u64,
    pub(crate) thread: u64,
    pub(crate) generation: u64,
}

impl RegistryId {
    #[inline]
    pub(crate) const fn of(id: u64) -> Self {
        let key = id.wrapping_sub(1);
        Self {
            index: key & low_bits(INDEX_BITS),
            thread: key >> INDEX_BITS & low_bits(THREAD_BITS),
            generation: key >> (INDEX_BITS + THREAD_BITS),
        }
    }

    /// The id that these are the parts of.
    pub(crate) const fn id(self) -> u64 {
        let above = self.thread | self.generation << THREAD_BITS;
        (self.index | above << INDEX_BITS).wrapping_add(1)
    }
}

const fn low_bits(bits: u32) -> u64 {
    (1 << bits) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::{Identity, SubscriberExt};

    use super::*;

    /// Pins the layout: a release of the registry with another one fails here.
    #[test]
    fn the_registrys_ids_hold_index_thread_and_generation() {
        let parts = |span: &tracing::Span| RegistryId::of(span.id().unwrap().into_u64());
        // Without a layer the registry keeps spans that have closed.
        let registry = Registry::default().with(Identity::new());
        tracing::subscriber::with_default(registry, || {
            let first = tracing::info_span!("first");
            let at = parts(&first);
            assert_eq!((at.index, at.generation), (0, 0));
            let more: Vec<_> = (0..1000).map(|_| tracing::info_span!("more")).collect();
            for (index, span) in (1..).zip(&more) {
                let expected = RegistryId { index, ..at };
                assert_eq!(parts(span), expected);
            }
            drop(first);
            let again = parts(&tracing::info_span!("again"));
            assert_eq!((again.index, again.thread), (0, at.thread));
            assert_eq!(again.generation, 1);
            let elsewhere = tracing::dispatcher::get_default(Clone::clone);
            let elsewhere = std::thread::spawn(move || {
                tracing::dispatcher::with_default(&elsewhere, || {
                    parts(&tracing::info_span!("elsewhere"))
                })
            });
            let elsewhere = elsewhere.join().unwrap();
            assert_ne!(elsewhere.thread, at.thread);
            assert_eq!((elsewhere.index, elsewhere.generation), (0, 0));
        });
    }

    proptest! {
        #[test]
        fn the_parts_of_an_id_are_those_of_no_other(id in 1_u64..) {
            prop_assert_eq!(RegistryId::of(id).id(), id);
        }
    }
}
