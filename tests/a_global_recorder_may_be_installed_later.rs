//! A process of its own: a recorder is installed once.
#![cfg(feature = "prometheus")]

mod support;

use support::under;
use tracing::field::Empty;
use tracing::{info, info_span};
use tracing_meter::{Boundaries, FacadeSink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn what_was_measured_before_the_recorder_was_installed_is_handed_over() {
    let sink = FacadeSink::global();
    let layer = tracing_meter::builder().sink(sink).build().unwrap();
    under(Registry::default().with(layer), || {
        let open = info_span!("job", in_flight.jobs = Empty);
        for value in [1, 2] {
            info!(monotonic_counter.before = value);
            info!(gauge.level = value);
            info!(histogram.size = value);
        }
        drop(info_span!("job", in_flight.jobs = Empty));

        let recorder = Boundaries::new()
            .prometheus_builder()
            .unwrap()
            .build_recorder();
        let prometheus = recorder.handle();
        metrics::set_global_recorder(recorder).unwrap();
        info!(monotonic_counter.after = 1);
        let scrape = prometheus.render();
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
        drop(open);
        info!(monotonic_counter.before = 1);
        let scrape = prometheus.render();
        assert!(scrape.contains("\njobs 0\n"), "{scrape}");
        assert!(scrape.contains("\nbefore_total 4\n"), "{scrape}");
    });
}
