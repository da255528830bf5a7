//! What was built of a meter's instruments, and what is being built.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use opentelemetry::metrics::Meter;

use super::early::Early;
use super::instrument::OtelInstrument;
use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::no_poison::NoPoison;
use crate::sink::problems::SinkProblems;
use crate::sink::worker::Worker;

/// Builds instruments of a meter, and knows those that it has built.
pub(super) struct Builder {
    pub(super) meter: Meter,
    /// Whether the provider is known to bind.
    pub(super) can_bind: bool,
    pub(super) worker: Worker,
    known: NoPoison<Known>,
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

/// Where a series is to be had.
pub(super) enum Found {
    Built(OtelInstrument),
    Early(Arc<Early>),
}

impl Builder {
    pub(super) fn new(meter: Meter, can_bind: bool) -> Self {
        Self {
            meter,
            can_bind,
            worker: Worker::default(),
            known: NoPoison::default(),
            problems: OnceLock::new(),
        }
    }

    pub(super) fn report_to(&self, problems: SinkProblems) {
        // A sink has one layer: it was moved into it.
        let _ = self.problems.set(problems);
    }

    /// Without a layer they are for no reader.
    pub(super) fn problems(&self) -> &SinkProblems {
        self.problems.get_or_init(SinkProblems::default)
    }

    /// The instrument, if a series of it can be had on this thread.
    pub(super) fn find(
        self: &Arc<Self>,
        instrument: &Instrument,
        labels: &Labels,
        may_log: bool,
    ) -> Found {
        let mut known = self.known.lock();
        let name = instrument.name();
        let built = known.instruments.get(name);
        if let Some(built) = built.filter(|_| !may_log && known.early.is_empty()) {
            return Found::Built(built.clone());
        }
        let key = (name.to_owned(), labels.clone());
        match (known.early.get(&key), built) {
            (Some(early), _) => Found::Early(Arc::clone(early)),
            (None, Some(built)) if !may_log => Found::Built(built.clone()),
            _ => {
                let early = Early::new(Arc::clone(self), instrument.clone(), labels.clone());
                known.early.insert(key, Arc::clone(&early));
                Found::Early(early)
            }
        }
    }

    /// Called by the worker. No lock of ours is held while the SDK is.
    pub(super) fn instrument(&self, instrument: &Instrument) -> OtelInstrument {
        if let Some(known) = self.known.lock().instruments.get(instrument.name()) {
            return known.clone();
        }
        let built = OtelInstrument::new(&self.meter, instrument);
        let mut known = self.known.lock();
        let name = instrument.name().to_owned();
        known.instruments.insert(name, built.clone());
        built
    }

    /// From now on the series is to be had on any thread.
    pub(super) fn forget(&self, early: &Early, instrument: &Instrument, labels: &Labels) {
        let key = (instrument.name().to_owned(), labels.clone());
        let mut known = self.known.lock();
        let there = known.early.get(&key).map(Arc::as_ptr);
        if there.is_some_and(|there| std::ptr::eq(there, early)) {
            known.early.remove(&key);
        }
    }
}
