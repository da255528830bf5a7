//! What `sqlx` says of the statements that it has executed.

use tracing_core::Level;

use crate::convention::Measure;
use crate::convention::rules::{Rule, RuleLabel, Rules};
use crate::kind::Kind;

/// How statements begin. What begins otherwise has no label.
const VERBS: [&str; 32] = [
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "CALL",
    "COMMIT",
    "COPY",
    "CREATE",
    "DELETE",
    "DETACH",
    "DO",
    "DROP",
    "EXECUTE",
    "EXPLAIN",
    "GRANT",
    "INSERT",
    "LOCK",
    "MERGE",
    "PRAGMA",
    "RELEASE",
    "REPLACE",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "TRUNCATE",
    "UPDATE",
    "VACUUM",
    "VALUES",
    "WITH",
];

impl Rules {
    /// Statements of `sqlx` 0.9, from its events with the target `sqlx::query`.
    ///
    /// | metric | kind | unit |
    /// |---|---|---|
    /// | `db.client.operation.duration` | histogram | `s` |
    /// | `db.client.response.returned_rows` | histogram | `{row}` |
    /// | `sqlx.rows_affected` | counter | `{row}` |
    /// | `sqlx.slow_statements` | counter | `{statement}` |
    ///
    /// `system` is the label `db.system.name`, which `sqlx` does not say: `sqlite`,
    /// `postgresql`, `mysql`, or `other_sql`. The label `db.query.summary` is the first word
    /// of the statement, if SQL knows it; there is no bound to the statements themselves.
    /// The events do not tell of failures.
    ///
    /// `sqlx` emits these events at `DEBUG`, and at `WARN` if a statement was slow, and builds
    /// the text of the statement for each. What is switched off by
    /// `ConnectOptions::log_statements` is not measured.
    ///
    /// ```
    /// use tracing_meter::{MemorySink, Rules};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let memory = MemorySink::new();
    /// let layer = tracing_meter::builder().sink(memory.clone()).convention(Rules::sqlx("postgresql")).build()?;
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     // As `sqlx` does:
    ///     tracing::debug!(
    ///         target: "sqlx::query",
    ///         summary = "SELECT name FROM items …", db.statement = "..", rows_affected = 0, rows_returned = 3,
    ///         elapsed_secs = 0.25,
    ///     );
    /// });
    /// let labels = [("db.query.summary", "SELECT"), ("db.system.name", "postgresql")];
    /// let measured = memory.snapshot();
    /// assert_eq!(measured.samples("db.client.operation.duration", &labels), [0.25]);
    /// assert_eq!(measured.samples("db.client.response.returned_rows", &labels), [3.0]);
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn sqlx(system: impl Into<String>) -> Self {
        let system = system.into();
        let duration = Measure::field(
            Kind::Histogram,
            "db.client.operation.duration",
            "elapsed_secs",
        )
        .unit("s")
        .help("Duration of database client operations.");
        let returned = Measure::field(
            Kind::Histogram,
            "db.client.response.returned_rows",
            "rows_returned",
        )
        .unit("{row}")
        .help("The actual number of records returned by the database operation.");
        let affected = Measure::field(Kind::Counter, "sqlx.rows_affected", "rows_affected")
            .unit("{row}")
            .help("Rows that statements have changed.");
        let slow = Measure::happened("sqlx.slow_statements")
            .unit("{statement}")
            .help("Statements that took longer than the threshold of sqlx.");
        let events = |name| {
            Rule::events(name)
                .target("sqlx::query")
                .up_to(Level::DEBUG)
                .with_field("elapsed_secs")
                .constant("db.system.name", system.clone())
                .label_rule(verb())
        };
        Self::of([
            events("sqlx statements")
                .measure(duration)
                .measure(returned)
                .measure(affected),
            events("slow sqlx statements")
                .with_field("slow_threshold")
                .measure(slow),
        ])
    }
}

fn verb() -> RuleLabel {
    let label = RuleLabel::new("db.query.summary").field("summary");
    VERBS.iter().fold(label, |label, verb| {
        let written_small = format!("{}*", verb.to_ascii_lowercase());
        label
            .map(format!("{verb}*"), *verb)
            .map(written_small, *verb)
    })
}
