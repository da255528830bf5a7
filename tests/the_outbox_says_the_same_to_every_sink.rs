//! The example `outbox` under each sink, held against a count that knows nothing of
//! `tracing`: the database's own journal, and what the webhooks were asked.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/exporters.rs"]
mod exporters;
#[allow(dead_code, reason = "its `main` is for `cargo run`")]
#[path = "../examples/outbox.rs"]
mod program;

use std::collections::BTreeMap;
use std::fs::read_dir;

use exporters::assert_promtool_finds_nothing;
use program::statsd::{Client, Server};
use program::{Choice, Report, Shown, Truth, is_same};
use tracing::{info, info_span};
use tracing_meter::FacadeSink;
use tracing_subscriber::Registry;
use tracing_subscriber::prelude::*;

const SINKS: [Choice; 4] = [
    Choice::Log,
    Choice::Prometheus,
    Choice::Otlp,
    Choice::Statsd,
];

/// All that is counted, but for the lag's sum: it is another one each time.
const COUNTED: [(&str, f64); 27] = [
    (
        "outbox.deliveries.attempts{endpoint=archive,outcome=error}",
        5.0,
    ),
    (
        "outbox.deliveries.attempts{endpoint=archive,outcome=ok}",
        1.0,
    ),
    (
        "outbox.deliveries.attempts{endpoint=billing,outcome=ok}",
        6.0,
    ),
    ("outbox.deliveries.attempts{endpoint=mail,outcome=ok}", 10.0),
    (
        "outbox.deliveries.attempts{endpoint=warehouse,outcome=error}",
        3.0,
    ),
    (
        "outbox.deliveries.attempts{endpoint=warehouse,outcome=ok}",
        9.0,
    ),
    ("outbox.deliveries.inflight{endpoint=archive}", 0.0),
    ("outbox.deliveries.inflight{endpoint=billing}", 0.0),
    ("outbox.deliveries.inflight{endpoint=mail}", 0.0),
    ("outbox.deliveries.inflight{endpoint=warehouse}", 0.0),
    ("outbox.deliveries.waiting", 2.0),
    ("outbox.events.fanned_out", 9.0),
    ("outbox.events.matched.count", 9.0),
    ("outbox.events.matched.sum", 22.0),
    ("outbox.events.no_match", 2.0),
    ("outbox.events.published", 11.0),
    ("outbox.failures{stage=ack}", 1.0),
    ("outbox.failures{stage=claim}", 2.0),
    ("outbox.failures{stage=deliver}", 8.0),
    ("outbox.failures{stage=fan_out}", 1.0),
    ("outbox.janitor.rows_deleted{table=deliveries}", 19.0),
    ("outbox.janitor.rows_deleted{table=events}", 10.0),
    ("outbox.notify.missed", 2.0),
    ("outbox.publisher.lag.count", 11.0),
    ("outbox.redeliver.requests{scope=all}", 1.0),
    ("outbox.redeliver.requests{scope=endpoint}", 1.0),
    ("outbox.redeliver.requests{scope=event}", 2.0),
];

const LAG: &str = "outbox.publisher.lag.sum";

#[test]
fn every_sink_shows_what_was_counted_and_nothing_else() {
    for sink in SINKS {
        let (truth, shown) = shown_by(sink);
        for (series, (counted, shown)) in truth.counts.beside(&shown.counts) {
            let is_same = is_same(counted, shown);
            assert!(is_same, "{sink:?}: {series} {counted:?} {shown:?}");
        }
        assert_counted(&truth);
    }
}

#[test]
fn without_a_sink_the_outbox_does_the_same() {
    let without = run(Choice::None);
    assert!(without.shown.is_none());
    assert_counted(&without.truth);
    for sink in SINKS {
        assert_eq!(run(sink).truth.rows, without.truth.rows, "{sink:?}");
    }
    assert_eq!(
        without.truth.rows,
        [
            "delivery of 12 to archive: due, attempt 1",
            "delivery of 12 to mail: delivered, attempt 1",
            "delivery of 12 to warehouse: due, attempt 1",
            "event 12 order.shipped published",
            "event 9 order.placed broken",
        ]
    );
}

#[test]
fn a_scrape_has_help_texts_and_the_same_series() {
    let (_, shown) = shown_by(Choice::Prometheus);
    for line in [
        "# HELP outbox_redeliver_requests_total Orders to deliver again, by scope.",
        "# TYPE outbox_publisher_lag_seconds histogram",
        "outbox_publisher_lag_seconds_count 11",
        "outbox_events_matched_bucket{le=\"2\"} 4",
        "outbox_deliveries_inflight{endpoint=\"mail\"} 0",
        "outbox_janitor_rows_deleted_total{table=\"events\"} 10",
    ] {
        assert!(shown.text.lines().any(|it| it == line), "{line}");
    }
    assert_promtool_finds_nothing(&shown.text);
}

#[test]
fn an_export_has_help_texts_and_units() {
    let (_, shown) = shown_by(Choice::Otlp);
    for line in [
        "# outbox.publisher.lag [s] From an event's creation until it is published.",
        "# outbox.deliveries.inflight [{request}] Requests that wait for a webhook's answer.",
        "# outbox.janitor.rows_deleted [{row}] Rows that nobody needs any more, by table.",
    ] {
        assert!(shown.text.lines().any(|it| it == line), "{line}");
    }
}

#[test]
fn statsd_gets_each_level_of_what_is_in_flight() {
    let (_, shown) = shown_by(Choice::Statsd);
    let mut levels = BTreeMap::<_, Vec<i32>>::new();
    for line in shown.text.lines() {
        if let Some(level) = line.strip_prefix("outbox.deliveries.inflight:") {
            let (level, endpoint) = level.split_once("|g|#endpoint:").unwrap();
            levels
                .entry(endpoint)
                .or_default()
                .push(level.parse().unwrap());
        }
    }
    assert_eq!(levels.len(), 4);
    for (endpoint, levels) in levels {
        let one_by_one = levels.windows(2).all(|it| (it[1] - it[0]).abs() == 1);
        assert!(one_by_one && levels[0] == 1, "{endpoint}: {levels:?}");
        assert!(levels.iter().all(|it| *it >= 0), "{endpoint}: {levels:?}");
        assert_eq!(levels.last(), Some(&0), "{endpoint}: {levels:?}");
    }
}

#[test]
fn a_statsd_exporter_drops_levels_unless_they_are_set() {
    let sent = |set_levels: fn(FacadeSink) -> FacadeSink| {
        let server = Server::start().unwrap();
        let client = Client::connect(&server).unwrap();
        let sink = FacadeSink::new(client.exporter().unwrap()).names_as_written();
        let layer = tracing_meter::builder()
            .sink(set_levels(sink))
            .own_metrics(false);
        let layer = layer.build().unwrap();
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            let _job = info_span!("job", in_flight.jobs = tracing::field::Empty);
            info!(counter.queued = 3, gauge.workers = 2);
        });
        server.receive(&client).unwrap()
    };
    assert_eq!(sent(|sink| sink), ["workers:2|g"]);
    let all = ["jobs:1|g", "queued:3|g", "workers:2|g", "jobs:0|g"];
    assert_eq!(sent(FacadeSink::set_levels), all);
}

#[test]
fn the_outbox_depends_on_tracing_alone() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/outbox");
    let mut files = 0;
    for file in read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        for word in [
            "tracing_meter",
            "opentelemetry",
            "metrics",
            "prometheus",
            "statsd",
        ] {
            assert!(!source.contains(word), "{word} in {}", path.display());
        }
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn an_unknown_sink_is_named_and_the_known_ones_are_listed() {
    let error = "graphite".parse::<Choice>().unwrap_err();
    assert_eq!(
        error,
        "there is no sink \"graphite\": choose none, log, prometheus, otlp or statsd"
    );
}

fn assert_counted(truth: &Truth) {
    let mut counted: BTreeMap<_, _> = COUNTED.into();
    let lag = truth.counts.get(LAG).unwrap();
    assert!(lag > 0.0 && lag < 60.0, "{lag}");
    counted.insert(LAG, lag);
    let counts = truth.counts.beside(&truth.counts);
    let counts = counts
        .into_iter()
        .map(|(series, (count, _))| (series, count.unwrap()));
    assert_eq!(counts.collect::<BTreeMap<_, _>>(), counted);
}

fn shown_by(sink: Choice) -> (Truth, Shown) {
    let report = run(sink);
    (report.truth, report.shown.unwrap())
}

/// On this thread, so that the scoped subscriber sees all tasks.
fn run(choice: Choice) -> Report {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let report = runtime.block_on(program::run(choice, &|_| ())).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    report
}
