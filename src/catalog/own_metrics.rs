//! What this crate measures about itself, in the same sinks.

use std::sync::Arc;

use super::metric::Metric;
use crate::kind::Kind;
use crate::labels::{LabelBuf, LabelNames, Seed};
use crate::problem::Reason;
use crate::series::Series;
use crate::value::Value;

/// How the names of our own metrics start.
const PREFIX: &str = "tracing_meter";

/// The metrics of this crate, each with one label.
pub(super) struct OwnMetrics {
    rejected: Arc<Metric>,
    overflowed: Arc<Metric>,
    series: Arc<Metric>,
}

impl OwnMetrics {
    /// Whether a metric of the program would be taken for one of ours.
    pub(super) fn is_own_name(name: &str) -> bool {
        name.to_ascii_lowercase().starts_with(PREFIX)
    }

    /// Declares and settles them by name, kind and help text.
    pub(super) fn new(declare: impl Fn(&str, Kind, &str) -> Arc<Metric>) -> Self {
        Self {
            rejected: declare(
                "tracing_meter.rejected",
                Kind::Counter,
                "Measurements that tracing-meter rejected, by reason.",
            ),
            overflowed: declare(
                "tracing_meter.overflowed",
                Kind::Counter,
                "Measurements that went to the overflow series, by metric.",
            ),
            series: declare(
                "tracing_meter.series",
                Kind::UpDownCounter,
                "Series that tracing-meter holds, by metric.",
            ),
        }
    }

    /// Counts measurements that were rejected.
    pub(super) fn rejected(&self, reason: Reason) -> Option<Arc<Series>> {
        series_of(&self.rejected, "reason", reason.as_str())
    }

    /// Counts measurements of a metric that went to its overflow series.
    pub(super) fn overflowed(&self, metric: &str) -> Option<Arc<Series>> {
        series_of(&self.overflowed, "metric", metric)
    }

    /// Counts the series of a metric.
    pub(super) fn series(&self, metric: &str) -> Option<Arc<Series>> {
        series_of(&self.series, "metric", metric)
    }
}

fn series_of(metric: &Metric, key: &str, value: &str) -> Option<Arc<Series>> {
    let names = LabelNames::new([key.into()]);
    let mut labels = LabelBuf::new(Seed::random());
    labels.set(0, &Value::Str(value), usize::MAX);
    let instrument = metric.settled()?;
    let admitted = metric.series.admit(instrument, names.of(labels.as_words()));
    Some(Arc::clone(admitted.series()))
}
