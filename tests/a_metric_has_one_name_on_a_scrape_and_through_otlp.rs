//! Our translation of names against that of `opentelemetry-prometheus`, from the
//! same meter provider.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/exporters.rs"]
mod exporters;
mod support;

use std::collections::BTreeSet;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::Encoder as _;
use support::under;
use tracing::info;
use tracing_meter::{Boundaries, FacadeSink, OtelSink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// Scrapes of the same measurements: ours, and the independent one.
fn scrape_both(emit: impl FnOnce()) -> (String, String) {
    let registry = prometheus::Registry::new();
    let reader = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_target_info()
        .scope_info_enabled(false)
        .build()
        .unwrap();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let recorder = Boundaries::new()
        .prometheus_builder()
        .unwrap()
        .build_recorder();
    let ours = recorder.handle();
    let layer = tracing_meter::builder()
        .own_metrics(false)
        .sink(OtelSink::new(provider.clone()))
        .sink(FacadeSink::new(recorder))
        .build()
        .unwrap();
    under(Registry::default().with(layer), emit);
    let mut theirs = Vec::new();
    let encoder = prometheus::TextEncoder::new();
    encoder.encode(&registry.gather(), &mut theirs).unwrap();
    (ours.render(), String::from_utf8(theirs).unwrap())
}

/// All series with their values.
fn series(scrape: &str) -> BTreeSet<String> {
    let parsed = exporters::parse_scrape(scrape);
    parsed
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect()
}

#[test]
fn names_labels_and_values_agree_with_an_independent_translation() {
    let (ours, theirs) = scrape_both(|| {
        info!(gauge.temperature = 21.5, unit.temperature = "Cel");
        info!(monotonic_counter.plain = 1);
        info!(
            monotonic_counter.http.server.requests = 2,
            unit.http.server.requests = "{request}"
        );
        info!(
            monotonic_counter.sent = 3,
            unit.sent = "By",
            net.peer = "a",
            port = 80
        );
        info!(counter.queue.depth = -4);
        info!(counter.memory = 5, unit.memory = "MiBy");
        info!(gauge.utilization = 0.5, unit.utilization = "1");
        info!(gauge.rate = 7, unit.rate = "By/s");
        info!(gauge.requests.rate = 7, unit.requests.rate = "{request}/s");
        info!("gauge.slash/and-dash" = 8);
        info!(histogram.wait = 0.3, unit.wait = "s", ok = true);
        info!(histogram.wait.slow = 30, unit.wait.slow = "ms");
        info!(histogram.size = 512, unit.size = "By");
    });
    assert_eq!(series(&ours), series(&theirs));
}

#[test]
fn a_suffix_that_the_name_has_already_is_not_doubled() {
    let (ours, _) = scrape_both(|| {
        info!(monotonic_counter.uploads_total = 1);
        info!(monotonic_counter.sent.bytes = 1, unit.sent.bytes = "By");
        info!(histogram.wait_seconds = 1, unit.wait_seconds = "s");
    });
    let names = [
        "uploads_total 1",
        "sent_bytes_total 1",
        "wait_seconds_count 1",
    ];
    assert!(
        names.iter().all(|line| ours.lines().any(|l| l == *line)),
        "{ours}"
    );
}

#[test]
fn runs_of_other_characters_in_a_label_are_one_underscore() {
    let (ours, _) = scrape_both(|| info!(gauge.g = 1, a__b = 1, "größe" = 2, _private = 3));
    assert!(
        ours.contains(r#"g{a_b="1",gr_e="2",key_private="3"} 1"#),
        "{ours}"
    );
}
