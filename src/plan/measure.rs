//! The hot path: from what was recorded to the series of its binding.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing_core::Event;

use super::binding::{Binding, End};
use super::{Plan, Recorded};
use crate::convention::Reading;
use crate::labels::{LabelBuf, LabelKey};
use crate::pending::ThreadBuffer;
use crate::series::Series;
use crate::value::Amount;

impl Plan {
    /// Measures an event. `inherit` adds the labels of the spans around it.
    #[inline]
    pub(crate) fn measure_event(&self, event: &Event<'_>, inherit: impl FnOnce(&mut LabelBuf)) {
        let mut recorded = self.nothing_recorded();
        event.record(&mut recorded);
        inherit(&mut recorded.labels);
        let binding = self.locate(&mut recorded.labels);
        let binding = binding.map(|(_, binding)| binding);
        self.measure(&recorded, binding, recorded.labels.key());
        recorded.end();
    }

    /// Records all samples, under labels that may be more than were recorded.
    #[inline(always)]
    pub(crate) fn measure(
        &self,
        recorded: &Recorded<'_>,
        binding: Option<&Binding>,
        key: LabelKey<'_>,
    ) {
        if let Some(rare) = &recorded.rare {
            self.take_rare(rare);
        }
        // As at most spans: nothing is looked up for it.
        if recorded.samples.is_empty() && self.moments.happened.is_empty() {
            return;
        }
        let to = self.destination(binding, key);
        for (measure, amount) in recorded.samples.iter() {
            to.add(measure, amount);
        }
        if let Some(rare) = &recorded.rare {
            for (measure, amount) in &rare.samples {
                to.add(*measure, *amount);
            }
        }
        to.add_each(&self.moments.happened, Amount::ONE);
    }

    #[inline(always)]
    pub(super) fn destination<'a>(
        &'a self,
        binding: Option<&'a Binding>,
        key: LabelKey<'a>,
    ) -> Destination<'a> {
        Destination {
            binding,
            key,
            plan: self,
            has_conflict: self.has_conflict.load(Ordering::Relaxed),
            buffer: self.pending.mine(),
        }
    }

    /// Adds to the series that a binding leads to, whatever was in conflict since.
    #[inline(always)]
    pub(super) fn add_bound(&self, measures: &[u8], amount: Amount, binding: &Binding) {
        let to = self.destination(Some(binding), binding.label_key());
        for measure in measures {
            to.add_on(binding, *measure, amount);
        }
    }

    #[cold]
    fn is_in_conflict(&self, measure: u8) -> bool {
        let planned = &self.measures[usize::from(measure)];
        planned.unit_conflict.get().is_some()
    }

    #[inline(never)]
    fn add_to_series(&self, series: &Arc<Series>, end: &End, measure: u8, value: f64) {
        let reading = self.measures[usize::from(measure)].reading;
        reading.add(series, value);
        if reading == Reading::Amount
            && let Some(slot) = series.buffer_slot()
        {
            let _ = end.buffer_slot.set(slot);
        }
    }
}

/// Where the measurements of one event, or of one moment of a span, go.
#[derive(Clone, Copy)]
pub(super) struct Destination<'a> {
    binding: Option<&'a Binding>,
    key: LabelKey<'a>,
    plan: &'a Plan,
    /// Whether a measure of the plan has to be asked for a unit conflict.
    has_conflict: bool,
    /// This thread's.
    buffer: Option<&'a ThreadBuffer>,
}

impl Destination<'_> {
    #[inline(always)]
    pub(super) fn add_each(&self, measures: &[u8], amount: Amount) {
        for measure in measures {
            self.add(*measure, amount);
        }
    }

    #[inline(always)]
    pub(super) fn add(&self, measure: u8, amount: Amount) {
        if let Some(binding) = self.binding
            && !(self.has_conflict && self.plan.is_in_conflict(measure))
            && self.add_on(binding, measure, amount)
        {
            return;
        }
        let value = amount.to_f64();
        self.plan.add_to_admitted(measure, value, self.key);
    }

    /// Whether the binding leads to a series of this measure, or to none.
    #[inline(always)]
    fn add_on(&self, binding: &Binding, measure: u8, amount: Amount) -> bool {
        let Some(end) = binding.end(measure) else {
            return false;
        };
        if let Some(slot) = end.buffer_slot.get()
            && self.plan.pending.add(self.buffer, *slot, amount)
        {
            return true;
        }
        let Some(series) = end.series.get() else {
            return false;
        };
        if let Some(series) = series {
            let value = amount.to_f64();
            self.plan.add_to_series(series, end, measure, value);
        }
        true
    }
}

impl Reading {
    #[inline(always)]
    pub(super) fn add(self, series: &Arc<Series>, value: f64) {
        match self {
            Self::Amount => series.record(value),
            Self::Rise => series.record_rise_to(value),
            Self::Fall => series.record_fall_to(value),
        }
    }
}
