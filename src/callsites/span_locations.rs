//! Span callsites by their location in the source.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_core::Metadata;

use crate::plan::SourceLocation;
use crate::sync::Mutex;

/// The span callsites that were seen, by location. Functions that a macro makes share one.
///
/// Where one of them has an outcome the others have to be told from it, although they are
/// not measured: an error that one of them returns is none of the first one's.
#[derive(Default)]
pub(super) struct SpanLocations {
    locations: Mutex<HashMap<SourceLocation, Shared>>,
    has_changed: AtomicBool,
}

#[derive(Default)]
struct Shared {
    has_outcome: bool,
    unmeasured: Vec<&'static Metadata<'static>>,
}

impl SpanLocations {
    /// Notes a span with an outcome, and gives those that have to be told from it now.
    pub(super) fn add_with_outcome(
        &self,
        metadata: &'static Metadata<'static>,
    ) -> Vec<&'static Metadata<'static>> {
        let Some(location) = SourceLocation::of(metadata) else {
            return Vec::new();
        };
        let mut locations = self.locations.lock();
        let shared = locations.entry(location).or_default();
        shared.has_outcome = true;
        let unmeasured = std::mem::take(&mut shared.unmeasured);
        if !unmeasured.is_empty() {
            self.has_changed.store(true, Ordering::Relaxed);
        }
        unmeasured
    }

    /// Whether callsites have become of interest that were not, since this was asked last.
    pub(super) fn has_changed(&self) -> bool {
        self.has_changed.swap(false, Ordering::Relaxed)
    }

    /// Notes a span without one. Whether it has to be told from one that has.
    pub(super) fn add_unmeasured(&self, metadata: &'static Metadata<'static>) -> bool {
        let Some(location) = SourceLocation::of(metadata) else {
            return false;
        };
        let mut locations = self.locations.lock();
        let shared = locations.entry(location).or_default();
        if !shared.has_outcome {
            shared.unmeasured.push(metadata);
        }
        shared.has_outcome
    }
}
