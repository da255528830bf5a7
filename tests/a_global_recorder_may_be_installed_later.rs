//! A process of its own: a recorder is installed once.
#![cfg(feature = "prometheus")]

mod support;

use std::thread::ScopedJoinHandle;

use metrics_exporter_prometheus::PrometheusHandle;
use support::under;
use tracing::field::Empty;
use tracing::{Span, info, info_span};
use tracing_meter::{Boundaries, FacadeSink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

fn measure_new_series_on_two_threads() {
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || {
                    (0..500).for_each(|id| info!(monotonic_counter.shared = 1, id));
                });
            });
        }
    });
}

fn one_of_many(id: u64) -> Span {
    info_span!("one", in_flight.many = Empty, label.id = id)
}

/// Each is closed while others are being delivered: none may fall below zero.
fn close_on_two_threads_while_scraping(mut spans: Vec<Span>, prometheus: &PrometheusHandle) {
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let others = spans.split_off(spans.len() / 2);
    std::thread::scope(|scope| {
        let closers: Vec<_> = [spans, others]
            .into_iter()
            .map(|spans| {
                scope.spawn(|| tracing::dispatcher::with_default(&dispatch, || drop(spans)))
            })
            .collect();
        while !closers.iter().all(ScopedJoinHandle::is_finished) {
            let scrape = prometheus.render();
            assert!(!scrape.contains("} -"), "{scrape}");
        }
    });
    let scrape = prometheus.render();
    let many = scrape.lines().filter(|line| line.starts_with("many{"));
    assert!(many.clone().all(|line| line.ends_with("} 0")));
    assert_eq!(many.count(), 500);
}

#[test]
fn what_was_measured_before_the_recorder_was_installed_is_handed_over() {
    let sink = FacadeSink::global();
    let layer = tracing_meter::builder().sink(sink).build().unwrap();
    under(Registry::default().with(layer), || {
        info!(describe.level = "The level.");
        let many: Vec<_> = (0..500).map(one_of_many).collect();
        let open = info_span!("job", in_flight.jobs = Empty);
        for value in [1, 2] {
            info!(monotonic_counter.before = value);
            info!(gauge.level = value);
            info!(histogram.size = value);
        }
        drop(info_span!("job", in_flight.jobs = Empty));
        measure_new_series_on_two_threads();

        let recorder = Boundaries::new()
            .prometheus_builder()
            .unwrap()
            .build_recorder();
        let prometheus = recorder.handle();
        metrics::set_global_recorder(recorder).unwrap();
        close_on_two_threads_while_scraping(many, &prometheus);
        info!(monotonic_counter.after = 1);
        let scrape = prometheus.render();
        assert!(scrape.contains("# HELP level The level."), "{scrape}");
        for line in [
            "before_total 3",
            "after_total 1",
            "level 2",
            "size_sum 3",
            "size_count 2",
            "jobs 1",
        ] {
            assert!(scrape.lines().any(|l| l == line), "{line} in\n{scrape}");
        }
        let shared = scrape
            .lines()
            .filter(|line| line.starts_with("shared_total{"));
        let shared = shared.map(|line| line.ends_with(" 2"));
        assert_eq!(shared.filter(|both| *both).count(), 500);
        drop(open);
        info!(monotonic_counter.before = 1);
        let scrape = prometheus.render();
        assert!(scrape.contains("\njobs 0\n"), "{scrape}");
        assert!(scrape.contains("\nbefore_total 4\n"), "{scrape}");
    });
}
