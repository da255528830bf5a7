//! Where measurements go.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::problem::{Location, Problems, Reason};
use crate::reentrancy::{SinkPanicked, call_sink};

#[cfg(feature = "metrics")]
mod facade;
mod log;
mod memory;
#[cfg(feature = "otel")]
mod otel;

#[cfg(feature = "metrics")]
pub use facade::FacadeSink;
pub use log::LogSink;
pub use memory::{MemorySink, Snapshot};
#[cfg(feature = "otel")]
pub use otel::OtelSink;

/// A destination of measurements.
///
/// The layer asks once for each series, when it is measured for the first time,
/// and keeps the handle. A call may come from any thread, while no lock of this
/// crate is held. Events and spans that a sink itself emits are not measured.
pub trait Sink: Send + Sync + 'static {
    /// The handle of one series, which shall not be visible until it is recorded.
    fn series(&self, instrument: &Instrument, labels: &Labels) -> Box<dyn Handle>;
}

/// A series resolved in a sink, so that recording needs no look-up.
pub trait Handle: Send + Sync {
    /// Records one measurement: finite, and not negative for a counter.
    ///
    /// For a counter and an up/down counter it is what to add, for a gauge what
    /// to set, for a histogram what to observe.
    fn record(&self, value: f64);
}

/// All sinks of a layer. A measurement goes to each of them once.
pub(crate) struct Sinks {
    sinks: Vec<Box<dyn Sink>>,
    problems: Arc<Problems>,
}

/// One series, resolved in every sink.
pub(crate) struct Handles {
    handles: SmallVec<[Box<dyn Handle>; 2]>,
    /// Whether every sink gave one. If not, they are asked again next time.
    pub(crate) complete: bool,
}

impl Sinks {
    pub(crate) fn new(sinks: Vec<Box<dyn Sink>>, problems: Arc<Problems>) -> Self {
        Self { sinks, problems }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sinks.is_empty()
    }

    pub(crate) fn resolve(&self, instrument: &Instrument, labels: &Labels) -> Handles {
        let mut handles = SmallVec::new();
        for sink in &self.sinks {
            match call_sink(|| sink.series(instrument, labels)) {
                Ok(handle) => handles.push(handle),
                Err(SinkPanicked) => self.list_panic(instrument),
            }
        }
        let complete = handles.len() == self.sinks.len();
        Handles { handles, complete }
    }

    #[inline]
    pub(crate) fn record(&self, handles: &Handles, instrument: &Instrument, value: f64) {
        for handle in &handles.handles {
            if call_sink(|| handle.record(value)).is_err() {
                self.list_panic(instrument);
            }
        }
    }

    #[cold]
    fn list_panic(&self, instrument: &Instrument) {
        let detail = || "the panic hook has its message".to_owned();
        self.problems
            .list(
                Reason::SinkPanicked,
                instrument.name(),
                Location::OWN,
                detail,
            )
            .add_one();
    }
}
