//! An append-only hash map that is read without a lock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::no_poison::NoPoison;

const FIRST_TABLE: usize = 8;
const GROWTH: usize = 2;
/// Enough for more entries than there is memory for.
const TABLES: usize = 32;

/// Keys and values that are inserted once, never changed and never removed.
///
/// A reader takes no lock: plans and routes live here, and a measurement looks up
/// one of each. Only who inserts takes turns. An entry has a position, by which it
/// can be found again without its key.
///
/// Invariants: every entry stands in the current table, which always has an empty
/// slot, so that a search ends there. Tables stay when larger ones take over, so
/// that positions stay, too.
pub(crate) struct OnceMap<K, V> {
    tables: [OnceLock<Table<K, V>>; TABLES],
    current: AtomicUsize,
    len: NoPoison<usize>,
}

/// Open addressing: an entry is in the first free slot from where its hash points.
type Table<K, V> = Box<[OnceLock<Slot<K, V>>]>;

struct Slot<K, V> {
    hash: u64,
    entry: Arc<Entry<K, V>>,
}

pub(crate) struct Entry<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
}

/// Where an entry stands in its map: the table, and the slot in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position(u64);

impl<K, V> OnceMap<K, V> {
    pub(crate) const fn new() -> Self {
        Self {
            tables: [const { OnceLock::new() }; TABLES],
            current: AtomicUsize::new(0),
            len: NoPoison::new(0),
        }
    }

    /// The entry under `hash` whose key satisfies `is_key`.
    #[inline(always)]
    pub(crate) fn get(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
    ) -> Option<(Position, &Entry<K, V>)> {
        let current = self.current.load(Ordering::Acquire);
        let table = self.tables.get(current)?.get()?;
        let mut at = start(hash);
        loop {
            // The number of slots is a power of two.
            at &= table.len() - 1;
            let slot = table[at].get()?;
            if slot.hash == hash && is_key(&slot.entry.key) {
                return Some((Position::new(current, at), &slot.entry));
            }
            at += 1;
        }
    }

    #[inline(always)]
    pub(crate) fn at(&self, position: Position) -> Option<&Entry<K, V>> {
        let table = self.tables.get(position.table())?.get()?;
        Some(&table.get(position.slot())?.get()?.entry)
    }

    /// Inserts, unless the key is there already: the first one in wins.
    pub(crate) fn insert(&self, hash: u64, key: K, value: V) -> (Position, &Entry<K, V>)
    where
        K: PartialEq,
    {
        let mut len = self.len.lock();
        if let Some(there) = self.get(hash, |known| *known == key) {
            return there;
        }
        let (current, table) = self.table_with_room(*len);
        let entry = Arc::new(Entry { key, value });
        *len += 1;
        let (at, entry) = put(table, Slot { hash, entry });
        (Position::new(current, at), entry)
    }

    /// The current table, or a larger one that becomes it.
    fn table_with_room(&self, len: usize) -> (usize, &Table<K, V>) {
        let current = self.current.load(Ordering::Relaxed);
        let table = self.tables[current].get_or_init(|| empty_table(FIRST_TABLE));
        // Up to three quarters are taken.
        if (len + 1) * 4 <= table.len() * 3 {
            return (current, table);
        }
        let next = current + 1;
        let larger = self.tables[next].get_or_init(|| {
            let larger = empty_table(table.len() * GROWTH);
            for slot in table.iter().filter_map(OnceLock::get) {
                put(&larger, slot.clone());
            }
            larger
        });
        self.current.store(next, Ordering::Release);
        (next, larger)
    }
}

impl Position {
    const fn new(table: usize, slot: usize) -> Self {
        Self((table as u64) << 32 | slot as u64)
    }

    #[allow(clippy::cast_possible_truncation, reason = "it came from a usize")]
    const fn table(self) -> usize {
        (self.0 >> 32) as usize
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    const fn slot(self) -> usize {
        self.0 as u32 as usize
    }

    /// For an atomic to keep.
    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    /// Of bits that never were a position nothing is found, or something else.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl<K, V> Clone for Slot<K, V> {
    fn clone(&self) -> Self {
        Self {
            hash: self.hash,
            entry: Arc::clone(&self.entry),
        }
    }
}

/// Only called by whoever holds the map's lock, with room for one more.
fn put<K, V>(table: &Table<K, V>, slot: Slot<K, V>) -> (usize, &Entry<K, V>) {
    let mut at = start(slot.hash);
    loop {
        at &= table.len() - 1;
        if table[at].get().is_none() {
            return (at, &table[at].get_or_init(|| slot).entry);
        }
        at += 1;
    }
}

fn empty_table<K, V>(size: usize) -> Table<K, V> {
    (0..size).map(|_| OnceLock::new()).collect()
}

#[allow(clippy::cast_possible_truncation, reason = "to be masked")]
const fn start(hash: u64) -> usize {
    hash as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn spread(key: u64) -> u64 {
        key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn finds_every_key_after_growing_through_many_tables() {
        let map = OnceMap::new();
        for key in 0..5_000_u64 {
            map.insert(spread(key), key, key * 2);
        }
        for key in 0..5_000_u64 {
            let (position, entry) = map.get(spread(key), |k| *k == key).unwrap();
            assert_eq!((entry.key, entry.value), (key, key * 2));
            assert_eq!(map.at(position).unwrap().key, key);
        }
        assert!(map.get(spread(5_000), |k| *k == 5_000).is_none());
    }

    #[test]
    fn a_position_stays_when_the_map_grows() {
        let map = OnceMap::new();
        let (first, _) = map.insert(spread(0), 0, ());
        for key in 1..100 {
            map.insert(spread(key), key, ());
        }
        assert_eq!(map.at(first).unwrap().key, 0);
    }

    #[test]
    fn keys_with_one_hash_stay_apart() {
        let map = OnceMap::new();
        for key in 0..20_u64 {
            map.insert(7, key, key);
        }
        for key in 0..20_u64 {
            let (_, entry) = map.get(7, |k| *k == key).unwrap();
            assert_eq!(entry.value, key);
        }
        assert!(map.get(7, |k| *k == 20).is_none());
    }

    #[test]
    fn the_first_value_of_a_key_wins_on_every_thread() {
        let map = OnceMap::new();
        let seen: Vec<Vec<usize>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|worker| {
                    let map = &map;
                    scope.spawn(move || {
                        (0..200_u64)
                            .map(|key| map.insert(spread(key), key, worker).1.value)
                            .collect()
                    })
                })
                .collect();
            workers.into_iter().map(|w| w.join().unwrap()).collect()
        });
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
