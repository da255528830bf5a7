use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::*;
use crate::sync::registry_id::RegistryId;

/// A slot that is told from another by its value, and can be noted in.
#[derive(Default)]
pub(super) struct Noted {
    value: AtomicU64,
    marks: AtomicU64,
    note: AtomicU64,
}

impl Slot for Noted {
    fn clear(&self) {
        self.note.store(0, Relaxed);
    }
}

impl Noted {
    pub(super) fn fill(&self, value: u64) {
        self.value.store(value, Relaxed);
        self.marks.store(0, Relaxed);
    }

    pub(super) fn mark(&self, mark: u64) {
        self.marks.fetch_or(mark, Relaxed);
    }

    pub(super) fn set_note(&self, note: u64) {
        self.note.store(note, Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.value.load(Relaxed)
    }

    pub(super) fn marks(&self) -> u64 {
        self.marks.load(Relaxed)
    }

    pub(super) fn note(&self) -> u64 {
        self.note.load(Relaxed)
    }
}

fn insert(table: &IdTable<Noted>, id: u64) {
    table.insert(id, |slot| slot.fill(id), |_| {});
}

fn remove(table: &IdTable<Noted>, id: u64) -> Option<u64> {
    table.remove(id, Noted::value)
}

fn value(table: &IdTable<Noted>, id: u64) -> Option<u64> {
    table.with(id, Noted::value)
}

fn note(table: &IdTable<Noted>, id: u64) -> Option<u64> {
    table.with_noted(id, Noted::note)
}

fn count(table: &IdTable<Noted>) -> usize {
    let mut count = 0;
    table.each(|_| count += 1);
    count
}

const fn id(index: u64, thread: u64, generation: u64) -> u64 {
    RegistryId {
        index,
        thread,
        generation,
    }
    .id()
}

/// Near and far, of many threads, of another registry, and the highest of all.
fn ids() -> Vec<u64> {
    let mut ids: Vec<u64> = (0..3000).map(|index| id(index, 0, 0)).collect();
    ids.extend((0..100).map(|thread| id(thread * 40, thread, 3)));
    ids.extend((1..100).map(|n| n << 44));
    ids.extend([u64::MAX, u64::MAX - 1, id(1 << 37, 5, 1)]);
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[test]
fn every_id_that_is_present_is_found_and_no_other() {
    let (table, ids) = (IdTable::default(), ids());
    for id in &ids {
        insert(&table, *id);
    }
    assert!(ids.iter().all(|id| value(&table, *id) == Some(*id)));
    assert_eq!(count(&table), ids.len());
    let (going, staying): (Vec<u64>, Vec<u64>) = ids.iter().partition(|id| **id % 3 == 0);
    for id in &going {
        remove(&table, *id);
    }
    assert!(going.iter().all(|id| value(&table, *id).is_none()));
    assert!(staying.iter().all(|id| value(&table, *id) == Some(*id)));
    assert_eq!(count(&table), staying.len());
}

#[test]
fn an_id_is_told_from_those_that_had_its_slot_before() {
    for index in [7, 5000] {
        let table = IdTable::default();
        insert(&table, id(index, 1, 1));
        for generation in [0, 2, 8191] {
            let other = id(index, 1, generation);
            assert_eq!(value(&table, other), None);
            assert_eq!(remove(&table, other), None);
        }
        let there = id(index, 1, 1);
        assert_eq!(value(&table, there), Some(there));
    }
}

#[test]
fn an_id_whose_end_was_hidden_may_be_removed_for_the_next() {
    for index in [7, 5000] {
        let table = IdTable::default();
        let [hidden, next] = [id(index, 1, 1), id(index, 1, 2)];
        insert(&table, hidden);
        let fill = |slot: &Noted| slot.fill(next);
        table.insert(next, fill, |there| {
            assert_eq!(remove(&table, there), Some(hidden));
        });
        assert_eq!(value(&table, hidden), None);
        assert_eq!(remove(&table, next), Some(next));
        assert_eq!(count(&table), 0);
    }
}

#[test]
fn two_ids_of_another_registry_may_claim_one_slot() {
    let table = IdTable::default();
    let both = [id(7, 1, 1), id(7, 1, 2)];
    for id in both {
        insert(&table, id);
    }
    assert_eq!(both.map(|id| value(&table, id)), both.map(Some));
    remove(&table, both[0]);
    assert_eq!(both.map(|id| value(&table, id)), [None, Some(both[1])]);
    remove(&table, both[1]);
    assert_eq!(count(&table), 0);
}

#[test]
fn ids_without_a_bound_take_no_room_for_those_between_them() {
    let table = IdTable::default();
    table.expect_any_ids();
    for id in ids() {
        insert(&table, id);
        assert_eq!(value(&table, id), Some(id));
    }
    assert_eq!(count(&table), ids().len());
    assert_eq!(table.far.iter().filter_map(OnceLock::get).count(), 0);
    for id in ids() {
        assert_eq!(remove(&table, id), Some(id));
    }
    assert_eq!(count(&table), 0);
}

#[test]
fn what_is_noted_of_an_id_is_known_until_the_id_goes() {
    let (table, ids) = (IdTable::default(), ids());
    for id in &ids {
        table.note(*id, |slot: &Noted| slot.set_note(4));
        let is_kept = !table.has_no_slot(Address::of(*id));
        assert_eq!(note(&table, *id), is_kept.then_some(4));
        assert!(value(&table, *id).is_none());
        assert_eq!(remove(&table, *id), None);
        assert_eq!(note(&table, *id), None);
        insert(&table, *id);
        assert_eq!(note(&table, *id), Some(0));
        table.note(*id, |slot: &Noted| slot.set_note(5));
        assert_eq!(note(&table, *id), Some(5));
        assert_eq!(value(&table, *id), Some(*id));
        remove(&table, *id);
        assert_eq!(note(&table, *id), None);
    }
}

#[test]
fn what_a_burst_has_needed_is_given_back() {
    let table = IdTable::default();
    for round in 0..3 {
        (0..20_000).for_each(|index| insert(&table, id(index, 0, round)));
        (0..20_000).for_each(|index| _ = remove(&table, id(index, 0, round)));
    }
    let far = table.far.get(0).and_then(OnceLock::get).unwrap();
    assert!(far.allocated() <= 1, "{}", far.allocated());
}
