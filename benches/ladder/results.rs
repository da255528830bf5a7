//! What was measured, by case and round.

use std::collections::BTreeMap;

use crate::run::harness::Cost;

/// The costs of all cases. Those of one round were measured side by side.
#[derive(Default)]
pub(crate) struct Results(BTreeMap<String, BTreeMap<usize, Cost>>);

impl Results {
    pub(crate) fn add(&mut self, case: &str, round: usize, cost: Cost) {
        let rounds = self.0.entry(case.to_owned()).or_default();
        rounds.insert(round, cost);
    }

    /// The median of all rounds, if the case was run.
    pub(crate) fn median(&self, case: &str, of: impl Fn(&Cost) -> f64) -> Option<f64> {
        median(self.0.get(case)?.values().map(of).collect())
    }

    /// What a case costs, held against another one round by round: the median of the
    /// quarter of rounds in which both together were fastest.
    ///
    /// A slow machine makes both slow, which cancels out. But a busy neighbour does
    /// not slow all code down alike: quiet rounds know least of him.
    pub(crate) fn paired(
        &self,
        case: &str,
        reference: &str,
        compare: impl Fn(&Cost, &Cost) -> f64,
    ) -> Option<f64> {
        let (case, reference) = (self.0.get(case)?, self.0.get(reference)?);
        let both = |(round, cost)| Some((cost, reference.get(round)?));
        let mut rounds: Vec<(&Cost, &Cost)> = case.iter().filter_map(both).collect();
        rounds.sort_by(|a, b| (a.0.nanos + a.1.nanos).total_cmp(&(b.0.nanos + b.1.nanos)));
        rounds.truncate(rounds.len().div_ceil(4));
        median(rounds.iter().map(|(a, b)| compare(a, b)).collect())
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
