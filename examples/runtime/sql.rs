//! Surface: a SQL database, embedded. As with the store, statements are metrics alone.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension as _, Params, params};
use tokio::sync::mpsc;
use tracing::debug;

use super::Result;

/// Each change of a table is noted in the transaction that makes it.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE items (name TEXT PRIMARY KEY, content TEXT NOT NULL);
    CREATE TABLE orders (name TEXT PRIMARY KEY, content TEXT NOT NULL);
    CREATE TABLE changes (id INTEGER PRIMARY KEY, tab TEXT, op TEXT, content TEXT);
    CREATE TRIGGER item_inserted AFTER INSERT ON items BEGIN
        INSERT INTO changes (tab, op, content) VALUES ('items', 'insert', new.content); END;
    CREATE TRIGGER item_updated AFTER UPDATE ON items BEGIN
        INSERT INTO changes (tab, op, content) VALUES ('items', 'update', new.content); END;
    CREATE TRIGGER item_deleted AFTER DELETE ON items BEGIN
        INSERT INTO changes (tab, op) VALUES ('items', 'delete'); END;
    CREATE TRIGGER order_inserted AFTER INSERT ON orders BEGIN
        INSERT INTO changes (tab, op, content) VALUES ('orders', 'insert', new.content); END;
";

/// Statements are short, and the file is local: they run where they are asked for.
pub(crate) struct Database {
    connection: Mutex<Connection>,
    changed: mpsc::Sender<()>,
}

impl Database {
    /// Creates a database. `changed` is told of each change.
    pub(crate) fn create(file: &Path, changed: mpsc::Sender<()>) -> Result<Self> {
        let connection = open(file)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection: Mutex::new(connection),
            changed,
        })
    }

    pub(crate) fn insert_item(&self, name: &str, content: &str) -> rusqlite::Result<usize> {
        let sql = "INSERT INTO items VALUES (?1, ?2)";
        self.execute("insert", sql, params![name, content])
    }

    pub(crate) fn update_item(&self, name: &str, content: &str) -> rusqlite::Result<usize> {
        let sql = "UPDATE items SET content = ?2 WHERE name = ?1";
        self.execute("update", sql, params![name, content])
    }

    pub(crate) fn delete_item(&self, name: &str) -> rusqlite::Result<usize> {
        let sql = "DELETE FROM items WHERE name = ?1";
        self.execute("delete", sql, params![name])
    }

    pub(crate) fn insert_order(&self, name: &str, content: &str) -> rusqlite::Result<usize> {
        let sql = "INSERT INTO orders VALUES (?1, ?2)";
        self.execute("insert", sql, params![name, content])
    }

    pub(crate) fn item(&self, name: &str) -> rusqlite::Result<Option<String>> {
        let sql = "SELECT content FROM items WHERE name = ?1";
        self.run("select", |connection| {
            let found = connection.query_row(sql, [name], |row| row.get(0));
            found.optional()
        })
    }

    /// Reads a table that nobody has made.
    pub(crate) fn report(&self) -> rusqlite::Result<i64> {
        self.run("select", |connection| {
            connection.query_row("SELECT count(*) FROM reports", [], |row| row.get(0))
        })
    }

    fn execute(&self, op: &str, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        let done = self.run(op, |connection| connection.execute(sql, params));
        // If there is no room, it was told already, and has not looked yet.
        let _ = self.changed.try_send(());
        done
    }

    fn run<T>(
        &self,
        op: &str,
        statement: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let connection = self.connection.lock();
        let connection = connection.unwrap_or_else(PoisonError::into_inner);
        let start = Instant::now();
        let done = statement(&connection);
        let result = if done.is_ok() { "ok" } else { "error" };
        debug!(
            monotonic_counter.wippy_sql_ops = 1,
            histogram.wippy_sql_op_duration = start.elapsed().as_secs_f64(),
            op,
            result,
        );
        done
    }
}

/// Opens the file, which others have open, too.
pub(crate) fn open(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Where changes stand before they are in the file itself.
pub(crate) fn wal_of(file: &Path) -> PathBuf {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    wal.into()
}

pub(crate) fn describe() {
    debug!(
        describe.wippy_sql_ops = "Statements that the SQL database has run.",
        describe.wippy_sql_op_duration = "How long statements took.",
        unit.wippy_sql_op_duration = "s",
    );
}
