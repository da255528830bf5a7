//! A series that is being built.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::instrument::OtelInstrument;
use crate::instrument::Instrument;
use crate::labels::Labels;
use crate::problem::Reason;
use crate::sink::Handle;
use crate::sink::deferred::{Deferred, Kept};
use crate::sync::Mutex;

/// How many measurements of a histogram wait for the SDK: 128 KiB of them. A service
/// that handles a thousand requests a second fills it in a collection of 16 seconds.
const MAX_WAITING: usize = 16 * 1024;

/// What an early series asks of the one that builds it.
pub(super) trait BuildEarly: Send + Sync {
    /// Many measurements wait: builds it soon.
    fn build_soon(self: Arc<Self>);

    /// Building it has panicked: tries again.
    fn build_again(self: Arc<Self>, early: Arc<Early>);

    fn reject(&self, reason: Reason, instrument: &Instrument, detail: &str);
}

/// One series, in which measurements wait until the worker has built it.
///
/// The layer keeps it as long as it runs, so what is needed to build it goes when that is done.
pub(super) struct Early {
    built: OnceLock<Arc<dyn Handle>>,
    unbuilt: Mutex<Option<Arc<Unbuilt>>>,
}

/// What a series is built of.
pub(super) struct Unbuilt {
    early: Weak<Early>,
    builder: Arc<dyn BuildEarly>,
    instrument: Instrument,
    labels: Labels,
    /// Whether the provider is known to bind.
    can_bind: bool,
    waiting: Deferred,
    /// Held while it is bound, which waits for no collection.
    in_turn: Mutex<()>,
    /// Whether building it panicked, so that it has to be tried again.
    has_failed: AtomicBool,
}

impl Early {
    pub(super) fn new(
        builder: Arc<dyn BuildEarly>,
        instrument: Instrument,
        labels: Labels,
        can_bind: bool,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| {
            let unbuilt = Unbuilt {
                early: Weak::clone(this),
                waiting: Deferred::new(instrument.kind(), MAX_WAITING),
                builder,
                instrument,
                labels,
                can_bind,
                in_turn: Mutex::default(),
                has_failed: AtomicBool::new(false),
            };
            Self {
                built: OnceLock::new(),
                unbuilt: Mutex::new(Some(unbuilt.into())),
            }
        })
    }

    /// What it is built of, until that is done.
    pub(super) fn unbuilt(&self) -> Option<Arc<Unbuilt>> {
        self.unbuilt.lock().clone()
    }

    pub(super) fn is_built(&self) -> bool {
        self.built.get().is_some()
    }

    /// The series itself, or this one if it is not built yet.
    pub(super) fn or_built(self: Arc<Self>) -> Arc<dyn Handle> {
        match self.built.get() {
            Some(built) => Arc::clone(built),
            None => self,
        }
    }

    /// Binds it, and delivers what waits. Does nothing if that is done, and waits until
    /// another thread that is at it has done it.
    pub(super) fn build(&self, unbuilt: &Unbuilt, instrument: &OtelInstrument) {
        let _in_turn = unbuilt.in_turn.lock();
        unbuilt.waiting.deliver_to(
            || instrument.series(&unbuilt.labels, unbuilt.can_bind),
            |series, value| series.record(value),
            |series| _ = self.built.set(series),
        );
        if self.is_built() {
            self.unbuilt.lock().take();
        }
    }

    #[cold]
    fn record_early(&self, value: f64) {
        // It goes after what has waited was delivered.
        let Some(unbuilt) = self.unbuilt() else {
            return self.record_built(value);
        };
        match unbuilt.waiting.keep(value) {
            Kept::First | Kept::More => {}
            Kept::Many => Arc::clone(&unbuilt.builder).build_soon(),
            Kept::Rejected => unbuilt.reject(Reason::QueueFull, "a collection takes too long"),
            Kept::Over => self.record_built(value),
        }
        if unbuilt.has_failed.swap(false, Ordering::Acquire)
            && let Some(early) = unbuilt.early.upgrade()
        {
            Arc::clone(&unbuilt.builder).build_again(early);
        }
    }

    fn record_built(&self, value: f64) {
        self.built.get().into_iter().for_each(|it| it.record(value));
    }
}

impl Unbuilt {
    pub(super) const fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    pub(super) const fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The next measurement asks for another attempt.
    pub(super) fn note_failure(&self) {
        self.reject(Reason::SinkPanicked, "the panic hook has its message");
        self.has_failed.store(true, Ordering::Release);
    }

    fn reject(&self, reason: Reason, detail: &str) {
        self.builder.reject(reason, &self.instrument, detail);
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
        match self.unbuilt() {
            Some(unbuilt) => !unbuilt.can_bind,
            None => self.built.get().is_none_or(|built| built.needs_guard()),
        }
    }
}
