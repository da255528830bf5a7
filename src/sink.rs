//! Where measurements go.

use std::sync::{Arc, OnceLock};

use crate::pending::{Flusher, Pending};
use smallvec::SmallVec;

use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::problem::{Location, Problems, Reason};
use crate::reentrancy::call_sink;

#[cfg(any(feature = "metrics", feature = "otel"))]
mod deferred;
#[cfg(feature = "metrics")]
mod facade;
mod log;
mod memory;
#[cfg(feature = "otel")]
mod otel;
mod problems;
#[cfg(feature = "otel")]
mod worker;

#[cfg(feature = "metrics")]
pub use facade::FacadeSink;
pub use log::LogSink;
pub use memory::{MemorySink, Snapshot};
#[cfg(feature = "otel")]
pub use otel::OtelSink;
pub use problems::SinkProblems;

/// A destination of measurements.
///
/// The layer asks once for each series, when it is measured for the first time,
/// and keeps the handle. It calls the handle on the thread that measures, which
/// waits: a sink that may block should hand over to a thread of its own. A call may
/// come from any thread, while no lock of this crate is held that the sink could ask
/// for.
///
/// A sink should emit nothing through `tracing` while it is called, or do so on a thread
/// of its own. It would not be measured; and a subscriber that is asked about an event
/// inside of another one forgets what its filters have said, so that other layers get what
/// they refuse. `fmt` may panic then.
pub trait Sink: Send + Sync + 'static {
    /// The handle of one series, which shall not be visible until it is recorded.
    ///
    /// Two threads may ask for one series at the same moment. Both handles are
    /// recorded then, and one of them is dropped: they must share what they keep.
    fn series(&self, instrument: &Instrument, labels: &Labels) -> Arc<dyn Handle>;

    /// Called once, when the layer is built, with what flushes pending measurements: the
    /// sink may call it before each collection.
    ///
    /// A sink that does so, and whose handles need no guard, is not called at each
    /// measurement: what is counted, in flight or observed often is pending on the thread
    /// that measures it until the sink flushes. By default it never does.
    fn flush_with(&self, flusher: Flusher) {
        drop(flusher);
    }

    /// Whether the sink drops what is recorded now, because what it records to was shut
    /// down. By default it never does.
    ///
    /// Called by [`MeterHandle::problems`](crate::MeterHandle::problems) only, on any
    /// thread, even within a collection: it must not wait. What was measured since the sink
    /// has last [flushed](Self::flush_with) is listed as lost then, and if it
    /// never has, whatever was measured.
    fn is_shut_down(&self) -> bool {
        false
    }

    /// Called once, when the layer is built, with where the sink may list what it finds
    /// wrong: an instrument that its exporter gives another name, for example. By
    /// default it lists nothing.
    fn report_to(&self, problems: SinkProblems) {
        drop(problems);
    }
}

/// A series resolved in a sink, so that recording needs no look-up.
pub trait Handle: Send + Sync {
    /// Records one measurement: finite, and not negative for a counter.
    ///
    /// If it panics, this sink lacks the measurement: an in-flight count of its is
    /// off by one then.
    ///
    /// For a counter and an up/down counter it is what to add, for a gauge what
    /// to set, for a histogram what to observe.
    fn record(&self, value: f64);

    /// Whether `record` may panic or emit something through `tracing`. A handle that
    /// never does either is called without the guard against both. By default it may.
    fn needs_guard(&self) -> bool {
        true
    }
}

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
            if let Some(flush) = pending.reader(at) {
                sink.flush_with(flush);
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
        place: &OnceLock<Resolved>,
        instrument: &Instrument,
        labels: &Labels,
        value: f64,
    ) {
        let recorded = call_sink(|| match place.get() {
            Some(resolved) => resolved.record(value),
            None => self.record_first(sink, place, instrument, labels, value),
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
        place: &OnceLock<Resolved>,
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
        let _ = place.set(Resolved {
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
