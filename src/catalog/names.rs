//! Which metric has which name, in code and on a scrape.

use std::collections::HashMap;
use std::sync::Arc;

use super::metric::Metric;
use crate::instrument::{Instrument, MetricName};
use crate::prometheus_name;

/// The metrics by their names.
#[derive(Default)]
pub(super) struct Names {
    in_order: Vec<Arc<Metric>>,
    /// By lower-case name: OpenTelemetry's names ignore case.
    declared: HashMap<String, Arc<Metric>>,
    /// The first metric that has a name on a scrape.
    scraped: HashMap<String, MetricName>,
}

/// A name on a scrape that another metric has.
pub(super) struct Claimed {
    pub(super) name: String,
    pub(super) by: MetricName,
}

impl Names {
    pub(super) fn in_order(&self) -> &[Arc<Metric>] {
        &self.in_order
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Metric>> {
        self.declared.get(&name.to_ascii_lowercase())
    }

    pub(super) fn add(&mut self, metric: &Arc<Metric>) {
        let name = metric.name().to_ascii_lowercase();
        self.in_order.push(Arc::clone(metric));
        self.declared.insert(name, Arc::clone(metric));
    }

    /// Takes all names that an instrument has on a scrape, or none.
    pub(super) fn claim(
        &mut self,
        metric: &Metric,
        instrument: &Instrument,
    ) -> Result<(), Claimed> {
        let names = prometheus_name::of_lines(instrument.prometheus_name(), instrument.kind());
        for name in &names {
            if let Some(by) = self.scraped.get(name) {
                let (name, by) = (name.clone(), by.clone());
                return Err(Claimed { name, by });
            }
        }
        let claimed = names.into_iter().map(|name| (name, metric.name.clone()));
        self.scraped.extend(claimed);
        Ok(())
    }
}
