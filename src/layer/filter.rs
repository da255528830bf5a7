//! Which callsites the layer wants to see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_core::{Dispatch, Interest, LevelFilter, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};

use super::others::{Others, Ours, asked_about};
use crate::meter::Meter;
use crate::silence::Surroundings;

/// Wants the callsites that a convention has recognised, always: what is always
/// enabled is not asked about again. That is safe here only because the layer never
/// reads the thread's filter state, in which `tracing::enabled!` may have left
/// something that would drop the next event (tokio-rs/tracing#2519).
pub(super) struct CallsiteFilter {
    meter: Arc<Meter>,
    /// Whether the subscriber has seen that this is a per-layer filter. Around a
    /// `reload::Layer` it cannot.
    is_visible: AtomicBool,
    /// Whether the subscriber can be asked while it asks us: a `reload::Layer`
    /// between would wait for itself.
    is_reachable: AtomicBool,
    others: Others,
}

impl CallsiteFilter {
    pub(super) fn new(meter: Arc<Meter>) -> Self {
        Self {
            meter,
            is_visible: AtomicBool::new(false),
            is_reachable: AtomicBool::new(false),
            others: Others::default(),
        }
    }

    pub(super) fn set_visible(&self) {
        self.is_visible.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_reachable(&self) {
        self.is_reachable.store(true, Ordering::Relaxed);
    }

    fn is_visible(&self) -> bool {
        self.is_visible.load(Ordering::Relaxed)
    }

    pub(super) fn set_subscriber(&self, subscriber: &Dispatch) {
        self.others.set_subscriber(subscriber);
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        Surroundings::clone(&self.others.subscriber)
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
            _ if self.meter.is_of_interest(metadata) => Interest::always(),
            None if self.is_reachable.load(Ordering::Relaxed) => self.others.interest(metadata),
            None | Some(Ours::Interest) => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // The hint of a layer that does not look like a filter counts for all
        // layers together.
        self.is_visible().then(|| self.meter.max_level())
    }
}

/// The layer inside the filter: the callbacks are answered outside of it.
pub(super) struct NoLayer;

impl<S: Subscriber> Layer<S> for NoLayer {}
