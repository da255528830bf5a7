//! A series that is being built.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::builder::Builder;
use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::problem::Reason;
use crate::reentrancy::call_sink;
use crate::sink::Handle;
use crate::sink::deferred::{Deferred, Kept};
use crate::sink::worker::Worker;
use crate::sync::Mutex;

/// How many measurements of a histogram wait for the SDK: 128 KiB of them. A service
/// that handles a thousand requests a second fills it in a collection of 16 seconds.
const MAX_WAITING: usize = 16 * 1024;

/// One series, in which measurements wait until the worker has built it.
pub(super) struct Early {
    this: Weak<Self>,
    builder: Arc<Builder>,
    instrument: Instrument,
    labels: Labels,
    waiting: Deferred,
    built: OnceLock<Arc<dyn Handle>>,
    /// Held while it is bound, which waits for no collection.
    in_turn: Mutex<()>,
    /// Whether building it panicked, so that it has to be tried again.
    has_failed: AtomicBool,
}

impl Early {
    pub(super) fn new(builder: Arc<Builder>, instrument: Instrument, labels: Labels) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            waiting: Deferred::new(instrument.kind(), MAX_WAITING),
            builder,
            instrument,
            labels,
            built: OnceLock::new(),
            in_turn: Mutex::default(),
            has_failed: AtomicBool::new(false),
        })
    }

    /// The series itself, or this one if its instrument cannot be built now.
    pub(super) fn built_in_time(self: Arc<Self>) -> Arc<dyn Handle> {
        let early = Arc::clone(&self);
        self.builder.worker.run(move || early.build());
        self.or_built()
    }

    /// The series itself, of an instrument that is built. Where the worker is stuck, which
    /// waits for a collection then, another thread binds it.
    pub(super) fn bound(self: Arc<Self>) -> Arc<dyn Handle> {
        if !self.builder.worker.is_stuck() {
            let early = Arc::clone(&self);
            self.builder.worker.run(move || early.build());
        }
        if self.built.get().is_none() {
            Worker::run_apart(|| self.build());
        }
        self.or_built()
    }

    fn or_built(self: Arc<Self>) -> Arc<dyn Handle> {
        match self.built.get() {
            Some(built) => Arc::clone(built),
            None => self,
        }
    }

    /// Does nothing if it is built. Waits until another thread that is at it has done it.
    pub(super) fn build(&self) {
        self.try_to_build();
        self.builder.forget([self]);
    }

    /// The same, without saying that it is no longer early.
    pub(super) fn try_to_build(&self) {
        let built = call_sink(|| {
            let instrument = self.builder.instrument(&self.instrument);
            let _in_turn = self.in_turn.lock();
            self.waiting.deliver_to(
                || instrument.series(&self.labels, self.builder.can_bind),
                |series, value| series.record(value),
                |series| _ = self.built.set(series),
            );
        });
        if built.is_err() {
            self.reject(Reason::SinkPanicked, "the panic hook has its message");
            self.has_failed.store(true, Ordering::Release);
        }
    }

    pub(super) fn name(&self) -> &str {
        self.instrument.name()
    }

    pub(super) const fn labels(&self) -> &Labels {
        &self.labels
    }

    #[cold]
    fn record_early(&self, value: f64) {
        match self.waiting.keep(value) {
            Kept::First | Kept::More => {}
            Kept::Many => self.builder.bind_early_soon(),
            Kept::Rejected => self.reject(Reason::QueueFull, "a collection takes too long"),
            Kept::Over => self.built.get().into_iter().for_each(|it| it.record(value)),
        }
        if self.has_failed.swap(false, Ordering::Acquire)
            && let Some(early) = self.this.upgrade()
        {
            self.builder.worker.send(move || early.build());
        }
    }

    fn reject(&self, reason: Reason, detail: &str) {
        let problems = self.builder.problems();
        problems.reject(reason, &self.instrument, detail);
    }
}

impl Handle for Early {
    fn record(&self, value: f64) {
        match self.built.get() {
            Some(built) => built.record(value),
            None => self.record_early(value),
        }
    }

    fn needs_guard(&self) -> bool {
        !self.builder.can_bind
    }
}
