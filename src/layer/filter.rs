//! Which callsites the layer wants to see.

use std::sync::Arc;

use tracing_core::{Interest, LevelFilter, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};

use crate::meter::Meter;

/// Wants the callsites that a convention has recognised.
///
/// Its interest is `sometimes`, not `always`: a callsite that is always enabled
/// is not asked again, and whatever `tracing::enabled!` left in the thread's
/// filter state would drop its next event (tokio-rs/tracing#2519).
pub(super) struct CallsiteFilter {
    meter: Arc<Meter>,
}

impl CallsiteFilter {
    pub(super) const fn new(meter: Arc<Meter>) -> Self {
        Self { meter }
    }
}

impl<S> Filter<S> for CallsiteFilter {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        // Never asked: the layer answers for itself.
        true
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.meter.is_of_interest(metadata) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.meter.max_level())
    }
}

/// The layer inside the filter: the callbacks are answered outside of it.
pub(super) struct NoLayer;

impl<S: Subscriber> Layer<S> for NoLayer {}
