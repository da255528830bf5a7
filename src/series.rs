//! A series: where its measurements go, at once or when a sink is collected.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use once_cell::race::OnceBox;

use crate::instrument::Instrument;
use crate::kind::Kind;
use crate::labels::Labels;
use crate::pending::{BufferSlot, Collection, Flush, Pending};
use crate::sink::{Handles, Resolved, Sinks};

mod buffered;
mod level;
mod set;

use buffered::Buffered;
use level::Level;
pub(crate) use set::{Admitted, SeriesSet};

/// From this measurement on a sum counts as hot: buffered, it takes little memory.
const HOT_SUM: u32 = 16;
/// The same for a histogram, which takes more.
const HOT_SAMPLES: u32 = 1_000;

/// An instrument with one label set.
///
/// Its handles are taken from the sinks when it is recorded for the first time:
/// earlier, the OpenTelemetry SDK would export a series of zero that was never measured.
pub(crate) struct Series {
    family: Arc<Family>,
    labels: Labels,
    handles: Handles,
    /// How often it was measured, more or less, until it is hot.
    uses: AtomicU32,
    /// The collection after which the sinks were called last. What is pending is not in it.
    measured_after: AtomicU32,
    rare: OnceBox<Rare>,
}

/// What most series never need.
#[derive(Default)]
struct Rare {
    /// Set once it is hot; to nothing, if there was no room left.
    buffered: OnceLock<Option<Buffered>>,
    risen_from: Level,
    fallen_from: Level,
}

/// What all series of an instrument share.
struct Family {
    instrument: Arc<Instrument>,
    sinks: Arc<Sinks>,
}

impl Series {
    fn new(family: &Arc<Family>, labels: Labels) -> Arc<Self> {
        Arc::new(Self {
            family: Arc::clone(family),
            labels,
            handles: family.sinks.no_handles(),
            uses: AtomicU32::new(0),
            measured_after: AtomicU32::new(0),
            rare: OnceBox::new(),
        })
    }

    #[inline(always)]
    pub(crate) fn record(self: &Arc<Self>, value: f64) {
        let Some(buffered) = self.buffered() else {
            self.record_now(value, |_| true);
            return self.warm_up();
        };
        let pending = self.pending();
        if !pending.add(pending.mine(), buffered.slot, value.into()) {
            buffered.make_room(self.pending(), |value| self.record_flushed(buffered, value));
            self.record_now(value, |_| true);
            self.note_collection();
        } else if !buffered.by_all {
            self.record_now(value, |sink| !buffered.sinks.contains(sink));
        }
    }

    /// Adds how much higher `level` is than this series' previous sample.
    pub(crate) fn record_rise_to(self: &Arc<Self>, level: f64) {
        self.record(self.rare().risen_from.rise_to(level));
    }

    /// Adds how much lower `level` is than this series' previous sample.
    pub(crate) fn record_fall_to(self: &Arc<Self>, level: f64) {
        self.record(self.rare().fallen_from.fall_to(level));
    }

    /// Where measurements are pending for every sink.
    #[inline]
    pub(crate) fn buffer_slot(&self) -> Option<BufferSlot> {
        let buffered = self.buffered()?;
        buffered.by_all.then_some(buffered.slot)
    }

    /// Whether there is anything that this collection, and those before it, lack.
    pub(crate) fn is_measured_since(&self, collection: Collection) -> bool {
        self.measured_after.load(Ordering::Relaxed) >= collection.0
            || self
                .buffered()
                .is_some_and(|buffered| buffered.holds_any(self.pending()))
    }

    #[inline(always)]
    fn buffered(&self) -> Option<&Buffered> {
        self.rare.get()?.buffered.get()?.as_ref()
    }

    #[inline(never)]
    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    #[inline(always)]
    fn pending(&self) -> &Pending {
        self.family.sinks.pending()
    }

    fn kind(&self) -> Kind {
        self.family.instrument.kind()
    }

    fn record_flushed(&self, buffered: &Buffered, value: f64) {
        self.record_now(value, |sink| buffered.sinks.contains(sink));
        self.note_collection();
    }

    /// Not before it is recorded: seen too late it is taken for lost, and not for exported.
    #[inline]
    fn note_collection(&self) {
        let Collection(now) = self.pending().collection();
        if self.measured_after.load(Ordering::Relaxed) != now {
            self.measured_after.store(now, Ordering::Relaxed);
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
        let Family { instrument, sinks } = &*self.family;
        sinks.record(sink, handle, instrument, &self.labels, value);
    }

    /// Counts the uses of a series until it is hot, and buffered.
    #[inline]
    fn warm_up(self: &Arc<Self>) {
        let uses = self.uses.load(Ordering::Relaxed);
        let hot = match self.kind() {
            Kind::Counter | Kind::UpDownCounter => HOT_SUM,
            Kind::Histogram => HOT_SAMPLES,
            Kind::Gauge => return self.note_collection(),
        };
        if uses < hot {
            self.uses.store(uses + 1, Ordering::Relaxed);
        } else if self.pending().flushing().is_empty() {
            // Without a collection there is none to be told from the next.
            return;
        } else if self.rare.get().is_none_or(Rare::may_be_buffered) {
            self.buffer();
        }
        self.note_collection();
    }

    #[cold]
    fn buffer(self: &Arc<Self>) {
        let mut sinks = self.pending().flushing();
        let mut by_all = true;
        for (sink, handle) in self.handles.iter().enumerate() {
            if handle.get().is_none_or(Resolved::needs_guard) {
                sinks.remove(sink);
            }
            by_all &= sinks.contains(sink);
        }
        if sinks.is_empty() {
            return;
        }
        // Of two threads that get here one takes a slot: there are not many.
        self.rare().buffered.get_or_init(|| {
            let this: Weak<Self> = Arc::downgrade(self);
            let slot = self.pending().buffer(this, self.kind())?;
            Some(Buffered::new(slot, sinks, by_all))
        });
    }
}

impl Rare {
    fn may_be_buffered(&self) -> bool {
        self.buffered.get().is_none()
    }
}

impl Flush for Series {
    fn flush(&self) {
        if let Some(buffered) = self.buffered() {
            buffered.flush(self.pending(), |value| self.record_flushed(buffered, value));
        }
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.flush();
    }
}
