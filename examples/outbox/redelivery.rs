//! An operator's order to deliver again.

use tracing::info;

use super::Result;
use super::store::Store;

/// What is to be delivered again.
#[derive(Clone, Copy)]
pub(crate) enum Scope {
    /// An event, to all who subscribed to it when it was published.
    Event(i64),
    /// What an endpoint did not take.
    Endpoint(&'static str),
    /// What any endpoint did not take.
    All,
}

impl Scope {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Endpoint(_) => "endpoint",
            Self::All => "all",
        }
    }
}

/// Makes deliveries due again that were delivered, or given up.
pub(crate) struct Redelivery {
    store: Store,
}

impl Redelivery {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    pub(crate) fn request(&self, scope: Scope) -> Result<()> {
        info!(
            monotonic_counter.outbox.redeliver.requests = 1,
            scope = scope.name()
        );
        let deliveries = match scope {
            Scope::Event(event) => self.store.deliver_event_again(event)?,
            Scope::Endpoint(endpoint) => self.store.deliver_given_up_again(Some(endpoint))?,
            Scope::All => self.store.deliver_given_up_again(None)?,
        };
        info!(deliveries, "they are due again");
        Ok(())
    }
}
