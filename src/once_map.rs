//! An append-only hash map that is read without a lock.

use std::sync::OnceLock;

/// How many neighbouring slots a key may stand in before the next segment is
/// tried. One cache line or two: a miss stays cheap.
const WINDOW: usize = 8;
const FIRST_SEGMENT: usize = 64;
const GROWTH: usize = 4;
/// Segments stop growing here: keys whose hashes are all the same, were somebody
/// able to find them, shall cost time and not memory without bound.
const LARGEST_SEGMENT: usize = 64 * 1024;

/// Keys and values that are inserted once, never changed and never removed.
///
/// A reader pays one acquire load for each slot it looks at. Plans and routes
/// live here, which is why a measurement takes no lock on its way.
///
/// Invariant: a slot that was filled stays filled. A key is therefore always in
/// front of the first empty slot of its window, and a reader may stop there.
pub(crate) struct OnceMap<K, V> {
    first: OnceLock<Segment<K, V>>,
}

struct Segment<K, V> {
    slots: Box<[OnceLock<Entry<K, V>>]>,
    next: OnceLock<Box<Segment<K, V>>>,
}

struct Entry<K, V> {
    hash: u64,
    key: K,
    value: V,
}

impl<K, V> OnceMap<K, V> {
    pub(crate) const fn new() -> Self {
        Self {
            first: OnceLock::new(),
        }
    }

    /// The value under `hash` whose key satisfies `is_key`.
    #[inline]
    pub(crate) fn get(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<&V> {
        let mut segment = self.first.get()?;
        loop {
            for slot in segment.window(hash) {
                let entry = slot.get()?;
                if entry.hash == hash && is_key(&entry.key) {
                    return Some(&entry.value);
                }
            }
            segment = segment.next.get()?;
        }
    }

    /// Inserts, unless the key is there already: the first one in wins.
    pub(crate) fn insert(&self, hash: u64, key: K, value: V) -> &V
    where
        K: PartialEq,
    {
        let mut entry = Entry { hash, key, value };
        let mut size = FIRST_SEGMENT;
        let mut segment = self.first.get_or_init(|| Segment::new(size));
        loop {
            for slot in segment.window(hash) {
                match slot.set(entry) {
                    Ok(()) => return &slot.get().expect("the slot was just set").value,
                    Err(refused) => entry = refused,
                }
                let there = slot.get().expect("a slot that refuses is set");
                if there.hash == hash && there.key == entry.key {
                    return &there.value;
                }
            }
            size = (size * GROWTH).min(LARGEST_SEGMENT);
            segment = segment.next.get_or_init(|| Box::new(Segment::new(size)));
        }
    }
}

impl<K, V> Segment<K, V> {
    fn new(size: usize) -> Self {
        Self {
            slots: (0..size + WINDOW - 1).map(|_| OnceLock::new()).collect(),
            next: OnceLock::new(),
        }
    }

    #[inline]
    fn window(&self, hash: u64) -> &[OnceLock<Entry<K, V>>] {
        // A power of two of starts, and a window's rest behind the last of them.
        let starts = self.slots.len() - (WINDOW - 1);
        let start = low_bits(hash, starts);
        &self.slots[start..start + WINDOW]
    }
}

#[allow(clippy::cast_possible_truncation, reason = "masked")]
fn low_bits(hash: u64, power_of_two: usize) -> usize {
    hash as usize & (power_of_two - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_key_after_growing_through_many_segments() {
        let map = OnceMap::new();
        for key in 0..5_000_u64 {
            map.insert(key.wrapping_mul(0x9E37_79B9_7F4A_7C15), key, key * 2);
        }
        for key in 0..5_000_u64 {
            let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            assert_eq!(map.get(hash, |k| *k == key), Some(&(key * 2)));
        }
    }

    #[test]
    fn keys_with_one_hash_stay_apart() {
        let map = OnceMap::new();
        for key in 0..20_u64 {
            map.insert(7, key, key);
        }
        for key in 0..20_u64 {
            assert_eq!(map.get(7, |k| *k == key), Some(&key));
        }
        assert_eq!(map.get(7, |k| *k == 20), None);
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
                            .map(|key| *map.insert(key, key, worker))
                            .collect()
                    })
                })
                .collect();
            workers.into_iter().map(|w| w.join().unwrap()).collect()
        });
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
