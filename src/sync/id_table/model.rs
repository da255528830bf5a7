//! The table against a map: threads insert ids, remove them and those of other threads, and
//! look at any, while each knows what it must find.
#![allow(clippy::cast_possible_truncation, reason = "all numbers are small")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::scope;

use super::tests::Noted;
use super::*;
use crate::sync::registry_id::RegistryId;

const STEPS: u64 = 20_000;
const MARK: u64 = 1;
/// So many more are inserted at once: they reach the blocks that are given back.
const BURST: u64 = 1_000;

/// What a thread knows of an id.
#[derive(Clone, Copy)]
struct Known {
    id: u64,
    /// Its value and its marks, if it is present.
    present: Option<(u64, u64)>,
    /// What is noted of it, or 0.
    note: u64,
}

/// A thread, with ids as the registry gives them: the indices that are free are used again
/// by another generation.
struct Owner<'a> {
    table: &'a IdTable<Noted>,
    random: u64,
    thread: u64,
    next: u64,
    free: Receiver<RegistryId>,
    /// Which of its ids are given up by which thread.
    frees: &'a [Sender<RegistryId>],
    to: Sender<Known>,
    from: Receiver<Known>,
    owned: Vec<Known>,
}

impl Owner<'_> {
    fn run(mut self) -> Self {
        (0..STEPS).for_each(|_| self.step());
        self
    }

    fn remove_all(&mut self) {
        while !self.owned.is_empty() {
            self.remove();
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        // A linear congruential generator, by its higher bits.
        self.random = self.random.wrapping_mul(0x5851_F42D_4C95_7F2D);
        self.random = self.random.wrapping_add(1);
        (self.random >> 33) % below
    }

    fn step(&mut self) {
        match self.random(100) {
            0..40 => self.add(),
            40 if self.random(20) == 0 => (0..BURST).for_each(|_| self.add()),
            40..60 => self.change(),
            60..70 => self.pass_on(),
            _ => self.remove(),
        }
    }

    fn add(&mut self) {
        let parts = self.free.try_recv().unwrap_or_else(|_| {
            self.next += 1;
            RegistryId {
                index: self.next - 1,
                thread: self.thread,
                // Some threads see the highest generation that has a slot, and beyond.
                generation: (self.thread % 4) * 5461,
            }
        });
        let id = parts.id();
        let mut known = Known {
            id,
            present: None,
            note: 0,
        };
        if self.random(3) > 0 {
            let value = self.random(u64::MAX);
            let fill = |slot: &Noted| slot.fill(value);
            if let Some(near) = self.table.vacant(id) {
                near.occupy(fill);
            } else {
                let taken = |there| panic!("{there} is in the slot of {id}");
                self.table.insert(id, fill, taken);
            }
            known.present = Some((value, 0));
        }
        self.owned.push(known);
    }

    fn change(&mut self) {
        if self.owned.is_empty() {
            return;
        }
        let at = self.random(self.owned.len() as u64) as usize;
        let is_mark = self.random(2) == 0;
        let note = self.random(1000) + 1;
        let known = &mut self.owned[at];
        known.check(self.table);
        if let (Some((_, marks)), true) = (&mut known.present, is_mark) {
            self.table.with(known.id, |slot| slot.mark(MARK));
            *marks |= MARK;
        } else {
            self.table.note(known.id, |slot| slot.set_note(note));
            let has_slot = !self.table.has_no_slot(Address::of(known.id));
            let is_kept = known.present.is_some() || has_slot;
            known.note = if is_kept { note } else { 0 };
        }
        known.check(self.table);
    }

    fn pass_on(&mut self) {
        let Some(known) = self.take() else { return };
        let _ = self.to.send(known);
        if let Ok(known) = self.from.try_recv() {
            self.owned.push(known);
        }
    }

    fn remove(&mut self) {
        let Some(known) = self.take() else { return };
        known.check(self.table);
        let removed = match self.table.locate(known.id) {
            Location::Nowhere => None,
            Location::Near(near) => {
                let removed = read(near.slot());
                near.release();
                Some(removed)
            }
            Location::Unknown => self.table.remove(known.id, read),
        };
        assert_eq!(removed, known.present);
        let gone = Known {
            present: None,
            note: 0,
            ..known
        };
        gone.check(self.table);
        let mut parts = RegistryId::of(known.id);
        parts.generation += 1;
        let _ = self.frees[parts.thread as usize].send(parts);
    }

    fn take(&mut self) -> Option<Known> {
        let len = self.owned.len() as u64;
        (len > 0)
            .then(|| self.random(len))
            .map(|at| self.owned.swap_remove(at as usize))
    }
}

impl Known {
    fn check(&self, table: &IdTable<Noted>) {
        let found = table.with(self.id, read);
        assert_eq!(found, self.present);
        let note = table.with_noted(self.id, Noted::note);
        assert_eq!(note.unwrap_or(0), self.note);
    }
}

fn read(slot: &Noted) -> (u64, u64) {
    (slot.value(), slot.marks())
}

#[test]
fn threads_find_what_they_know_and_nothing_stays() {
    // Threads beyond those that have blocks for good, too.
    let numbers = [0, 1, 2, 3, 80, 81];
    let table = IdTable::default();
    let (frees, mut free): (Vec<_>, Vec<_>) = (0..128).map(|_| channel()).unzip();
    let (to, mut from): (Vec<_>, Vec<_>) = numbers.map(|_| channel()).into_iter().unzip();
    scope(|threads| {
        let owners = numbers
            .into_iter()
            .enumerate()
            .rev()
            .map(|(at, thread)| Owner {
                table: &table,
                random: thread + 1,
                thread,
                next: 0,
                free: free.swap_remove(thread as usize),
                frees: &frees,
                to: to[(at + 1) % to.len()].clone(),
                from: from.swap_remove(at),
                owned: Vec::new(),
            });
        let running: Vec<_> = owners.map(|it| threads.spawn(|| it.run())).collect();
        // All of them first: each may pass an id on until it stops.
        let stopped: Vec<_> = running.into_iter().map(|it| it.join().unwrap()).collect();
        for mut owner in stopped {
            let passed_on: Vec<_> = owner.from.try_iter().collect();
            owner.owned.extend(passed_on);
            owner.remove_all();
        }
    });
    table.each(|slot| panic!("{} was never removed", slot.value()));
    assert!(table.overflow.is_empty());
    for far in table.far.iter().filter_map(OnceLock::get) {
        assert!(
            far.allocated() <= 1,
            "{} blocks without an id",
            far.allocated()
        );
    }
}
