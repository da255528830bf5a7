//! What is measured when a span opens, and when it closes.

use std::sync::Arc;

use smallvec::SmallVec;

use super::binding::{Binding, BindingPosition};
use super::{Held, Outcome, Plan};
use crate::labels::{LabelBuf, LabelKey, OUTCOME};
use crate::series::Series;
use crate::value::{Amount, Value};

/// Where a span's in-flight series are, which get back what they were given
/// whatever becomes of the span's labels or the instrument.
pub(crate) enum InFlight {
    /// Those of a binding.
    On(BindingPosition),
    /// There is no binding to all of them: the labels are new, or over the cap.
    Kept(KeptSeries),
}

pub(crate) type KeptSeries = SmallVec<[Arc<Series>; 2]>;

impl Plan {
    /// Records what is due when a span opens.
    #[inline(always)]
    pub(crate) fn measure_opened(
        &self,
        binding: Option<(BindingPosition, &Binding)>,
        key: LabelKey<'_>,
    ) -> InFlight {
        if let Some((position, binding)) = binding
            && self.moments.in_flight.iter().all(|m| binding.is_known(*m))
        {
            if !self.moments.opened.is_empty() {
                let to = self.destination(Some(binding), key);
                to.add_each(&self.moments.opened, Amount::ONE);
            }
            self.add_bound(&self.moments.in_flight, Amount::ONE, binding);
            return InFlight::On(position);
        }
        self.measure_first_opened(key)
    }

    #[cold]
    fn measure_first_opened(&self, key: LabelKey<'_>) -> InFlight {
        let to = self.destination(None, key);
        to.add_each(&self.moments.opened, Amount::ONE);
        if self.moments.in_flight.is_empty() {
            // For labels that come late: they move the span from binding to binding.
            self.bindings.insert_within(self.most_bindings, key);
        }
        let series = |measure: &u8| {
            let admitted = self.admit(*measure, key)?;
            admitted.series().record(1.0);
            Some(Arc::clone(admitted.series()))
        };
        InFlight::Kept(self.moments.in_flight.iter().filter_map(series).collect())
    }

    /// The binding that a span opened on.
    #[inline(always)]
    pub(crate) fn binding(&self, position: BindingPosition) -> Option<&Binding> {
        self.bindings.at(position)
    }

    /// Takes back what a span had in flight on a binding.
    #[inline(always)]
    pub(crate) fn take_back(&self, binding: &Binding) {
        self.add_bound(&self.moments.in_flight, Amount::MINUS_ONE, binding);
    }

    /// What a span has in flight on a binding.
    pub(crate) fn in_flight(&self, binding: &Binding) -> KeptSeries {
        let in_flight = self.moments.in_flight.iter();
        in_flight
            .filter_map(|m| binding.series(*m).cloned())
            .collect()
    }

    /// The binding of values that a span has got late. It may be there only for others to
    /// follow: a span gets its values one by one.
    #[inline(always)]
    pub(crate) fn binding_of_late(&self, labels: &mut LabelBuf) -> Option<BindingPosition> {
        let found = self.locate(labels);
        let (position, _) = found.or_else(|| self.bind_late(labels))?;
        Some(position)
    }

    #[cold]
    fn bind_late(&self, labels: &LabelBuf) -> Option<(BindingPosition, &Binding)> {
        self.bindings
            .insert_within(self.most_bindings / 2, labels.key())?;
        self.bindings.find(labels.key())
    }

    /// Records what is due when a span closes with the values of a binding. Whether that is
    /// known.
    #[inline(always)]
    pub(crate) fn measure_closed_on(
        &self,
        binding: &Binding,
        outcome: Outcome,
        seconds: f64,
        held: impl FnOnce() -> Held,
    ) -> bool {
        let late = binding.with_outcome(outcome);
        let late = late.and_then(|late| self.bindings.at(late));
        if let Some(late) = late {
            self.measure_late(Some(late), late.label_key(), seconds);
            if !self.moments.held.is_empty() {
                self.measure_held(&held(), Some(late), late.label_key());
            }
        }
        late.is_some()
    }

    /// The same with any values, to which the outcome is added.
    ///
    /// The binding is remembered if these are all its values: then the next span of
    /// the same values is on it.
    pub(crate) fn measure_closed(
        &self,
        labels: &mut LabelBuf,
        outcome: Outcome,
        seconds: f64,
        held: &[(u8, f64)],
    ) {
        self.locate(labels);
        let early = labels.clone();
        labels.set(
            OUTCOME,
            &Value::I64(outcome as i64),
            self.fields.label_limit,
        );
        let key = labels.key();
        let known = self.bindings.find(key).map(|(_, binding)| binding);
        self.measure_late(known, key, seconds);
        self.measure_held(held, known, key);
        // Only what leads to a series is remembered, of which there is a bound.
        if let Some((late, _)) = self.bindings.find(key) {
            let known = self.bindings.find(early.key());
            let (_, early) = known.unwrap_or_else(|| self.bindings.insert(early.key()));
            early.set_with_outcome(outcome, late);
        }
    }

    #[inline(always)]
    fn measure_late(&self, binding: Option<&Binding>, key: LabelKey<'_>, seconds: f64) {
        let to = self.destination(binding, key);
        to.add_each(&self.moments.closed, Amount::ONE);
        to.add_each(&self.moments.duration, seconds.into());
    }

    #[cold]
    fn measure_held(&self, held: &[(u8, f64)], binding: Option<&Binding>, key: LabelKey<'_>) {
        let to = self.destination(binding, key);
        for (measure, default) in &self.moments.held {
            let mut last = held.iter().rev();
            let recorded = last.find(|(of, _)| of == measure).map(|(_, value)| *value);
            if let Some(value) = recorded.or(*default) {
                to.add(*measure, value.into());
            }
        }
    }
}
