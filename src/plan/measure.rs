//! The hot path: from what was recorded to the series of its binding.

use std::sync::atomic::Ordering;

use super::binding::Binding;
use super::{Plan, Recorded};
use crate::convention::Reading;
use crate::labels::LabelKey;
use crate::series::Series;
use crate::value::Amount;

impl Plan {
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
        let is_pending = !self.has_conflict.load(Ordering::Relaxed)
            && binding.is_some_and(|binding| self.add_pending(binding, measure, amount));
        if !is_pending {
            self.add_now(measure, amount, binding, key);
        }
    }

    /// Adds to the series that a binding leads to, if it does.
    #[inline(always)]
    pub(super) fn add_on(&self, binding: &Binding, measure: u8, amount: Amount) {
        if !self.add_pending(binding, measure, amount) {
            self.add_to_series(binding, measure, amount.to_f64());
        }
    }

    /// Adds where the binding keeps what is pending, without a look at its series. Whether
    /// there was room.
    #[inline(always)]
    fn add_pending(&self, binding: &Binding, measure: u8, amount: Amount) -> bool {
        let place = binding.end(measure).and_then(|end| end.place.get());
        place.is_some_and(|place| self.pending.add(*place, amount))
    }

    #[inline(never)]
    fn add_now(&self, measure: u8, amount: Amount, binding: Option<&Binding>, key: LabelKey<'_>) {
        let planned = &self.measures[usize::from(measure)];
        let value = amount.to_f64();
        let is_added = planned.unit_conflict.get().is_none()
            && binding.is_some_and(|binding| self.add_to_series(binding, measure, value));
        if !is_added {
            self.add_to_admitted(measure, value, key);
        }
    }

    /// Whether the binding leads to a series of this measure, or to none.
    #[inline]
    fn add_to_series(&self, binding: &Binding, measure: u8, value: f64) -> bool {
        let Some(end) = binding.end(measure) else {
            return false;
        };
        let Some(fed) = end.series.get() else {
            return false;
        };
        let Some(series) = fed else {
            return true;
        };
        let reading = self.measures[usize::from(measure)].reading;
        reading.add(series, value);
        if reading == Reading::Amount
            && let Some(place) = series.place()
        {
            let _ = end.place.set(place);
        }
        true
    }
}

impl Reading {
    #[inline]
    pub(super) fn add(self, series: &Series, value: f64) {
        match self {
            Self::Amount => series.record(value),
            Self::Rise => series.record_rise_to(value),
            Self::Fall => series.record_fall_to(value),
        }
    }
}
