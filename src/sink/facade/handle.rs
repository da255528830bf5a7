//! A series in a recorder, which may not be installed yet, or may have expired it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata};

use super::{FacadeInstrument, RecorderRef};
use crate::kind::Kind;
use crate::no_poison::NoPoison;
use crate::sink::Handle;

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
    early: NoPoison<Early>,
}

/// What was measured before the recorder was installed, or before that was
/// handed over. One thread hands it over; others add to it until that is done, so
/// that nothing overtakes what came before it.
#[derive(Default)]
struct Early {
    samples: Vec<f64>,
    phase: Phase,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Waiting,
    HandingOver,
    Over,
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
            instrument,
            key,
            resolved: ArcSwapOption::empty(),
            used: AtomicU64::new(recorder.clock.now()),
            recorder,
            is_stale: AtomicBool::new(false),
            sum: AtomicU64::new(0.0_f64.to_bits()),
            early: NoPoison::default(),
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
        if self.wait(value) == Phase::Over {
            let (resolved, _) = self.take();
            self.keep(&resolved);
            return self.apply(&resolved, value);
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
                .for_each(|handle| handle.hand_over());
            // It is not in that list if a recorder panicked on it before.
            self.hand_over();
        }
    }

    /// Keeps a measurement, unless what is early is over.
    fn wait(&self, value: f64) -> Phase {
        let mut early = self.early.lock();
        if early.phase == Phase::Over {
            return Phase::Over;
        }
        let is_first = early.samples.is_empty() && early.phase == Phase::Waiting;
        early.add(self.instrument.kind, value);
        let phase = early.phase;
        drop(early);
        if is_first {
            let mut all = self.recorder.waiting.lock();
            all.push(Weak::clone(&self.this));
        }
        phase
    }

    /// Applies what was early, and what comes meanwhile, and then lets others apply
    /// theirs themselves.
    fn hand_over(&self) {
        if !self.early.lock().begin_to_hand_over() {
            return;
        }
        let _resume = Resume(self);
        let (resolved, _) = self.take();
        loop {
            let mut early = self.early.lock();
            let samples = std::mem::take(&mut early.samples);
            if samples.is_empty() {
                early.phase = Phase::Over;
                return self.keep(&resolved);
            }
            drop(early);
            for value in samples {
                self.apply(&resolved, value);
            }
        }
    }
}

/// Lets somebody else hand over if the recorder panics.
struct Resume<'a>(&'a FacadeHandle);

impl Drop for Resume<'_> {
    fn drop(&mut self) {
        let mut early = self.0.early.lock();
        if early.phase == Phase::HandingOver {
            early.phase = Phase::Waiting;
        }
    }
}

impl Early {
    /// Whether it is this thread that hands over.
    fn begin_to_hand_over(&mut self) -> bool {
        let begins = self.phase == Phase::Waiting;
        if begins {
            self.phase = Phase::HandingOver;
        }
        begins
    }

    /// Sums need one number, a gauge its last. What comes while it is handed over does
    /// not wait for long, and must not be lost.
    fn add(&mut self, kind: Kind, value: f64) {
        let is_full = self.phase == Phase::Waiting && self.samples.len() >= MAX_WAITING;
        match (kind, self.samples.first_mut()) {
            (Kind::Counter | Kind::UpDownCounter, Some(sum)) => *sum += value,
            (Kind::Gauge, Some(last)) => *last = value,
            (Kind::Histogram, Some(_)) if is_full => {}
            _ => self.samples.push(value),
        }
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
