//! Numbers by what they are of.

use std::collections::BTreeMap;

/// Values by series, `outbox.failures{stage=ack}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts(BTreeMap<String, f64>);

impl Counts {
    pub(crate) fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        *self.at(name, labels) += value;
    }

    pub(crate) fn set(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        *self.at(name, labels) = value;
    }

    /// What was observed: how often, and the sum.
    pub(crate) fn observe(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.add(&format!("{name}.count"), labels, 1.0);
        self.add(&format!("{name}.sum"), labels, value);
    }

    pub(crate) fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// All series that are in either, with their values in both.
    pub(crate) fn beside<'a>(
        &'a self,
        other: &'a Self,
    ) -> BTreeMap<&'a str, (Option<f64>, Option<f64>)> {
        let series = self.0.keys().chain(other.0.keys());
        series
            .map(|it| (it.as_str(), (self.get(it), other.get(it))))
            .collect()
    }

    fn at(&mut self, name: &str, labels: &[(&str, &str)]) -> &mut f64 {
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        let labels = labels.iter().map(|(key, value)| format!("{key}={value}"));
        let labels = labels.collect::<Vec<_>>().join(",");
        let series = if labels.is_empty() {
            name.to_owned()
        } else {
            format!("{name}{{{labels}}}")
        };
        self.0.entry(series).or_default()
    }
}
