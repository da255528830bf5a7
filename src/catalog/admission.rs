//! The series that a metric gives to what is measured.

use std::sync::Arc;

use super::Catalog;
use super::metric::{Metric, Overflowed};
use crate::instrument::Instrument;
use crate::kind::Kind;
use crate::labels::LabelSet;
use crate::problem::{Reason, Tally};
use crate::series::Admitted;

impl Catalog {
    /// The metric's series of these labels.
    pub(crate) fn admit<'a>(
        &self,
        metric: &'a Metric,
        labels: LabelSet<'_>,
    ) -> Result<Admitted<'a>, &'a Arc<Tally>> {
        let instrument = self.settle(metric)?;
        let admitted = metric.series.admit(instrument, labels);
        match &admitted {
            Admitted::Known(_) => {}
            Admitted::New(_) => self.count_series(metric),
            Admitted::Overflow(_) => self.count_overflow(metric),
        }
        Ok(admitted)
    }

    /// Decides, once, what the instrument is, and who has its name on a scrape.
    pub(super) fn settle<'a>(
        &self,
        metric: &'a Metric,
    ) -> Result<&'a Arc<Instrument>, &'a Arc<Tally>> {
        metric.settle(|| {
            self.docs.close(metric.name());
            let instrument = self.describe(metric);
            self.claim(metric, &instrument)?;
            Ok(Arc::new(instrument))
        })
    }

    /// The instrument, as far as it is known by now.
    pub(super) fn describe(&self, metric: &Metric) -> Instrument {
        let (unit, help) = self.docs.of(metric.name());
        let instrument =
            Instrument::new(metric.name.clone(), metric.kind, unit).with_description(help);
        if metric.kind != Kind::Histogram {
            return instrument;
        }
        let boundaries = self.boundaries.of(instrument.prometheus_name());
        instrument.with_boundaries(boundaries)
    }

    fn claim(&self, metric: &Metric, instrument: &Instrument) -> Result<(), Arc<Tally>> {
        let claimed = self.names.lock().claim(metric, instrument);
        claimed.map_err(|claimed| {
            let (by, scraped) = (claimed.by.as_str(), claimed.name);
            let detail = || format!("`{by}` is `{scraped}` on a scrape, too");
            let (name, location) = (metric.name(), metric.location);
            self.problems
                .list(Reason::NameCollision, name, location, detail)
        })
    }

    fn count_overflow(&self, metric: &Metric) {
        let overflowed = metric.overflowed.get_or_init(|| {
            let detail = || format!("it has {} series, the most it may have", self.series_cap);
            let (name, location) = (metric.name(), metric.location);
            Overflowed {
                tally: self.problems.list(Reason::Overflow, name, location, detail),
                own: self.own.as_ref().and_then(|own| own.overflowed(name)),
            }
        });
        overflowed.tally.add_one();
        if let Some(own) = &overflowed.own {
            own.record(1.0);
        }
    }

    fn count_series(&self, metric: &Metric) {
        let own = || self.own.as_ref()?.series(metric.name());
        if let Some(own) = metric.series_count.get_or_init(own) {
            own.record(1.0);
        }
    }
}
