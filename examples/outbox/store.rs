//! The tables of the outbox.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

type Result<T> = rusqlite::Result<T>;

/// An event's id is never given again, even when it was deleted: webhooks tell by it what
/// they have had before.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        type TEXT NOT NULL,
        payload TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'new', -- or 'published', 'broken'
        created_at INTEGER NOT NULL,       -- microseconds, as all times are
        published_at INTEGER
    );
    CREATE TABLE IF NOT EXISTS deliveries (
        id INTEGER PRIMARY KEY,
        event INTEGER NOT NULL REFERENCES events,
        endpoint TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'due', -- or 'delivered', 'given_up'
        attempts INTEGER NOT NULL DEFAULT 0
    );";

/// One connection to the database.
pub(super) struct Store(Connection);

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        // Whoever finds the database busy counts it and comes again.
        connection.busy_timeout(Duration::ZERO)?;
        connection.execute_batch(TABLES)?;
        Ok(Self(connection))
    }

    pub(super) fn insert_event(&self, event_type: &str, payload: &str) -> Result<i64> {
        self.0.execute(
            "INSERT INTO events (type, payload, created_at) VALUES (?, ?, ?)",
            params![event_type, payload, now()],
        )?;
        Ok(self.0.last_insert_rowid())
    }

    /// Takes a new event, the oldest or this one, if it is still there to take.
    /// Nobody else writes until the claim is settled or dropped.
    pub(super) fn claim_event(&mut self, only: Option<i64>) -> Result<Option<ClaimedEvent<'_>>> {
        let immediate = TransactionBehavior::Immediate;
        let transaction = self.0.transaction_with_behavior(immediate)?;
        let claimed = transaction
            .query_row(
                "SELECT id, type, payload, created_at FROM events
                 WHERE state = 'new' AND id = coalesce(?, id) ORDER BY id LIMIT 1",
                [only],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .optional()?;
        Ok(
            claimed.map(|(id, event_type, payload, created_at)| ClaimedEvent {
                transaction,
                id,
                event_type,
                payload,
                created_at,
            }),
        )
    }

    /// Takes all deliveries that are due: this is one more attempt of each.
    pub(super) fn claim_deliveries(&self) -> Result<Vec<Delivery>> {
        let mut claim = self.0.prepare(
            "UPDATE deliveries SET attempts = attempts + 1 WHERE state = 'due'
             RETURNING id, event,
                 (SELECT type FROM events WHERE events.id = event),
                 (SELECT payload FROM events WHERE events.id = event),
                 endpoint, attempts",
        )?;
        let claimed = claim.query_map([], |row| {
            Ok(Delivery {
                id: row.get(0)?,
                event: row.get(1)?,
                event_type: row.get(2)?,
                payload: row.get(3)?,
                endpoint: row.get(4)?,
                attempts: row.get(5)?,
            })
        })?;
        claimed.collect()
    }

    pub(super) fn settle(&self, delivery: &Delivery, state: &str) -> Result<()> {
        let update = "UPDATE deliveries SET state = ? WHERE id = ?";
        self.0.execute(update, params![state, delivery.id])?;
        Ok(())
    }

    pub(super) fn count_due(&self) -> Result<u32> {
        let count = "SELECT count(*) FROM deliveries WHERE state = 'due'";
        self.0.query_row(count, [], |row| row.get(0))
    }

    /// All deliveries of an event, those that were delivered, too.
    pub(super) fn deliver_event_again(&self, event: i64) -> Result<usize> {
        self.deliver_again("event = ?", [event])
    }

    pub(super) fn deliver_given_up_again(&self, endpoint: Option<&str>) -> Result<usize> {
        let given_up = "state = 'given_up' AND endpoint = coalesce(?, endpoint)";
        self.deliver_again(given_up, [endpoint])
    }

    fn deliver_again(&self, which: &str, params: impl rusqlite::Params) -> Result<usize> {
        let update = format!("UPDATE deliveries SET state = 'due', attempts = 0 WHERE {which}");
        self.0.execute(&update, params)
    }

    /// Deletes what was delivered to everybody this long ago: deliveries, and events.
    pub(super) fn delete_settled(&mut self, keep: Duration) -> Result<(usize, usize)> {
        let transaction = self.0.transaction()?;
        let deliveries = transaction.execute(
            "DELETE FROM deliveries WHERE event IN (
                 SELECT id FROM events WHERE published_at <= ? AND NOT EXISTS (
                     SELECT 1 FROM deliveries WHERE event = events.id AND state != 'delivered'))",
            [now() - micros(keep)],
        )?;
        let events = transaction.execute(
            "DELETE FROM events WHERE published_at <= ?
                 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = events.id)",
            [now() - micros(keep)],
        )?;
        transaction.commit()?;
        Ok((deliveries, events))
    }
}

/// An event that is this publisher's, until the transaction ends.
pub(super) struct ClaimedEvent<'store> {
    transaction: Transaction<'store>,
    id: i64,
    pub(super) event_type: String,
    pub(super) payload: String,
    created_at: i64,
}

impl ClaimedEvent<'_> {
    /// Makes one delivery for each endpoint, and says how old the event is in seconds.
    pub(super) fn publish(self, endpoints: &[&str]) -> Result<f64> {
        for endpoint in endpoints {
            let insert = "INSERT INTO deliveries (event, endpoint) VALUES (?, ?)";
            self.transaction
                .execute(insert, params![self.id, endpoint])?;
        }
        // Clocks may go back.
        let published_at = now().max(self.created_at);
        let update = "UPDATE events SET state = 'published', published_at = ? WHERE id = ?";
        let params = params![published_at, self.id];
        self.transaction.execute(update, params)?;
        self.transaction.commit()?;
        Ok(seconds(published_at - self.created_at))
    }

    /// Lets it stand in nobody's way.
    pub(super) fn set_aside(self) -> Result<()> {
        let update = "UPDATE events SET state = 'broken' WHERE id = ?";
        self.transaction.execute(update, [self.id])?;
        self.transaction.commit()
    }
}

/// An event on its way to one endpoint.
pub(super) struct Delivery {
    id: i64,
    pub(super) event: i64,
    pub(super) event_type: String,
    pub(super) payload: String,
    pub(super) endpoint: String,
    /// With the one that it was claimed for.
    pub(super) attempts: u32,
}

fn now() -> i64 {
    let since_epoch = SystemTime::UNIX_EPOCH.elapsed();
    micros(since_epoch.unwrap_or_default())
}

fn micros(duration: Duration) -> i64 {
    duration.as_micros().try_into().unwrap_or(i64::MAX)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "what waits for two centuries may lose a microsecond"
)]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}
