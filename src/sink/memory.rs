//! Measurements kept in memory, for tests.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Handle, Sink};
use crate::instrument::Instrument;
use crate::kind::Kind;
use crate::labels::Labels;
use crate::sync::Mutex;

/// Keeps what was measured, for a test to look at. Clones share what they keep.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let memory = tracing_meter::MemorySink::new();
/// let layer = tracing_meter::builder().sink(memory.clone()).build()?;
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
///     tracing::info!(histogram.wait = 0.25, unit.wait = "s", queue = "low");
///     tracing::info!(histogram.wait = 3, queue = "low");
/// });
///
/// let snapshot = memory.snapshot();
/// let labels = [("queue", "low")];
/// assert_eq!(snapshot.samples("wait", &labels), [0.25, 3.0]);
/// assert_eq!(snapshot.value("wait", &labels), Some(3.25));
/// # Ok::<(), tracing_meter::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    series: Arc<Mutex<SeriesByName>>,
}

type SeriesByName = HashMap<(String, Labels), Arc<MemorySeries>>;

#[derive(Debug)]
struct MemorySeries {
    instrument: Instrument,
    samples: Mutex<Vec<f64>>,
}

impl MemorySink {
    /// A sink that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was measured until now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let series = self.series.lock();
        Snapshot {
            series: series
                .iter()
                .map(|((_, labels), series)| Measured {
                    instrument: series.instrument.clone(),
                    labels: labels.clone(),
                    samples: series.samples.lock().clone(),
                })
                .collect(),
        }
    }
}

impl Sink for MemorySink {
    fn series(&self, instrument: &Instrument, labels: &Labels) -> Arc<dyn Handle> {
        let mut series = self.series.lock();
        let key = (instrument.name().to_owned(), labels.clone());
        let series = series.entry(key).or_insert_with(|| {
            Arc::new(MemorySeries {
                instrument: instrument.clone(),
                samples: Mutex::default(),
            })
        });
        Arc::<MemorySeries>::clone(series)
    }
}

impl Handle for MemorySeries {
    fn record(&self, value: f64) {
        self.samples.lock().push(value);
    }
}

/// What a [`MemorySink`] had seen at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    series: Vec<Measured>,
}

#[derive(Clone, Debug)]
struct Measured {
    instrument: Instrument,
    labels: Labels,
    samples: Vec<f64>,
}

impl Snapshot {
    /// A series' value: the sum of what was added or observed, or what a gauge
    /// was set to last. `None` if it was never measured.
    ///
    /// Labels are compared as text, and must be all that the series has.
    #[must_use]
    pub fn value(&self, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let series = self.find(metric, labels)?;
        match series.instrument.kind() {
            Kind::Gauge => series.samples.last().copied(),
            Kind::Counter | Kind::UpDownCounter | Kind::Histogram => {
                Some(series.samples.iter().sum())
            }
        }
    }

    /// All measurements of a series, in order. Empty if there were none.
    #[must_use]
    pub fn samples(&self, metric: &str, labels: &[(&str, &str)]) -> &[f64] {
        self.find(metric, labels)
            .map_or(&[], |series| &series.samples)
    }

    /// The label sets of a metric's series, in no particular order.
    pub fn label_sets(&self, metric: &str) -> impl Iterator<Item = &Labels> {
        self.series
            .iter()
            .filter(move |series| series.instrument.name() == metric)
            .map(|series| &series.labels)
    }

    /// The instrument of a metric.
    #[must_use]
    pub fn instrument(&self, metric: &str) -> Option<&Instrument> {
        let mut instruments = self.series.iter().map(|series| &series.instrument);
        instruments.find(|instrument| instrument.name() == metric)
    }

    fn find(&self, metric: &str, labels: &[(&str, &str)]) -> Option<&Measured> {
        self.series.iter().find(|series| {
            series.instrument.name() == metric
                && series.labels.len() == labels.len()
                && labels.iter().all(|(key, value)| {
                    let found = series.labels.get(key);
                    found.is_some_and(|found| found.to_string() == *value)
                })
        })
    }
}
