//! What happened to the rows of the outbox, as the database itself wrote it down.

use std::path::Path;

use rusqlite::Connection;

use super::counts::Counts;
use super::outbox::Result;

/// Triggers: what is rolled back leaves no entry, and what is deleted does.
const TRIGGERS: &str = "
    CREATE TABLE journal (entry TEXT NOT NULL, matched REAL, lag REAL);
    CREATE TRIGGER published AFTER UPDATE OF state ON events WHEN NEW.state = 'published'
    BEGIN
        INSERT INTO journal VALUES (
            'published',
            (SELECT count(*) FROM deliveries WHERE event = NEW.id),
            (NEW.published_at - NEW.created_at) / 1e6
        );
    END;
    CREATE TRIGGER broken AFTER UPDATE OF state ON events WHEN NEW.state = 'broken'
    BEGIN INSERT INTO journal (entry) VALUES ('broken'); END;
    CREATE TRIGGER event_deleted AFTER DELETE ON events
    BEGIN INSERT INTO journal (entry) VALUES ('event_deleted'); END;
    CREATE TRIGGER delivery_deleted AFTER DELETE ON deliveries
    BEGIN INSERT INTO journal (entry) VALUES ('delivery_deleted'); END;";

pub(crate) struct Journal(Connection);

impl Journal {
    pub(crate) fn start(database: &Path) -> Result<Self> {
        let connection = Connection::open(database)?;
        connection.execute_batch(TRIGGERS)?;
        Ok(Self(connection))
    }

    pub(crate) fn count(&self, counts: &mut Counts) -> Result<()> {
        self.count_published(counts)?;
        let failures = ("outbox.failures", [("stage", "fan_out")]);
        let rows = "outbox.janitor.rows_deleted";
        for (entry, (name, labels)) in [
            ("broken", failures),
            ("event_deleted", (rows, [("table", "events")])),
            ("delivery_deleted", (rows, [("table", "deliveries")])),
        ] {
            let count = "SELECT count(*) FROM journal WHERE entry = ?";
            let count = self.0.query_row(count, [entry], |row| row.get(0))?;
            counts.add(name, &labels, count);
        }
        let due = "SELECT count(*) FROM deliveries WHERE state = 'due'";
        let due = self.0.query_row(due, [], |row| row.get(0))?;
        counts.set("outbox.deliveries.waiting", &[], due);
        Ok(())
    }

    fn count_published(&self, counts: &mut Counts) -> Result<()> {
        let published = "SELECT matched, lag FROM journal WHERE entry = 'published'";
        let mut published = self.0.prepare(published)?;
        let mut rows = published.query([])?;
        while let Some(row) = rows.next()? {
            let (matched, lag) = (row.get::<_, f64>(0)?, row.get(1)?);
            counts.add("outbox.events.published", &[], 1.0);
            counts.observe("outbox.publisher.lag", &[], lag);
            if matched == 0.0 {
                counts.add("outbox.events.no_match", &[], 1.0);
            } else {
                counts.add("outbox.events.fanned_out", &[], 1.0);
                counts.observe("outbox.events.matched", &[], matched);
            }
        }
        Ok(())
    }

    /// The rows that are left, in words.
    pub(crate) fn rows(&self) -> Result<Vec<String>> {
        let rows = "
            SELECT format('event %d %s %s', id, type, state) FROM events
            UNION ALL
            SELECT format('delivery of %d to %s: %s, attempt %d', event, endpoint, state, attempts)
            FROM deliveries ORDER BY 1";
        let mut rows = self.0.prepare(rows)?;
        let rows = rows.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
