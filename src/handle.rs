//! What a layer measures, for whoever operates the program.

use std::fmt;
use std::sync::Arc;

use crate::catalog::{Catalog, CatalogEntry};
use crate::problem::Problem;

/// A view of a layer's catalog and problems. Cloning it is cheap, and it stays
/// valid when the layer is gone.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let layer = tracing_meter::builder()
///     .sink(tracing_meter::MemorySink::new())
///     .build()?;
/// let handle = layer.handle();
/// let subscriber = tracing_subscriber::registry().with(layer);
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::info!(monotonic_counter.uploads = 1, region = "eu");
///     tracing::info!(monotonic_counter.uploads = -1);
/// });
///
/// let catalog = handle.catalog();
/// let uploads = catalog.iter().find(|entry| entry.name() == "uploads").unwrap();
/// assert_eq!(uploads.prometheus_name(), "uploads_total");
/// assert_eq!(uploads.series(), 1);
///
/// let problems = handle.problems();
/// assert_eq!(problems[0].reason(), tracing_meter::Reason::Negative);
/// assert_eq!(problems[0].count(), 1);
/// # Ok::<(), tracing_meter::BuildError>(())
/// ```
#[derive(Clone)]
pub struct MeterHandle {
    catalog: Arc<Catalog>,
}

impl MeterHandle {
    pub(crate) const fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog }
    }

    /// Every instrument that was recognised, in the order of recognition. A
    /// callsite is recognised when the program first reaches it.
    #[must_use]
    pub fn catalog(&self) -> Vec<CatalogEntry> {
        self.catalog.entries()
    }

    /// What is wrong at which callsite, and how often it happened, in the order
    /// of the source.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.catalog.problems().snapshot()
    }
}

impl fmt::Debug for MeterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterHandle")
            .field("catalog", &self.catalog())
            .field("problems", &self.problems())
            .finish()
    }
}
