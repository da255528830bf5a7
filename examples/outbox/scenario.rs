//! Lets everything happen to the outbox once, and keeps count of it without `tracing`:
//! by the journal of the database, by what the webhooks were asked, and by what the
//! scenario itself did.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::counts::Counts;
use super::journal::Journal;
use super::outbox::{self, MAX_ATTEMPTS, Outbox, Result, Scope, Subscription};
use super::webhooks::{Webhooks, WriteLock};

const SUBSCRIPTIONS: [Subscription; 5] = [
    subscription("mail", "order.*"),
    subscription("warehouse", "order.*"),
    subscription("archive", "order.shipped"),
    subscription("billing", "order.paid"),
    subscription("billing", "refund.*"),
];

const fn subscription(endpoint: &'static str, pattern: &'static str) -> Subscription {
    Subscription { endpoint, pattern }
}

/// What really happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Truth {
    pub(crate) counts: Counts,
    /// What is in the database at the end.
    pub(crate) rows: Vec<String>,
}

/// From a new database to the truth about what was done with it.
pub(crate) async fn run(say: &dyn Fn(&str)) -> Result<Truth> {
    let mut rig = Rig::start().await?;

    say("A burst of events: the publisher is busy, and misses two notifications");
    rig.enqueue_burst()?;
    rig.outbox.publisher.publish_notified();
    say("Its next poll finds them");
    rig.outbox.publisher.poll();

    say("Two events that nobody wants, and one that is broken");
    rig.outbox.producer.enqueue("user.renamed", "{}")?;
    rig.outbox.producer.enqueue("user.renamed", "{}")?;
    rig.outbox.producer.enqueue("order.placed", "{")?;
    rig.outbox.publisher.publish_notified();

    say("The database is busy: neither an event nor a delivery can be claimed");
    rig.claim_in_vain().await?;
    rig.outbox.publisher.poll();

    say("All are delivered, but to the archive, which is down and is given up");
    rig.deliver_all().await?;

    say("The database is busy when billing has answered: it gets the refund twice");
    rig.outbox.producer.enqueue("refund.paid", "{}")?;
    rig.outbox.publisher.publish_notified();
    rig.deliver_without_ack().await?;
    rig.outbox.deliverer.deliver().await?;

    say("All that was given up is delivered again, in vain; then the archive is up");
    rig.redeliver(Scope::All).await?;
    rig.webhooks.archive_is_up(true);
    rig.redeliver(Scope::Endpoint("archive")).await?;
    say("Two events are delivered again, to all who wanted them");
    rig.redeliver(Scope::Event(1)).await?;
    rig.redeliver(Scope::Event(4)).await?;

    say("The janitor sweeps");
    rig.outbox.janitor.sweep(Duration::ZERO)?;

    say(
        "The archive is down again, and the warehouse wants to be asked twice: two deliveries wait",
    );
    rig.webhooks.archive_is_up(false);
    rig.outbox.producer.enqueue("order.shipped", "{}")?;
    rig.outbox.publisher.publish_notified();
    rig.outbox.deliverer.deliver().await?;
    rig.truth()
}

/// An outbox, those who subscribed to it, and a count of what the scenario did itself.
struct Rig {
    outbox: Outbox,
    webhooks: Webhooks,
    journal: Journal,
    counts: Counts,
    database: PathBuf,
    _directory: TempDir,
}

impl Rig {
    async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let database = directory.path().join("outbox.sqlite");
        let webhooks = Webhooks::default();
        let base = format!("http://{}", webhooks.listen().await?);
        Ok(Self {
            outbox: Outbox::open(&database, &base, &SUBSCRIPTIONS)?,
            webhooks,
            journal: Journal::start(&database)?,
            counts: Counts::default(),
            database,
            _directory: directory,
        })
    }

    fn enqueue_burst(&mut self) -> Result<()> {
        let burst = ["placed", "placed", "placed", "paid", "paid", "shipped"];
        for what in burst {
            let event_type = format!("order.{what}");
            self.outbox.producer.enqueue(&event_type, "{}")?;
        }
        for _ in outbox::CAPACITY..burst.len() {
            self.counts.add("outbox.notify.missed", &[], 1.0);
        }
        Ok(())
    }

    async fn claim_in_vain(&mut self) -> Result<()> {
        self.outbox.producer.enqueue("order.paid", "{}")?;
        let lock = WriteLock::take(&self.database)?;
        self.outbox.publisher.publish_notified();
        self.outbox.deliverer.deliver().await?;
        drop(lock);
        self.count_failure("claim", 2.0);
        Ok(())
    }

    async fn deliver_all(&self) -> Result<()> {
        for _ in 0..MAX_ATTEMPTS {
            self.outbox.deliverer.deliver().await?;
        }
        Ok(())
    }

    async fn deliver_without_ack(&mut self) -> Result<()> {
        self.webhooks.lock_while_answering(&self.database);
        self.outbox.deliverer.deliver().await?;
        self.webhooks.unlock();
        self.count_failure("ack", 1.0);
        Ok(())
    }

    async fn redeliver(&mut self, scope: Scope) -> Result<()> {
        self.outbox.redelivery.request(scope)?;
        let labels = [("scope", scope.name())];
        self.counts.add("outbox.redeliver.requests", &labels, 1.0);
        self.deliver_all().await
    }

    fn count_failure(&mut self, stage: &str, count: f64) {
        self.counts
            .add("outbox.failures", &[("stage", stage)], count);
    }

    fn truth(mut self) -> Result<Truth> {
        self.journal.count(&mut self.counts)?;
        for asked in self.webhooks.asked() {
            let outcome = if asked.was_taken { "ok" } else { "error" };
            let endpoint = ("endpoint", asked.endpoint.as_str());
            let labels = [endpoint, ("outcome", outcome)];
            self.counts.add("outbox.deliveries.attempts", &labels, 1.0);
            // Each was answered: none is in flight any more.
            self.counts
                .set("outbox.deliveries.inflight", &[endpoint], 0.0);
            if !asked.was_taken {
                self.count_failure("deliver", 1.0);
            }
        }
        Ok(Truth {
            counts: self.counts,
            rows: self.journal.rows()?,
        })
    }
}
