//! The hot path: from what was recorded to the series of its binding.

use super::binding::Binding;
use super::{Plan, PlannedMeasure, Recorded};
use crate::convention::Reading;
use crate::labels::LabelKey;
use crate::series::Series;

impl Plan {
    /// Records all samples, under labels that may be more than were recorded.
    #[inline(always)]
    pub(crate) fn measure(
        &self,
        recorded: &Recorded,
        binding: Option<&Binding>,
        key: LabelKey<'_>,
    ) {
        if let Some(rare) = &recorded.rare {
            self.take_rare(rare);
        }
        for (measure, value) in &recorded.samples {
            self.add(*measure, *value, binding, key);
        }
        self.add_each(&self.moments.happened, 1.0, binding, key);
    }

    #[inline(always)]
    pub(super) fn add_each(
        &self,
        measures: &[u8],
        value: f64,
        binding: Option<&Binding>,
        key: LabelKey<'_>,
    ) {
        for measure in measures {
            self.add(*measure, value, binding, key);
        }
    }

    #[inline(always)]
    pub(super) fn add(
        &self,
        measure: u8,
        value: f64,
        binding: Option<&Binding>,
        key: LabelKey<'_>,
    ) {
        let planned = &self.measures[usize::from(measure)];
        let is_added = planned.unit_conflict.get().is_none()
            && binding.is_some_and(|binding| self.add_on(binding, measure, planned, value));
        if !is_added {
            self.add_to_admitted(measure, value, key);
        }
    }

    /// Whether the binding leads to a series of this measure.
    #[inline(always)]
    pub(super) fn add_on(
        &self,
        binding: &Binding,
        measure: u8,
        planned: &PlannedMeasure,
        value: f64,
    ) -> bool {
        let Some(end) = binding.end(measure) else {
            return false;
        };
        if let Some(place) = end.place.get()
            && self.pending.add(*place, value)
        {
            return true;
        }
        let Some(fed) = end.series.get() else {
            return false;
        };
        let Some(series) = fed else {
            return true;
        };
        planned.reading.add(series, value);
        if planned.reading == Reading::Amount
            && let Some(place) = series.place()
        {
            let _ = end.place.set(place);
        }
        true
    }
}

impl Reading {
    #[inline(always)]
    pub(super) fn add(self, series: &Series, value: f64) {
        match self {
            Self::Amount => series.record(value),
            Self::Rise => series.record_rise_to(value),
            Self::Fall => series.record_fall_to(value),
        }
    }
}
