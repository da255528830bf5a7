//! A webhook outbox: an application writes events where it writes everything else, and
//! each comes to the webhooks of those who subscribed to its type.
//!
//! ```text
//! producer -> events -> publisher, fan-out -> deliveries -> deliverer -> webhooks
//!     '-- notification --'                        ^-- redelivery
//! ```
//!
//! Each part is told when to do its work: by a timer or a task in a service, by the
//! scenario here. What fails is counted, and tried again the next time.
//!
//! Nothing here knows who reads what it says: to be measured it needs `tracing` alone.

mod deliverer;
mod fan_out;
mod janitor;
mod notify;
mod producer;
mod publisher;
mod redelivery;
mod stage;
mod store;

use std::path::Path;

use tracing::info;

pub(crate) use deliverer::{Deliverer, MAX_ATTEMPTS};
pub(crate) use fan_out::Subscription;
pub(crate) use janitor::Janitor;
pub(crate) use notify::CAPACITY;
pub(crate) use producer::Producer;
pub(crate) use publisher::Publisher;
pub(crate) use redelivery::{Redelivery, Scope};
use store::Store;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// All parts. Each has a connection of its own, as if it were a process of its own.
pub(crate) struct Outbox {
    pub(crate) producer: Producer,
    pub(crate) publisher: Publisher,
    pub(crate) deliverer: Deliverer,
    pub(crate) redelivery: Redelivery,
    pub(crate) janitor: Janitor,
}

impl Outbox {
    /// Webhooks are at `base`, by the names of their endpoints.
    pub(crate) fn open(
        database: &Path,
        base: &str,
        subscriptions: &'static [Subscription],
    ) -> Result<Self> {
        describe();
        let (notifier, notifications) = notify::channel();
        let store = || Store::open(database);
        Ok(Self {
            producer: Producer::new(store()?, notifier),
            publisher: Publisher::new(store()?, notifications, subscriptions),
            deliverer: Deliverer::new(store()?, base),
            redelivery: Redelivery::new(store()?),
            janitor: Janitor::new(store()?),
        })
    }
}

/// Said once, so that whoever is woken at night can read what each number means.
fn describe() {
    info!(
        describe.outbox.events.published = "Events that were published, whoever wanted them.",
        describe.outbox.events.fanned_out = "Events that somebody had subscribed to.",
        describe.outbox.events.matched = "Subscriptions that an event was fanned out to.",
        describe.outbox.events.no_match = "Events that nobody had subscribed to.",
        unit.outbox.events.published = "{event}",
        unit.outbox.events.fanned_out = "{event}",
        unit.outbox.events.matched = "{subscription}",
        unit.outbox.events.no_match = "{event}",
        "what happens to events"
    );
    info!(
        describe.outbox.deliveries.attempts = "Requests to webhooks, by endpoint and outcome.",
        describe.outbox.deliveries.inflight = "Requests that wait for a webhook's answer.",
        describe.outbox.deliveries.waiting = "Deliveries that are due, after the last round.",
        describe.outbox.failures = "What failed, and is tried again unless the stage says otherwise. \
             Stage: claim = the database was busy; \
             fan_out = the event is broken, and set aside; \
             deliver = a webhook did not take it; \
             ack = a webhook answered, and the database could not be told.",
        unit.outbox.deliveries.attempts = "{request}",
        unit.outbox.deliveries.inflight = "{request}",
        unit.outbox.deliveries.waiting = "{delivery}",
        unit.outbox.failures = "{failure}",
        "what happens to deliveries"
    );
    info!(
        describe.outbox.notify.missed =
            "Events that wait for the next poll: the publisher was busy when they came.",
        describe.outbox.publisher.lag = "From an event's creation until it is published.",
        describe.outbox.redeliver.requests = "Orders to deliver again, by scope.",
        describe.outbox.janitor.rows_deleted = "Rows that nobody needs any more, by table.",
        unit.outbox.notify.missed = "{event}",
        unit.outbox.publisher.lag = "s",
        unit.outbox.redeliver.requests = "{request}",
        unit.outbox.janitor.rows_deleted = "{row}",
        "what the outbox does beside"
    );
}
