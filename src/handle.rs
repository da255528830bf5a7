//! What a layer measures, for whoever operates the program.

use std::fmt;
use std::sync::Arc;

use crate::catalog::{Catalog, CatalogEntry};
use crate::problem::Problem;
use crate::silence::Silence;

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
    silence: Silence,
}

impl MeterHandle {
    pub(crate) const fn new(catalog: Arc<Catalog>, silence: Silence) -> Self {
        Self { catalog, silence }
    }

    /// Every instrument that was recognised, in the order of recognition. A
    /// callsite is recognised when the program first reaches it.
    #[must_use]
    pub fn catalog(&self) -> Vec<CatalogEntry> {
        self.catalog.entries()
    }

    /// What is wrong at which callsite, and how often it happened, in the order
    /// of the source.
    ///
    /// Among them is what a filter of the whole subscriber silences
    /// ([`Silenced`](crate::Reason::Silenced)), as long as the layer's subscriber is
    /// there. The subscriber is asked about that, about every callsite if it has such a
    /// filter: do not call this inside of a layer, nor while a `reload` handle is
    /// modifying one. A filter that lets `trace` through elsewhere is not looked for.
    ///
    /// Among them is also that a sink was shut down too early
    /// ([`ShutDown`](crate::Reason::ShutDown)), if something was measured after its last
    /// collection. `OtelSink` knows that of an `SdkMeterProvider`.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.catalog.problems().snapshot();
        problems.extend(self.silence.problems());
        problems.extend(self.catalog.lost());
        problems.sort_by(|a, b| a.place().cmp(&b.place()));
        problems
    }
}

impl fmt::Debug for MeterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterHandle")
            .field("catalog", &self.catalog())
            // Without what a subscriber or a sink must be asked about: it may be
            // printing this.
            .field("problems", &self.catalog.problems().snapshot())
            .finish_non_exhaustive()
    }
}
