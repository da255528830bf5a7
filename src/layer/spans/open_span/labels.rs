//! A span's own labels: those of a binding, or unbound ones.

use super::{MOST_KEPT, OpenSpan, Unbound};
use crate::labels::LabelBuf;
use crate::layer::spans::bindings::SpanBindings;
use crate::layer::spans::marks::Marks;
use crate::plan::{Binding, Plan};

impl OpenSpan {
    /// Its own labels, as the words of a `LabelBuf`.
    pub(in crate::layer::spans) fn with_labels(&self, plan: &Plan, read: impl FnOnce(&[u64])) {
        if let Some(binding) = self.labels_binding(plan) {
            return read(binding.label_key().words);
        }
        let unbound = self.unbound.lock();
        read(unbound.as_ref().map_or(&[], |unbound| &unbound.labels));
    }

    /// The binding of the labels that it has now, unless they are unbound.
    #[inline]
    pub(in crate::layer::spans) fn labels_binding<'p>(
        &self,
        plan: &'p Plan,
    ) -> Option<&'p Binding> {
        plan.binding(self.bindings.get().labels)
    }

    /// Keeps labels that no binding has.
    pub(in crate::layer::spans) fn keep_labels(&self, labels: &LabelBuf) {
        self.unbind(self.bindings.get(), labels);
    }

    /// Overwrites its own labels with newer ones, and gives all of them.
    ///
    /// Two threads may record at once, so that this is one step: a change of the binding
    /// where the new labels have one, or else a change under the lock.
    pub(in crate::layer::spans) fn merge_labels(&self, plan: &Plan, newer: &LabelBuf) -> LabelBuf {
        loop {
            let bindings = self.bindings.get();
            let merged = match plan.binding(bindings.labels) {
                Some(binding) => self.merge_bound(plan, binding, bindings, newer),
                None => self.merge_unbound(plan, newer),
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
        bindings: SpanBindings,
        newer: &LabelBuf,
    ) -> Option<LabelBuf> {
        let mut labels = plan.no_labels();
        labels.set_merged(binding.label_key().words, newer.as_words());
        let is_set = match plan.binding_of_late(&mut labels) {
            Some(known) => self.bindings.change(bindings, bindings.with_labels(known)),
            None => self.unbind(bindings, &labels),
        };
        is_set.then_some(labels)
    }

    #[cold]
    fn merge_unbound(&self, plan: &Plan, newer: &LabelBuf) -> Option<LabelBuf> {
        let mut guard = self.unbound.lock();
        let bindings = self.bindings.get();
        if !bindings.are_unbound() {
            return None;
        }
        let unbound = guard.get_or_insert_default();
        let mut labels = plan.no_labels();
        labels.set_merged(&unbound.labels, newer.as_words());
        // Bound again, unless no binding has all labels that it is measured under.
        let binding = if self.is_marked(Marks::INHERITS) {
            None
        } else {
            plan.binding_of_late(&mut labels)
        };
        match binding {
            Some(known) => {
                self.bindings.change(bindings, bindings.with_labels(known));
                unbound.labels.clear();
                unbound.labels.shrink_to(MOST_KEPT);
            }
            None => unbound.set_labels(&labels),
        }
        Some(labels)
    }

    /// Whether the labels are unbound now: another thread may have changed them.
    fn unbind(&self, bindings: SpanBindings, labels: &LabelBuf) -> bool {
        // Held until they are there: a thread that finds no binding waits for them.
        let mut unbound = self.unbound.lock();
        let is_set = self.bindings.change(bindings, bindings.unbound());
        if is_set {
            unbound.get_or_insert_default().set_labels(labels);
        }
        is_set
    }
}

impl Unbound {
    fn set_labels(&mut self, labels: &LabelBuf) {
        self.labels.clear();
        self.labels.extend_from_slice(labels.as_words());
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
                let lock = open.unbound.lock();
                last.record("label.result", "done");
                drop(lock);
            });
            assert!(with_lock.is_some());
        });
        let done = [("result", "done"), ("outcome", "ok")];
        assert_eq!(memory.snapshot().value("jobs", &done), Some(3.0));
    }
}
