//! A series in a recorder, which may not be installed yet, or may have expired it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata};

use super::{FacadeInstrument, RecorderRef};
use crate::kind::Kind;
use crate::no_poison::NoPoison;
use crate::sink::Handle;

/// An exporter forgets a series that idles, and its handle records into
/// nothing. A handle that idled this long is taken anew, which finds the old one
/// if the exporter still has it. Far below any idle timeout.
const STALE_AFTER: Duration = Duration::from_millis(10);

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
    recorder: Arc<RecorderRef>,
    instrument: Arc<FacadeInstrument>,
    key: Key,
    resolved: ArcSwapOption<Resolved>,
    epoch: Instant,
    used: AtomicU64,
    is_stale: AtomicBool,
    /// The sum of an up/down counter, or of what a counter was given in fractions
    /// and large amounts, as the bits of a float.
    sum: AtomicU64,
    waiting: NoPoison<Vec<f64>>,
}

enum Resolved {
    Counter(Counter),
    UpDownCounter(Gauge),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl FacadeHandle {
    pub(super) fn new(
        recorder: Arc<RecorderRef>,
        instrument: Arc<FacadeInstrument>,
        key: Key,
    ) -> Arc<Self> {
        Arc::new(Self {
            recorder,
            instrument,
            key,
            resolved: ArcSwapOption::empty(),
            epoch: Instant::now(),
            used: AtomicU64::new(0),
            is_stale: AtomicBool::new(false),
            sum: AtomicU64::new(0.0_f64.to_bits()),
            waiting: NoPoison::default(),
        })
    }

    /// Takes the series from the recorder, and keeps it if that is installed.
    fn resolve(&self) -> (Arc<Resolved>, bool) {
        let (resolved, installed) = self.recorder.with(|recorder, installed| {
            let (key, kind) = (&self.key, self.instrument.kind);
            if installed {
                self.instrument.describe_once(recorder);
            }
            let resolved = match kind {
                Kind::Counter => Resolved::Counter(recorder.register_counter(key, &METADATA)),
                Kind::UpDownCounter => {
                    Resolved::UpDownCounter(recorder.register_gauge(key, &METADATA))
                }
                Kind::Gauge => Resolved::Gauge(recorder.register_gauge(key, &METADATA)),
                Kind::Histogram => Resolved::Histogram(recorder.register_histogram(key, &METADATA)),
            };
            (Arc::new(resolved), installed)
        });
        self.resolved
            .store(installed.then(|| Arc::clone(&resolved)));
        // Only now, so that no other thread goes on with the old one.
        self.is_stale.store(false, Ordering::Release);
        (resolved, installed)
    }

    /// Whether the series has to be taken anew before it is recorded.
    fn must_be_renewed(&self) -> bool {
        let now = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let before = self.used.load(Ordering::Acquire);
        if Duration::from_millis(now.saturating_sub(before)) >= STALE_AFTER {
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
                resolved.record(value);
            }
            Kind::Counter | Kind::Gauge | Kind::Histogram => resolved.record(value),
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

    /// Keeps a measurement until a recorder is installed.
    fn wait(self: &Arc<Self>, value: f64) {
        let mut waiting = self.waiting.lock();
        let is_first = waiting.is_empty();
        let is_full = waiting.len() >= MAX_WAITING;
        match (self.instrument.kind, waiting.first_mut()) {
            (Kind::Counter | Kind::UpDownCounter, Some(sum)) => *sum += value,
            (Kind::Gauge, Some(last)) => *last = value,
            (Kind::Histogram, Some(_)) if is_full => {}
            _ => waiting.push(value),
        }
        drop(waiting);
        if is_first {
            let mut all = self.recorder.waiting.lock();
            all.push(Arc::downgrade(self));
        }
    }

    /// Hands over, for all series, what was measured before there was a recorder.
    fn hand_over(&self) {
        let all = std::mem::take(&mut *self.recorder.waiting.lock());
        for handle in all.iter().filter_map(Weak::upgrade) {
            let waiting = std::mem::take(&mut *handle.waiting.lock());
            let (resolved, _) = handle.resolve();
            for value in waiting {
                handle.apply(&resolved, value);
            }
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
            Self::Gauge(gauge) => gauge.set(value),
            Self::Histogram(histogram) => histogram.record(value),
        }
    }
}

impl Handle for Arc<FacadeHandle> {
    fn record(&self, value: f64) {
        if !self.must_be_renewed()
            && let Some(resolved) = &*self.resolved.load()
        {
            return self.apply(resolved, value);
        }
        let (resolved, installed) = self.resolve();
        if installed {
            self.hand_over();
            self.apply(&resolved, value);
        } else {
            resolved.record(value);
            self.wait(value);
            // It may have been installed meanwhile, and this be the last call.
            if self.recorder.with(|_, installed| installed) {
                self.hand_over();
            }
        }
    }
}
