//! A series: where its measurements go, at once or when a sink is read.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use crate::instrument::Instrument;
use crate::kind::Kind;
use crate::labels::Labels;
use crate::pending::{Collection, Place, SamplesIndex, SinkSet, SumIndex, Whose};
use crate::sink::{Handles, Resolved, Sinks};
use crate::sync::Mutex;

mod set;

pub(crate) use set::{Admitted, SeriesSet};

/// From this measurement on a sum counts as hot: waiting, it takes little memory.
const HOT_SUM: u32 = 16;
/// The same for a histogram, which takes more.
const HOT_SAMPLES: u32 = 1_000;
/// How often a level is read to see it at one moment. Threads that never rest could go on
/// for ever.
const MOST_READINGS: usize = 100;

/// An instrument with one set of label values.
///
/// Its handles are taken from the sinks when it is recorded for the first time:
/// earlier, the OpenTelemetry SDK would export a series of zero that nobody measured.
pub(crate) struct Series {
    this: Weak<Self>,
    kind: Kind,
    instrument: Arc<Instrument>,
    labels: Labels,
    sinks: Arc<Sinks>,
    handles: Handles,
    /// How often it was measured, more or less, until it is hot.
    uses: AtomicU32,
    /// The collection after which the sinks were called last. What waits is not in it.
    measured_after: AtomicU32,
    /// Set once it is hot; to nothing, if there was no place left.
    buffered: OnceLock<Option<Buffered>>,
    risen_from: Level,
    fallen_from: Level,
}

/// What is buffered of a hot series.
struct Buffered {
    place: Place,
    /// The sinks that wait for it. The others are called each time.
    readers: SinkSet,
    by_all: bool,
    flushed: Mutex<f64>,
}

impl Series {
    fn new(instrument: &Arc<Instrument>, labels: Labels, sinks: &Arc<Sinks>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            kind: instrument.kind(),
            instrument: Arc::clone(instrument),
            labels,
            sinks: Arc::clone(sinks),
            handles: sinks.no_handles(),
            uses: AtomicU32::new(0),
            measured_after: AtomicU32::new(0),
            buffered: OnceLock::new(),
            risen_from: Level::default(),
            fallen_from: Level::default(),
        })
    }

    #[inline(always)]
    pub(crate) fn record(&self, value: f64) {
        let Some(Some(buffered)) = self.buffered.get() else {
            self.record_now(value, |_| true);
            return self.warm_up();
        };
        if !self.sinks.pending().add(buffered.place, value) {
            self.make_room(buffered);
            self.record_now(value, |_| true);
            self.note_collection();
        } else if !buffered.by_all {
            self.record_now(value, |sink| !buffered.readers.contain(sink));
        }
    }

    /// A place where measurements wait for every sink.
    #[inline]
    pub(crate) fn place(&self) -> Option<Place> {
        let buffered = self.buffered.get()?.as_ref()?;
        buffered.by_all.then_some(buffered.place)
    }

    /// Brings the sinks what was buffered since the last time.
    pub(crate) fn flush(&self) {
        let Some(Some(buffered)) = self.buffered.get() else {
            return;
        };
        // Held until it is recorded: of two threads that hand over, the later one
        // may have to take back what the earlier one adds. The handles need no guard.
        let mut flushed = buffered.flushed.lock();
        match buffered.place {
            Place::Counter { added } => {
                let sum = self.sinks.pending().sum(added);
                self.record_due(buffered, &mut flushed, sum);
            }
            Place::UpDownCounter { added, taken_back } => {
                let level = self.level(added, taken_back);
                self.record_due(buffered, &mut flushed, level);
            }
            Place::Histogram(at) => self.drain(buffered, at, Whose::All),
        }
    }

    /// What was taken back had been added before, maybe on another thread: read first, it
    /// is never seen before that. If it has grown meanwhile, there may be any number of
    /// others whose beginning was seen and whose end was not.
    fn level(&self, added: SumIndex, taken_back: SumIndex) -> f64 {
        let sum = |at| self.sinks.pending().sum(at);
        let mut before = sum(taken_back);
        for _ in 0..MOST_READINGS {
            let (added, after) = (sum(added), sum(taken_back));
            if after <= before {
                return added - before;
            }
            before = after;
        }
        sum(added) - before
    }

    fn record_due(&self, buffered: &Buffered, flushed: &mut f64, sum: f64) {
        let due = due(sum, *flushed);
        *flushed = sum;
        if let Some(due) = due {
            self.record_waiting(buffered, due);
            self.note_collection();
        }
    }

    /// Empties this thread's ring, unless somebody else is at it.
    fn make_room(&self, buffered: &Buffered) {
        if let Place::Histogram(at) = buffered.place
            && let Some(_handed_over) = buffered.flushed.try_lock()
        {
            self.drain(buffered, at, Whose::This);
        }
    }

    fn drain(&self, buffered: &Buffered, at: SamplesIndex, whose: Whose) {
        let mut has_any = false;
        self.sinks.pending().drain(at, whose, |value| {
            self.record_waiting(buffered, value);
            has_any = true;
        });
        if has_any {
            self.note_collection();
        }
    }

    fn record_waiting(&self, buffered: &Buffered, value: f64) {
        self.record_now(value, |sink| buffered.readers.contain(sink));
    }

    /// Not before it is recorded: seen too late it is taken for lost, and not for exported.
    #[inline]
    fn note_collection(&self) {
        let Collection(now) = self.sinks.pending().collection();
        if self.measured_after.load(Ordering::Relaxed) != now {
            self.measured_after.store(now, Ordering::Relaxed);
        }
    }

    /// Whether there is anything that this collection, and those before it, lack.
    pub(crate) fn is_measured_since(&self, collection: Collection) -> bool {
        self.measured_after.load(Ordering::Relaxed) >= collection.0 || self.is_waiting()
    }

    fn is_waiting(&self) -> bool {
        let Some(Some(buffered)) = self.buffered.get() else {
            return false;
        };
        let flushed = buffered.flushed.lock();
        match buffered.place {
            Place::Counter { added } => due(self.sinks.pending().sum(added), *flushed).is_some(),
            Place::UpDownCounter { added, taken_back } => {
                due(self.level(added, taken_back), *flushed).is_some()
            }
            Place::Histogram(at) => self.sinks.pending().holds(at),
        }
    }

    #[inline(always)]
    fn record_now(&self, value: f64, is_meant: impl Fn(usize) -> bool) {
        for (sink, handle) in self.handles.iter().enumerate() {
            match handle.get() {
                _ if !is_meant(sink) => {}
                Some(handle) if !handle.needs_guard() => handle.record(value),
                _ => self.record_guarded(sink, handle, value),
            }
        }
    }

    #[inline(never)]
    fn record_guarded(&self, sink: usize, handle: &OnceLock<Resolved>, value: f64) {
        let Self {
            instrument, labels, ..
        } = self;
        self.sinks.record(sink, handle, instrument, labels, value);
    }

    /// Counts the uses of a series until it is hot, and has a place.
    #[inline]
    fn warm_up(&self) {
        let uses = self.uses.load(Ordering::Relaxed);
        let hot = match self.kind {
            Kind::Counter | Kind::UpDownCounter => HOT_SUM,
            Kind::Histogram => HOT_SAMPLES,
            Kind::Gauge => return self.note_collection(),
        };
        if uses < hot {
            self.uses.store(uses + 1, Ordering::Relaxed);
        } else if self.sinks.pending().readers().is_empty() {
            // Without a collection there is none to be told from the next.
            return;
        } else if self.buffered.get().is_none() {
            self.gather();
        }
        self.note_collection();
    }

    #[cold]
    fn gather(&self) {
        let mut readers = self.sinks.pending().readers();
        let mut by_all = true;
        for (sink, handle) in self.handles.iter().enumerate() {
            if handle.get().is_none_or(Resolved::needs_guard) {
                readers.remove(sink);
            }
            by_all &= readers.contain(sink);
        }
        if readers.is_empty() {
            return;
        }
        // Of two threads that get here one takes a place: there are not many.
        self.buffered.get_or_init(|| {
            let place = self.sinks.pending().add_series(&self.this, self.kind)?;
            Some(Buffered {
                place,
                readers,
                by_all,
                flushed: Mutex::default(),
            })
        });
    }

    /// Adds how much higher `level` is than this series' previous sample.
    pub(crate) fn record_rise_to(&self, level: f64) {
        let before = self.risen_from.replace(level);
        self.record(before.map_or(0.0, |before| difference(level, before)));
    }

    /// Adds how much lower `level` is than this series' previous sample.
    pub(crate) fn record_fall_to(&self, level: f64) {
        let before = self.fallen_from.replace(level);
        self.record(before.map_or(0.0, |before| difference(before, level)));
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.flush();
    }
}

/// What of a sum was not handed over.
fn due(sum: f64, flushed: f64) -> Option<f64> {
    Some(sum - flushed).filter(|due| *due != 0.0)
}

/// How much higher the first is, finite even between the ends of `f64`.
fn difference(higher: f64, lower: f64) -> f64 {
    (higher - lower).clamp(0.0, f64::MAX)
}

/// The previous sample of a level, a NaN before the first one.
struct Level(AtomicU64);

impl Default for Level {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl Level {
    fn replace(&self, level: f64) -> Option<f64> {
        let before = f64::from_bits(self.0.swap(level.to_bits(), Ordering::Relaxed));
        Some(before).filter(|before| !before.is_nan())
    }
}
