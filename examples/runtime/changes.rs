//! Surface: change capture. What changes in the SQL tables is read behind the writers.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::debug;

use super::Result;
use super::sql;

/// Reads the changes, and forgets what it has read.
pub(crate) struct ChangeCapture {
    connection: Connection,
    wal: PathBuf,
}

struct Change {
    id: i64,
    table: String,
    op: String,
    content: Option<String>,
}

impl ChangeCapture {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        Ok(Self {
            connection: sql::open(file)?,
            wal: sql::wal_of(file),
        })
    }

    /// Reads what has changed whenever it is told so, until nobody can change anything.
    pub(crate) async fn tail(self, mut changed: mpsc::Receiver<()>) -> Result<Self> {
        while changed.recv().await.is_some() {
            self.capture()?;
        }
        Ok(self)
    }

    /// What the log of the database holds.
    fn retained(&self) -> Result<u64> {
        Ok(fs::metadata(&self.wal)?.len())
    }

    fn capture(&self) -> Result<()> {
        let changes = self.unread()?;
        for change in &changes {
            match change.decode() {
                Ok(_) => changed(&change.table, &change.op),
                Err(error) => failed(&change.table, &error),
            }
        }
        if let Some(last) = changes.last() {
            let forget = "DELETE FROM changes WHERE id <= ?1";
            self.connection.execute(forget, [last.id])?;
        }
        debug!(gauge.wippy_cdc_retained_wal_bytes = self.retained()?);
        Ok(())
    }

    fn unread(&self) -> rusqlite::Result<Vec<Change>> {
        let sql = "SELECT id, tab, op, content FROM changes ORDER BY id";
        let mut statement = self.connection.prepare(sql)?;
        let changes = statement.query_map([], |row| {
            Ok(Change {
                id: row.get(0)?,
                table: row.get(1)?,
                op: row.get(2)?,
                content: row.get(3)?,
            })
        })?;
        changes.collect()
    }
}

impl Change {
    /// Readers of changes get JSON; the tables take any text.
    fn decode(&self) -> serde_json::Result<Value> {
        let content = self.content.as_deref().unwrap_or("null");
        serde_json::from_str(content)
    }
}

fn changed(table: &str, op: &str) {
    debug!(monotonic_counter.wippy_cdc_changes = 1, table, op);
}

fn failed(table: &str, error: &serde_json::Error) {
    debug!(
        monotonic_counter.wippy_cdc_errors = 1,
        table, "a change that cannot be read: {error}"
    );
}

pub(crate) fn describe() {
    debug!(
        describe.wippy_cdc_changes = "Changes of SQL tables that were captured.",
        describe.wippy_cdc_errors = "Changes of SQL tables that could not be read.",
        describe.wippy_cdc_retained_wal_bytes = "The size of the database's write-ahead log.",
        unit.wippy_cdc_retained_wal_bytes = "By",
    );
}
