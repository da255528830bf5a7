//! The table against a map: threads open spans, close them and those of others, and look
//! at any, while each knows what it must find.
#![allow(clippy::cast_possible_truncation, reason = "all numbers are small")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::scope;

use super::*;
use crate::callsites::PlanPosition;
use crate::layer::open_span::FAILED;
use crate::plan::BindingPosition;

const STEPS: u64 = 20_000;
const POSITION: PlanPosition = PlanPosition::from_bits(0);
/// So many more are opened at once: they reach the blocks that are given back.
const BURST: u64 = 1_000;

/// What a thread knows of a span that stands in the table.
#[derive(Clone, Copy)]
struct Known {
    id: u64,
    /// Its opening and its marks, if it is measured.
    measured: Option<(u64, u8)>,
    outer: Outer,
}

/// A thread, with ids as the registry gives them: the indices that are free are used again
/// by another generation.
struct Opener<'a> {
    table: &'a SpanTable,
    random: u64,
    thread: u64,
    next: u64,
    free: Receiver<RegistryId>,
    /// Which of its spans are closed by others.
    frees: &'a [Sender<RegistryId>],
    to: Sender<Known>,
    from: Receiver<Known>,
    open: Vec<Known>,
}

impl Opener<'_> {
    fn run(mut self) -> Self {
        (0..STEPS).for_each(|_| self.step());
        self
    }

    fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close();
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
            0..40 => self.open(),
            40 if self.random(20) == 0 => (0..BURST).for_each(|_| self.open()),
            40..60 => self.change(),
            60..70 => self.pass_on(),
            _ => self.close(),
        }
    }

    fn open(&mut self) {
        let place = self.free.try_recv().unwrap_or_else(|_| {
            self.next += 1;
            RegistryId {
                index: self.next - 1,
                thread: self.thread,
                // Some threads see the highest generation that has a place, and beyond.
                generation: (self.thread % 4) * 5461,
            }
        });
        let id = place.id();
        let mut known = Known {
            id,
            measured: None,
            outer: Outer::Unknown,
        };
        if self.random(3) > 0 {
            let opened = self.random(u64::MAX);
            let fill = |open: &OpenSpan| open.fill(POSITION, BindingPosition::NONE, opened, 0);
            if let Some(near) = self.table.free(id) {
                fill(near.open);
                near.occupy();
            } else {
                let taken = |there| panic!("{there} stands in the place of {id}");
                self.table.insert(id, fill, taken);
            }
            known.measured = Some((opened, 0));
        }
        self.open.push(known);
    }

    fn change(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let at = self.random(self.open.len() as u64) as usize;
        let is_mark = self.random(2) == 0;
        let outer = Outer::Some(self.random(1000) + 1);
        let known = &mut self.open[at];
        known.check(self.table);
        if let (Some((_, marks)), true) = (&mut known.measured, is_mark) {
            self.table.with(known.id, |open| open.mark(FAILED));
            *marks |= FAILED;
        } else {
            self.table.set_outer(known.id, outer);
            let is_kept = known.measured.is_some() || !self.table.is_elsewhere(Place::of(known.id));
            known.outer = if is_kept { outer } else { Outer::Unknown };
        }
        known.check(self.table);
    }

    fn pass_on(&mut self) {
        let Some(known) = self.take() else { return };
        let _ = self.to.send(known);
        if let Ok(known) = self.from.try_recv() {
            self.open.push(known);
        }
    }

    fn close(&mut self) {
        let Some(known) = self.take() else { return };
        known.check(self.table);
        let closed = match self.table.closing(known.id) {
            Closing::Ordinary => None,
            Closing::Near(near) => {
                let closed = read(near.open);
                near.release();
                Some(closed)
            }
            Closing::Apart => self.table.close(known.id, read),
        };
        assert_eq!(closed, known.measured);
        let gone = Known {
            measured: None,
            outer: Outer::Unknown,
            ..known
        };
        gone.check(self.table);
        let mut place = RegistryId::of(known.id);
        place.generation += 1;
        let _ = self.frees[place.thread as usize].send(place);
    }

    fn take(&mut self) -> Option<Known> {
        let len = self.open.len() as u64;
        (len > 0)
            .then(|| self.random(len))
            .map(|at| self.open.swap_remove(at as usize))
    }
}

impl Known {
    fn check(&self, table: &SpanTable) {
        let found = table.with(self.id, read);
        assert_eq!(found, self.measured);
        assert_eq!(table.outer(self.id), self.outer);
    }
}

fn read(open: &OpenSpan) -> (u64, u8) {
    (open.opened(), open.marks())
}

#[test]
fn threads_find_what_they_know_and_nothing_stays() {
    // Threads beyond those that have blocks for good, too.
    let numbers = [0, 1, 2, 3, 80, 81];
    let table = SpanTable::default();
    let (frees, mut free): (Vec<_>, Vec<_>) = (0..128).map(|_| channel()).unzip();
    let (to, mut from): (Vec<_>, Vec<_>) = numbers.map(|_| channel()).into_iter().unzip();
    scope(|threads| {
        let openers = numbers
            .into_iter()
            .enumerate()
            .rev()
            .map(|(at, thread)| Opener {
                table: &table,
                random: thread + 1,
                thread,
                next: 0,
                free: free.swap_remove(thread as usize),
                frees: &frees,
                to: to[(at + 1) % to.len()].clone(),
                from: from.swap_remove(at),
                open: Vec::new(),
            });
        let running: Vec<_> = openers.map(|it| threads.spawn(|| it.run())).collect();
        // All of them first: each may pass a span on until it stops.
        let stopped: Vec<_> = running.into_iter().map(|it| it.join().unwrap()).collect();
        for mut opener in stopped {
            let passed_on: Vec<_> = opener.from.try_iter().collect();
            opener.open.extend(passed_on);
            opener.close_all();
        }
    });
    table.each(|open| panic!("opened at {} and never closed", open.opened()));
    assert!(table.elsewhere.is_empty());
    for far in table.far.iter().filter_map(OnceLock::get) {
        let mut blocks = 0;
        far.each(|_, _| blocks += 1);
        assert!(blocks <= 1, "{blocks} blocks without a span");
    }
}
