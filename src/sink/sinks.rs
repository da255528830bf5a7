//! All sinks of a layer, and the fan-out to them.

use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;

use super::{Handle, Sink, SinkProblems};
use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::pending::Pending;
use crate::problem::{Location, Problems, Reason};
use crate::reentrancy::call_sink;

/// All sinks of a layer. A measurement goes to each of them once.
pub(crate) struct Sinks {
    all: Vec<Box<dyn Sink>>,
    pending: Arc<Pending>,
    problems: Arc<Problems>,
}

/// One series, by sink. A handle is taken when it is needed for the first time.
pub(crate) type Handles = SmallVec<[OnceLock<Resolved>; 1]>;

/// A handle, and whether it is called under the guard.
pub(crate) struct Resolved {
    handle: Arc<dyn Handle>,
    needs_guard: bool,
}

impl Resolved {
    #[inline(always)]
    pub(crate) fn needs_guard(&self) -> bool {
        self.needs_guard
    }

    #[inline(always)]
    pub(crate) fn record(&self, value: f64) {
        self.handle.record(value);
    }
}

impl Sinks {
    pub(crate) fn new(sinks: Vec<Box<dyn Sink>>, problems: Arc<Problems>) -> Self {
        let pending = Pending::new();
        for (at, sink) in sinks.iter().enumerate() {
            sink.report_to(SinkProblems::new(Arc::clone(&problems)));
            if let Some(flusher) = pending.flusher(at) {
                sink.flush_with(flusher);
            }
        }
        Self {
            all: sinks,
            pending,
            problems,
        }
    }

    #[inline(always)]
    pub(crate) fn pending(&self) -> &Arc<Pending> {
        &self.pending
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those that were shut down, by their number.
    pub(crate) fn shut_down(&self) -> Vec<usize> {
        let is_shut_down = |at: &usize| {
            let asked = call_sink(|| self.all[*at].is_shut_down());
            asked.unwrap_or(false)
        };
        (0..self.all.len()).filter(is_shut_down).collect()
    }

    pub(crate) fn no_handles(&self) -> Handles {
        self.all.iter().map(|_| OnceLock::new()).collect()
    }

    /// Records in one sink, guarded against what it may do meanwhile.
    pub(crate) fn record(
        &self,
        sink: usize,
        handle: &OnceLock<Resolved>,
        instrument: &Instrument,
        labels: &Labels,
        value: f64,
    ) {
        let recorded = call_sink(|| match handle.get() {
            Some(resolved) => resolved.record(value),
            None => self.record_first(sink, handle, instrument, labels, value),
        });
        if recorded.is_err() {
            self.list_panic(instrument);
        }
    }

    /// Takes the handle without a lock. Two threads may do so at once: the sink
    /// gives handles of one series to both, and either will do.
    #[cold]
    fn record_first(
        &self,
        sink: usize,
        resolved: &OnceLock<Resolved>,
        instrument: &Instrument,
        labels: &Labels,
        value: f64,
    ) {
        let Some(sink) = self.all.get(sink) else {
            return;
        };
        let handle = sink.series(instrument, labels);
        handle.record(value);
        let needs_guard = handle.needs_guard();
        let _ = resolved.set(Resolved {
            handle,
            needs_guard,
        });
    }

    #[cold]
    fn list_panic(&self, instrument: &Instrument) {
        let detail = || "the panic hook has its message".to_owned();
        let name = instrument.name();
        self.problems
            .list(Reason::SinkPanicked, name, Location::OWN, detail)
            .add_one();
    }
}
