//! The rules for `sqlx` and the real crate, on `SQLite` in memory. It executes statements on
//! its threads: hence a process for this file, with one subscriber for all threads.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tracing_meter::{Kind, LabelValue, MemorySink, MeterHandle, Rules, Snapshot};
use tracing_subscriber::layer::SubscriberExt as _;

const DURATION: &str = "db.client.operation.duration";
const RETURNED: &str = "db.client.response.returned_rows";
const SYSTEM: (&str, &str) = ("db.system.name", "sqlite");

/// No layer but ours, and no logger: `sqlx` asks whether its events are of interest.
static MEASURED: LazyLock<(MemorySink, MeterHandle)> = LazyLock::new(|| {
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().sink(memory.clone());
    let layer = builder.convention(Rules::sqlx("sqlite")).build().unwrap();
    let handle = layer.handle();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    (memory, handle)
});

/// Executes statements on a connection that is closed then, so that all have been measured.
fn executed(options: &SqliteConnectOptions, statements: &'static [&'static str]) -> Snapshot {
    let (memory, _) = &*MEASURED;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = sqlx::SqliteConnection::connect_with(options).await.unwrap();
        for statement in statements {
            let executed = connection.fetch_all(*statement).await;
            assert!(
                executed.is_ok() || statement.contains("missing"),
                "{executed:?}"
            );
        }
        connection.close().await.unwrap();
    });
    memory.snapshot()
}

#[test]
fn statements_are_measured_by_their_first_word() {
    let before = Instant::now();
    let snapshot = executed(
        &SqliteConnectOptions::new().in_memory(true),
        &[
            "CREATE TABLE items (id INTEGER, name TEXT)",
            "INSERT INTO items VALUES (1, 'a'), (2, 'b'), (3, 'c')",
            "SELECT id, name FROM items",
            "select id from items where id > 2",
            "SELECT id FROM items WHERE id > 9",
            "DELETE FROM items WHERE id < 3",
            "/* what else */ VALUES (1), (2)",
        ],
    );
    let at_most = before.elapsed().as_secs_f64();

    let verb = |verb| [("db.query.summary", verb), SYSTEM];
    assert_eq!(snapshot.samples(RETURNED, &verb("SELECT")), [3.0, 1.0, 0.0]);
    assert_eq!(snapshot.samples(RETURNED, &[SYSTEM]), [2.0]);
    for (statement, times) in [("CREATE", 1), ("INSERT", 1), ("SELECT", 3), ("DELETE", 1)] {
        let durations = snapshot.samples(DURATION, &verb(statement));
        assert_eq!(durations.len(), times, "{statement}");
        assert!(durations.iter().all(|it| *it > 0.0), "{durations:?}");
        assert!(durations.iter().sum::<f64>() < at_most, "{durations:?}");
    }
    assert_eq!(
        snapshot.value("sqlx.rows_affected", &verb("INSERT")),
        Some(3.0)
    );
    assert_eq!(
        snapshot.value("sqlx.rows_affected", &verb("DELETE")),
        Some(2.0)
    );

    for (metric, kind, unit) in [
        (DURATION, Kind::Histogram, "s"),
        (RETURNED, Kind::Histogram, "{row}"),
        ("sqlx.rows_affected", Kind::Counter, "{row}"),
    ] {
        let instrument = snapshot.instrument(metric).unwrap();
        assert_eq!((instrument.kind(), instrument.unit()), (kind, Some(unit)));
        assert!(instrument.description().is_some(), "{metric}");
        for labels in snapshot.label_sets(metric) {
            let mut labels = labels.iter();
            assert!(labels.all(|it| {
                ["db.query.summary", "db.system.name"].contains(&it.key())
                    && matches!(it.value(), LabelValue::Str(_))
            }));
        }
    }
    let problems = MEASURED.1.problems();
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn slow_statements_are_counted_and_measured_as_the_others() {
    let options = SqliteConnectOptions::new().in_memory(true);
    let all_are_slow = options.log_slow_statements(log::LevelFilter::Warn, Duration::ZERO);
    let snapshot = executed(&all_are_slow, &["ANALYZE", "ANALYZE"]);

    let labels = [("db.query.summary", "ANALYZE"), SYSTEM];
    assert_eq!(snapshot.value("sqlx.slow_statements", &labels), Some(2.0));
    assert_eq!(snapshot.samples(DURATION, &labels).len(), 2);
    let instrument = snapshot.instrument("sqlx.slow_statements").unwrap();
    assert_eq!(instrument.unit(), Some("{statement}"));
}

#[test]
fn statements_are_no_labels() {
    let many: Vec<_> = (0..300)
        .map(|n| format!("EXPLAIN SELECT {n}, {n}, {n}"))
        .collect();
    let many: Vec<&'static str> = many.into_iter().map(|it| &*it.leak()).collect();
    let snapshot = executed(&SqliteConnectOptions::new().in_memory(true), many.leak());

    let labels = [("db.query.summary", "EXPLAIN"), SYSTEM];
    assert_eq!(snapshot.samples(DURATION, &labels).len(), 300);
}
