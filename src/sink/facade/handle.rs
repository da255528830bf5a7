//! A series in a recorder, which may not be installed yet, or may have expired it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata};

use super::place::Place;
use super::{FacadeInstrument, RecorderRef};
use crate::kind::Kind;
use crate::problem::Reason;
use crate::sink::Handle;
use crate::sink::deferred::{Deferred, Kept};

/// How many measurements of a histogram wait for the recorder.
const MAX_WAITING: usize = 1024;

/// A counter up to this is passed on as it is. Only a sum of larger ones could
/// exceed 64 bits, or of fractions become a whole.
const SMALL: f64 = 4_294_967_296.0;
/// What a counter stops at, far below where 64 bits would wrap around.
const MAX_SUM: f64 = 9_223_372_036_854_775_808.0;
/// Ten times 0.1 is 1, although the sum of the floats is a little less.
const ROUNDING: f64 = 1e-9;

static METADATA: Metadata<'_> = Metadata::new("tracing_meter", Level::INFO, Some(module_path!()));

/// One series. Shared, so that those that wait can be found.
pub(super) struct FacadeHandle {
    this: Weak<Self>,
    recorder: Arc<RecorderRef>,
    instrument: Arc<FacadeInstrument>,
    key: Key,
    place: Place,
    /// The sum of an up/down counter, or of what a counter was given in fractions
    /// and large amounts, as the bits of a float.
    sum: AtomicU64,
    /// What was measured before the recorder was installed.
    early: Deferred,
}

pub(super) enum Resolved {
    Counter(Counter),
    UpDownCounter(Gauge),
    /// That of an up/down counter, which is set to the sum.
    Level(Gauge),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl FacadeHandle {
    pub(super) fn new(
        recorder: Arc<RecorderRef>,
        instrument: Arc<FacadeInstrument>,
        key: Key,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            early: Deferred::new(instrument.kind, MAX_WAITING),
            place: Place::new(instrument.renew_after.as_ref()),
            instrument,
            key,
            recorder,
            sum: AtomicU64::new(0.0_f64.to_bits()),
        })
    }

    /// Takes the series from the recorder, and says whether that is installed.
    fn take(&self) -> (Resolved, bool) {
        self.recorder.with(|recorder, installed| {
            let key = &self.key;
            if installed {
                self.instrument.describe_once(recorder);
            }
            let resolved = match self.instrument.kind {
                Kind::Counter => Resolved::Counter(recorder.register_counter(key, &METADATA)),
                Kind::UpDownCounter if self.instrument.sets_levels => {
                    Resolved::Level(recorder.register_gauge(key, &METADATA))
                }
                Kind::UpDownCounter => {
                    Resolved::UpDownCounter(recorder.register_gauge(key, &METADATA))
                }
                Kind::Gauge => Resolved::Gauge(recorder.register_gauge(key, &METADATA)),
                Kind::Histogram => Resolved::Histogram(recorder.register_histogram(key, &METADATA)),
            };
            (resolved, installed)
        })
    }

    #[inline]
    fn apply(&self, resolved: &Resolved, value: f64) {
        match resolved {
            Resolved::Counter(_) if value > SMALL || value.fract() != 0.0 => {
                let before = self.add_to_sum(value);
                if before + value > MAX_SUM {
                    self.reject(Reason::CounterFull, "it stops at 2^63, in `u64`");
                }
                let whole = |sum: f64| (sum + ROUNDING).floor().min(MAX_SUM);
                resolved.record(whole(before + value) - whole(before));
            }
            Resolved::UpDownCounter(_) => {
                self.add_to_sum(value);
                resolved.record(value);
            }
            Resolved::Level(gauge) => {
                self.add_to_sum(value);
                self.set_to_sum(gauge);
            }
            Resolved::Counter(_) | Resolved::Gauge(_) | Resolved::Histogram(_) => {
                resolved.record(value);
            }
        }
    }

    /// What is in flight gives back to the gauge that it was taken from.
    fn is_in_flight(&self) -> bool {
        self.instrument.kind == Kind::UpDownCounter && self.load_sum() != 0.0
    }

    #[cold]
    fn reject(&self, reason: Reason, detail: &str) {
        let problems = self.recorder.problems();
        problems.reject(reason, &self.instrument.measured, detail);
    }

    /// Until the sum is what was set: another thread may have set a later one before.
    fn set_to_sum(&self, gauge: &Gauge) {
        loop {
            let sum = self.load_sum();
            gauge.set(sum);
            if sum.to_bits() == self.load_sum().to_bits() {
                return;
            }
        }
    }

    fn load_sum(&self) -> f64 {
        f64::from_bits(self.sum.load(Ordering::Relaxed))
    }

    /// Adds to the sum, and returns what it was.
    fn add_to_sum(&self, value: f64) -> f64 {
        let relaxed = Ordering::Relaxed;
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let before = self.sum.fetch_update(relaxed, relaxed, add);
        f64::from_bits(before.unwrap_or_else(|bits| bits))
    }

    /// Records when the series was never taken from a recorder, or has to be anew.
    #[cold]
    fn record_unresolved(&self, value: f64) {
        match self.early.keep(value) {
            Kept::Over => return self.record_anew(value),
            Kept::First => {
                let mut all = self.recorder.waiting.lock();
                all.push(Weak::clone(&self.this));
            }
            Kept::More | Kept::Many => {}
            Kept::Rejected => {
                let detail = format!("{MAX_WAITING} measurements wait for a recorder already");
                let instrument = &self.instrument.measured;
                self.recorder
                    .problems()
                    .reject(Reason::QueueFull, instrument, &detail);
            }
        }
        let (resolved, installed) = self.take();
        if !installed {
            resolved.record(value);
        }
        // Asked again: it may have been installed meanwhile, and this be the last call.
        if installed || self.recorder.with(|_, installed| installed) {
            let all = std::mem::take(&mut *self.recorder.waiting.lock());
            all.iter()
                .filter_map(Weak::upgrade)
                .for_each(|handle| handle.deliver_early());
            // It is not in that list if a recorder panicked on it before.
            self.deliver_early();
        }
    }

    fn record_anew(&self, value: f64) {
        let apply = |resolved: &Resolved| self.apply(resolved, value);
        if !self.place.try_use(|| self.is_in_flight(), apply) {
            self.place.keep(self.take().0);
            self.place.use_latest(apply);
        }
    }

    /// Applies what was early, and then lets others apply theirs themselves.
    fn deliver_early(&self) {
        self.early.deliver_to(
            || self.take().0,
            |resolved, value| self.apply(resolved, value),
            |resolved| self.place.keep(resolved),
        );
    }
}

impl Resolved {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a counter's value is not negative, and saturates at u64::MAX"
    )]
    fn record(&self, value: f64) {
        match self {
            Self::Counter(counter) => counter.increment(value as u64),
            Self::UpDownCounter(gauge) => gauge.increment(value),
            Self::Level(gauge) | Self::Gauge(gauge) => gauge.set(value),
            Self::Histogram(histogram) => histogram.record(value),
        }
    }
}

impl Handle for FacadeHandle {
    fn record(&self, value: f64) {
        let apply = |resolved: &Resolved| self.apply(resolved, value);
        if !self.place.try_use(|| self.is_in_flight(), apply) {
            self.record_unresolved(value);
        }
    }
}
