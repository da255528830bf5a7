//! Makes deliveries of events.

use serde_json::Value;
use tracing::info;

use super::fan_out::{Subscription, endpoints};
use super::notify::Notifications;
use super::stage::Stage;
use super::store::{ClaimedEvent, Store};

/// Publishes what it is notified of, and what it finds.
pub(crate) struct Publisher {
    store: Store,
    notifications: Notifications,
    subscriptions: &'static [Subscription],
}

impl Publisher {
    pub(super) fn new(
        store: Store,
        notifications: Notifications,
        subscriptions: &'static [Subscription],
    ) -> Self {
        Self {
            store,
            notifications,
            subscriptions,
        }
    }

    /// Publishes the events that it was notified of.
    pub(crate) fn publish_notified(&mut self) {
        while let Some(event) = self.notifications.next() {
            self.publish(Some(event));
        }
    }

    /// Publishes all events that are there.
    pub(crate) fn poll(&mut self) {
        while self.publish(None) {}
    }

    /// Whether there was one, and it is settled now.
    fn publish(&mut self, only: Option<i64>) -> bool {
        match self.store.claim_event(only) {
            Ok(None) => false,
            Ok(Some(event)) => fan_out(event, self.subscriptions),
            Err(error) => {
                Stage::Claim.failed(&error);
                false
            }
        }
    }
}

fn fan_out(event: ClaimedEvent<'_>, subscriptions: &[Subscription]) -> bool {
    if let Err(error) = serde_json::from_str::<Value>(&event.payload) {
        Stage::FanOut.failed(&error);
        return event.set_aside().is_ok();
    }
    let endpoints = endpoints(subscriptions, &event.event_type);
    // Nothing is counted that could still be rolled back.
    match event.publish(&endpoints) {
        Ok(lag) => {
            measure_published(lag, endpoints.len());
            true
        }
        Err(error) => {
            Stage::FanOut.failed(&error);
            false
        }
    }
}

fn measure_published(lag: f64, matched: usize) {
    info!(
        monotonic_counter.outbox.events.published = 1,
        histogram.outbox.publisher.lag = lag,
        "published"
    );
    if matched == 0 {
        info!(
            monotonic_counter.outbox.events.no_match = 1,
            "nobody wants it"
        );
    } else {
        info!(
            monotonic_counter.outbox.events.fanned_out = 1,
            histogram.outbox.events.matched = matched,
            "fanned out"
        );
    }
}
