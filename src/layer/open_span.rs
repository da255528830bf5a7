//! What an open span carries.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::callsites::PlanPosition;
use crate::labels::LabelBuf;
use crate::plan::{Binding, BindingPosition, Held, KeptSeries, Plan};
use crate::sync::Mutex;

/// The span failed.
pub(super) const FAILED: u8 = 1;
/// A panic left the span.
pub(super) const PANICKED: u8 = 2;
/// Its exits are of interest.
pub(super) const TIMED: u8 = 4;
/// It was opened while its thread was panicking already.
pub(super) const OPENED_IN_PANIC: u8 = 8;
/// Its in-flight series are those of the binding that it opened on.
pub(super) const BOUND: u8 = 16;
/// It is measured under more labels than its own.
pub(super) const INHERITS: u8 = 32;
/// Samples wait for its end.
pub(super) const HOLDS: u8 = 64;

/// So many words of labels stay with a place for its next span.
const MOST_KEPT: usize = 32;

/// The measured span around another, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outer {
    Unknown,
    None,
    Some(u64),
}

/// A place for what a span carries, in atomics, since its callbacks come from any thread.
///
/// Invariant: a thread that has a span's id has it from the thread that opened the span,
/// after the place was filled. So only what two threads may change at once needs an order.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct OpenSpan {
    marks: AtomicU8,
    /// How often it was entered, and not yet left, while its thread was panicking.
    visits_in_panic: AtomicU8,
    plan: AtomicU32,
    /// The binding that it opened on, and above it that of its labels, which it may have got
    /// later. Without the latter its labels stand apart.
    bindings: AtomicU64,
    opened: AtomicU64,
    last_exit: AtomicU64,
    outer: AtomicU64,
    apart: Mutex<Option<Box<Apart>>>,
}

/// What a span carries that no binding has.
#[derive(Default)]
struct Apart {
    /// The words of a `LabelBuf`.
    labels: Vec<u64>,
    in_flight: KeptSeries,
    held: Held,
}

impl OpenSpan {
    /// Empties the place for its next span. A little memory stays with it.
    pub(super) fn clear(&self) {
        self.last_exit.store(0, Ordering::Relaxed);
        self.visits_in_panic.store(0, Ordering::Relaxed);
        self.outer
            .store(Outer::Unknown.to_bits(), Ordering::Relaxed);
        let marks = self.marks.load(Ordering::Relaxed);
        let labels = labels_binding(self.bindings.load(Ordering::Relaxed));
        if marks & (HOLDS | BOUND) != BOUND || labels == BindingPosition::NONE {
            self.clear_apart();
        }
    }

    #[inline(never)]
    fn clear_apart(&self) {
        let mut apart = self.apart.lock();
        let freed = apart.take_if(|apart| apart.labels.capacity() > MOST_KEPT);
        let kept = apart.as_mut().map(|apart| {
            apart.held.clear();
            std::mem::take(&mut apart.in_flight)
        });
        drop(apart);
        // Without the lock: the last owner of a series calls its sinks.
        drop((freed, kept));
    }

    pub(super) fn outer(&self) -> Outer {
        Outer::from_bits(self.outer.load(Ordering::Relaxed))
    }

    pub(super) fn set_outer(&self, outer: Outer) {
        self.outer.store(outer.to_bits(), Ordering::Relaxed);
    }

    /// Fills the place. The binding counts if the marks say that there is one, and stands for
    /// its labels, too, until they are kept apart.
    #[inline]
    pub(super) fn fill(
        &self,
        plan: PlanPosition,
        binding: BindingPosition,
        opened: u64,
        marks: u8,
    ) {
        self.plan.store(plan.to_bits(), Ordering::Relaxed);
        self.bindings
            .store(both(binding, binding), Ordering::Relaxed);
        self.opened.store(opened, Ordering::Relaxed);
        self.marks.store(marks, Ordering::Relaxed);
    }

    pub(super) fn plan(&self) -> PlanPosition {
        PlanPosition::from_bits(self.plan.load(Ordering::Relaxed))
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// The binding of its plan's that it opened on.
    #[inline(always)]
    pub(super) fn binding<'p>(&self, plan: &'p Plan) -> Option<&'p Binding> {
        if !self.is_marked(BOUND) {
            return None;
        }
        plan.binding(opened_on(self.bindings.load(Ordering::Relaxed)))
    }

    /// The binding of the labels that it has now, unless they stand apart.
    #[inline(always)]
    pub(super) fn labels_binding<'p>(&self, plan: &'p Plan) -> Option<&'p Binding> {
        plan.binding(labels_binding(self.bindings.load(Ordering::Relaxed)))
    }

    pub(super) fn keep_in_flight(&self, in_flight: KeptSeries) {
        let mut apart = self.apart.lock();
        apart.get_or_insert_default().in_flight = in_flight;
    }

    /// What was kept. Nothing is, of a span that opened on a binding.
    pub(super) fn take_in_flight(&self) -> KeptSeries {
        let mut apart = self.apart.lock();
        let apart = apart.as_mut();
        apart.map_or_else(KeptSeries::new, |apart| {
            std::mem::take(&mut apart.in_flight)
        })
    }

    /// Samples for its end.
    pub(super) fn hold(&self, samples: &[(u8, f64)]) {
        let mut apart = self.apart.lock();
        let held = &mut apart.get_or_insert_default().held;
        held.retain(|(measure, _)| samples.iter().all(|(newer, _)| newer != measure));
        held.extend_from_slice(samples);
        self.mark(HOLDS);
    }

    pub(super) fn take_held(&self) -> Held {
        if !self.is_marked(HOLDS) {
            return Held::new();
        }
        let mut apart = self.apart.lock();
        let apart = apart.as_mut();
        apart.map_or_else(Held::new, |apart| std::mem::take(&mut apart.held))
    }

    pub(super) fn keep_labels(&self, labels: &LabelBuf) {
        self.set_apart(self.bindings.load(Ordering::Relaxed), labels);
    }

    /// Overwrites its own labels with newer ones, and gives all of them.
    ///
    /// Two threads may record at once, so that this is one step: a change of the binding
    /// where the new labels have one, or else a change under the lock.
    pub(super) fn merge_labels(&self, plan: &Plan, newer: &LabelBuf) -> LabelBuf {
        loop {
            let bindings = self.bindings.load(Ordering::Relaxed);
            let merged = match plan.binding(labels_binding(bindings)) {
                Some(binding) => self.merge_bound(plan, binding, bindings, newer),
                None => self.merge_apart(plan, newer),
            };
            if let Some(merged) = merged {
                return merged;
            }
        }
    }

    /// `None` if another thread has changed the labels.
    fn merge_bound(
        &self,
        plan: &Plan,
        binding: &Binding,
        bindings: u64,
        newer: &LabelBuf,
    ) -> Option<LabelBuf> {
        let mut labels = plan.no_labels();
        labels.set_merged(binding.label_key().words, newer.as_words());
        let is_set = match plan.binding_of_late(&mut labels) {
            Some(known) => self.change_bindings(bindings, both(known, opened_on(bindings))),
            None => self.set_apart(bindings, &labels),
        };
        is_set.then_some(labels)
    }

    #[cold]
    fn merge_apart(&self, plan: &Plan, newer: &LabelBuf) -> Option<LabelBuf> {
        let mut guard = self.apart.lock();
        let bindings = self.bindings.load(Ordering::Relaxed);
        if labels_binding(bindings) != BindingPosition::NONE {
            return None;
        }
        let apart = guard.get_or_insert_default();
        let mut labels = plan.no_labels();
        labels.set_merged(&apart.labels, newer.as_words());
        // Back on a binding, unless no binding has all labels that it is measured under.
        let binding = if self.is_marked(INHERITS) {
            None
        } else {
            plan.binding_of_late(&mut labels)
        };
        match binding {
            Some(known) => {
                self.change_bindings(bindings, both(known, opened_on(bindings)));
                apart.labels.clear();
                apart.labels.shrink_to(MOST_KEPT);
            }
            None => apart.set_labels(&labels),
        }
        Some(labels)
    }

    /// Whether the labels stand apart now: another thread may have changed them.
    fn set_apart(&self, bindings: u64, labels: &LabelBuf) -> bool {
        // Held until they are there: a thread that finds no binding waits for them.
        let mut apart = self.apart.lock();
        let is_set =
            self.change_bindings(bindings, both(BindingPosition::NONE, opened_on(bindings)));
        if is_set {
            apart.get_or_insert_default().set_labels(labels);
        }
        is_set
    }

    fn change_bindings(&self, from: u64, to: u64) -> bool {
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        self.bindings.compare_exchange(from, to, set, get).is_ok()
    }

    /// Its own labels, as the words of a `LabelBuf`.
    pub(super) fn with_labels(&self, plan: &Plan, read: impl FnOnce(&[u64])) {
        if let Some(binding) = self.labels_binding(plan) {
            return read(binding.label_key().words);
        }
        let apart = self.apart.lock();
        read(apart.as_ref().map_or(&[], |apart| &apart.labels));
    }

    pub(super) fn mark(&self, mark: u8) {
        self.marks.fetch_or(mark, Ordering::Relaxed);
    }

    pub(super) fn marks(&self) -> u8 {
        self.marks.load(Ordering::Relaxed)
    }

    pub(super) fn is_marked(&self, mark: u8) -> bool {
        self.marks() & mark != 0
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
}

impl Apart {
    fn set_labels(&mut self, labels: &LabelBuf) {
        self.labels.clear();
        self.labels.extend_from_slice(labels.as_words());
    }
}

/// The binding of a span's labels, and the one that it opened on.
#[inline(always)]
const fn both(labels: BindingPosition, opened: BindingPosition) -> u64 {
    (labels.to_bits() as u64) << 32 | opened.to_bits() as u64
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the lower half")]
const fn opened_on(bindings: u64) -> BindingPosition {
    BindingPosition::from_bits(bindings as u32)
}

#[inline(always)]
const fn labels_binding(bindings: u64) -> BindingPosition {
    BindingPosition::from_bits((bindings >> 32) as u32)
}

impl Outer {
    const NONE: u64 = u64::MAX;

    /// No span has the id 0, and none the highest: each of its bits would have to be one.
    const fn to_bits(self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::None => Self::NONE,
            Self::Some(id) => id,
        }
    }

    const fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Self::Unknown,
            Self::NONE => Self::None,
            id => Self::Some(id),
        }
    }
}

impl From<Option<u64>> for Outer {
    fn from(id: Option<u64>) -> Self {
        id.map_or(Self::None, Self::Some)
    }
}

#[cfg(test)]
mod tests {
    use tracing::field::Empty;
    use tracing::{Dispatch, dispatcher, info_span};
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt as _;

    use crate::{MemorySink, MeterLayer};

    /// Two threads that take the same lock would wait for each other; one would for ever.
    #[test]
    fn a_label_that_comes_late_takes_no_lock() {
        let memory = MemorySink::new();
        let layer = crate::builder().sink(memory.clone()).build().unwrap();
        let subscriber = Dispatch::new(Registry::default().with(layer));
        dispatcher::with_default(&subscriber, || {
            let span = || info_span!("job", calls.jobs = Empty, label.result = Empty);
            for _ in 0..2 {
                span().record("label.result", "done");
            }
            let last = span();
            let layer = subscriber.downcast_ref::<MeterLayer<Registry>>().unwrap();
            let id = last.id().unwrap().into_u64();
            let with_lock = layer.spans.table.with(id, |open| {
                let lock = open.apart.lock();
                last.record("label.result", "done");
                drop(lock);
            });
            assert!(with_lock.is_some());
        });
        let done = [("result", "done"), ("outcome", "ok")];
        assert_eq!(memory.snapshot().value("jobs", &done), Some(3.0));
    }
}
