//! Measurements through the `metrics` facade, to Prometheus and its other exporters.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use metrics::{Key, Recorder};

use super::problems::SinkProblems;
use super::{Handle, Sink};
use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::problem::Reason;
use crate::sync::Mutex;

mod exporter;
mod handle;
mod instrument;
mod place;

use exporter::left_out_suffix;
use handle::FacadeHandle;
use instrument::{FacadeInstrument, Naming};
use place::Idle;

/// Records through a recorder of the `metrics` facade.
///
/// Names and label keys are those of a Prometheus scrape, unless
/// [`names_as_written`](Self::names_as_written) asks for others. An up/down
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
    recorder: Arc<RecorderRef>,
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
        Self::of(Target::Own(Box::new(recorder)))
    }

    /// A sink of the global recorder, which may be installed later: what was
    /// measured before is handed over with the next measurement of anything (of a
    /// histogram, the first 1024 measurements of each series; the others are listed as
    /// [`Reason::QueueFull`]).
    ///
    /// Two kinds of recorder cannot be told from the global one, or from none; give
    /// them to [`new`](Self::new) instead: a local one
    /// (`metrics::with_local_recorder`), which takes what is measured on its
    /// thread first, and whatever waits; and one without a size (a unit struct),
    /// which gets no help texts, and nothing from before it was installed.
    #[must_use]
    pub fn global() -> Self {
        Self::of(Target::Global)
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

    fn of(target: Target) -> Self {
        Self {
            recorder: Arc::new(RecorderRef {
                target,
                problems: OnceLock::new(),
                waiting: Mutex::default(),
            }),
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
        // A sink has one layer: it was moved into it.
        let _ = self.recorder.problems.set(problems);
    }
}

impl std::fmt::Debug for FacadeSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FacadeSink")
            .field("naming", &self.naming)
            .finish_non_exhaustive()
    }
}

/// Where the recorder is.
struct RecorderRef {
    target: Target,
    problems: OnceLock<SinkProblems>,
    /// Handles with measurements from before the recorder was installed.
    waiting: Mutex<Vec<Weak<FacadeHandle>>>,
}

enum Target {
    Own(Box<dyn Recorder + Send + Sync>),
    Global,
}

impl RecorderRef {
    /// Without a layer they are for no reader.
    fn problems(&self) -> &SinkProblems {
        self.problems.get_or_init(SinkProblems::default)
    }

    /// Calls with the recorder, and whether it is one that may be kept to.
    ///
    /// Before a global recorder is installed, the facade passes its no-op
    /// recorder, which it does not say. That has no size, and few others have
    /// none: those are asked for their handle each time.
    fn with<R>(&self, call: impl FnOnce(&dyn Recorder, bool) -> R) -> R {
        match &self.target {
            Target::Own(recorder) => call(recorder, true),
            Target::Global => metrics::with_recorder(|recorder| {
                let installed = size_of_val(recorder) != 0;
                call(recorder, installed)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};

    use metrics::{
        Counter, Gauge, GaugeFn, Histogram, HistogramFn, KeyName, Metadata, SharedString, Unit,
    };

    use super::*;
    use crate::kind::Kind;

    /// A recorder of one gauge, which can only be set.
    #[derive(Clone, Default)]
    struct SetOnly(Arc<AtomicU64>);

    impl GaugeFn for SetOnly {
        fn increment(&self, _value: f64) {}
        fn decrement(&self, _value: f64) {}
        fn set(&self, value: f64) {
            // Whoever is faster now is overtaken, if that is possible.
            std::thread::yield_now();
            self.0.store(value.to_bits(), Ordering::SeqCst);
        }
    }

    impl Recorder for SetOnly {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(Arc::new(self.clone()))
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn the_last_level_that_is_set_is_the_sum_of_all_threads() {
        let gauge = SetOnly::default();
        let sink = FacadeSink::new(gauge.clone()).set_levels();
        let handle = series(&sink, Kind::UpDownCounter);
        for round in 1..=100 {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for by in [1.0, 1.0, -1.0] {
                            handle.record(by);
                        }
                    });
                }
            });
            let level = f64::from_bits(gauge.0.load(Ordering::SeqCst));
            assert!(
                (level - f64::from(round * 4)).abs() < f64::EPSILON,
                "{level}"
            );
        }
    }

    /// A recorder of one histogram, which another thread is about to take.
    #[derive(Clone)]
    struct TakenSlowly(Arc<Taking>);

    struct Taking {
        taken: AtomicU64,
        observed: AtomicU64,
        /// Before and after what happens meanwhile.
        meanwhile: [Barrier; 2],
    }

    impl HistogramFn for TakenSlowly {
        fn record(&self, _value: f64) {
            self.0.observed.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Recorder for TakenSlowly {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        /// The second time is when what was early is handed over.
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            if self.0.taken.fetch_add(1, Ordering::SeqCst) == 1 {
                self.0.meanwhile.iter().for_each(|it| _ = it.wait());
            }
            Histogram::from_arc(Arc::new(self.clone()))
        }
    }

    /// A recorder that counts how often a counter is taken.
    #[derive(Clone, Default)]
    struct Taken(Arc<AtomicU64>);

    impl Recorder for Taken {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            self.0.fetch_add(1, Ordering::SeqCst);
            Counter::noop()
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    /// How often a counter is taken that is measured five times more after pauses.
    fn taken_again(configure: impl FnOnce(FacadeSink) -> FacadeSink) -> u64 {
        let recorder = Taken::default();
        let sink = configure(FacadeSink::new(recorder.clone()));
        let handle = series(&sink, Kind::Counter);
        handle.record(1.0);
        let first = recorder.0.load(Ordering::SeqCst);
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(11));
            handle.record(1.0);
        }
        recorder.0.load(Ordering::SeqCst) - first
    }

    #[test]
    fn a_series_that_idles_is_taken_anew_only_if_asked() {
        assert_eq!(taken_again(|sink| sink), 0);
        assert_eq!(taken_again(|sink| sink.renew_after(Duration::MAX)), 0);
        let often = Duration::from_millis(11);
        assert_eq!(taken_again(|sink| sink.renew_after(often)), 5);
        assert_eq!(taken_again(|sink| sink.renew_after(Duration::ZERO)), 5);
    }

    #[test]
    fn what_is_observed_while_a_series_is_taken_is_all_there() {
        let recorder = TakenSlowly(Arc::new(Taking {
            taken: AtomicU64::new(0),
            observed: AtomicU64::new(0),
            meanwhile: [Barrier::new(2), Barrier::new(2)],
        }));
        let sink = FacadeSink::new(recorder.clone());
        let handle = series(&sink, Kind::Histogram);
        std::thread::scope(|scope| {
            scope.spawn(|| handle.record(1.0));
            recorder.0.meanwhile[0].wait();
            (0..5000).for_each(|_| handle.record(1.0));
            recorder.0.meanwhile[1].wait();
        });
        assert_eq!(recorder.0.observed.load(Ordering::SeqCst), 5001);
    }

    fn series(sink: &FacadeSink, kind: Kind) -> Arc<dyn Handle> {
        let name = crate::instrument::MetricName::parse("jobs").unwrap();
        let instrument = Instrument::new(name, kind, None);
        sink.series(&instrument, &Labels::new(Vec::new()))
    }
}
