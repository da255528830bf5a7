//! The application's side of the outbox.

use super::Result;
use super::notify::Notifier;
use super::store::Store;

/// Writes events, in the same database as everything else that the application writes.
pub(crate) struct Producer {
    store: Store,
    notifier: Notifier,
}

impl Producer {
    pub(super) fn new(store: Store, notifier: Notifier) -> Self {
        Self { store, notifier }
    }

    pub(crate) fn enqueue(&self, event_type: &str, payload: &str) -> Result<i64> {
        let event = self.store.insert_event(event_type, payload)?;
        self.notifier.notify(event);
        Ok(event)
    }
}
