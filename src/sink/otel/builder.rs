//! What was built of a meter's instruments, and what is being built.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::metrics::Meter;

use super::early::{BuildEarly, Early};
use super::instrument::OtelInstrument;
use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::problem::Reason;
use crate::reentrancy::call_sink;
use crate::sink::Handle;
use crate::sink::problems::SinkProblems;
use crate::sink::worker::Worker;
use crate::sync::Mutex;

/// Builds instruments of a meter, and knows those that it has built.
pub(super) struct Builder {
    pub(super) meter: Meter,
    /// Whether the provider is known to bind.
    pub(super) can_bind: bool,
    pub(super) worker: Worker,
    /// Whether each collection calls `bind_early` and flushes first.
    pub(super) is_flushed: AtomicBool,
    known: Mutex<Known>,
    /// Whether the worker is about to call `bind_early`.
    is_binding: AtomicBool,
    /// How many series were early, of instruments that are built.
    noted: AtomicU32,
    problems: OnceLock<SinkProblems>,
}

#[derive(Default)]
struct Known {
    instruments: HashMap<String, OtelInstrument>,
    /// Series that are being built, so that each is the same for all threads: what waits
    /// in one must not overtake what was recorded in another.
    early: HashMap<SeriesKey, Arc<Early>>,
}

/// The name of an instrument, and the labels.
type SeriesKey = (String, Labels);

/// Where a series can be bound.
pub(super) enum Found {
    /// On this thread, of this instrument.
    Here(OtelInstrument),
    /// Where no subscriber hears it, of an instrument that is built.
    Unheard(Arc<Early>),
    /// When the instrument is built.
    Early(Arc<Early>),
}

impl Builder {
    pub(super) fn new(meter: Meter, can_bind: bool) -> Self {
        Self {
            meter,
            can_bind,
            worker: Worker::default(),
            is_flushed: AtomicBool::new(false),
            known: Mutex::default(),
            is_binding: AtomicBool::new(false),
            noted: AtomicU32::new(0),
            problems: OnceLock::new(),
        }
    }

    pub(super) fn report_to(&self, problems: SinkProblems) {
        // A sink has one layer: it was moved into it.
        let _ = self.problems.set(problems);
    }

    /// Where the series can be bound, if the SDK might log when it binds one.
    pub(super) fn find(
        self: &Arc<Self>,
        instrument: &Instrument,
        labels: &Labels,
        may_log: bool,
    ) -> Found {
        let mut known = self.known.lock();
        let Known { instruments, early } = &mut *known;
        let built = instruments.get(instrument.name());
        if let Some(built) = built.filter(|_| !may_log && early.is_empty()) {
            return Found::Here(built.clone());
        }
        let entry = early.entry(series_key(instrument, labels));
        match (entry, built) {
            (Entry::Vacant(_), Some(built)) if !may_log => Found::Here(built.clone()),
            (entry, built) => {
                let builder: Arc<dyn BuildEarly> = Arc::<Self>::clone(self);
                let (instrument, labels) = (instrument.clone(), labels.clone());
                let new = || Early::new(builder, instrument, labels, self.can_bind);
                let early = Arc::clone(entry.or_insert_with(new));
                match built {
                    Some(_) => Found::Unheard(early),
                    None => Found::Early(early),
                }
            }
        }
    }

    /// The series itself, or the early one if its instrument cannot be built now.
    pub(super) fn built_in_time(self: &Arc<Self>, early: Arc<Early>) -> Arc<dyn Handle> {
        self.build_on_worker(&early);
        early.or_built()
    }

    /// The series itself, of an instrument that is built. Where the worker is stuck, which
    /// waits for a collection then, another thread binds it.
    pub(super) fn bound(self: &Arc<Self>, early: Arc<Early>) -> Arc<dyn Handle> {
        if !self.worker.is_stuck() {
            self.build_on_worker(&early);
        }
        if !early.is_built() {
            Worker::run_on_another_thread(|| self.build(&early));
        }
        early.or_built()
    }

    fn build_on_worker(self: &Arc<Self>, early: &Arc<Early>) {
        let (builder, early) = (Arc::clone(self), Arc::clone(early));
        self.worker.run(move || builder.build(&early));
    }

    /// Notes that one more series is early, which a collection binds: the worker is woken
    /// for some at a time, because that costs more than to bind one.
    pub(super) fn bind_early_later(self: &Arc<Self>) {
        const AT_ONCE: u32 = 64;
        if self.noted.fetch_add(1, Ordering::Relaxed) % AT_ONCE == AT_ONCE - 1 {
            self.bind_early_soon();
        }
    }

    /// Has the worker bind what is early of instruments that are built.
    pub(super) fn bind_early_soon(self: &Arc<Self>) {
        if !self.is_binding.swap(true, Ordering::AcqRel) {
            let builder = Arc::clone(self);
            self.worker.send(move || {
                builder.is_binding.store(false, Ordering::Release);
                builder.bind_early();
            });
        }
    }

    /// Binds what is early of instruments that are built. Waits for no collection.
    pub(super) fn bind_early(&self) {
        let known = self.known.lock();
        let is_ready =
            |((name, _), _): &(&SeriesKey, _)| known.instruments.contains_key(name.as_str());
        let ready = known.early.iter().filter(is_ready);
        let ready: Vec<_> = ready
            .map(|(key, early)| (key.clone(), Arc::clone(early)))
            .collect();
        drop(known);
        for (_, early) in &ready {
            self.try_to_build(early);
        }
        self.forget(ready.iter().map(|(key, early)| (key, early.as_ref())));
    }

    /// Does nothing if it is built. Waits until another thread that is at it has done it.
    fn build(&self, early: &Early) {
        if let Some(unbuilt) = early.unbuilt() {
            let key = series_key(unbuilt.instrument(), unbuilt.labels());
            self.try_to_build(early);
            self.forget([(&key, early)]);
        }
    }

    /// The same, without saying that it is no longer early.
    fn try_to_build(&self, early: &Early) {
        let Some(unbuilt) = early.unbuilt() else {
            return;
        };
        let built = call_sink(|| early.build(&unbuilt, &self.instrument(unbuilt.instrument())));
        if built.is_err() {
            unbuilt.note_failure();
        }
    }

    /// The instrument, built if it is not yet. No lock of ours is held while the SDK is.
    fn instrument(&self, instrument: &Instrument) -> OtelInstrument {
        if let Some(known) = self.known.lock().instruments.get(instrument.name()) {
            return known.clone();
        }
        let built = OtelInstrument::new(&self.meter, instrument);
        let mut known = self.known.lock();
        let name = instrument.name().to_owned();
        known.instruments.insert(name, built.clone());
        built
    }

    /// From now on these series can be bound on any thread.
    fn forget<'a>(&self, all: impl IntoIterator<Item = (&'a SeriesKey, &'a Early)>) {
        /// So many need not be made room for again and again.
        const FEW: usize = 64;
        let mut known = self.known.lock();
        for (key, early) in all {
            let there = known.early.get(key).map(Arc::as_ptr);
            if there.is_some_and(|there| std::ptr::eq(there, early)) {
                known.early.remove(key);
            }
        }
        if known.early.is_empty() {
            known.early.shrink_to(FEW);
        }
    }
}

fn series_key(instrument: &Instrument, labels: &Labels) -> SeriesKey {
    (instrument.name().to_owned(), labels.clone())
}

impl BuildEarly for Builder {
    fn build_soon(self: Arc<Self>) {
        self.bind_early_soon();
    }

    fn build_again(self: Arc<Self>, early: Arc<Early>) {
        let builder = Arc::clone(&self);
        self.worker.send(move || builder.build(&early));
    }

    fn reject(&self, reason: Reason, instrument: &Instrument, detail: &str) {
        // Without a layer they are for no reader.
        let problems = self.problems.get_or_init(SinkProblems::default);
        problems.reject(reason, instrument, detail);
    }
}
