//! What an open span carries.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::bindings::{AtomicBindings, SpanBindings};
use super::marks::{AtomicMarks, Marks};
use super::outer::{AtomicOuter, Outer};
use crate::callsites::PlanPosition;
use crate::plan::{Binding, BindingPosition, Held, KeptSeries, Plan};
use crate::sync::Mutex;
use crate::sync::id_table::Slot;

mod labels;

/// So many words of labels stay with a slot for its next span.
const MOST_KEPT: usize = 32;

/// What a span carries, in atomics, since its callbacks come from any thread.
///
/// Invariant: a thread that has a span's id has it from the thread that opened the span,
/// after the slot was filled. So only what two threads may change at once needs an order.
#[derive(Default)]
#[repr(align(64))]
pub(in crate::layer) struct OpenSpan {
    marks: AtomicMarks,
    /// How often it was entered, and not yet left, while its thread was panicking.
    visits_in_panic: AtomicU8,
    plan: AtomicU32,
    bindings: AtomicBindings,
    opened: AtomicU64,
    last_exit: AtomicU64,
    outer: AtomicOuter,
    unbound: Mutex<Option<Box<Unbound>>>,
}

/// What a span carries that no binding has.
#[derive(Default)]
struct Unbound {
    /// The words of a `LabelBuf`.
    labels: Vec<u64>,
    in_flight: KeptSeries,
    held: Held,
}

impl Slot for OpenSpan {
    /// Empties the slot for its next span. A little memory stays with it.
    #[inline]
    fn clear(&self) {
        self.last_exit.store(0, Ordering::Relaxed);
        self.visits_in_panic.store(0, Ordering::Relaxed);
        self.outer.set(Outer::Unknown);
        let marks = self.marks();
        let is_bound = marks.contain(Marks::BOUND) && !marks.contain(Marks::HOLDS);
        if !is_bound || self.bindings.get().are_unbound() {
            self.clear_unbound();
        }
    }
}

impl OpenSpan {
    /// Fills the slot. The binding counts if the marks say that there is one, and is that of
    /// its labels, too, until newer ones are kept.
    #[inline]
    pub(super) fn fill(
        &self,
        plan: PlanPosition,
        binding: BindingPosition,
        opened: u64,
        marks: Marks,
    ) {
        self.plan.store(plan.to_bits(), Ordering::Relaxed);
        self.bindings.set(SpanBindings::new(binding));
        self.opened.store(opened, Ordering::Relaxed);
        self.marks.set(marks);
    }

    pub(super) fn plan(&self) -> PlanPosition {
        PlanPosition::from_bits(self.plan.load(Ordering::Relaxed))
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    pub(super) fn outer(&self) -> Outer {
        self.outer.get()
    }

    pub(super) fn set_outer(&self, outer: Outer) {
        self.outer.set(outer);
    }

    /// The binding of its plan's that it opened on.
    #[inline]
    pub(super) fn binding<'p>(&self, plan: &'p Plan) -> Option<&'p Binding> {
        if !self.is_marked(Marks::BOUND) {
            return None;
        }
        plan.binding(self.bindings.get().opened_on)
    }

    /// Keeps in-flight series that no binding has.
    pub(super) fn keep_in_flight(&self, in_flight: KeptSeries) {
        let mut unbound = self.unbound.lock();
        unbound.get_or_insert_default().in_flight = in_flight;
    }

    /// Takes what it has in flight, wherever that is.
    pub(super) fn take_all_in_flight(&self, plan: &Plan) -> KeptSeries {
        match self.binding(plan) {
            Some(binding) => plan.in_flight(binding),
            None => self.take_in_flight(),
        }
    }

    /// Takes what was kept: nothing, of a span that opened on a binding.
    pub(super) fn take_in_flight(&self) -> KeptSeries {
        let mut unbound = self.unbound.lock();
        let unbound = unbound.as_mut();
        unbound.map_or_else(KeptSeries::new, |unbound| {
            std::mem::take(&mut unbound.in_flight)
        })
    }

    /// Samples for its end.
    pub(super) fn hold(&self, samples: &[(u8, f64)]) {
        let mut unbound = self.unbound.lock();
        let held = &mut unbound.get_or_insert_default().held;
        held.retain(|(measure, _)| samples.iter().all(|(newer, _)| newer != measure));
        held.extend_from_slice(samples);
        self.mark(Marks::HOLDS);
    }

    pub(super) fn take_held(&self) -> Held {
        if !self.is_marked(Marks::HOLDS) {
            return Held::new();
        }
        let mut unbound = self.unbound.lock();
        let unbound = unbound.as_mut();
        unbound.map_or_else(Held::new, |unbound| std::mem::take(&mut unbound.held))
    }

    pub(super) fn mark(&self, marks: Marks) {
        self.marks.add(marks);
    }

    pub(super) fn marks(&self) -> Marks {
        self.marks.get()
    }

    pub(super) fn is_marked(&self, any: Marks) -> bool {
        self.marks().contain(any)
    }

    /// A span that was opened by a destructor, during a panic, did not panic itself.
    pub(super) fn mark_panic(&self) {
        if !self.is_marked(Marks::OPENED_IN_PANIC) {
            self.mark(Marks::PANICKED);
        }
    }

    pub(super) fn visit_in_panic(&self) {
        self.visits_in_panic.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether what is left was entered during the panic, too.
    pub(super) fn ends_visit_in_panic(&self) -> bool {
        let less = |visits: u8| visits.checked_sub(1);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        let visits = &self.visits_in_panic;
        visits.fetch_update(set, get, less).is_ok()
    }

    pub(super) fn set_last_exit(&self, at: u64) {
        self.last_exit.store(at, Ordering::Relaxed);
    }

    /// When the span was left for the last time, if it ever was.
    pub(super) fn last_exit(&self) -> Option<u64> {
        Some(self.last_exit.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    #[inline(never)]
    fn clear_unbound(&self) {
        let mut unbound = self.unbound.lock();
        let freed = unbound.take_if(|unbound| unbound.labels.capacity() > MOST_KEPT);
        let kept = unbound.as_mut().map(|unbound| {
            unbound.held.clear();
            std::mem::take(&mut unbound.in_flight)
        });
        drop(unbound);
        // Without the lock: the last owner of a series calls its sinks.
        drop((freed, kept));
    }
}
