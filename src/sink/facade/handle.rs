//! One series of a sink, as the layer records it.

use std::sync::{Arc, Weak};

use metrics::Key;

use super::early_series::DeliverEarly;
use super::instrument::FacadeInstrument;
use super::recorder::SharedRecorder;
use super::registration::Registration;
use super::series::FacadeSeries;
use super::sum::Sum;
use crate::kind::Kind;
use crate::problem::Reason;
use crate::sink::Handle;
use crate::sink::deferred::{Deferred, Kept};

/// How many measurements of a histogram wait for the recorder.
const MAX_WAITING: usize = 1024;

/// One series. Shared, so that those that wait can be found.
pub(super) struct FacadeHandle {
    this: Weak<Self>,
    recorder: Arc<SharedRecorder>,
    instrument: Arc<FacadeInstrument>,
    key: Key,
    registration: Registration,
    /// Of an up/down counter, or of what a counter was given in fractions and large
    /// amounts.
    sum: Sum,
    /// What was measured before the recorder was installed.
    early: Deferred,
}

impl FacadeHandle {
    pub(super) fn new(
        recorder: Arc<SharedRecorder>,
        instrument: Arc<FacadeInstrument>,
        key: Key,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            early: Deferred::new(instrument.kind, MAX_WAITING),
            registration: Registration::new(instrument.renew_after.as_ref()),
            instrument,
            key,
            recorder,
            sum: Sum::default(),
        })
    }

    /// Registers the series, and says whether the recorder is installed.
    fn register(&self) -> (FacadeSeries, bool) {
        self.recorder.with(|recorder, installed| {
            if installed {
                self.instrument.describe_once(recorder);
            }
            let series = FacadeSeries::new(recorder, &self.instrument, &self.key);
            (series, installed)
        })
    }

    #[inline]
    fn apply(&self, series: &FacadeSeries, value: f64) {
        match series {
            FacadeSeries::Counter(_) if Sum::is_needed_for(value) => {
                let whole = self.sum.add_whole(value);
                if whole.is_full {
                    self.reject(Reason::CounterFull, "it stops at 2^63, in `u64`");
                }
                series.record(whole.growth);
            }
            FacadeSeries::UpDownCounter(_) => {
                self.sum.add(value);
                series.record(value);
            }
            FacadeSeries::Level(gauge) => {
                self.sum.add(value);
                self.sum.show(|sum| gauge.set(sum));
            }
            FacadeSeries::Counter(_) | FacadeSeries::Gauge(_) | FacadeSeries::Histogram(_) => {
                series.record(value);
            }
        }
    }

    /// What is in flight gives back to the gauge that it was taken from.
    fn is_in_flight(&self) -> bool {
        self.instrument.kind == Kind::UpDownCounter && self.sum.get() != 0.0
    }

    #[cold]
    fn reject(&self, reason: Reason, detail: &str) {
        let problems = self.recorder.problems();
        problems.reject(reason, &self.instrument.measured, detail);
    }

    /// Records when the series was never registered, or has to be anew.
    #[cold]
    fn record_unregistered(&self, value: f64) {
        match self.early.keep(value) {
            Kept::Over => return self.record_anew(value),
            Kept::First => self.recorder.early.push(self.this.clone()),
            Kept::More | Kept::Many => {}
            Kept::Rejected => {
                let detail = format!("{MAX_WAITING} measurements wait for a recorder already");
                self.reject(Reason::QueueFull, &detail);
            }
        }
        let (series, installed) = self.register();
        if !installed {
            series.record(value);
        }
        // Asked again: it may have been installed meanwhile, and this be the last call.
        if installed || self.recorder.is_installed() {
            self.recorder.early.deliver();
            // It is not in that list if a recorder panicked on it before.
            self.deliver_early();
        }
    }

    fn record_anew(&self, value: f64) {
        let apply = |series: &FacadeSeries| self.apply(series, value);
        if !self.registration.try_use(|| self.is_in_flight(), apply) {
            self.registration.keep(self.register().0);
            self.registration.use_latest(apply);
        }
    }
}

impl DeliverEarly for FacadeHandle {
    /// From then on other threads record theirs themselves.
    fn deliver_early(&self) {
        self.early.deliver_to(
            || self.register().0,
            |series, value| self.apply(series, value),
            |series| self.registration.keep(series),
        );
    }
}

impl Handle for FacadeHandle {
    fn record(&self, value: f64) {
        let apply = |series: &FacadeSeries| self.apply(series, value);
        if !self.registration.try_use(|| self.is_in_flight(), apply) {
            self.record_unregistered(value);
        }
    }
}
