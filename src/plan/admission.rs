//! From label values to series, where no binding leads there yet.

use std::sync::Arc;

use super::view::View;
use super::{Plan, PlannedMeasure};
use crate::convention::Reading;
use crate::labels::{LabelBuf, LabelKey};
use crate::problem::Reason;
use crate::series::{Admitted, Series};

impl Plan {
    #[cold]
    pub(super) fn add_to_admitted(&self, measure: u8, value: f64, key: LabelKey<'_>) {
        let planned = &self.measures[usize::from(measure)];
        match self.admit(measure, key) {
            Some(Admitted::Overflow(_)) if planned.reading != Reading::Amount => {
                self.reject(measure, Reason::LevelOverflow, || value.to_string());
            }
            Some(admitted) => planned.reading.add(admitted.series(), value),
            None => {}
        }
    }

    /// Finds the series in the catalog, if these values feed the measure, and remembers the
    /// binding where there is a bound to such bindings: never to the overflow series.
    pub(super) fn admit(&self, measure: u8, key: LabelKey<'_>) -> Option<Admitted<'_>> {
        let planned = &self.measures[usize::from(measure)];
        if !self.is_fed(planned, key.words) {
            self.remember(measure, key, None, self.most_bindings);
            return None;
        }
        let target = match planned.unit_conflict.get() {
            Some(tally) => Err(tally),
            None => planned.target.as_ref(),
        };
        let view = self.view(planned);
        let (limit, seed) = (self.fields.label_limit, self.bindings.seed);
        let is_read = view.is_read(planned.is_late);
        let viewed = is_read.then(|| view.read(key.words, planned.is_late, limit, seed));
        let words = viewed.as_ref().map(LabelBuf::as_words);
        let labels = view.names.of(words.unwrap_or(key.words));
        let admitted = target.and_then(|metric| self.catalog.admit(metric, labels));
        let admitted = admitted.map_err(|tally| self.catalog.reject(tally)).ok()?;
        let most = match admitted {
            Admitted::New(_) => usize::MAX,
            Admitted::Known(_) => self.most_bindings,
            Admitted::Overflow(_) => 0,
        };
        self.remember(measure, key, Some(admitted.series()), most);
        Some(admitted)
    }

    fn remember(&self, measure: u8, key: LabelKey<'_>, series: Option<&Arc<Series>>, most: usize) {
        if most > 0
            && let Some(binding) = self.bindings.insert_within(most, key)
        {
            binding.set_series(measure, series);
        }
    }

    /// Whether a measure is fed where these values were recorded.
    fn is_fed(&self, planned: &PlannedMeasure, words: &[u64]) -> bool {
        let mut before = planned
            .hidden_by
            .iter()
            .map(|at| &self.measures[usize::from(*at)]);
        self.view(planned).applies_to(words) && !before.any(|other| self.is_fed(other, words))
    }

    fn view(&self, planned: &PlannedMeasure) -> &View {
        &self.views[usize::from(planned.view)]
    }
}
