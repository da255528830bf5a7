//! Deletes what is done.

use std::time::Duration;

use tracing::info;

use super::Result;
use super::store::Store;

/// Deletes events that all who wanted them have, with their deliveries.
pub(crate) struct Janitor {
    store: Store,
}

impl Janitor {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Leaves what was published within this time.
    pub(crate) fn sweep(&mut self, keep: Duration) -> Result<()> {
        let (deliveries, events) = self.store.delete_settled(keep)?;
        for (table, rows) in [("deliveries", deliveries), ("events", events)] {
            info!(monotonic_counter.outbox.janitor.rows_deleted = rows, table);
        }
        Ok(())
    }
}
