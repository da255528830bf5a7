//! Up to which level the layer wants to hear of callsites.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing_core::LevelFilter;

/// What the layer tells its subscriber, which then skips more verbose callsites unseen.
///
/// It is the most verbose level of the directives, until a span with an outcome opens:
/// `#[instrument(err(level = "debug"))]` says at any level what its function returned. It
/// stays so under all later directives: such a span may be open.
#[derive(Default)]
pub(crate) struct LevelHint {
    /// Whether the subscriber has seen that the layer is a filter. Around a
    /// `reload::Layer` it cannot.
    is_heard: AtomicBool,
    outcomes: AtomicBool,
}

impl LevelHint {
    pub(crate) fn set_heard(&self) {
        self.is_heard.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_heard(&self) -> bool {
        self.is_heard.load(Ordering::Relaxed)
    }

    /// Wants events of all levels from now on. Whether that changes the hint.
    pub(super) fn want_outcomes(&self, of_directives: LevelFilter) -> bool {
        let is_first = !self.outcomes.swap(true, Ordering::Relaxed);
        is_first && of_directives < LevelFilter::TRACE
    }

    /// Nothing, if the subscriber would take it for the hint of all layers together.
    pub(super) fn get(&self, of_directives: LevelFilter) -> Option<LevelFilter> {
        let level = if self.outcomes.load(Ordering::Relaxed) {
            LevelFilter::TRACE
        } else {
            of_directives
        };
        self.is_heard().then_some(level)
    }
}
