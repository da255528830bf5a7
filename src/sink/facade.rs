//! Measurements through the `metrics` facade, to Prometheus and its other exporters.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Key, Recorder};

use super::problems::SinkProblems;
use super::{Handle, Sink};
use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::problem::Reason;
use crate::sync::Mutex;

mod early_series;
mod exporter;
mod handle;
mod idle;
mod instrument;
mod recorder;
mod registration;
mod series;
mod sum;
#[cfg(test)]
mod tests;

use exporter::left_out_suffix;
use handle::FacadeHandle;
use idle::Idle;
use instrument::{FacadeInstrument, Naming};
use recorder::SharedRecorder;

/// Records through a recorder of the `metrics` facade.
///
/// Names and label keys are those of a Prometheus scrape, or those of the code with
/// [`names_as_written`](Self::names_as_written). An up/down
/// counter is a gauge that is incremented and decremented, unless
/// [`set_levels`](Self::set_levels) asks for its sum.
///
/// The facade counts in `u64`: of a counter's fractions it sees the whole part
/// of their sum. A counter with fractions or large amounts stops at 2^63, which is listed
/// as [`Reason::CounterFull`].
///
/// With Prometheus' names a text is also made ready for `metrics-exporter-prometheus`
/// 0.18, which takes `\\` and `\"` as escaped already: a backslash before another one, a
/// quote or a line break is doubled, so that a scrape shows what was recorded. A recorder
/// that escapes everything itself, or nothing, shows two of them. That exporter also
/// names a line of histograms wrong whose names end in `count`, `sum` or `bucket`, which
/// is listed as [`Reason::ExporterName`].
///
/// An exporter with an idle timeout drops series that idle:
/// [`renew_after`](Self::renew_after) brings them back when they are measured again.
pub struct FacadeSink {
    recorder: Arc<SharedRecorder>,
    naming: Naming,
    sets_levels: bool,
    renew_after: Option<Idle>,
    instruments: Mutex<HashMap<String, Arc<FacadeInstrument>>>,
    /// Each series once: its handle keeps what the recorder has not seen yet.
    handles: Mutex<HashMap<Key, Arc<FacadeHandle>>>,
}

impl FacadeSink {
    /// A sink of this recorder.
    pub fn new(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self::of(SharedRecorder::own(recorder))
    }

    /// A sink of the global recorder, which may be installed later: what was
    /// measured before is recorded with the next measurement of anything (of a
    /// histogram, the first 1024 measurements of each series; further ones are rejected, as
    /// [`Reason::QueueFull`]).
    ///
    /// Two kinds of recorder cannot be told from the global one, or from none; give
    /// them to [`new`](Self::new) instead: a local one
    /// (`metrics::with_local_recorder`), which takes what is measured on its
    /// thread first, and whatever is deferred; and one without a size (a unit struct),
    /// which gets no help texts, and nothing from before it was installed.
    #[must_use]
    pub fn global() -> Self {
        Self::of(SharedRecorder::global())
    }

    /// Names, label keys and units as they are written, for exporters that do
    /// not need Prometheus' names: statsd, for example.
    ///
    /// Label values are given as they are, too. An exporter that does not escape them
    /// (`metrics-exporter-statsd` 0.9) lets a value with a line break or a `|` forge
    /// another measurement: give it none that come from outside.
    #[must_use]
    pub fn names_as_written(mut self) -> Self {
        self.naming = Naming::AsWritten;
        self
    }

    /// Sets the gauge of an up/down counter, which is what is in flight, to its sum.
    ///
    /// For exporters whose gauges can only be set, and which drop increments without a
    /// word: `metrics-exporter-statsd`, for example, because a statsd server does not
    /// know from what to count on.
    #[must_use]
    pub fn set_levels(mut self) -> Self {
        self.sets_levels = true;
        self
    }

    /// Takes a series anew from the recorder when it was not measured for this long.
    ///
    /// For exporters with an idle timeout (`PrometheusBuilder::idle_timeout`), which drop a
    /// series that idles: without this, what is measured later is lost. Choose at most that
    /// timeout, half of it for example; a recorder is asked again after every such pause,
    /// which takes about a microsecond, and each measurement reads the clock. Zero asks it
    /// each time. By default series are taken once.
    ///
    /// Exempt gauges from the timeout
    /// (`MetricKindMask::COUNTER | MetricKindMask::HISTOGRAM`): an exporter that drops the
    /// gauge of something in flight shows it again only once it was back at 0.
    #[must_use]
    pub fn renew_after(mut self, idle: Duration) -> Self {
        self.renew_after = Some(Idle::of(idle));
        self
    }

    fn of(recorder: SharedRecorder) -> Self {
        Self {
            recorder: Arc::new(recorder),
            naming: Naming::Prometheus,
            sets_levels: false,
            renew_after: None,
            instruments: Mutex::default(),
            handles: Mutex::default(),
        }
    }

    fn instrument(&self, instrument: &Instrument) -> Arc<FacadeInstrument> {
        let mut instruments = self.instruments.lock();
        let known = instruments.entry(instrument.name().to_owned());
        let known = known.or_insert_with(|| {
            self.list_wrong_name(instrument);
            let mut instrument = FacadeInstrument::new(instrument, self.naming);
            instrument.sets_levels = self.sets_levels;
            instrument.renew_after.clone_from(&self.renew_after);
            Arc::new(instrument)
        });
        Arc::clone(known)
    }

    fn list_wrong_name(&self, instrument: &Instrument) {
        let name = instrument.prometheus_name();
        let suffix = left_out_suffix(name, instrument.kind());
        if let Some(suffix) = suffix.filter(|_| self.naming == Naming::Prometheus) {
            let detail = format!(
                "`metrics-exporter-prometheus` writes its line `{name}_{suffix}` as `{name}`: \
                 give it a unit, or a name with another ending"
            );
            let problems = self.recorder.problems();
            problems.list(Reason::ExporterName, instrument, &detail);
        }
    }
}

impl Sink for FacadeSink {
    fn series(&self, instrument: &Instrument, labels: &Labels) -> Arc<dyn Handle> {
        let instrument = self.instrument(instrument);
        let key = Key::from_parts(instrument.name.clone(), self.naming.labels(labels));
        let mut handles = self.handles.lock();
        let handle = handles.entry(key).or_insert_with_key(|key| {
            FacadeHandle::new(Arc::clone(&self.recorder), instrument, key.clone())
        });
        Arc::<FacadeHandle>::clone(handle)
    }

    fn report_to(&self, problems: SinkProblems) {
        self.recorder.report_to(problems);
    }
}

impl std::fmt::Debug for FacadeSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FacadeSink")
            .field("naming", &self.naming)
            .finish_non_exhaustive()
    }
}
