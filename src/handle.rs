//! What a layer measures, for the operator of the program.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::callsites::{Callsites, Disabled};
use crate::catalog::{Catalog, CatalogEntry};
use crate::error::BuildError;
use crate::problem::Problem;
use crate::reconfiguration::Reconfiguration;
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
    disabled: Arc<Disabled>,
    callsites: Weak<Callsites>,
}

impl MeterHandle {
    pub(crate) fn new(callsites: &Arc<Callsites>) -> Self {
        Self {
            catalog: Arc::clone(&callsites.catalog),
            silence: Silence::new(callsites),
            disabled: Arc::clone(&callsites.disabled),
            callsites: Arc::downgrade(callsites),
        }
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
        problems.extend(self.disabled.problems());
        problems.extend(self.silence.problems());
        problems.extend(self.catalog.lost());
        problems.sort_by(|a, b| a.key().cmp(&b.key()));
        problems
    }

    /// Measures by other directives or conventions from now on: on an operator's request, or
    /// when a file has changed.
    ///
    /// ```
    /// use tracing_meter::{MemorySink, Reconfiguration};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let memory = MemorySink::new();
    /// let layer = tracing_meter::builder()
    ///     .sink(memory.clone())
    ///     .directives("info")
    ///     .build()?;
    /// let meter = layer.handle();
    /// let subscriber = tracing_subscriber::registry().with(layer);
    /// tracing::subscriber::with_default(subscriber, || {
    ///     for directives in ["info", "debug", "off"] {
    ///         meter.reconfigure(Reconfiguration::new().directives(directives))?;
    ///         tracing::debug!(monotonic_counter.cache_misses = 1);
    ///     }
    ///     Ok::<_, tracing_meter::BuildError>(())
    /// })?;
    /// assert_eq!(memory.snapshot().value("cache_misses", &[]), Some(1.0));
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    ///
    /// It counts for the next event and the next span of every callsite. A span that is open
    /// is measured to its end as it was opened, on the series that it was opened on; one that
    /// was not measured when it opened is not measured when it closes. Instruments and series
    /// stay in the catalog, and a name keeps its kind and unit.
    ///
    /// What is measured as before costs as before, and keeps its plan. So does what was
    /// measured like that earlier, so that going back and forth takes no memory. A callsite
    /// that gets a new plan takes some, for as long as the layer lives: it is
    /// bounded by the callsites and their different plans.
    ///
    /// The level that the layer wants to hear follows the directives, until a span with an
    /// outcome has opened: from then on its errors are heard at any level. Where such a span
    /// was measured it is still followed, unmeasured, whatever the directives say: an older
    /// one may be open, which must not be taken for it.
    ///
    /// Other layers are asked anew which callsites they want, on another thread, while this
    /// one waits up to a second: where they need a lock that this thread holds, inside of
    /// `reload`, say, they are heard a little later. A subscriber in a `Box` or an `Arc` has to
    /// be the default one here, or callsites that no layer wanted before stay disabled. If the
    /// layer is gone there is nothing to change.
    ///
    /// # Errors
    ///
    /// If directives are not valid. Nothing has changed then, and the error names which.
    pub fn reconfigure(&self, new: Reconfiguration) -> Result<(), BuildError> {
        let (directives, edit) = new.parse()?;
        if let Some(callsites) = self.callsites.upgrade() {
            callsites.reconfigure(&directives, edit);
        }
        Ok(())
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
