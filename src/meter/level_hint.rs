//! Up to which level the layer wants to hear of callsites.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tracing_core::dispatcher::with_default;
use tracing_core::{Dispatch, LevelFilter, callsite};

use crate::no_poison::NoPoison;

/// What the layer tells its subscriber, which then skips more verbose callsites unseen.
///
/// It is the most verbose level of the directives, until a span with an outcome opens:
/// `#[instrument(err(level = "debug"))]` says at any level what its function returned.
pub(crate) struct LevelHint {
    of_directives: LevelFilter,
    /// Whether the subscriber has seen that the layer is a filter. Around a
    /// `reload::Layer` it cannot.
    is_heard: AtomicBool,
    outcomes: AtomicBool,
    /// Held, no longer than `PATIENCE`, until the subscriber has heard: spans that open
    /// for the first time on other threads wait for it, too.
    in_turn: NoPoison<()>,
}

impl LevelHint {
    pub(super) const fn new(of_directives: LevelFilter) -> Self {
        Self {
            of_directives,
            is_heard: AtomicBool::new(false),
            outcomes: AtomicBool::new(false),
            in_turn: NoPoison::new(()),
        }
    }

    /// The most verbose level that may be measured.
    pub(crate) const fn of_directives(&self) -> LevelFilter {
        self.of_directives
    }

    pub(crate) fn set_heard(&self) {
        self.is_heard.store(true, Ordering::Relaxed);
    }

    /// Nothing, if the subscriber would take it for the hint of all layers together.
    pub(crate) fn get(&self) -> Option<LevelFilter> {
        let level = if self.outcomes.load(Ordering::Relaxed) {
            LevelFilter::TRACE
        } else {
            self.of_directives
        };
        self.is_heard.load(Ordering::Relaxed).then_some(level)
    }

    /// Wants events of all levels from now on, and the callsites whose interest has changed.
    #[cold]
    pub(super) fn want_outcomes(
        &self,
        interest_has_changed: impl FnOnce() -> bool,
        subscriber: impl FnOnce() -> Option<Dispatch>,
    ) {
        let _in_turn = self.in_turn.lock();
        let is_first = !self.outcomes.swap(true, Ordering::Relaxed);
        let raises_hint = is_first && self.of_directives < LevelFilter::TRACE;
        if (interest_has_changed() || raises_hint)
            && self.is_heard.load(Ordering::Relaxed)
            && let Some(subscriber) = subscriber()
        {
            rebuild_interest(subscriber);
        }
    }
}

/// How long a span may wait, that opens for the first time, until events of all levels
/// reach the subscriber. It takes some milliseconds at most, but other layers are asked,
/// and one of them may wait for a lock that this thread holds.
const PATIENCE: Duration = Duration::from_secs(1);

/// On another thread: where `tracing` has lent this thread its subscriber, it finds none here,
/// and would disable everything.
fn rebuild_interest(subscriber: Dispatch) {
    let (done, wait) = mpsc::channel();
    let rebuild = move || {
        with_default(&subscriber, callsite::rebuild_interest_cache);
        let _ = done.send(());
    };
    let thread = thread::Builder::new().name("tracing-meter-interest".to_owned());
    // Where no thread is to be had, outcomes of verbose levels are missed.
    if thread.spawn(rebuild).is_ok() {
        let _ = wait.recv_timeout(PATIENCE);
    }
}
