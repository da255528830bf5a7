//! Which callsites the layer wants to see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_core::{Interest, LevelFilter, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};

use super::other_layers::{self, Ours, asked_about};
use crate::callsites::Callsites;

/// Wants the callsites that a convention has recognised, always: what is always
/// enabled is not asked about again. That is safe here only because the layer never
/// reads the thread's filter state, in which `tracing::enabled!` may have left
/// something that would drop the next event (tokio-rs/tracing#2519).
pub(super) struct CallsiteFilter {
    callsites: Arc<Callsites>,
    /// Whether the subscriber can be asked while it asks us: a `reload::Layer`
    /// between would wait for itself.
    is_reachable: AtomicBool,
}

impl CallsiteFilter {
    pub(super) fn new(callsites: Arc<Callsites>) -> Self {
        Self {
            callsites,
            is_reachable: AtomicBool::new(false),
        }
    }

    pub(super) fn set_visible(&self) {
        self.callsites.level_hint.set_heard();
    }

    pub(super) fn set_reachable(&self) {
        self.is_reachable.store(true, Ordering::Relaxed);
    }
}

impl<S> Filter<S> for CallsiteFilter {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        // Never asked: the layer answers for itself.
        true
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match asked_about(metadata) {
            Some(Ours::Nothing) => Interest::always(),
            _ if self.callsites.is_of_interest(metadata) => Interest::always(),
            None if self.is_reachable.load(Ordering::Relaxed) => {
                let subscriber = self.callsites.own_subscriber.get();
                subscriber.map_or_else(Interest::never, |it| other_layers::interest(&it, metadata))
            }
            None | Some(Ours::Interest) => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.callsites.max_level_hint()
    }
}

/// The layer inside the filter: the callbacks are answered outside of it.
pub(super) struct NoLayer;

impl<S: Subscriber> Layer<S> for NoLayer {}
