//! Where measurements go.

use std::sync::Arc;

use crate::pending::Flusher;

use crate::instrument::Instrument;
use crate::labels::Labels;

#[cfg(any(feature = "metrics", feature = "otel"))]
mod deferred;
#[cfg(feature = "metrics")]
mod facade;
mod log;
mod memory;
#[cfg(feature = "otel")]
mod otel;
mod problems;
mod sinks;
#[cfg(feature = "otel")]
mod worker;

#[cfg(feature = "metrics")]
pub use facade::FacadeSink;
pub use log::LogSink;
pub use memory::{MemorySink, Snapshot};
#[cfg(feature = "otel")]
pub use otel::OtelSink;
pub use problems::SinkProblems;
pub(crate) use sinks::{Handles, Resolved, Sinks};

/// A destination of measurements.
///
/// The layer asks for the handle of a series when the series is measured for the first
/// time, and keeps it. Each measurement calls the handle on the thread that measures, which
/// waits: a sink that may block should send the value to another thread. Calls come from any
/// thread, and while no lock of this crate is held that the sink could ask for.
///
/// A sink should emit nothing through `tracing` while it is called; another thread of the
/// sink may. What it emits is not measured; and a subscriber that is asked about an event
/// inside of another one forgets what its filters have said, so that other layers get what
/// they refuse. `fmt` may panic then.
pub trait Sink: Send + Sync + 'static {
    /// The handle of one series, which must not be exported before something is recorded.
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
    /// A counter and an up/down counter add the value, a gauge is set to it, and a histogram
    /// observes it.
    ///
    /// If it panics, this sink lacks the measurement: its in-flight count may be off by one
    /// then. The panic ends here, and is listed as
    /// [`SinkPanicked`](crate::Reason::SinkPanicked).
    fn record(&self, value: f64);

    /// Whether `record` may panic or emit something through `tracing`, so that it has to be
    /// guarded against both. By default it may. A handle that never does either says
    /// `false`: it is called without the guard, and may be left out until its sink
    /// [flushes](Sink::flush_with). Then it is called under a lock, and must not ask a
    /// [`Flusher`] or a [`MeterHandle`](crate::MeterHandle).
    fn needs_guard(&self) -> bool {
        true
    }
}
