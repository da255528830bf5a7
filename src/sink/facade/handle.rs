//! A series in a recorder, which may not be installed yet, or may have expired it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata};

use super::{FacadeInstrument, RecorderRef};
use crate::kind::Kind;
use crate::problem::Reason;
use crate::sink::Handle;
use crate::sink::deferred::{Deferred, Kept};

/// An exporter forgets a series that idles, and its handle records into
/// nothing. A handle that idled this long is taken anew, which finds the old one
/// if the exporter still has it. In nanoseconds, far below any idle timeout.
const STALE_AFTER: u64 = 10_000_000;

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
    resolved: ArcSwapOption<Resolved>,
    used: AtomicU64,
    is_stale: AtomicBool,
    /// The sum of an up/down counter, or of what a counter was given in fractions
    /// and large amounts, as the bits of a float.
    sum: AtomicU64,
    /// What was measured before the recorder was installed.
    early: Deferred,
}

enum Resolved {
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
            instrument,
            key,
            resolved: ArcSwapOption::empty(),
            used: AtomicU64::new(recorder.clock.now()),
            recorder,
            is_stale: AtomicBool::new(false),
            sum: AtomicU64::new(0.0_f64.to_bits()),
        })
    }

    /// Takes the series from the recorder, and says whether that is installed.
    fn take(&self) -> (Arc<Resolved>, bool) {
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
            (Arc::new(resolved), installed)
        })
    }

    fn keep(&self, resolved: &Arc<Resolved>) {
        self.resolved.store(Some(Arc::clone(resolved)));
        // Only now, so that no other thread goes on with the old one.
        self.is_stale.store(false, Ordering::Release);
    }

    /// Whether the series has to be taken anew before it is recorded.
    fn must_be_renewed(&self) -> bool {
        let clock = &self.recorder.clock;
        let now = clock.now();
        let before = self.used.load(Ordering::Acquire);
        if clock.nanos_between(before, now) >= STALE_AFTER {
            self.is_stale.store(true, Ordering::Relaxed);
        }
        // Whoever sees the new time sees that the handle is stale, too.
        self.used.store(now, Ordering::Release);
        // What is in flight gives back to the gauge that it was taken from.
        let in_flight = || self.instrument.kind == Kind::UpDownCounter && self.load_sum() != 0.0;
        self.is_stale.load(Ordering::Acquire) && !in_flight()
    }

    fn apply(&self, resolved: &Resolved, value: f64) {
        match self.instrument.kind {
            Kind::Counter if value > SMALL || value.fract() != 0.0 => {
                let before = self.add_to_sum(value);
                if before + value > MAX_SUM {
                    self.reject(Reason::CounterFull, "it stops at 2^63, in `u64`");
                }
                let whole = |sum: f64| (sum + ROUNDING).floor().min(MAX_SUM);
                resolved.record(whole(before + value) - whole(before));
            }
            Kind::UpDownCounter => {
                self.add_to_sum(value);
                match resolved {
                    Resolved::Level(gauge) => self.set_to_sum(gauge),
                    resolved => resolved.record(value),
                }
            }
            Kind::Counter | Kind::Gauge | Kind::Histogram => resolved.record(value),
        }
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
            Kept::Over => {
                let (resolved, _) = self.take();
                self.keep(&resolved);
                return self.apply(&resolved, value);
            }
            Kept::First => {
                let mut all = self.recorder.waiting.lock();
                all.push(Weak::clone(&self.this));
            }
            Kept::More => {}
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

    /// Applies what was early, and then lets others apply theirs themselves.
    fn deliver_early(&self) {
        let take = || self.take().0;
        let apply = |resolved: &Arc<Resolved>, value| self.apply(resolved, value);
        self.early
            .deliver_to(take, apply, |resolved| self.keep(&resolved));
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
        if !self.must_be_renewed()
            && let Some(resolved) = &*self.resolved.load()
        {
            return self.apply(resolved, value);
        }
        self.record_unresolved(value);
    }
}
