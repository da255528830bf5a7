//! An append-only hash map that is read without a lock.
//!
//! Invariant: any thread may read; only the thread that holds the lock of `len` writes. An
//! entry is complete before its cell shows it or its position is released into a table, and
//! a larger table is complete before it is released as the current one; readers acquire all.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::Mutex;
use super::blocks::Blocks;

/// The entries of a block. Those of a plan's bindings take 3 kB.
const BLOCK: usize = 32;
const FIRST_TABLE: usize = 16;
const GROWTH: usize = 2;
/// Enough for more entries than there is memory for.
const TABLES: usize = 24;

const EMPTY: u32 = 0;

/// Keys and values that are inserted once, never changed and never removed.
///
/// A reader takes no lock: plans and bindings live here, and a measurement looks up
/// one of each. Only insertions take turns. Entries are neighbours, so that
/// thousands of them stay near the processor, and have a position, by which they
/// can be found again without their key.
///
/// Where a map is small no table is looked at: the first entry whose hash has these low bits
/// is in the cell of that number. Every other one is in the current table, of which at least a
/// fifth is empty, so that a search ends.
pub(crate) struct OnceMap<K, V, const DIRECT: usize, Align = CacheLine> {
    tables: [OnceLock<Table>; TABLES],
    current: AtomicUsize,
    entries: Blocks<EntryCell<K, V, Align>, DIRECT, BLOCK>,
    len: Mutex<Len>,
}

#[derive(Clone, Copy, Default)]
struct Len {
    all: usize,
    in_table: u32,
}

/// Open addressing. A table has a power of two of slots, and fewer entries: the low bits of a
/// slot, as many as number the slots, are one more than which entry it is, and never zero. The
/// other bits are those of the upper half of its hash.
type Table = Box<[AtomicU32]>;

struct EntryCell<K, V, Align> {
    entry: OnceLock<Entry<K, V>>,
    _align: [Align; 0],
}

/// Aligns entries that are looked at often, so that none takes one line more than it fills.
#[repr(align(64))]
pub(crate) struct CacheLine;

/// The same for entries of one line and a half, none of which takes more than two lines.
#[repr(align(32))]
pub(crate) struct HalfLine;

/// Aligns entries of which there are many, and which are rarely looked at.
pub(crate) struct SideBySide;

pub(crate) struct Entry<K, V> {
    pub(crate) hash: u64,
    pub(crate) key: K,
    pub(crate) value: V,
}

/// What became of an entry.
pub(crate) enum Inserted<'a, K, V> {
    /// It was there already.
    Before(&'a Entry<K, V>),
    Now(&'a Entry<K, V>),
    NoRoom,
}

/// Where an entry is in its map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position(u32);

impl<K, V, const DIRECT: usize, Align> OnceMap<K, V, DIRECT, Align> {
    pub(crate) const fn new() -> Self {
        assert!(DIRECT.is_power_of_two());
        Self {
            tables: [const { OnceLock::new() }; TABLES],
            current: AtomicUsize::new(0),
            entries: Blocks::new(),
            len: Mutex::new(Len {
                all: 0,
                in_table: 0,
            }),
        }
    }

    /// The entry under `hash` whose key satisfies `is_key`.
    #[inline(always)]
    pub(crate) fn get(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
    ) -> Option<(Position, &Entry<K, V>)> {
        let position = direct::<DIRECT>(hash);
        let entry = self.at(position)?;
        if entry.hash == hash && is_key(&entry.key) {
            return Some((position, entry));
        }
        self.search(hash, is_key)
    }

    #[inline(never)]
    fn search(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<(Position, &Entry<K, V>)> {
        let current = self.current.load(Ordering::Acquire);
        let table = self.tables.get(current)?.get()?;
        let (number, tag) = (number_bits(table), tag(hash));
        let mut at = start(hash);
        loop {
            at &= table.len() - 1;
            let slot = table[at].load(Ordering::Acquire);
            if slot == EMPTY {
                return None;
            }
            if (slot ^ tag) & !number == 0 {
                let position = in_table::<DIRECT>((slot & number) - 1);
                let entry = self.at(position)?;
                if is_key(&entry.key) {
                    return Some((position, entry));
                }
            }
            at += 1;
        }
    }

    #[inline(always)]
    pub(crate) fn at(&self, position: Position) -> Option<&Entry<K, V>> {
        self.entries.get(position.0)?.entry.get()
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
        self.push(&mut len, hash, key, value)
    }

    /// Inserts one more, if there are fewer than `most` and none that `is_key` knows.
    pub(crate) fn insert_within(
        &self,
        most: usize,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        make: impl FnOnce() -> (K, V),
    ) -> Inserted<'_, K, V> {
        let mut len = self.len.lock();
        if let Some((_, entry)) = self.get(hash, is_key) {
            return Inserted::Before(entry);
        }
        if len.all >= most {
            return Inserted::NoRoom;
        }
        let (key, value) = make();
        Inserted::Now(self.push(&mut len, hash, key, value).1)
    }

    pub(crate) fn len(&self) -> usize {
        self.len.lock().all
    }

    /// Those that are there now, in no order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry<K, V>> {
        let len = *self.len.lock();
        let direct = (0..cells::<DIRECT>()).map(Position);
        let in_table = (0..len.in_table).map(in_table::<DIRECT>);
        direct.chain(in_table).filter_map(|at| self.at(at))
    }

    fn push(&self, len: &mut Len, hash: u64, key: K, value: V) -> (Position, &Entry<K, V>) {
        let entry = Entry { hash, key, value };
        let direct = direct::<DIRECT>(hash);
        len.all += 1;
        if self.at(direct).is_none() {
            return (direct, self.fill(direct, entry));
        }
        let table = self.table_for_one_more_than(len.in_table);
        let position = in_table::<DIRECT>(len.in_table);
        let entry = self.fill(position, entry);
        put(table, len.in_table, hash);
        len.in_table += 1;
        (position, entry)
    }

    fn fill(&self, position: Position, entry: Entry<K, V>) -> &Entry<K, V> {
        let cell = self.entries.get_or_grow(position.0);
        cell.entry.get_or_init(|| entry)
    }

    /// The current table, or a larger one that becomes it.
    fn table_for_one_more_than(&self, len: u32) -> &Table {
        let current = self.current.load(Ordering::Relaxed);
        let table = self.tables[current].get_or_init(|| empty_table(FIRST_TABLE));
        if 5 * (len as usize + 1) <= 4 * table.len() {
            return table;
        }
        let larger = self.tables[current + 1].get_or_init(|| {
            let larger = empty_table(GROWTH * table.len());
            for nth in 0..len {
                if let Some(entry) = self.at(in_table::<DIRECT>(nth)) {
                    put(&larger, nth, entry.hash);
                }
            }
            larger
        });
        self.current.store(current + 1, Ordering::Release);
        larger
    }
}

impl<K, V, Align> Default for EntryCell<K, V, Align> {
    fn default() -> Self {
        Self {
            entry: OnceLock::new(),
            _align: [],
        }
    }
}

impl Position {
    /// Where no entry is.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// For an atomic to keep.
    pub(crate) const fn to_bits(self) -> u32 {
        self.0
    }

    /// Of bits that never were a position nothing is found, or something else.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// Only called under the map's lock, with room for one more.
fn put(table: &Table, nth: u32, hash: u64) {
    let number = number_bits(table);
    let mut at = start(hash);
    loop {
        at &= table.len() - 1;
        if table[at].load(Ordering::Relaxed) == EMPTY {
            let slot = (tag(hash) & !number) | (nth + 1);
            return table[at].store(slot, Ordering::Release);
        }
        at += 1;
    }
}

fn empty_table(size: usize) -> Table {
    (0..size).map(|_| AtomicU32::new(EMPTY)).collect()
}

/// The bits of a slot that say which entry it is.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "entries are numbered by 32 bits"
)]
const fn number_bits(table: &Table) -> u32 {
    table.len() as u32 - 1
}

/// The direct cell of a hash.
#[inline(always)]
const fn direct<const DIRECT: usize>(hash: u64) -> Position {
    Position(low_bits(hash) & (cells::<DIRECT>() - 1))
}

/// The position of the nth entry that is in the table.
const fn in_table<const DIRECT: usize>(nth: u32) -> Position {
    Position(cells::<DIRECT>() + nth)
}

#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "a map has few direct cells"
)]
const fn cells<const DIRECT: usize>() -> u32 {
    DIRECT as u32
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the lower half")]
const fn low_bits(of: u64) -> u32 {
    of as u32
}

const fn tag(hash: u64) -> u32 {
    low_bits(hash >> 32)
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
        let map = OnceMap::<_, _, 8>::new();
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
    fn every_entry_comes_once() {
        let map = OnceMap::<_, _, 8>::new();
        for key in 0..100_u64 {
            map.insert(spread(key), key, ());
        }
        let mut keys: Vec<u64> = map.entries().map(|entry| entry.key).collect();
        keys.sort_unstable();
        assert!(keys.into_iter().eq(0..100));
        assert_eq!(map.len(), 100);
    }

    #[test]
    fn a_position_stays_when_the_map_grows() {
        let map = OnceMap::<_, _, 8>::new();
        let (first, _) = map.insert(spread(0), 0, ());
        for key in 1..100 {
            map.insert(spread(key), key, ());
        }
        assert_eq!(map.at(first).unwrap().key, 0);
    }

    #[test]
    fn keys_with_one_hash_stay_separate() {
        let map = OnceMap::<_, _, 8>::new();
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
        let map = OnceMap::<_, _, 8>::new();
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
