//! The grant expansion of the example, in both exporters and in `PromQL`.
#![cfg(all(feature = "otel", feature = "prometheus"))]
#![allow(clippy::print_stdout, reason = "a check that is skipped says so")]

#[path = "support/exporters.rs"]
mod exporters;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "an example is a program of its own"
)]
#[path = "../examples/grant_expansion.rs"]
mod grant_expansion;
mod support;

use std::process::Command;

use exporters::{Exporters, assert_promtool_finds_nothing};
use grant_expansion::{INHERITED_LABELS, WEDGED};
use opentelemetry_sdk::metrics::data::ScopeMetrics;
use support::under;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

const HEALTHY: [(&str, &str); 2] = [("connector_id", "okta-prod"), ("tenant_id", "acme")];
const STUCK: [(&str, &str); 2] = [("connector_id", "github-legacy"), ("tenant_id", "globex")];

const REMAINING: &str = "baton_sync_expand_actions_remaining";
const BURNED: &str = "baton_sync_expand_actions_burned_total";
const BYTES: &str = "baton_sync_expand_decompressed_bytes";
const DELTA: &str = "baton_sync_expand_decompressed_bytes_delta_total";

#[test]
fn burned_is_flat_when_the_queue_grows_and_the_first_sample_counts_nothing() {
    run_and_look(|exporters, round| {
        let (remaining, burned, megabytes, delta) = match round {
            0 => (5.0, 0.0, 100.0, 0.0),
            1 => (3.0, 2.0, 110.0, 10.0),
            2 => (7.0, 2.0, 130.0, 30.0),
            _ => return,
        };
        assert_progress(
            exporters,
            &HEALTHY,
            [remaining, burned, megabytes * 1e6, delta * 1e6],
        );
    });
}

#[test]
fn the_work_burns_down_or_stands_still_and_each_connector_has_its_own_series() {
    let exporters = run_and_look(|_, _| ());
    assert_progress(&exporters, &HEALTHY, [0.0, 9.0, 158e6, 58e6]);
    assert_progress(&exporters, &STUCK, [3.0, 0.0, 40e6, 0.0]);
    let scrape = exporters.scrape();
    for (metric, kind) in [
        (REMAINING, "gauge"),
        (BURNED, "counter"),
        (BYTES, "gauge"),
        (DELTA, "counter"),
    ] {
        let lines = |start: String| scrape.lines().filter(move |line| line.starts_with(&start));
        assert_eq!(lines(format!("{metric}{{")).count(), 2, "{scrape}");
        assert_eq!(
            lines(format!("# TYPE {metric} {kind}")).count(),
            1,
            "{scrape}"
        );
    }
    assert!(scrape.contains(&format!(
        "# HELP {BURNED} Actions by which the remaining ones went down. \
         Flat while actions remain: wedged.\n"
    )));
    assert_promtool_finds_nothing(&scrape);
}

#[test]
fn bytes_are_the_unit_in_the_sdk_and_stand_once_in_the_name_on_a_scrape() {
    let exporters = run_and_look(|_, _| ());
    let collected = exporters.resource_metrics();
    let mut units: Vec<_> = collected
        .scope_metrics()
        .flat_map(ScopeMetrics::metrics)
        .filter(|metric| metric.name().starts_with("baton."))
        .map(|metric| (metric.name(), metric.unit()))
        .collect();
    units.sort_unstable();
    let expected = [
        ("baton.sync.expand.actions_burned", ""),
        ("baton.sync.expand.actions_remaining", ""),
        ("baton.sync.expand.decompressed_bytes", "By"),
        ("baton.sync.expand.decompressed_bytes_delta", "By"),
    ];
    assert_eq!(units, expected);
}

#[test]
fn the_query_of_the_example_lists_the_wedged_connector_and_no_other() {
    let mut samples: [Vec<String>; 4] = Default::default();
    run_and_look(|exporters, _| {
        let series = [
            (BURNED, HEALTHY),
            (REMAINING, HEALTHY),
            (BURNED, STUCK),
            (REMAINING, STUCK),
        ];
        for (samples, (metric, labels)) in samples.iter_mut().zip(series) {
            let value = exporters.scraped(metric, &labels).unwrap();
            samples.push(value.to_string());
        }
    });
    // A scrape a minute. The queue of the healthy connector grew in minute 2, and
    // is empty in minute 6.
    for minute in [2, 4, 6] {
        assert_promql_lists_only_the_stuck_one(&samples, minute);
    }
}

fn run_and_look(mut look: impl FnMut(&Exporters, usize)) -> Exporters {
    let (exporters, builder) = Exporters::new();
    let layer = builder.inherited_labels(INHERITED_LABELS).build().unwrap();
    let handle = layer.handle();
    under(Registry::default().with(layer), || {
        grant_expansion::run(|round| look(&exporters, round));
    });
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
    exporters
}

/// Remaining, burned, bytes and delta, in both exporters.
fn assert_progress(exporters: &Exporters, labels: &[(&str, &str)], expected: [f64; 4]) {
    let metrics = [
        ("baton.sync.expand.actions_remaining", REMAINING),
        ("baton.sync.expand.actions_burned", BURNED),
        ("baton.sync.expand.decompressed_bytes", BYTES),
        ("baton.sync.expand.decompressed_bytes_delta", DELTA),
    ];
    for ((written, scraped), value) in metrics.into_iter().zip(expected) {
        exporters.assert_both(written, scraped, labels, value);
    }
}

/// Lets Prometheus' own engine answer the query, from what was scraped.
fn assert_promql_lists_only_the_stuck_one(samples: &[Vec<String>; 4], minute: u32) {
    let [burned, remaining, stuck_burned, stuck_remaining] =
        samples.each_ref().map(|values| values.join(" "));
    let (healthy, stuck) = (selector(&HEALTHY), selector(&STUCK));
    let test = format!(
        "
tests:
  - interval: 1m
    input_series:
      - {{ series: '{BURNED}{healthy}', values: '{burned}' }}
      - {{ series: '{REMAINING}{healthy}', values: '{remaining}' }}
      - {{ series: '{BURNED}{stuck}', values: '{stuck_burned}' }}
      - {{ series: '{REMAINING}{stuck}', values: '{stuck_remaining}' }}
    promql_expr_test:
      - expr: {WEDGED}
        eval_time: {minute}m
        exp_samples:
          - {{ labels: '{stuck}', value: 0 }}
"
    );
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    std::fs::write(file.path(), test).unwrap();
    let mut promtool = Command::new("promtool");
    let Ok(output) = promtool.args(["test", "rules"]).arg(file.path()).output() else {
        assert!(std::env::var_os("CI").is_none(), "CI needs promtool");
        println!("skipped: promtool is not installed (Debian: prometheus)");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "minute {minute}: {said}");
}

/// `{a="1",b="2"}`
fn selector(labels: &[(&str, &str)]) -> String {
    let pairs = labels
        .iter()
        .map(|(key, value)| format!("{key}=\"{value}\""));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}
