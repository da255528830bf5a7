//! The hot path: from what was recorded to the series of its binding.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing_core::Event;

use super::binding::{Binding, End};
use super::{Plan, Recorded};
use crate::convention::Reading;
use crate::labels::{LabelBuf, LabelKey};
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
        for (measure, amount) in recorded.samples.iter() {
            self.add(measure, amount, binding, key);
        }
        if let Some(rare) = &recorded.rare {
            for (measure, amount) in &rare.samples {
                self.add(*measure, *amount, binding, key);
            }
        }
        self.add_each(&self.moments.happened, Amount::ONE, binding, key);
    }

    #[inline(always)]
    pub(super) fn add_each(
        &self,
        measures: &[u8],
        amount: Amount,
        binding: Option<&Binding>,
        key: LabelKey<'_>,
    ) {
        for measure in measures {
            self.add(*measure, amount, binding, key);
        }
    }

    #[inline(always)]
    pub(super) fn add(
        &self,
        measure: u8,
        amount: Amount,
        binding: Option<&Binding>,
        key: LabelKey<'_>,
    ) {
        if let Some(binding) = binding
            && !self.has_conflict.load(Ordering::Relaxed)
            && self.add_on(binding, measure, amount)
        {
            return;
        }
        // Slower, and right for each measure of a plan that has a conflict, too.
        self.add_to_admitted(measure, amount.to_f64(), key);
    }

    /// Whether the binding leads to a series of this measure, or to none.
    #[inline(always)]
    pub(super) fn add_on(&self, binding: &Binding, measure: u8, amount: Amount) -> bool {
        let Some(end) = binding.end(measure) else {
            return false;
        };
        if let Some(slot) = end.buffer_slot.get()
            && self.pending.add(*slot, amount)
        {
            return true;
        }
        let Some(series) = end.series.get() else {
            return false;
        };
        if let Some(series) = series {
            self.add_to_series(series, end, measure, amount.to_f64());
        }
        true
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

impl Reading {
    #[inline]
    pub(super) fn add(self, series: &Arc<Series>, value: f64) {
        match self {
            Self::Amount => series.record(value),
            Self::Rise => series.record_rise_to(value),
            Self::Fall => series.record_fall_to(value),
        }
    }
}
